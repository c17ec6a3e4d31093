//! The reader of the log that changes notify through: where it stands, and what it decides.
//!
//! Its position is a row of the database. Whatever follows from a change, and the position behind that change, are one
//! transaction: so each change decides once, whenever the process ends. What was of no interest costs nothing; the
//! position is moved over it now and then.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    definition::{Definition, request},
    ear::{Ear, News},
    known::{Context, Mark, Schedules, named},
    runs::Runs,
    subject::{Column, Subject, whole},
    withdraw::{self, pending, withdraw},
};
use crate::{
    clock::Timestamp,
    db::{Change, Db, Kind, ReadTx, Row, WriteTx},
    error::{Error, Kind as ErrorKind, Result},
    jobs::Alarm,
    notify::{
        Rooms,
        collections::{NOTIFICATIONS, SCHEDULES},
        whether::Reason,
    },
    records::{Bulk, Records, State, Story},
    rules::{Request, Verdict},
    schema::{Catalog, Collection, field::value::moment},
};

/// Changes that are read at once.
const PAGE: usize = 500;
/// Rows that are written in one transaction, before one more change.
const ROWS: usize = 200;
/// How long a condition may take that has to be asked of the database: all other changes wait for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where the position is kept, in `__conch_meta`.
const POSITION: &str = "notify_position";

/// Reads the log and decides. There is one.
pub(super) struct Follower {
    rooms: Arc<Rooms>,
    ear: Arc<Ear>,
    /// Of recurring schedules.
    alarm: Arc<Alarm>,
    /// All changes up to this one are decided.
    position: u64,
    /// What of that is stored.
    saved: u64,
    /// As of the position.
    schedules: Schedules,
    catalog: Arc<Catalog>,
    decisions: Decisions,
    /// What cannot be done is left out.
    careful: bool,
}

/// What the next transaction writes.
#[derive(Default, Clone)]
struct Decisions {
    steps: Vec<Step>,
    rows: usize,
    /// Records (collection and id) that something is to be sent about.
    about: HashSet<(Arc<str>, String)>,
}

#[derive(Clone)]
enum Step {
    /// Of a schedule (id).
    Notify {
        schedule: String,
        columns: Vec<Column>,
    },
    Withdraw {
        notification: String,
        reason: Reason,
    },
    Mark(Mark),
}

/// A stretch of the log as it was read.
struct Stretch {
    catalog: Arc<Catalog>,
    story: Story,
    /// The log goes on behind the stretch, though the story cannot: one change of it is past telling.
    untellable: bool,
    last: u64,
}

impl Follower {
    /// Takes up the stored position. A directory that has none stands at its newest change if it has no schedules, and
    /// else at the beginning of its log: they were made while this was not yet there.
    ///
    /// `careful`: it has failed so often that something must be left out.
    pub async fn open(rooms: Arc<Rooms>, ear: Arc<Ear>, alarm: Arc<Alarm>, careful: bool) -> Result<Self> {
        let position = rooms.db.write(|tx| match stored(tx)? {
            Some(position) => Ok(position),
            None => {
                let any = tx.query_one("SELECT 1 FROM _schedules LIMIT 1", [], |_| Ok(()))?.is_some();
                let oldest =
                    || tx.query_one("SELECT min(seq) FROM __conch_log", [], |row| row.get::<_, Option<i64>>(0));
                let position = match any {
                    true => oldest()?.flatten().and_then(|oldest| u64::try_from(oldest - 1).ok()).unwrap_or(0),
                    false => tx.seq()?,
                };
                store(tx, position)?;
                Ok(position)
            }
        });
        let position = position.await?;
        let catalog = rooms.schema.catalog();
        let mut follower = Self {
            rooms,
            ear,
            alarm,
            position,
            saved: position,
            schedules: Schedules::default(),
            catalog,
            decisions: Decisions::default(),
            careful,
        };
        follower.ear.saved(position);
        follower.load().await?;
        Ok(follower)
    }

    /// From now on nothing is left out.
    pub fn trust(&mut self) {
        self.careful = false;
    }

    /// Deals with news.
    pub async fn take(&mut self, news: News) -> Result<()> {
        if news.anew {
            self.load().await?;
            return self.catch_up().await;
        }
        match news.first {
            Some(first) => {
                self.position = self.position.max(first.saturating_sub(1));
                self.catch_up().await
            }
            None => {
                self.position = self.position.max(news.last);
                self.commit().await
            }
        }
    }

