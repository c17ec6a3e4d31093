use serde_json::json;

use super::*;

fn field(json: Json) -> Result<Field> {
    Field::from_json(json.as_object().expect("an object"))
}

#[test]
fn fields_answer_all_keys_sorted() {
    for (sent, answered) in [
        (
            json!({"name": "t", "type": "text", "min": 5.0, "pattern": null, "nope": 1}),
            r#"{"autogeneratePattern":"","help":"","hidden":false,"id":"","max":0,"min":5,"name":"t","pattern":"","presentable":false,"primaryKey":false,"required":false,"system":false,"type":"text"}"#,
        ),
        (
            json!({"name": "n", "type": "number", "min": 5.0, "max": 7.5}),
            r#"{"help":"","hidden":false,"id":"","max":7.5,"min":5,"name":"n","onlyInt":false,"presentable":false,"required":false,"system":false,"type":"number"}"#,
        ),
        (
            json!({"name": "a", "type": "autodate", "onCreate": true, "required": true, "help": "x"}),
            r#"{"hidden":false,"id":"","name":"a","onCreate":true,"onUpdate":false,"presentable":false,"system":false,"type":"autodate"}"#,
        ),
        (
            json!({"name": "e", "type": "editor", "convertURLs": true}),
            r#"{"convertURLs":true,"help":"","hidden":false,"id":"","maxSize":0,"name":"e","presentable":false,"required":false,"system":false,"type":"editor"}"#,
        ),
        (
            json!({"name": "d", "type": "date", "min": "2024-01-01", "max": "abc"}),
            r#"{"help":"","hidden":false,"id":"","max":"","min":"2024-01-01 00:00:00.000Z","name":"d","presentable":false,"required":false,"system":false,"type":"date"}"#,
        ),
    ] {
        let read = field(sent).expect("well formed");
        assert_eq!(read.to_json().to_string(), answered);
        assert_eq!(field(read.to_json()).expect("well formed"), read);
    }
}

#[test]
fn ids_are_deterministic() {
    assert_eq!(Field::new("id", FieldKind::Text(Text::default())).id, "text3208210256");
    assert_eq!(Field::new("f_geoPoint", FieldKind::GeoPoint(GeoPoint {})).id, "geoPoint3638349492");
}

#[test]
fn malformed_fields_are_refused_without_codes() {
    for sent in [
        json!({}),
        json!({"type": 5}),
        json!({"type": "nope"}),
        json!({"type": "bool", "id": 5}),
        json!({"type": "bool", "hidden": "x"}),
        json!({"type": "bool", "required": 1}),
        json!({"type": "text", "min": 5.5}),
        json!({"type": "text", "min": "5"}),
        json!({"type": "number", "min": "1"}),
        json!({"type": "email", "onlyDomains": "a.com"}),
        json!({"type": "email", "onlyDomains": [1]}),
        json!({"type": "date", "min": 1}),
        json!({"type": "autodate", "onCreate": "true"}),
    ] {
        let error = field(sent.clone()).expect_err(&sent.to_string());
        assert!(error.kind == crate::error::Kind::Invalid && error.issues.is_empty(), "{sent}");
    }
}

