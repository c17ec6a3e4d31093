use std::collections::BTreeMap;

use super::*;
use crate::{
    db::{
        Db,
        testing::{TempDir, options},
    },
    files::{Upload, disk::Disk, store::Store},
    outgoing::bucket::Params,
};

/// A storage whose bucket is another folder.
struct House {
    place: TempDir,
    storage: Storage,
    local: Arc<Home>,
    other: Arc<Home>,
    settings: settings::Store,
    db: Db,
}

impl House {
    fn new() -> Self {
        let place = TempDir::new();
        let storage = Storage::open(place.path(), false).unwrap();
        let spool = place.path().join("storage/.spool");
        let other = Arc::new(Disk::new(place.path().join("other"), spool, false)) as Arc<dyn Store>;
        let bucket = Params {
            endpoint: "http://127.0.0.1:1".into(),
            region: "r".into(),
            bucket: "b".into(),
            access_key: "a".into(),
            secret: "s".into(),
            path_style: true,
        };
        let other = Arc::new(Home { bucket: Some(bucket), store: other });
        let db = Db::open(&place.path().join("db"), options()).unwrap();
        let settings = settings::Store::open(db.clone(), None).unwrap();
        Self { place, local: storage.local(), storage, other, settings, db }
    }

    fn course<'h>(&'h self, copies: &'h Copies) -> Course<'h> {
        Course { storage: &self.storage, from: &self.local, to: &self.other, copies, counts: Counts::default() }
    }

    /// As a new process finds them.
    fn copies(&self) -> Copies {
        self.storage.copies(&self.other).unwrap()
    }

    async fn put(&self, name: &str, content: &[u8]) -> Key {
        let key = Key::file("c", "r", name).unwrap();
        self.storage.put_made(&key, content.to_vec(), "text/plain").await.unwrap();
        key
    }

    /// What is in the other store.
    fn there(&self) -> BTreeMap<String, Vec<u8>> {
        let folder = self.place.path().join("other/c/r");
        let entries = std::fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().path()).collect());
        let entries: Vec<std::path::PathBuf> = entries.unwrap_or_default();
        let files = entries.into_iter().filter(|path| path.extension().is_none_or(|extension| extension != "attrs"));
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        files.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
    }
}

#[tokio::test]
async fn all_files_arrive_with_what_is_known_of_them_and_none_is_copied_twice() {
    let house = House::new();
    let folders = [Key::collection("c").unwrap(), Key::collection("none").unwrap()];
    for n in 0..20 {
        house.put(&format!("{n}.txt"), format!("content {n}").as_bytes()).await;
    }
    let path = house.storage.spool_path();
    std::fs::write(&path, "named").unwrap();
    let upload = Upload { key: "f".into(), client_name: "Größe.txt".into(), path, size: 5 };
    let key = Key::file("c", "r", "named.txt").unwrap();
    house.storage.place(key.clone(), &upload, "text/x").await.unwrap().keep();

    let copies = house.copies();
    let course = house.course(&copies);
    course.copy_all(&folders, &Progress::default()).await.unwrap();
    assert_eq!((course.counts.copied.load(Relaxed), course.counts.present.load(Relaxed)), (21, 0));
    assert_eq!(house.there().len(), 21);
    let copy = house.other.store.open(&key).await.unwrap().unwrap();
    assert_eq!((copy.head.content_type.as_str(), copy.head.original_name.as_deref()), ("text/x", Some("Größe.txt")));
    let original = house.storage.find(&key).await.unwrap().unwrap();
    assert_eq!(copy.head.modified, original.head.modified);

    // One that is another, one that is shorter: they are copied again, the rest is not.
    let other = house.place.path().join("other/c/r");
    // The copies are links to the originals: they are replaced, not written over.
    let replace = |name: &str, content: &str| {
        std::fs::remove_file(other.join(name)).unwrap();
        std::fs::write(other.join(name), content).unwrap();
    };
    replace("3.txt", "CONTENT 3");
    std::fs::remove_file(other.join("3.txt.attrs")).unwrap();
    replace("4.txt", "cont");
    let copies = house.copies();
    let course = house.course(&copies);
    course.copy_all(&folders, &Progress::default()).await.unwrap();
    assert_eq!((course.counts.copied.load(Relaxed), course.counts.present.load(Relaxed)), (2, 19));
    assert_eq!(house.there()["3.txt"], b"content 3");

    // Nothing that is needed is removed unless it is there as well.
    replace("5.txt", "x");
    replace("6.txt", "x");
    // All but one are named by records.
    let gone = Key::file("c", "r", "6.txt").unwrap();
    let named = move |keys: Vec<Key>| -> BoxFuture<'static, Result<HashSet<Key>>> {
        let named = keys.into_iter().filter(|key| *key != gone).collect();
        Box::pin(std::future::ready(Ok(named)))
    };
    // Nothing is removed where files are still kept.
    let refused = clear(&house.storage, course.from, course.to, &folders, &named, &Progress::default()).await;
    assert!(refused.unwrap_err().message.contains("settings of S3"));
    let before = Home { bucket: course.to.bucket.clone(), store: course.from.store.clone() };
    let cleared = clear(&house.storage, &before, course.to, &folders, &named, &Progress::default()).await.unwrap();
    assert_eq!(cleared, (20, 1));
    let left: Vec<Key> = house.storage.list(&folders[0]).try_collect().await.unwrap();
    assert_eq!(left, [Key::file("c", "r", "5.txt").unwrap()]);
    house.db.close().await;
}

