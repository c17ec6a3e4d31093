//! From a request's body to the collection that would be stored: merged over the scaffold or the stored one, then
//! settled (ids, system fields, automatic indexes, what the type forces). Nothing is validated here.

use serde_json::{Map, Value as Json};

use super::{
    Catalog, Collection, CollectionType, FieldType as _, Rule, collection::Options, field::Date, fields_list, ids,
    index::Index,
};
use crate::{
    clock::Timestamp,
    db::Value,
    error::{Error, Issues, Leaf, Result},
    identity::SUPERUSERS_ID,
};

/// A collection on its way to be stored, with what was wrong on reading it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub collection: Collection,
    pub issues: Issues,
    /// The body named its fields.
    pub has_fields: bool,
}

impl Draft {
    /// A new collection: the body over the scaffold of its type.
    pub fn create(body: &Map<String, Json>) -> Result<Self> {
        let mut issues = Issues::default();
        let kind = match read_text(body, "type")?.filter(|kind| !kind.is_empty()) {
            None => CollectionType::Base,
            Some(name) => CollectionType::parse(&name).unwrap_or_else(|| {
                issues.insert("type", Leaf::new("validation_in_invalid", "There is no such type of collection."));
                CollectionType::Base
            }),
        };
        let mut draft = Self { collection: scaffold(kind), issues, has_fields: false };
        draft.collection.id = read_text(body, "id")?.unwrap_or_default().into();
        draft.collection.system = read_bool(body, "system")?.unwrap_or_default();
        draft.merge(body)?;
        Ok(draft)
    }

    /// The body over the stored collection.
    pub fn update(stored: &Collection, body: &Map<String, Json>) -> Result<Self> {
        let mut draft = Self { collection: stored.clone(), issues: Issues::default(), has_fields: false };
        if read_text(body, "id")?.is_some_and(|id| *id != *stored.id) {
            return Err(Error::not_found());
        }
        if read_text(body, "type")?.is_some_and(|kind| kind != stored.kind().as_str()) {
            let leaf = Leaf::new("validation_collection_type_change", "The type of a collection cannot be changed.");
            draft.issues.insert("type", leaf);
        }
        if let Some(system) = read_bool(body, "system")? {
            draft.collection.system = system;
        }
        draft.merge(body)?;
        Ok(draft)
    }

    /// What create and update share.
    fn merge(&mut self, body: &Map<String, Json>) -> Result<()> {
        let collection = &mut self.collection;
        if let Some(name) = read_text(body, "name")? {
            collection.name = name.into();
        }
        read_rule(body, "listRule", &mut collection.list_rule)?;
        read_rule(body, "viewRule", &mut collection.view_rule)?;
        read_rule(body, "createRule", &mut collection.create_rule)?;
        read_rule(body, "updateRule", &mut collection.update_rule)?;
        read_rule(body, "deleteRule", &mut collection.delete_rule)?;
        if let Some(fields) = read_list(body, "fields")? {
            self.has_fields = true;
            collection.fields = fields_list::reduce(Collection::parse_fields(fields)?);
        }
        if let Some(indexes) = read_list(body, "indexes")? {
            let text = |entry: &Json| entry.as_str().map(str::to_owned).ok_or_else(malformed);
            collection.indexes = indexes.iter().map(text).collect::<Result<_>>()?;
        }
        if let Some(created) = read_text(body, "created")? {
            collection.created = match Date::default().normalise(&created.into()) {
                Value::Text(text) => text,
                _ => String::new(),
            };
        }
        match &mut collection.options {
            Options::Base => {}
            Options::Auth(options) => {
                **options = options.merged(body).map_err(|error| malformed().because(anyhow::anyhow!(error)))?
            }
            Options::View { query } => *query = read_text(body, "viewQuery")?.unwrap_or(std::mem::take(query)),
        }
        Ok(())
    }

    /// Fills in what the server decides. `original` is the stored collection, `catalog` what exists.
    pub fn settle(&mut self, original: Option<&Collection>, catalog: &Catalog, now: Timestamp) {
        let collection = &mut self.collection;
        if original.is_none() {
            settle_id(collection, catalog);
            collection.created = now.to_string();
        }
        collection.updated = now.to_string();
        collection.fields = fields_list::reduce(std::mem::take(&mut collection.fields));
        if original.is_none() && self.issues.contains("type") {
            // Nobody knows what system fields a collection of no type has.
            return;
        }
        fields_list::complete(collection);
        settle_auth(collection);
        settle_indexes(collection);
    }
}

/// A blank collection of this type with its system fields.
pub(super) fn scaffold(kind: CollectionType) -> Collection {
    let options = match kind {
        CollectionType::Base => Options::Base,
        CollectionType::Auth => Options::Auth(Box::default()),
        CollectionType::View => Options::View { query: String::new() },
    };
    let mut collection = Collection::new("", "", options);
    fields_list::complete(&mut collection);
    collection
}

