//! How deliveries stand, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Channel, Notify, Priority, State, deliveries};
use crate::{clock::Timestamp, error::Result};

/// Read from an index alone.
pub(super) const COUNTS: &str = "SELECT channel, state, count(*) FROM _deliveries GROUP BY channel, state";

/// Those that failed for good since a time.
pub(super) const FAILED: &str = "SELECT count(*) FROM _deliveries WHERE state = 'failed' AND updated >= ?1";

/// All channels together, and each.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pub total: u64,
    /// By state.
    pub states: BTreeMap<&'static str, u64>,
    /// By channel.
    pub channels: BTreeMap<&'static str, OfChannel>,
    /// The earliest time at which something that waits was to go out; blank when nothing waits.
    pub oldest_due: String,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfChannel {
    pub total: u64,
    pub states: BTreeMap<&'static str, u64>,
    pub oldest_due: String,
    /// Milliseconds that the one at the head of the queue is late by.
    pub behind: u64,
    /// Milliseconds between due and sent, of the last few thousand that went out as planned since the server started.
    pub lateness: Option<Lateness>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Lateness {
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

impl Notify {
    /// Deliveries that failed for good since then.
    pub async fn failed_since(&self, since: Timestamp) -> Result<u64> {
        let read = self.rooms.db.read(move |tx| tx.query_one(FAILED, [since.to_string()], |row| row.get::<_, i64>(0)));
        Ok(read.await?.unwrap_or_default().unsigned_abs())
    }

    /// How many changes of the log schedules have not followed yet.
    pub fn log_behind(&self) -> u64 {
        self.schedules.behind()
    }

    /// Counts every delivery that is kept.
    pub async fn stats(&self) -> Result<Stats> {
        let read = self.rooms.db.read(|tx| {
            let counts: Vec<(String, String, u64)> =
                tx.query_all(COUNTS, [], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs())))?;
            let mut oldest = Vec::new();
            for channel in Channel::ALL {
                let mut earliest = None;
                for priority in Priority::ALL {
                    let due = deliveries::next_due(tx, channel, priority)?;
                    earliest = [earliest, due].into_iter().flatten().min();
                }
                oldest.push((channel, earliest));
            }
            Ok((counts, oldest))
        });
        let (counts, oldest) = read.await?;
        let now = self.rooms.clock.now();
        let first = oldest.iter().filter_map(|(_, due)| *due).min();
        let mut stats = Stats {
            total: 0,
            states: BTreeMap::new(),
            channels: BTreeMap::new(),
            oldest_due: first.map(|due| due.to_string()).unwrap_or_default(),
        };
        for (channel, due) in oldest {
            let of = stats.channels.entry(channel.as_str()).or_default();
            of.oldest_due = due.map(|due| due.to_string()).unwrap_or_default();
            of.behind = due.map_or(0, |due| u64::try_from(due.until(now).as_millis()).unwrap_or(u64::MAX));
            of.lateness = self.dispatch.lateness(channel).map(|[p50, p99, max]| Lateness { p50, p99, max });
        }
        for (channel, state, count) in counts {
            let (Some(channel), Some(state)) = (Channel::parse(&channel), State::parse(&state)) else { continue };
            let of = stats.channels.entry(channel.as_str()).or_default();
            of.total += count;
            *of.states.entry(state.as_str()).or_default() += count;
            stats.total += count;
            *stats.states.entry(state.as_str()).or_default() += count;
        }
        Ok(stats)
    }
}
