//! `PUT /api/collections/import` (`docs/wire/records-collections.md` §8.4): many collections in one transaction, saved
//! first and validated when all are there, so that they may refer to each other.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};

use super::{
    Collection, Field,
    draft::{self, Draft},
    edit::{Edit, invalid_query},
    fields_list,
    validate::{self, Check, MAX_COLLECTIONS},
    view,
};
use crate::error::{Error, Issues, Kind, Leaf, Result};

/// A view whose sample rows take longer is believed: SQLite has compiled its query, and the writer must not stand.
const SAMPLE_BUDGET: Duration = Duration::from_millis(250);

/// One collection on its way in.
struct Entry {
    original: Option<Arc<Collection>>,
    draft: Draft,
}

/// Imports all of them or fails as a whole.
pub(super) fn run(edit: &mut Edit<'_, '_>, bodies: &[Map<String, Json>], delete_missing: bool) -> Result<()> {
    if bodies.len() > MAX_COLLECTIONS {
        return Err(Error::invalid(format!("There must be no more than {MAX_COLLECTIONS} collections.")));
    }
    let mut entries = Vec::with_capacity(bodies.len());
    for body in bodies {
        entries.push(read(edit, body, delete_missing)?);
    }
    if delete_missing {
        remove_missing(edit, &entries)?;
    }
    entries.sort_by_cached_key(|entry| {
        let collection = &entry.draft.collection;
        (collection.is_view(), collection.created.clone(), collection.updated.clone())
    });
    let mut saved = Vec::with_capacity(entries.len());
    for entry in entries {
        let issues = entry.draft.issues.clone();
        let (original, new, view_issue) = save(edit, entry)?;
        saved.push((original, new, view_issue, issues));
    }
    let ids: Vec<&str> = saved.iter().map(|(_, new, ..)| &*new.id).collect();
    edit.rederive_views(&ids)?;
    for (original, new, view_issue, mut issues) in saved {
        issues.merge(validate(edit, original.as_deref(), &new, view_issue)?);
        if !issues.is_empty() {
            let reasons = issues.leaves().into_iter().map(|(path, code)| format!("{path}: {code}"));
            let reasons = reasons.collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!("The collection \"{}\" is not valid: {reasons}.", new.name)));
        }
    }
    Ok(())
}

/// How a failed import is told: one code, the reason in the text. Faults that are not the input's stay what they are.
pub(super) fn failure(error: Error) -> Error {
    if error.kind != Kind::Invalid {
        return error;
    }
    let reasons = error.issues.leaves().into_iter().map(|(path, code)| format!(" {path}: {code}.")).collect::<String>();
    let leaf = Leaf::new("validation_collections_import_failure", format!("{}{reasons}", error.message));
    let failure = Error::field("collections", leaf);
    match error.source {
        Some(source) => failure.because(source),
        None => failure,
    }
}

/// Steps 1 to 3: the entry over what is stored or over its scaffold, with the fields that must not get lost.
fn read(edit: &Edit<'_, '_>, body: &Map<String, Json>, delete_missing: bool) -> Result<Entry> {
    let text = |key: &str| draft::get(body, key).and_then(Json::as_str).filter(|text| !text.is_empty());
    let original = match (text("id"), text("name")) {
        (Some(id), _) => edit.catalog.by_id(id).cloned(),
        (None, Some(name)) => edit.catalog.by_name(name).cloned(),
        (None, None) => None,
    };
    let mut draft = match &original {
        Some(stored) => {
            let mut body = body.clone();
            body.shift_remove("id");
            Draft::update(stored, &body)?
        }
        None => Draft::create(body)?,
    };
    if let Some(stored) = &original {
        if delete_missing && !draft.has_fields {
            draft.collection.fields.clear();
        }
        let missing = stored.fields.iter().filter(|field| !delete_missing || field.system);
        keep_fields(&mut draft.collection.fields, missing);
    }
    draft.settle(original.as_deref(), &edit.catalog, edit.tx.now());
    Ok(Entry { original, draft })
}

