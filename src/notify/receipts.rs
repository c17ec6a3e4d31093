//! Receipts: what became of a delivery after it was sent, as mails, devices and inboxes tell. The first time counts.
//!
//! Nobody has to tell in order: a link that was followed was read, and what was read had arrived. Following a link also
//! marks the same notification read in the recipient's inbox; an item that is read there was opened.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::mpsc, task::AbortHandle};

use super::{
    Notify,
    collections::{DELIVERIES, INBOX},
};
use crate::{
    db::{Change, Db, Kind, ReadTx, Value, WriteTx},
    error::Result,
    records::Records,
    schema::Schema,
};

/// Items read whose deliveries are still to be told of it. Beyond that some are not told.
const MAX_READS: usize = 20_000;
/// Deliveries that are told at once.
const READS_AT_ONCE: usize = 500;
/// After a failure nothing is told for a while, and then the same again, so often.
const PAUSE: Duration = Duration::from_secs(1);
const TRIES: usize = 10;
/// A process that was killed may have left the last moments untold: so many changes are looked through by the next one.
const LOOK_BACK: usize = 10_000;

/// What can be told of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A device has it.
    Delivered,
    /// Somebody has looked at it.
    Opened,
    /// Somebody has followed its link.
    Clicked,
}

impl Event {
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Opened, Self::Clicked];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Opened => "opened",
            Self::Clicked => "clicked",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == name)
    }

    fn column(self) -> &'static str {
        match self {
            Self::Delivered => "deliveredAt",
            Self::Opened => "openedAt",
            Self::Clicked => "clickedAt",
        }
    }
}

/// What is known of a delivery that a receipt is about.
struct Known {
    /// Columns of dates that are still blank.
    missing: Vec<&'static str>,
    notification: String,
    collection: String,
    record: String,
}

impl Known {
    /// `None`: there is no such delivery (any more).
    fn of(tx: &ReadTx<'_>, delivery: &str, event: Event) -> Result<Option<Self>> {
        let sql = "
            SELECT deliveredAt, openedAt, clickedAt, notification, collectionRef, recordRef
            FROM _deliveries WHERE id = ?1";
        tx.query_one(sql, [delivery], |row| {
            let mut missing = Vec::new();
            for (index, known) in Event::ALL.into_iter().enumerate() {
                if known <= event && row.get::<_, Option<String>>(index)?.is_none_or(|date| date.is_empty()) {
                    missing.push(known.column());
                }
            }
            Ok(Self { missing, notification: row.get(3)?, collection: row.get(4)?, record: row.get(5)? })
        })
    }
}

impl Notify {
    /// Notes what a delivery's mail or device tells. What was told before, or is about a delivery that is forgotten,
    /// changes nothing.
    pub async fn receive(&self, delivery: &str, event: Event) -> Result<()> {
        // Most are told again and again: those cost no write.
        let id = delivery.to_owned();
        let known = self.rooms.db.read(move |tx| Known::of(tx, &id, event)).await?;
        if known.is_none_or(|known| known.missing.is_empty()) {
            return Ok(());
        }
        let (id, records) = (delivery.to_owned(), self.rooms.records.clone());
        self.rooms.db.write(move |tx| note(&records, tx, &id, event)).await
    }
}

/// In its transaction: sets the dates that are blank.
fn note(records: &Records, tx: &mut WriteTx<'_>, delivery: &str, event: Event) -> Result<()> {
    let Some(known) = Known::of(tx, delivery, event)? else { return Ok(()) };
    if known.missing.is_empty() {
        return Ok(());
    }
    let now = Value::Text(tx.now().to_string());
    let dates: Vec<(&str, Value)> = known.missing.iter().map(|column| (*column, now.clone())).collect();
    records.bulk(tx).update(DELIVERIES, delivery, &dates)?;
    if event == Event::Clicked && !known.record.is_empty() {
        let sql = "
            SELECT id FROM _inbox
            WHERE recordRef = ?1 AND collectionRef = ?2 AND read = '' AND notification = ?3 LIMIT 10";
        let asked = [&known.record, &known.collection, &known.notification];
        let items: Vec<String> = tx.query_all(sql, asked, |row| row.get(0))?;
        for item in items {
            records.bulk(tx).update(INBOX, &item, &[("read", now.clone())])?;
        }
    }
    Ok(())
}

/// Hears which items of inboxes are read, through whatever door.
pub struct Reads {
    /// Id of `_inbox`.
    inbox: Option<Arc<str>>,
    /// Held by whoever tells.
    heard: Arc<tokio::sync::Mutex<mpsc::Receiver<String>>>,
    /// Of the task that tells.
    telling: Mutex<Option<AbortHandle>>,
}

