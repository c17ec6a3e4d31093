//! One batch: read on a snapshot, written in one transaction.

use std::sync::Arc;

use serde_json::json;

use crate::{
    clock::Timestamp,
    db::{ReadTx, Value, WriteTx},
    error::Result,
    notify::{
        Bells, State,
        collections::{DELIVERIES, NOTIFICATIONS, PREFERENCES},
        deliveries,
        intent::Intent,
        plan::{Circumstances, Planned, plan},
        stored::{Stage, Stored, reason},
        when::When,
        who::{
            Recipient,
            audience::{Audience, Cursor},
        },
        withdraw::withdraw,
    },
    records::{Bulk, Records},
    schema::Catalog,
};

/// Rows that one batch may insert: its transaction may write more, but not many more.
const MAX_DELIVERIES: usize = 600;
/// Pending ones that one delivery replaces. Each replaces its forerunner, so there is one, or two that came together.
const MAX_REPLACED: i64 = 2;

/// What is to be written, worked out beforehand.
pub(super) struct Work {
    stored: Stored,
    found: Found,
}

enum Found {
    /// It makes no sense, for this reason.
    Refused(String),
    Batch {
        intent: Arc<Intent>,
        /// Each with at least one delivery.
        recipients: Vec<(Recipient, Vec<Planned>)>,
        next: Cursor,
        over: bool,
    },
}

impl Work {
    /// What comes next of an intent: up to `share` recipients. `None`: nothing any more.
    pub fn read(
        tx: &ReadTx<'_>,
        catalog: &Catalog,
        default_zone: &str,
        id: &str,
        share: usize,
    ) -> Result<Option<Self>> {
        let Some(mut stored) = Stored::load(tx, id)?.filter(|stored| stored.stage.is_open()) else { return Ok(None) };
        let intent = match std::mem::replace(&mut stored.intent, Err(crate::error::Error::not_found())) {
            Ok(intent) => Arc::new(intent.categorised(tx)?),
            Err(error) => {
                let found = Found::Refused(reason("invalid", &error.to_string()));
                return Ok(Some(Self { stored, found }));
            }
        };
        let audience = Audience { tx, catalog, to: &intent.to };
        let limit = share.min(MAX_DELIVERIES / intent.channels.len().max(1)).max(1);
        let batch = audience.batch(&Cursor::parse(&stored.cursor), limit)?;
        let (mut next, mut recipients) = (batch.next, Vec::with_capacity(batch.recipients.len()));
        for recipient in batch.recipients {
            let zone = zone(tx, &intent, &recipient)?;
            let circumstances = Circumstances { asked: stored.created, zone: &zone, default_zone };
            match plan(&intent, &recipient, circumstances) {
                planned if planned.is_empty() => next.skip(&recipient, "an address is reached by e-mail only"),
                planned => recipients.push((recipient, planned)),
            }
        }
        Ok(Some(Self { stored, found: Found::Batch { intent, recipients, next, over: batch.over } }))
    }

    /// Writes it, unless somebody has touched the intent meanwhile: then the next round looks again. May run again.
    pub fn write(&self, tx: &mut WriteTx<'_>, records: &Records, bells: &Arc<Bells>) -> Result<()> {
        let sql = format!("SELECT state, cursor, updated FROM {NOTIFICATIONS} WHERE id = ?1");
        let standing = tx.query_one(&sql, [&self.stored.id], |row| {
            let text = |index| row.get::<_, Option<String>>(index).map(Option::unwrap_or_default);
            Ok((text(0)?, text(1)?, text(2)?))
        })?;
        let Some((state, cursor, updated)) = standing else { return Ok(()) };
        if Stage::parse(&state) != Some(self.stored.stage) || cursor != self.stored.cursor {
            return Ok(());
        }
        // Until now whoever has asked for it may have changed what is asked for; from now on nobody may.
        if self.stored.stage == Stage::New && updated != self.stored.updated {
            return Ok(());
        }
        match &self.found {
            Found::Refused(why) => self.set(tx, records, Stage::Failed, vec![("reason", text(why))]),
            Found::Batch { intent, recipients, next, over } => {
                let mut inserting =
                    Inserting { stored: &self.stored, intent, bulk: records.bulk(tx), records, first: None };
                let mut told = 0;
                for (recipient, planned) in recipients {
                    told += i64::from(inserting.insert_all(recipient, planned)?);
                }
                if let Some(first) = inserting.first {
                    bells.due_at(tx, first);
                }
                self.advance(tx, records, self.stored.recipients + told, next, *over)
            }
        }
    }