/// Stored fields that the entry lacks: an entry's field of the same name and type takes over the id, others return.
fn keep_fields<'a>(fields: &mut Vec<Field>, stored: impl Iterator<Item = &'a Field>) {
    for old in stored {
        if fields.iter().any(|field| field.id == old.id) {
            continue;
        }
        let same =
            |field: &&mut Field| field.name == old.name && field.kind.as_type().name() == old.kind.as_type().name();
        match fields.iter_mut().find(same) {
            Some(field) => field.id.clone_from(&old.id),
            None => fields.push(old.clone()),
        }
    }
    *fields = fields_list::reduce(std::mem::take(fields));
}

/// Step 4. References are not asked: what is left over fails when it is validated.
fn remove_missing(edit: &mut Edit<'_, '_>, entries: &[Entry]) -> Result<()> {
    let named = |id: &str| entries.iter().any(|entry| entry.original.as_ref().is_some_and(|stored| *stored.id == *id));
    let missing = edit.catalog.all().iter().filter(|stored| !stored.system && !named(&stored.id));
    let mut missing: Vec<_> = missing.cloned().collect();
    // Views first: SQLite refuses to alter tables while a view is broken.
    missing.sort_by_key(|stored| !stored.is_view());
    missing.iter().try_for_each(|stored| edit.remove(stored))
}

type Saved = (Option<Arc<Collection>>, Arc<Collection>, Option<Leaf>);

/// Step 5: table and row, without validation but for what SQLite itself would trip over.
fn save(edit: &mut Edit<'_, '_>, entry: Entry) -> Result<Saved> {
    let Entry { original, draft } = entry;
    let mut new = draft.collection;
    let derived = edit.derive_view(&mut new)?;
    let view_issue = match derived {
        Ok(Some(derived)) => sampled(edit, &derived)?,
        Ok(None) => None,
        Err(leaf) => return Err(Error::invalid(format!("The view \"{}\" has an {}", new.name, leaf.message))),
    };
    // An earlier entry may have changed what is stored: its views were derived again.
    let stored = match &original {
        Some(original) => Some(edit.catalog.by_id(&original.id).cloned().ok_or_else(Error::not_found)?),
        None => None,
    };
    let moves = stored.as_ref().is_none_or(|stored| !stored.name.eq_ignore_ascii_case(&new.name));
    if moves && validate::free_table_name(edit.tx, &new.name)?.is_err() {
        return Err(Error::invalid(format!("The name \"{}\" is taken.", new.name)));
    }
    validate::word(&new.name).map_err(|leaf| Error::invalid(leaf.message))?;
    if new.name.is_empty() {
        return Err(Error::invalid("A collection needs a name."));
    }
    if let Some(stored) = &stored {
        draft::renew_secret(stored, &mut new);
    }
    let new = Arc::new(new);
    let new = match &stored {
        Some(stored) => edit.replace(stored, new)?,
        None => {
            if edit.catalog.by_id(&new.id).is_some() {
                return Err(Error::invalid(format!("The id \"{}\" is taken.", new.id)));
            }
            edit.insert(new)?
        }
    };
    Ok((original, new, view_issue))
}

fn sampled(edit: &Edit<'_, '_>, derived: &view::Derived) -> Result<Option<Leaf>> {
    match edit.tx.within(SAMPLE_BUDGET, |tx| view::sample(tx, derived)) {
        Ok(outcome) => Ok(outcome.err().map(|reason| invalid_query(&reason))),
        Err(error) if error.kind == Kind::Invalid => Ok(None),
        Err(error) => Err(error),
    }
}

/// Step 6.
fn validate(
    edit: &Edit<'_, '_>,
    original: Option<&Collection>,
    new: &Arc<Collection>,
    view_issue: Option<Leaf>,
) -> Result<Issues> {
    let new = edit.catalog.by_id(&new.id).unwrap_or(new);
    let check = Check { original, new, catalog: &edit.catalog, rules: edit.rules, saved: true, view_issue };
    check.run(edit.tx)
}