#[test]
fn settings_are_checked() {
    const LEAST: &str = "validation_min_greater_equal_than_required";
    const MOST: &str = "validation_max_less_equal_than_required";
    let long = "x".repeat(101);
    for (sent, expected) in [
        (json!({"type": "text", "min": -1}), vec![("min", LEAST)]),
        (json!({"type": "text", "max": -1}), vec![("max", LEAST)]),
        (json!({"type": "text", "min": 5, "max": 3}), vec![("max", LEAST)]),
        (json!({"type": "text", "min": 6000}), vec![]),
        (json!({"type": "text", "max": 9_007_199_254_740_992_i64}), vec![("max", MOST)]),
        (json!({"type": "text", "pattern": "("}), vec![("pattern", "validation_invalid_regex")]),
        (
            json!({"type": "text", "autogeneratePattern": "("}),
            vec![("autogeneratePattern", "validation_invalid_regex")],
        ),
        (
            json!({"type": "text", "autogeneratePattern": "[a-z]{3}", "max": 2}),
            vec![("autogeneratePattern", "validation_invalid_autogenerate_pattern_value")],
        ),
        (
            json!({"type": "text", "autogeneratePattern": "[a-z]{3}", "pattern": "^[0-9]+$"}),
            vec![("autogeneratePattern", "validation_invalid_autogenerate_pattern_value")],
        ),
        (
            json!({"type": "text", "primaryKey": true}),
            vec![
                ("name", "validation_in_invalid"),
                ("pattern", "validation_required"),
                ("required", "validation_required"),
            ],
        ),
        (json!({"type": "text", "help": "x".repeat(301)}), vec![("help", "validation_length_out_of_range")]),
        (json!({"type": "editor", "maxSize": -1}), vec![("maxSize", LEAST)]),
        (json!({"type": "json", "maxSize": 9_007_199_254_740_992_i64}), vec![("maxSize", MOST)]),
        (
            json!({"type": "file", "maxSize": -1, "maxSelect": -1, "thumbs": ["1x1", "0x0", "axb", "0x0t", "10x0", ""]}),
            vec![
                ("maxSelect", LEAST),
                ("maxSize", LEAST),
                ("thumbs.1", "validation_not_in_invalid"),
                ("thumbs.2", "validation_match_invalid"),
                ("thumbs.3", "validation_not_in_invalid"),
            ],
        ),
        (
            json!({"type": "number", "min": 1.5, "max": 1, "onlyInt": true}),
            vec![("max", "validation_min_number_constraint"), ("min", "validation_only_int_constraint")],
        ),
        (
            json!({"type": "email", "onlyDomains": ["a.b"], "exceptDomains": ["a.c"]}),
            vec![("exceptDomains", "validation_empty"), ("onlyDomains", "validation_empty")],
        ),
        (json!({"type": "url", "onlyDomains": ["a.co", "localhost"]}), vec![("onlyDomains.1", "validation_is_domain")]),
        (json!({"type": "date", "min": "2024-01-01", "max": "2023-01-01"}), vec![]),
        (json!({"type": "autodate"}), vec![("onCreate", "validation_required"), ("onUpdate", "validation_required")]),
        (
            json!({"type": "select", "values": [], "maxSelect": -1}),
            vec![("maxSelect", LEAST), ("values", "validation_required")],
        ),
        (json!({"type": "select"}), vec![("values", "validation_required")]),
        (json!({"type": "select", "values": ["a"], "maxSelect": 2}), vec![("maxSelect", MOST)]),
        (json!({"type": "relation"}), vec![("collectionId", "validation_required")]),
        (json!({"type": "relation", "collectionId": "x", "minSelect": -1}), vec![("minSelect", LEAST)]),
        (json!({"type": "relation", "collectionId": "x", "minSelect": 3, "maxSelect": 2}), vec![("maxSelect", LEAST)]),
        (json!({"type": "relation", "collectionId": "x", "minSelect": 1}), vec![("maxSelect", "validation_required")]),
        (json!({"type": "password", "min": -1}), vec![("min", LEAST)]),
        (json!({"type": "password", "min": 10, "max": 5}), vec![("max", LEAST)]),
        (json!({"type": "password", "max": 72}), vec![("max", MOST)]),
        (json!({"type": "password", "cost": 3}), vec![("cost", LEAST)]),
        (json!({"type": "bool", "name": ""}), vec![("name", "validation_required")]),
        (json!({"type": "bool", "name": "a b_via_"}), vec![("name", "validation_match_invalid")]),
        (json!({"type": "bool", "name": "a_ViA_b"}), vec![("name", "validation_found_via")]),
        (json!({"type": "bool", "name": "expand"}), vec![("name", "validation_not_in_invalid")]),
        (json!({"type": "bool", "name": "NULL"}), vec![]),
        (json!({"type": "bool", "name": long}), vec![("name", "validation_length_out_of_range")]),
        (json!({"type": "bool", "id": "a b"}), vec![]),
        (json!({"type": "bool", "id": long}), vec![("id", "validation_length_out_of_range")]),
    ] {
        let mut object = sent.as_object().expect("an object").clone();
        object.entry("name").or_insert("f".into());
        object.entry("id").or_insert("x".into());
        let issues = Field::from_json(&object).expect("well formed").check_settings();
        let expected: Vec<_> = expected.into_iter().map(|(path, code)| (path.to_owned(), code)).collect();
        assert_eq!(issues.leaves(), expected, "{sent}");
    }
}

