//! How the command line reaches a running server: a local socket in the data directory.
//!
//! One process owns the directory, so a second one asks instead of writing behind its back. One JSON line there, and JSON lines back: steps while it takes, then the answer. Whoever may reach the socket may also write `data.db`: it is for the directory's owner alone.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};

use super::{
    ask::Ask,
    bar::{self, Bar},
};
use crate::{
    app::App,
    progress::{Progress, Step},
};

const NAME: &str = ".conch.sock";
/// The longest line, in bytes: settings may be long.
const MAX_LINE: u64 = 1 << 20;
/// The longest answer: the types of all collections.
const MAX_ANSWER: u64 = 64 << 20;
/// The other side has this long for its next line.
const PATIENCE: Duration = Duration::from_secs(15);
/// While there is nothing to tell, the last step is repeated this often.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// Connections that are served at the same time; more wait.
const CONNECTIONS: usize = 8;

/// A line of the server's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Reply {
    Answer { ok: bool, message: String },
    Step(Step),
}

/// Asks the server that owns `dir`. `None` when there is none.
pub async fn ask(dir: &Path, ask: &Ask) -> anyhow::Result<Option<String>> {
    let Ok(handle) = File::open(dir) else { return Ok(None) };
    let mut stream = match UnixStream::connect(address(&handle, dir)).await {
        Ok(stream) => stream,
        // The socket of a server that was killed stays behind and refuses.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error).context("cannot ask the running server"),
    };
    let exchange = async {
        write_line(&mut stream, ask).await?;
        let mut replies = BufReader::new(stream);
        let bar = Bar::new();
        loop {
            let mut line = String::new();
            match timeout(PATIENCE, (&mut replies).take(MAX_ANSWER).read_line(&mut line)).await {
                Ok(read) => read.context("the running server gave no answer")?,
                Err(_) => bail!("the running server did not answer within {} seconds", PATIENCE.as_secs()),
            };
            match serde_json::from_str(&line).context("the running server gave no answer")? {
                Reply::Step(step) => bar.show(&step),
                Reply::Answer { ok: true, message } => return Ok(message),
                Reply::Answer { ok: false, message } => bail!("{message}"),
            }
        }
    };
    exchange.await.map(Some)
}

async fn write_line(stream: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(timeout(PATIENCE, stream.write_all(&line)).await??)
}

/// The socket of a running server; its file goes when this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
}

impl Control {
    /// Listens in the app's directory, which this process must own, and serves on the current runtime.
    pub fn listen(app: App) -> anyhow::Result<Self> {
        let dir = app.db.dir();
        let path = dir.join(NAME);
        let listener = bind(dir, &path).with_context(|| format!("cannot listen on {}", path.display()))?;
        tokio::spawn(accept(listener, app));
        Ok(Self { path })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn bind(dir: &Path, path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let handle = File::open(dir)?;
    let listener = UnixListener::bind(address(&handle, dir))?;
    // Until here somebody else may have connected: `accept` looks at who it is.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A socket's path may have about a hundred bytes, a directory's more: so the way goes over its open descriptor.
fn address(handle: &File, dir: &Path) -> PathBuf {
    if cfg!(target_os = "linux") {
        PathBuf::from(format!("/proc/self/fd/{}/{NAME}", handle.as_raw_fd()))
    } else {
        dir.join(NAME)
    }
}

async fn accept(listener: UnixListener, app: App) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await.expect("nobody closes the semaphore");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the control socket could not accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if !is_owner(&stream) {
            continue;
        }
        let app = app.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = serve(stream, &app).await {
                tracing::debug!(%error, "a connection to the control socket failed");
            }
        });
    }
}

