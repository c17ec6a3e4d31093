//! Every refusal has its code, and changes nothing.

use super::*;

#[tokio::test]
async fn every_refusal_has_its_code() {
    let house = House::new();
    let text = |name: &str| json!({"name": name, "type": "text"});
    for (body, expected) in [
        (json!({}), "name=validation_required"),
        (json!({"name": "a", "type": "zzz"}), "type=validation_in_invalid"),
        (
            json!({"name": "a", "type": "zzz", "fields": [text("x")]}),
            "fields=validation_missing_primary_key type=validation_in_invalid",
        ),
        (json!({"name": "a b"}), "name=validation_match_invalid"),
        (json!({"name": "a_VIA_b c"}), "name=validation_found_via"),
        (json!({"name": "a".repeat(256)}), "name=validation_length_out_of_range"),
        (json!({"name": "_params"}), "name=validation_collection_name_invalid"),
        (json!({"name": "__conch_x"}), "name=validation_collection_name_invalid"),
        (json!({"name": "USERS"}), "name=validation_collection_name_exists"),
        (json!({"name": "_pb_users_auth_"}), "name=validation_collection_name_id_duplicate"),
        (json!({"name": "sqlite_x"}), ""),
        (json!({"id": "a b", "name": "q"}), "id=validation_match_invalid"),
        (json!({"id": "_pb_users_auth_", "name": "q"}), "id=validation_invalid_or_existing_id"),
        (json!({"name": 5}), ""),
        (json!({"name": "q", "fields": [{"name": "x", "type": "zz"}]}), ""),
        (json!({"name": "q", "fields": ["x"]}), ""),
        (json!({"name": "q", "indexes": [5]}), ""),
        (json!({"name": "q", "fields": [text("a"), text("A")]}), "fields.2.name=validation_duplicated_field_name"),
        (
            json!({"name": "q", "fields": [text("a b"), text("null"), text("x_VIA_y"), text("")]}),
            "fields.1.name=validation_match_invalid fields.2.name=validation_not_in_invalid \
             fields.3.name=validation_found_via fields.4.name=validation_required",
        ),
        (
            json!({"name": "q", "fields": [{"name": "id", "type": "number"}]}),
            "fields.1.name=validation_duplicated_field_name",
        ),
        (
            json!({"name": "q", "fields": [{"id": "text3208210256", "name": "idd", "type": "text"}]}),
            "fields=validation_missing_primary_key",
        ),
        (
            json!({"id": "selfy", "name": "q", "fields": [{"name": "r", "type": "relation", "collectionId": "selfy"}]}),
            "fields.1.collectionId=validation_field_relation_missing_collection",
        ),
        (
            json!({"name": "q", "fields": [{"name": "r", "type": "relation"}, {"name": "s", "type": "relation", "collectionId": "users"}]}),
            "fields.1.collectionId=validation_required fields.2.collectionId=validation_field_relation_missing_collection",
        ),
        (
            json!({"name": "q", "listRule": "nope = 1", "viewRule": "", "deleteRule": "nope"}),
            "deleteRule=validation_invalid_rule listRule=validation_invalid_rule",
        ),
        (
            json!({"name": "q", "type": "auth", "fields": [text("oldPassword")]}),
            "fields.1.name=validation_reserved_field_name",
        ),
        (json!({"name": "q", "indexes": ["create index i on q"]}), "indexes.0=validation_invalid_index_expression"),
        (
            json!({"name": "q", "indexes": ["create index i on q (id)", "create index I on q (id desc)"]}),
            "indexes.1=validation_duplicated_index_name",
        ),
        (
            json!({"name": "q", "indexes": ["create index i on q (id)", "create index j on q (id)"]}),
            "indexes.1=validation_duplicated_index_definition",
        ),
        (
            json!({"name": "q", "indexes": ["create index `idx_email__pb_users_auth_` on q (id)"]}),
            "indexes.0=validation_existing_index_name",
        ),
        (
            json!({"name": "q", "indexes": ["create index i on q (zz)"]}),
            "indexes.0=validation_invalid_index_expression",
        ),
    ] {
        let before = house.everything();
        assert_eq!(house.create_codes(body.clone()).await.join(" "), expected, "{body}");
        assert!(house.everything() == before, "{body} changed something");
    }
}

#[tokio::test]
async fn what_is_fixed_stays() {
    let house = House::new();
    let post = house.create(json!({"name": "post", "fields": [{"name": "a", "type": "text"}]})).await.unwrap();
    let a = post.field("a").unwrap().id.clone();
    for (name, body, expected) in [
        ("post", json!({"type": "auth"}), "type=validation_collection_type_change"),
        ("post", json!({"system": true}), "system=validation_collection_system_flag_change"),
        (
            "post",
            json!({"fields": [{"id": a, "name": "a", "type": "number"}]}),
            "fields.1=validation_field_type_change",
        ),
        (
            "_superusers",
            json!({"name": "x", "listRule": "", "authRule": null, "mfa": {"rule": "id != ''"}}),
            "authRule=validation_collection_system_rule_change listRule=validation_collection_system_rule_change \
             name=validation_collection_system_name_change",
        ),
        ("_externalAuths", json!({"indexes": []}), "indexes=validation_invalid_unique_system_field_index"),
        ("_mfas", json!({"fields": []}), "fields=validation_system_field_change"),
    ] {
        assert_eq!(house.update_codes(name, body.clone()).await.join(" "), expected, "{body}");
    }
    let dates = |on: bool| {
        json!({"fields": house.schema.find("_mfas").unwrap().fields.iter().map(|field| {
        let mut field = field.to_json();
        if field["name"] == "created" { field["onUpdate"] = json!(on); }
        field
    }).collect::<Vec<_>>()})
    };
    assert_eq!(house.update_codes("_mfas", dates(true)).await, ["fields.4.onUpdate=validation_values_mismatch"]);
    house.update("_mfas", dates(false)).await.unwrap();
}

#[tokio::test]
async fn a_proposal_is_read_and_not_stored() {
    let house = House::new();
    let stored = house.create(json!({"name": "a", "fields": [{"name": "x", "type": "text"}]})).await.unwrap();
    let proposed = |definition: Json| house.schema.proposed(&object(definition));
    let names = |collection: &Collection| {
        collection.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let fields = json!([{"name": "y", "type": "number"}]);
    assert_eq!(names(&proposed(json!({"name": "b", "fields": fields})).unwrap()), "id y");
    // Its fields take the place of the stored ones, its rules go over them.
    let changed = proposed(json!({"id": *stored.id, "fields": fields, "listRule": "nope"})).unwrap();
    assert_eq!(
        (names(&changed), changed.id.clone(), changed.name.clone()),
        ("id y".into(), stored.id.clone(), "a".into())
    );
    assert!(proposed(json!({"name": "c", "type": "auth"})).unwrap().field("email").is_some());
    assert_eq!(proposed(json!({"type": "nope"})).unwrap_err().kind, Kind::Invalid);
    assert_eq!(proposed(json!({"fields": [1]})).unwrap_err().kind, Kind::Invalid);
    assert_eq!(names(&house.schema.find("a").unwrap()), "id x");
    assert!(house.schema.find("b").is_err());
}
