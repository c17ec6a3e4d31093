//! Tables, and a whole year in zones that do what zones do.

use jiff::{
    civil::{DateTime, date},
    tz::{Offset, TimeZone},
};
use serde_json::json;

use super::*;

/// Half an hour of daylight saving; 45 minutes; both sides of the date line; a fast in the middle of summer time; clocks
/// that jump at midnight; none at all.
pub(super) const ZONES: [&str; 12] = [
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/St_Johns",
    "Africa/Casablanca",
    "Africa/Cairo",
    "America/Santiago",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Sydney",
    "Asia/Tehran",
    "Asia/Tokyo",
];

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

#[test]
fn whens_are_read_or_refused_by_member() {
    let local = |hour, day: Option<Date>, zone: Option<&str>| When::Local {
        time: Time::constant(hour, 0, 0, 0),
        date: day,
        zone: zone.map(Into::into),
    };
    for (json, when) in [
        (json!(null), When::Now),
        (json!({}), When::Now),
        (json!({"at": "2026-12-01T09:00:00Z"}), When::At(at("2026-12-01T09:00:00Z"))),
        (json!({"at": "2026-12-01T09:00:00.5+01:00"}), When::At(at("2026-12-01T08:00:00.5Z"))),
        (json!({"at": "2026-12-01 09:00:00.000Z"}), When::At(at("2026-12-01T09:00:00Z"))),
        (json!({"at": "2001-01-01T00:00:00Z"}), When::At(at("2001-01-01T00:00:00Z"))),
        (json!({"after": "2h"}), When::After(Duration::from_secs(7200))),
        (json!({"local": "09:00"}), local(9, None, None)),
        (json!({"local": "09:00", "date": null, "zone": ""}), local(9, None, None)),
        (
            json!({"local": "23:00", "date": "2028-02-29", "zone": "Asia/Tokyo"}),
            local(23, Some(date(2028, 2, 29)), Some("Asia/Tokyo")),
        ),
    ] {
        assert_eq!(When::parse(&json).ok(), Some(when), "{json}");
    }
    for (json, members) in [
        (json!([]), ""),
        (json!("tomorrow"), ""),
        (json!({"at": "2026-12-01T09:00:00Z", "after": "2h"}), ""),
        (json!({"zone": "Asia/Tokyo"}), ""),
        (json!({"at": "2026-12-01T09:00:00"}), "at"),
        (json!({"at": "2026-02-30T09:00:00Z"}), "at"),
        (json!({"at": "1969-12-31T23:59:59Z"}), "at"),
        (json!({"at": null}), "at"),
        (json!({"at": 1_795_309_200}), "at"),
        (json!({"at": "9".repeat(100_000)}), "at"),
        (json!({"after": "2 hours"}), "after"),
        (json!({"after": "2h", "date": "2026-12-01", "x": 1}), "date x"),
        (json!({"local": "9:00"}), "local"),
        (json!({"local": "24:00", "date": "2026-13-01", "zone": "Mars/Olympus"}), "date local zone"),
        (json!({"local": "09:00", "date": "2026-02-30"}), "date"),
        (json!({"local": "09:00", "zone": 7}), "zone"),
        (json!({"local": "۰۹:۰۰"}), "local"),
    ] {
        let named: Vec<String> = match When::parse(&json).unwrap_err() {
            Issue::Leaf(_) => vec![],
            Issue::Group(group) => group.leaves().into_iter().map(|(name, _)| name).collect(),
        };
        assert_eq!(named.join(" "), members, "{json}");
    }
}