#[tokio::test]
async fn what_comes_and_goes_meanwhile_is_seen_to_at_the_end() {
    let house = House::new();
    let folders = [Key::collection("c").unwrap()];
    let (stays, goes) = (house.put("stays.txt", b"1").await, house.put("goes.txt", b"2").await);
    let watch = house.storage.moving().begin().unwrap();
    let copies = house.copies();
    let course = house.course(&copies);
    course.copy_all(&folders, &Progress::default()).await.unwrap();
    house.storage.remove(&goes).await.unwrap();
    house.put("comes.txt", b"3").await;
    course.catch_up(&watch).await.unwrap();
    house.put("late.txt", b"4").await;
    let expected = |pairs: &[(&str, &[u8])]| {
        pairs.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(house.there(), expected(&[("comes.txt", b"3"), ("stays.txt", b"1")]));

    // The settings are not those that the move began with: they stay, and so do the files.
    let refused = course.switch(&watch, &house.settings).await.unwrap_err();
    assert!(refused.message.contains("meanwhile"), "{refused}");
    assert!(!house.settings.current().s3.enabled && house.storage.find(&stays).await.unwrap().is_some());
    assert_eq!(house.there().len(), 3, "the last ones were seen to");
    house.db.close().await;
}

#[tokio::test]
async fn what_was_dropped_between_two_moves_leaves_no_copy() {
    let house = House::new();
    let folders = [Key::collection("c").unwrap()];
    // Somebody else's, in the same bucket.
    house.other.store.put(&Key::file("c", "r", "theirs.txt").unwrap(), &spooled(&house, "x"), &about()).await.unwrap();
    let mut keys = Vec::new();
    for name in ["stays.txt", "goes.txt", "lost.txt"] {
        keys.push(house.put(name, name.as_bytes()).await);
    }
    let copies = house.copies();
    house.course(&copies).copy_all(&folders, &Progress::default()).await.unwrap();
    // The process ends here. Nobody writes down what is dropped, or lost, until the next move.
    house.storage.remove(&keys[1]).await.unwrap();
    std::fs::remove_file(house.place.path().join("storage").join(keys[2].as_str())).unwrap();
    house.put("new.txt", b"new").await;

    let copies = house.copies();
    let course = house.course(&copies);
    course.copy_all(&folders, &Progress::default()).await.unwrap();
    // One is gone from the disk, but a record names it: its copy is the only one.
    let lost = keys[2].clone();
    let named = move |keys: Vec<Key>| -> BoxFuture<'static, Result<HashSet<Key>>> {
        Box::pin(std::future::ready(Ok(keys.into_iter().filter(|key| *key == lost).collect())))
    };
    course.remove_dropped(&named, &Progress::default()).await.unwrap();
    let left: Vec<_> = house.there().into_keys().collect();
    assert_eq!(left, ["lost.txt", "new.txt", "stays.txt", "theirs.txt"]);
    house.db.close().await;
}

fn spooled(house: &House, content: &str) -> std::path::PathBuf {
    let path = house.storage.spool_path();
    std::fs::write(&path, content).unwrap();
    path
}

fn about() -> About {
    About { content_type: "text/plain".to_owned(), original_name: None }
}

#[tokio::test]
async fn who_switches_by_hand_meanwhile_loses_nothing() {
    let house = House::new();
    let watch = house.storage.moving().begin().unwrap();
    let copies = house.copies();
    let course = house.course(&copies);
    // Files are kept there from now on: it is the only place of what is put now.
    house.storage.keep_in(&house.other);
    let key = house.put("new.txt", b"1").await;
    let refused = course.catch_up(&watch).await.unwrap_err();
    assert!(refused.message.contains("settings of S3"), "{refused}");
    assert!(house.storage.find(&key).await.unwrap().is_some());
    assert_eq!(house.there().len(), 1);
    house.db.close().await;
}

#[tokio::test]
async fn a_move_without_a_bucket_is_refused_and_one_that_fails_changes_nothing() {
    let house = House::new();
    house.put("a.txt", b"1").await;
    let folders = [Key::collection("c").unwrap()];
    let moved = async || {
        let progress = Progress::default();
        let named =
            |_| -> BoxFuture<'static, Result<HashSet<Key>>> { Box::pin(std::future::ready(Ok(HashSet::new()))) };
        let moved = house.storage.relocate(&house.settings, Destination::S3, &folders, &named, false, &progress);
        moved.await.unwrap_err().message
    };
    let message = moved().await;
    assert!(message.contains("s3.bucket") && message.contains("s3.secret"), "{message}");
    let s3 = serde_json::json!({"s3": {"bucket": "b", "region": "r", "endpoint": "http://127.0.0.1:1",
        "accessKey": "a", "secret": "hush", "forcePathStyle": true}});
    house.settings.patch(s3.as_object().unwrap().clone()).await.unwrap();
    let message = moved().await;
    assert!(message.contains("cannot be used") && message.contains("refused"), "{message}");
    assert!(!house.settings.current().s3.enabled);
    assert!(house.storage.find(&Key::file("c", "r", "a.txt").unwrap()).await.unwrap().is_some());
    assert!(house.storage.moving().begin().is_some(), "the next may begin");
    house.db.close().await;
}
