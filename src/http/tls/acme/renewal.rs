//! When a certificate is renewed, and when what failed is tried again. Nothing but arithmetic.

use std::time::Duration;

use super::failure::Cause;
use crate::{clock::Timestamp, random};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);

/// From 0 to 1: so that not everybody comes at once.
pub fn any_fraction() -> f64 {
    f64::from(random::below(1 << 20)) / f64::from(1 << 20)
}

/// At two thirds of its life, or a little earlier: a fiftieth of its life for `fraction` 1.
pub fn due(begins: Timestamp, ends: Timestamp, fraction: f64) -> Timestamp {
    begins.plus(begins.until(ends).mul_f64(2.0 / 3.0 - fraction / 50.0))
}

/// Within the time that the authority suggests, but neither later than seven eighths of its life nor, where the authority
/// would have it renewed again and again, sooner than an hour (or a twentieth of its life) after `obtained`.
pub fn suggested(
    (start, end): (Timestamp, Timestamp),
    (begins, ends): (Timestamp, Timestamp),
    obtained: Timestamp,
    fraction: f64,
) -> Timestamp {
    let life = begins.until(ends);
    let within = start.plus(start.until(end).mul_f64(fraction));
    within.min(begins.plus(life.mul_f64(7.0 / 8.0))).max(obtained.plus(HOUR.min(life / 20)))
}

/// How long to wait after the `failures`th failure in a row, of which there is one at least. `life` is that of the
/// certificate in use, if an authority gave it.
pub fn wait(cause: Cause, failures: u32, life: Option<Duration>, fraction: f64) -> Duration {
    let first = match cause {
        Cause::Again | Cause::Stranger => Duration::from_secs(1),
        Cause::Away | Cause::Ours => Duration::from_secs(5),
        // The other kind of proof is tried at once; after that, authorities count failures by the hour.
        Cause::Refused if failures == 1 => Duration::from_secs(1),
        Cause::Refused => 5 * MINUTE,
        Cause::TooOften => HOUR,
    };
    let doublings = match cause {
        Cause::Refused => failures.saturating_sub(2),
        _ => failures.saturating_sub(1),
    };
    // Who has a certificate of a few days has no time for waits of many hours.
    let longest = life.map_or(LONGEST, |life| (life / 20).clamp(Duration::from_secs(5), LONGEST));
    let wait = first.saturating_mul(1 << doublings.min(16)).min(longest);
    wait.mul_f64(0.75 + fraction / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        let (begins, ends) = (Timestamp(0), Timestamp(0).plus(90 * DAY));
        assert!((59 * 86_400..=60 * 86_400).contains(&due(begins, ends, 0.0).seconds()));
        assert!(due(begins, ends, 1.0) < due(begins, ends, 0.0));
        assert!(due(begins, ends, 1.0).seconds() / 86_400 >= 58);
        // Nonsense is due.
        assert_eq!(due(ends, begins, 0.5), ends);
    }

    #[test]
    fn an_authority_may_suggest_another_time_within_limits() {
        let at = |days: u32| Timestamp(0).plus(days * DAY);
        let suggested = |window, fraction| suggested(window, (at(0), at(80)), at(10), fraction);
        let soonest = at(10).plus(HOUR);
        for (window, fraction, expected) in [
            ((at(20), at(22)), 0.0, at(20)),
            ((at(20), at(22)), 0.5, at(21)),
            // Revoked: at once, but not again and again.
            ((at(0), at(1)), 0.5, soonest),
            ((at(500), at(501)), 0.5, at(70)),
            ((at(22), at(20)), 0.5, at(22)),
        ] {
            assert_eq!(suggested(window, fraction), expected, "{window:?}");
        }
    }

    #[test]
    fn waits_grow_and_end_somewhere() {
        let seconds = |cause, failures, life| wait(cause, failures, life, 0.5).as_secs();
        for (cause, failures, life, expected) in [
            (Cause::Away, 1, None, 5),
            (Cause::Away, 3, None, 20),
            (Cause::Away, 99, None, 6 * 3600),
            (Cause::Again, 1, None, 1),
            (Cause::Refused, 1, None, 1),
            (Cause::Refused, 2, None, 300),
            (Cause::Refused, 3, None, 600),
            (Cause::TooOften, 1, None, 3600),
            (Cause::Refused, 99, Some(90 * DAY), 6 * 3600),
            (Cause::Refused, 99, Some(DAY), 3600 * 24 / 20),
            (Cause::Refused, 2, Some(Duration::from_secs(30)), 5),
        ] {
            assert_eq!(seconds(cause, failures, life), expected, "{cause:?} {failures} {life:?}");
        }
        assert!(wait(Cause::Away, 2, None, 0.0) < wait(Cause::Away, 2, None, 1.0));
    }
}
