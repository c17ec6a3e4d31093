//! A collection's definition, in its wire and storage forms.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value as Json, json};

use super::{Rule, auth_options::AuthOptions, bootstrap::notify, field::Field, index::Index};
use crate::error::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CollectionType {
    Base,
    Auth,
    View,
}

impl CollectionType {
    /// The wire's name of the type.
    pub fn as_str(self) -> &'static str {
        match self {
            CollectionType::Base => "base",
            CollectionType::Auth => "auth",
            CollectionType::View => "view",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Base, Self::Auth, Self::View].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Which changes of a collection enter the change log. Fixed by the code, so that it never changes under a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPolicy {
    /// All of them.
    All,
    /// All but the creates and updates of rows that are on their way: with one of these values in this column before
    /// and after. So whatever the log tells of a settled row is exact.
    Settled { column: &'static str, passing: &'static [&'static str] },
}

/// One collection (`docs/wire/records-collections.md` §2).
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    pub id: Arc<str>,
    /// Also the name of its table or view.
    pub name: Arc<str>,
    pub system: bool,
    pub list_rule: Rule,
    pub view_rule: Rule,
    pub create_rule: Rule,
    pub update_rule: Rule,
    pub delete_rule: Rule,
    pub fields: Vec<Field>,
    pub indexes: Vec<String>,
    pub created: String,
    pub updated: String,
    pub options: Options,
    /// Read with [`Collection::unique_indexes`].
    pub(super) unique: UniqueIndexes,
}

/// What only one type has.
#[derive(Debug, Clone, PartialEq)]
pub enum Options {
    Base,
    Auth(Box<AuthOptions>),
    View { query: String },
}

impl Options {
    pub fn kind(&self) -> CollectionType {
        match self {
            Options::Base => CollectionType::Base,
            Options::Auth(_) => CollectionType::Auth,
            Options::View { .. } => CollectionType::View,
        }
    }

    /// The stored form: with secrets (`docs/wire/records-storage.md` §2).
    pub fn to_stored(&self) -> Json {
        match self {
            Options::Base => json!({}),
            Options::Auth(options) => options.to_stored(),
            Options::View { query } => json!({ "viewQuery": query }),
        }
    }

    /// From the stored form. Missing keys take their defaults, unknown ones are ignored.
    pub fn from_stored(kind: CollectionType, stored: Json) -> Result<Self, String> {
        Ok(match kind {
            CollectionType::Base => Options::Base,
            CollectionType::Auth => Options::Auth(Box::new(AuthOptions::from_stored(stored)?)),
            CollectionType::View => {
                let query = stored.get("viewQuery").and_then(Json::as_str).unwrap_or_default();
                Options::View { query: query.to_owned() }
            }
        })
    }
}

/// The parsed UNIQUE indexes, computed when first asked for. Not part of a collection's identity: a clone, which may
/// be about to change, starts without.
#[derive(Default)]
pub(super) struct UniqueIndexes(OnceLock<Vec<Index>>);

impl std::fmt::Debug for UniqueIndexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("computed")
    }
}

impl Clone for UniqueIndexes {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for UniqueIndexes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Collection {
    /// A collection without fields, indexes and rules: locked.
    pub fn new(id: &str, name: &str, options: Options) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            system: false,
            list_rule: None,
            view_rule: None,
            create_rule: None,
            update_rule: None,
            delete_rule: None,
            fields: Vec::new(),
            indexes: Vec::new(),
            created: String::new(),
            updated: String::new(),
            options,
            unique: UniqueIndexes::default(),
        }
    }

    /// The field of this (case-sensitive) name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field of this id.
    pub fn field_by_id(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == id)
    }

    pub fn kind(&self) -> CollectionType {
        self.options.kind()
    }

    pub fn is_auth(&self) -> bool {
        self.kind() == CollectionType::Auth
    }

    pub fn is_view(&self) -> bool {
        self.kind() == CollectionType::View
    }

    /// True for all but the wire's own system collections.
    pub fn rules_may_change(&self) -> bool {
        !self.system || notify::NAMES.contains(&&*self.name)
    }

    /// What of it enters the change log.
    pub fn log_policy(&self) -> LogPolicy {
        if self.system { notify::log_policy(&self.name) } else { LogPolicy::All }
    }

    /// The options of an auth collection.
    pub fn auth(&self) -> Option<&AuthOptions> {
        match &self.options {
            Options::Auth(options) => Some(options),
            _ => None,
        }
    }

    /// The query of a view collection, as it was submitted.
    pub fn view_query(&self) -> Option<&str> {
        match &self.options {
            Options::View { query } => Some(query),
            _ => None,
        }
    }

    /// The five rules under their wire names.
    pub fn rules(&self) -> [(&'static str, &Rule); 5] {
        [
            ("listRule", &self.list_rule),
            ("viewRule", &self.view_rule),
            ("createRule", &self.create_rule),
            ("updateRule", &self.update_rule),
            ("deleteRule", &self.delete_rule),
        ]
    }

    /// The wire's JSON, secrets left out, keys in the wire's order.
    pub fn to_json(&self) -> Json {
        let mut object = Map::new();
        object.insert("id".into(), (*self.id).into());
        for (name, rule) in self.rules() {
            object.insert(name.into(), rule.clone().into());
        }
        object.insert("name".into(), (*self.name).into());
        object.insert("type".into(), self.kind().as_str().into());
        object.insert("fields".into(), self.fields.iter().map(Field::to_json).collect());
        object.insert("indexes".into(), self.indexes.clone().into());
        object.insert("created".into(), self.created.clone().into());
        object.insert("updated".into(), self.updated.clone().into());
        object.insert("system".into(), self.system.into());
        let options = match &self.options {
            Options::Auth(options) => options.redacted(),
            other => other.to_stored(),
        };
        if let Json::Object(options) = options {
            object.extend(options);
        }
        Json::Object(object)
    }

    /// The stored `fields` column.
    pub fn stored_fields(&self) -> String {
        Json::from_iter(self.fields.iter().map(Field::to_json)).to_string()
    }

    /// The parsed `fields` column or key. A wrong JSON type or an unknown field type is an error.
    pub fn parse_fields(list: &[Json]) -> Result<Vec<Field>> {
        list.iter()
            .map(|entry| match entry {
                Json::Object(object) => Field::from_json(object),
                _ => Err(Error::invalid("A field must be an object.")),
            })
            .collect()
    }

    /// True when a single-column UNIQUE index (maybe partial) stands on this column.
    pub fn has_unique_index(&self, column: &str) -> bool {
        self.unique_index_on(column).is_some()
    }

    /// The first single-column UNIQUE index (maybe partial) on this column.
    pub fn unique_index_on(&self, column: &str) -> Option<&Index> {
        self.unique_indexes().iter().find(|index| index.is_on(column))
    }

    /// Every UNIQUE index: what a unique violation is reported on.
    pub fn unique_indexes(&self) -> &[Index] {
        let parse = || self.indexes.iter().filter_map(|text| Index::parse(text)).filter(|index| index.unique).collect();
        self.unique.0.get_or_init(parse)
    }
}
