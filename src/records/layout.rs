//! How records of one collection look to one audience, worked out once per version of the collection
//! (`docs/wire/records-api.md` §7).

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;
use rusqlite::types::ValueRef;

use crate::{
    db::{ReadTx, Row, Value, quote_ident},
    error::Result,
    rules::Sql,
    schema::{Collection, Field, FieldKind, index::Index},
};

const COLLECTION_ID: &str = "collectionId";
const COLLECTION_NAME: &str = "collectionName";
const EXPAND: &str = "expand";

/// Tables remembered, far above the number of collections of any real app.
const MAX_TABLES: usize = 10_000;

/// Who looks at a record, as far as fields are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Guests and users: no hidden fields.
    Public,
    /// All but password hashes and token keys.
    Superuser,
}

/// What reading a collection needs, precomputed.
#[derive(Debug)]
pub struct Table {
    pub collection: Arc<Collection>,
    /// All columns in field order: the columns of every stored row.
    pub columns: Arc<[Arc<str>]>,
    /// All columns of one record by its id (`?1`).
    by_id: String,
    /// Position of `id` in `columns`.
    pub id: usize,
    /// Position of `emailVisibility` in `columns`; auth collections only.
    pub email_visibility: Option<usize>,
    public: Arc<Layout>,
    superuser: Arc<Layout>,
}

impl Table {
    /// The stored row of a record.
    pub fn by_id(&self, tx: &ReadTx<'_>, id: &str) -> Result<Option<Row>> {
        tx.query_one(&self.by_id, [id], |row| Ok(self.stored(row)))
    }

    /// Calls `f` with each stored row of a query that selects [`Table::column_names`].
    pub fn each(&self, tx: &ReadTx<'_>, sql: &Sql, mut f: impl FnMut(Row) -> Result<()>) -> Result<()> {
        let mut statement = tx.prepare(&sql.text)?;
        let mut rows = statement.query(rusqlite::params_from_iter(&sql.params))?;
        while let Some(row) = rows.next()? {
            f(self.stored(row))?;
        }
        Ok(())
    }

    /// All stored rows of a query that selects [`Table::column_names`].
    pub fn load(&self, tx: &ReadTx<'_>, sql: &Sql) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.each(tx, sql, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// A row with all columns in field order, whatever order (or lack) it came with.
    pub fn arrange(&self, row: &Arc<Row>) -> Arc<Row> {
        if Arc::ptr_eq(&row.columns, &self.columns) || row.columns == self.columns {
            return row.clone();
        }
        let values = self
            .columns
            .iter()
            .zip(&self.collection.fields)
            .map(|(column, field)| row.get(column).cloned().unwrap_or_else(|| field.kind.as_type().zero()));
        Arc::new(Row { columns: self.columns.clone(), values: values.collect() })
    }

    /// The id of a stored row.
    pub fn id_of<'r>(&self, row: &'r Row) -> Option<&'r str> {
        match row.values.get(self.id)? {
            Value::Text(id) => Some(id),
            _ => None,
        }
    }

    fn stored(&self, row: &rusqlite::Row<'_>) -> Row {
        let value = |position| owned(row.get_ref(position).unwrap_or(ValueRef::Null));
        Row { columns: self.columns.clone(), values: (0..self.columns.len()).map(value).collect() }
    }
}

/// Text that is no UTF-8 (written by other hands) is repaired: the wire cannot carry it.
pub fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(match str::from_utf8(text) {
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(text).into_owned(),
        }),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// The keys of a record in the order of the wire, and where their values come from.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Fields (positions in the collection) to select, in this order.
    pub selected: Vec<usize>,
    /// In bytewise order of their keys.
    pub steps: Vec<Step>,
    /// Where a selected row has its id, for whoever has to ask about e-mail visibility.
    pub id: Option<Cell>,
    pub email_visibility: Option<Cell>,
}

