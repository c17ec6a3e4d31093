//! A delivery that has ended goes out once more, because somebody says so: the dead letter's replay.

use serde_json::Value as Json;

use super::{
    Notify, State,
    collections::{DELIVERIES, NOTIFICATIONS},
    deliveries,
};
use crate::{
    db::Value,
    error::{Error, Result},
};

impl Notify {
    /// Schedules it for now, with all its attempts before it. It is judged again, and keeps its name towards others;
    /// devices that have it are left alone. `NotFound` if there is none; only what has ended without being sent can be
    /// repeated.
    pub async fn retry(&self, delivery: &str) -> Result<()> {
        let (records, bells, id) = (self.rooms.records.clone(), self.bells.clone(), delivery.to_owned());
        let retry = self.rooms.db.write(move |tx| {
            let delivery = deliveries::load(tx, &id)?.ok_or_else(Error::not_found)?;
            match delivery.state {
                State::Sent => return Err(Error::invalid("The delivery was sent.")),
                state if !state.is_final() => return Err(Error::invalid("The delivery is still on its way.")),
                _ => {}
            }
            let now = tx.now();
            let text = |text: String| Value::Text(text);
            let mut detail = delivery.detail.clone();
            detail.remove("due");
            if let Some(Json::Object(devices)) = detail.get_mut("devices") {
                devices.retain(|_, device| device["state"] == "sent");
            }
            let trail = delivery.trail_with(now, State::Scheduled, "retry: Somebody asked for it.");
            let sql = "SELECT 1 FROM _notifications WHERE id = ?1 AND state = 'done'";
            let done = tx.query_one(sql, [&delivery.notification], |_| Ok(()))?.is_some();
            let mut bulk = records.bulk(tx);
            let columns = [
                ("state", text(State::Scheduled.as_str().to_owned())),
                ("reason", text(String::new())),
                ("due", text(now.to_string())),
                ("attempts", Value::Integer(0)),
                // By itself: its digest has gone.
                ("digest", text(String::new())),
                ("digestOf", text(String::new())),
                ("detail", text(Json::Object(detail).to_string())),
                ("trail", text(trail.to_string())),
            ];
            bulk.update(DELIVERIES, &delivery.id, &columns)?;
            if done {
                bulk.update(NOTIFICATIONS, &delivery.notification, &[("state", text("active".to_owned()))])?;
            }
            bells.due_at(tx, now);
            Ok(())
        });
        retry.await
    }
}
