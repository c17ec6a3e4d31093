//! The capture box: mails, pushes and webhooks that were kept instead of sent, so that a tester needs nobody to send them
//! to (`docs/mailbox.md`).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde::{Serialize, Serializer};
use serde_json::Value as Json;
use tokio::sync::watch;

use super::{Message, Template, extract};
use crate::clock::Timestamp;

/// The newest that are kept.
const MAX_MAILS: usize = 500;
/// All that is kept together, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The way that it would have gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    Email,
    WebPush,
    Fcm,
    Webhook,
}

impl Medium {
    pub const ALL: [Self; 4] = [Self::Email, Self::WebPush, Self::Fcm, Self::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::WebPush => "webpush",
            Self::Fcm => "fcm",
            Self::Webhook => "webhook",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|medium| medium.as_str() == name)
    }
}

/// An HTTP request that was made and kept instead of sent.
#[derive(Debug)]
pub struct Request {
    pub medium: Medium,
    /// Whom it is for, as a test knows them: `collection/record`, or an address.
    pub to: String,
    /// Where it would have gone: an endpoint, a URL, a registration token.
    pub target: String,
    pub subject: String,
    pub text: String,
    pub link: String,
    /// The headers that matter, with what they say.
    pub headers: Vec<(String, String)>,
    /// What it says, in clear.
    pub payload: Json,
    /// The very body that would have left; Base64 where it is no text.
    pub body: String,
}

/// Something that was kept. Mails and requests have the same members; what one of them has not is blank.
#[derive(Debug, Serialize)]
pub struct Captured {
    /// Grows with every mail of this run of the server.
    #[serde(serialize_with = "as_text")]
    pub id: u64,
    #[serde(serialize_with = "as_text")]
    pub created: Timestamp,
    pub channel: Medium,
    pub from: String,
    pub to: String,
    pub subject: String,
    #[serde(serialize_with = "template_name")]
    pub template: Option<Template>,
    pub links: Vec<String>,
    pub tokens: Vec<String>,
    pub codes: Vec<String>,
    pub text: String,
    pub html: String,
    #[serde(serialize_with = "as_object")]
    pub headers: Vec<(String, String)>,
    pub target: String,
    pub payload: Json,
    pub body: String,
}

fn as_object<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn template_name<S: Serializer>(template: &Option<Template>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(template.map_or("", Template::as_str))
}

/// Which mails.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The recipient, in any case.
    pub to: Option<String>,
    pub channel: Option<Medium>,
    /// Where a request would have gone.
    pub target: Option<String>,
    pub template: Option<Template>,
    /// Only mails newer than the one of this id.
    pub after: Option<u64>,
}

impl Search {
    fn matches(&self, mail: &Captured) -> bool {
        self.to.as_ref().is_none_or(|to| mail.to.eq_ignore_ascii_case(to))
            && self.channel.is_none_or(|channel| mail.channel == channel)
            && self.target.as_ref().is_none_or(|target| mail.target == *target)
            && self.template.is_none_or(|template| mail.template == Some(template))
            && self.after.is_none_or(|after| mail.id > after)
    }
}

/// Bounded by count and bytes; the oldest mails go first. Cheap to clone.
#[derive(Clone)]
pub struct Mailbox {
    shared: Arc<Shared>,
}

struct Shared {
    /// Guards the mails; held for list operations only, never across an await.
    kept: Mutex<Kept>,
    /// The id of the newest mail, for those who wait for one.
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    mails: VecDeque<Arc<Captured>>,
    bytes: usize,
    last: u64,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { shared: Arc::new(Shared { kept: Mutex::default(), newest: watch::channel(0).0 }) }
    }
}

impl Mailbox {
    /// Keeps a mail, at the cost of the oldest ones.
    pub(super) fn keep(&self, message: Message, from: String, headers: Vec<(String, String)>, now: Timestamp) {
        let found = extract::from(&message.html, &message.text);
        self.add(Captured {
            id: 0,
            created: now,
            channel: Medium::Email,
            from,
            to: message.to,
            subject: message.subject,
            template: message.template,
            links: found.links,
            tokens: found.tokens,
            codes: found.codes,
            text: message.text,
            html: message.html,
            headers,
            target: String::new(),
            payload: Json::Null,
            body: String::new(),
        });
    }

    /// Keeps a request, the same way.
    pub fn keep_request(&self, request: Request, now: Timestamp) {
        self.add(Captured {
            id: 0,
            created: now,
            channel: request.medium,
            from: String::new(),
            to: request.to,
            subject: request.subject,
            template: None,
            links: Some(request.link).into_iter().filter(|link| !link.is_empty()).collect(),
            tokens: Vec::new(),
            codes: Vec::new(),
            text: request.text,
            html: String::new(),
            headers: request.headers,
            target: request.target,
            payload: request.payload,
            body: request.body,
        });
    }

