//! Records as live listeners see them (`docs/wire/services-realtime.md` §3, §4): one state of a record, judged and
//! rendered for many.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::{
    Records, Shape,
    answer::Asked,
    layout::{Audience, Table},
};
use crate::{
    db::{ReadTx, Row},
    error::Result,
    rules::{self, Query, Request, Verdict},
    schema::{Catalog, Collection},
};

/// Which rule decides about a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The whole collection: its list rule.
    Collection,
    /// One record: the view rule.
    Record,
}

/// What a listener asked for, and as whom.
#[derive(Debug, Clone)]
pub struct Lens {
    pub request: Arc<Request>,
    pub scope: Scope,
    /// A client's filter; blank is none.
    pub filter: String,
    pub shape: Shape,
}

/// A record at one point of the log.
#[derive(Clone)]
pub struct State {
    catalog: Arc<Catalog>,
    table: Arc<Table>,
    /// All columns; secrets, which the log does not hold, are blank.
    row: Arc<Row>,
    /// The texts that were written so far, by what distinguishes them.
    rendered: Rendered,
}

type Rendered = Arc<parking_lot::Mutex<HashMap<Look, Bytes>>>;

/// What a text without expansions depends on.
#[derive(PartialEq, Eq, Hash)]
struct Look {
    superuser: bool,
    email: bool,
    fields: Option<String>,
}

/// What can be said without asking SQL.
#[derive(Debug)]
pub enum Glance {
    /// The listener may not see it, or did not ask for it.
    Hidden,
    /// The record as the listener sees it.
    Seen(Bytes),
    /// Ask [`State::look`].
    Unsure,
}

impl Records {
    /// A row of the log (`image`: values under field ids) as today's collection reads it.
    pub fn state(&self, catalog: &Arc<Catalog>, collection: &Arc<Collection>, image: &Row) -> State {
        let table = self.tables.of(collection);
        let values = collection.fields.iter().map(|field| {
            let kind = field.kind.as_type();
            image.get(&field.id).map_or_else(|| kind.zero(), |value| kind.normalise_stored(value.into()))
        });
        let row = Arc::new(Row { columns: table.columns.clone(), values: values.collect() });
        State { catalog: catalog.clone(), table, row, rendered: Rendered::default() }
    }
}

impl State {
    /// Judges and renders without SQL where that is possible.
    pub fn glance(&self, records: &Records, lens: &Lens) -> Glance {
        match self.judge(lens) {
            Verdict::NoMatch => Glance::Hidden,
            Verdict::NeedsSql => Glance::Unsure,
            Verdict::Match => match self.asked(records, lens) {
                Ok(asked) if asked.streams(&self.table) => {
                    self.write(&asked, lens).map_or(Glance::Hidden, Glance::Seen)
                }
                Ok(_) => Glance::Unsure,
                // What cannot be answered is not answered (§3.1).
                Err(_) => Glance::Hidden,
            },
        }
    }

    /// Judges as a virtual row against the data of `tx`, and renders. `None`: not to be seen.
    pub fn look(&self, records: &Records, tx: &ReadTx<'_>, lens: &Lens) -> Result<Option<Bytes>> {
        if self.judge(lens) == Verdict::NoMatch || !self.satisfies(tx, lens)? {
            return Ok(None);
        }
        let Ok(asked) = self.asked(records, lens) else { return Ok(None) };
        if asked.streams(&self.table) {
            return self.write(&asked, lens).map(Some);
        }
        Ok(Some(asked.one_in(tx, &self.table, &self.row)?.into()))
    }

    /// The three keys that tell which record it is, for a listener who may not see more.
    pub fn reference(&self) -> Bytes {
        let collection = &self.table.collection;
        let id = self.table.id_of(&self.row).unwrap_or_default();
        let keys = serde_json::json!({"collectionId": &*collection.id, "collectionName": &*collection.name, "id": id});
        keys.to_string().into()
    }

    /// All columns under their names.
    pub fn row(&self) -> &Arc<Row> {
        &self.row
    }

