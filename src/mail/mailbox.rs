//! The capture box: mails that were kept instead of sent, so that a tester needs no mail server (`docs/mailbox.md`).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde::{Serialize, Serializer};
use tokio::sync::watch;

use super::{Message, Template, extract};
use crate::clock::Timestamp;

/// The newest mails that are kept.
const MAX_MAILS: usize = 500;
/// All kept mails together, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A mail that was kept.
#[derive(Debug, Serialize)]
pub struct Captured {
    /// Grows with every mail of this run of the server.
    #[serde(serialize_with = "as_text")]
    pub id: u64,
    #[serde(serialize_with = "as_text")]
    pub created: Timestamp,
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
    pub template: Option<Template>,
    /// Only mails newer than the one of this id.
    pub after: Option<u64>,
}

impl Search {
    fn matches(&self, mail: &Captured) -> bool {
        self.to.as_ref().is_none_or(|to| mail.to.eq_ignore_ascii_case(to))
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
    pub(super) fn keep(&self, message: Message, from: String, now: Timestamp) {
        let found = extract::from(&message.html, &message.text);
        let mut kept = self.shared.kept.lock();
        kept.last += 1;
        let mail = Captured {
            id: kept.last,
            created: now,
            from,
            to: message.to,
            subject: message.subject,
            template: message.template,
            links: found.links,
            tokens: found.tokens,
            codes: found.codes,
            text: message.text,
            html: message.html,
        };
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(mailbox: &Mailbox, to: &str, html: &str, template: Option<Template>) {
        let message = Message { template, ..Message::new(to, "s", html) };
        mailbox.keep(message, "x <a@b.c>".to_owned(), Timestamp(0));
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
            serde_json::json!({"id": "1", "created": "1970-01-01 00:00:00.000Z", "from": "x <a@b.c>", "to": "ann@x.co",
                "subject": "s", "template": "password-reset", "links": [], "tokens": [], "codes": ["123456"],
                "text": "123456\n", "html": "<p>123456"})
        );
    }
}
