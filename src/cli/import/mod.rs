//! `conch import pocketbase DIR`: a copy of a PocketBase data directory that Conch carries on with
//! (`docs/wire/records-storage.md`).
//!
//! The source is only ever read. The copy is made, checked and adopted in a staging folder inside the target, and moved
//! to its place at the very end: an import that fails or is killed leaves no half directory behind.

mod database;
mod files;
mod report;
mod source;
mod staging;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use self::{database::Survey, report::Report, source::Source, staging::Staging};
use super::{
    Place,
    bar::{self, Bar},
    in_words,
};
use crate::{
    app::App,
    backups::{Archive, Limits},
    progress::{Progress, Unit},
    schema::bootstrap::notify,
    settings::Settings,
};

/// Where a backup is unpacked, in the staging folder.
const UNPACKED: &str = ".unpacked";

/// `conch import`
#[derive(Debug, Args)]
pub struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Copy a data directory of PocketBase 0.23 or newer into --dir
    ///
    /// Records, files, passwords and issued tokens stay valid. The source is only read; stop PocketBase first, or what it
    /// writes afterwards stays behind.
    #[command(after_help = "\
Examples:
  conch import pocketbase ./pb_data --dir ./data
  conch import pocketbase ./pb_backup_acme_20260101000000.zip --dir ./data")]
    Pocketbase {
        /// The data directory of PocketBase, usually called pb_data, or a backup that it made
        #[arg(value_name = "DIR|ZIP")]
        source: PathBuf,
    },
}

impl Import {
    /// Prints a report of what came along and what could not.
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        let From::Pocketbase { source } = self.from;
        super::log::start(super::log::Level::Quiet);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = async |progress| tokio::task::spawn_blocking(move || import(&source, &place, &progress)).await;
        let report = runtime.block_on(bar::under(Bar::or_lines(), work))??;
        print!("{report}");
        Ok(())
    }
}

fn import(source: &Path, place: &Place, progress: &Progress) -> anyhow::Result<Report> {
    let say = |what: &str| progress.begin(what, 0, Unit::Items);
    let (staging, source) = if source.is_file() {
        let staging = Staging::create(&place.dir, source)?;
        say("Unpacking the backup");
        let unpacked = staging.path().join(UNPACKED);
        unpack(source, &unpacked, progress).with_context(|| format!("cannot unpack {}", source.display()))?;
        (staging, Source::unpacked(&unpacked, source)?)
    } else {
        let source = Source::open(source)?;
        (Staging::create(&place.dir, source.path())?, source)
    };

    say("Copying the database");
    source.copy_database(staging.path())?;
    say("Checking the database");
    let survey = Survey::of(&staging.path().join("data.db"), place.encryption_key.is_some())?;
    let copied = files::copy(&source.path().join("storage"), &staging.path().join("storage"), progress)?;

    say("Taking over");
    let settings = adopt(staging.path(), place, &survey)?;
    let missing = survey.missing_files(&staging.path().join("data.db"), &staging.path().join("storage"))?;
    let report = Report::new(&place.dir, &source, &survey, &settings, copied, missing);
    staging.discard(UNPACKED)?;
    staging.publish().with_context(|| format!("cannot move the copy to {}", place.dir.display()))?;
    Ok(report)
}

/// A backup, from wherever it came, into a folder of the staging.
fn unpack(archive: &Path, folder: &Path, progress: &Progress) -> anyhow::Result<()> {
    let unpacked =
        Limits::for_room_in(folder).and_then(|limits| Archive::open(archive)?.extract_into(folder, &limits, progress));
    unpacked.map_err(in_words)
}

/// Opens the copy as Conch's own, which migrates it, and compares what is in it then.
fn adopt(dir: &Path, place: &Place, survey: &Survey) -> anyhow::Result<Arc<Settings>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let settings = runtime.block_on(async {
        let config = Place { dir: dir.to_owned(), ..place.clone() }.config();
        let app = App::open(crate::app::Config { adopt: true, ..config }).context("the copy cannot be opened")?;
        let kept = app.schema.catalog().all().len() - notify::NAMES.len();
        let settings = app.settings.current();
        app.db.close().await;
        drop(app);
        if kept != survey.collections.len() {
            bail!("{} collections were copied, but {kept} could be read", survey.collections.len());
        }
        Ok(settings)
    })?;
    survey.compare(&dir.join("data.db"))?;
    Ok(settings)
}
