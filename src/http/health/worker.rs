//! What a worker counts of its requests: on a place of its own, so that no request waits for another to be counted.

use std::{
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    http::StatusCode,
};
use bytes::Bytes;

use super::routes::Route;
use crate::measure::{Counter, Histogram};

/// Microseconds until the head of an answer was ready.
pub const TIMES: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];
/// Statuses that are counted by themselves; 0 is all others.
pub const STATUSES: [u16; 24] = [
    200, 201, 204, 206, 304, 307, 400, 401, 403, 404, 408, 409, 412, 413, 416, 429, GONE, 500, 501, 502, 503, 504, 507,
    0,
];
/// What is counted when the client went away before there was an answer.
const GONE: u16 = 499;
/// How often a worker says that it lives.
const BEAT: Duration = Duration::from_secs(2);
/// A body that is larger than this takes a while to be sent: until then, its request is not over.
const LARGE: u64 = 64 << 10;

/// The numbers of one worker. Only its thread adds to them.
#[derive(Debug)]
pub struct Shard {
    answers: Box<[[Counter; STATUSES.len()]]>,
    times: Box<[Histogram]>,
    begun: Counter,
    ended: Counter,
    /// Milliseconds after [`START`].
    beat: AtomicU64,
    gone: AtomicBool,
    /// Whether it has seen HTTP/2.
    multiplexes: AtomicBool,
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            answers: Route::ALL.iter().map(|_| std::array::from_fn(|_| Counter::default())).collect(),
            times: Route::ALL.iter().map(|_| Histogram::new(TIMES)).collect(),
            begun: Counter::default(),
            ended: Counter::default(),
            beat: AtomicU64::new(now()),
            gone: AtomicBool::new(false),
            multiplexes: AtomicBool::new(false),
        }
    }
}

impl Shard {
    /// Requests that were answered so, in the order of [`STATUSES`], and how long that took.
    pub fn answers(&self, route: Route) -> ([u64; STATUSES.len()], crate::measure::Tally) {
        let place = route as usize;
        (self.answers[place].each_ref().map(Counter::get), self.times[place].tally())
    }

    /// Requests that are not over: their handler works, or a large body is on its way.
    pub fn running(&self) -> u64 {
        // In this order: what ends in between was not begun twice.
        let ended = self.ended.get();
        self.begun.get().saturating_sub(ended)
    }

    pub fn multiplexes(&self) -> bool {
        self.multiplexes.load(Relaxed)
    }

    /// How long the worker has not said that it lives; `None` when it has ended.
    pub fn silent(&self) -> Option<Duration> {
        let silent = now().saturating_sub(self.beat.load(Relaxed));
        (!self.gone.load(Relaxed)).then(|| Duration::from_millis(silent))
    }

    fn note(&self, route: Route, status: u16, took: Duration) {
        let place = STATUSES.iter().position(|&known| known == status).unwrap_or(STATUSES.len() - 1);
        self.answers[route as usize][place].add(1);
        self.times[route as usize].note(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

/// A worker as long as it serves.
#[derive(Debug)]
pub struct Worker(Arc<Shard>);

impl Worker {
    /// Begins to say that this thread lives; it has to be one of actix's.
    pub fn begin(shard: Arc<Shard>) -> Self {
        let beating = Arc::downgrade(&shard);
        actix_web::rt::spawn(async move {
            while let Some(shard) = beating.upgrade().filter(|shard| !shard.gone.load(Relaxed)) {
                shard.beat.store(now(), Relaxed);
                drop(shard);
                tokio::time::sleep(BEAT).await;
            }
        });
        Self(shard)
    }

    /// A request has come in.
    pub fn request(&self, http: &HttpRequest, started: Instant) -> Request {
        self.0.begun.add(1);
        if http.version() == actix_web::http::Version::HTTP_2 && !self.0.multiplexes() {
            self.0.multiplexes.store(true, Relaxed);
        }
        let route = Route::of(http.method(), http.uri().path());
        Request { shard: self.0.clone(), route, started, answered: false }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.gone.store(true, Relaxed);
    }
}

/// A request that is being answered. Dropped before [`Request::answered`], its client has gone.
pub struct Request {
    shard: Arc<Shard>,
    route: Route,
    started: Instant,
    answered: bool,
}

impl Request {
    /// The head of the answer is ready. While a large body is on its way the request is not over; an open stream of
    /// events is no request any more.
    pub fn answered(mut self, response: HttpResponse) -> HttpResponse {
        self.answered = true;
        self.shard.note(self.route, response.status().as_u16(), self.started.elapsed());
        let small = match response.body().size() {
            BodySize::None => true,
            BodySize::Sized(size) => size <= LARGE,
            BodySize::Stream => self.route == Route::Realtime && response.status() == StatusCode::OK,
        };
        if small {
            return response;
        }
        response.map_body(|_, body| BoxBody::new(Sending { body, _request: Rc::new(self) }))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.answered {
            self.shard.note(self.route, GONE, self.started.elapsed());
        }
        self.shard.ended.add(1);
    }
}

/// A body whose request is over when it is.
struct Sending {
    body: BoxBody,
    _request: Rc<Request>,
}

impl MessageBody for Sending {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[actix_web::test]
    async fn requests_are_counted_until_they_are_over() {
        let shard = Arc::new(Shard::default());
        let worker = Worker::begin(shard.clone());
        let begin = |path: &str| {
            let request = TestRequest::with_uri(path).to_http_request();
            worker.request(&request, Instant::now())
        };
        let places = |status| STATUSES.iter().position(|&known| known == status).unwrap();
        let count = |route, status| shard.answers(route).0[places(status)];

        let request = begin("/api/health");
        assert_eq!(shard.running(), 1);
        request.answered(HttpResponse::Ok().body("small"));
        assert_eq!((shard.running(), count(Route::Health, 200)), (0, 1));

        // Its client has gone.
        drop(begin("/api/collections/a/records"));
        assert_eq!((shard.running(), count(Route::List, GONE)), (0, 1));

        let sending = begin("/api/files/a/b/c").answered(HttpResponse::Ok().body(vec![0; 100_000]));
        assert_eq!((shard.running(), count(Route::Files, 200)), (1, 1));
        drop(sending);
        assert_eq!(shard.running(), 0);

        begin("/x").answered(HttpResponse::build(StatusCode::IM_A_TEAPOT).finish());
        assert_eq!((count(Route::Other, 0), shard.answers(Route::Other).1.count()), (1, 1));
        assert!(shard.silent().is_some_and(|silent| silent < BEAT));
        drop(worker);
        assert_eq!(shard.silent(), None);
    }
}
