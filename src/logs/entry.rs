//! What the log is told, kept small until the thread that writes makes a row of it (`docs/wire/services.md` §6.3).

use std::{net::IpAddr, sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};

use super::{ERROR, INFO, Policy, RequestNumber, trim};
use crate::clock::Timestamp;

/// Longer request targets, and longer headers, are cut.
const MAX_URL: usize = 3000;
const MAX_HEADER: usize = 2000;
/// Query parameters that let whoever has them in: what a log says must not open a door.
const SECRET: &str = "token=";

/// One row to be.
#[derive(Debug)]
pub struct Entry(Told);

#[derive(Debug)]
enum Told {
    Request(Request),
    Event(Box<Event>),
}

#[derive(Debug)]
struct Request {
    at: Timestamp,
    took: Duration,
    number: RequestNumber,
    status: u16,
    asked: Asked,
    who: Option<Who>,
    addresses: Option<Addresses>,
    failure: Option<Box<Failure>>,
}

#[derive(Debug)]
struct Event {
    at: Timestamp,
    level: i64,
    message: String,
    data: Map<String, Json>,
    weight: usize,
}

/// What a request asked for and what its client said of itself: one text, so that it is one allocation.
#[derive(Debug)]
pub struct Asked {
    text: Box<str>,
    /// Where method, target and referer end.
    ends: [usize; 3],
}

/// Who asked, when it was somebody.
#[derive(Debug, Clone)]
pub struct Who {
    pub collection: Arc<str>,
    /// When the policy wants it.
    pub id: Option<Arc<str>>,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Behind trusted proxies.
    pub client: IpAddr,
    /// The other end of the connection.
    pub peer: IpAddr,
}

/// Why a request failed.
#[derive(Debug)]
pub struct Failure {
    /// What the client was told.
    pub message: String,
    /// What it was not: a text, or texts by field.
    pub details: Json,
}

/// What a row holds besides its time.
#[derive(Debug)]
pub(super) struct Row {
    pub level: i64,
    pub message: String,
    /// JSON
    pub data: String,
}

impl Asked {
    /// Headers are blank where there were none.
    pub fn new(method: &str, target: &str, referer: &[u8], agent: &[u8]) -> Self {
        let (referer, agent) = (String::from_utf8_lossy(referer), String::from_utf8_lossy(agent));
        let parts = [cut(method, MAX_HEADER), cut(target, MAX_URL), cut(&referer, MAX_HEADER), cut(&agent, MAX_HEADER)];
        let mut text = String::with_capacity(parts.iter().map(|(part, mark)| part.len() + mark.len()).sum());
        let mut ends = [0; 4];
        for (end, (part, mark)) in ends.iter_mut().zip(parts) {
            text.push_str(part);
            text.push_str(mark);
            *end = text.len();
        }
        let [method, target, referer, _] = ends;
        Self { text: text.into(), ends: [method, target, referer] }
    }

    fn part(&self, from: usize, to: usize) -> &str {
        self.text.get(from..to).unwrap_or_default()
    }

    fn method(&self) -> &str {
        self.part(0, self.ends[0])
    }

    fn target(&self) -> &str {
        self.part(self.ends[0], self.ends[1])
    }

    fn referer(&self) -> &str {
        self.part(self.ends[1], self.ends[2])
    }

    fn agent(&self) -> &str {
        self.part(self.ends[2], self.text.len())
    }
}

impl Entry {
    /// A finished request. `at` is its end.
    #[allow(clippy::too_many_arguments)]
    pub fn request(
        at: Timestamp,
        took: Duration,
        number: RequestNumber,
        status: u16,
        asked: Asked,
        who: Option<Who>,
        addresses: Option<Addresses>,
        failure: Option<Failure>,
    ) -> Self {
        let failure = failure.map(Box::new);
        Self(Told::Request(Request { at, took, number, status, asked, who, addresses, failure }))
    }

    /// Something that happened, with what is known of it under names, and the request that it happened in.
    pub fn event(
        at: Timestamp,
        level: i64,
        message: String,
        mut data: Map<String, Json>,
        number: Option<RequestNumber>,
    ) -> Self {
        if let Some(number) = number {
            data.insert("requestId".to_owned(), number.to_string().into());
        }
        data.sort_keys();
        let texts = data.iter().map(|(key, value)| key.len() + value.as_str().map_or(16, str::len) + 64);
        let weight = size_of::<Event>() + message.len() + texts.sum::<usize>();
        Self(Told::Event(Box::new(Event { at, level, message, data, weight })))
    }

    pub(super) fn level(&self) -> i64 {
        match &self.0 {
            Told::Request(request) if request.failure.is_some() => ERROR,
            Told::Request(_) => INFO,
            Told::Event(event) => event.level,
        }
    }

    pub(super) fn at(&self) -> Timestamp {
        match &self.0 {
            Told::Request(request) => request.at,
            Told::Event(event) => event.at,
        }
    }

    /// Roughly its bytes in memory.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>()
            + match &self.0 {
                Told::Request(request) => {
                    let failure = request.failure.as_deref();
                    request.asked.text.len() + failure.map_or(0, |failure| 256 + 2 * failure.message.len())
                }
                Told::Event(event) => event.weight,
            }
    }

    pub(super) fn into_row(self, policy: &Policy) -> Row {
        let level = self.level();
        let (message, data) = match self.0 {
            Told::Request(request) => request.into_parts(),
            Told::Event(event) => (event.message, event.data),
        };
        let data = match usize::try_from(policy.max_data_size) {
            Ok(budget) if budget > 0 => trim::trim(data, budget),
            _ => data,
        };
        Row { level, message, data: Json::Object(data).to_string() }
    }
}

