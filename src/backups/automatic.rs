//! Backups by the clock (`docs/wire/services.md` §7, §8): the cron that the settings tell, the newest few that are kept,
//! and a mail to superusers when one could not be made.

use std::time::Duration;

use super::{Backups, Item, name::AUTOMATIC};
use crate::{
    error::{Error, Result},
    jobs::{Claimed, Failure, Policy, Runner, cron::Cron},
    mail::{self, Message},
    progress::Progress,
    settings::Settings,
};

/// A bucket's clock, or ours when it is put right, may differ by less from what is called ahead.
const SLACK: Duration = Duration::from_secs(24 * 3600);
/// The wire's name for it.
pub const CRON: &str = "__pbAutoBackup__";

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
        let made = self.generated(true);
        self.make(&made, &Progress::default()).await?;
        // To try again would be to make another.
        if let Err(error) = self.remove_old(&made).await {
            tracing::error!(%error, "a backup was made, but older ones cannot be removed");
        }
        Ok(())
    }

    /// Removes all but the newest few, of which `made` is one whatever the clocks say.
    async fn remove_old(&self, made: &str) -> Result<()> {
        let keep = self.rooms.settings.current().backups.cron_max_keep;
        let shelf = self.shelf().await?;
        let ours = shelf.list().await?.into_iter().filter(|item| item.key.starts_with(AUTOMATIC)).collect();
        let latest = self.rooms.clock.now().plus(SLACK).to_string();
        // None are removed where no number is set.
        if keep > 0 {
            for key in surplus(ours, usize::try_from(keep).unwrap_or(usize::MAX), made, &latest) {
                tracing::info!(backup = key, "an old automatic backup is removed");
                shelf.delete(&key).await?;
            }
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

/// What goes so that `keep` stay, `made` among them. How old one is, its place says; what is dated after `latest` was put
/// there under a clock that ran ahead, and counts as the oldest.
fn surplus(mut items: Vec<Item>, keep: usize, made: &str, latest: &str) -> Vec<String> {
    items.retain(|item| item.key != made);
    items.sort_by(|a, b| {
        let age = |item: &Item| (item.modified.as_str() <= latest).then(|| item.modified.clone());
        age(b).cmp(&age(a)).then_with(|| b.key.cmp(&a.key))
    });
    items.into_iter().skip(keep.saturating_sub(1)).map(|item| item.key).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_made_stays_whatever_the_clocks_say() {
        let items = |items: &[(&str, &str)]| -> Vec<Item> {
            let item = |&(key, modified): &(&str, &str)| Item { key: key.into(), size: 1, modified: modified.into() };
            items.iter().map(item).collect()
        };
        let now = "2026-11-22 10:00:00.000Z";
        for (found, keep, expected) in [
            (&[("a", "2026-11-20"), ("b", "2026-11-21"), ("new", "2026-11-22")][..], 2, &["a"][..]),
            (&[("a", "2026-11-20"), ("new", "2026-11-22")], 2, &[]),
            // Two of a clock that ran ahead: they go first, although they look newest.
            (&[("x", "2099-01-01"), ("y", "2098-01-01"), ("a", "2026-11-20"), ("new", "2026-11-22")], 2, &["y", "x"]),
            // The clock is behind all of them.
            (&[("a", "2026-11-20"), ("b", "2026-11-21"), ("new", "2020-01-01")], 1, &["b", "a"]),
            (&[("a", "2026-11-20"), ("b", "2026-11-20"), ("new", "2026-11-20")], 2, &["a"]),
        ] {
            let mut gone = surplus(items(found), keep, "new", now);
            gone.sort();
            let mut expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
            expected.sort();
            assert_eq!(gone, expected, "{found:?} {keep}");
        }
    }
}
