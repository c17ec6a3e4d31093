//! The socket under a request, for answers that outlive their client's attention.
//!
//! A client that is gone without a word, or takes nothing at all, is let go after [`PATIENCE`], whatever it was sent.

use std::{
    any::Any,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{HttpRequest, dev::Extensions, http::Version, rt::net::TcpStream};

use super::streams;

/// The socket of a connection. On HTTP/1.1 it is there while one of its requests is being answered; on HTTP/2 an answer may
/// outlive its connection, and the number may then be another's.
#[derive(Debug, Clone, Copy)]
pub struct Socket {
    number: libc::c_int,
    /// What no other socket ever has; `None` where the system does not say.
    cookie: Option<u64>,
}

/// What was sent may be on its way to the client for so long (`docs/wire/services.md` §2.8).
const PATIENCE: Duration = Duration::from_secs(300);

/// Remembers the socket of each connection.
pub fn note(connection: &dyn Any, extensions: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        note_socket(stream, extensions);
    } else if let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() {
        note_socket(stream.get_ref().0, extensions);
        // Only these may turn out to speak HTTP/2.
        streams::note(extensions);
    }
}

fn note_socket(stream: &TcpStream, extensions: &mut Extensions) {
    let number = stream.as_raw_fd();
    let socket = Socket { number, cookie: cookie(number) };
    be_patient(socket, PATIENCE);
    extensions.insert(socket);
}

/// The socket of a request that is being answered.
pub fn of(http: &HttpRequest) -> Option<Socket> {
    http.conn_data::<Socket>().copied()
}

impl Socket {
    /// Whether [`end`] can tell this connection from one that came after it.
    pub fn is_known(self) -> bool {
        self.cookie.is_some()
    }
}

/// Ends the connection, if it is still there: what is waiting to be sent is not. One that is not known
/// ([`Socket::is_known`]) must be alive.
pub fn end(socket: Socket) {
    // SAFETY: the call takes no memory, and gives a number of our own or none.
    let ours = unsafe { libc::fcntl(socket.number, libc::F_DUPFD_CLOEXEC, 0) };
    if ours < 0 {
        return;
    }
    // SAFETY: it was just opened, and nobody else has it.
    let ours = unsafe { OwnedFd::from_raw_fd(ours) };
    // What this number of ours is cannot change any more.
    if cookie(ours.as_raw_fd()) == socket.cookie {
        // SAFETY: the call takes no memory; the number is open. Failing changes nothing.
        unsafe { libc::shutdown(ours.as_raw_fd(), libc::SHUT_RDWR) };
    }
}

/// What tells a socket from all others that there ever are.
#[cfg(target_os = "linux")]
fn cookie(number: libc::c_int) -> Option<u64> {
    let (mut cookie, mut length) = (0u64, size_of::<u64>() as libc::socklen_t);
    // SAFETY: the call writes at most `length` bytes to `cookie`, and both live here.
    let failed = unsafe {
        let place = (&raw mut cookie).cast();
        libc::getsockopt(number, libc::SOL_SOCKET, libc::SO_COOKIE, place, &raw mut length)
    };
    (failed == 0).then_some(cookie)
}

#[cfg(not(target_os = "linux"))]
fn cookie(_: libc::c_int) -> Option<u64> {
    None
}

/// Keeps a client that has stopped reading from holding much of the system's memory for long: no more than about
/// `buffer` bytes wait for it, and its connection ends when it takes nothing for `patience`.
pub fn keep_short(http: &HttpRequest, buffer: usize, patience: Duration) {
    // On HTTP/2 other answers share the connection, which bounds each stream by itself; and a request may outlive it.
    if http.version() == Version::HTTP_2 {
        return;
    }
    let Some(socket) = of(http) else { return };
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, libc::c_int::try_from(buffer).unwrap_or(libc::c_int::MAX));
    be_patient(socket, patience);
}

/// The connection ends when nothing that was sent arrives for so long.
fn be_patient(socket: Socket, patience: Duration) {
    let patience = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    #[cfg(target_os = "linux")]
    set(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, patience);
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, patience);
}

/// Sets an option of a connection that is alive.
fn set(socket: Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) {
    // SAFETY: the call reads one integer, which lives here; the number is open: its connection has just begun, or waits for
    // an answer. Failing changes nothing.
    unsafe {
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(socket.number, level, name, (&raw const value).cast(), length);
    }
}
