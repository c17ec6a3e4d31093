//! The five fields of a cron expression, read into sets.

/// Values of a field as bits: bit `n` is the value `n`.
pub(super) type Set = u64;

/// Longer expressions are refused before they are looked at.
const MAX_LENGTH: usize = 256;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// What a macro stands for; the wire's (`docs/wire/services.md` §7).
const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// What the fields of an expression allow. A date has to satisfy all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields {
    pub minutes: Set,
    pub hours: Set,
    pub days: Set,
    /// `L`: the last day of the month, besides `days`.
    pub last_day: bool,
    pub months: Set,
    /// 0 is Sunday.
    pub weekdays: Set,
    /// `1#2`, `5L`: bit `n` for the nth one in the month, bit 0 for the last; besides `weekdays`.
    pub nth_weekdays: [u8; 7],
}

/// One field: its name in messages, its least and greatest value, the names of its values.
struct Kind {
    name: &'static str,
    first: u8,
    last: u8,
    names: &'static [&'static str],
    /// The value of the first name.
    names_from: u8,
}

const MINUTE: Kind = Kind { name: "minute", first: 0, last: 59, names: &[], names_from: 0 };
const HOUR: Kind = Kind { name: "hour", first: 0, last: 23, names: &[], names_from: 0 };
const DAY: Kind = Kind { name: "day", first: 1, last: 31, names: &[], names_from: 0 };
const MONTH: Kind = Kind { name: "month", first: 1, last: 12, names: &MONTHS, names_from: 1 };
/// 7 is Sunday, too.
const WEEKDAY: Kind = Kind { name: "weekday", first: 0, last: 7, names: &WEEKDAYS, names_from: 0 };

impl Fields {
    /// The expression with one space between its fields and macros spelt out, and what it allows.
    /// The error is a sentence for whoever wrote it.
    pub fn parse(text: &str) -> Result<(String, Self), String> {
        if text.len() > MAX_LENGTH {
            return Err("The expression is too long.".into());
        }
        let text = text.trim();
        let text = match MACROS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
            Some((_, meaning)) => meaning,
            None => text,
        };
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!(
                "A schedule has five fields (minute, hour, day, month, weekday) or is a macro like @daily; \
                 this has {}.",
                fields.len()
            ));
        };
        let (mut last_day, mut nth_weekdays) = (false, [0; 7]);
        let parsed = Self {
            minutes: MINUTE.parse(minute, |_| Ok(false))?,
            hours: HOUR.parse(hour, |_| Ok(false))?,
            days: DAY.parse(day, |part| {
                let last = part.eq_ignore_ascii_case("L");
                last_day |= last;
                Ok(last)
            })?,
            months: MONTH.parse(month, |_| Ok(false))?,
            weekdays: WEEKDAY.parse(weekday, |part| nth(part, &mut nth_weekdays))?,
            last_day,
            nth_weekdays,
        };
        Ok((fields.join(" "), Self { weekdays: (parsed.weekdays | parsed.weekdays >> 7) & 0x7f, ..parsed }))
    }

    /// Every moment of some hours counts, not some times of a day: see [`super::Cron`].
    pub fn by_elapsed_time(&self) -> bool {
        self.hours == HOUR.all() || self.minutes == MINUTE.all()
    }
}

/// `1#2`, the second Monday; `FRIL` or `5L`, the last Friday. False when the part is nothing of the kind.
fn nth(part: &str, found: &mut [u8; 7]) -> Result<bool, String> {
    let (weekday, bit) = if let Some((weekday, n)) = part.split_once('#') {
        let n = n.parse::<u8>().ok().filter(|n| (1..=5).contains(n));
        (weekday, n.ok_or_else(|| format!("After # stands which one in the month, 1 to 5, not in {part:?}."))?)
    } else if let Some(weekday) = part.strip_suffix(['L', 'l']).filter(|weekday| !weekday.is_empty()) {
        (weekday, 0)
    } else {
        return Ok(false);
    };
    found[usize::from(WEEKDAY.value(weekday)? % 7)] |= 1 << bit;
    Ok(true)
}

impl Kind {
    fn all(&self) -> Set {
        span(self.first, self.last, 1)
    }

    /// A comma list of `*`, `n`, `a-b`, `*/n`, `a-b/n` and of what `special` takes for itself.
    fn parse(&self, text: &str, mut special: impl FnMut(&str) -> Result<bool, String>) -> Result<Set, String> {
        let mut set = 0;
        for part in text.split(',') {
            if !special(part)? {
                set |= self.part(part)?;
            }
        }
        Ok(set)
    }

