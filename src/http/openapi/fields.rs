//! A field as a schema: what records show of it, and what may be written into it.

use serde_json::{Map, Value as Json, json};

use crate::schema::{Field, FieldKind};

/// What a record shows. `None`: it is never shown.
pub fn shown(field: &Field) -> Option<Json> {
    Some(match &field.kind {
        FieldKind::Password(_) => return None,
        // Never shown, whoever asks.
        FieldKind::Text(_) if field.name == "tokenKey" && field.system => return None,
        FieldKind::Text(_) | FieldKind::Editor(_) | FieldKind::Email(_) | FieldKind::Url(_) => {
            json!({"type": "string"})
        }
        FieldKind::Number(_) => json!({"type": "number"}),
        FieldKind::Bool(_) => json!({"type": "boolean"}),
        FieldKind::Date(_) | FieldKind::Autodate(_) => {
            json!({"type": "string", "description": "`2026-11-22 10:00:00.000Z`, or blank."})
        }
        FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_) => {
            let one = json!({"type": "string", "description": meaning(&field.kind)});
            if field.kind.as_type().is_multiple() { json!({"type": "array", "items": one}) } else { one }
        }
        FieldKind::Json(_) => json!({}),
        FieldKind::GeoPoint(_) => point(),
    })
}

/// What may be written. `None`: bodies cannot set it.
pub fn written(field: &Field) -> Option<Json> {
    Some(match &field.kind {
        FieldKind::Autodate(_) => return None,
        FieldKind::Text(text) => limits("string", [("minLength", text.min), ("maxLength", text.max_chars())]),
        FieldKind::Password(password) => limits("string", [("minLength", password.min), ("maxLength", password.max)]),
        FieldKind::Email(_) => json!({"type": "string", "description": "An e-mail address, or blank."}),
        FieldKind::Url(_) => json!({"type": "string", "description": "A URL, or blank."}),
        FieldKind::Select(select) => {
            let mut values: Vec<Json> = select.values.iter().map(|value| value.clone().into()).collect();
            if field.kind.as_type().is_multiple() {
                json!({"type": "array", "items": {"enum": values}, "maxItems": select.max_select})
            } else {
                values.push("".into());
                json!({"enum": values})
            }
        }
        FieldKind::File(_) => {
            let one = json!({
                "description": "A file in a form; the name of a stored one, or blank, keeps or removes it.",
                "anyOf": [{"type": "string"}, {"type": "string", "contentMediaType": "application/octet-stream"}],
            });
            if field.kind.as_type().is_multiple() {
                json!({"anyOf": [one, {"type": "array", "items": one}]})
            } else {
                one
            }
        }
        _ => return shown(field),
    })
}

fn meaning(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Select(select) => format!("One of {}, or blank.", select.values.join(", ")),
        FieldKind::File(_) => "The name of a stored file.".to_owned(),
        _ => "The id of a record.".to_owned(),
    }
}

fn limits(kind: &str, limits: [(&str, i64); 2]) -> Json {
    let mut schema = Map::from_iter([("type".to_owned(), kind.into())]);
    schema.extend(
        limits.into_iter().filter(|(_, limit)| *limit > 0).map(|(name, limit)| (name.to_owned(), limit.into())),
    );
    schema.into()
}

fn point() -> Json {
    json!({
        "type": "object",
        "required": ["lon", "lat"],
        "properties": {"lon": {"type": "number"}, "lat": {"type": "number"}},
    })
}
