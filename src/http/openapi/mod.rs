//! The API described by itself: OpenAPI 3.1 at `GET /api/openapi.json`, with the collections that there are.
//!
//! For superusers, as the collections are: it tells their fields. What is always there is a table (`operations`) with
//! schemas (`assets/openapi/schemas.json`); what a collection adds is made of its fields. The document is made once for
//! each version of the catalog.

mod collections;
mod fields;
mod operations;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

use self::operations::{Operation, reference};
use crate::{
    error::{Error, Result},
    schema::{Catalog, type_names},
    settings::Settings,
};

const SCHEMAS: &str = include_str!("../../../assets/openapi/schemas.json");
const ABOUT: &str = "The PocketBase-compatible API of this server, with its own collections. Any JSON answer can be cut \
    down with `?fields=a,b.c`; what is left out is then missing, also where a schema requires it. GET routes answer HEAD \
    as well. docs/wire of the project tells the rest.";

/// The document of one version of the catalog.
#[derive(Default)]
pub struct Cache {
    version: u64,
    text: Bytes,
}

impl Cache {
    /// The document for this catalog, made anew if it is another one.
    pub fn get(&mut self, catalog: &Catalog) -> Result<Bytes> {
        if self.version != catalog.version || self.text.is_empty() {
            let text = serde_json::to_vec(&document(catalog)).map_err(Error::internal)?;
            *self = Self { version: catalog.version, text: text.into() };
        }
        Ok(self.text.clone())
    }
}

fn document(catalog: &Catalog) -> Json {
    let mut schemas = match serde_json::from_str(SCHEMAS) {
        Ok(Json::Object(schemas)) => schemas,
        _ => unreachable!("a test reads them"),
    };
    schemas.insert("Settings".to_owned(), of_value(&Settings::fresh().redacted(), true));
    schemas.insert("SettingsInput".to_owned(), of_value(&Settings::fresh().to_stored(), false));
    let mut operations = operations::fixed();
    let names = type_names(catalog.all().iter().map(|collection| &*collection.name), |name| schemas.contains_key(name));
    for (collection, name) in catalog.all().iter().zip(names) {
        schemas.extend(collections::schemas(catalog, collection, &name));
        // Those of the system are reached by the general routes.
        if !collection.system || &*collection.name == "users" {
            operations.extend(collections::operations(collection, &name));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Conch", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths(&operations),
        "components": {
            "schemas": schemas,
            "responses": failures(),
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "A token, with or without `Bearer `."},
            },
        },
    })
}

fn paths(operations: &[Operation]) -> Json {
    let mut paths: BTreeMap<&str, Map<String, Json>> = BTreeMap::new();
    for operation in operations {
        paths.entry(&operation.path).or_default().insert(operation.method.to_owned(), operation.to_json());
    }
    json!(paths)
}

fn failures() -> Json {
    let responses = operations::FAILURES.iter().map(|(status, description, schema)| {
        let content = json!({"application/json": {"schema": reference(schema)}});
        (format!("Failed{status}"), json!({"description": description, "content": content}))
    });
    Json::Object(responses.collect())
}

/// The schema of values like this one: a tree of settings.
fn of_value(value: &Json, requires: bool) -> Json {
    match value {
        Json::Object(members) => {
            let properties: Map<String, Json> =
                members.iter().map(|(name, value)| (name.clone(), of_value(value, requires))).collect();
            let mut schema =
                Map::from_iter([("type".to_owned(), "object".into()), ("properties".to_owned(), properties.into())]);
            if requires {
                schema.insert("required".to_owned(), members.keys().cloned().collect());
            }
            schema.into()
        }
        Json::Array(items) => match items.first() {
            Some(item) => json!({"type": "array", "items": of_value(item, requires)}),
            None => json!({"type": "array"}),
        },
        Json::String(_) => json!({"type": "string"}),
        Json::Number(number) if number.is_f64() => json!({"type": "number"}),
        Json::Number(_) => json!({"type": "integer"}),
        Json::Bool(_) => json!({"type": "boolean"}),
        Json::Null => json!({}),
    }
}
