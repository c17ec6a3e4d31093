//! Work that goes on after its answer: a bounded number of tasks that hold what must not be written down.
//!
//! A task ends by itself within [`LIMIT`], or is given up when the server stops. Whoever starts one leaves things so
//! that an abandoned task does no harm.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// Tasks at the same time.
const PLACES: usize = 128;
/// How long one may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Background {
    places: Arc<Semaphore>,
    limit: Duration,
}

/// A place that is taken before anything is begun which would need it.
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
    limit: Duration,
}

impl Default for Background {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), limit: LIMIT }
    }
}

impl Background {
    /// `Busy` when too much is going on.
    pub fn reserve(&self) -> Result<Place> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map(|permit| Place { permit, limit: self.limit });
        place.map_err(|_| Error::busy(Duration::from_secs(1)))
    }

    /// Waits until nothing is going on.
    #[cfg(test)]
    pub async fn rest(&self) {
        let _ = self.places.acquire_many(u32::try_from(PLACES).unwrap()).await.unwrap();
    }
}

impl Place {
    /// Starts `work` on this thread's runtime.
    pub fn start(self, work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(async move {
            let _permit = self.permit;
            if tokio::time::timeout(self.limit, work).await.is_err() {
                tracing::warn!("a task in the background took too long and was given up");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[tokio::test]
    async fn tasks_are_bounded_in_number_and_time() {
        let background = Background { limit: Duration::from_millis(20), ..Background::default() };
        for _ in 0..PLACES {
            background.reserve().unwrap().start(std::future::pending());
        }
        assert_eq!(background.reserve().err().map(|error| error.kind), Some(Kind::Busy));
        background.rest().await;
        assert!(background.reserve().is_ok());
    }
}