impl Reads {
    /// Listens from now on. The writer never waits for it.
    pub fn listen(db: &Db, schema: &Schema) -> Self {
        let (told, heard) = mpsc::channel(MAX_READS);
        let columns = Columns::of(schema);
        let inbox = columns.as_ref().map(|columns| columns.collection.clone());
        if let Some(columns) = columns {
            db.on_commit(move |commit| {
                let read = commit.changes.iter().filter_map(|(_, change)| columns.newly_read(change));
                // When too much waits, the date is missing: nothing depends on it.
                read.for_each(|delivery| drop(told.try_send(delivery)));
            });
        }
        Self { inbox, heard: Arc::new(tokio::sync::Mutex::new(heard)), telling: Mutex::default() }
    }

    /// Tells the deliveries from now on, as a task of the current runtime. Does nothing when it does so already.
    pub fn start(&self, db: &Db, records: &Records) {
        let mut telling = self.telling.lock();
        if telling.is_none() {
            let task = tokio::spawn(Self::tell(self.inbox.clone(), self.heard.clone(), db.clone(), records.clone()));
            *telling = Some(task.abort_handle());
        }
    }

    /// Tells no more.
    pub fn stop(&self) {
        if let Some(task) = self.telling.lock().take() {
            task.abort();
        }
    }

    async fn tell(
        inbox: Option<Arc<str>>,
        heard: Arc<tokio::sync::Mutex<mpsc::Receiver<String>>>,
        db: Db,
        records: Records,
    ) {
        let mut heard = heard.lock().await;
        if let Some(inbox) = inbox {
            match db.read(move |tx| missed(tx, &inbox)).await {
                Ok(missed) => tell_these(&db, &records, missed).await,
                Err(error) => tracing::warn!(%error, "it is not known which items of inboxes were read at the end"),
            }
        }
        let mut deliveries = Vec::new();
        while heard.recv_many(&mut deliveries, READS_AT_ONCE).await > 0 {
            tell_these(&db, &records, std::mem::take(&mut deliveries)).await;
        }
    }
}

/// Sets the dates of these deliveries.
async fn tell_these(db: &Db, records: &Records, deliveries: Vec<String>) {
    for these in deliveries.chunks(READS_AT_ONCE) {
        for _ in 0..TRIES {
            let (these, records) = (these.to_vec(), records.clone());
            let write = move |tx: &mut WriteTx<'_>| {
                these.iter().try_for_each(|delivery| note(&records, tx, delivery, Event::Opened))
            };
            match db.write(write).await {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "deliveries cannot be told now that they were read"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Deliveries of items that were read lately and were not told of it.
fn missed(tx: &ReadTx<'_>, inbox: &str) -> Result<Vec<String>> {
    let from = tx.seq()?.saturating_sub(LOOK_BACK as u64);
    let mut found = Vec::new();
    for entry in Db::read_after(tx, from, LOOK_BACK)?.entries {
        if entry.collection != inbox || entry.kind != Kind::Update {
            continue;
        }
        let sql = "
            SELECT d.id FROM _inbox i JOIN _deliveries d ON d.id = i.delivery
            WHERE i.id = ?1 AND i.read != '' AND d.openedAt = ''";
        found.extend(tx.query_one(sql, [&entry.record], |row| row.get::<_, String>(0))?);
    }
    Ok(found)
}

/// What the images of changes call the columns of `_inbox`.
struct Columns {
    collection: Arc<str>,
    read: String,
    delivery: String,
}

impl Columns {
    fn of(schema: &Schema) -> Option<Self> {
        let catalog = schema.catalog();
        let inbox = catalog.find(INBOX)?;
        let id = |name| inbox.field(name).map(|field| field.id.to_string());
        Some(Self { collection: inbox.id.clone(), read: id("read")?, delivery: id("delivery")? })
    }

    /// The delivery of an item that this change marks read.
    fn newly_read(&self, change: &Change) -> Option<String> {
        if change.collection != self.collection {
            return None;
        }
        let (old, new) = (change.old.as_ref()?, change.new.as_ref()?);
        let newly = old.text(&self.read)?.is_empty() && !new.text(&self.read)?.is_empty();
        let delivery = new.text(&self.delivery).filter(|id| !id.is_empty())?;
        newly.then(|| delivery.to_owned())
    }
}

#[cfg(test)]
mod tests;