impl Request {
    /// The message and the data, whose keys are sorted.
    fn into_parts(self) -> (String, Map<String, Json>) {
        let target = masked(self.asked.target());
        let message = format!("{} {}", self.asked.method(), unescaped(&target));
        let mut data = Map::new();
        let mut put = |key: &str, value: Json| data.insert(key.to_owned(), value);
        put("auth", self.who.as_ref().map_or("", |who| &who.collection).into());
        if let Some(id) = self.who.as_ref().and_then(|who| who.id.as_deref()) {
            put("authId", id.into());
        }
        if let Some(failure) = self.failure {
            put("details", failure.details);
            put("error", failure.message.into());
        }
        put("execTime", (self.took.as_nanos() as f64 / 1e6).into());
        put("method", self.asked.method().into());
        put("referer", masked(self.asked.referer()).into());
        if let Some(addresses) = &self.addresses {
            put("remoteIP", expanded(addresses.peer).into());
        }
        put("requestId", self.number.to_string().into());
        put("status", self.status.into());
        put("type", "request".into());
        put("url", target.into());
        put("userAgent", self.asked.agent().into());
        if let Some(addresses) = &self.addresses {
            put("userIP", expanded(addresses.client).into());
        }
        (message, data)
    }
}

/// At most so many bytes of a text, and what says that there were more.
fn cut(text: &str, max: usize) -> (&str, &'static str) {
    if text.len() <= max { (text, "") } else { (&text[..text.floor_char_boundary(max)], "...") }
}

/// A target, or a whole URL, with the values of secret parameters taken out.
pub fn masked(target: &str) -> String {
    let Some((path, query)) = target.split_once('?').filter(|(_, query)| query.contains(SECRET)) else {
        return target.to_owned();
    };
    let parameters = query.split('&').map(|parameter| match parameter.starts_with(SECRET) {
        true => "token=***",
        false => parameter,
    });
    format!("{path}?{}", parameters.collect::<Vec<_>>().join("&"))
}

/// With `%xx` read as the bytes that they stand for; as it is when one of them stands for nothing.
fn unescaped(target: &str) -> String {
    if !target.contains('%') {
        return target.to_owned();
    }
    let mut bytes = Vec::with_capacity(target.len());
    let mut rest = target.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        match digit().and_then(|high| Some(high << 4 | digit()?)).and_then(|code| u8::try_from(code).ok()) {
            Some(code) => bytes.push(code),
            None => return target.to_owned(),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An address as the wire writes it (§2.6).
fn expanded(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|group| format!("{group:04x}")).join(":"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use serde_json::json;

    use super::*;

    const ALL: Policy = Policy { max_days: 5, min_level: 0, max_data_size: 0, with_ip: true, with_auth_id: true };

    fn request(target: &str, who: Option<Who>, failure: Option<Failure>) -> Entry {
        let asked = Asked::new("GET", target, b"", b"curl\xff");
        let client = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        let addresses = Some(Addresses { client, peer: IpAddr::from([127, 0, 0, 1]) });
        let took = Duration::from_micros(1250);
        Entry::request(Timestamp(0), took, RequestNumber::next(), 200, asked, who, addresses, failure)
    }

    #[test]
    fn a_request_is_a_row() {
        let who = Who { collection: "users".into(), id: Some("abc".into()) };
        let failure = Failure { message: "Not found.".to_owned(), details: Json::Null };
        let row = request("/a?x=%C3%A4", Some(who), Some(failure)).into_row(&ALL);
        assert_eq!((row.level, row.message.as_str()), (8, "GET /a?x=ä"));
        let mut data: Map<String, Json> = serde_json::from_str(&row.data).unwrap();
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
        let row = request("/", None, None).into_row(&ALL);
        assert_eq!(row.level, 0);
        assert!(row.data.starts_with(r#"{"auth":"","execTime":1.25"#), "{}", row.data);
    }

    #[test]
    fn targets_are_cut_masked_and_unescaped() {
        let long = format!("/{}", "ä".repeat(2000));
        for (target, url, message) in [
            ("/a%20b+c", "/a%20b+c".to_owned(), "GET /a b+c".to_owned()),
            ("/a%2", "/a%2".to_owned(), "GET /a%2".to_owned()),
            ("/a%zz%41", "/a%zz%41".to_owned(), "GET /a%zz%41".to_owned()),
            ("/a%ff", "/a%ff".to_owned(), "GET /a\u{fffd}".to_owned()),
            (
                "/f?thumb=1&token=abc&x=1",
                "/f?thumb=1&token=***&x=1".to_owned(),
                "GET /f?thumb=1&token=***&x=1".to_owned(),
            ),
            ("/f?mytoken=abc", "/f?mytoken=abc".to_owned(), "GET /f?mytoken=abc".to_owned()),
            (&long, format!("/{}...", "ä".repeat(1499)), format!("GET /{}...", "ä".repeat(1499))),
        ] {
            let row = request(target, None, None).into_row(&ALL);
            let data: Map<String, Json> = serde_json::from_str(&row.data).unwrap();
            assert_eq!((data["url"].as_str(), row.message), (Some(&*url), message), "{target}");
        }
    }
}
