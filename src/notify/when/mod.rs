//! Time: durations, zones, wall times, quiet hours; schedules, and what changes of records set off.
//!
//! What is said of time is pure: no room, no clock, no I/O. Main types: [`When`], and `Engine` for schedules.
//!
//! | file | idea |
//! | --- | --- |
//! | `span` | durations: `"10m"` |
//! | `zone` | time zones by their IANA names |
//! | `wall` | what a clock on the wall shows, and which moment that is |
//! | `quiet` | quiet hours |
//! | `definition` | a row of `_schedules`, read |
//! | `known` | all of them, as of one point of the log |
//! | `ear`, `follower` | the reader of the log: what it hears, what it decides |
//! | `subject`, `withdraw` | a notification about a record, made and called off |
//! | `recurring` | what recurs |
//! | `runs` | how often schedules that follow changes have run |
//! | `engine` | the two tasks |

mod definition;
mod ear;
mod engine;
mod follower;
mod known;
pub mod quiet;
mod recurring;
mod runs;
pub mod span;
mod subject;
pub mod wall;
mod withdraw;
pub mod zone;

use std::time::Duration;

use jiff::civil::{Date, Time};
use serde_json::Value as Json;

use crate::{
    clock::Timestamp,
    error::{Issue, Issues, Leaf},
    notify::Rooms,
};

pub(crate) use self::engine::Engine;
pub use self::wall::wall_to_instant;

/// When something is meant to go out, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum When {
    #[default]
    Now,
    /// At one moment, the same for all.
    At(Timestamp),
    /// So long after it was asked for.
    After(Duration),
    /// When the clock on the recipient's wall shows `time`.
    Local {
        time: Time,
        /// Without: the next time that it does.
        date: Option<Date>,
        /// Whose clock counts for a recipient who has told no zone.
        zone: Option<Box<str>>,
    },
}

/// When a delivery is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub at: Timestamp,
    /// The wall time behind it (`2026-11-23T09:00`), if it follows its recipient into another zone.
    pub wall: Option<String>,
}

impl When {
    /// Reads the `when` of a notification: null or nothing, `{"at": instant}`, `{"after": duration}` or
    /// `{"local": "HH:MM", "date"?: "YYYY-MM-DD", "zone"?: name}`. The issue names the member that is wrong.
    pub fn parse(json: &Json) -> Result<Self, Issue> {
        let members = match json {
            Json::Null => return Ok(Self::Now),
            Json::Object(members) if members.is_empty() => return Ok(Self::Now),
            Json::Object(members) => members,
            _ => return Err(invalid("Must be an object with \"at\", \"after\", \"local\" or \"cron\".").into()),
        };
        let mut issues = Issues::default();
        let local = members.contains_key("local");
        for name in members.keys().take(MEMBERS_TOLD) {
            if !matches!((name.as_str(), local), ("at" | "after" | "local", _) | ("date" | "zone", true)) {
                issues.insert(name, invalid("Unknown here."));
            }
        }
        if members.contains_key("cron") {
            // A send reads it before it comes to this.
            let message = "What recurs is a row of _schedules, or a send with nothing else in its when.";
            issues.insert("cron", invalid(message));
            return Err(issues.into());
        }
        let ways = ["at", "after", "local"].into_iter().filter(|&name| members.contains_key(name));
        let way = match ways.collect::<Vec<_>>()[..] {
            [way] => way,
            _ => return Err(invalid("Needs exactly one of \"at\", \"after\", \"local\" and \"cron\".").into()),
        };
        let text = |name: &str| match members.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) if text.is_empty() => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(invalid("Must be a text.")),
        };
        let mut issue = |name: &str, leaf: Leaf| issues.insert(name, leaf);
        let needed = |name: &str| text(name)?.ok_or_else(Leaf::required);
        let found = match way {
            "at" => needed("at").and_then(instant).map(Self::At),
            "after" => needed("after").and_then(span::parse).map(Self::After),
            _ => {
                let date = text("date").and_then(|date| date.map(wall::parse_date).transpose());
                let date = date.unwrap_or_else(|leaf| {
                    issue("date", leaf);
                    None
                });
                let zone = text("zone").and_then(|name| name.map(|name| zone::find(name).map(|_| name)).transpose());
                let zone = zone.unwrap_or_else(|leaf| {
                    issue("zone", leaf);
                    None
                });
                let time = needed("local").and_then(wall::parse_time);
                time.map(|time| Self::Local { time, date, zone: zone.map(Into::into) })
            }
        };
        match found {
            Err(leaf) => issue(way, leaf),
            Ok(when) if issues.is_empty() => return Ok(when),
            Ok(_) => {}
        }
        Err(issues.into())
    }

    /// In whose zone a recipient is told: their own (blank if they have none that is known), else the one that this names,
    /// else `default`.
    pub fn zone<'a>(&'a self, own: &'a str, default: &'a str) -> &'a str {
        let named = match self {
            Self::Local { zone: Some(zone), .. } => zone,
            _ => "",
        };
        [own, named, default].into_iter().find(|name| zone::find(name).is_ok()).unwrap_or("UTC")
    }

    /// When it is due for a recipient in `zone` (see [`When::zone`]; UTC if there is none such), asked for at `now`.
    ///
    /// A moment that is over is due at once: it is returned as it is. A wall time without a date is the next such moment,
    /// `now` included. One that the clocks skip is due when they have skipped it, one that they show twice the first time.
    pub fn resolve(&self, now: Timestamp, zone: &str) -> Due {
        let at = match self {
            Self::Now => now,
            Self::At(at) => *at,
            Self::After(span) => now.plus(*span),
            Self::Local { time, date, .. } => {
                let zone = zone::find_or_utc(zone);
                let (at, date) = match date {
                    Some(date) => (wall::instant(&zone, date.to_datetime(*time)), *date),
                    None => wall::next(&zone, *time, now),
                };
                return Due { at, wall: Some(wall::print(date.to_datetime(*time))) };
            }
        };
        Due { at, wall: None }
    }
}

/// Unknown members that are named in one answer.
const MEMBERS_TOLD: usize = 20;

/// An instant in RFC 3339, or as the wire prints datetimes. Needs `Z` or an offset: without, nobody knows which one it is.
pub fn instant(text: &str) -> Result<Timestamp, Leaf> {
    let parsed = (text.len() <= 64).then(|| text.parse::<jiff::Timestamp>().ok()).flatten();
    parsed
        .map(|instant| Timestamp(instant.as_millisecond()))
        .filter(|instant| (0..=LAST).contains(&instant.0))
        .ok_or_else(|| invalid("Must be a moment like 2026-12-01T09:00:00Z or 2026-12-01T09:00:00+01:00."))
}

/// The end of the year 9999, the last that the stored form can say.
const LAST: i64 = 253_402_300_799_999;

/// The zone of schedules that name none.
fn default_zone(rooms: &Rooms) -> String {
    rooms.settings.current().notify.default_zone.clone()
}

fn invalid(message: &'static str) -> Leaf {
    Leaf::new("validation_invalid_value", message)
}

#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod tests;
