//! The socket under a request, for answers that outlive their client's attention.
//!
//! A client that is gone without a word, or takes nothing at all, is let go after [`PATIENCE`], whatever it was sent.

use std::{any::Any, os::fd::AsRawFd, time::Duration};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{HttpRequest, dev::Extensions, http::Version, rt::net::TcpStream};

use super::streams;

/// The socket of a connection: good while one of its requests is being answered.
#[derive(Debug, Clone, Copy)]
pub struct Socket(libc::c_int);

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
    let socket = Socket(stream.as_raw_fd());
    be_patient(socket, PATIENCE);
    extensions.insert(socket);
}

/// The socket of a request that is being answered.
pub fn of(http: &HttpRequest) -> Option<Socket> {
    http.conn_data::<Socket>().copied()
}

/// Ends the connection: what is waiting to be sent is not. It must be alive.
pub fn end(Socket(socket): Socket) {
    // SAFETY: the call takes no memory; `socket` is open, as the caller says. Failing changes nothing.
    unsafe { libc::shutdown(socket, libc::SHUT_RDWR) };
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
fn set(Socket(socket): Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) {
    // SAFETY: the call reads one integer, which lives here; `socket` is open: its connection has just begun, or waits for
    // an answer. Failing changes nothing.
    unsafe {
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(socket, level, name, (&raw const value).cast(), length);
    }
}
