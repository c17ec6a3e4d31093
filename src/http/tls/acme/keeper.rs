//! Those who look after one domain each: obtain its certificate, renew it in time, and put it where handshakes find it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use instant_acme::{Account, CertificateIdentifier};
use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};

use super::{
    account,
    authority::Authority,
    failure::{Cause, Failure},
    information,
    order::{self, Delivery, Proof},
    renewal,
    web::Web,
};
use crate::{
    clock::{Clock, Timestamp},
    http::tls::{certificate::Certificate, certificates::Certificates, domains::Domains, store::Store},
};

/// So many orders are under way at once.
const ORDERS: usize = 4;
/// From so many failures in a row on, each of which is usual by itself, people are told.
const TOLD: u32 = 4;
/// An order that takes longer has failed.
const ATTEMPT: Duration = Duration::from_secs(5 * 60);
/// How often it is looked whether a name that nobody asked for leads somewhere by now.
const LOOK_UP: Duration = Duration::from_secs(60 * 60);

/// All keepers of a server.
#[derive(Debug)]
pub struct Keepers {
    keepers: Vec<Keeper>,
}

/// Who looks after one domain.
struct Keeper {
    name: String,
    /// It came with another name: nobody said that it leads here.
    implicit: bool,
    current: Option<Certificate>,
    /// When we got it.
    obtained: Timestamp,
    /// The current one comes from another authority than the one we ask now.
    foreign: bool,
    house: Arc<House>,
}

/// What keepers share.
struct House {
    authority: Authority,
    web: Web,
    store: Store,
    certificates: Arc<Certificates>,
    /// Opened by whoever needs it first.
    account: Mutex<Option<Account>>,
    orders: Semaphore,
    clock: Clock,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Keepers {
    /// Finds what was obtained before in `folder` and has `certificates` present it.
    pub fn open(
        authority: Authority,
        domains: &Domains,
        folder: PathBuf,
        certificates: Arc<Certificates>,
    ) -> anyhow::Result<Self> {
        let house = Arc::new(House {
            web: Web::new(authority.roots.clone()),
            authority,
            store: Store::open(folder)?,
            certificates,
            account: Mutex::default(),
            orders: Semaphore::new(ORDERS),
            clock: Clock::system(),
        });
        let explicit = domains.given().iter().map(|name| (name, false));
        let implicit = domains.twins().iter().map(|name| (name, true));
        let keepers =
            explicit.chain(implicit).map(|(name, implicit)| Keeper::open(name.clone(), implicit, house.clone()));
        Ok(Self { keepers: keepers.collect() })
    }

    /// From here on they work by themselves, for as long as the server's system runs.
    pub fn start(self) {
        for keeper in self.keepers {
            actix_web::rt::spawn(keeper.run());
        }
    }
}

impl Keeper {
    fn open(name: String, implicit: bool, house: Arc<House>) -> Self {
        let (current, foreign) = match stored(&name, &house) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(
                    name,
                    error = format!("{error:#}"),
                    "the stored certificate cannot be used: it is obtained anew"
                );
                (None, false)
            }
        };
        if let Some(certificate) = &current {
            certificate.announce("the stored certificate is used");
            house.certificates.replace(&name, certificate.clone());
        }
        let obtained = current.as_ref().map_or(Timestamp(0), |certificate| certificate.begins);
        Self { name, implicit, current, obtained, foreign, house }
    }

    async fn run(mut self) {
        if self.implicit && self.current.is_none() {
            self.until_wanted().await;
        }
        loop {
            self.until_due().await;
            self.obtain().await;
        }
    }

    /// Until the name leads to some address, or somebody asks us for it. An authority would refuse it before that.
    async fn until_wanted(&self) {
        loop {
            if tokio::net::lookup_host((self.name.as_str(), 443)).await.is_ok_and(|mut found| found.next().is_some()) {
                return;
            }
            tokio::select! {
                () = self.house.certificates.wanted(&self.name) => return,
                () = tokio::time::sleep(LOOK_UP) => {}
            }
        }
    }

    /// Until it is time for another certificate: at once if there is none.
    async fn until_due(&self) {
        let Some(current) = self.current.as_ref().filter(|_| !self.foreign) else { return };
        let (clock, fraction) = (&self.house.clock, renewal::any_fraction());
        let mut due = renewal::due(current.begins, current.ends, fraction);
        let id = CertificateIdentifier::try_from(&current.key.cert[0]).ok();
        let mut ask_again = clock.now();
        while clock.now() < due {
            let Some(id) = id.as_ref().filter(|_| ask_again <= clock.now()) else {
                clock.sleep_until(due.min(ask_again)).await;
                continue;
            };
            let suggestion = information::ask(&self.house.web, &self.house.authority.directory, id).await;
            if let Some(suggestion) = &suggestion {
                due = renewal::suggested(suggestion.window, (current.begins, current.ends), self.obtained, fraction);
            }
            let wait = suggestion.map_or(Duration::from_secs(6 * 60 * 60), |suggestion| suggestion.again);
            ask_again = clock.now().plus(wait);
        }
    }

    /// Until there is another certificate, however long that takes.
    async fn obtain(&mut self) {
        let (mut failures, mut attempt) = (0_u32, 0_u32);
        loop {
            let failure = match self.attempt(Proof::of_attempt(attempt)).await {
                Ok(delivery) => return self.take(delivery),
                Err(failure) => failure,
            };
            failures = failures.saturating_add(1);
            if failure.cause == Cause::Refused {
                attempt = attempt.wrapping_add(1);
            }
            if failure.cause == Cause::Stranger {
                self.house.register_again().await;
            }
            let life = self.current.as_ref().map(Certificate::life);
            let wait = renewal::wait(failure.cause, failures, life, renewal::any_fraction());
            let next = self.house.clock.now().plus(wait).max(self.house.web.quiet_until());
            self.complain(&failure, failures, next);
            self.house.clock.sleep_until(next).await;
        }
    }

    async fn attempt(&self, proof: Proof) -> Result<Delivery, Failure> {
        let house = &self.house;
        let _permit = house.orders.acquire().await.expect("the semaphore is never closed");
        // Somebody before us may have been told to leave it alone for a while.
        house.clock.sleep_until(house.web.quiet_until()).await;
        let replaces = self.current.as_ref().filter(|_| !self.foreign);
        let replaces = replaces.and_then(|current| CertificateIdentifier::try_from(&current.key.cert[0]).ok());
        let replaces = replaces.map(CertificateIdentifier::into_owned);
        let work = async {
            let account = house.account().await?;
            order::deliver(&account, &self.name, proof, replaces, &house.certificates.challenges).await
        };
        let delivery = timeout(ATTEMPT, work).await.unwrap_or_else(|_| Err(Failure::late(ATTEMPT)))?;
        if delivery.certificate.ends <= house.clock.now() {
            let why = "the authority sent a certificate that has ended: is this machine's clock right?";
            return Err(Failure::new(Cause::Away, why));
        }
        Ok(delivery)
    }

    /// Uses it at once. What cannot be stored is used all the same; the next start would obtain another.
    fn take(&mut self, delivery: Delivery) {
        let Delivery { certificate, key, chain } = delivery;
        certificate.announce("a certificate was obtained and is used from now on");
        self.house.certificates.replace(&self.name, certificate.clone());
        if let Err(error) = self.house.store.keep_certificate(&self.name, &self.house.authority.directory, &key, &chain)
        {
            tracing::error!(name = self.name, error = format!("{error:#}"), "the new certificate could not be stored");
        }
        (self.current, self.obtained, self.foreign) = (Some(certificate), self.house.clock.now(), false);
    }

    fn complain(&self, failure: &Failure, failures: u32, next: Timestamp) {
        let (name, why, next) = (&self.name, &failure.why, next.to_string());
        let uses = match &self.current {
            Some(current) if current.ends <= self.house.clock.now() => "a certificate that has ended",
            Some(_) => "the certificate that it has",
            None => "one that it signed itself, which browsers refuse",
        };
        let hint = match failure.cause {
            Cause::Refused => {
                "does the name lead to this server, and can it be reached from outside on ports 80 and 443?"
            }
            Cause::Away | Cause::Again | Cause::Stranger => "the authority could not be used",
            Cause::TooOften => "the authority has been asked too often",
            Cause::Ours => "the cause is on this machine",
        };
        if is_usual(failure.cause, failures) {
            tracing::debug!(name, why, next, "no certificate was obtained yet");
        } else if self.implicit {
            tracing::info!(name, why, next, "no certificate was obtained for the www. name that comes with a domain");
        } else {
            tracing::warn!(name, why, next, uses, "no certificate was obtained: {hint}");
        }
    }
}

