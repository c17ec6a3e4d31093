//! How long this process serves: who asks it to end, and whether it comes back.
//!
//! A signal ends it (`http/server.rs`), and so does a room that has put something else in the place of what is open, such
//! as a restore. Whoever holds streams or long work listens here.

use std::sync::Arc;

use tokio::sync::watch;

/// What is to become of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It finishes what it has begun, and exits.
    Stop,
    /// The same, and then it starts again with the same arguments, as the same process.
    Restart,
}

/// The life of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Life {
    ending: Arc<watch::Sender<Option<Ending>>>,
}

impl Default for Life {
    fn default() -> Self {
        Self { ending: Arc::new(watch::Sender::new(None)) }
    }
}

impl Life {
    /// Asks the server to end. The first one to ask decides how, but a wish to stop overrules one to start again.
    pub fn end(&self, how: Ending) {
        self.ending.send_if_modified(|ending| {
            let overrules = ending.is_none() || (*ending == Some(Ending::Restart) && how == Ending::Stop);
            if overrules {
                *ending = Some(how);
            }
            overrules
        });
    }

    /// What was asked for, if anything was.
    pub fn ending(&self) -> Option<Ending> {
        *self.ending.borrow()
    }

    /// Completes when the server was asked to end; at once if it was.
    pub async fn ended(&self) -> Ending {
        let mut watched = self.ending.subscribe();
        let ending = watched.wait_for(Option::is_some).await.expect("the sender lives as long as self");
        ending.expect("waited for")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wish_to_stop_overrules_one_to_start_again() {
        for (asked, expected) in [
            (vec![Ending::Stop], Ending::Stop),
            (vec![Ending::Restart], Ending::Restart),
            (vec![Ending::Restart, Ending::Stop], Ending::Stop),
            (vec![Ending::Stop, Ending::Restart], Ending::Stop),
        ] {
            let life = Life::default();
            assert_eq!(life.ending(), None);
            asked.iter().for_each(|&how| life.clone().end(how));
            assert_eq!((life.ended().await, life.ending()), (expected, Some(expected)), "{asked:?}");
        }
    }
}
