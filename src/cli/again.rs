//! The process starts again as itself, and leaves itself what must outlive that: the listening sockets, which keep
//! taking connections meanwhile (and keep a port that the system chose), and the directory of a temporary server.
//!
//! Descriptors pass through `exec` by their numbers, which an environment variable tells, together with the process's id:
//! so nobody else, such as a child, takes them for its own.

use std::{
    fs::File,
    io,
    net::TcpListener,
    os::{
        fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::{LazyLock, OnceLock},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

const VARIABLE: &str = "CONCH_AGAIN";
/// What runs here, on Linux.
const RUNNING: &str = "/proc/self/exe";

/// What a process leaves to itself.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Legacy {
    pid: u32,
    listeners: Vec<(String, RawFd)>,
    temporary: Option<LeftTemporary>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LeftTemporary {
    path: PathBuf,
    lock: RawFd,
    password: String,
}

/// The directory of a temporary server that has started again.
#[derive(Debug)]
pub struct TakenTemporary {
    pub path: PathBuf,
    /// Still locked.
    pub lock: File,
    /// Of its superuser.
    pub password: String,
}

/// What this process was left, until somebody asks for it.
static LEFT: LazyLock<Mutex<Legacy>> = LazyLock::new(|| Mutex::new(left()));
/// What it is going to leave: listeners by the address that was asked for.
static KEPT: Mutex<Vec<(String, TcpListener)>> = Mutex::new(Vec::new());
static TEMPORARY: OnceLock<(PathBuf, File, String)> = OnceLock::new();

/// Whether this process has started again as itself.
pub fn has_happened() -> bool {
    LEFT.lock().pid == std::process::id()
}

/// The listener for this address that the process had before it started again.
pub fn listener(address: &str) -> Option<TcpListener> {
    let mut left = LEFT.lock();
    let at = left.listeners.iter().position(|(asked, _)| asked == address)?;
    let (_, descriptor) = left.listeners.swap_remove(at);
    // SAFETY: `left` made sure that the descriptor is open, and nobody else has been given its number.
    let listener = unsafe { TcpListener::from_raw_fd(descriptor) };
    // Whatever came through that is no listening socket is closed again.
    listener.local_addr().is_ok().then_some(listener)
}

/// Keeps a listener for the case that the process starts again.
pub fn keep(address: &str, listener: &TcpListener) -> io::Result<()> {
    KEPT.lock().push((address.to_owned(), listener.try_clone()?));
    Ok(())
}

/// The process is going to end: nobody should be kept waiting at its sockets.
pub fn let_go() {
    KEPT.lock().clear();
}

/// The directory of this temporary server, if it has started again.
pub fn temporary() -> Option<TakenTemporary> {
    let LeftTemporary { path, lock, password } = LEFT.lock().temporary.take()?;
    // SAFETY: as above.
    let lock = unsafe { File::from_raw_fd(lock) };
    Some(TakenTemporary { path, lock, password })
}

/// Leaves the directory of a temporary server to the process that starts again.
pub fn leave_temporary(path: PathBuf, lock: File, password: String) {
    // There is one at most.
    let _ = TEMPORARY.set((path, lock, password));
}

/// Becomes the same program with the same arguments, as the same process; returns only if that fails.
pub fn start() -> anyhow::Error {
    let become_again = || -> io::Result<std::convert::Infallible> {
        let legacy = serde_json::to_string(&legacy()?)?;
        let become_one =
            |program: &Path| Err(Command::new(program).args(std::env::args_os().skip(1)).env(VARIABLE, &legacy).exec());
        std::env::current_exe()
            .and_then(|program| become_one(&newest(program)))
            .or_else(|_| become_one(RUNNING.as_ref()))
    };
    let Err(error) = become_again();
    anyhow::Error::new(error).context("cannot start again")
}

/// What Linux says of an executable that has been replaced: the new one is meant. If there is none, the old one can still
/// be found ([`RUNNING`]).
fn newest(program: PathBuf) -> PathBuf {
    let newer = program.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    newer.filter(|newer| newer.exists()).unwrap_or(program)
}

/// The descriptors that go along, made ready for it.
fn legacy() -> io::Result<Legacy> {
    let mut legacy = Legacy { pid: std::process::id(), ..Legacy::default() };
    for (address, listener) in KEPT.lock().drain(..) {
        // It is open until the process becomes another, which finds it by its number.
        let descriptor = listener.into_raw_fd();
        pass_on(descriptor, true)?;
        legacy.listeners.push((address, descriptor));
    }
    if let Some((path, lock, password)) = TEMPORARY.get() {
        pass_on(lock.as_raw_fd(), true)?;
        legacy.temporary =
            Some(LeftTemporary { path: path.clone(), lock: lock.as_raw_fd(), password: password.clone() });
    }
    Ok(legacy)
}

/// What the environment says, if it says it to this process. Only descriptors that are open are believed.
fn left() -> Legacy {
    let told = std::env::var(VARIABLE).ok().and_then(|text| serde_json::from_str::<Legacy>(&text).ok());
    let Some(mut legacy) = told.filter(|legacy| legacy.pid == std::process::id()) else { return Legacy::default() };
    legacy.listeners.retain(|(_, descriptor)| is_passed(*descriptor));
    legacy.temporary = legacy.temporary.filter(|temporary| is_passed(temporary.lock));
    legacy
}

/// A descriptor that came through `exec`; from here on it does not go further.
fn is_passed(descriptor: RawFd) -> bool {
    descriptor > 2 && pass_on(descriptor, false).is_ok()
}

/// Whether a descriptor goes along when the process becomes another program.
fn pass_on(descriptor: RawFd, along: bool) -> io::Result<()> {
    let flags = if along { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: sets a flag of a descriptor; one that is not open is refused.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, flags) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_told_to_this_process_only() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        keep("127.0.0.1:0", &listener).unwrap();
        drop(listener);
        let legacy = legacy().unwrap();
        assert_eq!(legacy.pid, std::process::id());
        let (asked, descriptor) = legacy.listeners.into_iter().next().unwrap();
        assert_eq!(asked, "127.0.0.1:0");
        assert!(is_passed(descriptor) && !is_passed(0) && !is_passed(RawFd::MAX));
        LEFT.lock().listeners.push((asked, descriptor));
        assert!(super::listener("127.0.0.1:1").is_none());
        assert_eq!(super::listener("127.0.0.1:0").unwrap().local_addr().unwrap(), address);
        assert!(super::listener("127.0.0.1:0").is_none(), "it was given away");
    }
}
