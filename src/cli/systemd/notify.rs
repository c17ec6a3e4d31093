//! What the service manager is told: ready, starting again, stopping, alive (`sd_notify(3)`).
//!
//! A datagram of a few lines to the socket that `NOTIFY_SOCKET` names. Without that variable nobody listens, and nothing
//! is said.

#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::{
        ffi::OsStrExt,
        net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

use crate::{
    http::server::Pulse,
    life::{Ending, Life},
};

/// As long as the unit gives a start.
const START: Duration = Duration::from_secs(15 * 60);

/// The manager that started this process, if one wants to hear from it.
#[derive(Debug, Clone)]
pub struct Manager {
    socket: OsString,
    /// It ends us when it has heard nothing for so long.
    watchdog: Option<Duration>,
}

impl Manager {
    /// As the environment tells.
    pub fn from_environment() -> Option<Self> {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty())?;
        let watchdog = watchdog(std::env::var("WATCHDOG_USEC").ok(), std::env::var("WATCHDOG_PID").ok());
        Some(Self { socket, watchdog })
    }

    /// Tells that the server is ready, and from now on that it lives, that it stops or that it starts again.
    pub fn follow(self, life: Life, pulse: Pulse, url: &str) {
        self.tell(&ready(url, self.watchdog));
        let manager = self.clone();
        let ends = life.clone();
        actix_web::rt::spawn(async move {
            match ends.ended().await {
                Ending::Stop => manager.tell("STOPPING=1\nSTATUS=Stopping"),
                Ending::Restart => manager.tell(&reloading()),
            }
        });
        let Some(limit) = self.watchdog else { return };
        actix_web::rt::spawn(async move {
            loop {
                // That this is reached tells that the main thread lives; the pulse tells the same of the workers. A full or
                // slow disk is no reason to be ended: it would not be better afterwards.
                match pulse.is_felt() {
                    true => self.tell("WATCHDOG=1"),
                    false => tracing::error!("a worker is stuck: the watchdog is not told that the server lives"),
                }
                tokio::time::sleep(limit / 3).await;
            }
        });
    }

    fn tell(&self, state: &str) {
        if let Err(error) = send(&self.socket, state) {
            tracing::warn!(%error, "the service manager could not be told: {state}");
        }
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        // Abstract names have no file.
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    // It must not hold up the server.
    datagram.set_nonblocking(true)?;
    datagram.send_to_addr(state.as_bytes(), &address).map(drop)
}

/// The time of the watchdog begins as the unit has it, whatever [`reloading`] asked for.
fn ready(url: &str, watchdog: Option<Duration>) -> String {
    let ready = format!("READY=1\nSTATUS=Listening on {url}");
    watchdog.map_or(ready.clone(), |limit| format!("{ready}\nWATCHDOG_USEC={}\nWATCHDOG=1", limit.as_micros()))
}

/// `READY=1` follows from the process that takes the place of this one. Its number stays the same. Until then nobody says
/// that it lives: it may have to migrate a large directory first, so the watchdog is to have patience.
fn reloading() -> String {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes only into `now`.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    format!("RELOADING=1\nMONOTONIC_USEC={micros}\nWATCHDOG_USEC={}\nSTATUS=Starting again", START.as_micros())
}

/// The time that the manager gives, unless it means another process.
fn watchdog(micros: Option<String>, process: Option<String>) -> Option<Duration> {
    let meant = process.is_none_or(|process| process.parse() == Ok(std::process::id()));
    let micros: u64 = micros?.parse().ok()?;
    (meant && micros > 0).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::TempDir;

    #[test]
    fn a_manager_hears_what_is_told() {
        let dir = TempDir::new();
        let path = dir.path().join("notify");
        let heard = UnixDatagram::bind(&path).unwrap();
        let manager = Manager { socket: path.into_os_string(), watchdog: None };
        for state in ["READY=1\nSTATUS=x".to_owned(), reloading()] {
            manager.tell(&state);
            let mut buffer = [0; 200];
            let length = heard.recv(&mut buffer).unwrap();
            assert_eq!(String::from_utf8_lossy(&buffer[..length]), state);
        }
        assert_eq!(
            ready("u", Some(Duration::from_secs(60))),
            "READY=1\nSTATUS=Listening on u\nWATCHDOG_USEC=60000000\nWATCHDOG=1"
        );
        assert_eq!(ready("u", None), "READY=1\nSTATUS=Listening on u");
        assert!(reloading().lines().any(|line| line.starts_with("MONOTONIC_USEC=") && line.len() > 16));
        assert!(send(OsStr::new("/no/such/socket"), "READY=1").is_err());
    }

    #[test]
    fn the_watchdog_is_for_this_process() {
        let own = std::process::id().to_string();
        for (micros, process, expected) in [
            (None, None, None),
            (Some("3000000"), None, Some(3)),
            (Some("3000000"), Some(own.as_str()), Some(3)),
            (Some("3000000"), Some("1"), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
        ] {
            let found = watchdog(micros.map(str::to_owned), process.map(str::to_owned));
            assert_eq!(found, expected.map(Duration::from_secs), "{micros:?} {process:?}");
        }
    }
}
