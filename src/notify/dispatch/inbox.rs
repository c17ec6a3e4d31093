//! The loop of the inbox, which is in the house: nothing is claimed, nothing can fail halfway. What is due is judged and
//! rendered on a snapshot, then written together with its item, in bulk.
//!
//! What becomes due one after the other is gathered for a moment: looking, judging and committing cost nearly as much for
//! one as for twenty, and everybody else on this machine pays for it.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{
    Desk, WRITTEN_AT_ONCE,
    prepare::{Prepared, prepare_all, ticket},
};
use crate::{
    clock::Timestamp,
    error::Result,
    notify::{Channel, deliveries, how::inbox, settle::Settlement},
};

/// Deliveries that are prepared at once.
const BATCH: usize = 256;
/// When it cannot be done, this passes before the next try.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// From the beginning of a batch that was not full to the next at least: what becomes due meanwhile goes together. By the
/// machine's own clock, whatever a test makes ours show.
const GATHER: Duration = Duration::from_millis(10);

/// Until it is told to stop.
pub(super) async fn work(desk: Arc<Desk>, mut stopped: watch::Receiver<bool>) {
    let alarm = desk.bells.lane(Channel::Inbox);
    alarm.set(Timestamp::default());
    loop {
        tokio::select! {
            // An error means that nobody is left who could stop us.
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = alarm.rings(&desk.rooms.clock) => {}
        }
        alarm.clear();
        let gathered = Instant::now() + GATHER;
        match deliver(&desk).await {
            // There may be more, and nothing to wait for.
            Ok(BATCH..) => {
                alarm.set(Timestamp::default());
                continue;
            }
            Ok(_) => match desk.rooms.db.read(|tx| deliveries::next(tx, Channel::Inbox)).await {
                Ok(next) => {
                    if let Some(next) = next {
                        alarm.set(next);
                    }
                }
                Err(error) => look_again(&desk, &error),
            },
            Err(error) => look_again(&desk, &error),
        }
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep_until(gathered) => {}
        }
    }
}

fn look_again(desk: &Desk, error: &crate::error::Error) {
    tracing::warn!(%error, "inboxes cannot be filled now");
    desk.bells.lane(Channel::Inbox).set(desk.rooms.clock.now().plus(LOOK_AGAIN));
}

/// Delivers one batch; returns its size.
async fn deliver(desk: &Arc<Desk>) -> Result<usize> {
    let now = desk.rooms.clock.now();
    let found = desk.rooms.db.read(move |tx| deliveries::due(tx, Channel::Inbox, now, BATCH)).await?;
    let size = found.len();
    let prepared = prepare_all(desk, found.into_iter().map(Arc::new).collect()).await;
    let mut settlements = prepared.into_iter().map(settlement);
    let mut part = || -> Arc<[Settlement]> { settlements.by_ref().take(WRITTEN_AT_ONCE).collect() };
    loop {
        // While one is committed the next waits behind it already, and what others write comes in between. When there is
        // no hurry it comes later, and leaves the writer to them.
        let one = part();
        let other = if size == BATCH { part() } else { [].into() };
        if one.is_empty() {
            break;
        }
        tokio::try_join!(super::settle(desk, one), super::settle(desk, other))?;
    }
    desk.moved();
    Ok(size)
}

fn settlement(prepared: Prepared) -> Settlement {
    match prepared {
        Prepared::Decided(settlement) => settlement,
        Prepared::Goes(outgoing) => {
            let mut settlement = outgoing.settlement;
            let columns = inbox::columns(&outgoing.letter, &ticket(&settlement.delivery));
            settlement.inbox = Some(columns.into_iter().collect());
            settlement
        }
    }
}
