//! What a tester looks for in a captured mail: its links, the tokens at their ends, and its codes.

use std::sync::LazyLock;

use regex::Regex;

use super::text;

/// More links, tokens or codes than this are not listed.
const MAX_FOUND: usize = 100;
/// The lengths of a code, in digits: those that a collection may choose for its one-time passwords.
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 4..=255;

static URL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"https?://[^\s<>"'()]+"#).expect("the pattern is a constant"));
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}").expect("the pattern is a constant")
});
static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\S+").expect("the pattern is a constant"));

/// What was found, each once and in the mail's order.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    pub links: Vec<String>,
    pub tokens: Vec<String>,
    pub codes: Vec<String>,
}

/// Looks through a mail.
pub fn from(html: &str, plain: &str) -> Found {
    let mut found = Found::default();
    for link in text::targets(html).filter(|link| URL.find(link).is_some_and(|it| it.start() == 0)) {
        add(&mut found.links, &link);
    }
    for link in URL.find_iter(plain) {
        let link = link.as_str().trim_end_matches(['.', ',', ';', ':', '!', '?']);
        // The text has the targets of the anchors once more, some of them cut short by this pattern.
        if !found.links.iter().any(|known| known.starts_with(link)) {
            add(&mut found.links, link);
        }
    }
    let texts = found.links.iter().map(String::as_str).chain([plain]);
    let tokens: Vec<&str> = texts.flat_map(|text| TOKEN.find_iter(text)).map(|token| token.as_str()).collect();
    for token in tokens {
        add(&mut found.tokens, token);
    }
    for word in WORD.find_iter(plain) {
        let word = word.as_str().trim_matches(|c: char| !c.is_alphanumeric());
        if CODE_DIGITS.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit()) {
            add(&mut found.codes, word);
        }
    }
    found
}

fn add(list: &mut Vec<String>, text: &str) {
    if list.len() < MAX_FOUND && !list.iter().any(|known| known == text) {
        list.push(text.to_owned());
    }
}
