//! Datetimes: every notation that the wire accepts, and the one that is stored (`docs/wire/records.md` §1.3,
//! `records-collections.md` §4.3).

use crate::{clock::Timestamp, db::Value};

/// Accepted notations, first match wins. `Y` year, `y` its last two digits, `m` month, `b` its name, `d` day, `e` day
/// of one or two digits, `a`/`A` day of the week, `H` hour, `h` hour before `p` (AM/PM), `M` minute, `S` second with
/// an optional fraction, `o` ±hhmm, `O` ±hh:mm, `z`/`Z` the same or `Z`, `N` name of a time zone. A blank stands for
/// any number of blanks; the rest stands for itself.
const NOTATIONS: &[&str] = &[
    "Y-m-d H:M:SZ",
    "Y-m-dTH:M:SZ",
    "Y-m-d",
    "Y-m-dTH:M:S",
    "Y-m-d H:M:S",
    "Y-m-dTH:M:So",
    "Y-m-d H:M:Sz",
    "Y-m-d H:M:S o",
    "Y-m-d H:M:S O",
    "Y-m-d H:M:S o N",
    // RFC 1123, 822, 850
    "a, d b Y H:M:S o",
    "a, d b Y H:M:S N",
    "d b y H:M o",
    "d b y H:M N",
    "A, d-b-y H:M:S N",
    // ANSI C and its relatives
    "a b e H:M:S Y",
    "a b e H:M:S N Y",
    "a b d H:M:S o Y",
    "d b Y",
    "h:Mp",
    "b e H:M:S",
];

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// Midnight of 0001-01-01, which stands for "unset".
const UNSET: i64 = -62_135_596_800_000;
/// Midnight of 0000-01-01 and of 10000-01-01: what the stored form can say lies between.
const RANGE: std::ops::Range<i64> = -62_167_219_200_000..253_402_300_800_000;

/// A text in stored form: `YYYY-MM-DD HH:MM:SS.mmmZ` in UTC, or blank for what is no datetime.
pub fn normalise(text: &str) -> Value {
    Value::Text(if is_stored(text.as_bytes()) {
        text.to_owned()
    } else {
        parse(text).map(|moment| moment.to_string()).unwrap_or_default()
    })
}

/// The moment that `text` means; `None` for blank, "unset" and everything that is no datetime.
pub fn parse(text: &str) -> Option<Timestamp> {
    // The longest notation has fewer than 60 characters; a fraction may be longer, within reason.
    if text.is_empty() || text.len() > 100 {
        return None;
    }
    let moment = NOTATIONS.iter().find_map(|notation| Parts::read(notation, text.as_bytes()))?.moment()?;
    (RANGE.contains(&moment) && moment != UNSET).then_some(Timestamp(moment))
}

/// True for exactly the stored form of a real moment.
pub fn is_stored(bytes: &[u8]) -> bool {
    const SHAPE: &[u8; 24] = b"0000-00-00 00:00:00.000Z";
    if bytes.len() != SHAPE.len() {
        return false;
    }
    // All of them without an early end: a few vector instructions.
    let fits = |(byte, shape): (&u8, &u8)| (byte == shape) | ((*shape == b'0') & byte.is_ascii_digit());
    if !bytes.iter().zip(SHAPE).fold(true, |all, pair| all & fits(pair)) {
        return false;
    }
    let number =
        |from: usize, to: usize| bytes[from..to].iter().fold(0i64, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && number(11, 13) < 24
        && number(14, 16) < 60
        && number(17, 19) < 60
        && bytes != b"0001-01-01 00:00:00.000Z"
}

/// What a notation's parts have said so far.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    milli: i64,
    /// Seconds east of UTC.
    offset: i64,
    /// Hours that a zone's name adds.
    named: i64,
}

