//! Is the would-be record valid? Every field on every save (`records-collections.md` §4.4, `records-api.md` §4).

use serde_json::Value as Json;

use super::{
    draft::{Draft, names},
    facts::Ground,
    notify,
    plan::{Plan, text},
    system,
    task::{Staged, Task},
};
use crate::{
    db::{Db, Kind, LogEntry, Value, quote_ident},
    error::{Error, Issues, Leaf, Result},
    files::mime_matches,
    schema::{Field, FieldKind, FieldType, field},
};

/// Changes since the first look that are searched one by one.
const RECENT: usize = 500;
/// Longest storage name of a file, in characters.
const MAX_FILE_NAME: usize = 150;

/// The record under validation.
pub(super) struct Candidate<'a, 't> {
    pub plan: &'a Plan,
    pub task: &'t Task,
    pub draft: &'a Draft<'t>,
    /// The normalised stored values, `None` for a new record.
    pub stored: Option<&'a [Value]>,
}

impl Candidate<'_, '_> {
    /// All failing fields together. `reads` gains the ids of the collections that were looked at.
    pub fn check(&self, ground: &Ground<'_>, reads: &mut Vec<std::sync::Arc<str>>) -> Result<()> {
        let mut issues = Issues::default();
        for (index, field) in self.plan.collection.fields.iter().enumerate() {
            if let Err(leaf) = self.check_field(ground, index, field, reads)? {
                issues.insert(&field.name, leaf);
            }
        }
        let (catalog, now) = (ground.catalog, ground.tx.now());
        issues.merge(notify::check(catalog, self.plan, &self.draft.values, self.stored, now));
        issues.into_result("The record is not valid.")?;
        system::check(ground, self.plan, &self.draft.values, reads)?;
        if self.stored.is_none() && self.plan.auth.is_some() {
            self.check_auth_id(ground, reads)?;
        }
        Ok(())
    }

    /// The inner result is the field's, the outer one that of looking.
    fn check_field(
        &self,
        ground: &Ground<'_>,
        index: usize,
        field: &Field,
        reads: &mut Vec<std::sync::Arc<str>>,
    ) -> Result<Result<(), Leaf>> {
        let value = &self.draft.values[index];
        match &field.kind {
            FieldKind::Autodate(_) => Ok(Ok(())),
            FieldKind::Password(kind) => Ok(self.check_password(index, field, kind)),
            FieldKind::Text(kind) if kind.primary_key => self.check_id(ground, field, kind, value, reads),
            FieldKind::File(kind) => Ok(self.check_file(index, field, kind)),
            FieldKind::Relation(kind) => match kind.check(field.required, value) {
                Ok(()) => check_relation(ground, kind, value, reads),
                Err(leaf) => Ok(Err(leaf)),
            },
            kind => Ok(kind.as_type().check(field.required, value)),
        }
    }

    fn check_password(&self, index: usize, field: &Field, kind: &field::Password) -> Result<(), Leaf> {
        match self.draft.plain(index) {
            Some("") | None if text(Some(&self.draft.values[index])).is_empty() => {
                if field.required {
                    Err(Leaf::required())
                } else {
                    Ok(())
                }
            }
            Some(_) if self.task.random_password => Ok(()),
            Some(plain) => kind.check_plain(plain),
            None => Ok(()),
        }
    }

    fn check_id(
        &self,
        ground: &Ground<'_>,
        field: &Field,
        kind: &field::Text,
        value: &Value,
        reads: &mut Vec<std::sync::Arc<str>>,
    ) -> Result<Result<(), Leaf>> {
        let id = text(Some(value));
        if let Some(stored) = self.stored {
            let same = text(stored.get(self.plan.id)) == id;
            let change = || Leaf::new("validation_pk_change", "The id of a record cannot be changed.");
            return Ok(if same { Ok(()) } else { Err(change()) });
        }
        if let Err(leaf) = kind.check(field.required, value) {
            return Ok(Err(leaf));
        }
        if let Err(leaf) = kind.check_key(id) {
            return Ok(Err(leaf));
        }
        if kind.pattern != field::DEFAULT_KEY_PATTERN {
            reads.push(self.plan.collection.id.clone());
            if self.differs_by_case_only(ground, id)? {
                return Ok(Err(Leaf::new("validation_pk_invalid", "The id is already in use.")));
            }
        }
        Ok(Ok(()))
    }

    /// Whether there is an id that equals this one but for the case of its letters.
    fn differs_by_case_only(&self, ground: &Ground<'_>, id: &str) -> Result<bool> {
        let collection = &self.plan.collection;
        if let Some(since) = ground.since {
            // The whole table has been looked through; what has come since is in the log.
            let page = Db::read_after(ground.tx, since, RECENT)?;
            if page.complete && page.entries.len() < RECENT {
                let twin = |entry: &LogEntry| {
                    entry.collection == *collection.id
                        && entry.kind == Kind::Create
                        && entry.record.eq_ignore_ascii_case(id)
                };
                return Ok(page.entries.iter().any(twin));
            }
        }
        let sql = format!("SELECT 1 FROM {} WHERE `id` = ?1 COLLATE NOCASE LIMIT 1", quote_ident(&collection.name));
        Ok(ground.tx.query_one(&sql, [id], |_| Ok(()))?.is_some())
    }

