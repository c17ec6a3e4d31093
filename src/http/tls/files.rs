//! A certificate in two files that somebody else looks after. They are read again when they change; what cannot be used
//! is left alone until it changes again.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;

use super::{certificate::Certificate, certificates::Certificates};

/// How often we look. What has changed is read when it has stayed the same for this time: two files are not replaced at
/// once.
const LOOK: Duration = Duration::from_secs(1);
/// The largest file that is read.
const LARGEST: u64 = 1 << 20;

/// Where the chain and the private key are, in PEM; both may be in one file.
#[derive(Debug, Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What tells one state of both files from another: device, inode, size, and when it or its rights were changed.
type State = [Option<(u64, u64, u64, i64, i64)>; 2];

impl Files {
    /// Reads and checks both.
    fn read(&self) -> anyhow::Result<Certificate> {
        let (chain, key) = (contents(&self.certificate)?, contents(&self.key)?);
        Certificate::read(&chain, &key).with_context(|| match self.certificate == self.key {
            true => self.certificate.display().to_string(),
            false => format!("{} with {}", self.certificate.display(), self.key.display()),
        })
    }

    /// Reads and checks both, to be watched from there on.
    pub fn open(self) -> anyhow::Result<(Certificate, Watched)> {
        // Before they are read: what is replaced in between is a change.
        let used = self.state();
        Ok((self.read()?, Watched { files: self, used }))
    }

    fn state(&self) -> State {
        [&self.certificate, &self.key].map(|path| {
            let data = fs::metadata(path).ok()?;
            Some((data.dev(), data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
        })
    }
}

/// Files, and the state in which they were read.
#[derive(Debug)]
pub struct Watched {
    files: Files,
    used: State,
}

impl Watched {
    /// Has `certificates` present what the files hold, for ever.
    pub async fn watch(self, certificates: Arc<Certificates>) {
        let Self { files: watched, mut used } = self;
        let mut seen = used;
        loop {
            tokio::time::sleep(LOOK).await;
            let files = watched.clone();
            // A file system may be slow, or far away.
            let Ok(state) = tokio::task::spawn_blocking(move || files.state()).await else { return };
            if state != used && state == seen {
                used = state;
                let files = watched.clone();
                let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else { return };
                match read {
                    Ok(certificate) => {
                        certificate.announce("the certificate's files have changed: the new one is used");
                        certificates.replace("", certificate);
                    }
                    Err(error) => tracing::error!(
                        error = format!("{error:#}"),
                        "the certificate's files have changed, and cannot be used: the server goes on with the old one"
                    ),
                }
            }
            seen = state;
        }
    }
}

fn contents(path: &Path) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(unreadable)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).with_context(unreadable)?;
    anyhow::ensure!(
        bytes.len() as u64 <= LARGEST,
        "{} has more than {LARGEST} bytes: it is no certificate",
        path.display()
    );
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[tokio::test]
    async fn what_is_replaced_while_the_server_starts_is_taken() {
        let place = TempDir::new();
        let both = place.path().join("both.pem");
        let put = |name: &str| {
            let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            fs::write(&both, made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
        };
        put("old.example");
        let files = Files { certificate: both.clone(), key: both.clone() };
        let (old, watched) = files.open().unwrap();
        assert_eq!(old.names, ["old.example"]);
        // Between the first look and the watch, which begins when the server listens.
        put("new.example");
        let certificates = Arc::new(Certificates::for_everybody(Certificate { is_ours: false, ..old }));
        let watching = tokio::spawn(watched.watch(certificates.clone()));
        let presented = || certificates.ends().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let end = std::time::Instant::now() + LOOK * 10;
        while presented() != ["new.example"] {
            assert!(std::time::Instant::now() < end, "{:?} is still presented", presented());
            tokio::time::sleep(LOOK / 10).await;
        }
        watching.abort();
    }
}
