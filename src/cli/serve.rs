//! `conch serve`: opens the data directory, listens, and tells a person (or a test) what to do next.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::{ArgAction, Args, ValueEnum, builder::FalseyValueParser};

use super::{
    Place, again,
    control::Control,
    in_words, log, options,
    systemd::notify::Manager,
    temporary::{self, Temporary},
    tls::Encryption,
};
use crate::{
    app::{App, Config},
    backups::swap,
    clock::Clock,
    db::{self, Durability},
    error::{Kind, Result},
    files::Effort,
    http::server,
    identity::Cost,
    life::Ending,
    random,
};

/// A server that starts again waits so long for whoever has taken its directory meanwhile.
const OTHERS: Duration = Duration::from_secs(15);
const TEMPORARY_EMAIL: &str = "admin@example.com";

/// `conch serve`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch serve --http 0.0.0.0:8090 --dir /var/lib/conch
  conch serve app.example.com --dir /var/lib/conch
                          with certificates that are obtained and renewed; the name has to lead to this machine, and
                          ports 80 and 443 have to be reachable
  conch serve --temp      prints one JSON line when it is ready: {\"event\":\"ready\",\"url\":…,\"token\":…,\"dir\":…,\"pid\":…,
                          \"email\":…,\"password\":…}")]
pub struct Serve {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8090, with --temp 127.0.0.1:0, with domains
    /// 0.0.0.0:80]. With HTTPS it only sends clients there
    #[arg(long, env = "CONCH_HTTP", value_name = "HOST:PORT")]
    http: Option<String>,
    #[command(flatten)]
    encryption: Encryption,
    /// Origins that browsers may call from, comma separated; `*` matches any run, `?` one character
    #[arg(long, env = "CONCH_ORIGINS", default_value = "*", value_delimiter = ',', value_name = "ORIGIN,…")]
    origins: Vec<String>,
    /// Folder that is served where no route of the API is; it need not exist. A missing path gets its index.html
    /// [default: pb_public beside the data directory; with --temp none]
    #[arg(long, env = "CONCH_PUBLIC_DIR", value_name = "DIR")]
    public_dir: Option<PathBuf>,
    /// Whether index.html stands for paths that are missing, as an app with routes of its own wants it
    #[arg(long, env = "CONCH_INDEX_FALLBACK", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    index_fallback: bool,
    /// When a commit reaches the disk: `full` survives a power cut, `normal` may lose the last commits in one
    #[arg(long, env = "CONCH_SYNC", default_value = "full", value_enum, value_name = "MODE")]
    sync: Sync,
    /// A read that takes longer than this many seconds is interrupted
    #[arg(long, env = "CONCH_QUERY_TIMEOUT", default_value_t = 30, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    query_timeout: u64,
    /// The change log keeps at least so many of the newest changes; 0 keeps all
    #[arg(long, env = "CONCH_LOG_RETENTION", default_value_t = db::Options::default().log_retention, value_name = "CHANGES")]
    log_retention: u64,
    /// Memory for hashing one password, in MiB, with Argon2id. At the next login a password whose hash has less of it,
    /// or fewer passes, is hashed anew
    #[arg(long, env = "CONCH_PASSWORD_MEMORY", default_value_t = 19, value_name = "MIB")]
    password_memory: u32,
    /// Passes over that memory; what is weaker than OWASP recommends is refused
    #[arg(long, env = "CONCH_PASSWORD_PASSES", default_value_t = 2, value_name = "N")]
    password_passes: u32,
    /// Thumbnails that are made at the same time [default: the number of cores but one]
    #[arg(long, env = "CONCH_THUMB_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    thumb_workers: Option<u16>,
    /// A request for a thumbnail that is not ready after so many seconds gets the original
    #[arg(long, env = "CONCH_THUMB_WAIT", default_value_t = 60, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(..=3600))]
    thumb_wait: u64,
    /// When the server is asked to stop, running requests have so many seconds to finish; a second signal stops at once
    #[arg(long, env = "CONCH_SHUTDOWN_TIMEOUT", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(..=3600))]
    shutdown_timeout: u64,
    /// With less than this free on the disk nothing can be added; reading and deleting go on
    #[arg(long, env = "CONCH_DISK_RESERVE", default_value_t = db::Options::default().disk_reserve >> 20, value_name = "MIB",
          value_parser = clap::value_parser!(u64).range(..=1 << 40))]
    disk_reserve: u64,
    /// Whoever shows this token may read /metrics and all of /readyz [default: this machine may, without one]
    #[arg(long, env = "CONCH_METRICS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    metrics_token: Option<String>,
    /// Addresses and CIDR ranges that may read them without a token, comma separated
    #[arg(long, env = "CONCH_METRICS_FROM", value_delimiter = ',', value_name = "IP|CIDR,…",
          value_parser = super::superuser::network)]
    metrics_from: Vec<String>,
    /// For development: a verbose log, and no mail is sent: all are kept and can be read at GET /api/mailbox
    #[arg(long, env = "CONCH_DEV", value_parser = FalseyValueParser::new())]
    dev: bool,
    /// For tests: an empty directory that is removed at exit, also when the parent process dies; a superuser is created
    /// and told in one JSON line on stdout. Nothing is synchronised to the disk, no mail is sent (GET /api/mailbox has
    /// them), the clock can be steered (/api/test/clock); --dir and --sync do not count
    #[arg(long, env = "CONCH_TEMP", value_parser = FalseyValueParser::new())]
    temp: bool,
    /// With --temp: settings, collections, accounts, records and files to begin with, out of a JSON file (docs/TESTING.md)
    #[arg(long, env = "CONCH_SEED", value_name = "FILE")]
    seed: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sync {
    Full,
    Normal,
}

