//! Regular expressions of field settings: as checks of values, and read backwards as generators of values.
//!
//! The wire's expressions are RE2's (`docs/wire/records-collections.md` §4.4, §4.5). The `regex` crate matches the same
//! way but spells some things differently; [`translate`] closes that gap.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use parking_lot::Mutex;
use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::{
    error::{Error, Result},
    random,
};

/// Longer patterns are refused.
const MAX_PATTERN: usize = 5000;
/// Compiled patterns may not need more than this, in bytes.
const MAX_COMPILED: usize = 2 << 20;
/// Compiled patterns that are kept.
const MAX_CACHED: usize = 128;
/// RE2's limit on `{n}`.
const MAX_REPEAT: u32 = 1000;
/// Repeats without an end stop here, or at their least number.
const OPEN_REPEAT: u32 = 6;
/// A generated value longer than this (in characters) is an error.
const MAX_GENERATED: usize = 10_000;

type Compiled = std::result::Result<Regex, String>;

/// Values are validated on every write, so patterns are compiled once. The lock is held for a look-up only.
static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Compiled>>>> = LazyLock::new(Mutex::default);

/// The compiled pattern, or what is wrong with it, for people. Matches anywhere in a text.
pub fn compile(pattern: &str) -> Compiled {
    if let Some(known) = COMPILED.lock().get(pattern) {
        return Compiled::clone(known);
    }
    let compiled = compile_uncached(pattern);
    let mut cache = COMPILED.lock();
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    cache.insert(pattern.to_owned(), Arc::new(compiled.clone()));
    compiled
}

fn compile_uncached(pattern: &str) -> Compiled {
    let translated = translate(pattern)?;
    regex::RegexBuilder::new(&translated).size_limit(MAX_COMPILED).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "The pattern is too large.".to_owned(),
        error => format!("Not a regular expression: {}", error.to_string().lines().last().unwrap_or_default().trim()),
    })
}

/// A text that `pattern` describes, every choice made at random. Fails for patterns that cannot be read as a
/// generator.
pub fn generate(pattern: &str) -> Result<String> {
    // The default patterns of ids and token keys.
    match pattern {
        "[a-z0-9]{15}" => return Ok(random::record_id()),
        "[a-zA-Z0-9]{50}" => return Ok(random::string(random::ALPHANUMERIC, 50)),
        _ => {}
    }
    let translated = translate(pattern).map_err(Error::invalid)?;
    let hir = regex_syntax::Parser::new()
        .parse(&translated)
        .map_err(|error| Error::invalid("The pattern is not a regular expression.").because(error))?;
    let mut text = String::new();
    extend(&mut text, &hir)?;
    Ok(text)
}

/// Appends a text that `hir` describes. The depth is bounded by the parser's nest limit.
fn extend(text: &mut String, hir: &Hir) -> Result<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(Look::Start | Look::End | Look::StartLF | Look::EndLF) => {}
        HirKind::Look(_) => return Err(Error::invalid("The pattern has an assertion that cannot be generated.")),
        HirKind::Literal(literal) => text.push_str(
            std::str::from_utf8(&literal.0).map_err(|_| Error::invalid("The pattern describes no valid text."))?,
        ),
        HirKind::Class(class) => text.push(pick(class)?),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(repetition.min.max(OPEN_REPEAT));
            let count = repetition.min + random::below(most.saturating_sub(repetition.min) + 1);
            for _ in 0..count {
                let before = text.len();
                extend(text, &repetition.sub)?;
                if text.len() == before {
                    break;
                }
            }
        }
        HirKind::Capture(capture) => extend(text, &capture.sub)?,
        HirKind::Concat(parts) => {
            for part in parts {
                extend(text, part)?;
            }
        }
        HirKind::Alternation(branches) => {
            let branch = random::below(u32::try_from(branches.len()).unwrap_or(u32::MAX)) as usize;
            extend(text, &branches[branch])?;
        }
    }
    if text.len() > MAX_GENERATED {
        return Err(Error::invalid("The pattern generates too long a text."));
    }
    Ok(())
}

