//! Clients that take a large answer slower than anybody needs to (`docs/wire/services.md` §2.8). Nothing larger than a
//! buffer waits for a client that does not read, and one that takes next to nothing for minutes loses its connection.
//! Whoever goes on reading may take as long as it takes.
//!
//! On HTTP/2 this goes by each answer: a client that reads some and lets others wait holds what waits all the same. And as
//! there may be many on one connection, it gets less time when they hold much memory together.

use std::{
    cell::Cell,
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    http::Version,
    rt::task::JoinHandle,
};
use bytes::Bytes;

use crate::http::{
    socket::{self, Socket},
    streams::{self, Held, Share},
};

/// Answers up to this go out at once, in bytes.
const LARGE: u64 = 256 << 10;
/// On HTTP/2 a connection has many answers, and each waits until its client makes room for it.
const LARGE_AMONG_MANY: u64 = 16 << 10;
/// Pieces that larger ones are cut into.
const PIECE: usize = 64 << 10;
/// A client has this long …
const SPAN: Duration = Duration::from_secs(300);
/// … to take so many bytes, or what is left.
const LEAST: u64 = 64 << 10;
/// Where the answers of one connection of HTTP/2 hold more memory than this, one of them …
const MUCH: u64 = 64 << 20;
/// … of which nothing is taken for this part of the time is enough.
const PART: u32 = 10;

/// Watches over a large answer while it is taken.
pub fn watched(http: &HttpRequest, response: HttpResponse) -> HttpResponse {
    watched_for(http, response, SPAN)
}

fn watched_for(http: &HttpRequest, response: HttpResponse, span: Duration) -> HttpResponse {
    let BodySize::Sized(size) = response.body().size() else { return response };
    let socket = if http.version() < Version::HTTP_2 {
        if size <= LARGE {
            return response;
        }
        socket::of(http)
    } else {
        if size <= LARGE_AMONG_MANY {
            return response;
        }
        // The answer may outlive its connection.
        socket::of(http).filter(|socket| socket.is_known())
    };
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(bytes) => {
            let share = streams::held(http).map(|held| held.with(bytes.len() as u64));
            watch(Pieces(bytes), socket, span, share)
        }
        Err(body) => watch(body, socket, span, None),
    })
}

fn watch(body: impl MessageBody + 'static, socket: Option<Socket>, span: Duration, share: Option<Share>) -> BoxBody {
    let Some(socket) = socket else { return BoxBody::new(body) };
    let taken = Rc::new(Cell::new(0));
    let held = share.as_ref().map(|share| share.of_all().clone());
    let guard = Guard(actix_web::rt::spawn(guard(socket, Rc::clone(&taken), span, held)));
    BoxBody::new(Watched { body: BoxBody::new(body), taken, given: 0, _guard: guard, _share: share })
}