    fn add(&self, mut mail: Captured) {
        let mut kept = self.shared.kept.lock();
        kept.last += 1;
        mail.id = kept.last;
        kept.bytes += mail.size();
        kept.mails.push_back(Arc::new(mail));
        while kept.mails.len() > MAX_MAILS || kept.bytes > MAX_BYTES {
            let Some(oldest) = kept.mails.pop_front() else { break };
            kept.bytes -= oldest.size();
        }
        let newest = kept.last;
        drop(kept);
        self.shared.newest.send_replace(newest);
    }

    /// The mails that match, newest first, at most `limit` of them, and how many there are.
    pub fn list(&self, search: &Search, limit: usize) -> (Vec<Arc<Captured>>, usize) {
        let kept = self.shared.kept.lock();
        let matching = || kept.mails.iter().rev().filter(|mail| search.matches(mail));
        (matching().take(limit).cloned().collect(), matching().count())
    }

    /// The same, but not before one matches or `patience` is over.
    pub async fn wait(&self, search: &Search, limit: usize, patience: Duration) -> (Vec<Arc<Captured>>, usize) {
        // Subscribed before the first look: what arrives in between is not missed.
        let mut newest = self.shared.newest.subscribe();
        let found = tokio::time::timeout(patience, async {
            loop {
                newest.mark_unchanged();
                let found = self.list(search, limit);
                // The sender lives as long as this box does.
                if found.1 > 0 || newest.changed().await.is_err() {
                    return found;
                }
            }
        });
        found.await.unwrap_or_default()
    }

    /// The mail of this id, if it is still there.
    pub fn get(&self, id: u64) -> Option<Arc<Captured>> {
        self.shared.kept.lock().mails.iter().find(|mail| mail.id == id).cloned()
    }

    /// All that there is, oldest first.
    pub fn all(&self) -> Vec<Arc<Captured>> {
        self.shared.kept.lock().mails.iter().cloned().collect()
    }

    /// Has the box hold what it held once. Ids go on.
    pub fn replace(&self, mails: Vec<Arc<Captured>>) {
        let mut kept = self.shared.kept.lock();
        kept.bytes = mails.iter().map(|mail| mail.size()).sum();
        kept.mails = mails.into();
        drop(kept);
        self.shared.newest.send_modify(|_| {});
    }

    /// Forgets all mails. Ids go on.
    pub fn clear(&self) {
        let mut kept = self.shared.kept.lock();
        kept.mails.clear();
        kept.bytes = 0;
    }
}

impl Captured {
    /// About what it takes in memory, in bytes.
    fn size(&self) -> usize {
        let lists = [&self.links, &self.tokens, &self.codes];
        let listed: usize = lists.into_iter().flatten().map(|text| text.len() + size_of::<String>()).sum();
        size_of::<Self>()
            + listed
            + self.from.len()
            + self.to.len()
            + self.subject.len()
            + self.text.len()
            + self.html.len()
            + self.headers.iter().map(|(name, value)| name.len() + value.len() + 2 * size_of::<String>()).sum::<usize>()
            + self.target.len()
            + weight(&self.payload)
            + self.body.len()
    }
}