impl Serve {
    /// Serves until SIGINT or SIGTERM.
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        log::start(if self.dev { log::Level::Verbose } else { log::Level::Normal });
        if self.seed.is_some() && !self.temp {
            bail!("--seed is for a temporary server: give --temp, too");
        }
        let before = again::temporary();
        let seed = self.seed.as_deref().filter(|_| before.is_none());
        let (temporary, password) = self.temporary(before).context("cannot create a temporary directory")?;
        if let Some(temporary) = &temporary {
            temporary::die_with_parent(temporary.path().to_owned());
        }
        let dir = temporary.as_ref().map_or(&*place.dir, Temporary::path).to_owned();
        // First of all: a second server on the same port should not touch the data.
        let bound = self.encryption.listen(self.http.as_deref(), self.temp, &dir)?;
        let (url, redirects) = (bound.url, bound.redirects);
        let options = self.options(&dir, bound.hosts);
        let password_cost = Cost::chosen(self.password_memory, self.password_passes).map_err(in_words)?;
        let app = open(&self.config(&dir, place.encryption_key, password_cost)).map_err(in_words)?;

        // The socket lives as long as the server does.
        let mut control = None;
        let manager = Manager::from_environment();
        let options = server::Options {
            // A temporary server goes with its parent, which it notices itself.
            reloads: (!self.temp).then_some(manager.is_some()),
            ..options
        };
        let ending = server::run(app, bound.listeners, options, async |app, pulse| {
            control = Some(Control::listen(app.clone())?);
            if let Some(manager) = manager {
                manager.follow(app.life.clone(), pulse, &url);
            }
            watch_life(&app);
            if temporary.is_some() {
                announce_temporary(&app, &url, redirects.as_deref(), &password, seed).await
            } else {
                announce(&app, &url, redirects.as_deref(), self.dev).await
            }
        })?;
        // It was up, and ended because it was told to.
        if let Err(error) = swap::confirm(&dir) {
            tracing::warn!(%error, "that the restored content is good could not be noted");
        }
        match ending {
            Ending::Stop => Ok(()),
            Ending::Restart => {
                if let Some(temporary) = temporary {
                    let (path, lock) = temporary.hand_over();
                    again::leave_temporary(path, lock, password);
                }
                Err(again::start())
            }
        }
    }

    /// The directory of a temporary server and its superuser's password, both those from before if it has started again.
    fn temporary(&self, before: Option<again::TakenTemporary>) -> std::io::Result<(Option<Temporary>, String)> {
        let password = random::string(random::ALPHANUMERIC, 20);
        match before {
            _ if !self.temp => Ok((None, password)),
            Some(left) => Ok((Some(Temporary::take_over(left.path, left.lock)), left.password)),
            None => Ok((Some(Temporary::create()?), password)),
        }
    }

    /// What options that were not given come to, in a server on `dir`: those whose default depends on something.
    pub fn computed(&self, dir: &Path) -> Vec<(&'static str, String)> {
        let (http, https) = self.encryption.addresses(self.http.as_deref(), self.temp);
        let public = self.public_dir(dir).map(|path| path.display().to_string());
        let workers = self.thumbs().workers.to_string();
        let each = [
            ("--http", Some(http.to_owned())),
            ("--https", https.map(str::to_owned)),
            ("--public-dir", public),
            ("--thumb-workers", Some(workers)),
        ];
        each.into_iter().filter_map(|(option, value)| Some((option, value?))).collect()
    }

    fn public_dir(&self, dir: &Path) -> Option<PathBuf> {
        self.public_dir.clone().or_else(|| (!self.temp).then(|| beside(dir)))
    }

    fn options(&self, dir: &Path, hosts: Vec<String>) -> server::Options {
        server::Options {
            origins: self.origins.clone(),
            hosts,
            shutdown_timeout: Duration::from_secs(self.shutdown_timeout),
            metrics_token: self.metrics_token.clone(),
            metrics_from: self.metrics_from.clone(),
            public_dir: self.public_dir(dir),
            index_fallback: self.index_fallback,
            given: options::given(),
            ..server::Options::default()
        }
    }

    fn config(&self, dir: &Path, encryption_key: Option<String>, password_cost: Cost) -> Config {
        Config {
            durability: match self.sync {
                _ if self.temp => Durability::Off,
                Sync::Full => Durability::Full,
                Sync::Normal => Durability::Normal,
            },
            query_timeout: Duration::from_secs(self.query_timeout),
            encryption_key,
            password_cost,
            temporary: self.temp,
            thumbs: self.thumbs(),
            capture_mail: self.dev,
            clock: if self.temp { Clock::steerable() } else { Clock::system() },
            log_retention: self.log_retention,
            disk_reserve: self.disk_reserve << 20,
            serving: true,
            ..Config::new(dir.to_owned())
        }
    }

    fn thumbs(&self) -> Effort {
        let default = Effort::default();
        let workers = self.thumb_workers.map_or(default.workers, usize::from);
        Effort { workers, wait: Duration::from_secs(self.thumb_wait) }
    }
}

