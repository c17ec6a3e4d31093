//! Whether a text is a schedule (`docs/wire/services.md` §7).

const MACROS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
/// First and last value of minute, hour, day, month and weekday.
const RANGES: [(u8, u8); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];

/// Exactly five segments with single spaces between them, or a macro.
pub fn is_schedule(text: &str) -> bool {
    if MACROS.contains(&text) {
        return true;
    }
    let segments: Vec<&str> = text.split(' ').collect();
    segments.len() == RANGES.len() && segments.iter().zip(RANGES).all(|(segment, range)| is_segment(segment, range))
}

/// A comma list of `*`, `n`, `a-b`, `*/n` and `a-b/n`.
fn is_segment(segment: &str, (first, last): (u8, u8)) -> bool {
    let value = |text: &str| text.parse::<u8>().ok().filter(|value| (first..=last).contains(value));
    let span = |text: &str| match text.split_once('-') {
        Some((from, to)) => value(from).zip(value(to)).is_some_and(|(from, to)| from <= to),
        None => false,
    };
    segment.split(',').all(|part| match part.split_once('/') {
        Some((range, step)) => {
            let steps = step.parse::<u8>().is_ok_and(|step| (1..=last).contains(&step));
            steps && (range == "*" || span(range))
        }
        None => part == "*" || value(part).is_some() || span(part),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_told_from_other_texts() {
        for text in ["* * * * *", "0 0 * * *", "*/5 1-3 1,15 1-12/2 0-6", "@daily", "59 23 31 12 6"] {
            assert!(is_schedule(text), "{text}");
        }
        for text in [
            "",
            "* * *",
            "* * * * * *",
            "*  * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "5/2 * * * *",
            "*/0 * * * *",
            "3-1 * * * *",
            "@every 1m",
            "mon * * * *",
            "1, * * * *",
            "-1 * * * *",
        ] {
            assert!(!is_schedule(text), "{text}");
        }
    }
}
