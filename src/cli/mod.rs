//! The command line: one file per subcommand.
//!
//! May touch every room. What a person asked for goes to stdout, everything else (log, hints, errors) to stderr.
//! Main type: [`Cli`].

pub mod serve;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

/// A whole backend in one executable: database, REST API and accounts out of one SQLite file.
#[derive(Debug, Parser)]
#[command(name = "conch", version, propagate_version = true, disable_help_subcommand = true)]
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

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    Serve(serve::Serve),
}

/// Parses the arguments of this process and runs them.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Serve(command) => command.run(cli.place),
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
