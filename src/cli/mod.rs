//! The command line: one file per subcommand.
//!
//! May touch every room. What a person asked for goes to stdout, everything else (log, hints, errors) to stderr.
//! Main type: [`Cli`].

mod again;
mod ask;
mod backup;
mod bar;
mod config;
mod control;
mod exec;
mod health;
mod import;
mod log;
mod options;
mod owner;
mod restore;
mod seed;
mod serve;
mod storage;
mod superuser;
mod systemd;
mod temporary;
mod tls;
mod types;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    app::Config,
    error::{Error, Kind},
};

const EXAMPLES: &str = "\
Examples:
  conch serve                                    a server for ./data on http://127.0.0.1:8090
  conch serve app.example.com                    the same for the world, with certificates that are obtained and renewed
  conch serve --temp                             an empty server on a free port that leaves nothing behind
  conch exec -- npm test                         the same for as long as a command runs
  conch superuser upsert me@example.com --password-stdin
  conch import pocketbase ./pb_data --dir ./data
  conch backup create                            a backup of everything, while the server runs

Every option can also be given as an environment variable, named in its help.";

/// A whole backend in one executable: database, REST API and accounts out of one SQLite file.
#[derive(Debug, Parser)]
#[command(name = "conch", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where the data lives and how it is unlocked: every subcommand needs it.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The data directory; created if it is missing (an import wants one without data)
    #[arg(long, env = "CONCH_DIR", default_value = "data", global = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// 32 characters that encrypt the stored settings (they hold secrets); prefer the environment variable
    #[arg(long, env = "CONCH_ENCRYPTION_KEY", hide_env_values = true, global = true, value_name = "KEY")]
    pub encryption_key: Option<String>,
}

impl Place {
    /// How a command that is no server opens the directory.
    fn config(self) -> Config {
        Config { encryption_key: self.encryption_key, ..Config::new(self.dir) }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    Serve(serve::Serve),
    /// Run a command beside a temporary server, for tests
    Exec(exec::Exec),
    /// Manage the accounts that may do everything
    Superuser(superuser::Superuser),
    /// Manage where the files are kept
    Storage(storage::Storage),
    /// Print the collections as TypeScript types for the official SDK
    Types(types::Types),
    /// Bring data from elsewhere
    Import(import::Import),
    /// Show what the server goes by, and change settings
    Config(config::Config),
    /// Ask a server whether it is ready
    Health(health::Health),
    /// Print a unit for systemd
    Systemd(systemd::Systemd),
    /// Backups of the whole data directory
    #[command(subcommand)]
    Backup(Backup),
}

#[derive(Debug, Subcommand)]
enum Backup {
    /// Make a backup of this moment; a running server makes it and goes on
    Create(backup::Create),
    /// Show the backups: name, time in UTC, bytes
    List(backup::List),
    /// Unpack a backup aside and look whether it is whole
    Verify(backup::Verify),
    /// Put a backup in the place of everything
    Restore(restore::Restore),
}

/// Parses the arguments of this process and runs them.
pub fn run() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    options::remember(&matches);
    let done = match cli.command {
        Command::Serve(command) => command.run(cli.place),
        Command::Exec(command) => return command.run(),
        Command::Superuser(command) => command.run(cli.place),
        Command::Storage(command) => command.run(cli.place),
        Command::Types(command) => command.run(cli.place),
        Command::Import(command) => command.run(cli.place),
        Command::Config(command) => command.run(cli.place),
        Command::Health(command) => command.run(),
        Command::Systemd(command) => command.run(cli.place),
        Command::Backup(Backup::Create(command)) => command.run(cli.place),
        Command::Backup(Backup::List(command)) => command.run(cli.place),
        Command::Backup(Backup::Verify(command)) => command.run(cli.place),
        Command::Backup(Backup::Restore(command)) => command.run(cli.place),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conch: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What a person has to know of a failure: for each field what is wrong with it. The cause is told only where the
/// message does not tell it already.
fn told(error: &Error) -> String {
    let mut text = error.message.to_string();
    tell_issues("", &serde_json::to_value(&error.issues).unwrap_or_default(), &mut text);
    match &error.source {
        Some(source) if error.kind == Kind::Internal => format!("{text} ({source:#})"),
        _ => text,
    }
}

/// Each by its whole name, such as `smtp.host`.
fn tell_issues(place: &str, issues: &serde_json::Value, text: &mut String) {
    for (name, issue) in issues.as_object().into_iter().flatten() {
        let name = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        match issue.get("message").and_then(|message| message.as_str()) {
            Some(reason) => text.push_str(&format!(" {name}: {reason}")),
            None => tell_issues(&name, issue, text),
        }
    }
}

/// A domain's failure as a command's.
fn in_words(error: Error) -> anyhow::Error {
    anyhow::Error::msg(told(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Issues, Leaf};

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_wrong_is_told_by_its_whole_name() {
        let mut smtp = Issues::default();
        smtp.insert("host", Leaf::new("validation_required", "Cannot be blank."));
        let mut issues = Issues::default();
        issues.insert("key", Leaf::new("validation_invalid_value", "Must be a text."));
        issues.nest("smtp", smtp);
        let error = issues.into_result("The settings are not valid.").unwrap_err();
        assert_eq!(told(&error), "The settings are not valid. key: Must be a text. smtp.host: Cannot be blank.");
    }
}
