//! The routes and records of one collection, with its own fields.

use serde_json::{Map, Value as Json, json};

use super::{
    fields,
    operations::{Access, Answer, Operation, reference},
};
use crate::schema::{Catalog, Collection, Field, FieldKind};

/// The schemas of a collection by their names: the record, a page of them, what creates and changes one, and for accounts
/// the answer to a login.
pub fn schemas(catalog: &Catalog, collection: &Collection, name: &str) -> Vec<(String, Json)> {
    let mut found = vec![(name.to_owned(), record(catalog, collection)), (format!("{name}Page"), page(name))];
    if !collection.is_view() {
        found.push((format!("{name}Create"), input(collection, true)));
        found.push((format!("{name}Update"), input(collection, false)));
    }
    if collection.is_auth() {
        let answer = json!({
            "type": "object",
            "required": ["token", "record"],
            "properties": {"token": {"type": "string"}, "record": reference(name), "meta": reference("Object")},
        });
        found.push((format!("{name}AuthResponse"), answer));
    }
    found
}

fn page(name: &str) -> Json {
    let items = json!({"type": "object", "properties": {"items": {"type": "array", "items": reference(name)}}});
    json!({"allOf": [reference("Page"), items]})
}

fn record(catalog: &Catalog, collection: &Collection) -> Json {
    let mut properties = Map::new();
    properties.insert("collectionId".to_owned(), json!({"type": "string"}));
    properties.insert("collectionName".to_owned(), json!({"const": &*collection.name}));
    let mut required = vec!["collectionId".to_owned(), "collectionName".to_owned()];
    for field in &collection.fields {
        let Some(mut schema) = fields::shown(field) else { continue };
        if let (FieldKind::Relation(relation), Json::Object(schema)) = (&field.kind, &mut schema)
            && let Some(target) = catalog.by_id(&relation.collection_id)
        {
            schema.insert("x-collection".to_owned(), (*target.name).into());
        }
        if !is_sometimes_hidden(collection, field) {
            required.push(field.name.clone());
        }
        properties.insert(field.name.clone(), schema);
    }
    properties.insert("expand".to_owned(), reference("Object"));
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": true})
}

/// Hidden fields are for superusers, and whose address is shown is up to the account.
fn is_sometimes_hidden(collection: &Collection, field: &Field) -> bool {
    field.hidden || (collection.is_auth() && field.name == "email")
}

fn input(collection: &Collection, creates: bool) -> Json {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in &collection.fields {
        let Some(schema) = fields::written(field) else { continue };
        let is_given = field.name == "id" || field.name == "tokenKey" || is_generated(field);
        if creates && field.required && !is_given {
            required.push(field.name.clone());
        }
        properties.insert(field.name.clone(), schema);
    }
    if collection.is_auth() {
        properties.insert("passwordConfirm".to_owned(), json!({"type": "string"}));
        if creates {
            required.push("passwordConfirm".to_owned());
        } else {
            properties.insert("oldPassword".to_owned(), json!({"type": "string"}));
        }
    }
    json!({
        "description": "`name+`, `+name` and `name-` add to values and take from them.",
        "type": "object", "required": required, "properties": properties, "additionalProperties": true,
    })
}

fn is_generated(field: &Field) -> bool {
    matches!(&field.kind, FieldKind::Text(text) if !text.autogenerate_pattern.is_empty())
}

/// The routes of a collection under its own name, so that what they take and answer can be told exactly.
pub fn operations(collection: &Collection, name: &str) -> Vec<Operation> {
    let path = format!("/api/collections/{}/records", collection.name);
    let (tag, one) = ("records", format!("{path}/{{id}}"));
    // A rule that is null lets nobody else in.
    let access = |locked: bool| if locked { Access::Superuser } else { Access::Everybody };
    let op = |method, path: &str, verb: &str, summary: &str, locked: bool| {
        let summary = format!("{summary} {}", collection.name);
        Operation::new(method, path, &format!("{verb}{name}"), tag, &summary).by(access(locked)).also(&[403])
    };
    let mut found = vec![
        op("get", &path, "list", "Records of", collection.list_rule.is_none())
            .query(&["page", "perPage", "sort", "filter", "skipTotal", "expand"])
            .gives(&format!("{name}Page")),
        op("get", &one, "view", "A record of", collection.view_rule.is_none()).query(&["expand"]).gives(name),
    ];
    if collection.is_view() {
        return found;
    }
    found.extend([
        op("post", &path, "create", "Create a record of", collection.create_rule.is_none())
            .query(&["expand"])
            .takes(&format!("{name}Create"))
            .or_form()
            .gives(name),
        op("patch", &one, "update", "Change a record of", collection.update_rule.is_none())
            .query(&["expand"])
            .takes(&format!("{name}Update"))
            .or_form()
            .gives(name),
        op("delete", &one, "delete", "Delete a record of", collection.delete_rule.is_none()).answers(Answer::Nothing),
    ]);
    if collection.is_auth() {
        let path = |action: &str| format!("/api/collections/{}/{action}", collection.name);
        let login = |action: &str, verb: &str, summary: &str, body: &str| {
            Operation::new("post", &path(action), &format!("{verb}{name}"), "accounts", summary)
                .query(&["expand"])
                .takes(body)
                .gives(&format!("{name}AuthResponse"))
                .also(&[401, 403])
        };
        found.extend([
            login("auth-with-password", "authWithPassword", "Sign in with a password", "PasswordLogin"),
            login("auth-with-otp", "authWithOtp", "Sign in with a one-time code", "OtpLogin"),
            login("auth-with-oauth2", "authWithOAuth2", "Sign in with another site's account", "OAuth2Login"),
        ]);
    }
    found
}