impl Parts {
    /// Reads all of `text` by `notation`.
    fn read(notation: &str, text: &[u8]) -> Option<Self> {
        let mut parts =
            Self { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0, milli: 0, offset: 0, named: 0 };
        let mut rest = text;
        for code in notation.bytes() {
            parts.read_one(code, &mut rest)?;
        }
        rest.is_empty().then_some(parts)
    }

    fn read_one(&mut self, code: u8, rest: &mut &[u8]) -> Option<()> {
        match code {
            b'Y' => self.year = digits(rest, 4, 4)?,
            b'y' => {
                let year = digits(rest, 2, 2)?;
                self.year = if year >= 69 { 1900 + year } else { 2000 + year };
            }
            b'm' => self.month = digits(rest, 2, 2).filter(|month| (1..=12).contains(month))?,
            b'b' => self.month = name(rest, MONTHS.iter().copied())? + 1,
            b'd' => self.day = digits(rest, 2, 2)?,
            b'e' => self.day = digits(rest, 1, 2)?,
            b'a' => drop(name(rest, DAYS.iter().map(|day| &day[..3]))?),
            b'A' => drop(name(rest, DAYS.iter().copied())?),
            b'H' => self.hour = digits(rest, 1, 2).filter(|&hour| hour < 24)?,
            b'h' => self.hour = digits(rest, 1, 2).filter(|&hour| hour <= 12)?,
            b'p' => self.meridiem(rest)?,
            b'M' => self.minute = digits(rest, 2, 2).filter(|&minute| minute < 60)?,
            b'S' => {
                self.second = digits(rest, 2, 2).filter(|&second| second < 60)?;
                self.milli = fraction(rest);
            }
            b'o' => self.offset = offset(rest, false)?,
            b'O' => self.offset = offset(rest, true)?,
            b'z' | b'Z' if rest.first() == Some(&b'Z') => *rest = &rest[1..],
            b'z' => self.offset = offset(rest, false)?,
            b'Z' => self.offset = offset(rest, true)?,
            b'N' => self.named = zone(rest)?,
            b' ' => {
                if rest.first().is_some_and(|&byte| byte != b' ') {
                    return None;
                }
                *rest = rest.trim_ascii_start();
            }
            literal => *rest = rest.strip_prefix(&[literal])?,
        }
        Some(())
    }

    fn meridiem(&mut self, rest: &mut &[u8]) -> Option<()> {
        let (word, tail) = rest.split_at_checked(2)?;
        *rest = tail;
        match word {
            b"PM" if self.hour < 12 => self.hour += 12,
            b"AM" if self.hour == 12 => self.hour = 0,
            b"AM" | b"PM" => {}
            _ => return None,
        }
        Some(())
    }

    /// Milliseconds since 1970-01-01 UTC.
    fn moment(&self) -> Option<i64> {
        if !(1..=days_in_month(self.year, self.month)).contains(&self.day) {
            return None;
        }
        let days = days_from_civil(self.year, self.month, self.day);
        let seconds = days * 86_400 + (self.hour + self.named) * 3600 + self.minute * 60 + self.second - self.offset;
        Some(seconds * 1000 + self.milli)
    }
}

/// A number of `least` to `most` digits.
fn digits(rest: &mut &[u8], least: usize, most: usize) -> Option<i64> {
    let length = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    if length < least {
        return None;
    }
    let (number, tail) = rest.split_at(length);
    *rest = tail;
    Some(number.iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0')))
}

/// Milliseconds of `.123456` or `,5`, cut; 0 when there is no fraction.
fn fraction(rest: &mut &[u8]) -> i64 {
    if !matches!(rest, [b'.' | b',', digit, ..] if digit.is_ascii_digit()) {
        return 0;
    }
    let length = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let milli = (1..=3).fold(0, |sum, at| sum * 10 + if at <= length { i64::from(rest[at] - b'0') } else { 0 });
    *rest = &rest[1 + length..];
    milli
}

/// The index of the name that `rest` starts with, in any case.
fn name<'a>(rest: &mut &[u8], names: impl Iterator<Item = &'a str>) -> Option<i64> {
    for (index, name) in (0..).zip(names) {
        if rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes())) {
            *rest = &rest[name.len()..];
            return Some(index);
        }
    }
    None
}

