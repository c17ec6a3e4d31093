//! Rows of `_notifications`: reading one, adding one, ending one.

use std::sync::Arc;

use super::{collections::NOTIFICATIONS, intent::Intent, when};
use crate::{
    clock::Timestamp,
    db::{ReadTx, Row, Value, WriteTx},
    error::Result,
    records::Records,
};

/// Characters of a reason that are kept.
const MAX_REASON: usize = 500;

/// Where an intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has looked at it.
    New,
    /// Deliveries are made of it, batch by batch.
    Expanding,
    /// All deliveries are made; some are still to go out.
    Active,
    Done,
    Cancelled,
    /// It makes no sense.
    Failed,
}

impl Stage {
    pub const ALL: [Self; 6] = [Self::New, Self::Expanding, Self::Active, Self::Done, Self::Cancelled, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Expanding => "expanding",
            Self::Active => "active",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// A blank one is new: a row is an intent, however it came here.
    pub fn parse(name: &str) -> Option<Self> {
        if name.is_empty() { Some(Self::New) } else { Self::ALL.into_iter().find(|stage| stage.as_str() == name) }
    }

    /// Deliveries are still to be made of it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::New | Self::Expanding)
    }
}

/// One row.
#[derive(Debug)]
pub struct Stored {
    pub id: String,
    /// Grows in order of creation.
    pub rowid: i64,
    pub stage: Stage,
    pub reason: String,
    pub created: Timestamp,
    /// As they are stored.
    pub updated: String,
    pub cursor: String,
    pub recipients: i64,
    pub intent: Result<Intent>,
}

impl Stored {
    /// The notification of this id.
    pub fn load(tx: &ReadTx<'_>, id: &str) -> Result<Option<Self>> {
        let texts: Arc<[Arc<str>]> = Intent::COLUMNS.iter().map(|&name| Arc::from(name)).collect();
        let names: Vec<String> = texts.iter().map(|name| format!("`{name}`")).collect();
        let sql = format!(
            "SELECT {}, rowid, state, reason, created, cursor, CAST(recipients AS INTEGER), updated FROM {NOTIFICATIONS} \
             WHERE id = ?1",
            names.join(", ")
        );
        tx.query_one(&sql, [id], |row| {
            let at = |index: usize| texts.len() + index;
            let text = |index: usize| row.get::<_, Option<String>>(at(index)).map(Option::unwrap_or_default);
            let created = when::instant(&text(3)?).unwrap_or_default();
            Ok(Self {
                id: id.to_owned(),
                rowid: row.get(at(0))?,
                // What is none of ours was set by somebody who knows why: it is left alone.
                stage: Stage::parse(&text(1)?).unwrap_or(Stage::Done),
                reason: text(2)?,
                created,
                updated: text(6)?,
                cursor: text(4)?,
                recipients: row.get(at(5))?,
                intent: Intent::from_row(&Row::read(&texts, row)?, created),
            })
        })
    }
}

/// What has become of an intent that was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    pub id: String,
    pub stage: Stage,
    /// It was there before, under the same key.
    pub duplicate: bool,
}

/// The one that was asked for under this key, and where it stands. Under a blank key there is none.
pub fn find(tx: &ReadTx<'_>, key: &str) -> Result<Option<(String, Stage)>> {
    let sql = format!("SELECT id, state FROM {NOTIFICATIONS} WHERE `key` = ?1 AND `key` != ''");
    let known = tx.query_one(&sql, [key], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    Ok(known.map(|(id, state)| (id, Stage::parse(&state).unwrap_or(Stage::Done))))
}

/// Adds an intent, in the caller's transaction: the decision to notify commits with what calls for it. Asked again under
/// a key that is there already, nothing is added.
pub fn add(tx: &mut WriteTx<'_>, records: &Records, intent: &Intent) -> Result<Added> {
    if let Some((id, stage)) = find(tx, &intent.key)? {
        return Ok(Added { id, stage, duplicate: true });
    }
    let mut columns = intent.columns();
    columns.push(("state", Value::Text(Stage::New.as_str().to_owned())));
    let id = records.bulk(tx).insert(NOTIFICATIONS, &columns)?;
    Ok(Added { id, stage: Stage::New, duplicate: false })
}

/// Gives an intent up that is still open.
pub fn fail(tx: &mut WriteTx<'_>, records: &Records, id: &str, why: &str) -> Result<()> {
    let sql = format!("SELECT state FROM {NOTIFICATIONS} WHERE id = ?1");
    let state: Option<String> = tx.query_one(&sql, [id], |row| row.get(0))?;
    if state.and_then(|state| Stage::parse(&state)).is_some_and(Stage::is_open) {
        let text = |text: &str| Value::Text(text.to_owned());
        let columns = [("state", text(Stage::Failed.as_str())), ("reason", text(why))];
        records.bulk(tx).update(NOTIFICATIONS, id, &columns)?;
    }
    Ok(())
}

/// A reason as it is stored: bounded.
pub fn reason(code: &str, words: &str) -> String {
    format!("{code}: {words}").chars().take(MAX_REASON).collect()
}