/// Whether so many failures in a row, the last one for this cause, are nothing that anybody has to look at: authorities
/// may refuse a nonce at any time, and want to be asked again (RFC 8555 §6.5).
fn is_usual(cause: Cause, failures: u32) -> bool {
    cause == Cause::Again && failures < TOLD
}

impl House {
    async fn account(&self) -> Result<Account, Failure> {
        let mut opened = self.account.lock().await;
        if let Some(account) = &*opened {
            return Ok(account.clone());
        }
        let account = account::open(&self.authority, &self.web, &self.store).await?;
        Ok(opened.insert(account).clone())
    }

    /// The authority has forgotten us. If that fails, the next attempt finds out again.
    async fn register_again(&self) {
        let mut opened = self.account.lock().await;
        *opened = account::make(&self.authority, &self.web, &self.store).await.ok();
    }
}

/// What was obtained before and can still be used, and whether another authority gave it.
fn stored(name: &str, house: &House) -> anyhow::Result<(Option<Certificate>, bool)> {
    let Some(stored) = house.store.certificate(name)? else { return Ok((None, false)) };
    let certificate = Certificate::read(&stored.pem, &stored.pem)?;
    anyhow::ensure!(certificate.is_for(name), "it is for another name");
    let foreign = stored.directory.is_some_and(|directory| directory != house.authority.directory);
    Ok((Some(certificate), foreign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_nonce_is_told_when_it_does_not_end() {
        for (cause, failures, expected) in [
            (Cause::Again, 1, true),
            (Cause::Again, 3, true),
            (Cause::Again, 4, false),
            (Cause::Away, 1, false),
            (Cause::Refused, 1, false),
            (Cause::Ours, 1, false),
        ] {
            assert_eq!(is_usual(cause, failures), expected, "{cause:?} {failures}");
        }
    }
}
