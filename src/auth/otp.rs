//! One-time codes by mail: `request-otp` and `auth-with-otp` (`docs/wire/auth.md` §3.6).
//!
//! A code exists in three places: its hash in `_otps`, the mail, and the memory of the task that sends it.

use std::{net::IpAddr, sync::Arc};

use serde_json::{Map, Value as Json};

use super::{
    Auth, auth_record,
    find::{ignores_case, values},
    form::{self, text},
    is_verified,
    mfa::{is_older, row_of},
    options,
    sign_in::{Login, Method, SignedIn},
};
use crate::{
    db::{Asker, Row, WriteTx},
    error::{Error, Issues, Result},
    identity::{AuthRecord, SUPERUSERS_ID, network},
    mail::{Fill, Template, compose},
    random,
    records::Script,
    schema::Collection,
};

pub(super) const OTPS: &str = "_otps";
const DIGITS: &[u8] = b"0123456789";
/// The longest code that a password field holds, and that the form of a login takes.
const MAX_LENGTH: usize = 71;
/// Codes of one account that may be good at the same time.
const MAX_CODES: usize = 10;

/// A code that was just made, for whoever tells it to its owner.
#[derive(Debug)]
pub struct Otp {
    pub id: String,
    pub code: String,
    /// How long it is good, in seconds.
    pub seconds: i64,
}

/// What became of a request for a code.
enum Requested {
    /// A row of this id was made for the account, whose row this is.
    New(String, Arc<Row>),
    /// There are enough; the newest one's id.
    Enough(String),
    /// The account is gone.
    Nobody,
}

impl Auth {
    /// `POST …/request-otp`: the id that a client has to name with the code. One is given for unknown accounts, too, at
    /// the same price.
    pub async fn request_otp(&self, collection: &str, body: &Map<String, Json>, client: IpAddr) -> Result<String> {
        let collection = self.auth_collection(collection)?;
        Method::Otp.admit(&collection)?;
        let email = form::only_email(body)?;
        self.asking.count(client, self.now())?;

        let place = self.background.reserve()?;
        let code = new_code(&collection);
        let requested = match self.by_email(&collection, &email).await? {
            Some(record) => self.store_code(&collection, &record, &code, MAX_CODES).await?,
            None => Requested::Nobody,
        };
        match requested {
            Requested::New(id, row) => {
                let (auth, mailed) = (self.clone(), id.clone());
                place.start(async move { auth.mail_code(&collection, &row, &mailed, &code).await });
                Ok(id)
            }
            Requested::Enough(id) => Ok(id),
            Requested::Nobody => self.pretend(&collection, &email, code, client).await,
        }
    }

    /// What a request for an unknown address does: all that one for an account does, as far as anybody can tell from
    /// answers and their times.
    async fn pretend(&self, collection: &Collection, email: &str, code: String, client: IpAddr) -> Result<String> {
        let email = if ignores_case(collection, "email") { email.to_ascii_lowercase() } else { email.to_owned() };
        let nobody = self.phantoms.nobody(&collection.id, &email);
        // The look at the codes that there are, and then the code.
        self.db.write(|_| Ok(())).await?;
        let seconds = options(collection).otp.duration;
        if let Some(newest) = self.phantoms.enough(&nobody, MAX_CODES, seconds, self.now()) {
            return Ok(newest);
        }
        let hash = self.passwords.hash(Asker::named(&network(client)), code).await?;
        let id = random::record_id();
        let row = [id.clone(), hash];
        self.db.write(move |tx| store_and_take_back(tx, &row)).await?;
        Ok(self.phantoms.keep(nobody, id, MAX_CODES, seconds, self.now()))
    }

    /// A code for the superuser with this address, to be told by who has the server at hand; no mail is sent.
    pub async fn superuser_otp(&self, email: &str) -> Result<Option<Otp>> {
        let superusers = self.auth_collection(SUPERUSERS_ID)?;
        Method::Otp.admit(&superusers)?;
        let Some(record) = self.by_email(&superusers, email).await? else { return Ok(None) };
        let code = new_code(&superusers);
        let Requested::New(id, _) = self.store_code(&superusers, &record, &code, usize::MAX).await? else {
            return Ok(None);
        };
        Ok(Some(Otp { id, code, seconds: options(&superusers).otp.duration }))
    }

    /// Stores a code unless the account has `most` already that are still good.
    async fn store_code(
        &self,
        collection: &Collection,
        record: &AuthRecord,
        code: &str,
        most: usize,
    ) -> Result<Requested> {
        let (record, code) = (record.clone(), code.to_owned());
        let seconds = options(collection).otp.duration;
        let store = move |script: &mut Script<'_, '_>| {
            let Some(row) = script.load(&record.collection_id, &record.id)? else { return Ok(Requested::Nobody) };
            let (count, newest) = codes_of(script, &record, seconds)?;
            if let Some(newest) = newest.filter(|_| count >= most) {
                return Ok(Requested::Enough(newest));
            }
            let otp = script.create(OTPS, row_of(&record, [("password", &*code)]))?;
            Ok(Requested::New(otp.text("id").unwrap_or_default().to_owned(), row))
        };
        self.records.transact(None, store).await
    }

    /// In the background, the client has its answer: a code that could not be sent is of no use to anybody.
    async fn mail_code(&self, collection: &Collection, row: &Row, id: &str, code: &str) {
        let to = row.text("email").unwrap_or_default().to_owned();
        let mail = compose(Template::Otp, collection, row, &to, Fill::Otp { code, id }, &self.settings.current());
        let sent = self.mail.send(mail).await;
        if let Err(error) = &sent {
            tracing::warn!(collection = &*collection.name, %error, "a one-time code could not be sent");
        }
        let (sent, id) = (sent.is_ok(), id.to_owned());
        let note = move |script: &mut Script<'_, '_>| {
            // Used or cleared meanwhile.
            if script.load(OTPS, &id)?.is_none() {
                return Ok(());
            }
            match sent {
                true => script.update(OTPS, &id, values([("sentTo", &*to)])).map(drop),
                false => script.delete(OTPS, &id),
            }
        };
        if let Err(error) = self.records.transact(None, note).await {
            tracing::warn!(%error, "what became of a one-time code could not be stored");
        }
    }

