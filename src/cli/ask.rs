//! What the command line can ask for: the same whether a running server does it or this process.

use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    auth::Otp,
    error::{Error, Result},
};

/// What is to be done with which account: also the message to a running server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Ask {
    Create { email: String, password: String },
    Upsert { email: String, password: String },
    Update { email: String, password: String },
    Delete { email: String },
    Otp { email: String },
    Ips { list: Vec<String> },
}

impl Ask {
    /// Does it; the answer is a sentence for people.
    pub async fn perform(self, app: &App) -> Result<String> {
        match self {
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
            Self::Ips { list } => {
                let told = match list.as_slice() {
                    [] => "Superusers are admitted from every address.".to_owned(),
                    list => format!("Superusers are admitted from {} only.", list.join(", ")),
                };
                app.settings.patch([("superuserIPs".to_owned(), list.into())].into_iter().collect()).await?;
                Ok(told)
            }
        }
    }
}

fn created(email: &str) -> String {
    format!("Created the superuser {email}.")
}

fn changed(email: &str) -> String {
    format!("Set the password of the superuser {email}; its sessions have ended.")
}
