//! Login alerts: where an account was signed in to before, and a mail when it is somewhere new
//! (`docs/wire/auth.md` §3.9).

use std::time::Duration;

use md5::{Digest, Md5};
use serde_json::Map;
use tokio::time::timeout;

use super::{
    find::current,
    mfa::row_of,
    options,
    sign_in::{Admission, Visitor},
};
use crate::{
    clock::Timestamp,
    error::Result,
    identity::AuthRecord,
    mail::{Fill, Template, compose},
    records::Script,
    settings::network,
};

const AUTH_ORIGINS: &str = "_authOrigins";
/// Origins that are kept of an account.
const MAX_ORIGINS: usize = 5;
/// Bytes of a user agent that count.
const MAX_USER_AGENT: usize = 200;
/// How long a login waits for the alert to be sent.
const MAIL_PATIENCE: Duration = Duration::from_secs(15);
/// How long a login waits until its origin is stored. A writer that is held up longer stores it later.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// An origin as it is stored: (id, fingerprint).
type Origin = (String, String);

impl Visitor {
    /// The user agent as far as it counts.
    fn agent(&self) -> Vec<u8> {
        match self.user_agent.get(..MAX_USER_AGENT) {
            Some(start) if self.user_agent.len() > MAX_USER_AGENT => [start, b"..."].concat(),
            _ => self.user_agent.clone(),
        }
    }

    /// What tells origins apart.
    fn fingerprint(&self) -> String {
        let mut hash = Md5::new();
        hash.update(network::expanded(self.address));
        hash.update(self.agent());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the owner is told; text, not HTML.
    fn description(&self, now: Timestamp) -> String {
        format!("{now} - {} {}", network::expanded(self.address), String::from_utf8_lossy(&self.agent()))
    }
}

impl Admission<'_> {
    /// Step 5 of §3.1. Whatever goes wrong here, the login has succeeded.
    pub async fn alert(&self, visitor: &Visitor) {
        if !options(self.collection).auth_alert.enabled {
            return;
        }
        if let Err(error) = self.note_origin(visitor).await {
            tracing::warn!(collection = &*self.collection.name, %error, "the origin of a login could not be stored");
        }
    }

    async fn note_origin(&self, visitor: &Visitor) -> Result<()> {
        let fingerprint = visitor.fingerprint();
        let known = self.origins().await?;
        let is_new = known.iter().all(|(_, other)| *other != fingerprint);
        if is_new && !known.is_empty() && !self.send_alert(visitor).await {
            // The next login from there tries again.
            return Ok(());
        }
        let record = self.record.clone();
        let store = self.auth.records.transact(None, move |script| store(script, &record, &fingerprint));
        match timeout(STORE_PATIENCE, store).await {
            Ok(stored) => stored,
            // It waits in the writer's queue and will be stored without us.
            Err(_) => Ok(()),
        }
    }

    /// The account's origins, newest first.
    async fn origins(&self) -> Result<Vec<Origin>> {
        let owner = [self.record.collection_id.clone(), self.record.id.clone()];
        self.auth
            .db
            .read(move |tx| tx.query_all(ORIGINS, [&*owner[0], &*owner[1]], |row| Ok((row.get(0)?, row.get(1)?))))
            .await
    }

    /// True when nothing stands in the way of storing the origin: the mail was sent, or there is nowhere to send it.
    async fn send_alert(&self, visitor: &Visitor) -> bool {
        let row = &self.record.row;
        let Some(to) = row.text("email").filter(|email| !email.is_empty()) else { return true };
        let info = visitor.description(self.auth.now());
        let settings = self.auth.settings.current();
        let mail = compose(Template::LoginAlert, self.collection, row, to, Fill::Alert(&info), &settings);
        match timeout(MAIL_PATIENCE, self.auth.mail.send(mail)).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::warn!(%error, "a login alert could not be sent"),
            Err(_) => tracing::warn!("a login alert could not be sent in time"),
        }
        false
    }
}

const ORIGINS: &str = "SELECT id, fingerprint FROM `_authOrigins` WHERE collectionRef = ?1 AND recordRef = ?2 \
                       ORDER BY created DESC, _rowid_ DESC";

/// Touches the origin if it is known by now, else makes room for it and adds it.
fn store(script: &mut Script<'_, '_>, record: &AuthRecord, fingerprint: &str) -> Result<()> {
    // A new password meanwhile has cleared the table: what came before it does not count.
    current(script, record)?;
    let owner = [&*record.collection_id, &*record.id];
    let known: Vec<Origin> = script.tx().query_all(ORIGINS, owner, |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let Some((id, _)) = known.iter().find(|(_, other)| other == fingerprint) {
        return script.update(AUTH_ORIGINS, id, Map::new()).map(drop);
    }
    if known.len() >= MAX_ORIGINS {
        for (id, _) in &known[MAX_ORIGINS - 1..] {
            script.delete(AUTH_ORIGINS, id)?;
        }
    }
    script.create(AUTH_ORIGINS, row_of(record, [("fingerprint", fingerprint)])).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(address: &str, user_agent: &[u8]) -> Visitor {
        Visitor { address: address.parse().unwrap(), user_agent: user_agent.to_vec() }
    }

    #[test]
    fn fingerprints_are_those_of_the_wire() {
        assert_eq!(visitor("127.0.0.1", b"UA1").fingerprint(), "aa384f2ac61bcfdaff9042f18c991fea");
        let long = "x".repeat(200);
        let same =
            |a: &str, b: &str| visitor("::1", a.as_bytes()).fingerprint() == visitor("::1", b.as_bytes()).fingerprint();
        assert!(same(&format!("{long}abc"), &format!("{long}xyz")), "cut");
        assert!(!same(&format!("{long}abc"), &long), "cut is not the same as short");
        assert!(same(&format!("{long}a"), &format!("{long}...")), "as the reference does");
        assert!(!same("a", "b"));
    }

    #[test]
    fn owners_are_told_when_where_and_with_what() {
        let now = Timestamp(1_800_000_000_000);
        for (address, agent, expected) in [
            ("10.0.0.1", &b"UA"[..], "2027-01-15 08:00:00.000Z - 10.0.0.1 UA".to_owned()),
            ("2001:db8::1", b"", "2027-01-15 08:00:00.000Z - 2001:0db8:0000:0000:0000:0000:0000:0001 ".to_owned()),
            ("10.0.0.1", b"\xff<b>", "2027-01-15 08:00:00.000Z - 10.0.0.1 \u{fffd}<b>".to_owned()),
        ] {
            assert_eq!(visitor(address, agent).description(now), expected);
        }
    }
}
