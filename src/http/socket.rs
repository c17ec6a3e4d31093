//! The socket under a request, for answers that outlive their client's attention.

use std::{any::Any, os::fd::AsRawFd, time::Duration};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{HttpRequest, dev::Extensions, http::Version, rt::net::TcpStream};

use super::streams;

/// The socket of a connection: good while one of its requests is being answered.
#[derive(Clone, Copy)]
struct Socket(libc::c_int);

/// Remembers the socket of each connection.
pub fn note(connection: &dyn Any, extensions: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        extensions.insert(Socket(stream.as_raw_fd()));
    } else if let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() {
        extensions.insert(Socket(stream.get_ref().0.as_raw_fd()));
        // Only these may turn out to speak HTTP/2.
        streams::note(extensions);
    }
}

/// Keeps a client that has stopped reading from holding much of the system's memory for long: no more than about
/// `buffer` bytes wait for it, and its connection ends when it takes nothing for `patience`.
pub fn keep_short(http: &HttpRequest, buffer: usize, patience: Duration) {
    let Some(Socket(socket)) = http.conn_data::<Socket>().copied() else { return };
    let set = |level: libc::c_int, name: libc::c_int, value: libc::c_int| {
        // SAFETY: the call reads one integer, which lives here; `socket` is open, as its connection is waiting for this
        // answer. Failing changes nothing.
        unsafe {
            let length = size_of::<libc::c_int>() as libc::socklen_t;
            libc::setsockopt(socket, level, name, (&raw const value).cast(), length);
        }
    };
    // On HTTP/2 other answers share the connection, which bounds each stream by itself.
    if http.version() != Version::HTTP_2 {
        set(libc::SOL_SOCKET, libc::SO_SNDBUF, libc::c_int::try_from(buffer).unwrap_or(libc::c_int::MAX));
    }
    let patience = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    #[cfg(target_os = "linux")]
    set(libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, patience);
    #[cfg(not(target_os = "linux"))]
    let _ = patience;
}
