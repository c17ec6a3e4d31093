//! Taking back what is still pending.

use super::{State, collections::DELIVERIES, deliveries, settle};
use crate::{
    db::{Value, WriteTx},
    error::Result,
    records::Records,
};

/// Ends a delivery that is still pending. If it leads a digest, that goes on without it; if it was the last of its
/// notification, that is done. False: it is not pending.
pub fn withdraw(tx: &mut WriteTx<'_>, records: &Records, id: &str, state: State, reason: &str) -> Result<bool> {
    let Some(delivery) = deliveries::load(tx, id)? else { return Ok(false) };
    if !matches!(delivery.state, State::Scheduled | State::Batched) {
        return Ok(false);
    }
    let trail = delivery.trail_with(tx.now(), state, reason).to_string();
    let columns = [("state", text(state.as_str())), ("reason", text(reason)), ("trail", text(&trail))];
    records.bulk(tx).update(DELIVERIES, id, &columns)?;
    // Also after its key was given to a newer one: it leads whatever names it.
    if delivery.state == State::Scheduled {
        // Under the same key, due when the whole was.
        settle::pass_on(tx, records, id, &delivery.digest, delivery.due)?;
    }
    settle::close_finished(tx, records, [&*delivery.notification])?;
    Ok(true)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::notify::{how::Transports, testing::House, who::Recipient};

    /// Whoever unsubscribes leaves digests to those that stay, and closes what was all theirs.
    #[actix_web::test]
    async fn what_unsubscribing_takes_back_leaves_the_rest_in_order() {
        let house = House::open(Transports::default());
        let ann = house.user().await;
        let email = |category: &str| json!({"channels": ["email"], "category": category});
        let (news, orders) = (house.notification(email("news")).await, house.notification(email("orders")).await);
        let later = house.clock.now().plus(std::time::Duration::from_secs(3600)).to_string();
        let digest = |category: &str| json!({"category": category, "digest": "k", "due": later});
        let leader = house.delivery(&news, &ann, "email", digest("news")).await;
        let batched = json!({"category": "orders", "state": "batched", "digestOf": leader, "due": later});
        let item = house.delivery(&orders, &ann, "email", batched).await;
        let who = Recipient::Account { collection: house.users.as_str().into(), record: ann.as_str().into() };
        house.notify.unsubscribe(&who, "news").await.unwrap();
        for (table, id, columns, expected) in [
            ("_deliveries", &leader, "state || ' ' || digestOf", "cancelled "),
            ("_deliveries", &item, "state || ' ' || digest || ' ' || digestOf", "scheduled k "),
            ("_deliveries", &item, "due", &*later),
            ("_notifications", &news, "state", "done"),
            ("_notifications", &orders, "state", "active"),
        ] {
            let (sql, id) = (format!("SELECT {columns} FROM {table} WHERE id = ?1"), id.clone());
            let found = house.app.db.read(move |tx| tx.query_one(&sql, [&id], |row| row.get::<_, String>(0)));
            assert_eq!(found.await.unwrap().as_deref(), Some(expected), "{table} {columns}");
        }
        house.app.db.close().await;
    }
}
