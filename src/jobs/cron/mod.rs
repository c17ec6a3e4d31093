//! Recurring times: a cron expression in a time zone, and when it is due next.
//!
//! The zone database is compiled in. What happens when clocks are changed is decided here and nowhere else:
//!
//! - A *wall time* (`30 2 * * *`) is due at the first moment at which the zone's clock shows that time or a later one.
//!   So it is due once a day: where clocks skip it, at the moment they jump; where they show it twice, the first time.
//!   Several times that are skipped by the same jump are due together, once.
//! - An expression that names no particular hour, or every minute (`*/15 * * * *`, `* 2 * * *`), goes by *elapsed* time:
//!   it is due whenever the clock shows a time that fits. It goes on through a repeated hour, and nothing is due in
//!   one that does not exist.
//!
//! All five fields have to fit, day and weekday too, as on the wire (`docs/wire/services.md` §7). Beyond what the wire
//! takes there are names (`JAN`, `MON`), weekday 7, `L` for the last day of a month, `MON#1` for the first Monday, and
//! `FRIL` for the last Friday.

mod field;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, fmt};

use jiff::{
    SignedDuration, Timestamp as Instant, ToSpan,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone},
};

use self::field::Fields;
use crate::clock::Timestamp;

/// No date that exists is further away: 29 February on a given weekday, across a century without leap day.
const YEARS_AHEAD: i16 = 41;
/// Stretches of one offset, or hidden wall times, that are looked at for one answer; zones change twice a year.
const MAX_STEPS: usize = 2000;

/// What becomes of the times at which the server was not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// Nothing.
    Skip,
    /// One run for all of them.
    Once,
    /// A run for each, the newest so many.
    All(u16),
}

/// A cron expression in a zone.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    fields: Fields,
    zone: TimeZone,
}

