//! The room over all others: what a backup holds while everything goes on.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::json;

use super::*;
use crate::{
    app::{App, Config},
    clock::{Clock, Timestamp},
    db::testing::TempDir,
};

struct House {
    app: App,
    clock: Clock,
    dir: TempDir,
}

impl House {
    async fn new() -> Self {
        let (dir, clock) = (TempDir::new(), Clock::manual(Timestamp(1_800_000_000_000)));
        let config = Config { temporary: true, clock: clock.clone(), ..Config::new(dir.path().to_owned()) };
        let app = App::open(config).unwrap();
        let fields = json!([{"name": "file", "type": "file", "maxSelect": 1}]);
        let collection = json!({"id": "ppp", "name": "papers", "type": "base", "fields": fields});
        app.schema.create(collection.as_object().unwrap().clone()).await.unwrap();
        Self { app, clock, dir }
    }

    /// A record with a file, as a row that is simply there.
    async fn paper(&self, id: &'static str) -> PathBuf {
        let sql = "INSERT INTO papers (id, file) VALUES (?1, 'a.txt')";
        self.app.db.write(move |tx| tx.execute(sql, [id])).await.unwrap();
        let folder = self.dir.path().join("storage/ppp").join(id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.txt"), id).unwrap();
        folder.join("a.txt")
    }

    async fn remove(&self, id: &str) {
        let id = id.to_owned();
        let removed = self.app.records.transact(None, move |script| script.delete("ppp", &id));
        removed.await.unwrap();
    }

    async fn names(&self) -> Vec<String> {
        self.app.backups.list().await.unwrap().into_iter().map(|item| item.key).collect()
    }
}

async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let started = std::time::Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix_web::test]
async fn a_backup_is_made_verified_and_leaves_nothing_else() {
    let house = House::new().await;
    for id in ["one", "two"] {
        house.paper(id).await;
    }
    fs::write(house.dir.path().join("storage/ppp/one/a.txt.attrs"), "{}").unwrap();
    fs::create_dir_all(house.dir.path().join("storage/ppp/orphan")).unwrap();
    fs::write(house.dir.path().join("storage/ppp/orphan/x"), "nobody's").unwrap();
    let backups = &house.app.backups;
    let key = backups.create(None, &Progress::default()).await.unwrap();
    assert_eq!(key, "pb_backup_acme_20270115080000.zip");
    let archive = Archive::open(&house.dir.path().join("backups").join(&key)).unwrap();
    let about = archive.about().unwrap();
    // Both databases' copies, two files and what tells about one of them; what no record names is not in it.
    let databases = 1 + u64::from(house.dir.path().join("auxiliary.db").exists());
    assert_eq!((archive.files(), about.files, about.missing), (databases + 3, 2, 0));
    assert_eq!(about.epoch, *house.app.db.epoch().to_string());
    assert!(backups.verify(&key, &Progress::default()).await.unwrap().is_sound());
    assert_eq!(fs::read_dir(house.dir.path().join("backups/.making")).unwrap().count(), 0);
    assert!(!backups.is_busy());

    // A file that is not there any more is no reason to have no backup, and is told.
    fs::remove_file(house.dir.path().join("storage/ppp/two/a.txt")).unwrap();
    backups.create(Some("less.zip"), &Progress::default()).await.unwrap();
    let report = backups.verify("less.zip", &Progress::default()).await.unwrap();
    assert_eq!((report.files, report.missing, report.is_sound()), (2, 1, true));
}

#[actix_web::test]
async fn files_that_are_dropped_meanwhile_stay_until_the_end() {
    let house = House::new().await;
    let (first, second) = (house.paper("first").await, house.paper("second").await);
    house.app.runner.start();
    let kept = house.app.records.keep_files();
    let again = house.app.records.keep_files();
    house.remove("first").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(again);
    house.remove("second").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(first.exists() && second.exists());
    drop(kept);
    eventually("they go", async || {
        house.clock.set(house.clock.now().plus(Duration::from_secs(20)));
        !first.exists() && !second.exists()
    })
    .await;
    house.app.runner.stop().await;
}

