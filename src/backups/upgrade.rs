//! Before this executable changes the tables of an older one, the database is copied: whoever wants to go back can.
//!
//! Migrations are one transaction, so a crash in them changes nothing. The copy is for what comes after: when the rooms
//! cannot be opened over the changed tables, it comes back by itself ([`super::swap`]).

use std::fs;

use super::{free_bytes, room::in_megabytes, swap};
use crate::{
    db::{Db, Upgrade},
    error::{Error, Kind, Result},
};

/// In the folder where new content comes together, which is emptied at the next start.
const COPY: &str = "before.db";
/// Bytes that stay free besides: for the journal, and for the server to begin on.
const RESERVE: u64 = 32 << 20;

/// Copies the database and notes that it is being upgraded. The hook of [`crate::db::Options::before_upgrade`].
pub fn keep_a_copy(upgrade: &Upgrade<'_>) -> Result<()> {
    let &Upgrade { dir, from, to, now, .. } = upgrade;
    // The last start ended in it, or came of a restore: another copy would be of the same, and the count of starts begin anew.
    if swap::has_way_back(dir)? {
        return Ok(());
    }
    let (size, free) = (upgrade.size()?, free_bytes(dir)?);
    if free < size.saturating_add(RESERVE) {
        let message = format!(
            "The database has to be upgraded from version {from} to {to}, and there is no room for the copy that is made \
             before: {} are needed in {}, and {} are free. Nothing was changed.",
            in_megabytes(size.saturating_add(RESERVE)),
            dir.display(),
            in_megabytes(free)
        );
        return Err(Error::new(Kind::StorageFull, message));
    }
    tracing::info!("upgrading the database from version {from} to {to}; it is copied first ({})", in_megabytes(size));
    let copy = swap::prepare(dir)?.join(COPY);
    let copied = upgrade.copy_to(&copy).and_then(|()| swap::begin_upgrade(dir, &copy, from, to, now));
    if copied.is_err() {
        let _ = fs::remove_file(&copy);
    }
    copied
}

/// Whether the database is whole after its tables were changed: before anything else uses it. Blocks, for as long as it
/// takes to read the database.
pub fn check(db: &Db) -> Result<()> {
    let verdict = db.write_blocking(|tx| tx.query_one("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)))?;
    match verdict.as_deref() {
        Some("ok") => Ok(()),
        verdict => {
            let found = verdict.unwrap_or("no verdict").to_owned();
            Err(Error::new(Kind::Invalid, format!("The database is damaged: {found}.")))
        }
    }
}