impl Cron {
    /// Five fields or a macro, and the name of an IANA time zone. The error is a sentence for whoever wrote them.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, String> {
        let (text, fields) = Fields::parse(expression)?;
        let known = zone.len() <= 64 && !zone.is_empty();
        let zone = known
            .then(|| TimeZone::get(zone).ok())
            .flatten()
            .ok_or_else(|| format!("There is no time zone {:?}.", zone.chars().take(64).collect::<String>()))?;
        Ok(Self { text, fields, zone })
    }

    /// For the house's own schedules, in UTC.
    pub(crate) fn utc(expression: &'static str) -> Self {
        let (text, fields) = Fields::parse(expression).expect("the house's own expressions are right");
        Self { text, fields, zone: TimeZone::UTC }
    }

    /// The expression with macros spelt out and single spaces.
    pub fn expression(&self) -> &str {
        &self.text
    }

    /// The first time after this one; `None` when there is none within some forty years (30 February).
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let after = Instant::from_millisecond(time.0).ok()?;
        let next = if self.fields.by_elapsed_time() { self.next_moment(after) } else { self.next_wall_time(after) };
        Some(Timestamp(next?.as_millisecond()))
    }

    /// All times after this one, in order.
    pub fn after(&self, time: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(time), |time| self.next_after(*time))
    }

    /// What is to be made up for at `now`, in order, when all until `since` has been seen to: none of the times between
    /// the two (`now` included), the last, or the last so many.
    pub fn missed(&self, since: Timestamp, now: Timestamp, policy: Missed) -> Vec<Timestamp> {
        let most = match policy {
            Missed::Skip => 0,
            Missed::Once => 1,
            Missed::All(most) => usize::from(most),
        };
        let mut last = VecDeque::with_capacity(most);
        if most == 0 {
            return last.into();
        }
        // From a point so late that nobody has to walk through years of minutes.
        let mut span = 3_600_000;
        let from = loop {
            let from = Timestamp(now.0.saturating_sub(span)).max(since);
            if from == since || self.after(from).take(most).filter(|time| *time <= now).count() == most {
                break from;
            }
            span = span.saturating_mul(4);
        };
        for time in self.after(from).take_while(|time| *time <= now) {
            if last.len() == most {
                last.pop_front();
            }
            last.push_back(time);
        }
        last.into()
    }

    /// The next moment at which the clock shows what fits.
    fn next_moment(&self, after: Instant) -> Option<Instant> {
        let mut from = after.checked_add(SignedDuration::from_millis(1)).ok()?;
        for _ in 0..MAX_STEPS {
            // As long as the offset stays the same, the clock runs as time does.
            let offset = self.zone.to_offset(from);
            let wall = self.wall_from(offset.to_datetime(from))?;
            let moment = offset.to_timestamp(wall).ok()?;
            match self.zone.following(from).next() {
                Some(change) if change.timestamp() <= moment => from = change.timestamp(),
                _ => return Some(moment),
            }
        }
        None
    }

    /// The next first moment at which the clock shows a time that fits, or a later one.
    fn next_wall_time(&self, after: Instant) -> Option<Instant> {
        // What the clock shows or has shown is over. What it does not show yet may be, too, in a repeated hour.
        let mut wall = self.zone.to_datetime(after);
        for _ in 0..MAX_STEPS {
            wall = self.wall_from(wall.checked_add(1.nanosecond()).ok()?)?;
            let moment = first_moment(&self.zone, wall)?;
            if moment > after {
                return Some(moment);
            }
        }
        None
    }

    /// The first wall time that fits, not before `from`.
    fn wall_from(&self, from: DateTime) -> Option<DateTime> {
        let is_whole = from.second() == 0 && from.subsec_nanosecond() == 0;
        let from = if is_whole { from } else { from.checked_add(1.minute()).ok()? };
        let (mut date, time) = (from.date(), from.time());
        if self.fits(date)
            && let Some(time) = self.time_from(time)
        {
            return Some(date.to_datetime(time));
        }
        let midnight = self.time_from(Time::midnight())?;
        let last_year = date.year().saturating_add(YEARS_AHEAD);
        date = date.tomorrow().ok()?;
        while date.year() <= last_year {
            if !has(self.fields.months, date.month()) {
                date = date.first_of_month().checked_add(1.month()).ok()?;
            } else if self.fits(date) {
                return Some(date.to_datetime(midnight));
            } else {
                date = date.tomorrow().ok()?;
            }
        }
        None
    }

    fn fits(&self, date: Date) -> bool {
        let fields = &self.fields;
        let weekday = date.weekday().to_sunday_zero_offset();
        let (day, days) = (date.day(), date.days_in_month());
        let nth = fields.nth_weekdays[weekday.unsigned_abs() as usize % 7];
        has(fields.months, date.month())
            && (has(fields.days, day) || (fields.last_day && day == days))
            && (has(fields.weekdays, weekday) || nth >> ((day + 6) / 7) & 1 == 1 || (nth & 1 == 1 && day + 7 > days))
    }

    /// The first time of a day, not before `from`.
    fn time_from(&self, from: Time) -> Option<Time> {
        let (hour, minute) = (from.hour(), from.minute());
        let at = |hour: i8, minute: i8| Time::new(hour, minute, 0, 0).ok();
        if has(self.fields.hours, hour)
            && let Some(minute) = first(self.fields.minutes, minute)
        {
            return at(hour, minute);
        }
        at(first(self.fields.hours, hour + 1)?, first(self.fields.minutes, 0)?)
    }
}

/// The expression and its zone.
impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.zone.iana_name().unwrap_or("UTC"))
    }
}

/// The first moment at which the zone's clock shows this time or a later one.
fn first_moment(zone: &TimeZone, wall: DateTime) -> Option<Instant> {
    let (before, skipped) = match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => (offset, false),
        AmbiguousOffset::Fold { before, .. } => (before, false),
        AmbiguousOffset::Gap { before, .. } => (before, true),
    };
    let moment = before.to_timestamp(wall).ok()?;
    if !skipped {
        return Some(moment);
    }
    // By the old offset the time is at or after the jump.
    let later = moment.checked_add(SignedDuration::from_secs(1)).ok()?;
    Some(zone.preceding(later).next()?.timestamp())
}

fn has(set: field::Set, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| value < 64 && set >> value & 1 == 1)
}

/// The least value that is not less than `from`.
fn first(set: field::Set, from: i8) -> Option<i8> {
    let rest = set & field::Set::MAX.checked_shl(u32::try_from(from).ok()?)?;
    (rest != 0).then(|| i8::try_from(rest.trailing_zeros()).ok()).flatten()
}
