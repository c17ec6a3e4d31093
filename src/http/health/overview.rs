//! `GET /api/overview`: the server at a glance, for the first page of the admin UI (`docs/admin.md`). Cheap enough to be
//! asked every two seconds: what is counted anyway is added up, and what takes longer is asked rarely, in the background.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    Health, Inner,
    history::{LOOK_EVERY, Lately, Minute, Totals},
    kept::Kept,
    metrics::{DELIVERIES_HOLD, JOBS_HOLD, newest},
    process::Process,
    warnings::{Signs, Warning},
};
use crate::{
    app::App,
    backups::{self, Item},
    clock::{Clock, Timestamp},
    error::{Error, Result},
    jobs::{Search, cron::Cron},
    logs,
    rules::Request,
    schema::Collection,
    settings::Settings,
};

/// What takes longer is asked so often.
const HOLD: Duration = Duration::from_secs(30);
/// Files and folders that are looked at for the size of all files; beyond that it is not told.
const MAX_FILES: usize = 1_000_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is asked rarely.
#[derive(Default)]
pub struct Rarely {
    files: Kept<u64>,
    backups: Kept<Backups>,
    failed: Kept<u64>,
    errors: Kept<u64>,
    has_program: Kept<bool>,
}

/// What is known of backups.
#[derive(Clone)]
struct Backups {
    last: Option<Item>,
    /// The newest automatic one could not be made.
    failed: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    version: &'static str,
    started: String,
    /// Seconds.
    uptime: u64,
    mode: Mode,
    requests: Requests,
    storage: Storage,
    realtime: Realtime,
    jobs: Jobs,
    notifications: Notifications,
    backup: Backup,
    logs: Log,
    /// Without those of the system.
    collections: usize,
    process: Seen,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mode {
    temp: bool,
    dev: bool,
    /// The disk is so full that nothing can be written.
    read_only: bool,
    scarce: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Requests {
    total: u64,
    errors4xx: u64,
    errors5xx: u64,
    per_second: f64,
    p50: f64,
    p99: f64,
    series: Vec<Minute>,
}

/// In bytes.
#[derive(Serialize)]
struct Storage {
    database: u64,
    wal: u64,
    log: u64,
    files: Option<u64>,
    free: Option<u64>,
    #[serde(rename = "where")]
    place: &'static str,
}

#[derive(Serialize)]
struct Realtime {
    connections: usize,
    subscriptions: usize,
}

#[derive(Default, Serialize)]
struct Jobs {
    waiting: u64,
    running: u64,
    late: u64,
    dead: u64,
}

#[derive(Serialize)]
struct Notifications {
    pending: u64,
    failed24h: u64,
}

#[derive(Serialize)]
struct Backup {
    last: Option<Item>,
    running: bool,
    next: Option<String>,
}

#[derive(Serialize)]
struct Log {
    dropped: u64,
    errors24h: u64,
}

/// What the system does not tell is 0.
#[derive(Serialize)]
struct Seen {
    memory: u64,
    cpu: f64,
    threads: u64,
    fds: u64,
}

/// Looks at the counters every few seconds, until the server is gone. On a thread of actix's.
pub(super) fn follow(inner: &Arc<Inner>) {
    let inner: Weak<Inner> = Arc::downgrade(inner);
    actix_web::rt::spawn(async move {
        while let Some(inner) = inner.upgrade() {
            let totals = totals(&inner);
            inner.history.lock().look(Instant::now(), Clock::system().now(), &totals);
            drop(inner);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
}

fn totals(inner: &Inner) -> Totals {
    let shards = inner.shards.lock().clone();
    Totals::of(shards.iter().map(|shard| &**shard))
}

impl Health {
    /// All of it.
    pub async fn overview(&self) -> Overview {
        let (inner, app) = (&*self.inner, &self.inner.app);
        let (jobs, pending, backups, files, failed24h, errors24h, has_program) = tokio::join!(
            self.jobs(),
            self.pending(),
            self.backups(),
            self.files(),
            inner.overview.failed.get(HOLD, || failed(app.clone())),
            inner.overview.errors.get(HOLD, || errors(app.clone())),
            inner.overview.has_program.get(HOLD, || has_program(app.clone())),
        );
        let (settings, stats, room, live) =
            (app.settings.current(), app.db.stats(), app.db.room(), app.realtime.stats());
        let counters = app.logs.counters();
        let signs = Signs {
            is_temporary: app.snapshots.is_some(),
            disk_free: room.free,
            disk_total: room.total,
            is_scarce: room.scarce,
            is_full: room.full,
            has_scheduled_backups: !settings.backups.cron.is_empty(),
            backup_failed: backups.as_ref().is_some_and(|known| known.failed),
            needs_mail: app.schema.catalog().all().iter().any(|collection| needs_mail(collection)),
            captures_mail: app.mail.captures(),
            // While it is not known, nothing is said.
            has_way_out: settings.smtp.enabled || has_program.unwrap_or(true),
            has_default_url: settings.meta.app_url == Settings::fresh().meta.app_url,
            is_encrypted: app.settings.is_encrypted(),
            has_secrets: has_secrets(&settings),
            dead_jobs: jobs.dead,
            late_jobs: jobs.late,
            dropped_logs: counters.dropped,
        };
        let now = Clock::system().now();
        #[allow(clippy::cast_possible_truncation)]
        let started = Timestamp((inner.started * 1e3) as i64);
        let process = Process::look(inner.started);
        Overview {
            version: env!("CARGO_PKG_VERSION"),
            started: started.to_string(),
            uptime: started.until(now).as_secs(),
            mode: Mode {
                temp: signs.is_temporary,
                dev: signs.captures_mail && !signs.is_temporary,
                read_only: room.full,
                scarce: room.scarce,
            },
            requests: requests(inner),
            storage: Storage {
                database: stats.database_bytes,
                wal: stats.wal_bytes,
                log: log_bytes(app.db.dir()),
                files,
                free: (room.total > 0).then_some(room.free),
                place: if settings.s3.enabled { "s3" } else { "local" },
            },
            realtime: Realtime { connections: live.clients, subscriptions: live.topics },
            jobs,
            notifications: Notifications { pending, failed24h: failed24h.unwrap_or_default() },
            backup: Backup {
                last: backups.and_then(|known| known.last),
                running: app.backups.is_busy(),
                next: next_backup(&settings, app.clock.now()),
            },
            logs: Log { dropped: counters.dropped, errors24h: errors24h.unwrap_or_default() },
            collections: app.schema.catalog().all().iter().filter(|collection| !collection.system).count(),
            process: Seen {
                memory: process.resident_bytes.unwrap_or_default(),
                cpu: process.cpu_seconds.unwrap_or_default(),
                threads: process.threads.unwrap_or_default(),
                fds: process.open_files.unwrap_or_default(),
            },
            warnings: signs.warnings(),
        }
    }

    async fn jobs(&self) -> Jobs {
        let stats = newest(&self.inner.rarely.jobs, JOBS_HOLD, || self.inner.app.runner.stats()).await;
        let kinds = stats.map(|stats| stats.by_kind()).unwrap_or_default();
        kinds.into_iter().fold(Jobs::default(), |all, of| Jobs {
            waiting: all.waiting + of.waiting,
            running: all.running + of.running,
            late: all.late + of.late,
            dead: all.dead + of.dead,
        })
    }

    /// Deliveries that are on their way.
    async fn pending(&self) -> u64 {
        let stats = newest(&self.inner.rarely.deliveries, DELIVERIES_HOLD, || self.inner.app.notify.stats()).await;
        let states = stats.map(|stats| stats.states).unwrap_or_default();
        ["scheduled", "batched", "sending"].iter().filter_map(|state| states.get(state)).sum()
    }

    async fn backups(&self) -> Option<Backups> {
        let app = self.inner.app.clone();
        let elsewhere = app.settings.with(|settings| settings.backups.s3.enabled);
        self.inner.overview.backups.get(if elsewhere { HOLD } else { JOBS_HOLD }, || backups(app)).await
    }

    /// What the files of records take up on this machine's disk.
    async fn files(&self) -> Option<u64> {
        if self.inner.app.settings.with(|settings| settings.s3.enabled) {
            return None;
        }
        let folder = self.inner.app.db.dir().join("storage");
        let size = || async move {
            let size = tokio::task::spawn_blocking(move || size_of_files(folder)).await.map_err(Error::internal)?;
            Ok(size?)
        };
        self.inner.overview.files.get(HOLD, size).await
    }
}

fn requests(inner: &Inner) -> Requests {
    let totals = totals(inner);
    let history = inner.history.lock();
    let Lately { per_second, p50, p99 } = history.lately(Instant::now(), &totals);
    Requests {
        total: totals.answers,
        errors4xx: totals.refused,
        errors5xx: totals.failed,
        per_second,
        p50,
        p99,
        series: history.series(&totals),
    }
}

async fn backups(app: App) -> Result<Backups> {
    let newest = app.backups.list().await?.into_iter().max_by(|a, b| a.modified.cmp(&b.modified));
    let search = Search { kind: Some(backups::CRON.to_owned()), limit: 1, ..Search::default() };
    let run = app.runner.jobs().history(search).await?.pop();
    Ok(Backups { last: newest, failed: run.is_some_and(|run| matches!(&*run.outcome, "failed" | "dead" | "lost")) })
}

async fn failed(app: App) -> Result<u64> {
    app.notify.failed_since(Timestamp(app.clock.now().millis() - day())).await
}

/// Rows of errors in the log.
async fn errors(app: App) -> Result<u64> {
    let since = Timestamp(app.clock.now().millis() - day()).to_string();
    let sql = "SELECT count(*) FROM `_logs` WHERE `level` >= ?1 AND `created` >= ?2";
    let read = app.logs.read_for(Request::default().asker(), move |tx| {
        tx.query_one(sql, rusqlite::params![logs::ERROR, since], |row| row.get::<_, i64>(0))
    });
    Ok(read.await?.unwrap_or_default().unsigned_abs())
}

async fn has_program(app: App) -> Result<bool> {
    Ok(app.mail.has_program().await)
}

fn day() -> i64 {
    i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX)
}

/// When the settings want the next one.
fn next_backup(settings: &Settings, now: Timestamp) -> Option<String> {
    let expression = Some(settings.backups.cron.as_str()).filter(|expression| !expression.is_empty())?;
    Some(Cron::parse(expression, "UTC").ok()?.next_after(now)?.to_string())
}

/// Accounts that verify addresses, reset passwords or sign in with codes.
fn needs_mail(collection: &Collection) -> bool {
    !collection.system && collection.auth().is_some_and(|options| options.password_auth.enabled || options.otp.enabled)
}

fn has_secrets(settings: &Settings) -> bool {
    let secrets = [
        &settings.smtp.password,
        &settings.s3.secret,
        &settings.backups.s3.secret,
        &settings.notify.fcm.service_account,
    ];
    secrets.into_iter().any(|secret| !secret.is_empty())
}

/// The log's database with what has not been copied into it.
fn log_bytes(dir: &Path) -> u64 {
    let size = |name| fs::metadata(dir.join(name)).map_or(0, |file| file.len());
    size("auxiliary.db") + size("auxiliary.db-wal")
}

/// Bytes of all files below a folder; links are not followed. Blocks.
fn size_of_files(folder: PathBuf) -> io::Result<u64> {
    let (mut open, mut size, mut seen) = (vec![folder], 0, 0);
    while let Some(folder) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            // It has gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            seen += 1;
            if seen > MAX_FILES {
                return Err(io::Error::other("there are too many files to add up their sizes"));
            }
            let Ok(found) = entry.metadata() else { continue };
            match found.is_dir() {
                true => open.push(entry.path()),
                false => size += found.len(),
            }
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn sizes_are_added_up() {
        let dir = TempDir::new();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/x"), [0; 10]).unwrap();
        fs::write(dir.path().join("a/b/y"), [0; 5]).unwrap();
        assert_eq!(size_of_files(dir.path().join("a")).unwrap(), 15);
        assert_eq!(size_of_files(dir.path().join("nope")).unwrap(), 0);
    }

    #[test]
    fn the_next_backup_is_when_the_settings_say() {
        let mut settings = Settings::fresh();
        assert_eq!(next_backup(&settings, Timestamp(0)), None);
        settings.backups.cron = "0 3 * * *".to_owned();
        assert_eq!(next_backup(&settings, Timestamp(0)).as_deref(), Some("1970-01-01 03:00:00.000Z"));
    }
}
