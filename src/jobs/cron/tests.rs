//! When things are due: a table of known days, and every change of the clocks of a year against a walk minute by minute.

use std::collections::BTreeSet;

use super::*;

fn at(text: &str) -> Timestamp {
    let instant: Instant = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    Timestamp(instant.as_millisecond())
}

/// The next times, as the zone's clock shows them with its offset.
fn due(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let cron = Cron::parse(expression, zone).unwrap_or_else(|error| panic!("{expression} {zone}: {error}"));
    cron.after(at(after))
        .take(count)
        .map(|time| {
            let shown = Instant::from_millisecond(time.0).unwrap().to_zoned(cron.zone.clone());
            shown.strftime("%Y-%m-%dT%H:%M%:z").to_string()
        })
        .collect()
}

#[test]
fn known_days() {
    for (expression, zone, after, expected) in [
        ("0 9 * * 1", "Europe/Berlin", "2026-11-22T10:00:00Z", "2026-11-23T09:00+01:00 2026-11-30T09:00+01:00"),
        ("*/30 * * * *", "UTC", "2026-12-31T23:29:59.999Z", "2026-12-31T23:30+00:00 2027-01-01T00:00+00:00"),
        ("0 0 * * *", "UTC", "2026-11-22T00:00:00Z", "2026-11-23T00:00+00:00 2026-11-24T00:00+00:00"),
        ("0 0 * * *", "UTC", "2026-11-21T23:59:59.999Z", "2026-11-22T00:00+00:00"),
        // Day and weekday both have to fit.
        ("0 9 13 * FRI", "UTC", "2026-01-01T00:00:00Z", "2026-02-13T09:00+00:00 2026-03-13T09:00+00:00"),
        ("0 9 * * MON#1", "UTC", "2026-11-22T00:00:00Z", "2026-12-07T09:00+00:00 2027-01-04T09:00+00:00"),
        ("0 9 * * 5L", "UTC", "2026-11-22T00:00:00Z", "2026-11-27T09:00+00:00 2026-12-25T09:00+00:00"),
        ("0 0 L * *", "UTC", "2028-02-01T00:00:00Z", "2028-02-29T00:00+00:00 2028-03-31T00:00+00:00"),
        ("@yearly", "Asia/Tokyo", "2026-11-22T00:00:00Z", "2027-01-01T00:00+09:00 2028-01-01T00:00+09:00"),
        // A leap day, across 2100, which has none.
        ("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00+00:00"),
        ("0 0 29 2 SUN", "UTC", "2088-03-01T00:00:00Z", "2128-02-29T00:00+00:00"),
        // Berlin jumps over 02:00-03:00 on 29 March …
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-29T03:00+02:00 2026-03-30T02:30+02:00"),
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-29T03:00+02:00 2026-03-30T02:00+02:00"),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-28T03:00:00Z", "2026-03-29T03:00+02:00 2026-03-30T02:00+02:00"),
        ("0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T03:00+02:00 2026-03-29T04:00+02:00"),
        ("* 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-30T02:00+02:00"),
        // … and shows it twice on 25 October.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:30+02:00 2026-10-26T02:30+01:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-26T02:30+01:00"),
        ("0 3 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T03:00+01:00"),
        (
            "30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00:00Z",
            "2026-10-25T02:30+02:00 2026-10-25T02:30+01:00 2026-10-25T03:30+01:00",
        ),
        // Half an hour only.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-04T02:30+11:00 2026-10-05T02:15+11:00"),
        // At midnight, and a jump of two hours.
        ("0 0 * * *", "Asia/Beirut", "2026-03-28T12:00:00Z", "2026-03-29T01:00+03:00 2026-03-30T00:00+03:00"),
        ("30 1 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z", "2026-03-29T03:00+02:00 2026-03-30T01:30+02:00"),
        // Samoa had no 30 December 2011.
        ("0 9 * * *", "Pacific/Apia", "2011-12-29T20:00:00Z", "2011-12-31T00:00+14:00 2011-12-31T09:00+14:00"),
        // Offsets once had seconds.
        ("0 0 * * *", "Africa/Monrovia", "1960-01-01T12:00:00Z", "1960-01-02T00:00-00:44:30"),
    ] {
        let expected: Vec<_> = expected.split(' ').collect();
        assert_eq!(due(expression, zone, after, expected.len()), expected, "{expression} {zone} after {after}");
    }
}

#[test]
fn what_never_comes_is_found_out_quickly() {
    let begun = std::time::Instant::now();
    for expression in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * 31 2 *", "0 0 1-4 2 MON#5", "*/7 * 30 FEB SUNL"] {
        for zone in ["UTC", "America/New_York"] {
            let cron = Cron::parse(expression, zone).unwrap();
            assert_eq!(cron.next_after(at("2026-11-22T00:00:00Z")), None, "{expression}");
        }
    }
    assert!(begun.elapsed().as_millis() < 500, "{:?}", begun.elapsed());
    let cron = Cron::parse("* * * * *", "Pacific/Auckland").unwrap();
    for extreme in [i64::MIN, i64::MAX, -400_000_000_000_000, 253_402_300_799_999] {
        assert_eq!(cron.next_after(Timestamp(extreme)), None);
    }
}

#[test]
fn expressions_and_zones_are_told_back() {
    let cron = Cron::parse(" @daily ", "europe/berlin").unwrap();
    assert_eq!((cron.expression(), &*cron.to_string()), ("0 0 * * *", "0 0 * * * (Europe/Berlin)"));
    for zone in ["", "Mars/Olympus", "../etc/passwd", "Europe", "+01:00", &"x".repeat(9999)] {
        let why = Cron::parse("@daily", zone).unwrap_err();
        assert!(why.len() < 120, "{zone}: {why}");
    }
}

