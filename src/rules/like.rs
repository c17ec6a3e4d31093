//! `~` and `!~`: how a value becomes a pattern (`records-filter.md` §5.4), and SQLite's LIKE in memory.

/// Longer patterns are an error to SQLite (its `SQLITE_MAX_LIKE_PATTERN_LENGTH`), in bytes.
pub(super) const MAX_PATTERN: usize = 50_000;

/// A pattern that matches nothing: it ends in its escape character. It takes the place of one that is too long.
pub(super) const NEVER: &str = "\\";

/// The LIKE pattern (escape character `\`) of a bound value's text. A text with an unescaped `%` is a pattern already;
/// any other is looked for literally, anywhere.
pub(super) fn pattern(text: &str) -> String {
    let pattern = if has_wildcard(text) { text.to_owned() } else { format!("%{}%", escape(text)) };
    if pattern.len() > MAX_PATTERN { NEVER.to_owned() } else { pattern }
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

/// `text LIKE pattern ESCAPE '\'`: ASCII case-insensitive. Takes time in the product of both lengths at most.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let Some(pattern) = tokens(pattern) else { return false };
    let (mut at, mut next) = (0, 0);
    // Where to go on when a later part does not match: after the last `%`, one character further.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&char) = text.get(at) {
        match pattern.get(next) {
            Some(Token::Any) => {
                retry = Some((at + 1, next + 1));
                next += 1;
                continue;
            }
            Some(Token::One) => (at, next) = (at + 1, next + 1),
            Some(Token::Char(expected)) if expected.eq_ignore_ascii_case(&char) => (at, next) = (at + 1, next + 1),
            _ => match retry {
                Some((restart, after)) => {
                    retry = Some((restart + 1, after));
                    (at, next) = (restart, after);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(next).all(|token| *token == Token::Any)
}

#[derive(PartialEq)]
enum Token {
    Any,
    One,
    Char(char),
}

/// `None` for a pattern that ends in its escape character: it matches nothing.
fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut chars = pattern.chars();
    let mut tokens = Vec::with_capacity(pattern.len());
    while let Some(char) = chars.next() {
        tokens.push(match char {
            '%' => Token::Any,
            '_' => Token::One,
            '\\' => Token::Char(chars.next()?),
            other => Token::Char(other),
        });
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
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
                assert_eq!(matches(text, pattern), expected, "{text:?} LIKE {pattern:?}");
            }
        }
    }
}
