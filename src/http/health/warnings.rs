//! What an owner should look after, as far as the server can tell.

use serde::Serialize;

/// A share of the disk below which it is nearly full.
const LOW: u64 = 10;

/// One thing to look after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub code: &'static str,
    /// For people: what it is, and what to do.
    pub message: String,
}

/// What warnings are about.
#[derive(Debug, Clone, Default)]
pub struct Signs {
    /// A server for tests has nothing to lose.
    pub is_temporary: bool,
    pub disk_free: u64,
    pub disk_total: u64,
    pub is_scarce: bool,
    pub is_full: bool,
    pub has_scheduled_backups: bool,
    /// The newest automatic one could not be made.
    pub backup_failed: bool,
    /// Accounts of some collection need mails.
    pub needs_mail: bool,
    /// Mails are kept for testers.
    pub captures_mail: bool,
    pub has_way_out: bool,
    pub has_default_url: bool,
    pub is_encrypted: bool,
    /// Settings hold passwords or keys.
    pub has_secrets: bool,
    pub dead_jobs: u64,
    pub late_jobs: u64,
    pub dropped_logs: u64,
}

impl Signs {
    /// The gravest first.
    pub fn warnings(&self) -> Vec<Warning> {
        let is_low = self.disk_total > 0 && self.disk_free < self.disk_total / LOW;
        let durable = !self.is_temporary;
        let found: [(bool, &'static str, String); 12] = [
            (self.is_full, "disk_full", "The disk is full: nothing can be written until there is room.".into()),
            (
                self.is_scarce && !self.is_full,
                "disk_scarce",
                "The disk is nearly full: nothing can be added until there is room. Deleting goes on.".into(),
            ),
            (
                is_low && !self.is_scarce && durable,
                "disk_low",
                format!("Less than {LOW} % of the disk are free: make room, or take a larger one."),
            ),
            (
                self.backup_failed,
                "backup_failed",
                "The newest automatic backup could not be made: its job and the log tell why.".into(),
            ),
            (
                durable && !self.has_scheduled_backups,
                "backups_unscheduled",
                "No backups are scheduled: set a time for them in the settings.".into(),
            ),
            (
                self.dead_jobs > 0,
                "jobs_dead",
                format!("{} given up for good: look at why, and try again.", jobs(self.dead_jobs)),
            ),
            (
                self.late_jobs > 0,
                "jobs_late",
                format!(
                    "{} late by more than ten seconds.",
                    jobs(self.late_jobs).replace(" was", " is").replace(" were", " are")
                ),
            ),
            (
                self.needs_mail && !self.captures_mail && !self.has_way_out,
                "mail_off",
                "Mails are not sent: accounts cannot verify addresses or reset passwords. Set a mail server in the \
                 settings."
                    .into(),
            ),
            (
                self.captures_mail && durable,
                "mail_kept",
                "Mails are kept instead of sent, because the server runs with --dev.".into(),
            ),
            (
                self.has_default_url && durable,
                "app_url_default",
                "The application's URL is the one of a new server: links in mails lead to localhost. Set it in the \
                 settings."
                    .into(),
            ),
            (
                self.has_secrets && !self.is_encrypted && durable,
                "settings_unencrypted",
                "Passwords and keys in the settings are stored as they are: start the server with --encryption-key."
                    .into(),
            ),
            (
                self.dropped_logs > 0,
                "logs_dropped",
                format!(
                    "{} entries of the log were lost, because more came in than could be written.",
                    self.dropped_logs
                ),
            ),
        ];
        let there = found.into_iter().filter(|(is_so, ..)| *is_so);
        there.map(|(_, code, message)| Warning { code, message }).collect()
    }
}

fn jobs(count: u64) -> String {
    if count == 1 { "A job was".to_owned() } else { format!("{count} jobs were") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_warnings_where_something_is_to_be_done() {
        let fine = Signs {
            disk_free: 50,
            disk_total: 100,
            has_scheduled_backups: true,
            has_way_out: true,
            is_encrypted: true,
            ..Signs::default()
        };
        assert_eq!(fine.warnings(), []);
        for (signs, codes) in [
            (Signs { disk_free: 9, ..fine.clone() }, "disk_low"),
            (Signs { disk_free: 1, is_scarce: true, ..fine.clone() }, "disk_scarce"),
            (Signs { disk_free: 0, is_scarce: true, is_full: true, ..fine.clone() }, "disk_full"),
            (Signs { disk_free: 0, disk_total: 0, ..fine.clone() }, ""),
            (
                Signs { has_scheduled_backups: false, backup_failed: true, ..fine.clone() },
                "backup_failed backups_unscheduled",
            ),
            (Signs { needs_mail: true, has_way_out: false, ..fine.clone() }, "mail_off"),
            (Signs { needs_mail: true, has_way_out: false, captures_mail: true, ..fine.clone() }, "mail_kept"),
            (Signs { has_secrets: true, is_encrypted: false, ..fine.clone() }, "settings_unencrypted"),
            (Signs { dead_jobs: 1, late_jobs: 2, dropped_logs: 3, ..fine.clone() }, "jobs_dead jobs_late logs_dropped"),
            (Signs { has_default_url: true, ..fine.clone() }, "app_url_default"),
            (
                Signs { has_default_url: true, has_scheduled_backups: false, is_temporary: true, disk_free: 1, ..fine },
                "",
            ),
        ] {
            let found: Vec<_> = signs.warnings().iter().map(|warning| warning.code).collect();
            assert_eq!(found.join(" "), codes, "{signs:?}");
            assert!(signs.warnings().iter().all(|warning| warning.message.ends_with('.')));
        }
        let told = Signs { dead_jobs: 1, late_jobs: 2, is_temporary: true, ..Signs::default() }.warnings();
        assert_eq!(told[0].message, "A job was given up for good: look at why, and try again.");
        assert_eq!(told[1].message, "2 jobs are late by more than ten seconds.");
    }
}
