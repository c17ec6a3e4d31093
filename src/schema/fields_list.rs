//! The list of fields as a whole: how a submitted list becomes the stored one, and the fields that every collection
//! of a type has (`docs/wire/records-collections.md` §3, §4.1; `docs/wire/auth.md` §1.1).

use super::{
    Collection, CollectionType, Field, FieldKind,
    field::{Bool, Email, Password, Text},
    ids,
};

/// What ids look like unless a collection says otherwise.
pub(super) const ID_PATTERN: &str = "^[a-z0-9]+$";

/// A list entry by entry: an entry with the id of an earlier one replaces it; one without id replaces the earlier one
/// of its name and takes its id, or gets the deterministic id.
pub(super) fn reduce(submitted: impl IntoIterator<Item = Field>) -> Vec<Field> {
    let mut list = Vec::new();
    for field in submitted {
        add(&mut list, field);
    }
    list
}

fn add(list: &mut Vec<Field>, mut field: Field) {
    let place = if field.id.is_empty() {
        list.iter().position(|earlier| !field.name.is_empty() && earlier.name == field.name)
    } else {
        list.iter().position(|earlier| earlier.id == field.id)
    };
    match place.and_then(|place| list.get_mut(place)) {
        Some(earlier) => {
            field.id = earlier.id.clone();
            *earlier = field;
        }
        None => {
            if field.id.is_empty() {
                field.id = default_id(&field, |id| list.iter().any(|earlier| earlier.id == id));
            }
            list.push(field);
        }
    }
}

/// The deterministic id of a field.
pub(super) fn default_id(field: &Field, taken: impl Fn(&str) -> bool) -> String {
    ids::field(field.kind.as_type().name(), &field.name, taken)
}

/// Re-adds missing system fields and enforces what is fixed about them. Views have none.
pub(super) fn complete(collection: &mut Collection) {
    let kind = collection.kind();
    if kind == CollectionType::View {
        return;
    }
    enforce_id(&mut collection.fields);
    if kind == CollectionType::Auth {
        for system in auth_fields() {
            enforce_auth(&mut collection.fields, system);
        }
    }
}

fn enforce_id(fields: &mut Vec<Field>) {
    let found = fields.iter_mut().find(|field| field.name == "id" && matches!(field.kind, FieldKind::Text(_)));
    match found {
        Some(field) => {
            (field.system, field.required, field.hidden) = (true, true, false);
            if let FieldKind::Text(text) = &mut field.kind {
                text.primary_key = true;
                if text.pattern.is_empty() {
                    text.pattern = ID_PATTERN.to_owned();
                }
            }
        }
        None => *fields = reduce(std::iter::once(id_field()).chain(std::mem::take(fields))),
    }
}

fn enforce_auth(fields: &mut Vec<Field>, mut system: Field) {
    let same_type = |field: &Field| std::mem::discriminant(&field.kind) == std::mem::discriminant(&system.kind);
    match fields.iter_mut().find(|field| field.name == system.name && same_type(field)) {
        Some(field) => {
            field.system = true;
            field.hidden = match field.name.as_str() {
                "password" | "tokenKey" => true,
                "email" => false,
                _ => field.hidden,
            };
            field.required |= matches!(field.name.as_str(), "password" | "tokenKey");
        }
        None => {
            system.id.clear();
            add(fields, system);
        }
    }
}

/// The `id` field that a new collection starts with.
pub(super) fn id_field() -> Field {
    let text = Text {
        min: 15,
        max: 15,
        pattern: ID_PATTERN.to_owned(),
        autogenerate_pattern: "[a-z0-9]{15}".to_owned(),
        primary_key: true,
    };
    Field { system: true, required: true, ..Field::new("id", FieldKind::Text(text)) }
}

/// The fields of auth collections after `id`, in the wire's order.
fn auth_fields() -> [Field; 5] {
    let password = FieldKind::Password(Password { min: 8, ..Password::default() });
    let token_key = FieldKind::Text(Text {
        min: 30,
        max: 60,
        autogenerate_pattern: "[a-zA-Z0-9]{50}".to_owned(),
        ..Text::default()
    });
    let system = |name: &str, kind| Field { system: true, ..Field::new(name, kind) };
    [
        Field { hidden: true, required: true, ..system("password", password) },
        Field { hidden: true, required: true, ..system("tokenKey", token_key) },
        Field { required: true, ..system("email", FieldKind::Email(Email::default())) },
        system("emailVisibility", FieldKind::Bool(Bool::default())),
        system("verified", FieldKind::Bool(Bool::default())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::collection::Options;

    fn text(id: &str, name: &str) -> Field {
        Field { id: id.to_owned(), ..Field::new(name, FieldKind::Text(Text::default())) }
    }

    fn shape(fields: &[Field]) -> Vec<(&str, &str)> {
        fields.iter().map(|field| (field.id.as_str(), field.name.as_str())).collect()
    }

    #[test]
    fn lists_are_reduced_from_the_left() {
        let list =
            reduce([text("", "a"), text("x", "b"), text("", "b"), text("x", "c"), text("", "a"), text("y", "a")]);
        assert_eq!(shape(&list), [("text3904355907", "a"), ("x", "c"), ("y", "a")]);
    }

    #[test]
    fn missing_system_fields_come_back() {
        let mut base = Collection::new("c", "c", Options::Base);
        base.fields = reduce([text("", "title")]);
        complete(&mut base);
        assert_eq!(shape(&base.fields), [("text3208210256", "id"), ("text724990059", "title")]);

        let mut auth = Collection::new("a", "a", Options::Auth(Box::default()));
        auth.fields = reduce([text("", "email"), text("", "title")]);
        complete(&mut auth);
        let names: Vec<&str> = auth.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["id", "email", "title", "password", "tokenKey", "emailVisibility", "verified"]);
        assert_eq!(auth.fields[1].id, "text3885137012");
        assert!(matches!(auth.fields[1].kind, FieldKind::Email(_)));
        assert!(auth.fields.iter().all(|field| field.system || field.name == "title"));
    }
}