    /// Stores where it stands.
    pub async fn save(&mut self) -> Result<()> {
        match self.position == self.saved && self.decisions.steps.is_empty() {
            true => Ok(()),
            false => self.commit().await,
        }
    }

    /// Reads all schedules as of the position.
    async fn load(&mut self) -> Result<()> {
        let (rooms, position) = (self.rooms.clone(), self.position);
        let work = move |tx: &ReadTx<'_>| {
            let catalog = rooms.schema.catalog();
            Ok((Schedules::load(tx, &rooms.records, &catalog, position)?, catalog))
        };
        let (rows, catalog) = self.rooms.db.read(work).await?;
        self.catalog = catalog;
        self.replace(rows).await
    }

    async fn replace(&mut self, rows: BTreeMap<String, Arc<Row>>) -> Result<()> {
        self.with_context(|schedules, context| schedules.replace(rows, context));
        self.listen();
        if self.decisions.steps.is_empty() { Ok(()) } else { self.commit().await }
    }

    /// Collections have changed: schedules that made sense may not any more, and the other way round.
    fn refresh(&mut self) {
        self.catalog = self.rooms.schema.catalog();
        self.with_context(Schedules::read_again);
        self.listen();
    }

    /// Reads schedules; what their rows should say of it is to be written.
    fn with_context<M: IntoIterator<Item = Mark>>(&mut self, read: impl FnOnce(&mut Schedules, &Context<'_>) -> M) {
        let (zone, catalog) = (super::default_zone(&self.rooms), self.catalog.clone());
        let context = Context { catalog: &catalog, default_zone: &zone, now: self.now() };
        let marks = read(&mut self.schedules, &context);
        self.mark(marks);
    }

    /// Reads the log to its end.
    pub async fn catch_up(&mut self) -> Result<()> {
        loop {
            if self.is_outdated() {
                self.refresh();
            }
            let stretch = self.read().await?;
            if self.is_outdated() {
                // What was read may be about collections that it knows nothing of.
                continue;
            }
            let told = stretch.story.read;
            if !stretch.story.complete && !stretch.untellable {
                return self.start_over(stretch.last).await;
            }
            let whole = self.decide(&stretch).await?;
            if whole {
                self.position = told.max(self.position);
                if stretch.untellable {
                    self.position += 1;
                    let seq = self.position;
                    tracing::warn!(seq, "a record has changed too often since: this change notifies nobody");
                }
            }
            if !self.decisions.steps.is_empty() || stretch.untellable || self.has_decided(&stretch) {
                self.commit().await?;
            }
            // Otherwise the writer was told too late what counts for what has come meanwhile.
            if whole && self.position >= stretch.last {
                return Ok(());
            }
        }
    }

    /// Whether the stretch has changes about which anybody wants to know once only. Schedules are read again at no cost,
    /// and most changes of their rows are its own.
    fn has_decided(&self, stretch: &Stretch) -> bool {
        let schedules = stretch.catalog.by_name(SCHEDULES).map(|collection| &collection.id);
        stretch.story.changes.iter().any(|(_, change)| Some(&change.collection) != schedules)
    }

    fn is_outdated(&self) -> bool {
        self.rooms.schema.catalog().version != self.catalog.version
    }

    async fn read(&self) -> Result<Stretch> {
        let (rooms, position) = (self.rooms.clone(), self.position);
        let catalog = self.catalog.clone();
        let watched = self.schedules.watched(&catalog);
        let work = move |tx: &ReadTx<'_>| {
            let story =
                rooms.records.story_about(tx, &catalog, position, PAGE, |collection| watched.contains(collection))?;
            let untellable = !story.complete && Db::read_after(tx, story.read, 1)?.complete;
            Ok(Stretch { catalog: catalog.clone(), story, untellable, last: tx.seq()? })
        };
        self.rooms.db.read(work).await
    }

    /// The log has forgotten what came next.
    async fn start_over(&mut self, newest: u64) -> Result<()> {
        let (from, to) = (self.position, newest);
        tracing::warn!(
            from,
            to,
            "the change log has forgotten changes that schedules follow: nobody is notified of them"
        );
        self.position = newest;
        self.load().await?;
        self.commit().await
    }

    /// Decides about each change in order. False if it has to be read again from where it stands, because other
    /// collections count now.
    async fn decide(&mut self, stretch: &Stretch) -> Result<bool> {
        let catalog = stretch.catalog.clone();
        let changes = stretch.story.changes.iter().zip(&stretch.story.times);
        for ((seq, change), at) in changes {
            let Some(collection) = catalog.by_id(&change.collection) else { continue };
            if &*collection.name == SCHEDULES {
                let others = self.take_schedule(&catalog, collection, change);
                self.position = *seq;
                if others {
                    self.listen();
                    return Ok(false);
                }
                continue;
            }
            // What was decided before may be called off by this one: it has to be there.
            if self.decisions.rows >= ROWS || self.may_call_off(change) && self.decided_about(change) {
                self.commit().await?;
            }
            let decided = self.decide_one(&catalog, collection, change, *at).await;
            if self.careful {
                passed_over(decided)?.unwrap_or_default()
            } else {
                decided?
            }
            self.position = *seq;
        }
        Ok(true)
    }

    fn may_call_off(&self, change: &Change) -> bool {
        change.kind != Kind::Create && self.schedules.leaves_pending(&change.collection)
    }

    fn decided_about(&self, change: &Change) -> bool {
        self.decisions.about.contains(&(change.collection.clone(), change.record.clone()))
    }

    /// True if other collections count from now on.
    fn take_schedule(&mut self, catalog: &Arc<Catalog>, collection: &Arc<Collection>, change: &Change) -> bool {
        let before = self.schedules.watched(catalog);
        let row = named(&self.rooms.records, catalog, collection, change.new.as_ref());
        // It may have been set by hand, or by a run.
        if let Some(next) = row.as_ref().and_then(|row| moment::parse(row.text("next")?)) {
            self.alarm.set(next);
        }
        self.with_context(|schedules, context| schedules.take(change.record.clone(), row, context));
        self.schedules.watched(catalog) != before
    }

    async fn decide_one(
        &mut self,
        catalog: &Arc<Catalog>,
        collection: &Arc<Collection>,
        change: &Change,
        at: Timestamp,
    ) -> Result<()> {
        let state =
            |image: &Option<Arc<Row>>| image.as_ref().map(|row| self.rooms.records.state(catalog, collection, row));
        let (old, new) = (state(&change.old), state(&change.new));
        let Some(now) = new.as_ref().or(old.as_ref()).cloned() else { return Ok(()) };
        if self.may_call_off(change) {
            self.call_off(collection, change, &now, at).await?;
        }
        let following = self.schedules.following(&collection.id, change.kind);
        if following.is_empty() {
            return Ok(());
        }
        let before = match (change.kind, &old) {
            (Kind::Update, Some(old)) => whole(collection, old.row()),
            _ => serde_json::Map::new(),
        };
        let request = Arc::new(request(at, before));
        let subject =
            Subject { catalog, collection, row: now.row(), kind: change.kind, at, now: self.rooms.clock.now() };
        for definition in following {
            self.ask(&definition, &subject, &now, &request).await;
        }
        Ok(())
    }

    /// Whether a schedule notifies of a change. One that cannot be judged says so in its row and notifies nobody.
    async fn ask(&mut self, definition: &Definition, subject: &Subject<'_>, state: &State, request: &Arc<Request>) {
        let Some(follow) = definition.follow() else { return };
        let holds = self.holds(state, &follow.condition, request).await;
        let error = holds.as_ref().err().map(|error| format!("condition: {error}"));
        let mark = self.schedules.judged(&definition.id, error, self.now());
        self.mark(mark);
        if !matches!(holds, Ok(true)) {
            return;
        }
        if let Some(columns) = subject.notification(&self.rooms.records, definition, follow) {
            let id = subject.row.text("id").unwrap_or_default().to_owned();
            self.decisions.about.insert((subject.collection.id.clone(), id));
            self.decisions.add(Step::Notify { schedule: definition.id.clone(), columns }, 1);
        }
    }

    /// In memory where that is possible, else against the data of now.
    async fn holds(&self, state: &State, rule: &str, request: &Arc<Request>) -> Result<bool> {
        match state.glance_by(rule, request) {
            Verdict::Match => Ok(true),
            Verdict::NoMatch => Ok(false),
            Verdict::NeedsSql => {
                let (state, rule, request) = (state.clone(), rule.to_owned(), request.clone());
                let read = self.rooms.db.read(move |tx| state.satisfies_by(tx, &rule, &request));
                tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| Err(Error::invalid("It takes too long.")))
            }
        }
    }

    /// Ends what is pending about a record that is gone, or that satisfies what stands in the way.
    async fn call_off(
        &mut self,
        collection: &Arc<Collection>,
        change: &Change,
        state: &State,
        at: Timestamp,
    ) -> Result<()> {
        let (source, record) = (collection.id.clone(), change.record.clone());
        let found = self.rooms.db.read(move |tx| pending(tx, &source, &record)).await?;
        let request = Arc::new(request(at, serde_json::Map::new()));
        for pending in found {
            let reason = if change.kind == Kind::Delete {
                Reason::new("source_gone", "The record that it is about was deleted.")
            } else if pending.unless.is_empty()
                || !matches!(self.holds(state, &pending.unless, &request).await, Ok(true))
            {
                // One that cannot be judged now is judged when it is due.
                continue;
            } else {
                Reason::new("condition", "The record satisfies its cancel condition since a later change.")
            };
            if self.decisions.rows >= ROWS {
                self.commit().await?;
            }
            self.decisions.add(Step::Withdraw { notification: pending.id, reason }, withdraw::MAX_ROWS);
        }
        Ok(())
    }

    fn mark(&mut self, marks: impl IntoIterator<Item = Mark>) {
        for mark in marks {
            self.decisions.add(Step::Mark(mark), 1);
        }
    }

    /// Writes what was decided, and the position with it.
    async fn commit(&mut self) -> Result<()> {
        let decisions = std::mem::take(&mut self.decisions);
        let next = decisions.steps.iter().filter_map(|step| match step {
            Step::Mark(mark) => mark.next(),
            _ => None,
        });
        let next = next.min();
        let (rooms, saved, position, careful) = (self.rooms.clone(), self.saved, self.position, self.careful);
        let work = move |tx: &mut WriteTx<'_>| {
            if stored(tx)? != Some(saved) {
                return Err(Error::internal(anyhow::anyhow!("somebody else has moved the position in the log")));
            }
            store(tx, position)?;
            let mut runs = Runs::default();
            if careful {
                for step in &decisions.steps {
                    let write = |tx: &mut WriteTx<'_>| step.write(&mut rooms.records.bulk(tx), &rooms.records);
                    runs.extend(passed_over(tx.savepoint(write))?.flatten());
                }
                return passed_over(tx.savepoint(|tx| runs.write(&mut rooms.records.bulk(tx)))).map(drop);
            }
            let mut bulk = rooms.records.bulk(tx);
            for step in &decisions.steps {
                runs.extend(step.write(&mut bulk, &rooms.records)?);
            }
            runs.write(&mut bulk)
        };
        self.rooms.db.write(work).await?;
        self.saved = self.position;
        self.ear.saved(self.saved);
        if let Some(next) = next {
            self.alarm.set(next);
        }
        Ok(())
    }

    /// From now on the writer tells of the collections that count. Whoever calls this reads on until the log's end.
    fn listen(&self) {
        self.ear.watch(self.schedules.watched(&self.catalog));
    }

    fn now(&self) -> Timestamp {
        self.rooms.clock.now()
    }
}

