//! What stands in a directory: a new one, an old one, one that is too old.

use super::*;

#[tokio::test]
async fn a_new_directory_has_the_reference_layout() {
    let house = House::new();
    let catalog = house.schema.catalog();
    let found: Vec<_> = catalog.all().iter().map(|it| (&*it.id, &*it.name, it.kind().as_str(), it.system)).collect();
    assert_eq!(
        found,
        [
            ("pbc_2279338944", "_mfas", "base", true),
            ("pbc_1638494021", "_otps", "base", true),
            ("pbc_2281828961", "_externalAuths", "base", true),
            ("pbc_4275539003", "_authOrigins", "base", true),
            ("pbc_3142635823", "_superusers", "auth", true),
            ("_pb_users_auth_", "users", "auth", false),
        ]
    );
    assert_eq!(
        house.rows("SELECT sql FROM sqlite_master WHERE tbl_name = '_otps' AND sql IS NOT NULL ORDER BY type DESC"),
        [
            "CREATE TABLE `_otps` (`collectionRef` TEXT DEFAULT '' NOT NULL, `created` TEXT DEFAULT '' NOT NULL, \
             `id` TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL, \
             `password` TEXT DEFAULT '' NOT NULL, `recordRef` TEXT DEFAULT '' NOT NULL, \
             `sentTo` TEXT DEFAULT '' NOT NULL, `updated` TEXT DEFAULT '' NOT NULL)",
            "CREATE INDEX `idx_otps_collectionRef_recordRef` ON `_otps` (\n  `collectionRef`,\n  `recordRef`\n)",
        ]
    );
    assert_eq!(house.rows("SELECT count(*) FROM _migrations"), ["8"]);
    let users = house.schema.find("USERS").unwrap();
    let fields = "id password tokenKey email emailVisibility verified name avatar created updated";
    assert_eq!(names(&users).join(" "), fields);
    assert!(users.has_unique_index("email") && !users.has_unique_index("name"));
    assert_eq!(house.schema.find("_superusers").unwrap().auth().unwrap().auth_token.duration, 86_400);
    let before = house.everything();
    let house = house.again().await;
    assert_eq!(house.everything(), before, "the second start changes something");
}

#[tokio::test]
async fn directories_of_older_versions_are_brought_up_to_date() {
    let house = House::new();
    let staff = house
        .create(json!({"name": "staff", "type": "auth", "fields": [
        {"name": "boss", "type": "relation", "collectionId": "pbc_3142635823"}]}))
        .await
        .unwrap();
    let fresh = house.rows("SELECT id, fields, indexes FROM _collections WHERE system ORDER BY rowid");
    // As 0.23.0 left it: random ids, no `sentTo`, indexes that nobody listed, a rule too many.
    house.run(&format!(
        "DELETE FROM _migrations WHERE file > '1717233557';
         DROP INDEX idx__collections_type;
         UPDATE _collections SET deleteRule = '' WHERE name = '_otps';
         UPDATE _collections SET id = 'old_' || rowid, fields = replace(fields, '\"id\":\"', '\"id\":\"old_') WHERE system;
         UPDATE _collections SET fields = replace(fields, 'pbc_3142635823', 'old_5') WHERE name = 'staff';
         UPDATE _collections SET fields = json_remove(fields, '$[4]') WHERE name = '_otps';
         ALTER TABLE _otps DROP COLUMN sentTo;
         INSERT INTO _mfas (id, collectionRef, recordRef, method) VALUES ('m', 'old_5', 'r', 'otp');
         UPDATE _collections SET indexes = '[]' WHERE name = '_mfas';
         CREATE UNIQUE INDEX twice ON staff (email);
         CREATE INDEX extra ON staff (verified);
         UPDATE _collections SET indexes = replace(indexes, 'ON `staff`', 'ON `gone`') WHERE name = 'staff';
         UPDATE _collections SET options = json_set(options, '$.authAlert.emailTemplate.body', '{alert}') WHERE name = 'staff'",
        alert = bootstrap::adopt::OLD_ALERT.replace('\'', "''"),
    ));
    let house = house.again().await;
    assert_eq!(house.rows("SELECT count(*) FROM _migrations"), ["8"]);
    assert_eq!(house.rows("SELECT count(*) FROM sqlite_master WHERE name = 'idx__collections_type'"), ["1"]);
    assert_eq!(house.rows("SELECT deleteRule FROM _collections WHERE name = '_otps'"), ["NULL"]);
    assert_eq!(house.rows("SELECT collectionRef FROM _mfas"), ["pbc_3142635823"]);
    let again = house.rows("SELECT id, fields, indexes FROM _collections WHERE system ORDER BY rowid");
    let parts = |rows: &[String], part: usize| -> Vec<String> {
        rows.iter().map(|row| row.split('|').nth(part).unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(parts(&again, 0), parts(&fresh, 0));
    let sorted = |row: &str| {
        let mut ids: Vec<&str> = row.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        ids.sort_unstable();
        ids.join(" ")
    };
    for (have, want) in again.iter().zip(&fresh) {
        assert_eq!(sorted(have), sorted(want));
    }
    assert_eq!(house.schema.find("_mfas").unwrap().indexes.len(), 1);
    let adopted = house.schema.find("staff").unwrap();
    assert!(
        matches!(&adopted.field("boss").unwrap().kind, FieldKind::Relation(it) if it.collection_id == "pbc_3142635823")
    );
    assert_eq!(adopted.indexes[..2], staff.indexes[..]);
    assert_eq!(adopted.indexes[2..], ["CREATE INDEX `extra` ON `staff` (`verified`)"]);
    assert_eq!(house.rows("SELECT count(*) FROM sqlite_master WHERE name = 'twice'"), ["0"]);
    assert!(adopted.auth().unwrap().auth_alert.email_template.body.contains("{ALERT_INFO}"));
    house.update("_otps", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_directory_before_0_23_is_refused() {
    for sql in ["CREATE TABLE _admins (id TEXT)", "ALTER TABLE _collections DROP COLUMN options"] {
        let House { schema, clock, dir } = House::new();
        schema.db.write_blocking(move |tx| tx.execute_batch(sql)).unwrap();
        schema.db.close().await;
        drop(schema);
        let db = Db::open(dir.path(), options(&clock)).unwrap();
        let error = Schema::open(db, Arc::new(Rules)).err().expect("refused");
        assert!(error.message.contains("0.23"), "{error}");
    }
}
