//! The mails with a token in them (`docs/wire/auth.md` §3.7, §10).
//!
//! Verification and password reset can be asked for by anybody and for any address. The request therefore only leaves a
//! job that names the address, for known and unknown ones alike: neither the answer nor its time tells who exists. The
//! job finds the account, and mints the token when it sends: there is never a live token at rest.

use std::{sync::Arc, time::Duration};

use serde_json::{Value as Json, json};

use super::{Auth, is_verified, markers::Markers, superusers::INSTALLER_EMAIL, token::Grant};
use crate::{
    error::{Error, Result},
    identity::{AuthRecord, SUPERUSERS_ID},
    jobs::{Claimed, Failure, NewJob, Policy, Runner},
    mail::{self, Fill, Template},
    schema::Collection,
};

/// The kind of the jobs.
const KIND: &str = "account-mail";

/// While a job waits to be repeated, asking again adds none: the pauses are short enough for whoever waits for the mail.
/// Twenty runs take about an hour and a half.
fn policy() -> Policy {
    Policy { attempts: 20, longest_backoff: Duration::from_secs(300), ..Policy::default() }
}

impl Auth {
    /// Sends the mails that were asked for, as soon as the runner starts.
    pub fn take_jobs(&self, runner: &Runner) {
        let auth = self.clone();
        runner.on(KIND, policy(), move |job| {
            let auth = auth.clone();
            async move { auth.post_asked(&job).await }
        });
    }

    /// Leaves a job that sends this mail to the account with this address, if there is one and it needs it.
    pub(super) async fn post_later(&self, template: Template, collection: &Collection, email: String) -> Result<()> {
        let payload = json!({"template": template.as_str(), "collection": collection.id, "email": email});
        let unique = Some(payload.to_string());
        self.jobs.enqueue(NewJob { unique, ..NewJob::new(KIND, payload) }).await
    }

    /// Sends a mail about an account with this token in it; done when somebody took responsibility for it.
    pub(super) async fn post(
        &self,
        template: Template,
        collection: &Collection,
        record: &AuthRecord,
        to: &str,
        token: &str,
    ) -> Result<()> {
        let settings = self.settings.current();
        let message = mail::compose(template, collection, &record.row, to, Fill::Token(token), &settings);
        self.mail.send(message).await
    }

    /// One run of a job of [`Auth::post_later`].
    pub(super) async fn post_asked(&self, job: &Claimed) -> Result<(), Failure> {
        let Some((template, collection, email)) = read(&job.payload) else {
            return Err(Failure::permanent("the job does not say which mail is meant"));
        };
        // Whatever is gone since needs no mail.
        let Ok(collection) = self.auth_collection(collection) else { return Ok(()) };
        let Some(record) = self.by_email(&collection, email).await? else { return Ok(()) };
        if !wants(template, &collection, &record) {
            return Ok(());
        }
        let Some(marked) = self.mark(template, &collection, &record, job.attempt) else { return Ok(()) };
        let sent = self.mint_and_post(template, &collection, &record).await;
        match sent {
            Ok(()) => {
                marked.keep();
                Ok(())
            }
            Err(error) if mail::is_permanent(&error) => Err(Failure::permanent(error)),
            Err(error) => Err(error.into()),
        }
    }

    async fn mint_and_post(&self, template: Template, collection: &Collection, record: &AuthRecord) -> Result<()> {
        let email = record.row.text("email").unwrap_or_default();
        let grant = match template {
            Template::Verification => Grant::Verification { email },
            Template::PasswordReset => Grant::PasswordReset { email },
            other => return Err(Error::internal(anyhow::anyhow!("{} is sent by no job", other.as_str()))),
        };
        let token = self.mint(collection, record, grant, None)?;
        self.post(template, collection, record, email, &token).await
    }

    /// `None` when the account was sent this mail less than two minutes ago.
    fn mark(&self, template: Template, collection: &Collection, record: &AuthRecord, attempt: u32) -> Option<Marked> {
        // A verification that failed keeps its marker. Only others are meant by it, not its own further runs.
        let sticky = template == Template::Verification;
        let fresh = self.markers.set(template, &collection.id, &record.id, self.now());
        (fresh || sticky && attempt > 1).then(|| Marked {
            markers: self.markers.clone(),
            template,
            collection: collection.id.clone(),
            record: record.id.clone(),
            keep: sticky,
        })
    }
}

/// A set marker, which is cleared when the run ends without a mail: also when it is broken off.
struct Marked {
    markers: Arc<Markers>,
    template: Template,
    collection: Arc<str>,
    record: Arc<str>,
    keep: bool,
}

impl Marked {
    fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        if !self.keep {
            self.markers.clear(self.template, &self.collection, &self.record);
        }
    }
}

/// (template, collection id, address)
fn read(payload: &Json) -> Option<(Template, &str, &str)> {
    let text = |key: &str| payload.get(key).and_then(Json::as_str);
    Some((Template::parse(text("template")?)?, text("collection")?, text("email")?))
}

/// Whether the account gets this mail when somebody asks for it.
fn wants(template: Template, collection: &Collection, record: &AuthRecord) -> bool {
    match template {
        Template::Verification => !is_verified(&record.row),
        // Nobody reads what is sent to the account that only opens the door for the first superuser.
        Template::PasswordReset => {
            !(&*collection.id == SUPERUSERS_ID && record.row.text("email") == Some(INSTALLER_EMAIL))
        }
        _ => false,
    }
}
