//! Durations as people write them: `90s`, `10m`, `2h`, `7d`.

use std::time::Duration;

use crate::error::Leaf;

/// Ten years and a little: beyond that somebody confused units.
const LONGEST: u64 = 3_660 * 86_400;

/// A whole number and a unit: seconds, minutes, hours, days of 24 hours. Several may follow each other, the larger units
/// first: `1h30m`. Ten years at most.
pub fn parse(text: &str) -> Result<Duration, Leaf> {
    read(text).filter(|&seconds| seconds <= LONGEST).map(Duration::from_secs).ok_or_else(|| {
        let message = "Must be a duration like 90s, 10m, 2h or 7d, ten years at most.";
        Leaf::new("validation_invalid_value", message)
    })
}

fn read(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 32 {
        return None;
    }
    let (mut rest, mut total, mut smallest) = (text, 0u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        let unit = match rest.as_bytes().get(digits)? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            _ => return None,
        };
        if unit >= smallest {
            return None;
        }
        smallest = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest.get(digits + 1..)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_or_refused() {
        for (text, seconds) in [
            ("0s", Some(0)),
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("2h", Some(7_200)),
            ("7d", Some(604_800)),
            ("1h30m", Some(5_400)),
            ("1d0h5s", Some(86_405)),
            ("3660d", Some(LONGEST)),
            ("3660d1s", None),
            ("3661d", None),
            ("18446744073709551615d", None),
            ("99999999999999999999s", None),
            ("", None),
            ("10", None),
            ("m", None),
            ("-5m", None),
            ("+5m", None),
            ("1.5h", None),
            ("5 m", None),
            ("30m1h", None),
            ("1h1h", None),
            ("5M", None),
            ("5w", None),
            ("٣m", None),
            ("5é", None),
            ("PT5M", None),
        ] {
            assert_eq!(parse(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