    fn part(&self, part: &str) -> Result<Set, String> {
        let (range, step) = match part.split_once('/') {
            None => (part, 1),
            Some((range, step)) => {
                let step = step.parse::<u8>().ok().filter(|step| (1..=self.last).contains(step));
                (range, step.ok_or_else(|| format!("The step of {part:?} is none for a {}.", self.name))?)
            }
        };
        if range == "*" {
            // Weekday 7 is only another name of 0, and no value to step to.
            return Ok(span(self.first, self.last - u8::from(self.name == WEEKDAY.name), step));
        }
        let Some((from, to)) = range.split_once('-') else {
            if part.contains('/') {
                return Err(format!("A step needs a range: write {range}-{}/{step} instead of {part}.", self.last));
            }
            return self.value(range).map(|value| 1 << value);
        };
        let (from, to) = (self.value(from)?, self.value(to)?);
        if from > to {
            return Err(format!("The range {range:?} of the {} ends before it begins.", self.name));
        }
        Ok(span(from, to, step))
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let named = self.names.iter().zip(self.names_from..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        // Digits only: `parse` would take a sign.
        let number = || text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        named
            .map(|(_, value)| value)
            .or_else(number)
            .filter(|value| (self.first..=self.last).contains(value))
            .ok_or_else(|| format!("{text:?} is no {}: that is from {} to {}.", self.name, self.first, self.last))
    }
}

fn span(first: u8, last: u8, step: u8) -> Set {
    (first..=last).step_by(usize::from(step)).fold(0, |set, value| set | 1 << value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(set: Set) -> Vec<u8> {
        (0..64).filter(|n| set >> n & 1 == 1).collect()
    }

    #[test]
    fn fields_are_read_into_sets() {
        let (text, fields) = Fields::parse("  */20   9-17/4 1,15,L 2-12/5,jan mon-fri/2,7 ").unwrap();
        assert_eq!(text, "*/20 9-17/4 1,15,L 2-12/5,jan mon-fri/2,7");
        assert_eq!(values(fields.minutes), [0, 20, 40]);
        assert_eq!(values(fields.hours), [9, 13, 17]);
        assert_eq!((values(fields.days), fields.last_day), (vec![1, 15], true));
        assert_eq!(values(fields.months), [1, 2, 7, 12]);
        assert_eq!(values(fields.weekdays), [0, 1, 3, 5]);
        let (_, fields) = Fields::parse("0 0 * * MON#1,1#3,friL,SUN#5").unwrap();
        assert_eq!((fields.weekdays, fields.nth_weekdays), (0, [32, 10, 0, 0, 0, 1, 0]));
        for (text, same) in [("*/2 * * * *", "0-58/2 0-23 1-31 1-12 0-6"), ("0 0 * * 5-7", "0 0 * * 0,5,6")] {
            assert_eq!(Fields::parse(text).unwrap().1, Fields::parse(same).unwrap().1, "{text}");
        }
        for (name, meaning) in MACROS {
            assert_eq!(Fields::parse(&name.to_uppercase()).unwrap(), Fields::parse(meaning).unwrap());
        }
    }

    #[test]
    fn what_is_no_schedule_is_told_why() {
        let long = "1,".repeat(200);
        for text in [
            "",
            "* * * *",
            "0 * * * * *",
            "@every 1m",
            "@reboot",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 0 *",
            "* * * 13 *",
            "* * * * 8",
            "* * * * MON#0",
            "* * * * MON#6",
            "* * * * #1",
            "* * * * 9L",
            "* * L-3 * *",
            "5/2 * * * *",
            "*/0 * * * *",
            "*/60 * * * *",
            "3-1 * * * *",
            "fri-mon * * * *",
            "1, * * * *",
            "-1 * * * *",
            "+1 * * * *",
            "1.5 * * * *",
            "٣ * * * *",
            "* * * jan2 *",
            &long,
        ] {
            let why = Fields::parse(text).expect_err(text);
            assert!(why.ends_with('.') && why.len() < 400, "{text}: {why}");
        }
    }

    #[test]
    fn whatever_the_wire_takes_is_taken() {
        for text in ["* * * * *", "0 0 * * *", "*/5 1-3 1,15 1-12/2 0-6", "@daily", "59 23 31 12 6", "@midnight"] {
            assert!(Fields::parse(text).is_ok(), "{text}");
        }
    }
}
