//! Mail: composing the mails of accounts and getting any mail out of the house (`docs/wire/auth.md` §10).
//!
//! May touch `schema`, `settings` and `db` (types). Main types: [`Mail`] sends a [`Message`], [`compose`] makes one from a
//! collection's template, [`Mailbox`] keeps what was not sent, pushes and webhooks included. The room stores nothing: mails that may wait are jobs of
//! `auth`, which mints their tokens when it sends.
//!
//! | file | idea |
//! | --- | --- |
//! | `template`, `layout` | placeholders, and the page around a body |
//! | `text` | the plain-text alternative, made from the HTML |
//! | `message` | the bytes that travel, and why no header can be smuggled in |
//! | `smtp`, `sendmail` | the two ways out |
//! | `undelivered` | why a mail did not go out, and whether to try again |
//! | `mailbox`, `extract` | the capture box, and what testers look for in it |

mod extract;
mod layout;
mod mailbox;
mod message;
mod sendmail;
mod smtp;
mod template;
mod text;
mod undelivered;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, time::timeout};

pub use self::{
    layout::{before_end, wrap},
    mailbox::{Captured, Mailbox, Medium, Request, Search},
    message::{Marks, Message},
    template::{Fill, Template, compose, escaped},
    text::{from_html as text_from_html, rewrite_links},
    undelivered::{Undelivered, is_dead_address, is_permanent},
};
use crate::{
    clock::{Clock, Timestamp},
    error::Result,
    settings,
};

/// Sending one mail takes no longer than this, come what may.
const BUDGET: Duration = Duration::from_secs(15);
/// Mails on their way at the same time; mail servers refuse whoever opens many connections. More wait, within their
/// budget.
const CONCURRENT: usize = 8;
/// Milliseconds between two warnings that mails are not really sent.
const WARNING_PAUSE: i64 = 60_000;

/// The way out for mails. Cheap to clone.
#[derive(Clone)]
pub struct Mail {
    inner: Arc<Inner>,
}

struct Inner {
    settings: settings::Store,
    clock: Clock,
    /// Keeps every mail instead of sending it.
    capture: bool,
    mailbox: Mailbox,
    trust: smtp::Trust,
    lines: Semaphore,
    /// When it was last said that mails are not sent.
    warned: AtomicI64,
}

