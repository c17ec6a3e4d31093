//! What requests and background tasks share; built once, in one place.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    auth::Auth,
    backups::{self, Backups, Restorer, swap, upgrade},
    clock::Clock,
    console::Console,
    db::{self, Db, Durability},
    error::{Kind, Result},
    files::{self, Storage, Thumbs},
    identity::{Cost, Passwords},
    jobs::{
        self, Jobs, Overlap,
        cron::{Cron, Missed},
    },
    life::Life,
    logs::{self, Logs},
    mail::Mail,
    notify::{self, Notify},
    realtime::Hub,
    records::Records,
    rules,
    schema::Schema,
    settings,
    snapshots::{self, Snapshots},
};

/// How an [`App`] is opened; the command line fills it.
#[derive(Debug, Clone)]
pub struct Config {
    pub dir: PathBuf,
    pub durability: Durability,
    pub query_timeout: std::time::Duration,
    pub encryption_key: Option<String>,
    pub clock: Clock,
    /// What a new password hash costs, unless the server is temporary.
    pub password_cost: Cost,
    /// A temporary server: nothing is synchronised, hashing is cheap.
    pub temporary: bool,
    /// Changes that the log keeps at least; 0 keeps all.
    pub log_retention: u64,
    /// Bytes that should stay free on the disk.
    pub disk_reserve: u64,
    /// Takes over a copied PocketBase database; otherwise one is refused.
    pub adopt: bool,
    pub thumbs: files::Effort,
    /// Keeps every mail in the capture box instead of sending it; a temporary server always does.
    pub capture_mail: bool,
    /// This is the start of a server, which new content has to survive ([`swap`]).
    pub serving: bool,
    /// The database is copied before an upgrade; there is no need to where all of the directory is a copy.
    pub keeps_copies: bool,
}

impl Config {
    /// A directory to be kept, with the defaults of the command line.
    pub fn new(dir: PathBuf) -> Self {
        let defaults = db::Options::default();
        Self {
            dir,
            durability: defaults.durability,
            query_timeout: defaults.query_timeout,
            encryption_key: None,
            clock: defaults.clock,
            password_cost: Cost::default(),
            temporary: false,
            log_retention: defaults.log_retention,
            disk_reserve: defaults.disk_reserve,
            adopt: false,
            thumbs: files::Effort::default(),
            capture_mail: false,
            serving: false,
            keeps_copies: true,
        }
    }
}

/// The opened data directory with all rooms over it. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub clock: Clock,
    pub life: Life,
    /// The same as with jobs: begins with the server.
    pub logs: Logs,
    pub settings: settings::Store,
    pub schema: Schema,
    pub storage: Storage,
    pub thumbs: Thumbs,
    pub records: Records,
    pub console: Console,
    pub mail: Mail,
    pub auth: Auth,
    /// Begins with the server, too.
    pub realtime: Hub,
    /// The same.
    pub notify: Notify,
    pub backups: Backups,
    /// Begins with the server: opening a directory for anything else runs no jobs.
    pub runner: jobs::Runner,
    pub restorer: Restorer,
    /// Of a temporary server.
    pub snapshots: Option<Snapshots>,
}

