//! Whether there are words for it: templates rendered for those who would get them, and thrown away.
//!
//! What a template says may differ from recipient to recipient, and so may whether it can be rendered at all. The first
//! of them are tried; rendering costs more than judging, so neither all of a large audience nor for long.

use std::time::{Duration, Instant};

use tokio::task;

use super::{Item, Part};
use crate::{
    error::{Error, Result},
    notify::{Notify, State, letter, what::Broken, whether::Reason},
};

/// Recipients that are tried.
const MAX_TRIED: u64 = 200;
/// None is begun after this.
const PATIENCE: Duration = Duration::from_secs(1);

/// How much has been tried.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tried {
    pub recipients: u64,
    spent: Duration,
}

impl Tried {
    fn is_enough(self) -> bool {
        self.recipients >= MAX_TRIED || self.spent >= PATIENCE
    }
}

impl Notify {
    /// Renders for those of a part whom something would reach; where that fails, nothing would.
    pub(super) async fn word(&self, mut part: Part, mut tried: Tried) -> Result<(Part, Tried)> {
        if tried.is_enough() || part.items.iter().all(|(_, _, facts)| facts.is_none()) {
            return Ok((part, tried));
        }
        let (records, settings) = (self.rooms.records.clone(), self.rooms.settings.current());
        let now = self.rooms.clock.now();
        let work = move || {
            for (_, item, facts) in &mut part.items {
                let Some(facts) = facts.take().filter(|_| !tried.is_enough()) else { continue };
                let began = Instant::now();
                let rendered = letter::compose(&records, &settings, now, &facts, &[]);
                tried = Tried { recipients: tried.recipients + 1, spent: tried.spent + began.elapsed() };
                if let Err(broken) = rendered {
                    fail(item, &broken);
                }
            }
            (part, tried)
        };
        task::spawn_blocking(work).await.map_err(Error::internal)
    }
}

/// What becomes of deliveries that have no words.
fn fail(item: &mut Item, broken: &Broken) {
    for would in item.deliveries.iter_mut().filter(|would| would.state.is_none()) {
        (would.verdict, would.state, would.until) = ("drop", Some(State::Failed.as_str()), None);
        would.reason = Reason::from(broken).to_string();
    }
}