impl Mail {
    /// With `capture` no mail leaves the house.
    pub fn new(settings: settings::Store, clock: Clock, capture: bool) -> Self {
        let inner = Inner {
            settings,
            clock,
            capture,
            mailbox: Mailbox::default(),
            trust: smtp::Trust::default(),
            lines: Semaphore::new(CONCURRENT),
            warned: AtomicI64::new(i64::MIN),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What was kept instead of sent.
    pub fn mailbox(&self) -> &Mailbox {
        &self.inner.mailbox
    }

    /// Whether every mail is kept instead of sent, for testers.
    pub fn captures(&self) -> bool {
        self.inner.capture
    }

    /// Whether this machine has a program that sends mails when no mail server is set. Looks at the disk.
    pub async fn has_program(&self) -> bool {
        tokio::task::spawn_blocking(sendmail::program).await.is_ok_and(|program| program.is_some())
    }

    /// Sends `message` by the way that the settings of this moment say, within 15 seconds: into the capture box, by SMTP,
    /// or by the machine's `sendmail`; without any of them into the box with a warning. Done means that somebody took
    /// responsibility for it. [`is_permanent`] tells whether a failure is worth another try; its cause
    /// ([`Undelivered`]) is not for clients.
    pub async fn send(&self, message: Message) -> Result<()> {
        let settings = self.inner.settings.current();
        let now = self.inner.clock.now();
        // Made in any case: a mail that could not be sent must not look fine to a tester.
        let letter = message::letter(&message, &settings.meta, now)?;
        if self.inner.capture {
            // Not the subject: its template may put a code there.
            let template = message.template.map_or("", Template::as_str);
            tracing::info!(to = message.to, template, "kept a mail, see GET /api/mailbox");
            self.keep(message, letter, &settings, now);
            return Ok(());
        }
        let sending = async {
            let _line = self.inner.lines.acquire().await;
            if settings.smtp.enabled {
                return smtp::deliver(&settings.smtp, &self.inner.trust, &letter).await;
            }
            match tokio::task::spawn_blocking(sendmail::program).await.ok().flatten() {
                Some(program) => sendmail::deliver(program, &letter).await,
                None => {
                    self.warn();
                    self.keep(message, letter, &settings, now);
                    Ok(())
                }
            }
        };
        let late = |_| Err(Undelivered::for_now(format!("not done within {} seconds", BUDGET.as_secs())));
        Ok(timeout(BUDGET, sending).await.unwrap_or_else(late)?)
    }

    fn keep(&self, mut message: Message, letter: message::Letter, settings: &settings::Settings, now: Timestamp) {
        message.subject = message::subject(&message.subject);
        self.inner.mailbox.keep(message, message::sender(&settings.meta), letter.headers, now);
    }

    /// Says at most once a minute that mails are not sent.
    fn warn(&self) {
        let now = self.inner.clock.now().millis();
        let last = self.inner.warned.load(Ordering::Relaxed);
        if now.saturating_sub(last) < WARNING_PAUSE && last != i64::MIN {
            return;
        }
        // Of several at once, one speaks.
        if self.inner.warned.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(
                "MAILS ARE NOT SENT: there is no mail server in the settings (smtp) and no sendmail program on this \
                 machine. They are kept for a while and can be read at GET /api/mailbox"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        clock::Timestamp,
        db::{
            Db,
            testing::{TempDir, options},
        },
        error::Kind,
    };

    async fn mail(capture: bool, patch: serde_json::Value) -> (Mail, Db, TempDir) {
        let dir = TempDir::new();
        let db = Db::open(dir.path(), options()).unwrap();
        let settings = settings::Store::open(db.clone(), None).unwrap();
        settings.patch(patch.as_object().unwrap().clone()).await.unwrap();
        (Mail::new(settings, Clock::manual(Timestamp(1_800_000_000_000)), capture), db, dir)
    }

    #[actix_web::test]
    async fn a_capturing_house_sends_nothing_whatever_the_settings_say() {
        // Nobody listens on this port: an attempt would fail.
        let smtp =
            json!({"smtp": {"enabled": true, "host": "127.0.0.1", "port": 1}, "meta": {"senderName": "A\r\nBcc: x"}});
        let (mail, db, _dir) = mail(true, smtp.clone()).await;
        mail.send(Message::new("ann@example.com", "a\r\nb", "<p>1234567</p>")).await.unwrap();
        let (found, total) = mail.mailbox().list(&Search::default(), 10);
        assert_eq!((total, found[0].subject.as_str(), found[0].codes.len()), (1, "a b", 1));
        assert_eq!(found[0].from, "A Bcc: x <support@example.com>");

        // What no server would take is refused here as well.
        let error = mail.send(Message::new("nobody", "", "")).await.unwrap_err();
        assert!(error.kind == Kind::Invalid && error.issues.is_empty() && is_permanent(&error), "{error}");
        assert!(!error.message.contains("nobody"), "{}", error.message);
        db.close().await;
    }

    #[actix_web::test]
    async fn a_server_that_is_not_there_is_worth_another_try() {
        let (mail, db, _dir) = mail(false, json!({"smtp": {"enabled": true, "host": "127.0.0.1", "port": 1}})).await;
        let error = mail.send(Message::new("ann@example.com", "s", "<p>x</p>")).await.unwrap_err();
        assert!(error.kind == Kind::Invalid && !is_permanent(&error), "{error}");
        assert!(Undelivered::behind(&error).unwrap().what.contains("127.0.0.1:1"), "{error}");
        assert_eq!(
            (error.message.as_ref(), mail.mailbox().list(&Search::default(), 1).1),
            ("The mail could not be sent.", 0)
        );
        db.close().await;
    }
}
