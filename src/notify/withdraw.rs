//! Taking back what is still pending.

use super::{
    State,
    collections::DELIVERIES,
    deliveries::{self, Delivery},
};
use crate::{
    db::{Value, WriteTx},
    error::Result,
    records::Records,
};

/// Ends a delivery that is still pending. If it leads a digest, that goes on without it. False: it is not pending.
pub fn withdraw(tx: &mut WriteTx<'_>, records: &Records, id: &str, state: State, reason: &str) -> Result<bool> {
    let Some(delivery) = deliveries::load(tx, id)? else { return Ok(false) };
    if !matches!(delivery.state, State::Scheduled | State::Batched) {
        return Ok(false);
    }
    let trail = delivery.trail_with(tx.now(), state, reason).to_string();
    let columns = [("state", text(state.as_str())), ("reason", text(reason)), ("trail", text(&trail))];
    records.bulk(tx).update(DELIVERIES, id, &columns)?;
    if delivery.state == State::Scheduled && !delivery.digest.is_empty() {
        hand_over(tx, records, &delivery)?;
    }
    Ok(true)
}

/// A digest that is still open goes on without its first: the oldest of the rest becomes that, under the same key, due when
/// the whole was.
fn hand_over(tx: &mut WriteTx<'_>, records: &Records, leader: &Delivery) -> Result<()> {
    let rest = deliveries::items(tx, &leader.id)?;
    let Some((first, others)) = rest.split_first() else { return Ok(()) };
    let mut bulk = records.bulk(tx);
    let (digest, due) = (text(&leader.digest), text(&leader.due.to_string()));
    let state = text(State::Scheduled.as_str());
    let columns = [("state", state), ("digestOf", text("")), ("digest", digest), ("due", due)];
    bulk.update(DELIVERIES, &first.id, &columns)?;
    for other in others {
        bulk.update(DELIVERIES, &other.id, &[("digestOf", text(&first.id))])?;
    }
    Ok(())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
