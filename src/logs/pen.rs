//! What a row says (`docs/wire/services.md` §6.3). Its texts are written into memory that is used for every row.

use std::{
    fmt::{Display, Write},
    net::IpAddr,
    time::Duration,
};

use serde_json::{Map, Value as Json};

use super::{
    Policy,
    entry::{Entry, Event, Kept, Pile, Texts},
    mask::{masked, unescaped},
    trim,
};
use crate::clock::Timestamp;

/// One row after the other.
#[derive(Debug, Default)]
pub(super) struct Pen {
    pub message: String,
    /// JSON; an object's keys are sorted.
    pub data: String,
    pub created: String,
    /// What `created` says.
    moment: Option<Timestamp>,
}

impl Pen {
    /// Writes the row of an entry of this pile.
    pub(super) fn write(&mut self, pile: &Pile, entry: &Entry, policy: &Policy) {
        self.message.clear();
        self.data.clear();
        if self.moment != Some(entry.at()) {
            self.moment = Some(entry.at());
            self.created.clear();
            put(&mut self.created, entry.at());
        }
        match entry {
            Entry::Request(kept) => self.request(kept, &pile.texts(kept)),
            Entry::Event(event) => self.event(event),
        }
        if let Ok(budget @ 1..) = usize::try_from(policy.max_data_size) {
            let data: Map<String, Json> = serde_json::from_str(&self.data).expect("it was written as JSON");
            self.data.clear();
            put(&mut self.data, Json::Object(trim::trim(data, budget)));
        }
    }

    fn event(&mut self, event: &Event) {
        self.message.push_str(&event.message);
        self.data = serde_json::to_string(&event.data).expect("it is JSON");
    }