/// While a server starts again, another command may have taken the directory for a moment.
fn open(config: &Config) -> Result<App> {
    let started = Instant::now();
    loop {
        match App::open(config.clone()) {
            Err(error) if error.kind == Kind::Busy && again::has_happened() && started.elapsed() < OTHERS => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// A server that has lasted for a while has proven the content that was put in place for it. One that is about to stop
/// takes no more connections.
fn watch_life(app: &App) {
    let (dir, life) = (app.db.dir().to_owned(), app.life.clone());
    let proven = async move {
        // Until it is noted, a later failure would bring the old content back.
        loop {
            tokio::time::sleep(swap::TRIAL).await;
            let dir = dir.clone();
            match tokio::task::spawn_blocking(move || swap::confirm(&dir)).await {
                Ok(Err(error)) => tracing::warn!(%error, "that the restored content is good could not be noted"),
                _ => return std::future::pending().await,
            }
        }
    };
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = life.ended() => ended,
            ended = proven => ended,
        };
        if ended == Ending::Stop {
            again::let_go();
        }
    });
}

/// The static folder of a data directory, where PocketBase has it: beside it.
fn beside(dir: &Path) -> PathBuf {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    dir.parent().unwrap_or(&dir).join("pb_public")
}

/// `keeps_mails`: whoever left `--dev` on where people wait for mails should notice.
async fn announce(app: &App, url: &str, redirects: Option<&str>, keeps_mails: bool) -> anyhow::Result<()> {
    eprintln!("Conch is listening on {url}");
    if let Some(plain) = redirects {
        eprintln!("  redirects  {plain}");
    }
    eprintln!("  REST API   {url}/api/");
    eprintln!("  data       {}", app.db.dir().display());
    if keeps_mails {
        eprintln!("  mails      are not sent but kept (--dev): GET {url}/api/mailbox");
    }
    if let Some(token) = app.auth.installer().await? {
        eprintln!();
        eprintln!("There is no superuser yet. Create one here, within 30 minutes:");
        eprintln!("  {url}/_/#/pbinstall/{token}");
        eprintln!("or with: conch superuser create EMAIL --password-stdin --dir {}", app.db.dir().display());
    }
    Ok(())
}

/// After a restart the account is there already, unless what was restored has none; then there is no `seed`.
async fn announce_temporary(
    app: &App,
    url: &str,
    redirects: Option<&str>,
    password: &str,
    seed: Option<&Path>,
) -> anyhow::Result<()> {
    if app.auth.superuser(TEMPORARY_EMAIL).await?.is_none() {
        app.auth.create_superuser(TEMPORARY_EMAIL, password).await?;
    }
    if let Some(seed) = seed {
        super::seed::plant(app, seed).await?;
    }
    if let Some(snapshots) = &app.snapshots {
        snapshots.begin().await?;
    }
    let mut ready = serde_json::json!({
        "event": "ready",
        "url": url,
        "token": app.auth.superuser_token(TEMPORARY_EMAIL).await?,
        "dir": app.db.dir(),
        "pid": std::process::id(),
        "email": TEMPORARY_EMAIL,
        "password": password,
    });
    if let Some(plain) = redirects {
        ready["redirects"] = plain.into();
    }
    // Whoever started us may have closed the pipe: that is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{ready}");
    temporary::sweep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_static_folder_is_beside_the_data() {
        for (dir, expected) in [("/srv/app/data", "/srv/app/pb_public"), ("/data", "/pb_public"), ("/", "/pb_public")] {
            assert_eq!(beside(Path::new(dir)), Path::new(expected));
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(beside(Path::new("data")), here.join("pb_public"));
    }
}
