//! From a body to values: keys shortest first, each on the result of the one before (`records-api.md` §3–§6).

use serde_json::{Map, Value as Json, json};

use super::{
    plan::{Plan, text},
    task::{Staged, Task},
};
use crate::{
    db::Value,
    schema::{Field, FieldKind, FieldType, Modifier, field},
};

/// The would-be record.
pub(super) struct Draft<'t> {
    task: &'t Task,
    /// In field order, stored form. A password that was given is here in plain text until its hash is known.
    pub values: Vec<Value>,
    /// New passwords in plain text by field position, blank ones (which clear) included.
    pub passwords: Vec<(usize, String)>,
    pub password_confirm: String,
    pub old_password: String,
    /// Fields that the body names, by position.
    touched: Vec<bool>,
    /// Keys that no field knows.
    unknown: Vec<&'t str>,
}

/// A body key and what it carries.
struct Entry<'t> {
    key: &'t str,
    value: Option<&'t Json>,
    uploads: Vec<&'t Staged>,
}

impl<'t> Draft<'t> {
    /// `stored`: the record's values before, zero values for a new one.
    pub fn new(plan: &Plan, task: &'t Task, stored: Vec<Value>) -> Self {
        let mut draft = Self {
            task,
            touched: vec![false; stored.len()],
            values: stored,
            passwords: Vec::new(),
            password_confirm: String::new(),
            old_password: String::new(),
            unknown: Vec::new(),
        };
        for entry in entries(task) {
            draft.apply(plan, entry);
        }
        draft
    }

    fn apply(&mut self, plan: &Plan, entry: Entry<'t>) {
        let Some((index, modifier)) = target(plan, entry.key) else {
            return self.keep_unknown(plan, &entry);
        };
        let field = &plan.collection.fields[index];
        if field.hidden && !self.task.request.caller.is_superuser() && !is_auth_password(plan, index) {
            return;
        }
        let input = match &field.kind {
            FieldKind::File(kind) if !entry.uploads.is_empty() => file_names(kind, &entry),
            _ => match entry.value {
                Some(value) => value.clone(),
                None => return,
            },
        };
        match &field.kind {
            // What a client says about the server's own dates is not listened to (records-collections.md §4.3).
            FieldKind::Autodate(_) if modifier == Modifier::Set => self.touched[index] = true,
            FieldKind::Password(_) if modifier == Modifier::Set => {
                let plain = plain_text(&input);
                self.passwords.retain(|(known, _)| *known != index);
                self.values[index] = Value::Text(plain.clone());
                self.passwords.push((index, plain));
                self.touched[index] = true;
            }
            kind => match changed(kind.as_type(), &self.values[index], modifier, &input) {
                Some(value) => {
                    self.values[index] = value;
                    self.touched[index] = true;
                }
                None => self.keep_unknown(plan, &entry),
            },
        }
    }

    fn keep_unknown(&mut self, plan: &Plan, entry: &Entry<'t>) {
        let Some(value) = entry.value else { return };
        if plan.auth.is_some() {
            match entry.key {
                "passwordConfirm" => self.password_confirm = plain_text(value),
                "oldPassword" => self.old_password = plain_text(value),
                _ => {}
            }
        }
        self.unknown.push(entry.key);
    }

    /// The plain text of a new password, if the body has one.
    pub fn plain(&self, index: usize) -> Option<&str> {
        self.passwords.iter().find(|(known, _)| *known == index).map(|(_, plain)| plain.as_str())
    }

    /// `@request.body`: the values after normalisation and modifiers, unknown keys as they came.
    pub fn request_body(&self, plan: &Plan) -> Map<String, Json> {
        let mut body = Map::new();
        for &key in &self.unknown {
            if let Some(value) = self.task.values.get(key) {
                body.insert(key.to_owned(), value.clone());
            }
        }
        for (index, field) in plan.collection.fields.iter().enumerate().filter(|(index, _)| self.touched[*index]) {
            let value = match self.plain(index) {
                Some(plain) => Json::from(plain),
                None => self.with_uploads(field, wire(field, &self.values[index])),
            };
            body.insert(field.name.clone(), value);
        }
        body
    }

