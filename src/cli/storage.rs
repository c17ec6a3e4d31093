//! `conch storage …`: where the files are kept.

use clap::{Args, Subcommand, ValueEnum, builder::FalseyValueParser};

use super::{Place, ask::Ask};
use crate::files::{Destination, Moved};

/// `conch storage`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch storage move --to s3 --dir /var/lib/conch
  conch storage move --to local --delete-source

Fill in s3.endpoint, s3.bucket, s3.region, s3.accessKey and s3.secret of the settings first, and leave s3.enabled to this
command. A server that runs on the directory does it itself, and goes on serving and taking files.")]
pub struct Storage {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Copy all files, compare the copies, and keep files there from then on
    ///
    /// May be interrupted and started again: what is there already is not copied twice. The settings change when nothing is
    /// missing any more.
    Move {
        /// Where to
        #[arg(long, env = "CONCH_STORAGE_MOVE_TO", value_name = "s3|local")]
        to: To,
        /// Remove the originals in the end; if they were left by an earlier move, those
        #[arg(long, env = "CONCH_STORAGE_MOVE_DELETE_SOURCE", value_parser = FalseyValueParser::new())]
        delete_source: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum To {
    S3,
    Local,
}

impl Storage {
    /// Prints what was done.
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        let Action::Move { to, delete_source } = self.action;
        let to = match to {
            To::S3 => Destination::S3,
            To::Local => Destination::Local,
        };
        super::log::start(super::log::Level::Quiet);
        println!("{}", Ask::MoveFiles { to, delete_source }.carry_out(place)?);
        Ok(())
    }
}

/// What was done, for people.
pub fn told(moved: &Moved, to: Destination) -> String {
    let place = match to {
        Destination::S3 => "in the bucket",
        Destination::Local => "on this disk",
    };
    let mut text = match moved.was_there {
        true => format!("Files are kept {place} already."),
        false => format!(
            "Copied {} files ({} bytes), {} were there already. Files are kept {place} from now on.",
            moved.copied, moved.bytes, moved.present
        ),
    };
    if moved.removed > 0 {
        text.push_str(&format!(" Removed {} originals.", moved.removed));
    }
    if moved.left > 0 {
        text.push_str(&format!(" Left {} files where they were, which are not {place}.", moved.left));
    }
    text
}
