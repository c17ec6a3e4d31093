//! `CREATE INDEX` strings: parsing and canonical form (`docs/wire/records-storage.md` §5).

use std::fmt;

use crate::db::quote_ident;

/// A parsed index definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    pub name: String,
    pub table: String,
    pub unique: bool,
    pub if_not_exists: bool,
    pub schema: String,
    pub columns: Vec<IndexColumn>,
    pub condition: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct IndexColumn {
    /// Identifier without quotes, or an expression.
    pub name: String,
    pub collate: String,
    /// Upper case: `ASC`, `DESC` or blank.
    pub sort: String,
}

impl Index {
    /// `None` when the text is no index definition.
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text.trim() };
        reader.keyword("create").then_some(())?;
        let unique = reader.keyword("unique");
        reader.keyword("index").then_some(())?;
        let if_not_exists = reader.keyword("if");
        if if_not_exists && !(reader.keyword("not") && reader.keyword("exists")) {
            return None;
        }
        let mut name = reader.identifier()?;
        let mut schema = String::new();
        if reader.symbol('.') {
            schema = std::mem::replace(&mut name, reader.identifier()?);
        }
        reader.keyword("on").then_some(())?;
        let table = reader.identifier().unwrap_or_default();
        let columns = split_list(reader.group()?).into_iter().filter_map(IndexColumn::parse).collect::<Vec<_>>();
        let conditional = reader.keyword("where");
        let condition = if conditional { reader.rest.trim() } else { "" };
        let complete = if conditional { !condition.is_empty() } else { reader.rest.trim().is_empty() };
        // The wire knows no blanks in names (`docs/wire/records-storage.md` §5).
        let has_blank = [&schema, &name, &table].iter().any(|name| name.contains(char::is_whitespace));
        let valid = complete && !name.is_empty() && !has_blank && !columns.is_empty();
        let condition = condition.to_owned();
        valid.then_some(Self { name, table, unique, if_not_exists, schema, columns, condition })
    }

    /// True for an index over this one column.
    pub fn is_on(&self, column: &str) -> bool {
        matches!(self.columns.as_slice(), [only] if only.name.eq_ignore_ascii_case(column))
    }

    /// True when both define the same index under different names.
    pub fn same_definition(&self, other: &Index) -> bool {
        let definition = |index: &Index| Index { name: String::new(), ..index.clone() }.to_string();
        definition(self) == definition(other)
    }

    /// True when both are over the same columns in the same order; collation, order and condition are left out.
    pub fn same_columns(&self, other: &Index) -> bool {
        let names = |index: &Index| index.columns.iter().map(|column| column.name.to_lowercase()).collect::<Vec<_>>();
        self.unique == other.unique && names(self) == names(other)
    }
}

/// The canonical form: one column inline, several on a line each.
impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CREATE ")?;
        f.write_str(if self.unique { "UNIQUE INDEX " } else { "INDEX " })?;
        f.write_str(if self.if_not_exists { "IF NOT EXISTS " } else { "" })?;
        if !self.schema.is_empty() {
            write!(f, "{}.", quote_ident(&self.schema))?;
        }
        write!(f, "{} ON {} (", quote_ident(&self.name), quote_ident(&self.table))?;
        match self.columns.as_slice() {
            [only] => write!(f, "{only}")?,
            several => {
                for (position, column) in several.iter().enumerate() {
                    write!(f, "{}\n  {column}", if position > 0 { "," } else { "" })?;
                }
                f.write_str("\n")?;
            }
        }
        f.write_str(")")?;
        if !self.condition.is_empty() {
            write!(f, " WHERE {}", self.condition)?;
        }
        Ok(())
    }
}

impl IndexColumn {
    /// `None` for a blank entry.
    fn parse(text: &str) -> Option<Self> {
        let mut column = Self { name: text.trim().to_owned(), ..Self::default() };
        for sort in ["ASC", "DESC"] {
            if let Some(rest) = strip_last_word(&column.name, sort) {
                column.name = rest.to_owned();
                column.sort = sort.to_owned();
                break;
            }
        }
        if let Some((rest, collation)) = column.name.rsplit_once(|c: char| c.is_whitespace())
            && let Some(name) = strip_last_word(rest, "COLLATE")
        {
            let collation = unquote(collation);
            column.name = name.to_owned();
            column.collate = collation;
        }
        column.name = unquote(&column.name);
        (!column.name.is_empty()).then_some(column)
    }

    fn is_expression(&self) -> bool {
        self.name.contains(['(', ' '])
    }
}

impl fmt::Display for IndexColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_expression() {
            f.write_str(&self.name)?
        } else {
            f.write_str(&quote_ident(&self.name))?
        }
        if !self.collate.is_empty() {
            write!(f, " COLLATE {}", self.collate)?;
        }
        if !self.sort.is_empty() {
            write!(f, " {}", self.sort)?;
        }
        Ok(())
    }
}

