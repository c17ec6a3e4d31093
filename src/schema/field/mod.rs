//! Fields: what a column of a collection means. A field type is one file implementing [`FieldType`].
//!
//! Values travel in *stored form* ([`crate::db::Value`]): exactly what the column holds
//! (`docs/wire/records-storage.md` §3). Multi-values, JSON and points are their JSON text.

use rusqlite::types::ValueRef;
use serde_json::Value as Json;

use crate::{
    db::Value,
    error::{Issues, Leaf},
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
mod text;
mod url;

pub use self::{
    autodate::Autodate, boolean::Bool, date::Date, editor::Editor, email::Email, file::File, geo_point::GeoPoint,
    json::JsonField, number::Number, password::Password, relation::Relation, select::Select, text::Text, url::Url,
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
/// is checked by `records` and `schema`.
pub trait FieldType {
    /// The wire's name of the type.
    fn name(&self) -> &'static str;

    /// The column definition after its name, e.g. `TEXT DEFAULT '' NOT NULL`.
    fn column(&self) -> &'static str;

    /// True when the column holds a JSON array.
    fn is_multiple(&self) -> bool {
        false
    }

    /// The value for unset, `null` and unparsable input.
    fn zero(&self) -> Value;

    /// Any JSON input in stored form (`docs/wire/records-collections.md` §4.3). Never fails.
    fn normalise(&self, input: &Json) -> Value;

    /// A raw database value, also a legacy one, in stored form.
    fn normalise_stored(&self, raw: ValueRef<'_>) -> Value;

    /// The stored (maybe legacy) value as the wire's JSON.
    fn write_json(&self, stored: ValueRef<'_>, out: &mut Vec<u8>);

    /// `current` changed by a body key with a modifier; `None` when the type does not know the modifier.
    fn apply(&self, current: &Value, modifier: Modifier, input: &Json) -> Option<Value> {
        let _ = current;
        (modifier == Modifier::Set).then(|| self.normalise(input))
    }

    /// The checks of `docs/wire/records-collections.md` §4.4 that need nothing but the value; first failure wins.
    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf>;

    /// The checks of §4.5 that need nothing but the settings.
    fn check_settings(&self, field: &Field) -> Issues;
}

impl FieldKind {
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

impl Field {
    /// A field of this type with default settings and the deterministic id (`docs/wire/records-storage.md` §4).
    pub fn new(name: &str, kind: FieldKind) -> Self {
        todo!()
    }

    /// From the wire's or the stored JSON object. Unknown keys are dropped; an unknown type or a value of a wrong
    /// JSON type is an error (the whole request answers 400 with empty `data`).
    pub fn from_json(object: &serde_json::Map<String, Json>) -> crate::error::Result<Self> {
        todo!()
    }

    /// All keys with defaults filled in, sorted.
    pub fn to_json(&self) -> Json {
        todo!()
    }
}
