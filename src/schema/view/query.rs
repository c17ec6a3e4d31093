//! A loose reading of a view's query: which columns it selects from which tables (`docs/wire/records-collections.md`
//! §7). SQLite judges whether the query is right; this only tells what its columns mean.

/// A selected column or a table, with the name that it has in the result or in the query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    /// Quotes of identifiers stripped.
    pub original: String,
    pub alias: String,
}

/// What the outermost SELECT says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ViewQuery {
    pub columns: Vec<Named>,
    /// FROM first, then joins.
    pub tables: Vec<Named>,
}

impl ViewQuery {
    /// `Err` says what a view's query must not do.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut found = Self::default();
        let mut part = Part::Before;
        let mut item = Vec::new();
        for token in tokens(query) {
            let Token::Word(word) = &token else {
                found.add(part, std::mem::take(&mut item))?;
                continue;
            };
            let next = match word.to_ascii_lowercase().as_str() {
                "select" => Part::Columns,
                "from" if part != Part::Before => Part::Tables,
                "join" if part != Part::Before => Part::Tables,
                "union" | "intersect" | "except" if part != Part::Before => {
                    return Err("compound queries are not supported, put them into a sub-select".to_owned());
                }
                "where" | "group" | "having" | "order" | "limit" | "window" if part != Part::Before => Part::After,
                _ => {
                    item.push(word.clone());
                    continue;
                }
            };
            found.add(part, std::mem::take(&mut item))?;
            part = next;
        }
        found.add(part, item)?;
        Ok(found)
    }

    /// Takes the words of one comma-separated entry.
    fn add(&mut self, part: Part, words: Vec<String>) -> Result<(), String> {
        match part {
            Part::Columns => self.columns.extend(column(words)?),
            Part::Tables => self.tables.extend(table(words)),
            Part::Before | Part::After => {}
        }
        Ok(())
    }

    /// The table or alias of this name.
    pub fn table(&self, alias: &str) -> Option<&Named> {
        self.tables.iter().find(|table| table.alias == alias)
    }
}

/// The query without surrounding blanks and trailing semicolons.
pub(super) fn trim(query: &str) -> &str {
    query.trim_matches(|c: char| c.is_whitespace() || c == ';')
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Before,
    Columns,
    Tables,
    After,
}

enum Token {
    /// Without blanks at the outermost level; what stands in quotes or brackets belongs to its word.
    Word(String),
    Comma,
}

fn column(mut words: Vec<String>) -> Result<Option<Named>, String> {
    if words.first().is_some_and(|word| word.eq_ignore_ascii_case("distinct") || word.eq_ignore_ascii_case("all")) {
        words.remove(0);
    }
    let Some(last) = words.last().cloned() else { return Ok(None) };
    if last == "*" || last.ends_with(".*") {
        return Err("wildcard columns (*) are not supported, name the columns".to_owned());
    }
    // `count (x)`: what stands in brackets belongs to the word before it.
    while let Some(at) = words.iter().skip(1).position(|word| word.starts_with('(')) {
        let group = words.remove(at + 1);
        words[at].push_str(&group);
    }
    let (words, alias) = match words.as_slice() {
        [only] => (vec![only.clone()], only.rsplit('.').next().unwrap_or_default().to_owned()),
        [expression @ .., word, _] if word.eq_ignore_ascii_case("as") => (expression.to_vec(), last),
        [expression, _] => (vec![expression.clone()], last),
        // An expression without a name: SQLite names it.
        _ => (words, String::new()),
    };
    Ok(Some(Named { original: strip_quotes(&words.concat()), alias: strip_quotes(&alias).replace('\'', "") }))
}

fn table(words: Vec<String>) -> Option<Named> {
    // What belongs to a join operator or its condition.
    let before = |word: &str| {
        ["natural", "full", "left", "right", "outer", "inner", "cross"].iter().any(|it| word.eq_ignore_ascii_case(it))
    };
    let names = words
        .iter()
        .map(String::as_str)
        .take_while(|word| !before(word) && !word.eq_ignore_ascii_case("on") && !word.eq_ignore_ascii_case("using"));
    let names: Vec<&str> = names.filter(|word| !word.eq_ignore_ascii_case("as")).collect();
    let original = strip_quotes(names.first()?);
    let alias = match names.get(1) {
        Some(alias) => strip_quotes(alias),
        None => original.rsplit('.').next().unwrap_or_default().to_owned(),
    };
    Some(Named { original, alias })
}

