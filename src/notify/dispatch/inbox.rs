//! The loop of the inbox, which is in the house: nothing is claimed, nothing can fail halfway. What is due is judged and
//! rendered on a snapshot, then written together with its item, in bulk.

use std::sync::Arc;

use tokio::sync::watch;

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
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

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
        match deliver(&desk).await {
            // There may be more.
            Ok(BATCH..) => alarm.set(Timestamp::default()),
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
        // While one is committed the next waits behind it already, and what others write comes in between.
        let (one, other) = (part(), part());
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