/// This user, or root.
fn is_owner(stream: &UnixStream) -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    let own = unsafe { libc::geteuid() };
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn serve(mut stream: UnixStream, app: &App) -> anyhow::Result<()> {
    let (input, mut output) = stream.split();
    let (mut line, mut input) = (String::new(), BufReader::new(input).take(MAX_LINE));
    timeout(PATIENCE, input.read_line(&mut line)).await??;
    let Ok(ask) = serde_json::from_str::<Ask>(&line) else {
        let message = "The running server does not know this command.".into();
        return write_line(&mut output, &Reply::Answer { ok: false, message }).await;
    };
    let progress = Progress::default();
    let mut steps = progress.watch();
    let mut work = pin!(ask.perform(app, &progress));
    let done = loop {
        let step = tokio::select! {
            done = &mut work => break done,
            step = bar::next(&mut steps) => step,
            () = tokio::time::sleep(SIGN_OF_LIFE) => steps.borrow().clone(),
        };
        // Whoever has gone does not want it any more.
        write_line(&mut output, &Reply::Step(step)).await?;
    };
    let answer = match done {
        Ok(message) => Reply::Answer { ok: true, message },
        Err(error) => Reply::Answer { ok: false, message: super::told(&error) },
    };
    write_line(&mut output, &answer).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::Place, db::testing::TempDir};

    fn create(email: &str) -> Ask {
        Ask::Create { email: email.into(), password: "longenough1".into() }
    }

    #[tokio::test]
    async fn a_running_server_is_asked_and_a_dead_one_is_noticed() {
        // Longer than a socket's path may be.
        let place = TempDir::new();
        let dir = place.path().join("d".repeat(120));
        fs::create_dir(&dir).unwrap();
        assert_eq!(ask(&dir, &create("a@x.co")).await.unwrap(), None, "nobody is there");

        let config = Place { dir: dir.clone(), encryption_key: None }.config();
        let app = App::open(crate::app::Config { temporary: true, ..config }).unwrap();
        let control = Control::listen(app.clone()).unwrap();
        assert_eq!(fs::metadata(dir.join(NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(ask(&dir, &create("a@x.co")).await.unwrap().unwrap().contains("a@x.co"));
        assert!(app.auth.superuser("a@x.co").await.unwrap().is_some());
        let refused = ask(&dir, &create("a@x.co")).await.unwrap_err().to_string();
        assert!(refused.contains("email"), "{refused}");

        // The way back for who has shut every superuser out: the socket does not look at addresses.
        let ips = |list: &[&str]| Ask::Ips { list: list.iter().map(ToString::to_string).collect() };
        for list in [&["10.0.0.1", "::/64"][..], &[]] {
            ask(&dir, &ips(list)).await.unwrap();
            assert_eq!(app.settings.current().superuser_ips, list);
            ask(&dir, &Ask::Upsert { email: "a@x.co".into(), password: "longenough2".into() }).await.unwrap();
        }
        assert!(ask(&dir, &ips(&["nonsense"])).await.is_err());

        // A way in without the password, where it is switched on.
        let otp = |email: &str| Ask::Otp { email: email.into() };
        assert!(ask(&dir, &otp("a@x.co")).await.unwrap_err().to_string().contains("does not accept"));
        let enabled = serde_json::json!({"otp": {"enabled": true}}).as_object().cloned().unwrap();
        app.schema.update("_superusers", enabled).await.unwrap();
        assert!(ask(&dir, &otp("nobody@x.co")).await.unwrap_err().to_string().contains("nobody@x.co"));
        let told = ask(&dir, &otp("a@x.co")).await.unwrap().unwrap();
        let words: Vec<_> = told.split_whitespace().rev().take(4).collect();
        assert!(matches!(words[..], [code, "code", id, "id"] if code.len() == 8 && id.len() == 15), "{told}");

        let mut stream = UnixStream::connect(address(&File::open(&dir).unwrap(), &dir)).await.unwrap();
        stream.write_all(b"{\"action\":\"format\"}\n").await.unwrap();
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).await.unwrap();
        assert!(reply.contains("\"ok\":false"), "{reply}");

        drop(control);
        assert!(!dir.join(NAME).exists());
        // What a killed server leaves: a socket file that nobody listens on.
        drop(UnixListener::bind(address(&File::open(&dir).unwrap(), &dir)).unwrap());
        assert!(dir.join(NAME).exists());
        assert_eq!(ask(&dir, &create("b@x.co")).await.unwrap(), None);
        app.db.close().await;
    }
}