/// Ends the connection when too little is taken, and so all of its answers: nothing else wakes one that waits for its
/// client. This ends with the answer, on the same thread. `held`: what the answers of the connection hold.
async fn guard(socket: Socket, taken: Rc<Cell<u64>>, span: Duration, held: Option<Held>) {
    let part = span / PART;
    let (mut looked, mut moved) = ((Instant::now(), 0), (Instant::now(), 0));
    loop {
        tokio::time::sleep(part).await;
        // A busy machine wakes us late: it is the clock that counts.
        let (now, taken) = (Instant::now(), taken.get());
        if taken != moved.1 {
            moved = (now, taken);
        } else if now - moved.0 >= part && held.as_ref().is_some_and(|held| held.bytes() > MUCH) {
            return socket::end(socket);
        }
        if now - looked.0 >= span {
            if taken.saturating_sub(looked.1) < LEAST {
                return socket::end(socket);
            }
            looked = (now, taken);
        }
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
    /// Bytes of the last piece.
    given: u64,
    _guard: Guard,
    _share: Option<Share>,
}

impl MessageBody for Watched {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        // Who asks for more has passed on what it got.
        let given = std::mem::take(&mut self.given);
        self.taken.set(self.taken.get() + given);
        let next = Pin::new(&mut self.body).poll_next(context);
        if let Poll::Ready(Some(Ok(piece))) = &next {
            self.given = piece.len() as u64;
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
    use std::{
        io::{Read, Write},
        sync::{Arc, Weak},
    };

    use actix_web::{body::to_bytes, test::TestRequest};
    use parking_lot::Mutex;

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

    /// A server on a free port, for both versions, watched for so long: its answer is large, or a stream of ticks. And
    /// what tells whether an answer is still held.
    fn serve(span: Duration) -> (actix_web::dev::ServerHandle, std::net::SocketAddr, Weak<()>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (held, holds) = (Arc::new(()), Arc::new(Mutex::new(None)));
        let holder = Arc::downgrade(&held);
        *holds.lock() = Some(held);
        let server = actix_web::HttpServer::new(move || {
            let holds = holds.clone();
            actix_web::App::new().default_service(actix_web::web::to(move |http: HttpRequest| {
                let held = (http.path() == "/held").then(|| holds.lock().take()).flatten();
                async move {
                    if http.path() == "/ticks" {
                        let ticks = futures_util::stream::unfold((), |()| async {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                            Some((Ok::<_, Infallible>(Bytes::from("tick")), ()))
                        });
                        return HttpResponse::Ok().streaming(ticks);
                    }
                    if http.path() == "/memory" {
                        let body = HttpResponse::Ok().body(vec![7; usize::try_from(MUCH / 2).unwrap()]);
                        return watched_for(&http, body, span);
                    }
                    let body = Kept(Pieces(Bytes::from(vec![7; 64 << 20])), held);
                    watched_for(&http, HttpResponse::Ok().body(body), span)
                }
            }))
        });
        let note = |connection: &dyn std::any::Any, extensions: &mut actix_web::dev::Extensions| {
            socket::note(connection, extensions);
            streams::note(extensions);
        };
        let server = server.on_connect(note).workers(1).listen_auto_h2c(listener).unwrap().run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        (handle, address, holder)
    }

    struct Kept(Pieces, #[allow(dead_code)] Option<Arc<()>>);

    impl MessageBody for Kept {
        type Error = Infallible;

        fn size(&self) -> BodySize {
            self.0.size()
        }

        fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
            Pin::new(&mut self.0).poll_next(context)
        }
    }

    #[actix_web::test]
    async fn a_client_that_takes_nothing_is_let_go_and_one_that_reads_is_not() {
        let (handle, address, _) = serve(Duration::from_millis(300));
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

    #[actix_web::test]
    async fn on_http2_who_lets_an_answer_wait_loses_the_connection_and_nobody_else() {
        const SPAN: Duration = Duration::from_millis(400);
        let (handle, address, held) = serve(SPAN);
        let ask = async |client: &reqwest::Client, path: &str| {
            client.get(format!("http://{address}{path}")).send().await.unwrap()
        };
        // A client of its own is a connection of its own; neither hears of the other.
        let client = || reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        let (stalling, reading) = (client(), client());
        let mut ticks_of_stalling = ask(&stalling, "/ticks").await;
        let _never_read = ask(&stalling, "/held").await;
        let mut ticks = ask(&reading, "/ticks").await;
        let mut slow = ask(&reading, "/slow").await;
        assert!(held.strong_count() > 0);

        // One that reads little at a time, for many spans, beside a stream of ticks.
        let until = Instant::now() + SPAN * 6;
        let (mut taken, mut ended) = (0, false);
        while Instant::now() < until {
            let pause = tokio::time::sleep(SPAN / 20);
            taken += slow.chunk().await.unwrap().unwrap().len();
            assert_eq!(ticks.chunk().await.unwrap().unwrap(), "tick");
            // Read all along, so that only the other answer of its connection is to blame.
            ended = ended || !matches!(ticks_of_stalling.chunk().await, Ok(Some(_)));
            pause.await;
        }
        assert!(taken < 64 << 20, "it was slow");
        assert!(ended, "the connection was not ended");
        assert_eq!(held.strong_count(), 0, "what nobody takes is still held");
        // On the connection that was read all is as it was.
        while let Some(piece) = slow.chunk().await.unwrap() {
            taken += piece.len();
        }
        assert_eq!(taken, 64 << 20);
        handle.stop(false).await;
    }

    #[actix_web::test]
    async fn on_http2_much_memory_is_not_held_for_long() {
        const SPAN: Duration = Duration::from_secs(10);
        let (handle, address, _) = serve(SPAN);
        for (answers, ends) in [(1, false), (3, true)] {
            let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
            let ask = async |path: &str| client.get(format!("http://{address}{path}")).send().await.unwrap();
            let mut ticks = ask("/ticks").await;
            let mut untaken = Vec::new();
            for _ in 0..answers {
                untaken.push(ask("/memory").await);
            }
            let until = Instant::now() + SPAN / 4;
            let mut ended = false;
            while Instant::now() < until && !ended {
                ended = !matches!(ticks.chunk().await, Ok(Some(_)));
            }
            assert_eq!(ended, ends, "{answers}");
        }
        handle.stop(false).await;
    }
}
