//! `/api/test/…`: the clock of a temporary server in the hands of a test (`docs/TESTING.md`). For superusers of
//! `conch serve --temp`; elsewhere nothing is here.

use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};

use super::picked_value;
use crate::{
    app::App,
    clock::{Steering, Timestamp},
    error::{Error, Issues, Leaf, Result},
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
    notify::when::{self, When},
};

/// How long `run-due` waits, in seconds, unless asked for less.
const PATIENCE: u64 = 60;
/// Between two looks whether everything that is due is done.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// `GET /api/test/clock`: what it shows, and whether it stands.
pub fn clock(call: Call) -> Result<Reply> {
    steering(&call)?;
    answer(&call)
}

/// `POST /api/test/clock`: sets it forward, holds it, lets it go on.
pub async fn steer(mut call: Call) -> Result<Reply> {
    steering(&call)?;
    let received = body::read(&mut call, body::LOGIN_LIMIT, Form::Values).await?;
    let order = Order::parse(received.body.values)?;
    let moved = steering(&call)?.steer(|now| order.target(now), order.freeze);
    match (moved, order.target) {
        (Some(_), _) => answer(&call),
        (None, Target::By(_)) => Err(Error::field("advance", invalid("There are no dates that far ahead."))),
        (None, _) => Err(Error::field("to", invalid("The clock only goes forward, up to the year 9999."))),
    }
}

