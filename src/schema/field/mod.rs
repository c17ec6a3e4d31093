//! Fields: what a column of a collection means. A field type is one file implementing [`FieldType`].
//!
//! Values travel in *stored form* ([`crate::db::Value`]): exactly what the column holds
//! (`docs/wire/records-storage.md` §3). Multi-values, JSON and points are their JSON text.

use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::{
    db::Value,
    error::{Error, Issues, Leaf, Result},
};

mod autodate;
mod boolean;
mod date;
mod editor;
mod email;
mod file;
mod geo_point;
mod json;
mod number;
mod password;
mod relation;
mod select;
mod settings;
mod text;
mod url;
pub mod value;

use self::value::{list, render, scalar};

pub use self::{
    autodate::Autodate, boolean::Bool, date::Date, editor::Editor, email::Email, file::File, geo_point::GeoPoint,
    json::JsonField, number::Number, password::Password, relation::Relation, select::Select, text::DEFAULT_KEY_PATTERN,
    text::Text, url::Url,
};

/// One field of a collection (`docs/wire/records-collections.md` §4).
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Stable over renames.
    pub id: String,
    pub name: String,
    /// Blocks rename and delete of the field.
    pub system: bool,
    /// Only superusers see, write and filter by it.
    pub hidden: bool,
    pub presentable: bool,
    pub help: String,
    pub required: bool,
    pub kind: FieldKind,
}

/// The type of a field with its options.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldKind {
    Text(Text),
    Editor(Editor),
    Number(Number),
    Bool(Bool),
    Email(Email),
    Url(Url),
    Date(Date),
    Autodate(Autodate),
    Select(Select),
    File(File),
    Relation(Relation),
    Json(JsonField),
    Password(Password),
    GeoPoint(GeoPoint),
}

/// The affix of a body key (`docs/wire/records-api.md` §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modifier {
    /// `f`
    Set,
    /// `f+`
    Append,
    /// `+f`
    Prepend,
    /// `f-`
    Remove,
    /// `f:autogenerate`
    Autogenerate,
}

/// What a field type does. All methods are pure; what needs the database (relations, primary keys, uploads, indexes)
/// is checked by `records` and `schema`. Most hold a text or a list of texts: that is what those do that do not say
/// otherwise.
pub trait FieldType {
    /// The wire's name of the type.
    fn name(&self) -> &'static str;

    /// Of a type that holds a list of texts, how many; up to 1 is a single one.
    fn max_select(&self) -> Option<i64> {
        None
    }

    /// True when the column holds a JSON array.
    fn is_multiple(&self) -> bool {
        self.max_select().is_some_and(|most| most > 1)
    }

    /// The column definition after its name, e.g. `TEXT DEFAULT '' NOT NULL`.
    fn column(&self) -> &'static str {
        if self.is_multiple() { list::MULTIPLE_COLUMN } else { list::SINGLE_COLUMN }
    }

    /// The value for unset, `null` and unparsable input.
    fn zero(&self) -> Value {
        list::write(self.is_multiple(), Vec::new())
    }

    /// Any JSON input in stored form (`docs/wire/records-collections.md` §4.3). Never fails.
    fn normalise(&self, input: &Json) -> Value {
        match self.max_select() {
            Some(_) => list::normalise(self.is_multiple(), input),
            None => scalar::text_value(input),
        }
    }

    /// A raw database value, also a legacy one, in stored form.
    fn normalise_stored(&self, raw: ValueRef<'_>) -> Value {
        match self.max_select() {
            Some(_) => list::normalise_raw(self.is_multiple(), raw),
            None => Value::Text(scalar::raw_text(raw).into_owned()),
        }
    }

    /// The stored (maybe legacy) value as the wire's JSON.
    fn write_json(&self, stored: ValueRef<'_>, out: &mut Vec<u8>) {
        match self.max_select() {
            Some(_) => list::write_json(self.is_multiple(), stored, out),
            None => render::write_raw_text(stored, out),
        }
    }

    /// `current` changed by a body key with a modifier; `None` when the type does not know the modifier, and for every
    /// key of a type that bodies cannot set: the key is ignored then.
    fn apply(&self, current: &Value, modifier: Modifier, input: &Json) -> Option<Value> {
        match self.max_select() {
            Some(_) => list::apply(self.is_multiple(), current, modifier, input),
            None => (modifier == Modifier::Set).then(|| self.normalise(input)),
        }
    }

    /// The checks of `docs/wire/records-collections.md` §4.4 that need nothing but the value; first failure wins.
    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf>;

    /// The checks of §4.5 that need nothing but the settings.
    fn check_settings(&self, field: &Field) -> Issues;
}

