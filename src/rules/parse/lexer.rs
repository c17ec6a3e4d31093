//! Cuts a filter's text into tokens (`records-filter.md` §2.1–2.3). Positions are byte offsets into the text.

use super::{
    ParseError,
    expr::{Operator, Sign},
};

/// One token with where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub position: usize,
    pub kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Text(String),
    Number(f64),
    Identifier(String),
    /// An identifier with its opening parenthesis.
    Function(String),
    Operator(Operator),
    And,
    Or,
    Open,
    Close,
    Comma,
}

/// Reads one token after the other; the caller decides what may follow what.
pub(super) struct Lexer<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, position: 0 }
    }

    /// Where the next token starts, or the end of the text.
    pub fn position(&mut self) -> usize {
        self.skip_blanks();
        self.position
    }

    /// Where the last token ended.
    pub fn end(&self) -> usize {
        self.position
    }

    /// The next token; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Token>, ParseError> {
        let position = self.position();
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let kind = match first {
            '(' => self.single(TokenKind::Open),
            ')' => self.single(TokenKind::Close),
            ',' => self.single(TokenKind::Comma),
            '\'' | '"' => self.quoted(first)?,
            '-' | '0'..='9' => self.number()?,
            '=' | '?' | '!' | '>' | '<' | '~' => self.operator()?,
            '&' | '|' => self.join()?,
            'a'..='z' | 'A'..='Z' | '_' | '@' | '#' => self.identifier()?,
            other => return Err(ParseError::new(position, format!("{other:?} has no meaning here"))),
        };
        Ok(Some(Token { position, kind }))
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn single(&mut self, kind: TokenKind) -> TokenKind {
        self.position += 1;
        kind
    }

    /// Spaces, tabs, line feeds and comments.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n']).len();
            self.position += blank;
            if self.rest().starts_with("//") {
                self.position += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if blank == 0 {
                return;
            }
        }
    }

    /// Takes the longest run of bytes that satisfy `accept`; these are ASCII only.
    fn run(&mut self, accept: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.bytes().position(|byte| !accept(byte)).unwrap_or(rest.len());
        self.position += length;
        rest.get(..length).unwrap_or_default()
    }

    fn quoted(&mut self, quote: char) -> Result<TokenKind, ParseError> {
        let start = self.position;
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, char)) = chars.next() {
            match char {
                '\0' => return Err(ParseError::new(start + offset, "a text cannot hold a NUL byte")),
                '\\' => match chars.next() {
                    Some((_, escaped @ ('\\' | '\'' | '"'))) => value.push(escaped),
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    // The backslash of any other pair stays: it matters to the pattern operators (§5.4).
                    Some((at, '\0')) => return Err(ParseError::new(start + at, "a text cannot hold a NUL byte")),
                    Some((_, other)) => value.extend(['\\', other]),
                    None => break,
                },
                char if char == quote => {
                    self.position = start + offset + 1;
                    return Ok(TokenKind::Text(value));
                }
                char => value.push(char),
            }
        }
        Err(ParseError::new(start, "the text has no closing quote"))
    }

    fn number(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.position;
        let digits = |byte: u8| byte.is_ascii_digit();
        if self.rest().starts_with('-') {
            self.position += 1;
        }
        let mut complete = !self.run(digits).is_empty();
        if complete && self.rest().starts_with('.') {
            self.position += 1;
            complete = !self.run(digits).is_empty();
        }
        let text = self.text.get(start..self.position).unwrap_or_default();
        match text.parse::<f64>() {
            Ok(number) if complete && number.is_finite() => Ok(TokenKind::Number(number)),
            _ => Err(ParseError::new(start, "this is no number")),
        }
    }

    fn operator(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.position;
        let run = self.run(|byte| b"=?!><~".contains(&byte));
        let (any, sign) = run.strip_prefix('?').map_or((false, run), |sign| (true, sign));
        let sign = Sign::from_text(sign)
            .ok_or_else(|| ParseError::new(start, format!("{run:?} is no comparison operator")))?;
        Ok(TokenKind::Operator(Operator { sign, any }))
    }

    fn join(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.position;
        match self.run(|byte| b"&|".contains(&byte)) {
            "&&" => Ok(TokenKind::And),
            "||" => Ok(TokenKind::Or),
            other => Err(ParseError::new(start, format!("{other:?} joins nothing: use && or ||"))),
        }
    }

    fn identifier(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.position;
        // The first character is known to be a start; `@` and `#` are allowed nowhere else.
        self.position += 1;
        self.run(|byte| byte.is_ascii_alphanumeric() || b"_.:".contains(&byte));
        let name = self.text.get(start..self.position).unwrap_or_default();
        if matches!(name, "_" | "@" | "#") || name.ends_with(['.', ':']) {
            return Err(ParseError::new(start, format!("{name:?} is no identifier")));
        }
        if self.rest().starts_with('(') {
            self.position += 1;
            return Ok(TokenKind::Function(name.to_owned()));
        }
        Ok(TokenKind::Identifier(name.to_owned()))
    }
}
