//! What a recipient wants: their zone and language, their quiet hours, what they opted out of.

use std::sync::Arc;

use jiff::{civil::Time, tz::TimeZone};
use serde_json::Value as Json;

use crate::{
    db::Row,
    notify::{
        Channel,
        when::{wall, zone},
    },
};

/// Stands for every category, or for every channel, among the opt-outs.
pub const ANY: &str = "*";

/// A row of `_preferences` as it counts. Nothing stored makes this fail: a part that makes no sense counts as not given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// None: the zone of the notification, or else that of the settings.
    pub zone: Option<TimeZone>,
    /// Blank: whatever the template has. A notification that names its locale is sent in that.
    pub locale: Arc<str>,
    pub quiet: Option<QuietHours>,
    /// Answers by category and channel, either may be [`ANY`].
    answers: Vec<(Box<str>, Box<str>, bool)>,
}

/// When not to be disturbed, in the recipient's zone. `from` may be later than `to`: then it goes past midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    pub from: Time,
    pub to: Time,
    /// Unless the notification says something else.
    pub mode: QuietMode,
}

/// What happens to what is due in quiet hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuietMode {
    /// It goes out at their end.
    #[default]
    Defer,
    /// It does not go out.
    Skip,
}

impl QuietMode {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "" | "defer" => Some(Self::Defer),
            "skip" => Some(Self::Skip),
            _ => None,
        }
    }
}

/// The texts of a row of `_preferences`, as they are stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stored<'a> {
    pub zone: &'a str,
    pub locale: &'a str,
    pub quiet_from: &'a str,
    pub quiet_to: &'a str,
    pub quiet_mode: &'a str,
    /// JSON.
    pub channels: &'a str,
}

impl<'a> Stored<'a> {
    /// Of a row with all columns under their names.
    pub fn of(row: &'a Row) -> Self {
        let text = |column| row.text(column).unwrap_or_default();
        Self {
            zone: text("zone"),
            locale: text("locale"),
            quiet_from: text("quietFrom"),
            quiet_to: text("quietTo"),
            quiet_mode: text("quietMode"),
            channels: text("channels"),
        }
    }
}

impl Profile {
    pub fn of(row: &Row) -> Self {
        Self::parse(&Stored::of(row))
    }

    pub fn parse(stored: &Stored<'_>) -> Self {
        Self {
            zone: zone::find(stored.zone).ok(),
            locale: stored.locale.into(),
            quiet: quiet_hours(stored),
            answers: answers(stored.channels),
        }
    }

    /// Whether they take notifications of this category (blank: of none) through this channel. What was said of the
    /// category stands before what was said of all; within that, what was said of the channel before all channels.
    pub fn wants(&self, category: &str, channel: Channel) -> bool {
        let said = |of: &str, by: &str| {
            self.answers
                .iter()
                .find(|(category, channel, _)| **category == *of && **channel == *by)
                .map(|answer| answer.2)
        };
        let of_category = || said(category, channel.as_str()).or_else(|| said(category, ANY));
        let of_all = || said(ANY, channel.as_str()).or_else(|| said(ANY, ANY));
        self.answers.is_empty() || of_category().or_else(of_all).unwrap_or(true)
    }
}

/// None unless both ends make sense; a day has no quiet hours when they are the same.
fn quiet_hours(stored: &Stored<'_>) -> Option<QuietHours> {
    let (from, to) = (wall::parse_time(stored.quiet_from).ok()?, wall::parse_time(stored.quiet_to).ok()?);
    let mode = QuietMode::parse(stored.quiet_mode).unwrap_or_default();
    (from != to).then_some(QuietHours { from, to, mode })
}

fn answers(channels: &str) -> Vec<(Box<str>, Box<str>, bool)> {
    let Ok(Json::Object(categories)) = serde_json::from_str(channels) else { return Vec::new() };
    let mut answers = Vec::new();
    for (category, by_channel) in &categories {
        let by_channel = by_channel.as_object().into_iter().flatten();
        answers.extend(by_channel.filter_map(|(channel, wanted)| {
            Some((category.as_str().into(), channel.as_str().into(), wanted.as_bool()?))
        }));
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_channels(channels: &str) -> Profile {
        Profile::parse(&Stored { channels, ..Stored::default() })
    }

    #[test]
    fn the_narrower_answer_counts() {
        let profile = of_channels(
            r#"{"*": {"push": false, "email": true}, "orders": {"push": true, "email": false}, "news": {"*": false, "inbox": true}}"#,
        );
        for (category, channel, wanted) in [
            ("", Channel::Push, false),
            ("", Channel::Email, true),
            ("", Channel::Inbox, true),
            ("other", Channel::Push, false),
            ("orders", Channel::Push, true),
            ("orders", Channel::Email, false),
            ("orders", Channel::Inbox, true),
            ("news", Channel::Push, false),
            ("news", Channel::Email, false),
            ("news", Channel::Inbox, true),
        ] {
            assert_eq!(profile.wants(category, channel), wanted, "{category} {channel:?}");
        }
        let nothing = of_channels(r#"{"*": {"*": false}}"#);
        assert!(Channel::ALL.iter().all(|channel| !nothing.wants("orders", *channel)));
    }

    #[test]
    fn what_makes_no_sense_counts_as_not_given() {
        for channels in
            ["", "null", "[]", "{", "7", r#"{"*": false}"#, r#"{"*": {"push": "no"}}"#, r#"{"*": {"pigeon": false}}"#]
        {
            assert!(of_channels(channels).wants("orders", Channel::Push), "{channels}");
        }
        for (name, known) in [("", false), ("Mars/Olympus", false), ("Europe/Berlin", true), ("Asia/Kathmandu", true)] {
            assert_eq!(Profile::parse(&Stored { zone: name, ..Stored::default() }).zone.is_some(), known, "{name}");
        }
        let quiet = |quiet_from, quiet_to, quiet_mode| {
            Profile::parse(&Stored { quiet_from, quiet_to, quiet_mode, ..Stored::default() }).quiet
        };
        let at = |hour, minute| Time::new(hour, minute, 0, 0).unwrap();
        let night = QuietHours { from: at(22, 0), to: at(7, 30), mode: QuietMode::Defer };
        for (from, to, mode, expected) in [
            ("22:00", "07:30", "", Some(night)),
            ("22:00", "07:30", "defer", Some(night)),
            ("22:00", "07:30", "skip", Some(QuietHours { mode: QuietMode::Skip, ..night })),
            ("22:00", "07:30", "never", Some(night)),
            ("22:00", "", "", None),
            ("", "07:30", "", None),
            ("22:00", "22:00", "", None),
            ("24:00", "07:30", "", None),
            ("22:60", "07:30", "", None),
            ("22", "07:30", "", None),
            ("+2:00", "07:30", "", None),
            ("2:00", "07:30", "", None),
            ("22:00:00", "07:30", "", None),
        ] {
            assert_eq!(quiet(from, to, mode), expected, "{from} {to} {mode}");
        }
    }
}