    /// `POST …/auth-with-otp`.
    pub async fn with_otp(&self, login: Login, collection: &str) -> Result<SignedIn> {
        let collection = self.auth_collection(collection)?;
        Method::Otp.admit(&collection)?;
        let (id, code) = (text(&login.request.body, "otpId")?, text(&login.request.body, "password")?);
        let mut issues = Issues::default();
        form::require(&mut issues, "otpId", &id, form::MAX);
        form::require(&mut issues, "password", &code, MAX_LENGTH);
        issues.into_result("The login is not valid.")?;

        let asker = login.request.asker();
        let Some((otp, record)) = self.find_code(&collection, &id).await? else {
            // As often as a code, and as long: an id that was made up for an unknown account is no different.
            if let Some(nobody) =
                self.phantoms.owner(&collection.id, &id, options(&collection).otp.duration, self.now())
            {
                self.attempts.count(&nobody.name(), login.visitor.address, &id, self.now())?;
            }
            self.passwords.verify(asker, code, String::new()).await?;
            return Err(refused());
        };
        self.attempts.count(&record.id, login.visitor.address, &id, self.now())?;
        let hash = otp.text("password").unwrap_or_default().to_owned();
        if !self.passwords.verify(asker, code, hash.clone()).await? {
            return Err(refused());
        }
        let record = self.use_code(&collection, &record, id, hash).await?;
        self.sign_in(Method::Otp, login, &collection, &record, None).await
    }

    /// The row of a code of this collection that is still good, and its account.
    async fn find_code(&self, collection: &Arc<Collection>, id: &str) -> Result<Option<(Arc<Row>, AuthRecord)>> {
        let Some(otp) = self.records.load(&self.schema.find(OTPS)?, id).await? else { return Ok(None) };
        let seconds = options(collection).otp.duration;
        let is_ours = otp.text("collectionRef") == Some(&collection.id);
        if !is_ours || is_older(otp.text("created"), seconds, self.now()) {
            return Ok(None);
        }
        let record = self.by_id(collection, otp.text("recordRef").unwrap_or_default()).await?;
        Ok(record.map(|record| (otp, record)))
    }

    /// Takes a code that was right out of the world: of logins with the same one at the same time, one gets further.
    /// The account comes back as it is then, verified if the code has proved its address.
    async fn use_code(
        &self,
        collection: &Collection,
        record: &AuthRecord,
        id: String,
        hash: String,
    ) -> Result<AuthRecord> {
        let (collection_id, record_id) = (record.collection_id.clone(), record.id.clone());
        let has_mfa = options(collection).mfa.enabled;
        let password = random::string(random::ALPHANUMERIC, 30);
        let used = move |script: &mut Script<'_, '_>| {
            let otp = script.load(OTPS, &id)?.filter(|otp| otp.text("password") == Some(&hash)).ok_or_else(refused)?;
            script.delete(OTPS, &id)?;
            let row = script.load(&collection_id, &record_id)?.ok_or_else(refused)?;
            let sent_to = otp.text("sentTo").filter(|sent_to| !sent_to.is_empty());
            if is_verified(&row) || sent_to.is_none() || sent_to != row.text("email") {
                return Ok(row);
            }
            // Somebody else may have signed up with this address and waits behind a password of their choice. With a
            // second factor that password may be the owner's first one.
            let verified = || values([("verified", true)]);
            match has_mfa {
                true => script.update(&collection_id, &record_id, verified()),
                false => script.update_with_random_password(&collection_id, &record_id, verified(), &password),
            }
        };
        let row = self.records.transact(None, used).await?;
        Ok(auth_record(collection, record.id.clone(), row))
    }
}

/// One answer for a wrong code and for one that is unknown, foreign, used or too old.
fn refused() -> Error {
    Error::invalid("The code is wrong or has expired.")
}

fn new_code(collection: &Collection) -> String {
    let length = usize::try_from(options(collection).otp.length).unwrap_or(MAX_LENGTH).clamp(4, MAX_LENGTH);
    random::string(DIGITS, length)
}

/// Costs a commit, and changes nothing that anybody could see.
fn store_and_take_back(tx: &mut WriteTx<'_>, [id, hash]: &[String; 2]) -> Result<()> {
    tx.execute("INSERT INTO `_otps` (id, password, collectionRef, recordRef) VALUES (?1, ?2, '', '')", [id, hash])?;
    tx.execute("DELETE FROM `_otps` WHERE id = ?1", [id]).map(drop)
}

/// How many codes of the account are still good ([`MAX_CODES`] at most), and the newest one's id.
fn codes_of(script: &mut Script<'_, '_>, record: &AuthRecord, seconds: i64) -> Result<(usize, Option<String>)> {
    let sql = format!(
        "SELECT id, created FROM `_otps` WHERE collectionRef = ?1 AND recordRef = ?2 \
         ORDER BY created DESC, _rowid_ DESC LIMIT {MAX_CODES}"
    );
    let now = script.now();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let codes = script.tx().query_all(&sql, [&*record.collection_id, &*record.id], row)?;
    let mut good = codes.into_iter().filter(|(_, created)| !is_older(Some(created), seconds, now));
    let newest = good.next().map(|(id, _)| id);
    Ok((usize::from(newest.is_some()) + good.count(), newest))
}
