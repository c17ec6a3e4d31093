//! What the command line can ask for: the same whether a running server does it or this process.

use std::{path::PathBuf, time::Duration};

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::{Place, backup, bar, config, control, in_words, owner, storage, types};
use crate::{
    app::App,
    auth::Otp,
    backups::restore::Source,
    error::{Error, Result},
    files::{Destination, Key, NamedBy},
    life::Ending,
    progress::Progress,
};

/// An answer is on its way for so long, before the server that gives it ends.
const UNTIL_TOLD: Duration = Duration::from_millis(300);

/// What is to be done with which account: also the message to a running server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Ask {
    Create {
        email: String,
        password: String,
    },
    Upsert {
        email: String,
        password: String,
    },
    Update {
        email: String,
        password: String,
    },
    Delete {
        email: String,
    },
    Otp {
        email: String,
    },
    Ips {
        list: Vec<String>,
    },
    /// Answers with JSON.
    Config,
    Set {
        words: Vec<(String, String)>,
    },
    /// A backup by its name; `file` says where it is, if it is one from elsewhere.
    Restore {
        archive: String,
        file: Option<PathBuf>,
    },
    MoveFiles {
        to: Destination,
        delete_source: bool,
    },
    BackupCreate {
        name: Option<String>,
    },
    BackupList {},
    BackupVerify {
        name: String,
    },
    /// The collections as TypeScript.
    Types,
}

impl Ask {
    /// Has it done by whoever owns the directory: a server that runs on it, or else this process. What takes long shows a
    /// bar on a terminal.
    pub fn carry_out(self, place: Place) -> anyhow::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            if let Some(answer) = control::ask(&place.dir, &self).await? {
                return Ok(answer);
            }
            owner::refuse_stranger(&place.dir)?;
            if self.needs_data() && !owner::has_data(&place.dir)? {
                bail!("there is no data in {}: say with --dir where it is", place.dir.display());
            }
            let app = App::open(place.config()).map_err(in_words)?;
            let done = bar::with_bar(async |progress| self.perform(&app, &progress).await).await;
            app.db.close().await;
            done.map_err(in_words)
        })
    }

    /// Whether it is about something that a new directory has not.
    fn needs_data(&self) -> bool {
        !matches!(self, Self::Create { .. } | Self::Upsert { .. })
    }

    /// Does it; the answer is a sentence for people. What takes long says how far it is. May be dropped at any await: whoever
    /// asked has gone.
    pub async fn perform(self, app: &App, progress: &Progress) -> Result<String> {
        match self {
            Self::BackupCreate { name } => app.backups.create(name.as_deref(), progress).await,
            Self::BackupList {} => Ok(backup::list_text(&app.backups.list().await?)),
            Self::BackupVerify { name } => {
                Ok(backup::report_text(&app.backups.verify(&name, progress).await?.into_result()?))
            }

            Self::Create { email, password } => {
                app.auth.create_superuser(&email, &password).await?;
                Ok(created(&email))
            }
            Self::Update { email, password } => match app.auth.set_superuser_password(&email, &password).await? {
                true => Ok(changed(&email)),
                false => Err(Error::invalid(format!("There is no superuser {email}."))),
            },
            Self::Upsert { email, password } => match app.auth.upsert_superuser(&email, &password).await? {
                true => Ok(created(&email)),
                false => Ok(changed(&email)),
            },
            Self::Delete { email } => match app.auth.delete_superuser(&email).await? {
                true => Ok(format!("Deleted the superuser {email}.")),
                false => Ok(format!("There is no superuser {email}: nothing to delete.")),
            },
            Self::Otp { email } => {
                let Some(otp) = app.auth.superuser_otp(&email).await? else {
                    return Err(Error::invalid(format!("There is no superuser {email}.")));
                };
                let Otp { id, code, seconds } = otp;
                Ok(format!(
                    "A one-time code for the superuser {email}, good for {seconds} seconds:\n  id    {id}\n  code  {code}"
                ))
            }
            Self::Types => {
                let collections: Vec<_> = app.schema.catalog().all().iter().map(|found| found.to_json()).collect();
                types::print(&collections).map_err(Error::invalid)
            }
            Self::Config => config::report(app),
            Self::Set { words } => config::change(app, &words).await,
            Self::MoveFiles { to, delete_source } => {
                // A backup wants files to stay where they are.
                let _turn = app.backups.take_turn("")?;
                let catalog = app.schema.catalog();
                let owners = catalog.all().iter().filter(|collection| !collection.is_view());
                let folders = owners.map(|owner| Key::collection(&owner.id)).collect::<Result<Vec<_>>>()?;
                let records = app.records.clone();
                let named: Box<NamedBy> = Box::new(move |keys| {
                    let records = records.clone();
                    Box::pin(async move { records.files_named(keys).await })
                });
                let moved = app.storage.relocate(&app.settings, to, &folders, &*named, delete_source, progress).await?;
                Ok(storage::told(&moved, to))
            }
            Self::Ips { list } => {
                let told = match list.as_slice() {
                    [] => "Superusers are admitted from every address.".to_owned(),
                    list => format!("Superusers are admitted from {} only.", list.join(", ")),
                };
                app.settings.patch([("superuserIPs".to_owned(), list.into())].into_iter().collect()).await?;
                Ok(told)
            }
            Self::Restore { archive, file } => restore(app, archive, file, progress).await,
        }
    }
}

/// Makes everything ready, and has the server start again on it, once it has said so.
async fn restore(app: &App, name: String, file: Option<PathBuf>, progress: &Progress) -> Result<String> {
    let told = format!("{name} is good. The server starts again on it.");
    let source = file.map_or(Source::Kept, Source::File);
    let turn = app.backups.take_turn(&name)?;
    let (app, progress) = (app.clone(), progress.clone());
    // Whoever asked may go: what has been decided by then is carried out, and not at some later start.
    let carried_out = tokio::spawn(async move {
        let _doing = app.backups.tell("restore", &name, &progress);
        app.backups.restore(&app.restorer, turn, &name, source, &progress).await?;
        tokio::spawn(async move {
            tokio::time::sleep(UNTIL_TOLD).await;
            app.life.end(Ending::Restart);
        });
        Ok(told)
    });
    carried_out.await.map_err(Error::internal)?
}

fn created(email: &str) -> String {
    format!("Created the superuser {email}.")
}

fn changed(email: &str) -> String {
    format!("Set the password of the superuser {email}; its sessions have ended.")
}
