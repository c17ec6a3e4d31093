//! What stands in a directory: a new one, an old one, one that is too old.

use super::*;
use crate::schema::bootstrap::notify;

/// Ids and names of the collections of notifications.
const NOTIFY: [(&str, &str); 10] = [
    ("pbc_3691310083", "_templates"),
    ("pbc_620886014", "_devices"),
    ("pbc_4187414096", "_topics"),
    ("pbc_2362228664", "_subscriptions"),
    ("pbc_3759427597", "_preferences"),
    ("pbc_2182565123", "_schedules"),
    ("pbc_3904603498", "_notifications"),
    ("pbc_4240266852", "_deliveries"),
    ("pbc_3275383531", "_inbox"),
    ("pbc_555298987", "_suppressions"),
];
/// Everything of them as it stands in a directory that has none: as an older version made it.
const WITHOUT: &str = "DELETE FROM __conch_meta WHERE key = 'collections_of_notifications';
    DELETE FROM _collections WHERE name IN ('_templates', '_devices', '_topics', '_subscriptions', '_preferences',
        '_schedules', '_notifications', '_deliveries', '_inbox', '_suppressions');
    DROP TABLE _templates; DROP TABLE _devices; DROP TABLE _topics; DROP TABLE _subscriptions;
    DROP TABLE _preferences; DROP TABLE _schedules; DROP TABLE _notifications; DROP TABLE _deliveries;
    DROP TABLE _inbox; DROP TABLE _suppressions;";

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
        .into_iter()
        .chain(NOTIFY.map(|(id, name)| (id, name, "base", true)))
        .collect::<Vec<_>>()
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
    house.run(WITHOUT);
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
    assert_eq!(again.len(), fresh.len() + NOTIFY.len());
    let again = again[..fresh.len()].to_vec();
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

#[tokio::test]
async fn a_directory_without_them_gets_the_collections_of_notifications() {
    let house = House::new();
    let made = house.everything();
    house.run(WITHOUT);
    house.create(json!({"name": "posts", "type": "base"})).await.unwrap();
    let posts = house.rows("SELECT * FROM _collections WHERE name = 'posts'");
    let house = house.again().await;
    assert_eq!(house.rows("SELECT * FROM _collections WHERE name = 'posts'"), posts);
    for (_, name) in NOTIFY {
        let has = |all: &[String]| all.iter().filter(|row| row.contains(name)).cloned().collect::<Vec<_>>();
        assert_eq!(has(&house.everything()).len(), has(&made).len(), "{name}");
    }
    // Asked a second time, because the note got lost, it finds them.
    house.run("DELETE FROM __conch_meta WHERE key = 'collections_of_notifications'");
    let before = house.rows("SELECT * FROM _collections");
    let house = house.again().await;
    assert_eq!(house.rows("SELECT * FROM _collections"), before);
}

#[tokio::test]
async fn a_directory_of_an_earlier_edition_gets_todays_indexes_and_keeps_those_of_its_owner() {
    let indexes = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('_inbox', '_deliveries') AND sql > '' ORDER BY name";
    let house = House::new();
    let (todays, stored) =
        (house.rows(indexes), "SELECT json_each.value FROM _collections, json_each(indexes) WHERE name = '_inbox'");
    let of_inbox = house.rows(stored);
    let own = "CREATE INDEX `mine` ON `_inbox` (`category`)";
    house.run(&format!(
        "UPDATE __conch_meta SET value = '1' WHERE key = 'collections_of_notifications';
         DROP INDEX idx__deliveries_failed; DROP INDEX idx__inbox_owner; {own};
         CREATE INDEX `idx__inbox_owner` ON `_inbox` (`recordRef`);
         CREATE INDEX `idx__inbox_unread` ON `_inbox` (`recordRef`) WHERE `read` = '';
         UPDATE _collections SET indexes = json_insert(indexes, '$[#]', '{own}',
            '$[#]', 'CREATE INDEX `idx__inbox_unread` ON `_inbox` (`recordRef`) WHERE `read` = ''''') WHERE name = '_inbox';
         UPDATE _collections SET indexes = json_set(indexes, '$[0]', 'CREATE INDEX `idx__inbox_owner` ON `_inbox` (`recordRef`)')
            WHERE name = '_inbox';
         UPDATE _collections SET indexes = json_remove(indexes, '$[1]') WHERE name = '_deliveries'"
    ));
    let house = house.again().await;
    let mut expected = todays.clone();
    expected.push(own.to_owned());
    let (mut found, mut kept) = (house.rows(indexes), of_inbox);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    kept.push(own.to_owned());
    assert_eq!(house.rows(stored), kept);
    assert_eq!(house.rows("SELECT value FROM __conch_meta WHERE key = 'collections_of_notifications'"), ["3"]);
}

#[tokio::test]
async fn what_has_their_name_is_named_and_nothing_happens() {
    let tables = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT GLOB 'sqlite_stat*' ORDER BY name";
    for (sql, name) in [
        ("CREATE TABLE _Inbox (x)", "_Inbox"),
        ("CREATE VIEW _topics AS SELECT 1", "_topics"),
        ("CREATE TABLE other (x); CREATE INDEX idx__DEVICES_token ON other (x)", "idx__DEVICES_token"),
        ("INSERT INTO _collections (id, name, fields) VALUES ('mine', '_schedules', '[]')", "_schedules"),
    ] {
        let house = House::new();
        house.run(WITHOUT);
        house.run(sql);
        let before = house.rows(tables);
        let House { schema, clock, dir } = house;
        schema.db.close().await;
        drop(schema);
        let db = Db::open(dir.path(), options(&clock)).unwrap();
        let error = Schema::open(db.clone(), Arc::new(Rules)).err().expect("refused");
        assert!(error.message.contains(&format!("\"{name}\"")) && error.message.contains("Rename"), "{error}");
        let after = db.read_blocking(move |tx| Ok((rows(tx, tables)?, notify::are_there(tx)?))).unwrap();
        assert_eq!(after, (before, false));
        db.close().await;
    }
}

#[tokio::test]
async fn a_renamed_collection_keeps_its_id_and_is_not_in_the_way() {
    let house = House::new();
    house.run(WITHOUT);
    let id = ids::collection_base(CollectionType::Base, "_topics");
    house.create(json!({"name": "topics_of_mine", "type": "base"})).await.unwrap();
    house.run(&format!("UPDATE _collections SET id = '{id}' WHERE name = 'topics_of_mine'"));
    let house = house.again().await;
    let (topics, subscriptions) = (house.schema.find("_topics").unwrap(), house.schema.find("_subscriptions").unwrap());
    assert_eq!(*topics.id, format!("{id}2"));
    let FieldKind::Relation(topic) = &subscriptions.field("topic").unwrap().kind else { panic!("no relation") };
    assert_eq!(topic.collection_id, *topics.id);
}

#[tokio::test]
async fn owners_change_the_rules_of_notifications_and_no_others_of_the_system() {
    let house = House::new();
    for (_, name) in NOTIFY {
        house.update(name, json!({"listRule": "id != ''", "createRule": ""})).await.unwrap();
        assert_eq!(house.schema.find(name).unwrap().list_rule.as_deref(), Some("id != ''"));
        house.update(name, json!({"fields": [{"name": "x", "type": "text"}]})).await.unwrap_err();
        assert!(house.schema.delete(name).await.is_err());
    }
    for name in ["_mfas", "_otps", "_authOrigins", "_externalAuths", "_superusers"] {
        house.update(name, json!({"listRule": "id != ''"})).await.unwrap_err();
    }
}
