//! What a clock on the wall shows, and which moment that is.
//!
//! Twice a year many clocks jump. A wall time that they skip stands for the moment at which they have skipped it, so that
//! nothing is left out; one that they show twice stands for the first time, so that nothing happens twice.

use jiff::{
    Timestamp as Instant,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use super::zone;
use crate::{clock::Timestamp, error::Leaf};

/// `2026-11-23T09:00` in `zone` as a moment; `None` if one of the two is none.
pub fn wall_to_instant(wall: &str, zone: &str) -> Option<Timestamp> {
    Some(instant(&zone::find(zone).ok()?, parse(wall)?))
}

/// The moment at which the clocks of `zone` show `wall`: the first of two, or when they have skipped it.
pub(super) fn instant(zone: &TimeZone, wall: DateTime) -> Timestamp {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => with(offset, wall),
        AmbiguousOffset::Fold { before, .. } => with(before, wall),
        AmbiguousOffset::Gap { before, .. } => {
            // Read with the offset from before, a skipped time lies just as far behind the jump.
            let behind = with(before, wall);
            let next = Instant::from_millisecond(behind.0 + 1).unwrap_or(Instant::MAX);
            let jump = zone.preceding(next).next();
            jump.map_or(behind, |jump| Timestamp(jump.timestamp().as_millisecond()))
        }
    }
}

/// The same, but the second of two.
pub(super) fn last_instant(zone: &TimeZone, wall: DateTime) -> Timestamp {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Fold { after, .. } => with(after, wall),
        _ => instant(zone, wall),
    }
}

/// Years 1 to 9999 in any zone are far within what 64 bits of milliseconds say.
fn with(offset: Offset, wall: DateTime) -> Timestamp {
    let days = i64::from(wall.date().since(Date::constant(1970, 1, 1)).map_or(0, |span| span.get_days()));
    let time = wall.time();
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Timestamp((days * 86_400 + seconds - i64::from(offset.seconds())) * 1000)
}

/// What the clocks of `zone` show at `at`; the ends of time where it is beyond them.
pub(super) fn shown(zone: &TimeZone, at: Timestamp) -> DateTime {
    let limit = if at.0 < 0 { Instant::MIN } else { Instant::MAX };
    zone.to_datetime(Instant::from_millisecond(at.0).unwrap_or(limit))
}

/// The next moment, `now` included, that stands for `time` in `zone`, and the date there.
pub(super) fn next(zone: &TimeZone, time: Time, now: Timestamp) -> (Timestamp, Date) {
    let mut date = shown(zone, now).date();
    loop {
        let at = instant(zone, date.to_datetime(time));
        match date.tomorrow() {
            Ok(tomorrow) if at < now => date = tomorrow,
            _ => return (at, date),
        }
    }
}

/// `HH:MM`.
pub fn parse_time(text: &str) -> Result<Time, Leaf> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        Time::new(digits(hour, 2)?.try_into().ok()?, digits(minute, 2)?.try_into().ok()?, 0, 0).ok()
    };
    read().ok_or_else(|| Leaf::new("validation_invalid_value", "Must be a time of the day like 09:00."))
}

/// `YYYY-MM-DD`.
pub fn parse_date(text: &str) -> Result<Date, Leaf> {
    let read = || {
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let year = digits(year, 4).filter(|&year| year >= 1970)?;
        Date::new(year, digits(month, 2)?.try_into().ok()?, digits(day, 2)?.try_into().ok()?).ok()
    };
    read().ok_or_else(|| Leaf::new("validation_invalid_value", "Must be a date like 2026-12-01."))
}

fn digits(text: &str, count: usize) -> Option<i16> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn parse(wall: &str) -> Option<DateTime> {
    let (date, time) = wall.split_once('T')?;
    Some(parse_date(date).ok()?.to_datetime(parse_time(time).ok()?))
}

pub(super) fn print(wall: DateTime) -> String {
    let (year, month, day) = (wall.year(), wall.month(), wall.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}", wall.hour(), wall.minute())
}
