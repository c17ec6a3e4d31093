//! `CREATE INDEX` strings: parsing and canonical form (`docs/wire/records-storage.md` §5).

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
    pub sort: String,
}

impl Index {
    /// `None` when the text is no index definition.
    pub fn parse(text: &str) -> Option<Self> {
        todo!()
    }
}