    /// Moves the cursor, and ends the expansion after the last batch.
    fn advance(
        &self,
        tx: &mut WriteTx<'_>,
        records: &Records,
        recipients: i64,
        next: &Cursor,
        over: bool,
    ) -> Result<()> {
        let mut columns = vec![("cursor", text(&next.to_text())), ("recipients", Value::Integer(recipients))];
        if !over {
            return self.set(tx, records, Stage::Expanding, columns);
        }
        let skipped = match next.skipped {
            0 => String::new(),
            count => format!("{count} passed over. {}", next.why.join("; ")),
        };
        if recipients == 0 {
            columns.push(("reason", text(&reason("nobody", &skipped))));
            return self.set(tx, records, Stage::Done, columns);
        }
        if !skipped.is_empty() {
            columns.push(("reason", text(&reason("skipped", &skipped))));
        }
        let stage = if deliveries::is_pending(tx, &self.stored.id)? { Stage::Active } else { Stage::Done };
        self.set(tx, records, stage, columns)
    }

    fn set(
        &self,
        tx: &mut WriteTx<'_>,
        records: &Records,
        stage: Stage,
        mut columns: Vec<(&'static str, Value)>,
    ) -> Result<()> {
        columns.push(("state", text(stage.as_str())));
        records.bulk(tx).update(NOTIFICATIONS, &self.stored.id, &columns).map(drop)
    }
}

/// In whose zone somebody lives, if that matters; blank if they have not told.
fn zone(tx: &ReadTx<'_>, intent: &Intent, recipient: &Recipient) -> Result<String> {
    match (&intent.when, recipient) {
        (When::Local { .. }, Recipient::Account { collection, record }) => {
            let sql = format!("SELECT zone FROM {PREFERENCES} WHERE collectionRef = ?1 AND recordRef = ?2");
            Ok(tx.query_one(&sql, [collection, record], |row| row.get(0))?.unwrap_or_default())
        }
        _ => Ok(String::new()),
    }
}

/// The deliveries of a batch on their way into the table.
struct Inserting<'w, 'a, 'c> {
    stored: &'w Stored,
    intent: &'w Intent,
    records: &'a Records,
    bulk: Bulk<'a, 'c>,
    /// The earliest time that any is due.
    first: Option<Timestamp>,
}

/// How a delivery begins.
struct Start {
    state: State,
    reason: String,
    due: Timestamp,
    digest: String,
    digest_of: String,
}

