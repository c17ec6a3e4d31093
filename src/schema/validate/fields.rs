//! Whether a list of fields may be stored (`docs/wire/records-collections.md` §4).

use std::{collections::HashSet, sync::Arc};

use serde_json::json;

use super::Check;
use crate::error::{Issue, Issues, Leaf};
use crate::schema::{Collection, Field, FieldKind, field::Relation};

/// SQLite's tables end at 2000 columns.
const MAX_FIELDS: usize = 1000;

/// The first failing check of the list; the last one looks at each field by itself.
pub(super) fn check(check: &Check<'_>) -> Result<(), Issue> {
    let fields = &check.new.fields;
    duplicates(fields)?;
    mandatory(check.new)?;
    if let Some(original) = check.original {
        system_fields_stay(original, check.new)?;
        types_stay(original, fields)?;
    }
    if check.new.is_auth() {
        reserved(fields)?;
    }
    let mut issues = Issues::default();
    for (position, field) in fields.iter().enumerate() {
        issues.nest(&position.to_string(), settings(check, field));
    }
    if issues.is_empty() { Ok(()) } else { Err(issues.into()) }
}

/// An issue at one key of one field.
fn at(position: usize, key: &str, leaf: Leaf) -> Issue {
    let (mut field, mut list) = (Issues::default(), Issues::default());
    field.insert(key, leaf);
    list.nest(&position.to_string(), field);
    list.into()
}

fn duplicates(fields: &[Field]) -> Result<(), Issue> {
    let (mut ids, mut names) = (HashSet::new(), HashSet::new());
    for (position, field) in fields.iter().enumerate() {
        if !ids.insert(field.id.as_str()) {
            let leaf = Leaf::new("validation_duplicated_field_id", "Another field has this id.");
            return Err(at(position, "id", leaf.param("fieldId", field.id.as_str())));
        }
        if !field.name.is_empty() && !names.insert(field.name.to_ascii_lowercase()) {
            let leaf = Leaf::new("validation_duplicated_field_name", "Another field has this name.");
            return Err(at(position, "name", leaf.param("fieldName", field.name.as_str())));
        }
    }
    Ok(())
}

/// What every collection of a type must have.
fn mandatory(collection: &Collection) -> Result<(), Issue> {
    if collection.fields.is_empty() {
        return Err(Leaf::required().into());
    }
    if collection.fields.len() > MAX_FIELDS {
        let message = format!("There must be no more than {MAX_FIELDS} fields.");
        let leaf = Leaf::new("validation_length_out_of_range", message);
        return Err(leaf.param("min", 0).param("max", json!(MAX_FIELDS)).into());
    }
    let is_key = |field: &Field| matches!(&field.kind, FieldKind::Text(text) if text.primary_key);
    if !collection.field("id").is_some_and(is_key) {
        return Err(Leaf::new("validation_missing_primary_key", "There must be an \"id\" field.").into());
    }
    if !collection.is_auth() {
        return Ok(());
    }
    let missing = |code| Leaf::new(code, "A field that every auth collection has is missing.");
    for (name, code, hidden) in [
        ("password", "validation_missing_password_field", true),
        ("tokenKey", "validation_missing_tokenKey_field", true),
        ("email", "validation_missing_email_field", false),
        ("emailVisibility", "validation_missing_emailVisibility_field", false),
        ("verified", "validation_missing_verified_field", false),
    ] {
        let field = collection.field(name).ok_or_else(|| missing(code))?;
        if hidden && !(field.system && field.hidden) {
            let message = "The field must be a hidden system field.";
            return Err(Leaf::new("validation_must_be_system_and_hidden", message).into());
        }
        if !field.system {
            return Err(Leaf::new("validation_must_be_system", "The field must be a system field.").into());
        }
    }
    Ok(())
}

fn system_fields_stay(original: &Collection, new: &Collection) -> Result<(), Issue> {
    let kept = |old: &Field| new.field_by_id(&old.id).is_some_and(|field| field.name == old.name);
    if new.is_view() || original.fields.iter().filter(|field| field.system).all(kept) {
        return Ok(());
    }
    Err(Leaf::new("validation_system_field_change", "System fields cannot be deleted or renamed.").into())
}