impl FieldKind {
    /// The type of this name with the options that `object` gives.
    fn from_json(name: &str, object: &Json) -> Result<Self> {
        Ok(match name {
            "text" => FieldKind::Text(read(object)?),
            "editor" => FieldKind::Editor(read(object)?),
            "number" => FieldKind::Number(read(object)?),
            "bool" => FieldKind::Bool(read(object)?),
            "email" => FieldKind::Email(read(object)?),
            "url" => FieldKind::Url(read(object)?),
            "date" => FieldKind::Date(read(object)?),
            "autodate" => FieldKind::Autodate(read(object)?),
            "select" => FieldKind::Select(read(object)?),
            "file" => FieldKind::File(read(object)?),
            "relation" => FieldKind::Relation(read(object)?),
            "json" => FieldKind::Json(read(object)?),
            "password" => FieldKind::Password(read(object)?),
            "geoPoint" => FieldKind::GeoPoint(read(object)?),
            _ => return Err(Error::invalid("A field has an unknown or missing type.")),
        })
    }

    /// The type's own settings.
    fn options(&self) -> serde_json::Map<String, Json> {
        let options = match self {
            FieldKind::Text(kind) => serde_json::to_value(kind),
            FieldKind::Editor(kind) => serde_json::to_value(kind),
            FieldKind::Number(kind) => serde_json::to_value(kind),
            FieldKind::Bool(kind) => serde_json::to_value(kind),
            FieldKind::Email(kind) => serde_json::to_value(kind),
            FieldKind::Url(kind) => serde_json::to_value(kind),
            FieldKind::Date(kind) => serde_json::to_value(kind),
            FieldKind::Autodate(kind) => serde_json::to_value(kind),
            FieldKind::Select(kind) => serde_json::to_value(kind),
            FieldKind::File(kind) => serde_json::to_value(kind),
            FieldKind::Relation(kind) => serde_json::to_value(kind),
            FieldKind::Json(kind) => serde_json::to_value(kind),
            FieldKind::Password(kind) => serde_json::to_value(kind),
            FieldKind::GeoPoint(kind) => serde_json::to_value(kind),
        };
        match options {
            Ok(Json::Object(options)) => options,
            _ => unreachable!("settings are structs of plain values"),
        }
    }

    /// The type's behaviour.
    pub fn as_type(&self) -> &dyn FieldType {
        match self {
            FieldKind::Text(kind) => kind,
            FieldKind::Editor(kind) => kind,
            FieldKind::Number(kind) => kind,
            FieldKind::Bool(kind) => kind,
            FieldKind::Email(kind) => kind,
            FieldKind::Url(kind) => kind,
            FieldKind::Date(kind) => kind,
            FieldKind::Autodate(kind) => kind,
            FieldKind::Select(kind) => kind,
            FieldKind::File(kind) => kind,
            FieldKind::Relation(kind) => kind,
            FieldKind::Json(kind) => kind,
            FieldKind::Password(kind) => kind,
            FieldKind::GeoPoint(kind) => kind,
        }
    }
}

/// The settings that every type has, as the wire spells them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Common {
    #[serde(deserialize_with = "settings::text")]
    id: String,
    #[serde(deserialize_with = "settings::text")]
    name: String,
    #[serde(deserialize_with = "settings::flag")]
    system: bool,
    #[serde(deserialize_with = "settings::flag")]
    hidden: bool,
    #[serde(deserialize_with = "settings::flag")]
    presentable: bool,
    #[serde(deserialize_with = "settings::text")]
    help: String,
    #[serde(deserialize_with = "settings::flag")]
    required: bool,
}

/// Names that the record's own keys and the rule language have taken.
const RESERVED_NAMES: [&str; 7] = ["null", "true", "false", "_rowid_", "collectionId", "collectionName", "expand"];

