//! `~` and `!~` (`records-filter.md` §5.4): how a value becomes a pattern, and SQLite's LIKE in time that an attacker
//! cannot multiply.
//!
//! SQLite's own LIKE tries a pattern at every place of the text inside one step of its machine, where no budget
//! interrupts it, and refuses patterns over 50 000 bytes. [`Pattern`] looks for each part between two `%` once.

use std::collections::HashMap;

use memchr::memmem::Finder;

/// Characters of one part that contains `_`; a longer one matches nothing. They bound the work per character of a text.
const MAX_WILD: usize = 4096;

/// The LIKE pattern (escape character `\`) of a bound value's text. A text with an unescaped `%` is a pattern already;
/// any other is looked for literally, anywhere.
pub(super) fn pattern(text: &str) -> String {
    if has_wildcard(text) { text.to_owned() } else { format!("%{}%", escape(text)) }
}

/// True when a `%` stands outside of an escape pair.
fn has_wildcard(text: &str) -> bool {
    let mut escaped = false;
    for char in text.chars() {
        match char {
            '%' if !escaped => return true,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    false
}

/// Puts a backslash before `\`, `%` and `_`, unless one stands there already. Read from the end, so that of several
/// backslashes the last two are a pair.
fn escape(text: &str) -> String {
    let mut reversed = Vec::with_capacity(text.len());
    let mut chars = text.chars().rev().peekable();
    while let Some(char) = chars.next() {
        reversed.push(char);
        if matches!(char, '\\' | '%' | '_') {
            chars.next_if_eq(&'\\');
            reversed.push('\\');
        }
    }
    reversed.into_iter().rev().collect()
}

/// What `text LIKE pattern ESCAPE '\'` looks for: ASCII case-insensitive, `%` any characters, `_` one.
///
/// Matching takes time linear in the text for parts without `_`, and a 64th of the product of both lengths for others.
pub(super) struct Pattern {
    /// What stands between the `%`; `None` for a pattern that matches nothing.
    parts: Option<Parts>,
}

enum Parts {
    /// Without any `%`.
    Whole(Part),
    /// The text begins with the first, ends with the last, and has the others in this order between them.
    Around { first: Part, middle: Vec<Search>, last: Part },
}

/// Characters in ASCII lower case; `None` stands for any.
type Part = Vec<Option<char>>;

enum Search {
    Literal(Box<Finder<'static>>),
    Wild(Wild),
}

impl Pattern {
    pub fn new(pattern: &str) -> Self {
        Self { parts: Self::read(pattern) }
    }

    /// `None` for a pattern that ends in its escape character, or has too long a part: it matches nothing.
    fn read(pattern: &str) -> Option<Parts> {
        let mut parts = vec![Part::new()];
        let mut chars = pattern.chars();
        while let Some(char) = chars.next() {
            let token = match char {
                '%' => {
                    parts.push(Part::new());
                    continue;
                }
                '_' => None,
                '\\' => Some(chars.next()?.to_ascii_lowercase()),
                other => Some(other.to_ascii_lowercase()),
            };
            parts.last_mut()?.push(token);
        }
        let last = parts.pop()?;
        if parts.is_empty() {
            return Some(Parts::Whole(last));
        }
        let mut parts = parts.into_iter();
        let first = parts.next()?;
        let middle = parts.filter(|part| !part.is_empty()).map(Search::new).collect::<Option<_>>()?;
        Some(Parts::Around { first, middle, last })
    }

    pub fn matches(&self, text: &str) -> bool {
        match &self.parts {
            None => false,
            Some(Parts::Whole(part)) => skip(part, text).is_some_and(str::is_empty),
            Some(Parts::Around { first, middle, last }) => {
                let Some(rest) = skip(first, text) else { return false };
                if middle.is_empty() {
                    return ends(last, rest);
                }
                let rest = rest.to_ascii_lowercase();
                let found = middle.iter().try_fold(&*rest, |rest, search| search.after(rest));
                found.is_some_and(|rest| ends(last, rest))
            }
        }
    }
}

/// What follows `part` at the start of `text`.
fn skip<'t>(part: &Part, text: &'t str) -> Option<&'t str> {
    let mut chars = text.chars();
    part.iter().all(|token| chars.next().is_some_and(|char| fits(*token, char))).then_some(chars.as_str())
}

fn ends(part: &Part, text: &str) -> bool {
    let mut chars = text.chars().rev();
    part.iter().rev().all(|token| chars.next().is_some_and(|char| fits(*token, char)))
}

fn fits(token: Option<char>, char: char) -> bool {
    token.is_none_or(|expected| expected == char.to_ascii_lowercase())
}

impl Search {
    fn new(part: Part) -> Option<Self> {
        let literal: Option<String> = part.iter().copied().collect();
        match literal {
            Some(literal) => Some(Search::Literal(Box::new(Finder::new(&literal).into_owned()))),
            None if part.len() > MAX_WILD => None,
            None => Some(Search::Wild(Wild::new(&part))),
        }
    }

    /// What follows the first occurrence in a text in lower case.
    fn after<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            // Whole characters are looked for, so the end is one's end.
            Search::Literal(finder) => text.get(finder.find(text.as_bytes())? + finder.needle().len()..),
            Search::Wild(wild) => wild.after(text),
        }
    }
}

