//! Tokens that let whoever holds them do one small thing: stop mails of a category, or tell what became of a delivery.
//!
//! A token says what it is for and is signed with a secret of this directory (HMAC-SHA256). Nothing is stored of it, so
//! the link in an old mail works when its delivery is long forgotten, and nobody can make one up: a link leads only where
//! a letter of ours led.

use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::sync::OnceCell;

use crate::{
    db::{Db, ReadTx, WriteTx},
    error::Result,
    notify::who::Recipient,
    random, settings,
};

/// Where the secret is, in `__conch_meta`.
const SECRET: &str = "notify_secret";
/// Characters of a new secret: more than 256 bits.
const SECRET_LENGTH: usize = 64;
/// Bytes of a signature.
const SIGNATURE: usize = 16;
/// Longer tokens are not looked at.
const MAX_LENGTH: usize = 8192;
/// Where the routes of tokens begin.
const ROUTE: &str = "/api/notify/";

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// Stops (or lets in again) the mails of a category to a recipient.
    Unsubscribe { recipient: Recipient, category: String },
    /// Tells that the mail of a delivery was opened.
    Open { delivery: String },
    /// Tells that a link in it was followed, and where that leads.
    Click { delivery: String, target: String },
    /// Tells whatever a device knows of a delivery.
    Receipt { delivery: String },
}

impl Grant {
    /// A name for its purpose, and what belongs to it. The name is signed with the rest.
    fn parts(&self) -> Vec<&str> {
        match self {
            Self::Unsubscribe { recipient, category } => {
                let (collection, record, address) = recipient.columns();
                vec!["u", collection, record, address, category]
            }
            Self::Open { delivery } => vec!["o", delivery],
            Self::Click { delivery, target } => vec!["c", delivery, target],
            Self::Receipt { delivery } => vec!["r", delivery],
        }
    }

    fn of(parts: &[String]) -> Option<Self> {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Some(match parts.as_slice() {
            ["u", "", "", address, category] => {
                let recipient = Recipient::Address((*address).into());
                Self::Unsubscribe { recipient, category: (*category).to_owned() }
            }
            ["u", collection, record, _, category] => {
                let recipient = Recipient::Account { collection: (*collection).into(), record: (*record).into() };
                Self::Unsubscribe { recipient, category: (*category).to_owned() }
            }
            ["o", delivery] => Self::Open { delivery: (*delivery).to_owned() },
            ["c", delivery, target] => Self::Click { delivery: (*delivery).to_owned(), target: (*target).to_owned() },
            ["r", delivery] => Self::Receipt { delivery: (*delivery).to_owned() },
            _ => return None,
        })
    }
}

/// Makes and reads the links with tokens. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    db: Db,
    settings: settings::Store,
    /// Found when it is first needed.
    key: Arc<OnceCell<hmac::Key>>,
}

impl Links {
    /// Finds the secret, or makes it. What stands in the way of that now is met again when it is needed.
    pub fn new(db: Db, settings: settings::Store) -> Self {
        let found = db.read_blocking(stored).and_then(|secret| match secret {
            Some(secret) => Ok(secret),
            None => {
                let fresh = fresh_secret();
                db.write_blocking(move |tx| kept(tx, &fresh))
            }
        });
        let key = match found {
            Ok(secret) => OnceCell::new_with(Some(key_of(&secret))),
            Err(error) => {
                tracing::warn!(%error, "the secret of links in notifications cannot be read now");
                OnceCell::new()
            }
        };
        Self { db, settings, key: Arc::new(key) }
    }

    /// [`Links::signer`] without waiting; `None` while the secret could not be read.
    pub fn signer_now(&self) -> Option<Signer> {
        Some(self.sign_with(self.key.get()?))
    }

    fn sign_with(&self, key: &hmac::Key) -> Signer {
        let base = self.settings.current().meta.app_url.trim_end_matches('/').to_owned();
        Signer { key: key.clone(), base }
    }

    /// Signs for the address that the settings of this moment say the app has.
    pub async fn signer(&self) -> Result<Signer> {
        Ok(self.sign_with(self.key().await?))
    }

