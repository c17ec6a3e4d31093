//! One record by its id: for a client under the view rule, and for the house under none.

use std::sync::Arc;

use rusqlite::params_from_iter;

use super::{Records, Rendered, Shape, answer::Asked, cache::Ticket, layout::Table};
use crate::{
    db::{Asker, ReadTx, Row},
    error::{Error, Kind, Result},
    identity::{AuthRecord, Caller, SUPERUSERS_ID},
    rules::{self, Query, Request, Sql, Verdict},
    schema::{Catalog, Collection},
};

/// Reads of one request while the schema keeps changing.
const MAX_ATTEMPTS: usize = 4;

impl Records {
    /// The record, if the view rule lets the caller see it. Needs no SQL when the row is known and the rule reads
    /// nothing else.
    pub async fn view(&self, request: Request, collection: &str, id: &str, shape: Shape) -> Result<Rendered> {
        let request = Arc::new(request);
        self.steadily(async |catalog| self.view_once(request.clone(), catalog, collection, id, &shape).await).await
    }

    async fn view_once(
        &self,
        request: Arc<Request>,
        catalog: Arc<Catalog>,
        collection: &str,
        id: &str,
        shape: &Shape,
    ) -> Result<Rendered> {
        let collection = catalog.find(collection).ok_or_else(Error::not_found)?.clone();
        refuse_locked(&request, collection.view_rule.as_deref())?;
        let table = self.tables.of(&collection);
        let asked = match Asked::new(&self.tables, catalog.clone(), request.clone(), shape) {
            Ok(asked) => asked,
            Err(malformed) => {
                // A record that cannot be seen is told first.
                let plain = Shape::default();
                Box::pin(self.view_once(request, catalog, &collection.id, id, &plain)).await?;
                return Err(malformed);
            }
        };
        let rule = effective(&asked.request, collection.view_rule.as_deref());
        if !asked.streams(&table) {
            return self.view_in_snapshot(asked, table, id).await;
        }
        let row = match self.known(&table, id) {
            Some(row) => row,
            None if rule.is_none() => {
                let asker = asked.request.asker();
                self.fetch(&table, id, asker).await?.ok_or_else(Error::not_found)?
            }
            None => return self.view_in_snapshot(asked, table, id).await,
        };
        match judge(rule, &asked.catalog, &collection, &row, &asked.request) {
            Verdict::Match => asked.one_streamed(&table, &row),
            Verdict::NoMatch => Err(Error::not_found()),
            Verdict::NeedsSql => self.view_in_snapshot(asked, table, id).await,
        }
    }

    /// Row, rule and everything around the record in one snapshot.
    async fn view_in_snapshot(&self, asked: Asked, table: Arc<Table>, id: &str) -> Result<Rendered> {
        let sql = select(&asked, &table, id)?;
        let ticket = self.rows.ticket(&table.collection.id, id);
        let found = table.clone();
        let (rendered, row) = self
            .db
            .read_for(asked.request.asker(), move |tx| {
                let row = table.load(tx, &sql)?.pop().map(Arc::new).ok_or_else(Error::not_found)?;
                Ok((asked.one_in(tx, &table, &row)?, row))
            })
            .await?;
        self.remember(ticket, &found, id, &row);
        Ok(rendered)
    }

    /// The stored row of a record by id (row cache first), hidden columns included. No rule applies. It has the columns
    /// of the collection as it is now, which may be newer than the given one.
    pub async fn load(&self, collection: &Arc<Collection>, id: &str) -> Result<Option<Arc<Row>>> {
        if let Some(row) = self.known(&self.tables.of(collection), id) {
            return Ok(Some(row));
        }
        // Whoever shows tokens of an account takes up that account's share.
        let asker = Asker::named(&(&collection.id, id));
        self.steadily(async |catalog| match catalog.by_id(&collection.id) {
            Some(collection) => self.row_for(collection, id, asker).await,
            None => Ok(None),
        })
        .await
    }

    /// True when the record satisfies the rule (`None`: superusers only).
    pub async fn satisfies(
        &self,
        request: &Request,
        collection: &Arc<Collection>,
        id: &str,
        rule: Option<&str>,
    ) -> Result<bool> {
        match rule {
            _ if request.caller.is_superuser() => Ok(true),
            None => Ok(false),
            Some("") => Ok(true),
            Some(rule) => self.matches(request, collection, id, rule).await,
        }
    }

    /// True when the record matches a rule that is not blank, whoever asks.
    pub async fn matches(&self, request: &Request, collection: &Arc<Collection>, id: &str, rule: &str) -> Result<bool> {
        self.steadily(async |catalog| match catalog.by_id(&collection.id) {
            Some(collection) => self.matches_once(request, &catalog, collection, id, rule).await,
            None => Ok(false),
        })
        .await
    }

    async fn matches_once(
        &self,
        request: &Request,
        catalog: &Catalog,
        collection: &Arc<Collection>,
        id: &str,
        rule: &str,
    ) -> Result<bool> {
        let row = self.row_for(collection, id, request.asker()).await?;
        self.row_matches(request, catalog, collection, (id, row.as_deref()), rule).await
    }