#[test]
fn whens_resolve_in_the_recipients_zone() {
    let now = at("2026-11-22T10:00:00Z");
    for (json, zone, due, wall) in [
        (json!(null), "Asia/Tokyo", "2026-11-22T10:00:00Z", None),
        (json!({"at": "2020-01-01T00:00:00Z"}), "Asia/Tokyo", "2020-01-01T00:00:00Z", None),
        (json!({"after": "2h"}), "", "2026-11-22T12:00:00Z", None),
        // 19:00 there: 09:00 is over for today.
        (json!({"local": "09:00"}), "Asia/Tokyo", "2026-11-23T00:00:00Z", Some("2026-11-23T09:00")),
        (json!({"local": "19:00"}), "Asia/Tokyo", "2026-11-22T10:00:00Z", Some("2026-11-22T19:00")),
        (json!({"local": "09:00"}), "America/New_York", "2026-11-22T14:00:00Z", Some("2026-11-22T09:00")),
        (json!({"local": "09:00"}), "Mars/Olympus", "2026-11-23T09:00:00Z", Some("2026-11-23T09:00")),
        (
            json!({"local": "09:00", "date": "2026-12-01"}),
            "Asia/Kathmandu",
            "2026-12-01T03:15:00Z",
            Some("2026-12-01T09:00"),
        ),
        (
            json!({"local": "09:00", "date": "2026-01-01"}),
            "Asia/Tokyo",
            "2026-01-01T00:00:00Z",
            Some("2026-01-01T09:00"),
        ),
        // Skipped there, and shown twice.
        (
            json!({"local": "02:30", "date": "2027-03-28"}),
            "Europe/Berlin",
            "2027-03-28T01:00:00Z",
            Some("2027-03-28T02:30"),
        ),
        (
            json!({"local": "02:30", "date": "2026-10-25"}),
            "Europe/Berlin",
            "2026-10-25T00:30:00Z",
            Some("2026-10-25T02:30"),
        ),
    ] {
        let due = Due { at: at(due), wall: wall.map(Into::into) };
        assert_eq!(When::parse(&json).unwrap().resolve(now, zone), due, "{json} in {zone}");
        if let Some(wall) = &due.wall {
            let known = zone::find(zone).is_ok();
            assert_eq!(wall_to_instant(wall, zone), known.then_some(due.at), "{wall} in {zone}");
        }
    }
    let fallback = When::parse(&json!({"local": "09:00", "zone": "Asia/Tokyo"})).unwrap();
    assert_eq!(fallback.zone("Europe/Berlin", "UTC"), "Europe/Berlin");
    assert_eq!(fallback.zone("Mars/Olympus", "UTC"), "Asia/Tokyo");
    assert_eq!(When::Now.zone("", "America/New_York"), "America/New_York");
    assert_eq!(When::Now.zone("", ""), "UTC");
}

#[test]
fn wall_times_are_read_strictly() {
    for (wall, zone, instant) in [
        ("2026-11-23T09:00", "UTC", Some("2026-11-23T09:00:00Z")),
        // The clocks jump by half an hour, at 02:00.
        ("2026-10-04T02:15", "Australia/Lord_Howe", Some("2026-10-03T15:30:00Z")),
        ("2026-04-05T01:45", "Australia/Lord_Howe", Some("2026-04-04T14:45:00Z")),
        // They jump over midnight.
        ("2026-04-24T00:30", "Africa/Cairo", Some("2026-04-23T22:00:00Z")),
        ("2026-09-06T00:00", "America/Santiago", Some("2026-09-06T04:00:00Z")),
        // A whole day that never was.
        ("2011-12-30T09:00", "Pacific/Apia", Some("2011-12-30T10:00:00Z")),
        ("9999-12-31T23:59", "America/New_York", Some("+010000-01-01T04:59:00Z")),
        ("2026-11-23 09:00", "UTC", None),
        ("2026-11-23T09:00:00", "UTC", None),
        ("2026-11-23T09:0", "UTC", None),
        ("", "UTC", None),
        ("2026-11-23T09:00", "Mars/Olympus", None),
    ] {
        let expected = instant.map(|text| match text.strip_prefix("+010000-01-01T04:59") {
            Some(_) => Timestamp(253_402_300_800_000 + (4 * 60 + 59) * 60_000),
            None => at(text),
        });
        assert_eq!(wall_to_instant(wall, zone), expected, "{wall} in {zone}");
    }
}

/// Each fifth minute of 2026 with what the clocks of a zone show, worked out from the offsets alone. No clock jumps between
/// two of them.
fn minutes(zone: &TimeZone) -> Vec<(Timestamp, Offset, DateTime)> {
    let first = at("2025-12-31T00:00:00Z").0 / 60_000;
    let minutes = (first..first + 367 * 1440).step_by(5);
    let shown = minutes.map(|minute| {
        let instant = jiff::Timestamp::from_millisecond(minute * 60_000).unwrap();
        let offset = zone.to_offset(instant);
        (Timestamp(minute * 60_000), offset, offset.to_datetime(instant))
    });
    shown.collect()
}

#[test]
fn every_wall_time_of_a_year_happens_once_in_order() {
    for name in ZONES {
        let zone = zone::find(name).unwrap();
        let minutes = minutes(&zone);
        for (time, told) in [(Time::constant(2, 30, 0, 0), "02:30"), (Time::constant(9, 0, 0, 0), "09:00")] {
            // What a person would see who watches the clock all year: the first minute of each date that shows the time or a
            // later one.
            let mut seen: Vec<(Date, Timestamp)> = Vec::new();
            for &(minute, _, shown) in &minutes {
                if shown.year() == 2026
                    && shown.time() >= time
                    && seen.last().is_none_or(|(date, _)| *date < shown.date())
                {
                    seen.push((shown.date(), minute));
                }
            }
            assert_eq!(seen.len(), 365, "{name} {told}");
            // Asked by date.
            for (date, expected) in &seen {
                let wall = format!("{date}T{told}");
                assert_eq!(wall_to_instant(&wall, name), Some(*expected), "{wall} in {name}");
            }
            // Asked again and again for the next one, as who sends daily does.
            let when = When::Local { time, date: None, zone: None };
            let mut now = Timestamp(seen[0].1.0 - 3_600_000);
            for (date, expected) in &seen {
                let due = when.resolve(now, name);
                assert_eq!(due.at, *expected, "{date} {told} in {name}");
                assert_eq!(due.wall, Some(format!("{date}T{told}")));
                assert!(due.at >= now);
                assert_eq!(when.resolve(due.at, name), due, "that very moment is the next one");
                now = Timestamp(due.at.0 + 1);
            }
        }
    }
}

