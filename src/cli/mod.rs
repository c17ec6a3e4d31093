//! The command line: one file per subcommand.
//!
//! May touch every room. What a person asked for goes to stdout, everything else (log, hints, errors) to stderr.
//! Main type: [`Cli`].

mod control;
mod import;
mod log;
mod serve;
mod superuser;
mod temporary;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{app::Config, clock::Clock, db::Durability};

const EXAMPLES: &str = "\
Examples:
  conch serve                                    a server for ./data on http://127.0.0.1:8090
  conch serve --temp                             an empty server on a free port that leaves nothing behind
  conch superuser upsert me@example.com --password-stdin
  conch import pocketbase ./pb_data --dir ./data

Every option can also be given as an environment variable, named in its help.";

/// A whole backend in one executable: database, REST API and accounts out of one SQLite file.
#[derive(Debug, Parser)]
#[command(name = "conch", version, propagate_version = true, disable_help_subcommand = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where the data lives and how it is unlocked: every subcommand needs it.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The data directory; created if it is missing
    #[arg(long, env = "CONCH_DIR", default_value = "data", global = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// 32 characters that encrypt the stored settings (they hold secrets); prefer the environment variable
    #[arg(long, env = "CONCH_ENCRYPTION_KEY", hide_env_values = true, global = true, value_name = "KEY")]
    pub encryption_key: Option<String>,
}

impl Place {
    /// How a command that is no server opens the directory.
    fn config(self) -> Config {
        Config {
            dir: self.dir,
            durability: Durability::Full,
            query_timeout: Duration::from_secs(30),
            encryption_key: self.encryption_key,
            clock: Clock::system(),
            temporary: false,
            dev: false,
            adopt: false,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    Serve(serve::Serve),
    /// Manage the accounts that may do everything
    Superuser(superuser::Superuser),
    /// Bring data from elsewhere
    Import(import::Import),
}

/// Parses the arguments of this process and runs them.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Serve(command) => command.run(cli.place),
        Command::Superuser(command) => command.run(cli.place),
        Command::Import(command) => command.run(cli.place),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conch: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
