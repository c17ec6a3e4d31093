//! A collection's definition, in its wire and storage forms.

use crate::{clock::Timestamp, schema::field::Field};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CollectionType {
    Base,
    Auth,
    View,
}

/// `None`: superusers only; blank: everyone; else a filter.
pub type Rule = Option<String>;

/// One collection (`docs/wire/records-collections.md` §2).
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    pub id: std::sync::Arc<str>,
    /// Also the name of its table or view.
    pub name: std::sync::Arc<str>,
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
}

/// What only one type has.
#[derive(Debug, Clone, PartialEq)]
pub enum Options {
    Base,
    Auth(Box<super::auth_options::AuthOptions>),
    View { query: String },
}

impl Collection {
    /// The field of this (case-sensitive) name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub fn kind(&self) -> CollectionType {
        match self.options {
            Options::Base => CollectionType::Base,
            Options::Auth(_) => CollectionType::Auth,
            Options::View { .. } => CollectionType::View,
        }
    }

    pub fn is_auth(&self) -> bool {
        self.kind() == CollectionType::Auth
    }

    pub fn is_view(&self) -> bool {
        self.kind() == CollectionType::View
    }

    /// The options of an auth collection.
    pub fn auth(&self) -> Option<&super::auth_options::AuthOptions> {
        match &self.options {
            Options::Auth(options) => Some(options),
            _ => None,
        }
    }

    /// The wire's JSON, secrets left out, keys in the wire's order.
    pub fn to_json(&self) -> serde_json::Value {
        todo!()
    }

    /// True when a single-column UNIQUE index (maybe partial) stands on this column.
    pub fn has_unique_index(&self, column: &str) -> bool {
        todo!()
    }

    /// Columns of each UNIQUE index, with its name: what a unique violation is reported on.
    pub fn unique_indexes(&self) -> &[super::index::Index] {
        todo!()
    }
}