#[test]
fn values_are_checked() {
    for (settings, input, code) in [
        (json!({"type": "text", "required": true}), json!(""), Some("validation_required")),
        (json!({"type": "text", "required": true}), json!(" "), None),
        (json!({"type": "text", "min": 3}), json!(""), None),
        (json!({"type": "text", "min": 3}), json!("éé"), Some("validation_min_text_constraint")),
        (json!({"type": "text", "max": 3}), json!("éééé"), Some("validation_max_text_constraint")),
        (json!({"type": "text"}), json!("x".repeat(5001)), Some("validation_max_text_constraint")),
        (json!({"type": "text", "pattern": "^[a-z]+$"}), json!("A"), Some("validation_invalid_format")),
        (json!({"type": "editor", "maxSize": 3}), json!("éé"), Some("validation_content_size_limit")),
        (json!({"type": "number", "required": true}), json!(0), Some("validation_required")),
        (json!({"type": "number", "min": 1}), json!(0), None),
        (json!({"type": "number", "min": 1}), json!(0.5), Some("validation_min_number_constraint")),
        (json!({"type": "number", "max": 1}), json!(2), Some("validation_max_number_constraint")),
        (json!({"type": "number", "onlyInt": true}), json!(1.5), Some("validation_only_int_constraint")),
        (json!({"type": "number"}), json!("NaN"), Some("validation_not_a_number")),
        (json!({"type": "number"}), json!("-Infinity"), Some("validation_not_a_number")),
        (json!({"type": "bool", "required": true}), json!("yes"), Some("validation_required")),
        (json!({"type": "email"}), json!("a@b"), Some("validation_is_email")),
        (
            json!({"type": "email", "onlyDomains": ["a.co"]}),
            json!("x@A.co"),
            Some("validation_email_domain_not_allowed"),
        ),
        (
            json!({"type": "email", "exceptDomains": ["a.co"]}),
            json!("x@a.co"),
            Some("validation_email_domain_not_allowed"),
        ),
        (json!({"type": "url"}), json!("abc"), Some("validation_invalid_url")),
        (
            json!({"type": "url", "onlyDomains": ["a.co"]}),
            json!("http://a.co:80"),
            Some("validation_url_domain_not_allowed"),
        ),
        (json!({"type": "url", "exceptDomains": ["a.co"]}), json!("http://a.co:80"), None),
        (
            json!({"type": "date", "min": "2024-01-01"}),
            json!("2023-01-01"),
            Some("validation_min_greater_equal_than_required"),
        ),
        (
            json!({"type": "date", "max": "2024-01-01"}),
            json!("2024-01-01 00:00:01"),
            Some("validation_max_less_equal_than_required"),
        ),
        (json!({"type": "date", "required": true}), json!("garbage"), Some("validation_required")),
        (json!({"type": "select", "values": ["a"]}), json!("b"), Some("validation_invalid_value")),
        (json!({"type": "select", "values": ["a"]}), json!(["b", "a"]), None),
        (
            json!({"type": "select", "values": ["a", "b", "c"], "maxSelect": 2}),
            json!(["a", "b", "c"]),
            Some("validation_too_many_values"),
        ),
        (
            json!({"type": "relation", "minSelect": 2, "maxSelect": 3}),
            json!(["a"]),
            Some("validation_not_enough_values"),
        ),
        (json!({"type": "relation", "minSelect": 2, "maxSelect": 3}), json!([]), None),
        (json!({"type": "relation", "maxSelect": 2}), json!(["a", "b", "c"]), Some("validation_too_many_values")),
        (json!({"type": "file", "maxSelect": 2}), json!(["a", "b", "c"]), Some("validation_too_many_files")),
        (json!({"type": "file", "required": true}), json!([]), Some("validation_required")),
        (json!({"type": "password", "required": true}), json!(null), Some("validation_required")),
    ] {
        let field = field(settings.clone()).expect("well formed");
        let kind = field.kind.as_type();
        let checked = kind.check(field.required, &kind.normalise(&input));
        assert_eq!(checked.err().map(|leaf| leaf.code.into_owned()), code.map(str::to_owned), "{settings} {input}");
    }
}