#[test]
fn quiet_hours_cover_what_the_clocks_show() {
    for name in ZONES {
        let minutes = minutes(&zone::find(name).unwrap());
        for (from, to) in
            [("22:00", "07:00"), ("02:10", "02:40"), ("00:30", "23:30"), ("23:30", "00:30"), ("13:00", "14:00")]
        {
            let (begin, end) = (wall::parse_time(from).unwrap(), wall::parse_time(to).unwrap());
            let mut last: Option<Timestamp> = None;
            let mut quiet_minutes = 0;
            // Every 65 minutes, but every five after the clocks have changed.
            let (mut previous, mut dense) = (None, 0);
            for &(minute, offset, shown) in &minutes {
                if previous.replace(offset).is_some_and(|before| before != offset) {
                    dense = 40;
                }
                dense = (dense - 1).max(0);
                if dense == 0 && minute.0 / 300_000 % 13 != 0 {
                    continue;
                }
                let time = shown.time();
                let within = if begin < end { begin <= time && time < end } else { time >= begin || time < end };
                let held = quiet::hold(minute, name, from, to);
                quiet_minutes += i32::from(held.is_some());
                match held {
                    None => assert!(!within, "{shown} in {name} is between {from} and {to}"),
                    Some(until) => {
                        assert!(until > minute);
                        assert_eq!(quiet::hold(until, name, from, to), None, "the end is not quiet");
                        // While it lasts, everybody is told the same end.
                        assert!(last.is_none_or(|last| last <= minute || last == until), "{shown} in {name}");
                        last = Some(until);
                    }
                }
            }
            assert!(quiet_minutes > 100, "{name} {from} {to}");
        }
    }
}

#[test]
fn quiet_hours_end_when_the_clocks_say_so() {
    for (now, zone, from, to, end) in [
        ("2026-11-22T22:30:00Z", "UTC", "22:00", "07:00", Some("2026-11-23T07:00:00Z")),
        ("2026-11-22T06:59:59Z", "UTC", "22:00", "07:00", Some("2026-11-22T07:00:00Z")),
        ("2026-11-22T07:00:00Z", "UTC", "22:00", "07:00", None),
        ("2026-11-22T21:59:59Z", "UTC", "22:00", "07:00", None),
        ("2026-11-22T12:30:00Z", "UTC", "12:00", "13:00", Some("2026-11-22T13:00:00Z")),
        ("2026-11-22T12:30:00Z", "UTC", "12:00", "12:00", None),
        ("2026-11-22T12:30:00Z", "UTC", "", "", None),
        ("2026-11-22T12:30:00Z", "UTC", "noon", "13:00", None),
        ("2026-11-22T12:30:00Z", "Mars/Olympus", "12:00", "13:00", Some("2026-11-22T13:00:00Z")),
        ("2026-11-22T12:30:00Z", "Asia/Tokyo", "21:00", "22:00", Some("2026-11-22T13:00:00Z")),
        // The night in which clocks go forward is an hour shorter, and its quiet end may be skipped.
        ("2026-03-28T21:30:00Z", "Europe/Berlin", "22:00", "07:00", Some("2026-03-29T05:00:00Z")),
        ("2026-03-28T23:30:00Z", "Europe/Berlin", "22:00", "02:30", Some("2026-03-29T01:00:00Z")),
        // The night in which they go back is longer, and 02:30 comes twice.
        ("2026-10-24T21:30:00Z", "Europe/Berlin", "22:00", "07:00", Some("2026-10-25T06:00:00Z")),
        ("2026-10-24T21:30:00Z", "Europe/Berlin", "22:00", "02:30", Some("2026-10-25T01:30:00Z")),
        ("2026-10-25T01:15:00Z", "Europe/Berlin", "22:00", "02:30", Some("2026-10-25T01:30:00Z")),
        // All of it is skipped.
        ("2026-03-29T01:00:00Z", "Europe/Berlin", "02:10", "02:40", None),
    ] {
        assert_eq!(quiet::hold(at(now), zone, from, to), end.map(at), "{now} {zone} {from} {to}");
    }
}
