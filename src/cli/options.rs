//! What this process was started with: every option of `conch serve`, its value and where that came from.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, parser::ValueSource};
use serde::{Deserialize, Serialize};

use super::{Cli, serve::Serve};
use crate::http::server::Given;

/// One option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// As on the command line, such as `--http`.
    pub option: String,
    /// As an environment variable.
    pub variable: String,
    /// Blank when there is none; secrets are only said to be there.
    pub value: String,
    pub origin: Origin,
}

/// Where a value came from. What stands first here overrules what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Flag,
    Environment,
    Settings,
    Default,
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::Settings => "settings",
            Self::Default => "default",
        }
    }
}

/// The command line belongs to the process, and does not change.
static CHOSEN: OnceLock<Vec<Chosen>> = OnceLock::new();

/// Remembers what the process was started with. `matches` are those of the whole command line; another command than
/// `serve` has what `serve` would have here without flags.
pub fn remember(matches: &ArgMatches) {
    let chosen = match matches.subcommand_matches("serve") {
        Some(serve) => of(serve),
        None => would_be(matches),
    };
    // The first one stays: there is one command line.
    let _ = CHOSEN.set(chosen);
}

/// What was remembered.
pub fn known() -> &'static [Chosen] {
    CHOSEN.get().map_or(&[], Vec::as_slice)
}

/// Where each option came from, for whoever asks the server.
pub fn given() -> Vec<Given> {
    let each = known().iter().map(|chosen| Given {
        key: chosen.option.trim_start_matches('-').to_ascii_lowercase(),
        origin: chosen.origin.as_str(),
        name: match chosen.origin {
            Origin::Flag => Some(chosen.option.clone()),
            Origin::Environment => Some(chosen.variable.clone()),
            Origin::Settings | Origin::Default => None,
        },
    });
    each.collect()
}

/// As a server that is started here and now with nothing but the directory.
fn would_be(matches: &ArgMatches) -> Vec<Chosen> {
    let mut words = vec!["conch".into(), "serve".into()];
    if let Some(dir) = matches.try_get_one::<PathBuf>("dir").ok().flatten() {
        words.extend(["--dir".into(), dir.clone().into_os_string()]);
    }
    let parsed = Cli::command().try_get_matches_from(words);
    parsed.ok().and_then(|matches| matches.subcommand_matches("serve").map(of)).unwrap_or_default()
}

fn of(serve: &ArgMatches) -> Vec<Chosen> {
    let mut command = Cli::command();
    command.build();
    let mut all = command.find_subcommand("serve").map(|options| chosen(options, serve)).unwrap_or_default();
    let dir = serve.try_get_one::<PathBuf>("dir").ok().flatten();
    if let (Ok(parsed), Some(dir)) = (Serve::from_arg_matches(serve), dir) {
        fill(&mut all, &parsed, dir);
    }
    all
}

/// Defaults that the command line does not know, as they depend on the machine or on other options.
fn fill(all: &mut [Chosen], parsed: &Serve, dir: &Path) {
    for (option, value) in parsed.computed(dir) {
        let blank = |chosen: &&mut Chosen| chosen.option == option && chosen.value.is_empty();
        if let Some(chosen) = all.iter_mut().find(blank) {
            chosen.value = value;
        }
    }
}

fn chosen(options: &Command, matches: &ArgMatches) -> Vec<Chosen> {
    let options = options.get_arguments().filter(|option| option.get_env().is_some() || option.is_positional());
    let each = options.map(|option| {
        let id = option.get_id().as_str();
        let words = matches.try_get_raw(id).ok().flatten().into_iter().flatten();
        let value = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(",");
        let origin = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Origin::Flag,
            Some(ValueSource::EnvVariable) => Origin::Environment,
            _ => Origin::Default,
        };
        let secret = option.is_hide_env_values_set() && !value.is_empty();
        Chosen {
            option: option.get_long().map_or_else(|| id.to_uppercase(), |long| format!("--{long}")),
            variable: option.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            value: if secret { "(secret)".to_owned() } else { value },
            origin,
        }
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_says_where_it_is_from() {
        let line = ["conch", "--dir", "/x", "serve", "--http", "127.0.0.1:1", "--encryption-key", "hush"];
        let matches = Cli::command().try_get_matches_from(line).unwrap();
        let all = of(matches.subcommand_matches("serve").unwrap());
        let get = |name: &str| all.iter().find(|chosen| chosen.option == name).unwrap();
        assert_eq!((get("--http").value.as_str(), get("--http").origin), ("127.0.0.1:1", Origin::Flag));
        assert_eq!((get("--dir").value.as_str(), get("--dir").origin), ("/x", Origin::Flag));
        assert_eq!(get("--encryption-key").value, "(secret)");
        assert_eq!((get("--sync").value.as_str(), get("--sync").variable.as_str()), ("full", "CONCH_SYNC"));
        assert!(all.len() > 10 && !format!("{all:?}").contains("hush"));
    }

    #[test]
    fn defaults_that_depend_on_something_are_told() {
        let get = |line: &[&str], name: &str| {
            let line = ["conch", "--dir", "/x/data", "serve"].iter().chain(line);
            let matches = Cli::command().try_get_matches_from(line).unwrap();
            let all = of(matches.subcommand_matches("serve").unwrap());
            let found = all.into_iter().find(|chosen| chosen.option == name).unwrap();
            (found.value, found.origin)
        };
        let told = |value: &str| (value.to_owned(), Origin::Default);
        for (line, name, expected) in [
            (&[][..], "--http", told("127.0.0.1:8090")),
            (&[], "--https", told("")),
            (&[], "--public-dir", told("/x/pb_public")),
            (&["--temp"], "--public-dir", told("")),
            (&["--temp"], "--http", told("127.0.0.1:0")),
            (&["a.example"], "--http", told("0.0.0.0:80")),
            (&["a.example"], "--https", told("0.0.0.0:443")),
            (&["--https", "127.0.0.1:1"], "--https", ("127.0.0.1:1".to_owned(), Origin::Flag)),
            (&["--thumb-workers", "3"], "--thumb-workers", ("3".to_owned(), Origin::Flag)),
        ] {
            assert_eq!(get(line, name), expected, "{line:?} {name}");
        }
        assert!(get(&[], "--thumb-workers").0.parse::<usize>().unwrap() > 0);
    }
}
