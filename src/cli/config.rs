//! `conch config …`: what the server goes by, and where each part of it came from.
//!
//! Options belong to the process (flags before environment), settings to the data directory. A running server is asked for
//! both; without one, options are those that `conch serve` would have here.

use std::io::{BufRead, IsTerminal, Read};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    Place,
    ask::Ask,
    options::{self, Chosen, Origin},
};
use crate::{app::App, error::Result, settings};

/// Settings that are read from the standard input, in bytes.
const MAX_INPUT: u64 = 512 << 10;

/// `conch config`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch config show                         everything, with where it came from
  conch config show smtp backups            only what begins so
  conch config set smtp.enabled=true smtp.host=mail.example.com smtp.port=587
  conch config set superuserIPs=10.0.0.0/8,::1
  pass show smtp | sed 's/^/smtp.password=/' | conch config set -

A flag overrules the environment; settings are stored in the data directory and changed at once, also under a running
server. Secrets are never shown.")]
pub struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show options and settings with their values and origins
    Show {
        /// Only what begins with one of these, such as smtp or http
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Change settings
    Set {
        /// NAME=VALUE; lists have commas between their words or are JSON. `-` reads such lines from the standard input
        #[arg(value_name = "NAME=VALUE", required = true)]
        words: Vec<String>,
    },
}

/// What there is to show: also how a running server answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Report {
    options: Vec<Chosen>,
    settings: Vec<Setting>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Setting {
    name: String,
    value: Json,
    origin: Origin,
}

/// The report of this process on its app, as JSON.
pub fn report(app: &App) -> Result<String> {
    let settings = settings::shown(&app.settings.current()).into_iter().map(|shown| Setting {
        name: shown.name,
        value: shown.value,
        origin: if shown.changed { Origin::Settings } else { Origin::Default },
    });
    let report = Report { options: options::known().to_vec(), settings: settings.collect() };
    serde_json::to_string(&report).map_err(crate::error::Error::internal)
}

/// Changes settings; the answer is a sentence.
pub async fn change(app: &App, words: &[(String, String)]) -> Result<String> {
    app.settings.patch(settings::from_words(words)?).await?;
    let names: Vec<_> = words.iter().map(|(name, _)| name.as_str()).collect();
    Ok(format!("Set {}.", names.join(", ")))
}

impl Config {
    /// Prints what was asked for, or what was done.
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        match self.action {
            Action::Show { names, json } => {
                let answer = Ask::Config.carry_out(place)?;
                let mut report: Report =
                    serde_json::from_str(&answer).context("the running server is another version")?;
                let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.starts_with(part.as_str()));
                report.options.retain(|chosen| wanted(chosen.option.trim_start_matches('-')));
                report.settings.retain(|setting| wanted(&setting.name));
                if report.options.is_empty() && report.settings.is_empty() {
                    bail!("nothing begins with {}", names.join(" or "));
                }
                match json {
                    true => println!("{}", serde_json::to_string_pretty(&report)?),
                    false => print!("{}", report.table()),
                }
            }
            Action::Set { words } => {
                println!("{}", Ask::Set { words: pairs(&words, std::io::stdin().lock())? }.carry_out(place)?)
            }
        }
        Ok(())
    }
}

impl Report {
    fn table(&self) -> String {
        let options =
            self.options.iter().map(|it| [it.option.clone(), it.value.clone(), it.origin.as_str().to_owned()]);
        let settings = self.settings.iter().map(|it| {
            let value = it.value.as_str().map_or_else(|| it.value.to_string(), str::to_owned);
            [it.name.clone(), value, it.origin.as_str().to_owned()]
        });
        let rows: Vec<_> = options.chain(settings).collect();
        let width = rows.iter().map(|[name, ..]| name.chars().count()).max().unwrap_or(0);
        let line = |[name, value, origin]: &[String; 3]| {
            let value = if value.is_empty() { "-" } else { value };
            // One line each, whatever a value holds.
            format!("{name:width$}  {origin:11}  {}\n", value.replace(char::is_control, " "))
        };
        rows.iter().map(line).collect()
    }
}

/// Names and texts; lines of `input` for `-`.
fn pairs(words: &[String], input: impl BufRead + IsTerminal) -> anyhow::Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    let mut lines = String::new();
    if words.iter().any(|word| word == "-") {
        if input.is_terminal() {
            eprintln!("Reading NAME=VALUE lines; end with Ctrl-D.");
        }
        input.take(MAX_INPUT).read_to_string(&mut lines).context("cannot read the standard input")?;
    }
    let lines = lines.lines().filter(|line| !line.trim().is_empty());
    for word in words.iter().map(String::as_str).filter(|word| *word != "-").chain(lines) {
        let (name, text) = word.split_once('=').with_context(|| format!("'{word}' is no NAME=VALUE"))?;
        all.push((name.trim().to_owned(), text.to_owned()));
    }
    if all.is_empty() {
        bail!("there is nothing to set");
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_lines_are_pairs() {
        let none = || std::io::stdin().lock();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = pairs(&words(&["a.b=1", "c=x=y", "d="]), none()).unwrap();
        let expected = [("a.b", "1"), ("c", "x=y"), ("d", "")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(found, expected);
        assert!(pairs(&words(&["a"]), none()).unwrap_err().to_string().contains("'a'"));
    }

    #[test]
    fn a_table_has_one_line_each() {
        let settings = vec![
            Setting { name: "meta.appName".into(), value: "two\nlines".into(), origin: Origin::Settings },
            Setting { name: "smtp.host".into(), value: "".into(), origin: Origin::Default },
        ];
        let report = Report { options: Vec::new(), settings };
        assert_eq!(report.table(), "meta.appName  settings     two lines\nsmtp.host     default      -\n");
    }
}