/// About what a value takes in memory, in bytes.
fn weight(value: &Json) -> usize {
    size_of::<Json>()
        + match value {
            Json::String(text) => text.len(),
            Json::Array(items) => items.iter().map(weight).sum(),
            Json::Object(members) => members.iter().map(|(name, value)| name.len() + 32 + weight(value)).sum(),
            Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(mailbox: &Mailbox, to: &str, html: &str, template: Option<Template>) {
        let message = Message { template, ..Message::new(to, "s", html) };
        mailbox.keep(message, "x <a@b.c>".to_owned(), vec![("A".to_owned(), "b".to_owned())], Timestamp(0));
    }

    fn ids(found: &[Arc<Captured>]) -> Vec<u64> {
        found.iter().map(|mail| mail.id).collect()
    }

    #[test]
    fn mails_are_found_newest_first() {
        let mailbox = Mailbox::default();
        for (to, template) in [("ann@x.co", Some(Template::Otp)), ("bob@x.co", Some(Template::Otp)), ("Ann@x.co", None)]
        {
            keep(&mailbox, to, "1", template);
        }
        let to = |to: &str| Search { to: Some(to.to_owned()), ..Search::default() };
        let of = |template| Search { template: Some(template), ..Search::default() };
        for (search, limit, expected, total) in [
            (Search::default(), 10, vec![3, 2, 1], 3),
            (Search::default(), 1, vec![3], 3),
            (Search::default(), 0, vec![], 3),
            (to("ANN@x.co"), 10, vec![3, 1], 2),
            (to("ann"), 10, vec![], 0),
            (of(Template::Otp), 10, vec![2, 1], 2),
            (of(Template::Verification), 10, vec![], 0),
            (Search { after: Some(1), ..to("ann@x.co") }, 10, vec![3], 1),
            (Search { after: Some(u64::MAX), ..Search::default() }, 10, vec![], 0),
        ] {
            let (found, count) = mailbox.list(&search, limit);
            assert_eq!((ids(&found), count), (expected, total), "{search:?}");
        }
        mailbox.clear();
        assert!(mailbox.list(&Search::default(), 10).1 == 0 && mailbox.get(1).is_none());
        keep(&mailbox, "ann@x.co", "1", None);
        assert!(mailbox.get(4).is_some(), "ids go on");
    }

    #[test]
    fn requests_are_kept_beside_the_mails() {
        let mailbox = Mailbox::default();
        keep(&mailbox, "ann@x.co", "1", None);
        let request = Request {
            medium: Medium::Webhook,
            to: "users/ann".to_owned(),
            target: "https://x.y/hook".to_owned(),
            subject: "s".to_owned(),
            text: "t".to_owned(),
            link: String::new(),
            headers: vec![("webhook-id".to_owned(), "1".to_owned())],
            payload: serde_json::json!({"type": "x"}),
            body: "{}".to_owned(),
        };
        mailbox.keep_request(request, Timestamp(0));
        let target = Some("https://x.y/hook".to_owned());
        for (search, expected) in [
            (Search::default(), vec![2, 1]),
            (Search { channel: Some(Medium::Webhook), ..Search::default() }, vec![2]),
            (Search { channel: Some(Medium::Email), ..Search::default() }, vec![1]),
            (Search { channel: Some(Medium::Fcm), ..Search::default() }, vec![]),
            (Search { target, ..Search::default() }, vec![2]),
            (Search { to: Some("users/ann".to_owned()), ..Search::default() }, vec![2]),
        ] {
            assert_eq!(ids(&mailbox.list(&search, 10).0), expected, "{search:?}");
        }
        let json = serde_json::to_value(mailbox.get(2).unwrap()).unwrap();
        assert_eq!(json["headers"]["webhook-id"], "1");
        for medium in Medium::ALL {
            assert_eq!(serde_json::to_value(medium).unwrap(), medium.as_str());
            assert_eq!(Medium::parse(medium.as_str()), Some(medium));
        }
    }

    #[test]
    fn the_oldest_go_first_by_count_and_by_bytes() {
        let mailbox = Mailbox::default();
        for _ in 0..MAX_MAILS + 7 {
            keep(&mailbox, "ann@x.co", "1", None);
        }
        let (found, total) = mailbox.list(&Search::default(), usize::MAX);
        assert_eq!((total, found[0].id, found[MAX_MAILS - 1].id), (MAX_MAILS, MAX_MAILS as u64 + 7, 8));

        let (large, last) = ("x".repeat(MAX_BYTES / 10), MAX_MAILS as u64 + 7);
        for _ in 0..9 {
            keep(&mailbox, "ann@x.co", &large, None);
        }
        let kept = mailbox.shared.kept.lock();
        let bytes: usize = kept.mails.iter().map(|mail| mail.size()).sum();
        assert!(kept.bytes == bytes && bytes <= MAX_BYTES, "{bytes} {}", kept.bytes);
        assert!(kept.mails.len() < 9 && kept.mails.back().unwrap().id == last + 9);
    }

    #[actix_web::test]
    async fn waiting_ends_with_the_mail() {
        let mailbox = Mailbox::default();
        keep(&mailbox, "bob@x.co", "1", None);
        let search = Search { to: Some("ann@x.co".to_owned()), ..Search::default() };
        let nothing = mailbox.wait(&search, 10, Duration::from_millis(20)).await;
        assert!(nothing.0.is_empty() && nothing.1 == 0);
        assert_eq!(mailbox.wait(&Search::default(), 10, Duration::ZERO).await.1, 1, "what is there needs no wait");

        let (arriving, waited) = (mailbox.clone(), search.clone());
        let waiting = actix_web::rt::spawn(async move { arriving.wait(&waited, 10, Duration::from_secs(60)).await });
        tokio::task::yield_now().await;
        keep(&mailbox, "bob@x.co", "1", None);
        tokio::task::yield_now().await;
        keep(&mailbox, "ann@x.co", "1", None);
        assert_eq!(ids(&waiting.await.unwrap().0), [3]);
    }

    #[test]
    fn answers_have_texts_for_ids_times_and_templates() {
        let mailbox = Mailbox::default();
        keep(&mailbox, "ann@x.co", "<p>123456", Some(Template::PasswordReset));
        let json = serde_json::to_value(mailbox.get(1).unwrap()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"id": "1", "created": "1970-01-01 00:00:00.000Z", "channel": "email", "from": "x <a@b.c>", "to": "ann@x.co",
                "subject": "s", "template": "password-reset", "links": [], "tokens": [], "codes": ["123456"],
                "text": "123456\n", "html": "<p>123456", "headers": {"A": "b"}, "target": "", "payload": null, "body": ""})
        );
    }
}