    fn request(&mut self, kept: &Kept, texts: &Texts<'_>) {
        let target = masked(texts.target);
        self.message.push_str(texts.method);
        self.message.push(' ');
        self.message.push_str(&unescaped(&target));

        let data = &mut self.data;
        data.push_str(r#"{"auth":"#);
        quote(data, texts.collection);
        if !texts.id.is_empty() {
            data.push_str(r#","authId":"#);
            quote(data, texts.id);
        }
        if let Some(failure) = &kept.failure {
            data.push_str(r#","details":"#);
            put(data, &failure.details);
            data.push_str(r#","error":"#);
            quote(data, &failure.message);
        }
        data.push_str(r#","execTime":"#);
        millis(data, kept.took);
        data.push_str(r#","method":"#);
        quote(data, texts.method);
        data.push_str(r#","referer":"#);
        quote(data, &masked(texts.referer));
        if let Some(addresses) = &kept.addresses {
            data.push_str(r#","remoteIP":""#);
            address(data, addresses.peer);
            data.push('"');
        }
        data.push_str(r#","requestId":""#);
        put(data, kept.number);
        data.push_str(r#"","status":"#);
        put(data, kept.status);
        data.push_str(r#","type":"request","url":"#);
        quote(data, &target);
        data.push_str(r#","userAgent":"#);
        quote(data, texts.agent);
        if let Some(addresses) = &kept.addresses {
            data.push_str(r#","userIP":""#);
            address(data, addresses.client);
            data.push('"');
        }
        data.push('}');
    }
}

fn put(into: &mut String, what: impl Display) {
    write!(into, "{what}").expect("a string takes everything");
}

/// As a JSON text.
fn quote(into: &mut String, text: &str) {
    into.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        // All of these are characters of one byte.
        into.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' | b'\\' => {
                into.push('\\');
                into.push(char::from(byte));
            }
            b'\n' => into.push_str("\\n"),
            b'\r' => into.push_str("\\r"),
            b'\t' => into.push_str("\\t"),
            other => put(into, format_args!("\\u{other:04x}")),
        }
    }
    into.push_str(&text[from..]);
    into.push('"');
}

/// Milliseconds, with as many decimals as there are nanoseconds.
fn millis(into: &mut String, took: Duration) {
    let nanos = took.as_nanos();
    put(into, nanos / 1_000_000);
    into.push('.');
    let start = into.len();
    put(into, format_args!("{:06}", nanos % 1_000_000));
    let end = into.trim_end_matches('0').len();
    into.truncate(end.max(start + 1));
}

/// An address as the wire writes it (§2.6).
fn address(into: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => put(into, address),
        IpAddr::V6(address) => {
            for (place, group) in address.segments().into_iter().enumerate() {
                let colon = if place == 0 { "" } else { ":" };
                put(into, format_args!("{colon}{group:04x}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::logs::{Addresses, Failure, Request, RequestNumber, Who};

    const ALL: Policy = Policy { max_days: 5, min_level: 0, max_data_size: 0, with_ip: true, with_auth_id: true };

    fn row(target: &str, who: Option<&Who>, failure: Option<Failure>) -> (i64, String, String) {
        let client = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        let request = Request {
            at: Timestamp(0),
            took: Duration::from_micros(1250),
            number: RequestNumber::next(),
            status: 200,
            method: "GET",
            target,
            referer: b"",
            agent: b"curl\xff",
            who,
            addresses: Some(Addresses { client, peer: IpAddr::from([127, 0, 0, 1]) }),
            failure,
        };
        let mut pile = Pile::default();
        pile.add_event(Box::new(Event::new(Timestamp(0), 0, "before".to_owned(), Map::new(), None)));
        pile.add_request(request);
        let (mut pen, entry) = (Pen::default(), &pile.entries[1]);
        pen.write(&pile, &pile.entries[0], &ALL);
        pen.write(&pile, entry, &ALL);
        assert_eq!(pen.created, "1970-01-01 00:00:00.000Z");
        (entry.level(), pen.message, pen.data)
    }

    #[test]
    fn a_request_is_a_row() {
        let who = Who { collection: "users".into(), id: Some("abc".into()) };
        let failure = Failure { message: "Not found.".to_owned(), details: Json::Null };
        let (level, message, data) = row("/a?x=%C3%A4", Some(&who), Some(failure));
        assert_eq!((level, message.as_str()), (8, "GET /a?x=ä"));
        let mut data: Map<String, Json> = serde_json::from_str(&data).unwrap();
        assert!(data.shift_remove("requestId").is_some());
        let keys: Vec<_> = data.keys().collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(
            Json::Object(data),
            json!({
                "auth": "users", "authId": "abc", "details": null, "error": "Not found.", "execTime": 1.25,
                "method": "GET", "referer": "", "remoteIP": "127.0.0.1", "status": 200, "type": "request",
                "url": "/a?x=%C3%A4", "userAgent": "curl\u{fffd}",
                "userIP": "2001:0db8:0000:0000:0000:0000:0000:0001",
            })
        );
        let (level, _, data) = row("/", None, None);
        assert_eq!(level, 0);
        assert!(data.starts_with(r#"{"auth":"","execTime":1.25,"#), "{data}");
    }

    #[test]
    fn targets_are_cut_masked_and_unescaped() {
        let long = format!("/{}", "ä".repeat(2000));
        for (target, url, message) in [
            ("/a%20b+c", "/a%20b+c".to_owned(), "GET /a b+c".to_owned()),
            ("/f?token=abc&x=1", "/f?token=***&x=1".to_owned(), "GET /f?token=***&x=1".to_owned()),
            ("/api/notify/open/abc", "/api/notify/open/***".to_owned(), "GET /api/notify/open/***".to_owned()),
            (&long, format!("/{}...", "ä".repeat(1499)), format!("GET /{}...", "ä".repeat(1499))),
        ] {
            let (_, told, data) = row(target, None, None);
            let data: Map<String, Json> = serde_json::from_str(&data).unwrap();
            assert_eq!((data["url"].as_str(), told), (Some(&*url), message), "{target}");
        }
    }

    #[test]
    fn times_have_the_decimals_they_need() {
        for (nanos, expected) in
            [(0, "0.0"), (1, "0.000001"), (1_250_000, "1.25"), (3_000_000_000, "3000.0"), (57_437, "0.057437")]
        {
            let mut text = String::new();
            millis(&mut text, Duration::from_nanos(nanos));
            assert_eq!(text, expected);
        }
    }

    proptest! {
        #[test]
        fn texts_are_quoted_as_json(text in "[\\x00-\\x7f]{0,20}\\PC{0,20}") {
            let mut quoted = String::new();
            quote(&mut quoted, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        }
    }
}