    /// An auth record's id is unique over all auth collections (`auth.md` §1.1).
    fn check_auth_id(&self, ground: &Ground<'_>, reads: &mut Vec<std::sync::Arc<str>>) -> Result<()> {
        let id = text(self.draft.values.get(self.plan.id));
        let others = ground.catalog.all().iter().filter(|other| other.is_auth() && other.id != self.plan.collection.id);
        for other in others {
            reads.push(other.id.clone());
            let sql = format!("SELECT 1 FROM {} WHERE `id` = ?1", quote_ident(&other.name));
            if ground.tx.query_one(&sql, [id], |_| Ok(()))?.is_some() {
                let leaf = Leaf::new("validation_invalid_auth_id", "The id is already in use by another account.");
                return Err(Error::field("id", leaf));
            }
        }
        Ok(())
    }

    fn check_file(&self, index: usize, field: &Field, kind: &field::File) -> Result<(), Leaf> {
        let value = &self.draft.values[index];
        let wanted = names(kind, value);
        if wanted.is_empty() {
            return kind.check(field.required, value);
        }
        let stored = self.stored.map(|stored| names(kind, &stored[index])).unwrap_or_default();
        let (uploads, plain): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|name| self.upload(name).is_some_and(|staged| belongs(staged, field)));
        let foreign: Vec<Json> = plain.into_iter().filter(|name| !stored.contains(name)).map(Json::from).collect();
        if !foreign.is_empty() {
            let leaf = Leaf::new("validation_invalid_file", "A file that the record does not have.");
            return Err(leaf.param("invalidFiles", foreign));
        }
        kind.check(field.required, value)?;
        uploads.iter().filter_map(|name| self.upload(name)).try_for_each(|staged| check_upload(kind, staged))
    }

    fn upload(&self, name: &str) -> Option<&Staged> {
        self.task.uploads.iter().find(|staged| staged.name == name)
    }
}

/// True when the upload came for this field: its generated name cannot be guessed and so not be claimed by another.
fn belongs(staged: &Staged, field: &Field) -> bool {
    staged.upload.key.trim_matches('+') == field.name
}

fn check_upload(kind: &field::File, staged: &Staged) -> Result<(), Leaf> {
    let shown = staged.upload.client_name.as_str();
    if staged.name.chars().count() > MAX_FILE_NAME {
        let leaf = Leaf::new("validation_max_text_constraint", "The file's name is too long.");
        return Err(leaf.param("max", MAX_FILE_NAME));
    }
    let max_size = kind.max_bytes();
    if staged.upload.size > max_size {
        let leaf = Leaf::new("validation_file_size_limit", "The file is too large.");
        return Err(leaf.param("file", shown).param("maxSize", max_size));
    }
    let is_allowed = |allowed: &String| mime_matches(&staged.mime, allowed);
    if !kind.mime_types.is_empty() && !kind.mime_types.iter().any(is_allowed) {
        let message = format!("{shown} is not of a type that is allowed.");
        return Err(Leaf::new("validation_invalid_mime_type", message));
    }
    Ok(())
}

/// All related records exist. The list is no longer than the field allows: that was checked before.
fn check_relation(
    ground: &Ground<'_>,
    kind: &field::Relation,
    value: &Value,
    reads: &mut Vec<std::sync::Arc<str>>,
) -> Result<Result<(), Leaf>> {
    let ids = names(kind, value);
    if ids.is_empty() {
        return Ok(Ok(()));
    }
    let Some(target) = ground.catalog.by_id(&kind.collection_id) else {
        let leaf = Leaf::new("validation_missing_rel_collection", "The related collection does not exist.");
        return Ok(Err(leaf));
    };
    reads.push(target.id.clone());
    let table = quote_ident(&target.name);
    let found: Option<i64> = if let [id] = ids.as_slice() {
        ground.tx.query_one(&format!("SELECT 1 FROM {table} WHERE `id` = ?1"), [id], |row| row.get(0))?
    } else {
        let sql = format!("SELECT count(*) FROM {table} WHERE `id` IN (SELECT value FROM json_each(?1))");
        ground.tx.query_one(&sql, [Json::from(ids.clone()).to_string()], |row| row.get(0))?
    };
    let all = usize::try_from(found.unwrap_or(0)).is_ok_and(|found| found == ids.len());
    let missing = || Leaf::new("validation_missing_rel_records", "A related record does not exist.");
    Ok(if all { Ok(()) } else { Err(missing()) })
}