/// Cuts a query into words and commas; comments are blanks.
fn tokens(query: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut depth = 0usize;
    let mut until: Option<char> = None;
    let mut chars = query.chars().peekable();
    while let Some(c) = chars.next() {
        if let Some(end) = until {
            word.push(c);
            until = (c != end).then_some(end);
            continue;
        }
        let comment = match (c, chars.peek()) {
            ('-', Some('-')) => chars.by_ref().find(|&c| c == '\n').is_some() || chars.peek().is_none(),
            ('/', Some('*')) => {
                let mut previous = ' ';
                chars.next();
                chars.by_ref().find(|&c| std::mem::replace(&mut previous, c) == '*' && c == '/');
                true
            }
            _ => false,
        };
        let c = if comment { ' ' } else { c };
        match c {
            '`' | '"' | '\'' => until = Some(c),
            '[' => until = Some(']'),
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let separates = depth == 0 && (c.is_whitespace() || c == ',');
        if !separates {
            word.push(if c.is_whitespace() { ' ' } else { c });
            continue;
        }
        if !word.is_empty() {
            found.push(Token::Word(std::mem::take(&mut word)));
        }
        if c == ',' {
            found.push(Token::Comma);
        }
    }
    if !word.is_empty() {
        found.push(Token::Word(word));
    }
    found
}

fn strip_quotes(text: &str) -> String {
    text.replace(['`', '"', '[', ']'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(named: &[Named]) -> Vec<(&str, &str)> {
        named.iter().map(|named| (named.original.as_str(), named.alias.as_str())).collect()
    }

    #[test]
    fn columns_and_tables_are_found() {
        for (query, columns, tables) in [
            ("select id, a from t", vec![("id", "id"), ("a", "a")], vec![("t", "t")]),
            (
                "SELECT DISTINCT u.id,\n\tu.`name` AS \"n\", [x] y FROM `users` AS u WHERE u.a in (select 1) ORDER BY 1",
                vec![("u.id", "id"), ("u.name", "n"), ("x", "y")],
                vec![("users", "u")],
            ),
            (
                "select a.id, count (*) c, cast(b.x as int) as i from a left outer join b on b.id = a.b join c d using (id), e",
                vec![("a.id", "id"), ("count(*)", "c"), ("cast(b.x as int)", "i")],
                vec![("a", "a"), ("b", "b"), ("c", "d"), ("e", "e")],
            ),
            (
                "with x as (select id, 1 as k from t) select id -- , no\n, ',' || k /* from */ as p from x natural join y",
                vec![("id", "id"), ("','||k", "p")],
                vec![("x", "x"), ("y", "y")],
            ),
            (
                "select (row_number() over()) as id, 'a, b' s, 1 + 2 from (select 1) t",
                vec![("(row_number() over())", "id"), ("'a, b'", "s"), ("1+2", "")],
                vec![("(select 1)", "t")],
            ),
            ("values ('a')", vec![], vec![]),
            ("", vec![], vec![]),
        ] {
            let found = ViewQuery::parse(query).expect(query);
            assert_eq!(pairs(&found.columns), columns, "{query}");
            assert_eq!(pairs(&found.tables), tables, "{query}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader(query in "(select|from|join|as|on|union|--|/\\*|\\*/|[ ,.()`\"'\\[\\]*;aé\n]){0,40}") {
            let _ = ViewQuery::parse(&query);
        }
    }

    #[test]
    fn refused_queries() {
        for query in ["select * from t", "select id, t.* from t", "select id from a union select id from b"] {
            assert!(ViewQuery::parse(query).is_err(), "{query}");
        }
        for odd in ["select 'open", "select (", "/*", "--", "select /* x", ",,,", "from from", "select select"] {
            let _ = ViewQuery::parse(odd);
        }
    }
}