/// One part of a rendered record. Every part begins with a comma; the first comma becomes the opening brace.
#[derive(Debug, Clone)]
pub enum Step {
    /// `,"key":value` known in advance.
    Constant(Box<[u8]>),
    /// `,"key":` and the field's value.
    Field { key: Box<[u8]>, cell: Cell },
    /// The same, for the eyes of some only (§7 `email`).
    Email { key: Box<[u8]>, cell: Cell },
    /// The place of `expand`.
    Expand,
}

/// Where a row holds a field.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// Position of the field in its collection, and so in a stored row.
    pub field: usize,
    /// Position among the layout's selected columns.
    pub selected: usize,
}

/// A row that a layout can be filled from.
pub trait Cells {
    fn cell(&self, cell: Cell) -> ValueRef<'_>;
}

/// A row of a statement that selects [`Layout::selected`].
impl Cells for rusqlite::Row<'_> {
    fn cell(&self, cell: Cell) -> ValueRef<'_> {
        self.get_ref(cell.selected).unwrap_or(ValueRef::Null)
    }
}

/// A stored row: all columns in field order.
impl Cells for Row {
    fn cell(&self, cell: Cell) -> ValueRef<'_> {
        self.values.get(cell.field).map_or(ValueRef::Null, ValueRef::from)
    }
}

impl Table {
    pub fn new(collection: Arc<Collection>) -> Self {
        let columns: Arc<[Arc<str>]> = collection.fields.iter().map(|field| Arc::from(field.name.as_str())).collect();
        let position = |name: &str| collection.fields.iter().position(|field| field.name == name);
        let list: Vec<String> = columns.iter().map(|column| quote_ident(column)).collect();
        let table = quote_ident(&collection.name);
        Self {
            by_id: format!("SELECT {} FROM {table} WHERE {table}.`id` = ?1", list.join(", ")),
            // Every collection has an id: schema refuses one without.
            id: position("id").unwrap_or(0),
            email_visibility: if collection.is_auth() { position("emailVisibility") } else { None },
            public: Arc::new(Layout::new(&collection, Audience::Public, |_| true)),
            superuser: Arc::new(Layout::new(&collection, Audience::Superuser, |_| true)),
            columns,
            collection,
        }
    }

    pub fn layout(&self, audience: Audience) -> &Arc<Layout> {
        match audience {
            Audience::Public => &self.public,
            Audience::Superuser => &self.superuser,
        }
    }

    /// The names of all columns, to be selected.
    pub fn column_names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| &**column).collect()
    }

    /// The names of the columns that a layout needs.
    pub fn selected_names(&self, layout: &Layout) -> Vec<&str> {
        layout.selected.iter().map(|&field| &*self.columns[field]).collect()
    }
}

impl Layout {
    /// The keys of a record that this audience may see and `keep` wants.
    pub fn new(collection: &Collection, audience: Audience, keep: impl Fn(&str) -> bool) -> Self {
        let fields = collection.fields.iter().enumerate().filter(|(_, field)| is_visible(collection, field, audience));
        let mut keys: Vec<(&str, Option<usize>)> = fields
            .map(|(position, field)| (field.name.as_str(), Some(position)))
            .chain([COLLECTION_ID, COLLECTION_NAME, EXPAND].map(|name| (name, None)))
            .filter(|(name, _)| keep(name))
            .collect();
        keys.sort_unstable();
        let mut layout = Self { selected: Vec::new(), steps: Vec::new(), id: None, email_visibility: None };
        for (name, field) in keys {
            match field {
                Some(field) => layout.push_field(collection, field, audience),
                None => layout.push_special(collection, name),
            }
        }
        if layout.steps.iter().any(|step| matches!(step, Step::Email { .. })) {
            let position = |name: &str| collection.fields.iter().position(|field| field.name == name);
            layout.id = position("id").map(|field| layout.select(field));
            layout.email_visibility = position("emailVisibility").map(|field| layout.select(field));
        }
        layout.avoid_covering_index(collection);
        layout
    }

