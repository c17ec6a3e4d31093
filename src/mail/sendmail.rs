//! The system's `sendmail` program, for when no mail server is configured.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use lettre::{AsyncSendmailTransport, AsyncTransport, Tokio1Executor};

use super::{Undelivered, message::Letter};

/// Where mail programs are that `PATH` does not name (Filesystem Hierarchy Standard, 4.10 and 6.1).
const USUAL_PLACES: [&str; 2] = ["/usr/sbin", "/usr/lib"];

/// The program, if this machine has one.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).filter(|place| place.is_absolute());
    places.chain(USUAL_PLACES.map(PathBuf::from)).map(|place| place.join("sendmail")).find(|it| is_executable(it))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// Hands the letter over. The process is killed when the caller stops waiting.
pub async fn deliver(program: PathBuf, letter: &Letter) -> Result<(), Undelivered> {
    let transport = AsyncSendmailTransport::<Tokio1Executor>::new_with_command(program);
    let sent = transport.send_raw(&letter.envelope, &letter.bytes).await;
    // Its words are not standardised, so none of them is final.
    sent.map_err(|error| Undelivered::for_now(format!("sendmail: {error}")))
}