#[actix_web::test]
async fn backups_by_the_clock_are_as_many_as_the_settings_say() {
    let house = House::new().await;
    house.app.auth.create_superuser("ann@example.com", "1234567890").await.unwrap();
    house.app.runner.start();
    let settings = async |patch: serde_json::Value| {
        house.app.settings.patch(patch.as_object().unwrap().clone()).await.unwrap();
    };
    settings(json!({"backups": {"cron": "@hourly", "cronMaxKeep": 2}})).await;
    let automatic =
        async || house.names().await.into_iter().filter(|name| name.starts_with("@auto_")).collect::<Vec<_>>();
    let mut seen = Vec::new();
    for hour in 1..=3 {
        // Their times on the disk have to differ.
        tokio::time::sleep(Duration::from_millis(20)).await;
        house.clock.set(Timestamp(1_800_000_000_000 + hour * 3_600_000));
        eventually("one more", async || automatic().await.last() != seen.last()).await;
        eventually("it ends", async || !house.app.backups.is_busy()).await;
        seen.extend(automatic().await.last().cloned());
    }
    eventually("the newest two are left", async || automatic().await == seen[1..]).await;

    // A folder of that name is in the way of every one: superusers hear of it when it has been tried often enough.
    let making = house.dir.path().join("backups/.making");
    fs::remove_dir_all(&making).unwrap();
    fs::write(&making, "in the way").unwrap();
    house.clock.set(Timestamp(1_800_000_000_000 + 4 * 3_600_000));
    let search = crate::mail::Search::default();
    eventually("a mail", async || {
        house.clock.set(house.clock.now().plus(Duration::from_secs(60)));
        house.app.mail.mailbox().list(&search, 10).1 > 0
    })
    .await;
    let (mails, _) = house.app.mail.mailbox().list(&search, 10);
    assert!(mails[0].subject.contains("backup") && format!("{:?}", mails[0]).contains("ann@example.com"));
    assert_eq!(automatic().await, seen[1..], "older ones are untouched");

    settings(json!({"backups": {"cron": ""}})).await;
    eventually("no cron", async || house.app.runner.crons().iter().all(|cron| cron.id != "__pbAutoBackup__")).await;
    house.app.runner.stop().await;
}

#[actix_web::test]
async fn a_server_that_stops_breaks_off_what_is_made() {
    let house = House::new().await;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
               INSERT INTO papers (id, file) SELECT 'r' || i, hex(randomblob(20000)) FROM n";
    house.app.db.write(move |tx| tx.execute(sql, [])).await.unwrap();
    let backups = house.app.backups.clone();
    let making = actix_web::rt::spawn(async move { backups.create(None, &Progress::default()).await });
    eventually("it is at work", async || house.app.backups.is_busy()).await;
    house.app.backups.stop().await;
    assert!(!house.app.backups.is_busy());
    // It may just have been ready.
    if let Err(error) = making.await.unwrap() {
        assert!(error.message.contains("stopping"), "{error}");
        assert!(house.names().await.is_empty());
    }
    assert_eq!(fs::read_dir(house.dir.path().join("backups/.making")).unwrap().count(), 0);
}

#[actix_web::test]
async fn logs_that_do_not_fit_are_no_backup_without_logs() {
    let house = House::new().await;
    // It has no such size on the disk.
    let logs = fs::File::create(house.dir.path().join("auxiliary.db")).unwrap();
    logs.set_len(4 << 40).unwrap();
    let refused = house.app.backups.create(Some("a.zip"), &Progress::default()).await.unwrap_err();
    assert_eq!(refused.kind, crate::error::Kind::StorageFull, "{refused}");
    assert!(refused.message.contains("room on the disk"), "{refused}");
    assert_eq!(house.names().await, Vec::<String>::new());
    eventually("nothing is left", async || {
        fs::read_dir(house.dir.path().join("backups/.making")).unwrap().count() == 0
    })
    .await;
}