/// `POST /api/test/run-due`: answers when nothing is left that is due, or when it has waited long enough.
pub async fn run_due(mut call: Call) -> Result<Reply> {
    steering(&call)?;
    let received = body::read(&mut call, body::LOGIN_LIMIT, Form::Values).await?;
    let patience = match received.body.values.get("timeout") {
        None | Some(Json::Null) => PATIENCE,
        Some(seconds) => seconds
            .as_u64()
            .filter(|seconds| *seconds <= PATIENCE)
            .ok_or_else(|| Error::field("timeout", invalid("Must be a whole number of seconds, 60 at most.")))?,
    };
    let end = Instant::now() + Duration::from_secs(patience);
    let app = call.app();
    let done = loop {
        if is_idle(app).await? {
            break true;
        }
        if Instant::now() >= end {
            break false;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    picked_value(&json!({ "done": done, "now": app.clock.now().to_string() }), &call.query()?)
}

/// Whether nothing is due or under way, twice in a row: what one of them did last may be work for the other.
async fn is_idle(app: &App) -> Result<bool> {
    for _ in 0..2 {
        if !(app.runner.is_idle().await? && app.notify.is_idle().await?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// 404 where the clock is the system's, then 401 and 403 as usual.
fn steering(call: &Call) -> Result<&Steering> {
    let steering = call.app().clock.steering().ok_or_else(Error::not_found)?;
    call.require_superuser()?;
    Ok(steering)
}

fn answer(call: &Call) -> Result<Reply> {
    let shown = json!({ "now": call.app().clock.now().to_string(), "frozen": steering(call)?.is_frozen() });
    picked_value(&shown, &call.query()?)
}

/// What a body asks of the clock.
#[derive(Debug, PartialEq)]
struct Order {
    freeze: Option<bool>,
    target: Target,
}

#[derive(Debug, PartialEq)]
enum Target {
    Stay,
    By(Duration),
    To(Timestamp),
    /// The next time that the clocks of this zone show it.
    Local(When),
}

impl Order {
    /// Reads `{"freeze"?: bool, "advance"?: duration, "to"?: instant | {"local", "zone", "date"?}}`.
    fn parse(body: Map<String, Json>) -> Result<Self> {
        let (mut order, mut issues) = (Self { freeze: None, target: Target::Stay }, Issues::default());
        for (name, value) in &body {
            let target = match (name.as_str(), value) {
                ("freeze", Json::Bool(freeze)) => {
                    order.freeze = Some(*freeze);
                    continue;
                }
                ("freeze", _) => Err(invalid("Must be true or false.").into()),
                ("advance" | "to", _) if order.target != Target::Stay => {
                    Err(invalid("Either \"advance\" or \"to\", not both.").into())
                }
                ("advance", Json::String(text)) => when::span::parse(text).map(Target::By).map_err(Into::into),
                ("advance", _) => Err(invalid("Must be a duration like \"26h\".").into()),
                ("to", Json::String(text)) => when::instant(text).map(Target::To).map_err(Into::into),
                ("to", json @ Json::Object(_)) => match When::parse(json) {
                    Ok(local @ When::Local { .. }) => Ok(Target::Local(local)),
                    Ok(_) => Err(invalid("Needs \"local\" and \"zone\".").into()),
                    Err(issue) => Err(issue),
                },
                ("to", _) => Err(invalid("Must be a moment, or an object with \"local\" and \"zone\".").into()),
                _ => Err(invalid("Unknown here: there are \"freeze\", \"advance\" and \"to\".").into()),
            };
            match target {
                Ok(target) => order.target = target,
                Err(issue) => {
                    let issue: crate::error::Issue = issue;
                    issues.insert(name, issue);
                }
            }
        }
        if issues.is_empty() { Ok(order) } else { Err(Error::issues("The clock cannot be set like that.", issues)) }
    }

    fn target(&self, now: Timestamp) -> Option<Timestamp> {
        Some(match &self.target {
            Target::Stay => now,
            Target::By(span) => now.plus(*span),
            Target::To(time) => *time,
            Target::Local(local) => local.resolve(now, local.zone("", "UTC")).at,
        })
    }
}

fn invalid(message: &'static str) -> Leaf {
    Leaf::new("validation_invalid_value", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_targets_found() {
        // 2026-11-22 10:00 UTC
        let now = Timestamp(1_795_341_600_000);
        for (body, freeze, shown) in [
            (json!({}), None, "2026-11-22 10:00:00.000Z"),
            (json!({"freeze": true}), Some(true), "2026-11-22 10:00:00.000Z"),
            (json!({"freeze": false, "advance": "26h"}), Some(false), "2026-11-23 12:00:00.000Z"),
            (json!({"to": "2026-11-23T09:00:00+09:00"}), None, "2026-11-23 00:00:00.000Z"),
            (json!({"to": {"local": "09:00", "zone": "Asia/Tokyo"}}), None, "2026-11-23 00:00:00.000Z"),
            (json!({"to": {"local": "11:00", "zone": "Europe/Berlin"}}), None, "2026-11-22 10:00:00.000Z"),
            (json!({"to": {"local": "09:00", "date": "2026-12-24"}}), None, "2026-12-24 09:00:00.000Z"),
            (json!({"to": "2020-01-01T00:00:00Z"}), None, "2020-01-01 00:00:00.000Z"),
        ] {
            let Json::Object(values) = body.clone() else { unreachable!() };
            let order = Order::parse(values).unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!(order.freeze, freeze, "{body}");
            assert_eq!(order.target(now).unwrap().to_string(), shown, "{body}");
        }
        for (body, named) in [
            (json!({"freeze": "yes"}), "freeze"),
            (json!({"advance": 5}), "advance"),
            (json!({"advance": "-5h"}), "advance"),
            (json!({"to": "tomorrow"}), "to"),
            (json!({"to": 5}), "to"),
            (json!({"to": {"after": "5m"}}), "to"),
            (json!({"to": {}}), "to"),
            (json!({"to": {"local": "9", "zone": "UTC"}}), "to.local"),
            (json!({"to": {"local": "09:00", "zone": "Mars"}}), "to.zone"),
            (json!({"advance": "1h", "to": "2026-11-23T09:00:00Z"}), "to"),
            (json!({"back": "1h"}), "back"),
        ] {
            let Json::Object(values) = body.clone() else { unreachable!() };
            let error = Order::parse(values).expect_err(&body.to_string());
            let names: Vec<_> = error.issues.leaves().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [named], "{body}");
        }
    }
}
