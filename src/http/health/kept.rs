//! What takes long to find out, found out rarely and beside whoever wants to know.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::error::Result;

/// The first one who asks waits so long at most; later ones get what was found last.
const FIRST: Duration = Duration::from_secs(1);
/// What took long is asked so many times that long after it.
const REST: u32 = 20;

/// The newest answer to one question.
pub struct Kept<T> {
    inner: Arc<Mutex<Known<T>>>,
}

struct Known<T> {
    answer: Option<T>,
    /// When it is to be asked again; `None` while somebody is asking.
    next: Option<Instant>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { inner: Arc::new(Mutex::new(Known { answer: None, next: Some(Instant::now()) })) }
    }
}

impl<T: Clone + 'static> Kept<T> {
    /// What was found last; asks again, in the background, what is older than `hold`. `None` until it is known.
    pub async fn get<F>(&self, hold: Duration, ask: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = Result<T>> + 'static,
    {
        let due = {
            let mut known = self.inner.lock();
            let due = known.next.is_some_and(|next| next <= Instant::now());
            if due {
                known.next = None;
            }
            due
        };
        if due {
            let (asked, began) = (ask(), Instant::now());
            let mut turn = Turn { inner: self.inner.clone(), hold };
            let asking = actix_web::rt::spawn(async move {
                match asked.await {
                    Ok(found) => turn.inner.lock().answer = Some(found),
                    Err(error) => tracing::warn!(%error, "a part of the overview is missing"),
                }
                turn.hold = hold.max(began.elapsed() * REST);
                drop(turn);
            });
            if self.inner.lock().answer.is_none() {
                let _ = tokio::time::timeout(FIRST, asking).await;
            }
        }
        self.inner.lock().answer.clone()
    }
}

/// Whoever asks; when it ends, however it does, somebody else may.
struct Turn<T> {
    inner: Arc<Mutex<Known<T>>>,
    hold: Duration,
}

impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        self.inner.lock().next = Some(Instant::now() + self.hold);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::error::Error;

    #[actix_web::test]
    async fn it_is_asked_rarely_and_the_last_answer_stays() {
        let (kept, asked) = (Kept::default(), Cell::new(0));
        let ask = |answer: Result<i32>| {
            asked.set(asked.get() + 1);
            async { answer }
        };
        let long = Duration::from_secs(60);
        assert_eq!(kept.get(Duration::ZERO, || ask(Err(Error::not_found()))).await, None);
        // It rests for a moment even so.
        while kept.get(long, || ask(Ok(1))).await.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(kept.get(long, || ask(Ok(2))).await, Some(1));
        assert_eq!(asked.get(), 2, "it holds for a minute");
    }

    #[actix_web::test]
    async fn nobody_waits_for_what_takes_long() {
        let kept = Kept::default();
        let began = Instant::now();
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(1)
        };
        assert_eq!(kept.get(Duration::ZERO, slow).await, None);
        assert_eq!(kept.get(Duration::ZERO, slow).await, None, "one asks, and the others go on");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
