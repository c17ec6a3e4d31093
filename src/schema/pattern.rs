//! Regular expressions of field settings: as checks of values, and read backwards as generators of values.
//!
//! The wire's expressions are RE2's (`docs/wire/records-collections.md` §4.4, §4.5). The `regex` crate matches the same
//! way but spells some things differently; [`re2`] closes that gap.

mod re2;

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

/// Compiled patterns may not need more than this, in bytes.
const MAX_COMPILED: usize = 2 << 20;
/// Characters and classes that a pattern may have with its repeats written out: matching takes up to as many steps for
/// each character of the text.
const MAX_POSITIONS: usize = 5000;
/// Compiled patterns that are kept.
const MAX_CACHED: usize = 128;
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
    let translated = re2::translate(pattern)?;
    // What cannot be parsed is for the compiler to explain.
    if regex_syntax::parse(&translated).is_ok_and(|hir| positions(&hir) > MAX_POSITIONS) {
        return Err("The pattern is too large.".to_owned());
    }
    regex::RegexBuilder::new(&translated).size_limit(MAX_COMPILED).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "The pattern is too large.".to_owned(),
        error => format!("Not a regular expression: {}", error.to_string().lines().last().unwrap_or_default().trim()),
    })
}

/// The depth is bounded by the parser's nest limit.
fn positions(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(_) => 1,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            positions(&repetition.sub).saturating_mul(usize::try_from(times).unwrap_or(usize::MAX))
        }
        HirKind::Capture(capture) => positions(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(positions).fold(0, usize::saturating_add)
        }
    }
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
    let translated = re2::translate(pattern).map_err(Error::invalid)?;
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
            ("^[a-z0-9_-]{1,1000}$", "a-b", true),
            (r"^\pL{2,20}$", "éé", true),
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
            "(a{1000}){6}",
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