/// Reads words, identifiers and groups from the left.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Takes this word, in any case, if it stands next.
    fn keyword(&mut self, word: &str) -> bool {
        let text = self.rest.trim_start();
        let found = text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        let rest = text.get(word.len()..).unwrap_or_default();
        let whole = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if found && whole {
            self.rest = rest;
        }
        found && whole
    }

    fn symbol(&mut self, symbol: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(symbol);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A quoted or plain identifier, its quotes stripped.
    fn identifier(&mut self) -> Option<String> {
        let text = self.rest.trim_start();
        let first = text.chars().next()?;
        if let Some(end) = closing_quote(first) {
            let length = text[1..].find(end)?;
            self.rest = &text[length + 2..];
            return Some(text[1..=length].to_owned());
        }
        let length = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(text.len());
        self.rest = &text[length..];
        (length > 0).then(|| text[..length].to_owned())
    }

    /// What stands between the next bracket and its partner.
    fn group(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start().strip_prefix('(')?;
        let mut depth = 1;
        let end = outside_quotes(text).find_map(|(position, c)| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            (depth == 0).then_some(position)
        })?;
        self.rest = &text[end + 1..];
        Some(&text[..end])
    }
}

/// Splits at the commas that stand in no bracket and no quotes.
fn split_list(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (position, c) in outside_quotes(text) {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if c == ',' && depth == 0 {
            parts.push(&text[start..position]);
            start = position + 1;
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The characters of an SQL text, with their positions, that stand in no quotes.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut until = None;
    text.char_indices().filter(move |&(_, c)| match until {
        Some(end) => {
            if c == end {
                until = None;
            }
            false
        }
        None => {
            until = closing_quote(c);
            until.is_none()
        }
    })
}

fn closing_quote(open: char) -> Option<char> {
    match open {
        '`' | '"' | '\'' => Some(open),
        '[' => Some(']'),
        _ => None,
    }
}

fn unquote(text: &str) -> String {
    let text = text.trim();
    let inner = text.chars().next().and_then(closing_quote).and_then(|end| text[1..].strip_suffix(end));
    inner.unwrap_or(text).to_owned()
}

/// The text before its last word, if that is `word` in any case.
fn strip_last_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let text = text.trim_end();
    let start = text.len().checked_sub(word.len())?;
    let last = text.get(start..)?;
    let before = text.get(..start)?;
    let separate = before.ends_with(|c: char| c.is_whitespace() || matches!(c, '`' | '"' | '\'' | ']' | ')'));
    (separate && last.eq_ignore_ascii_case(word)).then(|| before.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        for (text, canonical) in [
            ("create index foo on bar (a)", "CREATE INDEX `foo` ON `bar` (`a`)"),
            ("  CREATE  unique INDEX\n\"x\" ON [t] ( 'a' DESC )", "CREATE UNIQUE INDEX `x` ON `t` (`a` DESC)"),
            (
                "CREATE UNIQUE INDEX IF NOT EXISTS main.`idx_u` on t (a collate nocase, lower(b) desc, `b` asc) where a != ''",
                "CREATE UNIQUE INDEX IF NOT EXISTS `main`.`idx_u` ON `t` (\n  `a` COLLATE nocase,\n  lower(b) DESC,\n  `b` ASC\n) WHERE a != ''",
            ),
            ("create index i on t(coalesce(a, ','), b)", "CREATE INDEX `i` ON `t` (\n  coalesce(a, ','),\n  `b`\n)"),
            ("CREATE INDEX `i` ON `` (`a`)", "CREATE INDEX `i` ON `` (`a`)"),
        ] {
            assert_eq!(Index::parse(text).map(|index| index.to_string()).as_deref(), Some(canonical), "{text}");
        }
    }

    #[test]
    fn what_is_no_index() {
        for text in [
            "",
            "create",
            "create index foo",
            "create index on ix (a)",
            "create index f on ix ()",
            "create index f on ix (a",
            "create index f on ix (a) where",
            "create index f on ix (a); drop table ix",
            "create table f (a)",
            "create index if f on ix (a)",
            "create index `f on ix (a)",
            "create index `a b` on ix (a)",
            "create index a on `i x` (a)",
        ] {
            assert_eq!(Index::parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        /// Whatever is sent is parsed or refused, and what was parsed is parsed again from its canonical form.
        #[test]
        fn no_text_breaks_the_parser(text in "(?i)create (unique )?index [ `\"'a-zé\\[\\]().,]{0,40} on [ `\"'a-zé\\[\\]().,]{0,60}") {
            if let Some(index) = Index::parse(&text) {
                let canonical = index.to_string();
                if let Some(again) = Index::parse(&canonical) {
                    proptest::prop_assert_eq!(again.to_string(), canonical);
                }
            }
        }
    }

    #[test]
    fn definitions_are_compared_without_names() {
        let parse = |text: &str| Index::parse(text).expect("an index");
        let index = parse("create unique index a on t (x, y)");
        assert!(index.same_definition(&parse("CREATE UNIQUE INDEX b ON `t` (`x`,`y`)")));
        assert!(!index.same_definition(&parse("create index b on t (x, y)")));
        assert!(index.same_columns(&parse("create unique index b on t (x desc, y collate nocase) where x > 1")));
        assert!(!index.same_columns(&parse("create unique index b on t (y, x)")));
        assert!(parse("create index b on t (`Email` collate nocase)").is_on("email"));
        assert!(!index.is_on("x"));
    }
}