#[test]
fn what_was_missed_is_skipped_or_made_up_for() {
    let (since, now) = ("2026-11-20T10:00:00Z", "2026-11-22T10:00:00Z");
    let years = "1996-11-22T10:00:00Z";
    for (expression, since, policy, expected) in [
        ("0 9 * * *", since, Missed::Skip, vec![]),
        ("0 9 * * *", since, Missed::Once, vec!["2026-11-22T09:00:00Z"]),
        ("0 9 * * *", since, Missed::All(9), vec!["2026-11-21T09:00:00Z", "2026-11-22T09:00:00Z"]),
        ("0 9 * * *", since, Missed::All(1), vec!["2026-11-22T09:00:00Z"]),
        ("0 9 * * *", since, Missed::All(0), vec![]),
        // From now on nothing is missed; what has been seen to is not.
        ("0 10 * * *", since, Missed::All(9), vec!["2026-11-21T10:00:00Z", "2026-11-22T10:00:00Z"]),
        ("0 9 * * *", "2026-11-22T09:00:00Z", Missed::All(9), vec![]),
        ("0 9 * * *", "2030-01-01T00:00:00Z", Missed::Once, vec![]),
        // However long it was, and however often.
        ("* * * * *", years, Missed::All(2), vec!["2026-11-22T09:59:00Z", "2026-11-22T10:00:00Z"]),
        ("0 0 1 1 *", years, Missed::All(2), vec!["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]),
        ("0 0 30 2 *", years, Missed::Once, vec![]),
    ] {
        let cron = Cron::parse(expression, "UTC").unwrap();
        let missed = cron.missed(at(since), at(now), policy);
        let expected: Vec<_> = expected.into_iter().map(at).collect();
        assert_eq!(missed, expected, "{expression} since {since} {policy:?}");
    }
    let cron = Cron::parse("* * * * *", "UTC").unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(cron.missed(at(years), at(now), Missed::All(1000)).len(), 1000);
    assert!(begun.elapsed().as_millis() < 500, "{:?}", begun.elapsed());
}

const ZONES: [&str; 12] = [
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "Asia/Beirut",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Antarctica/Troll",
];

/// Walks through two days around each change of the clocks in 2026, minute by minute, and compares.
#[test]
fn around_every_change_of_a_year_each_time_is_due_as_said() {
    const MINUTE: i64 = 60_000;
    let expressions = [
        "30 2 * * *",
        "0 9 * * *",
        "0 0 * * *",
        "*/15 1-3 * * *",
        "0 */2 * * *",
        "15 0,1,2,3 * * SUN",
        "*/20 * * * *",
        "45 * * * *",
        "* * * * *",
        "* 2 * * *",
    ];
    let year = at("2026-01-01T00:00:00Z").0..at("2027-01-01T00:00:00Z").0;
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        let changes: Vec<i64> = zone
            .following(Instant::from_millisecond(year.start).unwrap())
            .map(|change| change.timestamp().as_millisecond())
            .take_while(|change| year.contains(change))
            .collect();
        assert!(changes.len() >= 2, "{name}");
        for change in changes {
            let (from, to) = (change - 2880 * MINUTE, change + 2880 * MINUTE);
            let walk: Vec<(i64, DateTime)> = (from..=to)
                .step_by(MINUTE as usize)
                .map(|now| (now, zone.to_datetime(Instant::from_millisecond(now).unwrap())))
                .collect();
            for expression in expressions {
                let cron = Cron::parse(expression, name).unwrap();
                let fits = |wall: DateTime| cron.wall_from(wall) == Some(wall);
                let expected: BTreeSet<i64> = if cron.fields.by_elapsed_time() {
                    walk.iter().filter(|(_, wall)| fits(*wall)).map(|(now, _)| *now).collect()
                } else {
                    // Each time that the calendar knows: when the clock first showed it, or more.
                    let mut wall = walk[0].1;
                    let mut found = BTreeSet::new();
                    while wall <= walk[walk.len() - 1].1 {
                        if fits(wall) {
                            found.extend(walk.iter().find(|(_, shown)| *shown >= wall).map(|(now, _)| *now));
                        }
                        wall = wall.checked_add(1.minute()).unwrap();
                    }
                    found
                };
                let due: BTreeSet<i64> =
                    cron.after(Timestamp(from - 1)).map(|time| time.0).take_while(|time| *time <= to).collect();
                assert_eq!(due, expected, "{expression} {name}");
                // From any moment, not only from one due time to the next.
                for (now, _) in walk.iter().step_by(37) {
                    let next = expected.range(now + 1..).next().copied();
                    assert!(next.is_none() || cron.next_after(Timestamp(*now)).map(|time| time.0) == next, "{now}");
                }
            }
        }
    }
}

/// What the issue promises, for a whole year.
#[test]
fn half_past_two_and_nine_o_clock_come_once_a_day_all_year() {
    for name in ZONES {
        for (expression, hours) in [("30 2 * * *", 2..4), ("0 9 * * *", 9..10)] {
            let days = due(expression, name, "2025-12-31T23:59:59Z", 366);
            let dates: BTreeSet<_> = days.iter().map(|day| &day[..10]).collect();
            assert_eq!(dates.len(), 366, "{expression} {name}");
            assert!(days.iter().all(|day| hours.contains(&day[11..13].parse().unwrap())), "{name}");
        }
    }
}