    /// The layout with these fields selected as well, shown or not, and their places.
    pub fn also(self: &Arc<Self>, fields: &[usize]) -> (Arc<Self>, Vec<Cell>) {
        let mut layout = self.clone();
        let cells = fields.iter().map(|&field| match layout.place(field) {
            Some(cell) => cell,
            None => Arc::make_mut(&mut layout).select(field),
        });
        let cells = cells.collect();
        (layout, cells)
    }

    /// When all selected columns stand in one index, SQLite reads that instead of the table and hands the rows out in
    /// its order. A list without `sort` would then depend on what is picked: a column of no index prevents it.
    fn avoid_covering_index(&mut self, collection: &Collection) {
        let indexes: Vec<Index> = collection.indexes.iter().filter_map(|text| Index::parse(text)).collect();
        let in_no_index = |name: &str| {
            name != "id" && !indexes.iter().any(|index| index.columns.iter().any(|column| column.name == name))
        };
        if self.selected.iter().any(|&field| in_no_index(&collection.fields[field].name)) {
            return;
        }
        if let Some(field) = collection.fields.iter().position(|field| in_no_index(&field.name)) {
            self.select(field);
        }
    }

    fn push_field(&mut self, collection: &Collection, position: usize, audience: Audience) {
        let field = &collection.fields[position];
        let key = key(&field.name);
        if matches!(field.kind, FieldKind::Password(_)) {
            // The hash never leaves (§7).
            return self.push_constant(&[&key, &b"\"\""[..]].concat());
        }
        let cell = self.select(position);
        let private = collection.is_auth() && audience == Audience::Public && field.name == "email";
        self.steps.push(if private { Step::Email { key, cell } } else { Step::Field { key, cell } });
    }

    fn push_special(&mut self, collection: &Collection, name: &str) {
        match name {
            COLLECTION_ID => self.push_constant(&[&key(name), &*quoted(&collection.id)].concat()),
            COLLECTION_NAME => self.push_constant(&[&key(name), &*quoted(&collection.name)].concat()),
            _ => self.steps.push(Step::Expand),
        }
    }

    /// Neighbouring constants become one.
    fn push_constant(&mut self, bytes: &[u8]) {
        if let Some(Step::Constant(last)) = self.steps.last_mut() {
            *last = [&**last, bytes].concat().into();
        } else {
            self.steps.push(Step::Constant(bytes.into()));
        }
    }

    fn select(&mut self, field: usize) -> Cell {
        self.place(field).unwrap_or_else(|| {
            self.selected.push(field);
            Cell { field, selected: self.selected.len() - 1 }
        })
    }

    fn place(&self, field: usize) -> Option<Cell> {
        let selected = self.selected.iter().position(|&known| known == field)?;
        Some(Cell { field, selected })
    }
}

fn is_visible(collection: &Collection, field: &Field, audience: Audience) -> bool {
    let secret = collection.is_auth() && matches!(field.name.as_str(), "password" | "tokenKey");
    !secret && (audience == Audience::Superuser || !field.hidden)
}

/// `,"name":`
fn key(name: &str) -> Box<[u8]> {
    [&b","[..], &quoted(name), &b":"[..]].concat().into()
}

fn quoted(text: &str) -> Box<[u8]> {
    serde_json::to_vec(text).expect("a string is always JSON").into()
}

/// The tables of the collections in use.
#[derive(Default)]
pub struct Tables {
    /// By collection id; held for a lookup only.
    known: RwLock<HashMap<Arc<str>, Arc<Table>>>,
}

impl Tables {
    /// The table of this version of a collection.
    pub fn of(&self, collection: &Arc<Collection>) -> Arc<Table> {
        if let Some(table) = self.known.read().get(&collection.id)
            && Arc::ptr_eq(&table.collection, collection)
        {
            return table.clone();
        }
        let table = Arc::new(Table::new(collection.clone()));
        let mut known = self.known.write();
        if known.len() >= MAX_TABLES {
            // Deleted collections are never asked for again; the others come back.
            known.clear();
        }
        known.insert(collection.id.clone(), table.clone());
        table
    }
}
