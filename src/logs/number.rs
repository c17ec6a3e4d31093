//! The number of a request: what its answer, the lines on stderr and the rows of the log have in common.

use std::{
    cell::Cell,
    fmt::{self, Write},
    future::{Future, poll_fn},
    num::NonZeroU64,
    pin::pin,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::random;

/// Tells the requests of two runs of the server apart.
static RUN: LazyLock<String> = LazyLock::new(|| random::string(random::LOWER_ALPHANUMERIC, 8));
static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The request that this thread works for at the moment.
    static CURRENT: Cell<Option<RequestNumber>> = const { Cell::new(None) };
}

/// Names one request: shown as the run's random prefix and a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestNumber(NonZeroU64);

impl RequestNumber {
    /// A number that no other request has.
    pub fn next() -> Self {
        Self(NonZeroU64::new(NEXT.fetch_add(1, Relaxed)).unwrap_or(NonZeroU64::MIN))
    }

    /// As shown, in one allocation.
    pub fn text(self) -> String {
        let mut text = String::with_capacity(RUN.len() + 17);
        // Writing to a string cannot fail.
        let _ = write!(text, "{self}");
        text
    }

    /// The request that this thread works for, if it is one.
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }
}

impl fmt::Display for RequestNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", *RUN, self.0)
    }
}

/// Does `work` for a request: whenever it goes on, [`RequestNumber::current`] says for which.
pub async fn numbered<T>(number: RequestNumber, work: impl Future<Output = T>) -> T {
    /// Puts back what was there, also after a panic.
    struct Back(Option<RequestNumber>);
    impl Drop for Back {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let mut work = pin!(work);
    poll_fn(|context| {
        let _back = Back(CURRENT.replace(Some(number)));
        work.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn work_knows_its_request_wherever_it_goes_on() {
        let (a, b) = (RequestNumber::next(), RequestNumber::next());
        assert_ne!(a.to_string(), b.to_string());
        let work = |number| {
            numbered(number, async move {
                for _ in 0..3 {
                    assert_eq!(RequestNumber::current(), Some(number));
                    tokio::task::yield_now().await;
                }
            })
        };
        tokio::join!(work(a), work(b));
        assert_eq!(RequestNumber::current(), None);
    }
}
