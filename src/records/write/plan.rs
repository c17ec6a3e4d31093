//! What writing a collection needs, worked out once per version of the collection.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;
use rusqlite::types::ValueRef;

use crate::{
    db::{ReadTx, Row, Value, quote_ident},
    error::Result,
    records::layout::owned,
    schema::{Collection, FieldKind, LogPolicy},
};

/// Plans remembered, far above the number of collections of any real app.
const MAX_PLANS: usize = 10_000;

/// One collection's statements and the places of its special columns. Rows are all columns in field order.
pub(super) struct Plan {
    pub collection: Arc<Collection>,
    pub columns: Arc<[Arc<str>]>,
    /// Position of `id`.
    pub id: usize,
    /// Positions of what auth collections have on top.
    pub auth: Option<AuthColumns>,
    /// `SELECT <all columns> FROM <table>`, to be continued.
    pub select: String,
    by_id: String,
    pub insert: String,
    /// The same, but nothing happens if a UNIQUE index has it already.
    pub insert_new: String,
    /// `UPDATE <table> SET `, to be continued.
    update: String,
    /// `<column> = ?` of each column.
    settings: Vec<String>,
    pub delete: String,
    /// Whether any field holds files.
    pub has_files: bool,
    /// The columns that the change log may hold, and their field ids.
    pub logged: Vec<usize>,
    pub logged_ids: Arc<[Arc<str>]>,
    /// Rows that the log does not follow while they have one of these values at this position.
    passing: Option<(usize, &'static [&'static str])>,
}

/// Where an auth collection keeps what only it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct AuthColumns {
    pub password: usize,
    pub token_key: usize,
    pub email: usize,
    pub verified: usize,
}

/// How much of a write enters the change log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    /// What it changed: later changes tell the rest.
    Changes,
    /// The whole row as it was: what follows may not be told.
    Whole,
}

/// Which rule of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleKind {
    Create,
    Update,
    Delete,
    Manage,
}

impl Plan {
    pub fn new(collection: Arc<Collection>) -> Self {
        let fields = &collection.fields;
        let columns: Arc<[Arc<str>]> = fields.iter().map(|field| Arc::from(field.name.as_str())).collect();
        let position = |name: &str| fields.iter().position(|field| field.name == name);
        let auth = collection.is_auth().then(|| {
            Some(AuthColumns {
                password: position("password")?,
                token_key: position("tokenKey")?,
                email: position("email")?,
                verified: position("verified")?,
            })
        });
        let auth = auth.flatten();
        let logged: Vec<usize> = (0..fields.len())
            .filter(|&index| {
                !matches!(fields[index].kind, FieldKind::Password(_)) && auth.is_none_or(|auth| auth.token_key != index)
            })
            .collect();
        let table = quote_ident(&collection.name);
        let names: Vec<String> = columns.iter().map(|column| quote_ident(column)).collect();
        let select = format!("SELECT {} FROM {table}", names.join(", "));
        let places = vec!["?"; names.len()].join(", ");
        let settings: Vec<String> = names.iter().map(|name| format!("{name} = ?")).collect();
        Self {
            by_id: format!("{select} WHERE `id` = ?1"),
            insert: format!("INSERT INTO {table} ({}) VALUES ({places})", names.join(", ")),
            update: format!("UPDATE {table} SET "),
            settings,
            insert_new: format!("INSERT INTO {table} ({}) VALUES ({places}) ON CONFLICT DO NOTHING", names.join(", ")),
            delete: format!("DELETE FROM {table} WHERE `id` = ?1"),
            has_files: fields.iter().any(|field| matches!(field.kind, FieldKind::File(_))),
            logged_ids: logged.iter().map(|&index| Arc::from(fields[index].id.as_str())).collect(),
            logged,
            passing: match collection.log_policy() {
                LogPolicy::All => None,
                LogPolicy::Settled { column, passing } => position(column).map(|index| (index, passing)),
            },
            // Every collection has an id: schema refuses one without.
            id: position("id").unwrap_or(0),
            auth,
            select,
            columns,
            collection,
        }
    }

    /// The stored row of a record.
    pub fn load(&self, tx: &ReadTx<'_>, id: &str) -> Result<Option<Row>> {
        tx.query_one(&self.by_id, [id], |row| Ok(self.read(row)))
    }

    /// A row of a statement that begins with [`Plan::select`].
    pub fn read(&self, row: &rusqlite::Row<'_>) -> Row {
        let values = (0..self.columns.len()).map(|index| owned(row.get_ref(index).unwrap_or(ValueRef::Null)));
        Row { columns: self.columns.clone(), values: values.collect() }
    }

    /// Sets these columns, then asks for the id. Only what changes is written: an index over other columns need not
    /// be touched.
    pub fn update(&self, changed: &[usize]) -> String {
        let mut sql = self.update.clone();
        for (place, &column) in changed.iter().enumerate() {
            sql.push_str(if place == 0 { "" } else { ", " });
            sql.push_str(&self.settings[column]);
        }
        sql.push_str(" WHERE `id` = ?");
        sql
    }

    /// What the change log hears of a write.
    pub fn heard(&self, old: Option<&Row>, new: Option<&Row>) -> Heard {
        let Some(((column, values), new)) = self.passing.zip(new) else { return Heard::Changes };
        let passing = |row: &Row| values.contains(&text(row.values.get(column)));
        match (old.is_none_or(passing), passing(new)) {
            (true, true) => Heard::Nothing,
            (false, true) => Heard::Whole,
            (_, false) => Heard::Changes,
        }
    }

    /// Values under this collection's column names.
    pub fn row(&self, values: Vec<Value>) -> Row {
        Row { columns: self.columns.clone(), values }
    }

    /// The id of one of this collection's rows.
    pub fn id_of<'r>(&self, row: &'r Row) -> &'r str {
        text(row.values.get(self.id))
    }

    pub fn rule(&self, kind: RuleKind) -> Option<&str> {
        match kind {
            RuleKind::Create => self.collection.create_rule.as_deref(),
            RuleKind::Update => self.collection.update_rule.as_deref(),
            RuleKind::Delete => self.collection.delete_rule.as_deref(),
            RuleKind::Manage => self.collection.auth().and_then(|options| options.manage_rule.as_deref()),
        }
    }
}

/// The text of a value; blank for anything else.
pub(super) fn text(value: Option<&Value>) -> &str {
    match value {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// The plans of the collections in use.
#[derive(Default)]
pub(super) struct Plans {
    /// By collection id; held for a lookup only.
    known: RwLock<HashMap<Arc<str>, Arc<Plan>>>,
}

impl Plans {
    /// The plan of this version of a collection.
    pub fn of(&self, collection: &Arc<Collection>) -> Arc<Plan> {
        if let Some(plan) = self.known.read().get(&collection.id)
            && Arc::ptr_eq(&plan.collection, collection)
        {
            return plan.clone();
        }
        let plan = Arc::new(Plan::new(collection.clone()));
        let mut known = self.known.write();
        if known.len() >= MAX_PLANS {
            // Deleted collections are never asked for again; the others come back.
            known.clear();
        }
        known.insert(collection.id.clone(), plan.clone());
        plan
    }
}