    /// Whether a record, of which this was read already, matches the rule: as much as possible is judged by the row.
    pub(super) async fn row_matches(
        &self,
        request: &Request,
        catalog: &Catalog,
        collection: &Arc<Collection>,
        (id, row): (&str, Option<&Row>),
        rule: &str,
    ) -> Result<bool> {
        if let Some(row) = row {
            match rules::judge(rule, catalog, collection, row, request) {
                Verdict::Match => return Ok(true),
                Verdict::NoMatch => return Ok(false),
                Verdict::NeedsSql => {}
            }
        }
        let mut query = Query::new(catalog, collection, request);
        query.and_id(id);
        query.and_rule(rule)?;
        let sql = query.select(&[], Some(1), 0);
        let exists =
            move |tx: &ReadTx<'_>| Ok(tx.query_one(&sql.text, params_from_iter(&sql.params), |_| Ok(()))?.is_some());
        self.db.read_for(request.asker(), exists).await
    }

    /// A record as an auth answer shows it: e-mail always, hidden fields for superuser records only; `expand` as the
    /// authenticated record itself.
    pub async fn render_authenticated(&self, request: Request, record: &AuthRecord, shape: Shape) -> Result<Rendered> {
        let caller = match record.collection_id.as_ref() {
            SUPERUSERS_ID => Caller::Superuser(Arc::new(record.clone())),
            _ => Caller::Record(Arc::new(record.clone())),
        };
        let request = Arc::new(Request { caller, ..request });
        self.steadily(async |catalog| {
            let collection = catalog.by_id(&record.collection_id).ok_or_else(Error::not_found)?;
            let table = self.tables.of(collection);
            let row = table.arrange(&record.row);
            let mut asked = Asked::new(&self.tables, catalog, request.clone(), &shape)?;
            asked.all_emails = true;
            asked.one(&self.db, table, row).await
        })
        .await
    }

    /// Drops a record from the row cache: for the one write that is no record write, the upgrade of a password hash.
    /// To be called after its COMMIT and before its acknowledgement.
    pub fn forget(&self, collection: &str, id: &str) {
        self.rows.forget(collection, id);
    }

    /// The cached row, if it has the columns of this version of the collection.
    fn known(&self, table: &Table, id: &str) -> Option<Arc<Row>> {
        self.rows.get(&table.collection.id, id).filter(|row| Arc::ptr_eq(&row.columns, &table.columns))
    }

    /// The stored row, the known one or, at the expense of `asker`, the one in the database. `collection` is of the
    /// catalog that the answer is made from.
    pub async fn row_for(&self, collection: &Arc<Collection>, id: &str, asker: Asker) -> Result<Option<Arc<Row>>> {
        let table = self.tables.of(collection);
        match self.known(&table, id) {
            Some(row) => Ok(Some(row)),
            None => self.fetch(&table, id, asker).await,
        }
    }

    /// The row from the database, remembered.
    async fn fetch(&self, table: &Arc<Table>, id: &str, asker: Asker) -> Result<Option<Arc<Row>>> {
        let ticket = self.rows.ticket(&table.collection.id, id);
        let (asked, wanted) = (table.clone(), id.to_owned());
        let row = self.db.read_for(asker, move |tx| asked.by_id(tx, &wanted)).await?.map(Arc::new);
        if let Some(row) = &row {
            self.remember(ticket, table, id, row);
        }
        Ok(row)
    }

    /// Rows of views change with other tables and are not remembered.
    fn remember(&self, ticket: Ticket, table: &Table, id: &str, row: &Arc<Row>) {
        if !table.collection.is_view() {
            self.rows.fill(ticket, &table.collection.id, id, row.clone());
        }
    }

    /// Answers from one catalog, again if it was replaced meanwhile: then columns may have changed under the read.
    pub async fn steadily<T, F: Future<Output = Result<T>>>(&self, read: impl Fn(Arc<Catalog>) -> F) -> Result<T> {
        let mut catalog = self.schema.catalog();
        for _ in 1..MAX_ATTEMPTS {
            let answer = read(catalog.clone()).await;
            // A change is visible a moment before its catalog is there: a column may be gone that the old one names.
            // An empty write comes after that moment: a change of the schema runs alone, and the next job begins when its
            // catalog is there.
            if answer.as_ref().is_err_and(|error| error.kind == Kind::Internal) {
                let _ = self.db.write(|_| Ok(())).await;
            }
            let current = self.schema.catalog();
            if current.version == catalog.version {
                return answer;
            }
            catalog = current;
        }
        read(catalog).await
    }
}

/// A rule that is `null` locks everybody out but superusers, before anything is looked up (`docs/wire/records.md` §2).
pub fn refuse_locked(request: &Request, rule: Option<&str>) -> Result<()> {
    if rule.is_none() && !request.caller.is_superuser() {
        return Err(Error::forbidden("Only superusers can do this."));
    }
    Ok(())
}

/// The rule that has to be judged; none for superusers and where it is blank.
pub(super) fn effective<'r>(request: &Request, rule: Option<&'r str>) -> Option<&'r str> {
    rule.filter(|rule| !rule.is_empty() && !request.caller.is_superuser())
}

/// A rule that does not compile any more shows nothing (`docs/wire/records.md` §2).
fn select(asked: &Asked, table: &Table, id: &str) -> Result<Sql> {
    let mut query = Query::new(&asked.catalog, &table.collection, &asked.request);
    query.and_id(id);
    if let Some(rule) = effective(&asked.request, table.collection.view_rule.as_deref()) {
        query.and_rule(rule).map_err(|error| Error::not_found().because(error))?;
    }
    Ok(query.select(&table.column_names(), Some(1), 0))
}

fn judge(rule: Option<&str>, catalog: &Catalog, base: &Collection, row: &Row, request: &Request) -> Verdict {
    rule.map_or(Verdict::Match, |rule| rules::judge(rule, catalog, base, row, request))
}