    /// New files are objects that tell what they are (`records-filter.md` §6.5).
    fn with_uploads(&self, field: &Field, value: Json) -> Json {
        if !matches!(field.kind, FieldKind::File(_)) || self.task.uploads.is_empty() {
            return value;
        }
        match value {
            Json::String(name) => self.describe(name),
            Json::Array(names) => names
                .into_iter()
                .map(|name| match name {
                    Json::String(name) => self.describe(name),
                    other => other,
                })
                .collect(),
            other => other,
        }
    }

    fn describe(&self, name: String) -> Json {
        match self.task.uploads.iter().find(|staged| staged.name == name) {
            Some(staged) => {
                json!({"name": name, "originalName": staged.upload.client_name, "size": staged.upload.size})
            }
            None => Json::String(name),
        }
    }
}

/// Every key with its value and uploads, shortest first.
fn entries(task: &Task) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> =
        task.values.iter().map(|(key, value)| Entry { key, value: Some(value), uploads: Vec::new() }).collect();
    for staged in &task.uploads {
        let key = staged.upload.key.as_str();
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.uploads.push(staged),
            None => entries.push(Entry { key, value: None, uploads: vec![staged] }),
        }
    }
    entries.sort_by_key(|entry| (entry.key.len(), entry.key));
    entries
}

/// The field that a key names, and how it is to be changed.
fn target(plan: &Plan, key: &str) -> Option<(usize, Modifier)> {
    let position = |name: &str| plan.columns.iter().position(|column| &**column == name);
    // Field names are words: an affix can never be part of one.
    if let Some(index) = position(key) {
        return Some((index, Modifier::Set));
    }
    let (name, modifier) = if let Some(name) = key.strip_suffix(":autogenerate") {
        (name, Modifier::Autogenerate)
    } else if let Some(name) = key.strip_suffix('+') {
        (name, Modifier::Append)
    } else if let Some(name) = key.strip_prefix('+') {
        (name, Modifier::Prepend)
    } else {
        (key.strip_suffix('-')?, Modifier::Remove)
    };
    Some((position(name)?, modifier))
}

fn changed(kind: &dyn FieldType, current: &Value, modifier: Modifier, input: &Json) -> Option<Value> {
    kind.apply(current, modifier, input)
}

/// The one hidden field that everybody may set (`auth.md` §4.3).
fn is_auth_password(plan: &Plan, index: usize) -> bool {
    plan.auth.is_some_and(|auth| auth.password == index)
}

/// Names that came as text first, then the new files (§5).
fn file_names(kind: &field::File, entry: &Entry<'_>) -> Json {
    let kept = entry.value.map(|value| names(kind, &kind.normalise(value))).unwrap_or_default();
    let new = entry.uploads.iter().map(|staged| staged.name.clone());
    kept.into_iter().chain(new).map(Json::String).collect()
}

/// The elements of a select, relation or file value in stored form.
pub(super) fn names(kind: &dyn FieldType, value: &Value) -> Vec<String> {
    match text(Some(value)) {
        "" => Vec::new(),
        list if kind.is_multiple() => serde_json::from_str(list).unwrap_or_default(),
        name => vec![name.to_owned()],
    }
}

/// Text as text fields read it: numbers and booleans printed, anything else blank.
pub(super) fn plain_text(input: &Json) -> String {
    match field::Text::default().normalise(input) {
        Value::Text(text) => text,
        _ => String::new(),
    }
}

/// A value in the wire's JSON form.
fn wire(field: &Field, value: &Value) -> Json {
    let mut bytes = Vec::new();
    field.kind.as_type().write_json(value.into(), &mut bytes);
    serde_json::from_slice(&bytes).unwrap_or_default()
}