fn types_stay(original: &Collection, fields: &[Field]) -> Result<(), Issue> {
    for (position, field) in fields.iter().enumerate() {
        let old = original.field_by_id(&field.id);
        if old.is_some_and(|old| old.kind.as_type().name() != field.kind.as_type().name()) {
            let mut list = Issues::default();
            let message = "The type of a field cannot be changed: delete it and create another.";
            list.insert(&position.to_string(), Leaf::new("validation_field_type_change", message));
            return Err(list.into());
        }
    }
    Ok(())
}

fn reserved(fields: &[Field]) -> Result<(), Issue> {
    let mut list = Issues::default();
    for (position, field) in fields.iter().enumerate() {
        if matches!(field.name.as_str(), "passwordConfirm" | "oldPassword") {
            let leaf = Leaf::new("validation_reserved_field_name", "The name is reserved in auth collections.");
            let mut issues = Issues::default();
            issues.insert("name", leaf);
            list.nest(&position.to_string(), issues);
        }
    }
    if list.is_empty() { Ok(()) } else { Err(list.into()) }
}

/// The checks of one field: its own ones first, then those that need the collection or other ones.
fn settings(check: &Check<'_>, field: &Field) -> Issues {
    let mut issues = field.check_settings();
    let mut note = |key: &str, outcome: Result<(), Leaf>| {
        if let Err(leaf) = outcome {
            issues.insert(key, leaf);
        }
    };
    match &field.kind {
        FieldKind::Text(text) if text.primary_key => note("primaryKey", single_key(check.new)),
        FieldKind::Relation(relation) => note("collectionId", target(check, field, relation)),
        FieldKind::Autodate(new) if field.system => {
            let stored = check.original.and_then(|original| original.field_by_id(&field.id));
            if let Some(FieldKind::Autodate(old)) = stored.map(|stored| &stored.kind) {
                note("onCreate", unchanged(old.on_create, new.on_create));
                note("onUpdate", unchanged(old.on_update, new.on_update));
            }
        }
        _ => {}
    }
    issues
}

/// The first field whose name none can have, for people.
pub(in crate::schema) fn bad_name(fields: &[Field]) -> Option<String> {
    let bad = |field: &&Field| field.check_settings().contains("name");
    fields.iter().find(bad).map(|field| format!("\"{}\" is no valid name of a column", field.name))
}

fn single_key(collection: &Collection) -> Result<(), Leaf> {
    let is_key = |field: &&Field| matches!(&field.kind, FieldKind::Text(text) if text.primary_key);
    if collection.fields.iter().filter(is_key).count() > 1 {
        return Err(Leaf::new("validation_unsupported_composite_pk", "There can be only one primary key."));
    }
    Ok(())
}

/// The collection that a relation points at.
fn target(check: &Check<'_>, field: &Field, relation: &Relation) -> Result<(), Leaf> {
    let id = relation.collection_id.as_str();
    if id.is_empty() {
        return Err(Leaf::required());
    }
    let stored = check.original.and_then(|original| original.field_by_id(&field.id));
    if matches!(stored.map(|stored| &stored.kind), Some(FieldKind::Relation(old)) if old.collection_id != id) {
        return Err(Leaf::new("validation_field_relation_change", "The target of a relation cannot be changed."));
    }
    // A collection that is just being created is nothing to point at yet.
    let exists = |target: &&Arc<Collection>| check.saved || check.original.is_some() || *target.id != *check.new.id;
    let Some(target) = check.catalog.by_id(id).filter(exists) else {
        let message = "There is no collection with this id.";
        return Err(Leaf::new("validation_field_relation_missing_collection", message));
    };
    if target.is_view() && !check.new.is_view() {
        let message = "Only views may point at views.";
        return Err(Leaf::new("validation_relation_field_non_view_base_collection", message));
    }
    Ok(())
}

fn unchanged(old: bool, new: bool) -> Result<(), Leaf> {
    if old == new {
        return Ok(());
    }
    Err(Leaf::new("validation_values_mismatch", "System fields keep their dates."))
}