impl App {
    /// Opens the directory and every room over it. First it finishes what an earlier process has begun to put in the
    /// place of its content; where new content cannot be opened, the old one comes back, and is opened.
    pub fn open(config: Config) -> Result<Self> {
        // First of all: an unusable key should leave no directory behind.
        config.encryption_key.as_deref().map(settings::Cipher::new).transpose()?;
        let dir = config.dir.clone();
        loop {
            if !config.adopt && !swap::is_pending(&dir) {
                Db::refuse_foreign(&dir)?;
            }
            let lock = Db::lock(&dir)?;
            swap::settle(&dir, config.serving)?;
            if !config.adopt {
                backups::refuse_remains(&dir)?;
            }
            match Self::rooms(config.clone(), lock).and_then(Self::proven) {
                Ok(app) => return Ok(app),
                Err(error) if error.kind == Kind::Busy => return Err(error),
                Err(error) => match swap::load(&dir)? {
                    Some(trial) if config.serving || trial.cause == swap::Cause::Upgrade => {
                        let _lock = Db::lock(&dir)?;
                        swap::turn_back(&dir, &error.to_string())?;
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// What was put in place of other content is looked at before anybody uses it.
    fn proven(self) -> Result<Self> {
        let dir = self.db.dir().to_owned();
        if let Some(trial) = swap::load(&dir)? {
            // A restore was verified before it came here.
            if trial.cause == swap::Cause::Upgrade {
                upgrade::check(&self.db)?;
            }
            self.db
                .write_blocking(|tx| tx.execute_batch("UPDATE __conch_meta SET value = value WHERE key = 'epoch'"))?;
            if trial.cause == swap::Cause::Upgrade {
                swap::confirm(&dir)?;
            }
        }
        Ok(self)
    }

    /// What restores into a directory that is opened so; the directory itself need not be such that it can be opened.
    pub fn restorer(config: &Config) -> Restorer {
        Restorer::new(config.clock.clone(), rehearsal(config))
    }

    /// Every room, from the ground up.
    fn rooms(config: Config, lock: db::DirectoryLock) -> Result<Self> {
        let restorer = Self::restorer(&config);
        let cipher = config.encryption_key.as_deref().map(settings::Cipher::new).transpose()?;
        let durability = if config.temporary { Durability::Off } else { config.durability };
        let options = db::Options {
            durability,
            clock: config.clock.clone(),
            query_timeout: config.query_timeout,
            log_retention: config.log_retention,
            disk_reserve: config.disk_reserve,
            adopt: config.adopt,
            before_upgrade: config.keeps_copies.then_some(upgrade::keep_a_copy),
            functions: vec![rules::register],
            ..db::Options::default()
        };
        let db = Db::open_locked(lock, &config.dir, options.clone())?;
        let settings = settings::Store::open(db.clone(), cipher)?;
        let logs = Logs::new(&config.dir, options, log_policy(&settings.current()));
        follow_settings(&logs, &settings);
        let schema = Schema::open(db.clone(), Arc::new(rules::Checker))?;
        let labels = settings.clone();
        schema.on_rename(move |tx, renamed| labels.rename_labels(tx, renamed));
        let storage = Storage::open(&config.dir, durability != Durability::Off)?;
        storage.follow(&settings);
        let thumbs = Thumbs::new(storage.clone(), config.thumbs);
        let jobs = Jobs::new(db.clone());
        let runner = jobs::Runner::new(jobs.clone());
        optimize_daily(&db, &logs, &runner);
        let passwords = Passwords::new(if config.temporary { Cost::Cheap } else { config.password_cost });
        let records = Records::new(db.clone(), schema.clone(), storage.clone(), passwords.clone(), jobs.clone());
        records.take_jobs(&runner);
        let mail = Mail::new(settings.clone(), config.clock.clone(), config.capture_mail || config.temporary);
        let auth = Auth::new(
            db.clone(),
            schema.clone(),
            records.clone(),
            passwords,
            settings.clone(),
            mail.clone(),
            jobs.clone(),
        );
        auth.clean_up_hourly(&runner);
        clean_up_logs(&logs, &runner);
        auth.take_jobs(&runner);
        let realtime = Hub::new(db.clone(), schema.clone(), records.clone());
        let clock = config.clock;
        let notify = Notify::new(notify::Rooms {
            db: db.clone(),
            schema: schema.clone(),
            records: records.clone(),
            settings: settings.clone(),
            mail: mail.clone(),
            jobs,
            clock: clock.clone(),
            capture: config.capture_mail || config.temporary,
        });
        notify.take_cancellations(&runner);
        notify.take_preferences(&runner);
        notify.clean_up_hourly(&runner);
        let console = Console::new(db.clone(), schema.clone());
        let backups = Backups::open(backups::Rooms {
            db: db.clone(),
            settings: settings.clone(),
            records: records.clone(),
            auth: auth.clone(),
            mail: mail.clone(),
            clock: clock.clone(),
        });
        backups.take_jobs(&runner);
        let life = Life::default();
        let snapshots = config.temporary.then(|| {
            Snapshots::new(snapshots::Rooms {
                db: db.clone(),
                clock: clock.clone(),
                settings: settings.clone(),
                schema: schema.clone(),
                storage: storage.clone(),
                mail: mail.clone(),
                auth: auth.clone(),
                realtime: realtime.clone(),
                notify: notify.clone(),
                runner: runner.clone(),
            })
        });
        Ok(Self {
            db,
            clock,
            life,
            logs,
            settings,
            schema,
            storage,
            thumbs,
            records,
            console,
            mail,
            auth,
            realtime,
            notify,
            backups,
            runner,
            restorer,
            snapshots,
        })
    }
}

/// How a restore tries whether a server could be opened on what an archive held, with the key and the costs of this one.
/// What is older than this executable is upgraded on the way.
fn rehearsal(config: &Config) -> Arc<crate::backups::restore::Rehearse> {
    let config = Config { serving: false, adopt: false, keeps_copies: false, ..config.clone() };
    Arc::new(move |dir: &Path| {
        let app = App::open(Config { dir: dir.to_owned(), ..config.clone() })?;
        let begun = app.db.write_blocking(|tx| tx.new_epoch());
        // Only a closed database has everything in its main file.
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(app.db.close());
        begun.map(drop)
    })
}

/// The wire's `__pbDBOptimize__` (`docs/wire/services.md` §7).
fn optimize_daily(db: &Db, logs: &Logs, runner: &jobs::Runner) {
    let (db, logs, daily) = (db.clone(), logs.clone(), Cron::utc("0 0 * * *"));
    runner.cron("__pbDBOptimize__", daily, Missed::Skip, Overlap::Skip, move |_| {
        let (db, logs) = (db.clone(), logs.clone());
        async move {
            db.optimize().await?;
            Ok(logs.optimize().await?)
        }
    });
}

/// The wire's `__pbLogsCleanup__` (§7).
fn clean_up_logs(logs: &Logs, runner: &jobs::Runner) {
    let (logs, every_six_hours) = (logs.clone(), Cron::utc("0 */6 * * *"));
    runner.cron("__pbLogsCleanup__", every_six_hours, Missed::Skip, Overlap::Skip, move |_| {
        let logs = logs.clone();
        async move { Ok(logs.clean_up().await?) }
    });
}

/// What changes in the settings' `logs` takes effect at once (§4.3).
fn follow_settings(logs: &Logs, settings: &settings::Store) {
    let logs = logs.clone();
    settings.on_change(move |before, after| {
        if before.logs != after.logs {
            logs.follow(log_policy(after));
        }
    });
}

fn log_policy(settings: &settings::Settings) -> logs::Policy {
    let logs = &settings.logs;
    logs::Policy {
        max_days: logs.max_days,
        min_level: logs.min_level,
        max_data_size: logs.max_data_size,
        with_ip: logs.log_ip,
        with_auth_id: logs.log_auth_id,
    }
}
