//! When somebody looks at a queue again: the earliest time that anybody has asked for.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use tokio::sync::Notify;

use crate::clock::{Clock, Timestamp};

const NEVER: i64 = i64::MAX;

/// Set by whoever knows of work (on any thread), awaited by one task, which does it.
#[derive(Debug)]
pub struct Alarm {
    /// Milliseconds since 1970.
    at: AtomicI64,
    /// Told when `at` has become earlier. Holds one permit, so a change between two looks is not missed.
    earlier: Notify,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { at: AtomicI64::new(NEVER), earlier: Notify::new() }
    }
}

impl Alarm {
    /// Rings at `time`, or before if it was to.
    pub fn set(&self, time: Timestamp) {
        if time.0 < self.at.fetch_min(time.0, SeqCst) {
            self.earlier.notify_one();
        }
    }

    /// Forgets its time. Before looking at the queue, not after: what is added later than the look sets it anew.
    pub fn clear(&self) {
        self.at.store(NEVER, SeqCst);
    }

    /// Completes at the time that is set, which may become earlier meanwhile.
    pub async fn rings(&self, clock: &Clock) {
        loop {
            let earlier = self.earlier.notified();
            match self.at.load(SeqCst) {
                NEVER => earlier.await,
                at => tokio::select! {
                    () = clock.sleep_until(Timestamp(at)) => return,
                    () = earlier => {}
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    #[tokio::test]
    async fn it_rings_at_the_earliest_time_asked_for() {
        let clock = Clock::manual(Timestamp(0));
        let alarm = Arc::new(Alarm::default());
        let rings = {
            let (alarm, clock) = (Arc::clone(&alarm), clock.clone());
            tokio::spawn(async move { alarm.rings(&clock).await })
        };
        let settle = || tokio::time::sleep(Duration::from_millis(10));
        for (set, now) in [(500, 100), (300, 200), (400, 299)] {
            alarm.set(Timestamp(set));
            clock.set(Timestamp(now));
            settle().await;
            assert!(!rings.is_finished(), "set to {set}, shows {now}");
        }
        clock.set(Timestamp(300));
        rings.await.unwrap();
        alarm.clear();
        alarm.set(Timestamp(10));
        alarm.rings(&clock).await;
    }
}
