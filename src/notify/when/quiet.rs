//! Quiet hours: the part of each day in which somebody wants to be left alone.

use jiff::Span;

use super::{wall, zone};
use crate::clock::Timestamp;

/// The end of the quiet time that `now` lies in, if it does. `from` and `to` are `HH:MM` in `zone` (UTC if there is none
/// such); a later `from` spans midnight; equal ones, and what is no time, are no quiet time.
///
/// A quiet time begins the first time that the clocks show `from` and ends the last time that they show `to`: whatever the
/// clocks do in that night, nobody is disturbed while they show a time between the two.
pub fn hold(now: Timestamp, zone: &str, from: &str, to: &str) -> Option<Timestamp> {
    let (from, to) = (wall::parse_time(from).ok()?, wall::parse_time(to).ok()?);
    if from == to {
        return None;
    }
    let zone = zone::find_or_utc(zone);
    let today = wall::shown(&zone, now).date();
    let days = Span::new().days(i64::from(to < from));
    // One that began yesterday may last until today; where clocks went back over midnight, one of tomorrow has begun.
    [today.yesterday().ok(), Some(today), today.tomorrow().ok()].into_iter().flatten().find_map(|date| {
        let begin = wall::instant(&zone, date.to_datetime(from));
        let end = wall::last_instant(&zone, date.checked_add(days).ok()?.to_datetime(to));
        (begin <= now && now < end).then_some(end)
    })
}
