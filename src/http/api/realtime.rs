//! `/api/realtime` (`docs/wire/services-realtime.md`, `docs/realtime.md`): the stream, and what it is subscribed to.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    body::{BodySize, MessageBody},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderName},
    },
};
use bytes::Bytes;
use serde_json::{Map, Value as Json};
use tokio::time::{Instant, Sleep};

use crate::{
    error::{Error, Result},
    http::{
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
        socket,
    },
    realtime::{Connection, Subscribe},
};

/// A stream ends when nothing was sent for so long (§1).
const IDLE: Duration = Duration::from_secs(5 * 60);
/// And after this in any case.
const LIFE: Duration = Duration::from_secs(30 * 60);
/// What the system keeps for a client that does not read; beyond it, events wait in the hub.
const SEND_BUFFER: usize = 64 << 10;
/// A client that takes nothing for so long has gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest list of topics (§2) and what surrounds it.
const BODY_LIMIT: u64 = 4 << 20;

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `GET /api/realtime`: a stream that begins with the client's id.
pub fn connect(call: &Call) -> Result<Reply> {
    let connection = call.app().realtime.connect(call.client_ip())?;
    socket::keep_short(&call.http, SEND_BUFFER, PATIENCE);
    Ok(Reply::stream(StatusCode::OK, "text/event-stream", Stream::new(connection))
        .header(CACHE_CONTROL, "no-store")
        .header(X_ACCEL_BUFFERING, "no"))
}

/// `POST /api/realtime`: 204, or where the client stands if it asks to resume.
pub async fn subscribe(mut call: Call) -> Result<Reply> {
    let received = body::read(&mut call, BODY_LIMIT, Form::Texts).await?;
    let ask = asked(received.body.values, received.is_form)?;
    let address = call.client_ip();
    match call.app().realtime.subscribe(ask, async || call.caller_now().await, address).await? {
        None => Ok(Reply::no_content()),
        Some(position) => serde_json::to_vec(&position).map(Reply::json).map_err(Error::internal),
    }
}

/// Keys are known in any case (`docs/wire/auth.md` §0.2); a form sends one topic as a text.
fn asked(mut values: Map<String, Json>, is_form: bool) -> Result<Subscribe> {
    let unreadable = || Error::invalid("The body could not be read.");
    let mut take = |key: &str| {
        let name = values.keys().find(|name| name.eq_ignore_ascii_case(key)).cloned();
        name.and_then(|name| values.remove(&name)).filter(|value| !value.is_null())
    };
    let client = match take("clientId") {
        None => String::new(),
        Some(Json::String(id)) => id,
        Some(_) => return Err(unreadable()),
    };
    let topics = match take("subscriptions") {
        None => Vec::new(),
        Some(Json::String(topic)) if is_form => vec![topic],
        Some(Json::Array(topics)) => {
            let texts = topics.into_iter().map(|topic| match topic {
                Json::String(text) => Ok(text),
                Json::Null => Ok(String::new()),
                _ => Err(unreadable()),
            });
            texts.collect::<Result<_>>()?
        }
        Some(_) => return Err(unreadable()),
    };
    let resume = match take("resume") {
        None => None,
        Some(Json::String(text)) if is_form => Some(serde_json::from_str(&text).map_err(|_| unreadable())?),
        Some(value) => Some(serde_json::from_value(value).map_err(|_| unreadable())?),
    };
    Ok(Subscribe { client, topics, resume })
}

/// The body of a stream: what its client is sent, until it has been idle or open for too long.
struct Stream {
    connection: Connection,
    /// The next time to look whether it is time to end.
    timer: Pin<Box<Sleep>>,
    ends: Instant,
    sent: Instant,
}

impl Stream {
    fn new(connection: Connection) -> Self {
        let now = Instant::now();
        Self { connection, timer: Box::pin(tokio::time::sleep(IDLE)), ends: now + LIFE, sent: now }
    }
}

impl MessageBody for Stream {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        if Instant::now() >= self.ends {
            return Poll::Ready(None);
        }
        if let Poll::Ready(piece) = self.connection.client().poll(context) {
            self.sent = Instant::now();
            return Poll::Ready(piece.map(Ok));
        }
        while self.timer.as_mut().poll(context).is_ready() {
            let due = self.ends.min(self.sent + IDLE);
            if due <= Instant::now() {
                return Poll::Ready(None);
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Kind;

    #[test]
    fn bodies_are_read_as_the_wire_has_them() {
        let read = |body: Json, is_form| asked(body.as_object().cloned().unwrap(), is_form);
        for (body, is_form, topics) in [
            (json!({"clientId": "a", "subscriptions": ["x", "y"]}), false, vec!["x", "y"]),
            (json!({"CLIENTID": "a", "subscriptions": null}), false, vec![]),
            (json!({"clientId": "a"}), false, vec![]),
            (json!({"clientId": "a", "subscriptions": "x"}), true, vec!["x"]),
            (json!({"clientId": "a", "subscriptions": ["x", null]}), false, vec!["x", ""]),
        ] {
            let ask = read(body.clone(), is_form).unwrap();
            assert_eq!(
                (ask.client.as_str(), ask.topics),
                ("a", topics.iter().map(ToString::to_string).collect()),
                "{body}"
            );
            assert_eq!(ask.resume, None);
        }
        for body in [
            json!({"clientId": 5}),
            json!({"clientId": "a", "subscriptions": "x"}),
            json!({"clientId": "a", "subscriptions": [5]}),
            json!({"clientId": "a", "subscriptions": {}}),
            json!({"clientId": "a", "resume": 5}),
            json!({"clientId": "a", "resume": {"seq": -1}}),
        ] {
            assert_eq!(read(body.clone(), false).unwrap_err().kind, Kind::Invalid, "{body}");
        }
        let resume = read(json!({"clientId": "a", "resume": {"epoch": "e", "seq": 7}}), false).unwrap().resume.unwrap();
        assert_eq!((resume.epoch.as_str(), resume.seq), ("e", 7));
    }
}