/// A part with `_`, as bits: bit `n` of a mask says that a character fits at place `n` ("shift-and",
/// <https://en.wikipedia.org/wiki/Bitap_algorithm>).
struct Wild {
    masks: HashMap<char, Box<[u64]>>,
    /// The mask of characters that the part does not name.
    others: Box<[u64]>,
    last: u64,
}

impl Wild {
    fn new(part: &Part) -> Self {
        let mut others = vec![0_u64; part.len().div_ceil(64)].into_boxed_slice();
        let bits = || part.iter().enumerate().map(|(place, token)| (place / 64, 1_u64 << (place % 64), *token));
        for (word, bit, _) in bits().filter(|(.., token)| token.is_none()) {
            others[word] |= bit;
        }
        let mut masks: HashMap<char, Box<[u64]>> = HashMap::new();
        for (word, bit, token) in bits() {
            if let Some(char) = token {
                masks.entry(char).or_insert_with(|| others.clone())[word] |= bit;
            }
        }
        let last = part.len().checked_sub(1).map_or(0, |place| 1 << (place % 64));
        Self { masks, others, last }
    }

    fn after<'t>(&self, text: &'t str) -> Option<&'t str> {
        // Bit `n`: the characters up to here fit the places 0 to `n`.
        let mut state = vec![0_u64; self.others.len()];
        for (at, char) in text.char_indices() {
            let mask = self.masks.get(&char).unwrap_or(&self.others);
            let mut carry = 1;
            for (word, mask) in state.iter_mut().zip(mask) {
                let out = *word >> 63;
                *word = (*word << 1 | carry) & mask;
                carry = out;
            }
            if state.last().is_some_and(|word| word & self.last != 0) {
                return text.get(at + char.len_utf8()..);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::{
        prelude::prop_assert,
        prop_assert_eq,
        test_runner::{Config, TestRunner},
    };
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn texts_become_patterns() {
        for (text, expected) in [
            ("abc", "%abc%"),
            ("", "%%"),
            ("100%", "100%"),
            (r"100\%", r"%100\%%"),
            ("a_b", r"%a\_b%"),
            (r"a\_b", r"%a\_b%"),
            (r"a\b", r"%a\\b%"),
            (r"a\\b", r"%a\\b%"),
            ("%a_c", "%a_c"),
            (r"\", r"%\\%"),
            (r"\\%", r"\\%"),
        ] {
            assert_eq!(pattern(text), expected, "{text}");
        }
    }

    #[test]
    fn like_is_sqlites() {
        let connection = Connection::open_in_memory().expect("memory is always there");
        let texts = ["", "a", "A", "abc", "aXbXc", "100%", "a_b", "axb", r"a\b", "ä", "Ä", "aaab", "a\nb"];
        let patterns = [
            "", "%", "_", "a", "%a%", "a%c", "%b", "a_b", r"a\_b", r"100\%", r"\", r"a\", "__", "%_%", "Ä", "%a%b",
            "a%%b", r"%\\%",
        ];
        for text in texts {
            for pattern in patterns {
                let sql = r"SELECT ? LIKE ? ESCAPE '\'";
                let expected: bool = connection.query_row(sql, [text, pattern], |row| row.get(0)).unwrap();
                assert_eq!(Pattern::new(pattern).matches(text), expected, "{text:?} LIKE {pattern:?}");
            }
        }
    }
    #[test]
    fn like_is_sqlites_on_random_texts() {
        let connection = Connection::open_in_memory().expect("memory is always there");
        let like = r"SELECT ? LIKE ? ESCAPE '\'";
        let config = Config { cases: 4000, failure_persistence: None, ..Config::default() };
        // Few letters, so that much matches; some parts longer than a word of bits.
        let checked =
            TestRunner::new(config).run(&("[abAä]{0,90}", r"([abAä_]{1,80}|[abA%_ä\\]{0,9}){0,3}"), |(t, p)| {
                let expected: bool = connection.query_row(like, [&t, &p], |row| row.get(0)).unwrap();
                prop_assert_eq!(Pattern::new(&p).matches(&t), expected, "{:?} LIKE {:?}", t, p);
                let part: String = t.chars().skip(3).map(|char| if char == 'a' { '_' } else { char }).collect();
                prop_assert!(Pattern::new(&format!("%{part}%")).matches(&t), "{:?} in {:?}", part, t);
                Ok(())
            });
        assert_eq!(checked, Ok(()));
    }

    #[test]
    fn long_patterns_take_no_longer_than_the_text_does() {
        let text = "a".repeat(1 << 20);
        let started = Instant::now();
        assert!(!Pattern::new(&format!("%{}b%", "a".repeat(3400))).matches(&text));
        assert!(!Pattern::new(&format!("{text}b")).matches(&text));
        assert!(!Pattern::new(&format!("%{}_b%", "a".repeat(600))).matches(&text[..1 << 16]));
        // SQLite makes more than three thousand million comparisons for the first: far more than a minute in this build.
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        assert!(Pattern::new(&pattern(&text)).matches(&text), "patterns have no greatest length");
    }
}