    /// Whether it satisfies `rule`, as a rule judged for `request`, as far as that can be said without SQL.
    pub fn glance_by(&self, rule: &str, request: &Request) -> Verdict {
        match rule {
            "" => Verdict::Match,
            rule => rules::judge(rule, &self.catalog, &self.table.collection, &self.row, request),
        }
    }

    /// The same against the data of `tx`, as a virtual row. Fails when the rule does not compile.
    pub fn satisfies_by(&self, tx: &ReadTx<'_>, rule: &str, request: &Request) -> Result<bool> {
        let mut query = Query::over_new_row(&self.catalog, &self.table.collection, request, &self.row);
        query.and_rule(rule)?;
        let sql = query.select(&[], Some(1), 0);
        Ok(tx.query_one(&sql.text, rusqlite::params_from_iter(&sql.params), |_| Ok(()))?.is_some())
    }

    fn rule<'s>(&'s self, lens: &Lens) -> Option<&'s str> {
        let collection = &self.table.collection;
        let rule = match lens.scope {
            Scope::Collection => &collection.list_rule,
            Scope::Record => &collection.view_rule,
        };
        if lens.request.caller.is_superuser() { Some("") } else { rule.as_deref() }
    }

    /// Rule, then filter, in memory.
    fn judge(&self, lens: &Lens) -> Verdict {
        let (catalog, collection, request) = (&self.catalog, &self.table.collection, &*lens.request);
        let memory = |text: &str| rules::judge(text, catalog, collection, &self.row, request);
        let by_rule = match self.rule(lens) {
            None => Verdict::NoMatch,
            Some("") => Verdict::Match,
            Some(rule) => memory(rule),
        };
        if by_rule == Verdict::NoMatch || lens.filter.is_empty() {
            return by_rule;
        }
        if !self.may_filter(lens) {
            return Verdict::NoMatch;
        }
        let private = collection.is_auth() && !request.caller.is_superuser() && lens.filter.contains("email");
        match (if private { Verdict::NeedsSql } else { memory(&lens.filter) }, by_rule) {
            (Verdict::NoMatch, _) => Verdict::NoMatch,
            (Verdict::Match, Verdict::Match) => Verdict::Match,
            _ => Verdict::NeedsSql,
        }
    }

    /// Whether the filter compiles. Here not even superusers filter by hidden fields (§3.1); what only they may use at all
    /// is judged with their rights.
    fn may_filter(&self, lens: &Lens) -> bool {
        let guest = Request::default();
        let superuser = lens.request.caller.is_superuser();
        let request = if superuser && !lens.filter.contains('@') { &guest } else { &*lens.request };
        Query::over_new_row(&self.catalog, &self.table.collection, request, &self.row).and_filter(&lens.filter).is_ok()
    }

    fn satisfies(&self, tx: &ReadTx<'_>, lens: &Lens) -> Result<bool> {
        let Some(rule) = self.rule(lens) else { return Ok(false) };
        let mut query = Query::over_new_row(&self.catalog, &self.table.collection, &lens.request, &self.row);
        // Closed when in doubt: a rule that does not compile is one that nobody satisfies.
        if query.and_rule(rule).and_then(|()| query.and_filter(&lens.filter)).is_err() {
            return Ok(false);
        }
        let sql = query.select(&[], Some(1), 0);
        Ok(tx.query_one(&sql.text, rusqlite::params_from_iter(&sql.params), |_| Ok(()))?.is_some())
    }

    fn asked(&self, records: &Records, lens: &Lens) -> Result<Asked> {
        Asked::new(&records.tables, self.catalog.clone(), lens.request.clone(), &lens.shape)
    }

    /// Once for all listeners with the same view.
    fn write(&self, asked: &Asked, lens: &Lens) -> Result<Bytes> {
        let email = self.table.email_visibility.is_some()
            && asked.plain_emails(&self.table).shown(self.table.layout(asked.audience()), &*self.row);
        let look =
            Look { superuser: asked.audience() == Audience::Superuser, email, fields: lens.shape.fields.clone() };
        if let Some(bytes) = self.rendered.lock().get(&look) {
            return Ok(bytes.clone());
        }
        let bytes = Bytes::from(asked.one_streamed(&self.table, &self.row)?);
        self.rendered.lock().insert(look, bytes.clone());
        Ok(bytes)
    }
}