impl Decisions {
    fn add(&mut self, step: Step, rows: usize) {
        self.rows += rows;
        self.steps.push(step);
    }
}

impl Step {
    /// Returns the schedule that has run.
    fn write(&self, bulk: &mut Bulk<'_, '_>, records: &Records) -> Result<Option<&str>> {
        match self {
            // Under a key that was used before it is the same notification.
            Self::Notify { schedule, columns } => {
                Ok(bulk.insert_new(NOTIFICATIONS, columns)?.map(|_| schedule.as_str()))
            }
            Self::Withdraw { notification, reason } => withdraw(bulk, records, notification, reason).map(|()| None),
            Self::Mark(mark) => mark.write(bulk).map(|()| None),
        }
    }
}

/// What fails again and again is told and left out: nobody waits behind it for ever. What passes by itself is waited for.
fn passed_over<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(error) if !matches!(error.kind, ErrorKind::Busy | ErrorKind::StorageFull) => {
            tracing::error!(%error, "what a schedule decided about a change cannot be done, and is left out");
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

fn stored(tx: &ReadTx<'_>) -> Result<Option<u64>> {
    let sql = "SELECT value FROM __conch_meta WHERE key = ?1";
    let text: Option<String> = tx.query_one(sql, [POSITION], |row| row.get(0))?;
    Ok(text.and_then(|text| text.parse().ok()))
}

fn store(tx: &mut WriteTx<'_>, position: u64) -> Result<()> {
    let sql =
        "INSERT INTO __conch_meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    tx.execute(sql, (POSITION, position.to_string())).map(drop)
}