impl Inserting<'_, '_, '_> {
    /// All deliveries of one recipient; false if they have them all already.
    fn insert_all(&mut self, recipient: &Recipient, planned: &[Planned]) -> Result<bool> {
        let mut any = false;
        for planned in planned {
            let start = self.start(recipient, planned)?;
            any |= self.insert(recipient, planned, start)?;
        }
        Ok(any)
    }

    fn start(&mut self, recipient: &Recipient, planned: &Planned) -> Result<Start> {
        let mut start = Start {
            state: State::Scheduled,
            reason: String::new(),
            due: planned.due,
            digest: String::new(),
            digest_of: String::new(),
        };
        if !self.intent.collapse.is_empty() && self.is_replaced(recipient, planned)? {
            start.state = State::Cancelled;
            start.reason = reason("collapsed", "A newer one took its place.");
            return Ok(start);
        }
        if let Some(digest) = &self.intent.digest {
            match self.leader(recipient, planned, &digest.key)? {
                Some(leader) => {
                    start.state = State::Batched;
                    start.reason = reason("digest", &format!("It goes with {leader}."));
                    start.digest_of = leader;
                }
                None => {
                    start.due = planned.due.plus(digest.window);
                    start.digest.clone_from(&digest.key);
                }
            }
        }
        Ok(start)
    }

    /// Takes the place of older ones that are pending under the same collapse key. True if a newer one is there, because
    /// that came to this recipient first.
    fn is_replaced(&mut self, recipient: &Recipient, planned: &Planned) -> Result<bool> {
        let sql = format!(
            "SELECT d.id, n.rowid FROM {DELIVERIES} d JOIN {NOTIFICATIONS} n ON n.id = d.notification \
             WHERE d.collapse = ?1 AND d.recordRef = ?2 AND d.collectionRef = ?3 AND d.address = ?4 AND d.channel = ?5 \
               AND d.collapse != '' AND d.state IN ('scheduled', 'batched') AND d.notification != ?6 LIMIT ?7"
        );
        let (collection, record, address) = recipient.columns();
        let (key, own) = (&self.intent.collapse, &self.stored.id);
        let asked = (key, record, collection, address, planned.channel.as_str(), own, MAX_REPLACED);
        let pending: Vec<(String, i64)> =
            self.bulk.tx().query_all(&sql, asked, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut replaced = false;
        for (id, rowid) in pending {
            if rowid > self.stored.rowid {
                replaced = true;
            } else {
                let why = reason("collapsed", "A newer one took its place.");
                withdraw(self.bulk.tx(), self.records, &id, State::Cancelled, &why)?;
            }
        }
        Ok(replaced)
    }

    /// The one that leads the recipient's open digest under this key.
    fn leader(&mut self, recipient: &Recipient, planned: &Planned, key: &str) -> Result<Option<String>> {
        let sql = format!(
            "SELECT id FROM {DELIVERIES} WHERE collectionRef = ?1 AND recordRef = ?2 AND address = ?3 AND channel = ?4 \
             AND digest = ?5 AND `state` = 'scheduled' AND `digest` != ''"
        );
        let (collection, record, address) = recipient.columns();
        let asked = (collection, record, address, planned.channel.as_str(), key);
        self.bulk.tx().query_one(&sql, asked, |row| row.get(0))
    }

    fn insert(&mut self, recipient: &Recipient, planned: &Planned, start: Start) -> Result<bool> {
        let (collection, record, address) = recipient.columns();
        let step = i64::try_from(planned.step).unwrap_or(i64::MAX);
        let now = self.bulk.tx().now();
        let mut columns = vec![
            ("notification", text(&self.stored.id)),
            ("collectionRef", text(collection)),
            ("recordRef", text(record)),
            ("address", text(address)),
            ("channel", text(planned.channel.as_str())),
            ("category", text(&self.intent.category)),
            ("priority", Value::Integer(self.intent.priority.number())),
            ("state", text(start.state.as_str())),
            ("due", text(&start.due.to_string())),
            ("step", Value::Integer(step)),
        ];
        let wall = planned.wall.as_deref().unwrap_or_default();
        let collapse = &self.intent.collapse;
        let rare = [
            ("wall", wall),
            ("collapse", collapse),
            ("digest", &start.digest),
            ("digestOf", &start.digest_of),
            ("reason", &start.reason),
        ];
        columns
            .extend(rare.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, text(value))));
        if !start.reason.is_empty() {
            let entry = json!([{"at": now.to_string(), "state": start.state.as_str(), "reason": start.reason}]);
            columns.push(("trail", text(&entry.to_string())));
        }
        let inserted = self.bulk.insert_new(DELIVERIES, &columns)?.is_some();
        if inserted && start.state == State::Scheduled {
            self.first = Some(self.first.map_or(start.due, |first| first.min(start.due)));
        }
        Ok(inserted)
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
