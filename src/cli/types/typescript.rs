//! Collections as TypeScript for the official SDK: interfaces of records with their relations, of what creates and changes
//! them, and a client whose `collection()` knows them by name.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::schema::{Collection, CollectionType, Field, FieldKind, index::Index, type_names};

const HEAD: &str = "\
// The collections as types for the PocketBase SDK. Made by `conch types`: make it again rather than change it.
//
//   import PocketBase from \"pocketbase\";
//   const pb = new PocketBase(url) as TypedPocketBase;

import type PocketBase from \"pocketbase\";
import type { RecordModel, RecordOptions, RecordService } from \"pocketbase\";

/** `2026-11-22 10:00:00.000Z`, or blank. */
export type DateText = string;
/** The id of a record, or blank. */
export type Id = string;
export interface GeoPoint {
    lon: number;
    lat: number;
}
/** A file to be stored, or the name of one that is. */
export type Upload = File | Blob | string | { uri: string; name?: string; type?: string };

/** What `collection()` gives: as ever, but it knows what it takes and gives. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as the SDK has it
export interface TypedRecordService<Shown, Create extends { [key: string]: any }, Update extends { [key: string]: any }>
    extends RecordService<Shown> {
    create<T = Shown>(body?: Create | FormData, options?: RecordOptions): Promise<T>;
    update<T = Shown>(id: string, body?: Update | FormData, options?: RecordOptions): Promise<T>;
}
";

/// A collection as the API shows it.
struct Shape {
    id: String,
    name: String,
    kind: CollectionType,
    fields: Vec<Field>,
    indexes: Vec<Index>,
    /// What its types begin with.
    type_name: String,
}

/// The types of these collections, as `GET /api/collections` gives them. `Err` says which of them makes no sense.
pub fn print(collections: &[Json]) -> Result<String, String> {
    let mut shapes: Vec<Shape> = collections.iter().map(read).collect::<Result<_, _>>()?;
    shapes.sort_by(|a, b| a.name.cmp(&b.name));
    let names = type_names(shapes.iter().map(|shape| &*shape.name), |_| false);
    for (shape, name) in shapes.iter_mut().zip(names) {
        shape.type_name = name;
    }
    let mut text = HEAD.to_owned();
    for shape in &shapes {
        text.push_str(&record(shape));
        text.push_str(&expand(shape, &shapes));
        if shape.kind != CollectionType::View {
            text.push_str(&create(shape));
            text.push_str(&update(shape));
        }
    }
    text.push_str(&client(&shapes));
    Ok(text)
}

fn read(collection: &Json) -> Result<Shape, String> {
    let text = |key: &str| collection.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let list = |key: &str| collection.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let (name, kind) = (text("name"), text("type"));
    let kind = CollectionType::parse(&kind).ok_or_else(|| format!("{name} is of the type {kind:?}"))?;
    let fields = Collection::parse_fields(list("fields")).map_err(|error| format!("{name}: {}", error.message))?;
    let indexes = list("indexes").iter().filter_map(|index| Index::parse(index.as_str()?)).collect();
    Ok(Shape { id: text("id"), name, kind, fields, indexes, type_name: String::new() })
}

fn record(shape: &Shape) -> String {
    let Shape { name, type_name, .. } = shape;
    let mut text =
        format!("\n/** A record of {} as it is shown. */\nexport interface {type_name}Record {{\n", quoted(name));
    let mut line = |name: &str, optional: bool, kind: &str| {
        let mark = if optional { "?" } else { "" };
        let _ = writeln!(text, "    {}{mark}: {kind};", key(name));
    };
    line("collectionId", false, "string");
    line("collectionName", false, &quoted(name));
    for field in shape.fields.iter().filter(|field| !is_secret(field)) {
        let hidden = field.hidden || (shape.kind == CollectionType::Auth && field.name == "email");
        line(&field.name, hidden, &shown(field));
    }
    line("expand", true, &format!("{type_name}Expand"));
    text + "}\n"
}

/// Relations lead to records, and records that refer to this one are found by `COLLECTION_via_FIELD`.
fn expand(shape: &Shape, all: &[Shape]) -> String {
    let mut lines = Vec::new();
    let target = |id: &str| all.iter().find(|other| other.id == id);
    for field in &shape.fields {
        if let FieldKind::Relation(relation) = &field.kind
            && let Some(other) = target(&relation.collection_id)
        {
            let many = if field.kind.as_type().is_multiple() { "[]" } else { "" };
            lines.push(format!("    {}?: {}Record{many};", key(&field.name), other.type_name));
        }
    }
    for other in all {
        for field in &other.fields {
            if let FieldKind::Relation(relation) = &field.kind
                && relation.collection_id == shape.id
            {
                let single = other.indexes.iter().any(|index| index.unique && index.is_on(&field.name));
                let many = if single { "" } else { "[]" };
                let name = format!("{}_via_{}", other.name, field.name);
                lines.push(format!("    {}?: {}Record{many};", key(&name), other.type_name));
            }
        }
    }
    let body = lines.into_iter().map(|line| line + "\n").collect::<String>();
    format!("\nexport interface {}Expand {{\n{body}}}\n", shape.type_name)
}

fn create(shape: &Shape) -> String {
    let mut text = format!(
        "\n/** What creates a record of {}. */\nexport interface {}Create {{\n",
        quoted(&shape.name),
        shape.type_name
    );
    for field in shape.fields.iter().filter(|field| is_written(field)) {
        let generated = matches!(&field.kind, FieldKind::Text(text) if !text.autogenerate_pattern.is_empty());
        let given = !field.required || generated || matches!(&*field.name, "id" | "tokenKey");
        let _ = writeln!(text, "    {}{}: {};", key(&field.name), if given { "?" } else { "" }, written(field));
    }
    if shape.kind == CollectionType::Auth {
        text.push_str("    passwordConfirm: string;\n");
    }
    text + "}\n"
}

fn update(shape: &Shape) -> String {
    let mut text = format!(
        "\n/** What changes a record of {}. */\nexport interface {}Update {{\n",
        quoted(&shape.name),
        shape.type_name
    );
    for field in shape.fields.iter().filter(|field| is_written(field) && field.name != "id") {
        let kind = written(field);
        let _ = writeln!(text, "    {}?: {kind};", key(&field.name));
        let adds: &[(&str, &str)] = match &field.kind {
            FieldKind::Number(_) => &[("", "+"), ("", "-")],
            FieldKind::Select(_) | FieldKind::Relation(_) | FieldKind::File(_)
                if field.kind.as_type().is_multiple() =>
            {
                &[("", "+"), ("+", ""), ("", "-")]
            }
            FieldKind::File(_) => &[("", "-")],
            _ => &[],
        };
        for (before, after) in adds {
            let _ = writeln!(text, "    {}?: {kind};", key(&format!("{before}{}{after}", field.name)));
        }
    }
    if shape.kind == CollectionType::Auth {
        text.push_str("    passwordConfirm?: string;\n    oldPassword?: string;\n");
    }
    text + "}\n"
}

fn client(shapes: &[Shape]) -> String {
    let service = |shape: &Shape| {
        let name = &shape.type_name;
        match shape.kind {
            CollectionType::View => format!("RecordService<{name}Record>"),
            _ => format!("TypedRecordService<{name}Record, {name}Create, {name}Update>"),
        }
    };
    let mut text =
        "\n/** Records by the name of their collection. */\nexport interface CollectionRecords {\n".to_owned();
    for shape in shapes {
        let _ = writeln!(text, "    {}: {}Record;", key(&shape.name), shape.type_name);
    }
    text.push_str("}\n\n/** The client of the SDK, with these collections. */\nexport interface TypedPocketBase extends PocketBase {\n");
    for shape in shapes {
        let _ = writeln!(text, "    collection(idOrName: {}): {};", quoted(&shape.name), service(shape));
    }
    text.push_str("    collection<M = RecordModel>(idOrName: string): RecordService<M>;\n}\n");
    text
}

/// Nobody is shown it.
fn is_secret(field: &Field) -> bool {
    matches!(field.kind, FieldKind::Password(_)) || (field.name == "tokenKey" && field.system)
}

fn is_written(field: &Field) -> bool {
    !matches!(field.kind, FieldKind::Autodate(_))
}

fn shown(field: &Field) -> String {
    let one = match &field.kind {
        FieldKind::Number(_) => "number".to_owned(),
        FieldKind::Bool(_) => "boolean".to_owned(),
        FieldKind::Date(_) | FieldKind::Autodate(_) => "DateText".to_owned(),
        FieldKind::Relation(_) => "Id".to_owned(),
        FieldKind::Json(_) => "unknown".to_owned(),
        FieldKind::GeoPoint(_) => "GeoPoint".to_owned(),
        FieldKind::Select(select) => {
            let mut values: Vec<String> = select.values.iter().map(|value| quoted(value)).collect();
            if !field.required && !field.kind.as_type().is_multiple() {
                values.push(quoted(""));
            }
            values.join(" | ")
        }
        _ => "string".to_owned(),
    };
    if field.kind.as_type().is_multiple() { format!("({one})[]") } else { one }
}

fn written(field: &Field) -> String {
    match &field.kind {
        FieldKind::File(_) if field.kind.as_type().is_multiple() => "Upload | Upload[] | null".to_owned(),
        FieldKind::File(_) => "Upload | null".to_owned(),
        FieldKind::Date(_) => "DateText | Date".to_owned(),
        FieldKind::Select(_) | FieldKind::Relation(_) if field.kind.as_type().is_multiple() => {
            let list = shown(field);
            format!("{} | {list}", list.trim_end_matches("[]"))
        }
        _ => shown(field),
    }
}

/// A text as TypeScript writes it, which is as JSON does.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// A member's name, quoted where it has to be.
fn key(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '$';
    if name.starts_with(|letter: char| !letter.is_ascii_digit()) && name.chars().all(is_plain) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_and_relations_become_types() {
        let collections = [
            json!({"id": "u", "name": "users", "type": "auth", "fields": [
                {"name": "id", "type": "text", "required": true, "primaryKey": true, "autogeneratePattern": "[a-z]{15}"},
                {"name": "password", "type": "password", "hidden": true, "required": true, "system": true},
                {"name": "email", "type": "email", "required": true},
            ]}),
            json!({"id": "p", "name": "blog_posts", "type": "base",
                "indexes": ["CREATE UNIQUE INDEX `x` ON `blog_posts` (`cover`)"], "fields": [
                {"name": "id", "type": "text", "required": true, "primaryKey": true, "autogeneratePattern": "[a-z]{15}"},
                {"name": "title", "type": "text", "required": true},
                {"name": "kind", "type": "select", "values": ["a", "b\"c"], "maxSelect": 1},
                {"name": "tags", "type": "select", "values": ["x", "y"], "maxSelect": 2},
                {"name": "author", "type": "relation", "collectionId": "u", "maxSelect": 1, "required": true},
                {"name": "readers", "type": "relation", "collectionId": "u", "maxSelect": 9},
                {"name": "cover", "type": "relation", "collectionId": "p", "maxSelect": 1},
                {"name": "photo", "type": "file", "maxSelect": 1},
                {"name": "stars", "type": "number"},
                {"name": "secret", "type": "bool", "hidden": true},
                {"name": "created", "type": "autodate", "onCreate": true},
            ]}),
            json!({"id": "v", "name": "stats", "type": "view", "fields": [{"name": "id", "type": "text"}, {"name": "extra", "type": "json"}]}),
        ];
        let text = print(&collections).unwrap();
        for expected in [
            "export interface BlogPostsRecord {\n    collectionId: string;\n    collectionName: \"blog_posts\";\n    id: string;\n    title: string;\n",
            "    kind: \"a\" | \"b\\\"c\" | \"\";\n    tags: (\"x\" | \"y\")[];\n    author: Id;\n    readers: (Id)[];\n",
            "    secret?: boolean;\n    created: DateText;\n    expand?: BlogPostsExpand;\n",
            "export interface BlogPostsExpand {\n    author?: UsersRecord;\n    readers?: UsersRecord[];\n    cover?: BlogPostsRecord;\n    blog_posts_via_cover?: BlogPostsRecord;\n}\n",
            "    blog_posts_via_author?: BlogPostsRecord[];\n    blog_posts_via_readers?: BlogPostsRecord[];\n",
            "export interface BlogPostsCreate {\n    id?: string;\n    title: string;\n    kind?: ",
            "    author: Id;\n    readers?: (Id) | (Id)[];\n",
            "    stars?: number;\n    \"stars+\"?: number;\n    \"stars-\"?: number;\n",
            "    \"+readers\"?: (Id) | (Id)[];\n",
            "export interface UsersRecord {\n    collectionId: string;\n    collectionName: \"users\";\n    id: string;\n    email?: string;\n    expand",
            "    password: string;\n    email: string;\n    passwordConfirm: string;\n",
            "    collection(idOrName: \"stats\"): RecordService<StatsRecord>;\n",
            "    collection(idOrName: \"users\"): TypedRecordService<UsersRecord, UsersCreate, UsersUpdate>;\n",
        ] {
            assert!(text.contains(expected), "{expected}\n---\n{text}");
        }
        assert!(!text.contains("StatsCreate"));
        assert!(print(&[json!({"name": "x", "type": "odd"})]).unwrap_err().contains("odd"));
    }
}