/// Seconds of ±hhmm or ±hh:mm.
fn offset(rest: &mut &[u8], colon: bool) -> Option<i64> {
    let sign = match rest.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    *rest = &rest[1..];
    let hours = digits(rest, 2, 2).filter(|&hours| hours <= 24)?;
    if colon {
        *rest = rest.strip_prefix(b":")?;
    }
    let minutes = digits(rest, 2, 2).filter(|&minutes| minutes <= 60)?;
    Some(sign * (hours * 3600 + minutes * 60))
}

/// Hours that a zone's name adds. Abbreviations are ambiguous, so they say nothing; `GMT+3` does.
fn zone(rest: &mut &[u8]) -> Option<i64> {
    if let Some(tail) = rest.strip_prefix(b"ChST").or_else(|| rest.strip_prefix(b"MeST")) {
        *rest = tail;
        return Some(0);
    }
    if let Some(tail) = rest.strip_prefix(b"GMT") {
        *rest = tail;
        return Some(signed_hours(rest).unwrap_or(0));
    }
    if matches!(rest.first(), Some(b'+' | b'-')) {
        return signed_hours(rest).map(|_| 0);
    }
    let length = rest.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    let known = match length {
        3 => true,
        4 => rest[3] == b'T' || rest.starts_with(b"WITA"),
        5 => rest[4] == b'T',
        _ => false,
    };
    *rest = &rest[length..];
    known.then_some(0)
}

