//! `@now` and its kin (`records-filter.md` §3): values of the request's time, in UTC.

use crate::{clock::Timestamp, db::Value};

const DAY: i64 = 86_400_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macro {
    Now,
    Yesterday,
    Tomorrow,
    TodayStart,
    TodayEnd,
    MonthStart,
    MonthEnd,
    YearStart,
    YearEnd,
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
    Weekday,
}

const NAMES: [(&str, Macro); 16] = [
    ("@now", Macro::Now),
    ("@yesterday", Macro::Yesterday),
    ("@tomorrow", Macro::Tomorrow),
    ("@todayStart", Macro::TodayStart),
    ("@todayEnd", Macro::TodayEnd),
    ("@monthStart", Macro::MonthStart),
    ("@monthEnd", Macro::MonthEnd),
    ("@yearStart", Macro::YearStart),
    ("@yearEnd", Macro::YearEnd),
    ("@second", Macro::Second),
    ("@minute", Macro::Minute),
    ("@hour", Macro::Hour),
    ("@day", Macro::Day),
    ("@month", Macro::Month),
    ("@year", Macro::Year),
    ("@weekday", Macro::Weekday),
];

impl Macro {
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(spelled, _)| *spelled == name).map(|(_, found)| *found)
    }

    /// Datetimes are texts in the storage format, parts of them integers.
    pub fn value(self, now: Timestamp) -> Value {
        // `2026-11-22 01:00:00.123Z`: its parts are at fixed places for the years 0 to 9999.
        let text = now.to_string();
        let part = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<i64>().ok());
        let prefix = |length: usize| text.get(..length).unwrap_or_default();
        let midnight = now.millis() - now.millis().rem_euclid(DAY);
        let integer = |range| Value::Integer(part(range).unwrap_or_default());
        match self {
            Macro::Now => Value::Text(text),
            Macro::Yesterday => instant(now.millis() - DAY),
            Macro::Tomorrow => instant(now.millis() + DAY),
            Macro::TodayStart => instant(midnight),
            Macro::TodayEnd => instant(midnight + DAY - 1),
            Macro::MonthStart => Value::Text(format!("{}-01 00:00:00.000Z", prefix(7))),
            Macro::MonthEnd => {
                let last = days_in_month(part(0..4).unwrap_or_default(), part(5..7).unwrap_or_default());
                Value::Text(format!("{}-{last} 23:59:59.999Z", prefix(7)))
            }
            Macro::YearStart => Value::Text(format!("{}-01-01 00:00:00.000Z", prefix(4))),
            Macro::YearEnd => Value::Text(format!("{}-12-31 23:59:59.999Z", prefix(4))),
            Macro::Second => integer(17..19),
            Macro::Minute => integer(14..16),
            Macro::Hour => integer(11..13),
            Macro::Day => integer(8..10),
            Macro::Month => integer(5..7),
            Macro::Year => integer(0..4),
            // 1970-01-01 was a Thursday.
            Macro::Weekday => Value::Integer((now.millis().div_euclid(DAY) + 4).rem_euclid(7)),
        }
    }
}

fn instant(millis: i64) -> Value {
    Value::Text(Timestamp(millis).to_string())
}

fn days_in_month(year: i64, month: i64) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_tell_the_time_of_the_request_in_utc() {
        // 2024-02-10 23:59:58.007Z, a Saturday.
        let now = Timestamp(1_707_609_598_007);
        for (name, expected) in [
            ("@now", "2024-02-10 23:59:58.007Z"),
            ("@yesterday", "2024-02-09 23:59:58.007Z"),
            ("@tomorrow", "2024-02-11 23:59:58.007Z"),
            ("@todayStart", "2024-02-10 00:00:00.000Z"),
            ("@todayEnd", "2024-02-10 23:59:59.999Z"),
            ("@monthStart", "2024-02-01 00:00:00.000Z"),
            ("@monthEnd", "2024-02-29 23:59:59.999Z"),
            ("@yearStart", "2024-01-01 00:00:00.000Z"),
            ("@yearEnd", "2024-12-31 23:59:59.999Z"),
        ] {
            let found = Macro::from_name(name).map(|found| found.value(now));
            assert_eq!(found, Some(Value::Text(expected.to_owned())), "{name}");
        }
        for (name, expected) in [
            ("@second", 58),
            ("@minute", 59),
            ("@hour", 23),
            ("@day", 10),
            ("@month", 2),
            ("@year", 2024),
            ("@weekday", 6),
        ] {
            assert_eq!(Macro::from_name(name).map(|found| found.value(now)), Some(Value::Integer(expected)), "{name}");
        }
        assert_eq!(Macro::from_name("@Now"), None);
        for (year, month, days) in [(2023, 2, 28), (1900, 2, 28), (2000, 2, 29), (2024, 12, 31), (2024, 11, 30)] {
            assert_eq!(days_in_month(year, month), days);
        }
    }
}
