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

/// What tells one state of a file from another: device, inode, size, and when it or its rights were changed.
type State = (u64, u64, u64, i64, i64);

impl Files {
    /// Reads and checks both.
    pub fn read(&self) -> anyhow::Result<Certificate> {
        let (chain, key) = (contents(&self.certificate)?, contents(&self.key)?);
        Certificate::read(&chain, &key).with_context(|| match self.certificate == self.key {
            true => self.certificate.display().to_string(),
            false => format!("{} with {}", self.certificate.display(), self.key.display()),
        })
    }

    /// Has `certificates` present what the files hold, for ever.
    pub async fn watch(self, certificates: Arc<Certificates>) {
        let mut used = self.state();
        let mut seen = used;
        loop {
            tokio::time::sleep(LOOK).await;
            let files = self.clone();
            // A file system may be slow, or far away.
            let Ok(state) = tokio::task::spawn_blocking(move || files.state()).await else { return };
            if state != used && state == seen {
                used = state;
                let files = self.clone();
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

    fn state(&self) -> [Option<State>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let data = fs::metadata(path).ok()?;
            Some((data.dev(), data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
        })
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
