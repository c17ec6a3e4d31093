//! What the command line can ask for: the same whether a running server does it or this process.

use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    auth::Otp,
    error::{Error, Result},
    identity::{Caller, SUPERUSERS_ID},
    records::{Body, Shape},
    rules::Request,
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
                Ok(format!("Created the superuser {email}."))
            }
            Self::Update { email, password } => match app.auth.superuser(&email).await? {
                Some(it) => set_password(app, &it.id, &email, &password).await,
                None => Err(Error::invalid(format!("There is no superuser {email}."))),
            },
            Self::Upsert { email, password } => match app.auth.superuser(&email).await? {
                Some(it) => set_password(app, &it.id, &email, &password).await,
                None => {
                    app.auth.create_superuser(&email, &password).await?;
                    Ok(format!("Created the superuser {email}."))
                }
            },
            Self::Delete { email } => match app.auth.superuser(&email).await? {
                Some(it) => {
                    app.records.delete(request(app, "DELETE"), SUPERUSERS_ID, &it.id).await?;
                    Ok(format!("Deleted the superuser {email}."))
                }
                None => Ok(format!("There is no superuser {email}: nothing to delete.")),
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

async fn set_password(app: &App, id: &str, email: &str, password: &str) -> Result<String> {
    let values = [("password", password), ("passwordConfirm", password)];
    let values = values.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let body = Body { values, uploads: Vec::new() };
    app.records.update(request(app, "PATCH"), SUPERUSERS_ID, id, body, Shape::default()).await?;
    Ok(format!("Set the password of the superuser {email}; its sessions have ended."))
}

fn request(app: &App, method: &str) -> Request {
    Request { method: method.into(), caller: Caller::system(), now: app.clock.now(), ..Request::default() }
}