/// `+3` or `-11`, less than a day.
fn signed_hours(rest: &mut &[u8]) -> Option<i64> {
    let sign = match rest.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut tail = &rest[1..];
    let hours = digits(&mut tail, 1, 2).filter(|&hours| hours < 24)?;
    *rest = tail;
    Some(sign * hours)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a proleptic Gregorian date (Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_notations() {
        for (input, stored) in [
            ("2024-05-01", "2024-05-01 00:00:00.000Z"),
            ("2024-05-01 10:00:00", "2024-05-01 10:00:00.000Z"),
            ("2024-05-01 10:00:00.1", "2024-05-01 10:00:00.100Z"),
            ("2024-05-01 10:00:00.123456789", "2024-05-01 10:00:00.123Z"),
            ("2024-05-01 10:00:00,5", "2024-05-01 10:00:00.500Z"),
            ("2024-05-01T10:00:00", "2024-05-01 10:00:00.000Z"),
            ("2024-05-01T10:00:00.9999", "2024-05-01 10:00:00.999Z"),
            ("2024-05-01T10:00:00.5Z", "2024-05-01 10:00:00.500Z"),
            ("2024-05-01 10:00:00.1234Z", "2024-05-01 10:00:00.123Z"),
            ("2024-05-01 10:00:00+02:00", "2024-05-01 08:00:00.000Z"),
            ("2024-05-01T10:00:00+02:00", "2024-05-01 08:00:00.000Z"),
            ("2024-05-01T10:00:00+0200", "2024-05-01 08:00:00.000Z"),
            ("2024-05-01 10:00:00+0200", "2024-05-01 08:00:00.000Z"),
            ("2024-05-01 10:00:00 +0200", "2024-05-01 08:00:00.000Z"),
            ("2024-05-01 10:00:00 -07:00", "2024-05-01 17:00:00.000Z"),
            ("2024-05-01 10:00:00.5 +0200 CEST", "2024-05-01 08:00:00.500Z"),
            ("2024-05-01 10:00:00 +0200 +02", "2024-05-01 08:00:00.000Z"),
            ("2024-05-01 9:00:00", "2024-05-01 09:00:00.000Z"),
            ("2024-05-01  10:00:00", "2024-05-01 10:00:00.000Z"),
            ("2024-05-01 10:00:00+24:00", "2024-04-30 10:00:00.000Z"),
            ("2024-05-01 10:00:00+02:60", "2024-05-01 07:00:00.000Z"),
            ("Mon, 02 Jan 2006 15:04:05 MST", "2006-01-02 15:04:05.000Z"),
            ("Tue, 02 jan 2006 15:04:05 GMT", "2006-01-02 15:04:05.000Z"),
            ("Mon, 02 Jan 2006 15:04:05 GMT+3", "2006-01-02 18:04:05.000Z"),
            ("Mon, 02 Jan 2006 15:04:05 +03", "2006-01-02 15:04:05.000Z"),
            ("Mon, 02 Jan 2006 15:04:05 -0700", "2006-01-02 22:04:05.000Z"),
            ("02 Jan 06 15:04 MST", "2006-01-02 15:04:00.000Z"),
            ("02 Jan 70 15:04 -0700", "1970-01-02 22:04:00.000Z"),
            ("Monday, 02-Jan-06 15:04:05 MST", "2006-01-02 15:04:05.000Z"),
            ("Mon Jan  2 15:04:05 2006", "2006-01-02 15:04:05.000Z"),
            ("Mon Jan 2 15:04:05.5 2006", "2006-01-02 15:04:05.500Z"),
            ("Mon Jan  2 15:04:05 MST 2006", "2006-01-02 15:04:05.000Z"),
            ("Mon Jan 02 15:04:05 -0700 2006", "2006-01-02 22:04:05.000Z"),
            ("02 Jan 2006", "2006-01-02 00:00:00.000Z"),
            ("3:04PM", "0000-01-01 15:04:00.000Z"),
            ("12:04AM", "0000-01-01 00:04:00.000Z"),
            ("Jan 12 15:04:05.123", "0000-01-12 15:04:05.123Z"),
            ("0000-01-01", "0000-01-01 00:00:00.000Z"),
            ("9999-12-31", "9999-12-31 00:00:00.000Z"),
            ("1969-12-31 23:59:59.9999Z", "1969-12-31 23:59:59.999Z"),
            ("2024-02-29", "2024-02-29 00:00:00.000Z"),
        ] {
            assert_eq!(normalise(input), Value::Text(stored.into()), "{input}");
            assert_eq!(normalise(stored), Value::Text(stored.into()), "{stored}");
            assert!(is_stored(stored.as_bytes()), "{stored}");
        }
    }

    #[test]
    fn everything_else_is_blank() {
        for input in [
            "",
            "abc",
            "1700000000",
            "2024-05-01 10:00:00.",
            "2024-05-01T10:00:00z",
            "2024-05-01t10:00:00Z",
            "2024-05-01T10:00:00 -07:00",
            "2024-05-01T10:00",
            "2024-05-01 10:00",
            "01/02/2024",
            "2024-5-1",
            "20240501",
            " 2024-05-01",
            "2024-05-01 ",
            "2024-02-30",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "0001-01-01",
            "10000-01-01",
            "2024-05-01 24:00:00",
            "2024-05-01 23:60:00",
            "2024-05-01 23:59:60",
            "2024-05-01 10:00:00+25:00",
            "2024-05-01 10:00:00+02:61",
            "2024-05-01 10:00:00 UTC",
            "Mon, 2 Jan 2006 15:04:05 GMT",
            "Mon, 02 Jan 2006 15:04:05 ABCDE",
            "Mon, 02 Jan 2006 15:04:05 Abc",
            "2 Jan 2006",
            "02 January 2006",
            "3:04pm",
            "13:04PM",
            "3:04 PM",
            "Feb 30 10:00:00",
            "Mon Feb 29 15:04:05 2023",
            "é024-05-01",
        ] {
            assert_eq!(normalise(input), Value::Text(String::new()), "{input}");
        }
        assert!(!is_stored(b"2024-02-30 00:00:00.000Z"));
        assert!(!is_stored(b"0001-01-01 00:00:00.000Z"));
        assert!(!is_stored(b"2024-02-28T00:00:00.000Z"));
    }
}
