//! Backups by the clock (`docs/wire/services.md` §7, §8): the cron that the settings tell, the newest few that are kept,
//! and a mail to superusers when one could not be made.

use std::time::Duration;

use super::{Backups, name::AUTOMATIC};
use crate::{
    error::{Error, Result},
    jobs::{Claimed, Failure, Policy, Runner, cron::Cron},
    mail::{self, Message},
    progress::Progress,
    settings::Settings,
};

/// The wire's name for it.
const CRON: &str = "__pbAutoBackup__";

/// A large backup may take hours. One that failed is tried again a few times before anybody is told.
fn policy() -> Policy {
    Policy {
        attempts: 3,
        timeout: Duration::from_secs(12 * 3600),
        concurrency: 1,
        backoff: Duration::from_secs(60),
        ..Policy::default()
    }
}

impl Backups {
    /// Makes backups when the settings say so, from the start of the runner on.
    pub fn take_jobs(&self, runner: &Runner) {
        let backups = self.clone();
        let times = runner.cron_later(CRON, policy(), move |job| {
            let backups = backups.clone();
            async move { backups.by_the_clock(&job).await }
        });
        times.set(cron(&self.rooms.settings.current()));
        self.rooms.settings.on_change(move |before, after| {
            if before.backups.cron != after.backups.cron {
                times.set(cron(after));
            }
        });
    }

    async fn by_the_clock(&self, job: &Claimed) -> Result<(), Failure> {
        let done = self.make_and_tidy().await;
        let Err(error) = done else { return Ok(()) };
        if job.attempt >= policy().attempts {
            self.alert(&error).await;
        }
        Err(error.into())
    }

    async fn make_and_tidy(&self) -> Result<()> {
        self.make(&self.generated(true), &Progress::default()).await?;
        // To try again would be to make another.
        if let Err(error) = self.remove_old().await {
            tracing::error!(%error, "a backup was made, but older ones cannot be removed");
        }
        Ok(())
    }

    async fn remove_old(&self) -> Result<()> {
        let keep = self.rooms.settings.current().backups.cron_max_keep;
        let shelf = self.shelf().await?;
        let mut ours = shelf.list().await?;
        ours.retain(|item| item.key.starts_with(AUTOMATIC));
        ours.sort_by(|a, b| b.modified.cmp(&a.modified));
        // None are removed where no number is set.
        for item in ours.iter().skip(usize::try_from(keep).unwrap_or(0)).filter(|_| keep > 0) {
            tracing::info!(backup = item.key, "an old automatic backup is removed");
            shelf.delete(&item.key).await?;
        }
        Ok(())
    }

    /// Tells every superuser by mail.
    async fn alert(&self, error: &Error) {
        let app = self.rooms.settings.current().meta.app_name.clone();
        let addresses = match self.rooms.auth.superuser_addresses().await {
            Ok(addresses) => addresses,
            Err(error) => return tracing::error!(%error, "nobody can be told of a backup that failed"),
        };
        let body = format!(
            "<p>Hello,</p><p>The automatic backup of <b>{}</b> could not be made, after {} attempts:</p><p>{}</p>\
             <p>Older backups are untouched. The next one is tried at its time; the log of the server tells more.</p>",
            mail::escaped(&app),
            policy().attempts,
            mail::escaped(&error.message),
        );
        for address in addresses {
            let message =
                Message::new(&address, &format!("{app}: the automatic backup has failed"), &mail::wrap(body.clone()));
            if let Err(error) = self.rooms.mail.send(message).await {
                tracing::error!(%error, "a superuser could not be told of a backup that failed");
            }
        }
    }
}

/// When the settings want backups, if they do. What cannot be a cron was refused there.
fn cron(settings: &Settings) -> Option<Cron> {
    let expression = settings.backups.cron.as_str();
    if expression.is_empty() {
        return None;
    }
    Cron::parse(expression, "UTC")
        .inspect_err(|why| tracing::warn!(expression, why, "there are no automatic backups"))
        .ok()
}