/// A character of a class, each equally likely. Wide classes (`.`, `[^a]`) give printable ASCII where they have it.
fn pick(class: &Class) -> Result<char> {
    let mut ranges: Vec<(u32, u32)> = match class {
        Class::Unicode(class) => {
            class.ranges().iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
        Class::Bytes(class) => class.ranges().iter().map(|range| (range.start().into(), range.end().into())).collect(),
    };
    let size = |ranges: &[(u32, u32)]| ranges.iter().map(|(from, to)| to - from + 1).sum::<u32>();
    if size(&ranges) > 1000 {
        let printable: Vec<_> =
            ranges.iter().map(|&(from, to)| (from.max(0x20), to.min(0x7e))).filter(|(from, to)| from <= to).collect();
        if !printable.is_empty() {
            ranges = printable;
        }
    }
    let total = size(&ranges);
    if total == 0 {
        return Err(Error::invalid("The pattern has an empty class."));
    }
    let mut at = random::below(total);
    for (from, to) in ranges {
        if at <= to - from {
            // A range of the whole of Unicode spans the surrogates, which are no characters.
            return Ok(char::from_u32(from + at).unwrap_or('\u{fffd}'));
        }
        at -= to - from + 1;
    }
    Err(Error::invalid("The pattern has an empty class."))
}

/// An RE2 expression in the spelling of the `regex` crate: classes like `\w` are ASCII, braces that repeat nothing and
/// brackets in classes stand for themselves, classes have no set operators.
fn translate(pattern: &str) -> std::result::Result<String, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("The pattern is longer than {MAX_PATTERN} bytes."));
    }
    let mut reader = Reader { rest: pattern, out: String::with_capacity(pattern.len() + 16) };
    while let Some(character) = reader.next() {
        match character {
            '\\' => reader.escape()?,
            '[' => reader.class()?,
            '(' => reader.group()?,
            '{' => reader.brace()?,
            '}' => reader.out.push_str("\\}"),
            other => reader.out.push(other),
        }
    }
    Ok(reader.out)
}

/// Names in `[:name:]`.
const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];
const UNFINISHED: &str = "The pattern ends within an escape or a class.";