/// The two indexes that every auth collection needs. `suffix` makes their names unique.
pub(super) fn auth_indexes(suffix: &str, table: &str) -> [(&'static str, Index); 2] {
    ["tokenKey", "email"].map(|column| {
        let mut name = format!("idx_{column}_{suffix}");
        name.truncate(name.char_indices().map(|(at, _)| at).nth(64).unwrap_or(name.len()));
        let index = Index {
            name,
            table: table.to_owned(),
            unique: true,
            if_not_exists: false,
            schema: String::new(),
            columns: vec![super::index::IndexColumn { name: column.to_owned(), ..Default::default() }],
            condition: if column == "email" { "`email` != ''".to_owned() } else { String::new() },
        };
        (column, index)
    })
}

/// A submitted id stays; else the deterministic one, which also replaces its provisional form in index names.
fn settle_id(collection: &mut Collection, catalog: &Catalog) {
    if !collection.id.is_empty() {
        return;
    }
    let provisional = ids::collection_base(collection.kind(), &collection.name);
    let id = ids::collection(collection.kind(), &collection.name, |id| catalog.by_id(id).is_some());
    if id != provisional {
        for text in &mut collection.indexes {
            if let Some(mut index) = Index::parse(text).filter(|index| index.name.contains(&provisional)) {
                index.name = index.name.replace(&provisional, &id);
                *text = index.to_string();
            }
        }
    }
    collection.id = id.into();
}

/// What is forced on auth collections (`docs/wire/auth.md` §1.2, §1.4).
fn settle_auth(collection: &mut Collection) {
    let Options::Auth(options) = &mut collection.options else { return };
    let mapped = &mut options.oauth2.mapped_fields;
    for name in [&mut mapped.id, &mut mapped.name, &mut mapped.username, &mut mapped.avatar_url] {
        if !collection.fields.iter().any(|field| field.name == *name) {
            name.clear();
        }
    }
    if *collection.id == *SUPERUSERS_ID {
        options.oauth2.enabled = false;
        options.oauth2.providers.clear();
        options.password_auth.enabled = true;
        options.mfa.enabled |= options.otp.enabled;
    }
}

/// Who may sign in has changed: all tokens that were issued before end. Null and blank count as equal. Comes after the
/// validation, which judges the secret as it was submitted.
pub(super) fn renew_secret(original: &Collection, new: &mut Collection) {
    let (Some(old), Options::Auth(new)) = (original.auth(), &mut new.options) else { return };
    let text = |rule: &Rule| rule.clone().unwrap_or_default();
    if text(&old.auth_rule) != text(&new.auth_rule) {
        new.auth_token.secret = ids::secret();
    }
}

/// Indexes name their own table; auth collections get their automatic ones back.
fn settle_indexes(collection: &mut Collection) {
    for text in &mut collection.indexes {
        if let Some(mut index) = Index::parse(text).filter(|index| index.table != *collection.name) {
            index.table = collection.name.to_string();
            *text = index.to_string();
        }
    }
    if !collection.is_auth() {
        return;
    }
    for (column, index) in auth_indexes(&collection.id, &collection.name) {
        // Not through the lazily parsed list: the strings may still change.
        let parsed = collection.indexes.iter().filter_map(|text| Index::parse(text));
        if !parsed.into_iter().any(|index| index.unique && index.is_on(column)) {
            collection.indexes.push(index.to_string());
        }
    }
}

fn malformed() -> Error {
    Error::invalid("The submitted data has a wrong format.")
}

/// A value by key, in any case (`docs/wire/auth.md` §0.2).
pub(super) fn get<'a>(body: &'a Map<String, Json>, key: &str) -> Option<&'a Json> {
    body.get(key).or_else(|| body.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value))
}

/// A text by key; JSON `null` is the blank text.
fn read_text(body: &Map<String, Json>, key: &str) -> Result<Option<String>> {
    match get(body, key) {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(String::new())),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(malformed()),
    }
}

fn read_bool(body: &Map<String, Json>, key: &str) -> Result<Option<bool>> {
    match get(body, key) {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(false)),
        Some(Json::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(malformed()),
    }
}

fn read_rule(body: &Map<String, Json>, key: &str, rule: &mut Rule) -> Result<()> {
    match get(body, key) {
        None => {}
        Some(Json::Null) => *rule = None,
        Some(Json::String(text)) => *rule = Some(text.clone()),
        Some(_) => return Err(malformed()),
    }
    Ok(())
}

/// A list by key; JSON `null` is the empty list.
fn read_list<'a>(body: &'a Map<String, Json>, key: &str) -> Result<Option<&'a [Json]>> {
    match get(body, key) {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(&[])),
        Some(Json::Array(list)) => Ok(Some(list)),
        Some(_) => Err(malformed()),
    }
}
