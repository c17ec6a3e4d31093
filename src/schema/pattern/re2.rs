//! RE2's spelling of regular expressions in the `regex` crate's. Both match the same way.

/// Longer patterns are refused, in bytes.
const MAX_PATTERN: usize = 5000;
/// RE2's limit on `{n}`.
const MAX_REPEAT: u32 = 1000;

/// An RE2 expression in the spelling of the `regex` crate: classes like `\w` are ASCII, braces that repeat nothing and
/// brackets in classes stand for themselves, classes have no set operators.
pub fn translate(pattern: &str) -> std::result::Result<String, String> {
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
