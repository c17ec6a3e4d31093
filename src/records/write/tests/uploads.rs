//! Files of records (`records-api.md` §5, `records-storage.md` §8).

use serde_json::{Value as Json, json};

use crate::{
    error::Result,
    files::{Key, Upload},
    identity::Caller,
    records::{
        Body, Shape,
        write::testing::{House, codes, id, object, request, superuser},
    },
};

async fn house() -> House {
    let house = House::new();
    let fields = json!([
        {"name": "one", "type": "file", "maxSelect": 1, "maxSize": 10},
        {"name": "many", "type": "file", "maxSelect": 3},
        {"name": "image", "type": "file", "mimeTypes": ["image/png"]},
        {"name": "note", "type": "file", "mimeTypes": ["text/plain"]},
        {"name": "t", "type": "text", "max": 5},
    ]);
    house.collection(json!({"name": "docs", "fields": fields, "createRule": ""})).await;
    house
}

async fn create(house: &House, values: Json, uploads: Vec<Upload>) -> Result<Json> {
    house.create_with(request(&superuser()), "docs", Body { values: object(values), uploads }).await
}

async fn update(house: &House, id: &str, values: Json, uploads: Vec<Upload>) -> Result<Json> {
    let body = Body { values: object(values), uploads };
    let answer = house.records.update(request(&superuser()), "docs", id, body, Shape::default()).await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

/// The list with every name cut to what the client called it.
fn stems(value: &Json) -> Vec<&str> {
    let names = value.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    names.map(|name| name.split('_').next().unwrap()).collect()
}

#[tokio::test]
async fn files_come_go_and_keep_their_order() {
    let house = house().await;
    let upload = |key: &str, name: &str| house.upload(key, name, b"x");
    let made =
        create(&house, json!({}), vec![upload("one", "aaa.txt"), upload("one", "bbb.txt"), upload("many", "ccc.txt")])
            .await
            .unwrap();
    let key = id(&made).to_owned();
    let first = made["one"].as_str().unwrap().to_owned();
    assert!(first.starts_with("bbb_"), "the last of several: {first}");
    assert!(house.has_file("docs", &key, &first, true).await);
    let changed = update(&house, &key, json!({}), vec![upload("one", "new.txt")]).await.unwrap();
    assert!(house.has_file("docs", &key, changed["one"].as_str().unwrap(), true).await);
    assert!(!house.has_file("docs", &key, &first, false).await, "the replaced file has gone");
    let uploads = vec![upload("many+", "ddd.txt"), upload("+many", "eee.txt")];
    let changed = update(&house, &key, json!({}), uploads).await.unwrap();
    assert_eq!(stems(&changed["many"]), ["eee", "ccc", "ddd"]);
    let kept = changed["many"][0].clone();
    let changed = update(&house, &key, json!({"many": kept}), vec![upload("many", "fff.txt")]).await.unwrap();
    assert_eq!(stems(&changed["many"]), ["eee", "fff"]);
    let removed = changed["many"][0].as_str().unwrap().to_owned();
    let changed = update(&house, &key, json!({"many-": [removed, "zz"]}), vec![]).await.unwrap();
    assert_eq!(stems(&changed["many"]), ["fff"]);
    assert!(!house.has_file("docs", &key, &removed, false).await);
    let changed = update(&house, &key, json!({"many": null}), vec![]).await.unwrap();
    assert_eq!(changed["many"], json!([]));
    let last = changed["one"].as_str().unwrap().to_owned();
    house.delete(&superuser(), "docs", &key).await.unwrap();
    assert!(!house.has_file("docs", &key, &last, false).await, "the folder goes with the record");
}

#[tokio::test]
async fn what_is_wrong_with_files() {
    let house = house().await;
    let made = create(&house, json!({}), vec![house.upload("many", "aaa.txt", b"x")]).await.unwrap();
    let key = id(&made).to_owned();
    let many = |count: usize| (0..count).map(|n| house.upload("many+", &format!("n{n}x.txt"), b"x")).collect();
    let cases: [(Json, Vec<Upload>, &str); 6] = [
        (json!({"many": ["zz.txt"]}), vec![], "many=validation_invalid_file"),
        (json!({"many+": "zz.txt"}), vec![], "many=validation_invalid_file"),
        (json!({"one": made["many"][0]}), vec![], "one=validation_invalid_file"),
        (json!({}), many(3), "many=validation_too_many_files"),
        (json!({}), vec![house.upload("one", "big.txt", b"more than ten bytes")], "one=validation_file_size_limit"),
        (json!({}), vec![house.upload("image", "a.png", b"no image")], "image=validation_invalid_mime_type"),
    ];
    for (values, uploads, expected) in cases {
        let error = update(&house, &key, values.clone(), uploads).await.unwrap_err();
        assert_eq!(codes(&error).join(" "), expected, "{values}");
    }
    // A charset does not make it another type.
    update(&house, &key, json!({}), vec![house.upload("note", "note.txt", b"plain")]).await.unwrap();
    // Under keys that are no file field's they are nobody's.
    update(&house, &key, json!({}), vec![house.upload("t", "aaa.txt", b"x"), house.upload("zz", "b.txt", b"x")])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_failed_write_leaves_no_file() {
    let house = house().await;
    house
        .change_collection("docs", json!({"indexes": ["CREATE UNIQUE INDEX `one_t` ON `docs` (`t`) WHERE `t` != ''"]}))
        .await;
    create(&house, json!({"t": "x"}), vec![]).await.unwrap();
    let key = "b".repeat(15);
    for (values, code) in [
        (json!({"id": key, "t": "too long"}), "t=validation_max_text_constraint"),
        (json!({"id": key, "t": "x"}), "t=validation_not_unique"),
    ] {
        let error = create(&house, values, vec![house.upload("one", "aaa.txt", b"x")]).await.unwrap_err();
        assert_eq!(codes(&error), [code]);
    }
    let folder = house.db.dir().join("storage").join(&*house.schema.find("docs").unwrap().id).join(&key);
    for _ in 0..200 {
        let left = std::fs::read_dir(&folder).map(|entries| entries.count()).unwrap_or(0);
        if left == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("files are left in {}", folder.display());
}

#[tokio::test]
async fn rules_see_what_is_uploaded() {
    let house = house().await;
    for (rule, passes) in [
        ("@request.body.one.size = 3 && @request.body.one.originalName = 'My File.txt'", true),
        ("@request.body.one.size > 3", false),
        ("@request.body.many.0.size = 3", true),
        ("@request.body.many:length = 1", true),
    ] {
        house.change_collection("docs", json!({"createRule": rule})).await;
        let uploads = ["one", "many"].map(|key| house.upload(key, "My File.txt", b"abc")).into();
        let body = Body { values: Default::default(), uploads };
        let result = house.create_with(request(&Caller::Guest), "docs", body).await;
        assert_eq!(result.is_ok(), passes, "{rule}: {result:?}");
    }
}

/// The write goes on when its client hangs up; the file must stay with the row.
#[tokio::test]
async fn a_client_that_leaves_takes_no_file_away() {
    let house = house().await;
    let key = "c".repeat(15);
    let hold = house.hold_writer();
    let upload = house.upload("one", "aaa.txt", b"x");
    let abandoned = create(&house, json!({"id": key}), vec![upload]);
    tokio::time::timeout(std::time::Duration::from_millis(200), abandoned).await.unwrap_err();
    drop(hold);
    house.create(&superuser(), "docs", json!({})).await.unwrap();
    let stored = house.view("docs", &key).await;
    let name = stored["one"].as_str().unwrap();
    // Long enough for a removal in the background to have happened.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(house.has_file("docs", &key, name, true).await);
}

#[tokio::test]
async fn an_id_that_is_used_again_at_once_keeps_its_new_file() {
    let house = house().await;
    let key = "e".repeat(15);
    for round in 0..30 {
        let made = create(&house, json!({"id": key}), vec![house.upload("one", "aaa.txt", b"x")]).await.unwrap();
        let name = made["one"].as_str().unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        assert!(house.has_file("docs", &key, name, true).await, "round {round}");
        house.delete(&superuser(), "docs", &key).await.unwrap();
    }
}

/// Waits for the jobs to agree.
async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

/// The file is the record's from the commit on, and goes with it, however soon that is.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_deleted_at_once_leaves_nothing() {
    let house = house().await;
    let collection = folder(&house, &house.schema.find("docs").unwrap().id);
    for _ in 0..50 {
        let made = create(&house, json!({}), vec![house.upload("one", "aaa.txt", b"x")]).await.unwrap();
        house.delete(&superuser(), "docs", id(&made)).await.unwrap();
    }
    until("all folders go", || !collection.exists()).await;
}

fn folder(house: &House, collection: &str) -> std::path::PathBuf {
    house.db.dir().join("storage").join(collection)
}

#[tokio::test]
async fn files_go_with_their_collection_and_spare_its_successor() {
    let house = house().await;
    let first = house.schema.find("docs").unwrap().id.clone();
    for deletes in [true, false] {
        let old = create(&house, json!({}), vec![house.upload("one", "old.txt", b"x")]).await.unwrap();
        let old = folder(&house, &first).join(id(&old)).join(old["one"].as_str().unwrap());
        assert!(old.exists());
        if deletes {
            house.schema.delete("docs").await.unwrap();
        } else {
            let other = object(json!({"name": "other", "fields": []}));
            house.schema.import(vec![other], true).await.unwrap();
        }
        let fields = json!([{"name": "one", "type": "file"}]);
        assert_eq!(house.collection(json!({"name": "docs", "fields": fields})).await.id, first);
        let made = create(&house, json!({}), vec![house.upload("one", "new.txt", b"x")]).await.unwrap();
        until("the old file goes", || !old.exists()).await;
        assert!(house.has_file("docs", id(&made), made["one"].as_str().unwrap(), true).await);
    }
    house.schema.delete("docs").await.unwrap();
    until("the folder goes with its last file", || !folder(&house, &first).exists()).await;
}

/// Judged and its file in place for a collection that is replaced before the write's turn comes: it is a write to the
/// successor, and the sweep of the old folder does not take its file.
#[tokio::test]
async fn an_upload_that_meets_the_successor_of_its_collection_keeps_its_file() {
    let house = house().await;
    let first = house.schema.find("docs").unwrap().id.clone();
    let hold = house.hold_writer();
    let remove = house.schema.delete("docs");
    let succeed = async {
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        house.collection(json!({"name": "docs", "fields": [{"name": "one", "type": "file"}]})).await
    };
    let write = async {
        tokio::time::sleep(std::time::Duration::from_millis(80)).await;
        create(&house, json!({}), vec![house.upload("one", "aaa.txt", b"x")]).await
    };
    let (removed, successor, written, ()) = tokio::join!(remove, succeed, write, hold.release_later());
    removed.unwrap();
    assert_eq!(successor.id, first);
    let made = written.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(house.has_file("docs", id(&made), made["one"].as_str().unwrap(), true).await);
}

/// Everything in a deleted record's folder goes, also what no field named any more; a file of a write on its way stays.
#[tokio::test]
async fn a_deleted_records_folder_is_swept() {
    let house = house().await;
    let made = create(&house, json!({}), vec![house.upload("one", "aaa.txt", b"x")]).await.unwrap();
    let folder = folder(&house, &house.schema.find("docs").unwrap().id).join(id(&made));
    std::fs::write(folder.join("of_a_removed_field.txt"), "x").unwrap();
    let thumbs = folder.join(format!("thumbs_{}", made["one"].as_str().unwrap()));
    std::fs::create_dir(&thumbs).unwrap();
    std::fs::write(thumbs.join("10x10_x.png"), "x").unwrap();
    let key = Key::parse(&format!("{}/{}/on_its_way.txt", house.schema.find("docs").unwrap().id, id(&made))).unwrap();
    let placement = house.storage.place(key, &house.upload("one", "b.txt", b"x"), "text/plain").await.unwrap();
    house.delete(&superuser(), "docs", id(&made)).await.unwrap();
    until("all but that of the write on its way", || std::fs::read_dir(&folder).unwrap().count() == 2).await;
    assert!(folder.join("on_its_way.txt").exists());
    drop(placement);
    until("the folder goes with its last file", || !folder.exists()).await;
}

/// What a process that died has put in place goes, unless its write had committed.
#[tokio::test]
async fn what_a_dead_process_left_is_tidied_up() {
    let house = house().await;
    let made = create(&house, json!({}), vec![house.upload("one", "aaa.txt", b"x")]).await.unwrap();
    let name = made["one"].as_str().unwrap();
    let collection = house.schema.find("docs").unwrap().id.clone();
    let marks = house.db.dir().join("storage/.placing");
    until("nothing is on its way", || std::fs::read_dir(&marks).unwrap().count() == 0).await;
    for (mark, name) in [("committed", name), ("lost", "lost_0123456789.txt"), ("nowhere", "nowhere_0123456789.txt")] {
        std::os::unix::fs::symlink(format!("{collection}/{}/{name}", id(&made)), marks.join(mark)).unwrap();
    }
    let folder = folder(&house, &collection).join(id(&made));
    std::fs::write(folder.join("lost_0123456789.txt"), "x").unwrap();
    house.records.tidy_files().await.unwrap();
    assert!(folder.join(name).exists() && !folder.join("lost_0123456789.txt").exists());
    assert_eq!(std::fs::read_dir(&marks).unwrap().count(), 0);
}