    /// What a token is good for; `None` if it is not one of ours.
    pub async fn read(&self, token: &str) -> Result<Option<Grant>> {
        let key = self.key().await?;
        Ok(read(key, token))
    }

    /// The key, from the secret that was made once for this directory.
    async fn key(&self) -> Result<&hmac::Key> {
        let make = || async {
            let fresh = fresh_secret();
            Ok(key_of(&self.db.write(move |tx| kept(tx, &fresh)).await?))
        };
        self.key.get_or_try_init(make).await
    }
}

fn fresh_secret() -> String {
    random::string(random::ALPHANUMERIC, SECRET_LENGTH)
}

fn key_of(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

fn stored(tx: &ReadTx<'_>) -> Result<Option<String>> {
    tx.query_one("SELECT value FROM __conch_meta WHERE key = ?1", [SECRET], |row| row.get(0))
}

/// The secret of this directory, which is `fresh` if it had none.
fn kept(tx: &mut WriteTx<'_>, fresh: &str) -> Result<String> {
    let insert = "INSERT INTO __conch_meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";
    tx.execute(insert, [SECRET, fresh])?;
    Ok(stored(tx)?.unwrap_or_else(|| fresh.to_owned()))
}

/// Makes links. Holds what it needs, so it never waits.
#[derive(Clone)]
pub struct Signer {
    key: hmac::Key,
    base: String,
}

impl Signer {
    /// Where the app is, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The page, and the one-click address, that ends mails of this category to this recipient.
    pub fn unsubscribe(&self, recipient: &Recipient, category: &str) -> String {
        let grant = Grant::Unsubscribe { recipient: recipient.clone(), category: category.to_owned() };
        self.url("unsubscribe", &grant)
    }

    /// The picture that tells of an opened mail.
    pub fn open(&self, delivery: &str) -> String {
        self.url("open", &Grant::Open { delivery: delivery.to_owned() })
    }

    /// The way to `target` that tells that it was taken. `None` when the target is too long for a token.
    pub fn click(&self, delivery: &str, target: &str) -> Option<String> {
        let grant = Grant::Click { delivery: delivery.to_owned(), target: target.to_owned() };
        // Base64 adds a third; the rest is short.
        (target.len() < MAX_LENGTH / 2).then(|| self.url("click", &grant))
    }

    /// Where a device tells what it knows.
    pub fn receipt(&self, delivery: &str) -> String {
        self.url("receipts", &Grant::Receipt { delivery: delivery.to_owned() })
    }

    /// A link, and whether it is one of those that this makes.
    pub fn is_ours(&self, link: &str) -> bool {
        link.strip_prefix(&self.base).is_some_and(|path| path.starts_with(ROUTE))
    }

    fn url(&self, route: &str, grant: &Grant) -> String {
        format!("{}{ROUTE}{route}/{}", self.base, sign(&self.key, grant))
    }
}

fn sign(key: &hmac::Key, grant: &Grant) -> String {
    let said = serde_json::to_vec(&grant.parts()).expect("texts are JSON");
    let signature = hmac::sign(key, &said);
    format!("{}.{}", URL_SAFE_NO_PAD.encode(&said), URL_SAFE_NO_PAD.encode(&signature.as_ref()[..SIGNATURE]))
}

fn read(key: &hmac::Key, token: &str) -> Option<Grant> {
    if token.len() > MAX_LENGTH {
        return None;
    }
    let (said, signature) = token.split_once('.')?;
    let (said, signature) = (URL_SAFE_NO_PAD.decode(said).ok()?, URL_SAFE_NO_PAD.decode(signature).ok()?);
    let expected = hmac::sign(key, &said);
    constant_time::verify_slices_are_equal(&expected.as_ref()[..SIGNATURE], &signature).ok()?;
    Grant::of(&serde_json::from_slice::<Vec<String>>(&said).ok()?)
}

#[cfg(test)]
pub mod testing {
    use super::*;

    /// One with a key that is known.
    pub fn signer(base: &str) -> Signer {
        Signer { key: hmac::Key::new(hmac::HMAC_SHA256, b"secret"), base: base.to_owned() }
    }

    /// What the token at the end of one of its links says.
    pub fn grant(link: &str) -> Option<Grant> {
        read(&signer("").key, link.rsplit('/').next()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::{TempDir, options};

    fn grants() -> Vec<Grant> {
        let account = Recipient::Account { collection: "users".into(), record: "ann".into() };
        let text = |text: &str| text.to_owned();
        vec![
            Grant::Unsubscribe { recipient: account, category: text("orders") },
            Grant::Unsubscribe { recipient: Recipient::Address("ann@example.com".into()), category: text("a\"/é\n") },
            Grant::Open { delivery: text("d1") },
            Grant::Click { delivery: text("d1"), target: text("https://x.y/?a=b&c=d#é") },
            Grant::Receipt { delivery: text("d1") },
        ]
    }

    #[test]
    fn a_token_says_what_it_was_made_for() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"a");
        for grant in grants() {
            let token = sign(&key, &grant);
            assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{token}");
            assert_eq!(read(&key, &token), Some(grant));
        }
    }

    #[test]
    fn nobody_makes_one_up() {
        let (key, other) = (hmac::Key::new(hmac::HMAC_SHA256, b"a"), hmac::Key::new(hmac::HMAC_SHA256, b"b"));
        for grant in grants() {
            let token = sign(&key, &grant);
            assert_eq!(read(&other, &token), None);
            for at in 0..token.len() {
                let mut bytes = token.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(bytes).unwrap();
                assert!(read(&key, &changed).is_none_or(|read| read == grant), "{changed}");
            }
            let (said, signature) = token.split_once('.').unwrap();
            for bad in [
                said.to_owned(),
                format!("{said}."),
                format!("{said}.{}", &signature[..10]),
                format!("{said}.{signature}A"),
                format!(".{signature}"),
                format!("{said}.{signature}.{signature}"),
            ] {
                assert_eq!(read(&key, &bad), None, "{bad}");
            }
        }
        let foreign = |text: &str| {
            let signature = hmac::sign(&key, text.as_bytes());
            let signature = URL_SAFE_NO_PAD.encode(&signature.as_ref()[..SIGNATURE]);
            read(&key, &format!("{}.{signature}", URL_SAFE_NO_PAD.encode(text)))
        };
        for text in ["", "[]", "{}", r#"["o"]"#, r#"["o","a","b"]"#, r#"["x","a"]"#, r#"["o",1]"#] {
            assert_eq!(foreign(text), None, "{text}");
        }
        assert_eq!(read(&key, &"a".repeat(MAX_LENGTH + 1)), None);
    }

    #[test]
    fn links_lead_to_the_app() {
        let signer = testing::signer("https://app.test/base");
        let link = signer.click("d1", "https://x.y/").unwrap();
        assert!(link.starts_with("https://app.test/base/api/notify/click/") && signer.is_ours(&link), "{link}");
        assert!(!signer.is_ours("https://app.test/base/x") && !signer.is_ours("https://x.y/api/notify/click/"));
        let expected = Grant::Click { delivery: "d1".to_owned(), target: "https://x.y/".to_owned() };
        assert_eq!(testing::grant(&link), Some(expected));
        let long = format!("https://x.y/{}", "a".repeat(MAX_LENGTH / 2 - 100));
        assert!(testing::grant(&signer.click("d1", &long).unwrap()).is_some());
        assert_eq!(signer.click("d1", &long.repeat(2)), None);
    }

    #[tokio::test]
    async fn the_secret_outlives_the_process() {
        let dir = TempDir::new();
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let db = Db::open(dir.path(), options()).unwrap();
            let settings = settings::Store::open(db.clone(), None).unwrap();
            let links = Links::new(db.clone(), settings);
            let token = links.signer().await.unwrap().receipt("d1");
            let read = links.read(token.rsplit('/').next().unwrap()).await.unwrap();
            assert_eq!(read, Some(Grant::Receipt { delivery: "d1".to_owned() }));
            assert_eq!(links.read("nonsense").await.unwrap(), None);
            tokens.push(token);
            db.close().await;
        }
        assert_eq!(tokens[0], tokens[1]);
    }
}
