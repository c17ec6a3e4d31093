//! Clients that take a large answer slower than anybody needs to (`docs/wire/services.md` §2.8). Nothing larger than a
//! buffer waits for a client that does not read, and one that takes next to nothing for minutes loses its connection.
//! Whoever goes on reading may take as long as it takes.

use std::{
    cell::Cell,
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    http::Version,
    rt::task::JoinHandle,
};
use bytes::Bytes;

use crate::http::socket::{self, Socket};

/// Answers up to this go out at once, in bytes.
const LARGE: u64 = 256 << 10;
/// Pieces that larger ones are cut into.
const PIECE: usize = 64 << 10;
/// A client has this long …
const SPAN: Duration = Duration::from_secs(300);
/// … to take so many bytes, or what is left.
const LEAST: u64 = 64 << 10;

/// Watches over a large answer while it is taken.
pub fn watched(http: &HttpRequest, response: HttpResponse) -> HttpResponse {
    let BodySize::Sized(size) = response.body().size() else { return response };
    if size <= LARGE {
        return response;
    }
    // One connection of HTTP/2 carries other answers as well; its windows bound what waits.
    let socket = (http.version() < Version::HTTP_2).then(|| socket::of(http)).flatten();
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(bytes) => watch(Pieces(bytes), socket, SPAN),
        Err(body) => watch(body, socket, SPAN),
    })
}

fn watch(body: impl MessageBody + 'static, socket: Option<Socket>, span: Duration) -> BoxBody {
    let Some(socket) = socket else { return BoxBody::new(body) };
    let taken = Rc::new(Cell::new(0));
    let guard = Guard(actix_web::rt::spawn(guard(socket, Rc::clone(&taken), span)));
    BoxBody::new(Watched { body: BoxBody::new(body), taken, _guard: guard })
}

/// Ends the connection when too little is taken. It is alive for as long as its answer is not dropped, and this ends with
/// the answer, on the same thread.
async fn guard(socket: Socket, taken: Rc<Cell<u64>>, span: Duration) {
    let mut before = 0;
    loop {
        tokio::time::sleep(span).await;
        if taken.get().saturating_sub(before) < LEAST {
            return socket::end(socket);
        }
        before = taken.get();
    }
}

/// Ends with what it guards.
struct Guard(JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer of which is counted what was taken.
struct Watched {
    body: BoxBody,
    /// Bytes.
    taken: Rc<Cell<u64>>,
    _guard: Guard,
}

impl MessageBody for Watched {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = Pin::new(&mut self.body).poll_next(context);
        if let Poll::Ready(Some(Ok(piece))) = &next {
            self.taken.set(self.taken.get() + piece.len() as u64);
        }
        next
    }
}

/// Bytes in memory that are handed over piece by piece, without copying them.
struct Pieces(Bytes);

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.0.len().min(PIECE);
        Poll::Ready(Some(Ok(self.0.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use actix_web::{body::to_bytes, test::TestRequest};

    use super::*;

    #[actix_web::test]
    async fn large_answers_arrive_whole() {
        for size in [0, 10, LARGE as usize, LARGE as usize + 1, 3 * PIECE * 5 + 7] {
            let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let response = watched(&TestRequest::default().to_http_request(), HttpResponse::Ok().body(bytes.clone()));
            assert_eq!(response.body().size(), BodySize::Sized(size as u64));
            assert_eq!(to_bytes(response.into_body()).await.unwrap(), bytes);
        }
    }

    /// A server on a free port whose only answer is large, watched for so long.
    fn serve(span: Duration) -> (actix_web::dev::ServerHandle, std::net::SocketAddr) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = actix_web::HttpServer::new(move || {
            actix_web::App::new().default_service(actix_web::web::to(move |http: HttpRequest| async move {
                let body = Pieces(Bytes::from(vec![7; 64 << 20]));
                HttpResponse::Ok().body(watch(body, socket::of(&http), span))
            }))
        });
        let server = server.on_connect(socket::note).workers(1).listen(listener).unwrap().run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        (handle, address)
    }

    #[actix_web::test]
    async fn a_client_that_takes_nothing_is_let_go_and_one_that_reads_is_not() {
        let (handle, address) = serve(Duration::from_millis(300));
        let read = move |pauses: u32| {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            std::thread::sleep(Duration::from_millis(300) * pauses);
            let mut taken = Vec::new();
            let _ = stream.read_to_end(&mut taken);
            taken.len()
        };
        let slow = tokio::task::spawn_blocking(move || read(4)).await.unwrap();
        assert!(slow < 64 << 20, "{slow}");
        let quick = tokio::task::spawn_blocking(move || read(0)).await.unwrap();
        assert!(quick > 64 << 20, "{quick}");
        handle.stop(false).await;
    }
}