struct Reader<'a> {
    rest: &'a str,
    out: String,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        Some(character)
    }

    fn literal(&mut self, character: char) {
        self.out.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
    }

    /// After a backslash outside of a class.
    fn escape(&mut self) -> std::result::Result<(), String> {
        match self.rest.chars().next() {
            Some('b') => self.skip_to("(?-u:\\b)"),
            Some('B') => self.skip_to("\\B"),
            Some('A') => self.skip_to("\\A"),
            Some('z') => self.skip_to("\\z"),
            Some('Q') => {
                let quoted = &self.rest[1..];
                let (quoted, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                self.out.push_str(&regex::escape(quoted));
                self.rest = rest;
            }
            _ => {
                if !self.named_class(false)? {
                    let character = self.character()?;
                    self.literal(character);
                }
            }
        }
        Ok(())
    }

    /// Skips one ASCII character and writes its translation.
    fn skip_to(&mut self, translation: &str) {
        self.rest = &self.rest[1..];
        self.out.push_str(translation);
    }

    /// `\d`, `\pL` and their like, after the backslash; false when something else follows.
    fn named_class(&mut self, within: bool) -> std::result::Result<bool, String> {
        const SPACE: &str = r"\t\n\x0C\r\x20";
        let (ranges, negated) = match self.rest.chars().next() {
            Some('d') => ("0-9", false),
            Some('D') => ("0-9", true),
            Some('s') => (SPACE, false),
            Some('S') => (SPACE, true),
            Some('w') => ("0-9A-Za-z_", false),
            Some('W') => ("0-9A-Za-z_", true),
            Some('p' | 'P') => {
                self.property()?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.rest = &self.rest[1..];
        match (within, negated) {
            (true, false) => self.out.push_str(ranges),
            (_, true) => self.out.push_str(&format!("[^{ranges}]")),
            (false, false) => self.out.push_str(&format!("[{ranges}]")),
        }
        Ok(true)
    }

    /// `pL`, `p{Greek}`, `p{^Greek}`
    fn property(&mut self) -> std::result::Result<(), String> {
        let mut negated = self.next() == Some('P');
        let mut name = match self.next().ok_or(UNFINISHED)? {
            '{' => {
                let (name, rest) = self.rest.split_once('}').ok_or(UNFINISHED)?;
                self.rest = rest;
                name.to_owned()
            }
            letter => letter.to_string(),
        };
        if let Some(positive) = name.strip_prefix('^') {
            name = positive.to_owned();
            negated = !negated;
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err("The pattern names an unknown property.".to_owned());
        }
        self.out.push_str(&format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }));
        Ok(())
    }

    /// The character that an escape stands for, after the backslash.
    fn character(&mut self) -> std::result::Result<char, String> {
        let unknown = |character| format!("The pattern has an unknown escape: \\{character}");
        Ok(match self.next().ok_or(UNFINISHED)? {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => self.hexadecimal()?,
            first @ '0'..='7' if first == '0' || self.rest.starts_with(|next| ('0'..='7').contains(&next)) => {
                let length = self.rest.bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                let (digits, rest) = self.rest.split_at(length);
                self.rest = rest;
                u32::from_str_radix(&format!("{first}{digits}"), 8).ok().and_then(char::from_u32).unwrap_or('\0')
            }
            other if other.is_ascii_alphanumeric() || !other.is_ascii() => return Err(unknown(other)),
            punctuation => punctuation,
        })
    }

    /// `7F` or `{10FFFF}`
    fn hexadecimal(&mut self) -> std::result::Result<char, String> {
        let (digits, rest) = match self.rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}').ok_or(UNFINISHED)?,
            None => self.rest.split_at_checked(2).ok_or(UNFINISHED)?,
        };
        self.rest = rest;
        let number = digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16));
        match number {
            Some(Ok(number)) => char::from_u32(number).ok_or_else(|| "The pattern names no character.".to_owned()),
            _ => Err("The pattern has a malformed hexadecimal escape.".to_owned()),
        }
    }

    /// After an opening parenthesis: RE2 knows fewer flags.
    fn group(&mut self) -> std::result::Result<(), String> {
        self.out.push('(');
        let Some(special) = self.rest.strip_prefix('?') else { return Ok(()) };
        let named = special.starts_with("P<")
            || (special.starts_with('<') && !special.starts_with("<=") && !special.starts_with("<!"));
        let flags = special.find([')', ':']).map(|end| &special[..end]);
        if !named && !flags.is_some_and(|flags| flags.chars().all(|flag| "imsU-".contains(flag))) {
            return Err("The pattern has a group that is not supported.".to_owned());
        }
        Ok(())
    }

    /// After an opening brace: a repetition, or the brace itself.
    fn brace(&mut self) -> std::result::Result<(), String> {
        let number = |text: &str| -> Option<u32> {
            (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse().unwrap_or(u32::MAX))
        };
        let repeat = self.rest.split_once('}').and_then(|(inner, rest)| {
            let (least, most) = match inner.split_once(',') {
                None => (number(inner)?, None),
                Some((least, "")) => (number(least)?, None),
                Some((least, most)) => (number(least)?, Some(number(most)?)),
            };
            Some((inner, rest, least.max(most.unwrap_or(0))))
        });
        match repeat {
            None => self.out.push_str("\\{"),
            Some((_, _, most)) if most > MAX_REPEAT => {
                return Err(format!("The pattern repeats something more than {MAX_REPEAT} times."));
            }
            Some((inner, rest, _)) => {
                self.out.push('{');
                self.out.push_str(inner);
                self.out.push('}');
                self.rest = rest;
            }
        }
        Ok(())
    }

    /// After an opening bracket.
    fn class(&mut self) -> std::result::Result<(), String> {
        self.out.push('[');
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.out.push('^');
            self.rest = rest;
        }
        let mut first = true;
        loop {
            if self.rest.starts_with(']') && !first {
                self.rest = &self.rest[1..];
                self.out.push(']');
                return Ok(());
            }
            first = false;
            self.class_item()?;
        }
    }

    /// One character, range or named class.
    fn class_item(&mut self) -> std::result::Result<(), String> {
        if self.rest.starts_with("[:")
            && let Some(end) = self.rest.find(":]")
        {
            let (name, rest) = self.rest.split_at(end + 2);
            if !POSIX_CLASSES.contains(&name[2..end].trim_start_matches('^')) {
                return Err(format!("The pattern has an unknown class: {name}"));
            }
            self.out.push_str(name);
            self.rest = rest;
            return Ok(());
        }
        if let Some(rest) = self.rest.strip_prefix('\\') {
            self.rest = rest;
            if self.named_class(true)? {
                return Ok(());
            }
            let from = self.character()?;
            return self.class_range(from);
        }
        let from = self.next().ok_or(UNFINISHED)?;
        self.class_range(from)
    }

    /// After the first character of an item: the rest of its range, if it is one.
    fn class_range(&mut self, from: char) -> std::result::Result<(), String> {
        self.class_literal(from);
        let Some(rest) = self.rest.strip_prefix('-').filter(|rest| !rest.is_empty() && !rest.starts_with(']')) else {
            return Ok(());
        };
        self.rest = rest;
        let to = match self.next().ok_or(UNFINISHED)? {
            '\\' => self.character()?,
            character => character,
        };
        if to < from {
            return Err("The pattern has a range whose end comes before its start.".to_owned());
        }
        self.out.push('-');
        self.class_literal(to);
        Ok(())
    }

    fn class_literal(&mut self, character: char) {
        if character.is_ascii_alphanumeric() || !character.is_ascii() {
            self.out.push(character);
        } else {
            self.out.push_str(&format!("\\x{{{:X}}}", u32::from(character)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_texts_match_their_pattern() {
        for pattern in [
            "[a-z0-9]{15}",
            "[a-zA-Z0-9]{50}",
            "[a-zA-Z0-9_]{30}",
            "abc",
            "(foo|bar)-[0-9]{2,4}",
            r"\d{3}\w+\s?x*",
            "[^a-z]{5}.",
            "(?i)abc",
            "a{0}b{2,}",
            "",
            r"^x\.[[:upper:]]$",
            "([ab]{2}){3}",
            r"\pL",
            "(|a)",
            "(?:){1000}",
        ] {
            let anchored = compile(&format!("^(?:{pattern})$")).expect(pattern);
            for _ in 0..50 {
                let text = generate(pattern).expect(pattern);
                assert!(anchored.is_match(&text), "{pattern}: {text:?}");
            }
        }
    }

    #[test]
    fn open_repeats_are_capped() {
        for _ in 0..100 {
            assert!(generate("a*").expect("valid").len() <= 6);
            assert!((1..=6).contains(&generate("a+").expect("valid").len()));
            assert!(generate("a{8,}").expect("valid").len() >= 8);
        }
    }

    #[test]
    fn generators_that_cannot_work_are_refused() {
        for pattern in ["(", r"a\b", "(a{1000}){1000}", "[a", "(?=a)"] {
            assert!(generate(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn patterns_match_as_re2_does() {
        for (pattern, text, matches) in [
            (r"^\d+$", "123", true),
            (r"^\d+$", "١٢", false),
            (r"^\w$", "é", false),
            (r"^[\w-]+$", "a-b", true),
            (r"^[^\W\d]$", "a", true),
            (r"^[^\W\d]$", "1", false),
            (r"^\s$", "\u{a0}", false),
            (r"\bfoo\b", "éfoo", true),
            ("^{x}$", "{x}", true),
            ("^a{,3}$", "a{,3}", true),
            ("^a{2}$", "aa", true),
            ("^[a&&b]+$", "a&b", true),
            ("^[[]$", "[", true),
            ("^[]a]+$", "]a", true),
            ("^[a-z[]+$", "[q", true),
            ("^[+--]+$", "+,-", true),
            (r"^[\[\]\-^]+$", "[]-^", true),
            ("^[[:alpha:]_]+$", "a_", true),
            (r"^\Qa.b[\E+$", "a.b[[", true),
            (r"^\x41\x{1F600}\101$", "A😀A", true),
            (r"^\<\>\_\ \%$", "<>_ %", true),
            (r"^\p{Greek}\pN\p{^L}$", "α1-", true),
            ("(?i)ABC", "xabcx", true),
            ("^(?P<n>a)(?<m>b)$", "ab", true),
            ("a.c", "a\nc", false),
        ] {
            let regex = compile(pattern).unwrap_or_else(|reason| panic!("{pattern}: {reason}"));
            assert_eq!(regex.is_match(text), matches, "{pattern} on {text:?}");
        }
        for pattern in [
            "(",
            ")",
            "[",
            "[b-a]",
            "a{1001}",
            r"\1",
            r"\q",
            r"\Z",
            "(?=a)",
            "(?<=a)",
            "(?!a)",
            "(?x)a",
            "*",
            "{2}",
            "\\",
            r"[\b]",
            "[[:foo:]]",
            r"\p{Nope}",
            "a{2,1}",
            r"\u0041",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn the_cache_is_bounded() {
        for number in 0..MAX_CACHED * 2 {
            assert!(compile(&format!("cached{number}")).is_ok());
        }
        assert!(COMPILED.lock().len() <= MAX_CACHED);
    }
}
