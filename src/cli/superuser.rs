//! `conch superuser …`: accounts that may do everything, without a browser.
//!
//! A running server is asked to do it (see [`super::control`]); otherwise the directory is opened here. Either way the
//! record passes the same door as one that is created over HTTP.

use std::io::BufRead;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, builder::FalseyValueParser};
use serde::{Deserialize, Serialize};

use super::{Place, control, in_words};
use crate::{
    app::App,
    auth::Otp,
    error::{Error, Result},
    identity::{Caller, SUPERUSERS_ID},
    records::{Body, Shape},
    rules::Request,
    settings::network,
};

/// `conch superuser`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch superuser create me@example.com correct-horse
  pass show conch | conch superuser upsert me@example.com --password-stdin --dir /var/lib/conch
  conch superuser otp me@example.com    a way in without the password
  conch superuser ips 10.0.0.0/8 ::1
  conch superuser ips                   admit superusers from everywhere again

A server that runs on the directory does it itself and need not be stopped.")]
pub struct Superuser {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a superuser
    Create(Credentials),
    /// Create a superuser, or set the password of the one that exists
    Upsert(Credentials),
    /// Set the password of a superuser; all of its sessions end
    Update(Credentials),
    /// Delete a superuser; the last one cannot be deleted
    Delete {
        /// The e-mail address that it signs in with
        email: String,
    },
    /// Make a one-time code for a superuser and print it with its id; OTP has to be enabled for _superusers
    Otp {
        /// The e-mail address that it signs in with
        email: String,
    },
    /// Replace the list of addresses that superusers are admitted from; an empty list admits all
    Ips {
        /// An IP address or a CIDR range
        #[arg(value_name = "IP|CIDR", value_parser = network)]
        list: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Credentials {
    /// The e-mail address to sign in with
    email: String,
    /// At least 8 characters; other users of this machine can see it while the command runs
    password: Option<String>,
    /// Read the password from the first line of the standard input
    #[arg(long, env = "CONCH_PASSWORD_STDIN", value_parser = FalseyValueParser::new())]
    password_stdin: bool,
}

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

impl Superuser {
    /// Prints what was done.
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        let ask = match self.action {
            Action::Create(it) => it.with(|email, password| Ask::Create { email, password })?,
            Action::Upsert(it) => it.with(|email, password| Ask::Upsert { email, password })?,
            Action::Update(it) => it.with(|email, password| Ask::Update { email, password })?,
            Action::Delete { email } => Ask::Delete { email },
            Action::Otp { email } => Ask::Otp { email },
            Action::Ips { list } => Ask::Ips { list },
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let done = runtime.block_on(async {
            if let Some(answer) = control::ask(&place.dir, &ask).await? {
                return Ok(answer);
            }
            if matches!(ask, Ask::Update { .. } | Ask::Delete { .. } | Ask::Otp { .. } | Ask::Ips { .. })
                && !place.dir.join("data.db").exists()
            {
                bail!("there is no data in {}: nothing to change", place.dir.display());
            }
            let app = App::open(place.config()).map_err(in_words)?;
            let done = perform(&app, ask).await;
            app.db.close().await;
            done.map_err(in_words)
        })?;
        println!("{done}");
        Ok(())
    }
}

impl Credentials {
    fn with(self, ask: impl FnOnce(String, String) -> Ask) -> anyhow::Result<Ask> {
        let password = match (self.password, self.password_stdin) {
            (Some(password), false) => password,
            (None, true) => {
                first_line(std::io::stdin().lock()).context("cannot read the password from the standard input")?
            }
            (None, false) => bail!("no password: give it after the e-mail, or pipe it in with --password-stdin"),
            (Some(_), true) => bail!("two passwords: give one as an argument or with --password-stdin, not both"),
        };
        Ok(ask(self.email, password))
    }
}

fn network(text: &str) -> std::result::Result<String, &'static str> {
    if network::is_network(text) { Ok(text.to_owned()) } else { Err("no IP address or CIDR range") }
}

/// The first line without its end, up to 4 KiB.
fn first_line(input: impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    input.take(4096).read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

/// Does it; the answer is a sentence for people.
pub async fn perform(app: &App, ask: Ask) -> Result<String> {
    match ask {
        Ask::Create { email, password } => {
            app.auth.create_superuser(&email, &password).await?;
            Ok(format!("Created the superuser {email}."))
        }
        Ask::Update { email, password } => match app.auth.superuser(&email).await? {
            Some(it) => set_password(app, &it.id, &email, &password).await,
            None => Err(Error::invalid(format!("There is no superuser {email}."))),
        },
        Ask::Upsert { email, password } => match app.auth.superuser(&email).await? {
            Some(it) => set_password(app, &it.id, &email, &password).await,
            None => {
                app.auth.create_superuser(&email, &password).await?;
                Ok(format!("Created the superuser {email}."))
            }
        },
        Ask::Delete { email } => match app.auth.superuser(&email).await? {
            Some(it) => {
                app.records.delete(request(app, "DELETE"), SUPERUSERS_ID, &it.id).await?;
                Ok(format!("Deleted the superuser {email}."))
            }
            None => Ok(format!("There is no superuser {email}: nothing to delete.")),
        },
        Ask::Otp { email } => {
            let Some(otp) = app.auth.superuser_otp(&email).await? else {
                return Err(Error::invalid(format!("There is no superuser {email}.")));
            };
            let Otp { id, code, seconds } = otp;
            Ok(format!(
                "A one-time code for the superuser {email}, good for {seconds} seconds:\n  id    {id}\n  code  {code}"
            ))
        }
        Ask::Ips { list } => {
            let told = match list.as_slice() {
                [] => "Superusers are admitted from every address.".to_owned(),
                list => format!("Superusers are admitted from {} only.", list.join(", ")),
            };
            app.settings.patch([("superuserIPs".to_owned(), list.into())].into_iter().collect()).await?;
            Ok(told)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::told;
    use crate::error::Leaf;

    #[test]
    fn the_password_is_the_first_line_without_its_end() {
        for (input, password) in [
            ("secret\n", "secret"),
            ("secret", "secret"),
            ("secret\r\nmore\n", "secret"),
            (" two words \n", " two words "),
            ("", ""),
        ] {
            assert_eq!(first_line(input.as_bytes()).unwrap(), password);
        }
        assert_eq!(first_line("x".repeat(10_000).as_bytes()).unwrap().len(), 4096);
    }

    #[test]
    fn a_failure_says_what_is_wrong_with_which_field() {
        let error = Error::field("email", Leaf::new("validation_not_unique", "Somebody else has it."))
            .because(anyhow::anyhow!("UNIQUE constraint failed"));
        assert_eq!(told(&error), format!("{} email: Somebody else has it.", error.message));
        assert!(told(&Error::internal(anyhow::anyhow!("disk on fire"))).contains("disk on fire"));
    }
}
