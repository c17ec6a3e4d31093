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
    for word in plain.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
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

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6IjEifQ.c2ln-_bmF0";

    fn found(html: &str) -> Found {
        from(html, &text::from_html(html))
    }

    #[test]
    fn testers_find_links_tokens_and_codes() {
        let link = format!("https://app.test/_/#/auth/confirm-verification/{TOKEN}");
        for html in [
            format!("<p>Hi <a class=btn href=\"{link}\">Confirm</a>, bye.</p>"),
            format!("<p>Open {link}.</p>"),
            format!("<a href=\"{link}\">{link}</a>"),
        ] {
            let expected = Found { links: vec![link.clone()], tokens: vec![TOKEN.to_owned()], codes: vec![] };
            assert_eq!(found(&html), expected, "{html}");
        }
        let custom = format!("<a href='myapp://x?t={TOKEN}'>a</a><a href='https://x.y/?token={TOKEN}&amp;b=1'>b</a>");
        assert_eq!(found(&custom).links, [format!("https://x.y/?token={TOKEN}&b=1")]);
        assert_eq!(found(&custom).tokens, [TOKEN]);
        assert_eq!(found(&format!("code: {TOKEN}")).tokens, [TOKEN]);
        assert_eq!(found("<a href='#'>a</a> <a href='mailto:a@b.c'>b</a>"), Found::default());
    }

    #[test]
    fn codes_are_digits_that_stand_alone() {
        for (html, expected) in [
            ("Your code is <strong>01234567</strong>", vec!["01234567"]),
            ("123456.", vec!["123456"]),
            ("(1234), \"5678\"!", vec!["1234", "5678"]),
            ("123 12a45 2026-11-22 07:09:31.052Z 127.0.0.1 1,500", vec![]),
            ("https://x.y/123456", vec![]),
            ("1111 2222 1111", vec!["1111", "2222"]),
        ] {
            assert_eq!(found(html).codes, expected, "{html}");
        }
    }

    #[test]
    fn lists_are_bounded() {
        let html: String = (0..1000).map(|n| format!("https://x.y/{n}/eyJaaaa.bbbb.c{n:05} {n:06} ")).collect();
        let found = found(&html);
        assert_eq!([found.links.len(), found.tokens.len(), found.codes.len()], [MAX_FOUND; 3]);
    }
}