#[test]
fn params_are_as_short_as_settings() {
    let number = Number { min: Some(5.0), max: Some(7.5), ..Number::default() };
    for (value, params) in [(1, json!({"min": 5})), (9, json!({"max": 7.5}))] {
        let leaf = number.check(false, &Value::Integer(value)).expect_err("out of bounds");
        assert_eq!(serde_json::to_string(&leaf.params).expect("JSON"), params.to_string());
    }
}

#[test]
fn numbers_and_texts_know_their_modifiers() {
    let number = Number::default();
    for (stored, modifier, input, result) in [
        (Value::Integer(5), Modifier::Append, json!(2), Some(Value::Integer(7))),
        (Value::Integer(5), Modifier::Remove, json!("1.5"), Some(Value::Real(3.5))),
        (Value::Real(0.1), Modifier::Append, json!(0.2), Some(Value::Real(0.1 + 0.2))),
        (Value::Integer(5), Modifier::Append, json!("x"), Some(Value::Integer(5))),
        (Value::Integer(5), Modifier::Prepend, json!(1), None),
    ] {
        assert_eq!(number.apply(&stored, modifier, &input), result);
    }
    let text = Text { autogenerate_pattern: "[0-9]{3}".into(), ..Text::default() };
    let Some(Value::Text(made)) = text.apply(&text.zero(), Modifier::Autogenerate, &json!("a-")) else {
        panic!("a text");
    };
    assert!(made.len() == 5 && made.starts_with("a-"), "{made}");
    assert_eq!(text.apply(&text.zero(), Modifier::Append, &json!("x")), None);
    assert_eq!(Autodate::default().apply(&Value::Null, Modifier::Set, &json!("2024-01-01")), None);
}

#[test]
fn keys_that_name_folders_are_checked() {
    let text = Text { pattern: "^.+$".into(), ..Text::default() };
    for (key, code) in [
        ("abc", None),
        ("é", None),
        ("a/b", Some("validation_forbidden_pk_character")),
        ("a b", Some("validation_forbidden_pk_character")),
        ("..", Some("validation_forbidden_pk_character")),
        ("con", Some("validation_reserved_pk")),
        ("LPT9", Some("validation_reserved_pk")),
        ("LPT0", None),
        ("lpté", None),
    ] {
        assert_eq!(text.check_key(key).err().map(|leaf| leaf.code.into_owned()), code.map(str::to_owned), "{key}");
    }
}

#[test]
fn plain_passwords_are_checked() {
    let password = Password { min: 8, pattern: "^[a-z]+$".into(), ..Password::default() };
    for (plain, code) in [
        ("abcdefgh", None),
        ("abc", Some("validation_min_text_constraint")),
        ("ABCDEFGH", Some("validation_invalid_format")),
        (&"a".repeat(72), Some("validation_max_text_constraint")),
        (&"é".repeat(37), Some("validation_invalid_value")),
    ] {
        let checked = password.check_plain(plain);
        assert_eq!(checked.err().map(|leaf| leaf.code.into_owned()), code.map(str::to_owned), "{plain}");
    }
}

#[test]
fn bodies_may_grow_with_their_fields() {
    for (settings, bytes) in [
        (json!({"type": "text"}), 0),
        (json!({"type": "editor"}), 5 << 20),
        (json!({"type": "json", "maxSize": 10}), 10),
        (json!({"type": "file", "maxSelect": 3}), 3 * (5 << 20)),
        (json!({"type": "file", "maxSize": 7}), 7),
        (json!({"type": "file", "maxSize": i64::MAX, "maxSelect": 99}), u64::MAX),
    ] {
        assert_eq!(field(settings.clone()).expect("well formed").body_allowance(), bytes, "{settings}");
    }
}
