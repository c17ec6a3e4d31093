//! `conch superuser …`: accounts that may do everything, without a browser.
//!
//! A running server is asked to do it (see [`Ask::carry_out`]). Either way the record passes the same door as one that is created over HTTP.

use std::io::BufRead;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, builder::FalseyValueParser};

use super::{Place, ask::Ask};
use crate::settings::network;

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
        println!("{}", ask.carry_out(place)?);
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

/// The text, if it is an address or a range.
pub fn network(text: &str) -> std::result::Result<String, &'static str> {
    if network::is_network(text) { Ok(text.to_owned()) } else { Err("no IP address or CIDR range") }
}

/// The first line without its end, up to 4 KiB.
fn first_line(input: impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    input.take(4096).read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::told,
        error::{Error, Leaf},
    };

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
