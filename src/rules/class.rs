//! What both readers have to know of an operand to choose a comparison (`records-filter.md` §5.1, §5.5).

use crate::schema::{Field, FieldKind};

/// §5.1
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `null`, `''`, a missing or blank request value.
    Blank,
    /// A value that is certainly there.
    Known,
    /// JSON values: compared by `IS`, never blank.
    Raw,
    /// Any other column.
    Plain,
}

/// The affinity of an operand: what SQLite converts the *other* side of a comparison to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    /// An expression: the other side's affinity decides.
    None,
    /// A column without a type, such as the elements of a list: converts nothing, and is converted by numbers only.
    Blob,
    Text,
    Numeric,
}

/// How a field's column behaves (`records-storage.md` §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One text.
    Text,
    /// A number or a boolean.
    Number,
    /// A JSON value.
    Json,
    /// The JSON text of a point.
    Point,
    /// One element of a select, file or relation field.
    One,
    /// The JSON array of a multiple select, file or relation field.
    Many,
}

impl Shape {
    pub fn of(field: &Field) -> Self {
        match &field.kind {
            FieldKind::Number(_) | FieldKind::Bool(_) => Shape::Number,
            FieldKind::Json(_) => Shape::Json,
            FieldKind::GeoPoint(_) => Shape::Point,
            FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_) => {
                if field.kind.as_type().is_multiple() { Shape::Many } else { Shape::One }
            }
            FieldKind::Text(_)
            | FieldKind::Editor(_)
            | FieldKind::Email(_)
            | FieldKind::Url(_)
            | FieldKind::Date(_)
            | FieldKind::Autodate(_)
            | FieldKind::Password(_) => Shape::Text,
        }
    }

    /// Select, file and relation fields know `:each` and `:length`.
    pub fn is_list(self) -> bool {
        matches!(self, Shape::One | Shape::Many)
    }

    pub fn affinity(self) -> Affinity {
        match self {
            Shape::Text | Shape::One => Affinity::Text,
            Shape::Number | Shape::Json | Shape::Point | Shape::Many => Affinity::Numeric,
        }
    }
}