impl Field {
    /// A field of this type with default settings and the deterministic id (`docs/wire/records-storage.md` §4).
    pub fn new(name: &str, kind: FieldKind) -> Self {
        Self {
            id: Self::default_id(kind.as_type().name(), name),
            name: name.to_owned(),
            system: false,
            hidden: false,
            presentable: false,
            help: String::new(),
            required: false,
            kind,
        }
    }

    /// The id of a field that was sent without one; the list that it goes into keeps ids apart.
    pub fn default_id(kind: &str, name: &str) -> String {
        format!("{kind}{}", crc32fast::hash(name.as_bytes()))
    }

    /// From the wire's or the stored JSON object. Unknown keys are dropped; an unknown type or a value of a wrong
    /// JSON type is an error (the whole request answers 400 with empty `data`). A missing id stays blank: what it
    /// becomes depends on the other fields.
    pub fn from_json(object: &serde_json::Map<String, Json>) -> Result<Self> {
        let kind = object.get("type").and_then(Json::as_str).unwrap_or_default();
        let object = Json::Object(object.clone());
        let kind = FieldKind::from_json(kind, &object)?;
        let common = read::<Common>(&object)?;
        // An autodate is never asked for: it has neither of the two.
        let asked = !matches!(kind, FieldKind::Autodate(_));
        Ok(Self {
            id: common.id,
            name: common.name,
            system: common.system,
            hidden: common.hidden,
            presentable: common.presentable,
            help: if asked { common.help } else { String::new() },
            required: asked && common.required,
            kind,
        })
    }

    /// All keys with defaults filled in, sorted.
    pub fn to_json(&self) -> Json {
        let mut object = self.kind.options();
        let mut insert = |key: &str, value: Json| object.insert(key.to_owned(), value);
        insert("id", self.id.clone().into());
        insert("name", self.name.clone().into());
        insert("type", self.kind.as_type().name().into());
        insert("system", self.system.into());
        insert("hidden", self.hidden.into());
        insert("presentable", self.presentable.into());
        if !matches!(self.kind, FieldKind::Autodate(_)) {
            insert("help", self.help.clone().into());
            insert("required", self.required.into());
        }
        object.sort_keys();
        Json::Object(object)
    }

    /// The checks of `docs/wire/records-collections.md` §4.1 and §4.5 that need nothing but this field.
    pub fn check_settings(&self) -> Issues {
        let mut issues = self.kind.as_type().check_settings(self);
        settings::check_length(&mut issues, "id", &self.id, 100);
        if let Some(leaf) = self.check_name() {
            issues.insert("name", leaf);
        }
        if !self.help.is_empty() {
            settings::check_length(&mut issues, "help", &self.help, 300);
        }
        issues
    }

    fn check_name(&self) -> Option<Leaf> {
        if self.name.is_empty() {
            return Some(Leaf::required());
        }
        if self.name.len() > 100 {
            let mut issues = Issues::default();
            settings::check_length(&mut issues, "name", &self.name, 100);
            return match issues.get("name") {
                Some(crate::error::Issue::Leaf(leaf)) => Some(leaf.clone()),
                _ => None,
            };
        }
        if !self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Some(Leaf::new("validation_match_invalid", "May have letters, digits and underscores only."));
        }
        if self.name.to_ascii_lowercase().contains("_via_") {
            return Some(Leaf::new("validation_found_via", "Must not contain \"_via_\"."));
        }
        if RESERVED_NAMES.contains(&self.name.as_str()) {
            return Some(Leaf::new("validation_not_in_invalid", "This name is reserved."));
        }
        match &self.kind {
            FieldKind::Text(text) if text.primary_key && self.name != "id" => {
                Some(Leaf::new("validation_in_invalid", "The primary key must be named \"id\"."))
            }
            _ => None,
        }
    }

    /// What a value of this field may add to a request's body, in bytes (`docs/wire/records.md` §1.1).
    pub fn body_allowance(&self) -> u64 {
        match &self.kind {
            FieldKind::Editor(kind) => kind.max_bytes(),
            FieldKind::Json(kind) => kind.max_bytes(),
            FieldKind::File(kind) => kind.max_bytes().saturating_mul(kind.max_files()),
            _ => 0,
        }
    }
}

/// One set of settings out of a field's object.
fn read<'a, T: Deserialize<'a>>(object: &'a Json) -> Result<T> {
    T::deserialize(object).map_err(|reason| Error::invalid("A field's settings are malformed.").because(reason))
}

#[cfg(test)]
mod tests;
