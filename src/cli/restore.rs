//! `conch backup restore`: an archive takes the place of everything, by the running server or without one.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::Args;

use super::{Place, ask::Ask, bar, control, in_words, owner};
use crate::{
    app::{App, Config},
    backups::{
        self, Fetched,
        swap::{self, Ended},
    },
    db::Db,
    progress::Progress,
};

/// A server that starts again on what was restored has this long to be up.
const PATIENCE: Duration = Duration::from_secs(120);

/// `conch backup restore`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch backup restore nightly.zip --dir /var/lib/conch     one that `conch backup list` shows
  conch backup restore ./from-elsewhere.zip
  conch backup restore before_restore_20260131120000        back to what a restore has put aside

The archive is unpacked, verified and tried beside the data first. What is there now is not deleted: it is kept in a
folder before_restore_… in the data directory, and comes back by itself if no server comes up on what was restored. A
running server carries on with what was restored, on the same address; clients in the middle of something begin anew.")]
pub struct Restore {
    /// The name of a backup or of a kept folder, or the path of an archive
    #[arg(value_name = "NAME|FILE")]
    archive: String,
}

impl Restore {
    /// Prints what became of it.
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        println!("{}", runtime.block_on(self.carry_out(place))?);
        Ok(())
    }

    async fn carry_out(self, place: Place) -> anyhow::Result<String> {
        let (dir, before) = (place.dir.clone(), swap::last(&place.dir).map_err(in_words)?);
        let file = self.file(&dir)?;
        let ask = Ask::Restore { archive: self.archive.clone(), file: file.clone() };
        if control::ask(&dir, &ask).await?.is_some() {
            return outcome_of_the_server(&dir, before.as_ref()).await;
        }
        owner::refuse_stranger(&dir)?;
        bar::with_bar(async |progress| {
            let name = self.archive;
            // What was fetched goes with this.
            let fetched = match file.or_else(|| local(&dir, &name)) {
                Some(file) => Found::Here(file),
                None => fetch(&place, &name, &progress).await?,
            };
            tokio::task::spawn_blocking(move || restore_here(place, fetched.path(), &name, &progress)).await?
        })
        .await
    }

    /// A file of this name that there is here, or a kept folder: wherever a server looks for its files.
    fn file(&self, dir: &Path) -> anyhow::Result<Option<PathBuf>> {
        let (path, kept) = (Path::new(&self.archive), dir.join(&self.archive));
        let found = [path, &kept].into_iter().find(|path| path.join("data.db").is_file());
        // A bare name is first of all one of the backups, as for `verify`.
        let is_backup = !self.archive.contains('/') && local(dir, &self.archive).is_some();
        let here = (path.is_file() && !is_backup).then_some(path);
        let found = found.filter(|_| swap::is_kept(&self.archive)).or(here);
        Ok(found.map(fs::canonicalize).transpose()?)
    }
}

/// The archive on this machine.
enum Found {
    Here(PathBuf),
    Fetched {
        archive: Fetched,
        /// That it is in, and that goes with this.
        _folder: backups::Place,
    },
}

impl Found {
    fn path(&self) -> &Path {
        match self {
            Self::Here(path) => path,
            Self::Fetched { archive, .. } => &archive.path,
        }
    }
}

/// From where the settings say that backups are kept.
async fn fetch(place: &Place, name: &str, progress: &Progress) -> anyhow::Result<Found> {
    let unknown = || anyhow::anyhow!("there is no backup {name} in {} and no such file", place.dir.display());
    if !owner::has_data(&place.dir)? {
        return Err(unknown());
    }
    let app = App::open(place.clone().config()).map_err(in_words)?;
    let fetched = async {
        let folder = app.backups.place().await?;
        let archive = app.backups.fetch(name, &folder, progress).await?;
        Ok(archive.map(|archive| Found::Fetched { archive, _folder: folder }))
    };
    let fetched = fetched.await;
    app.db.close().await;
    fetched.map_err(in_words)?.ok_or_else(unknown)
}

/// A backup in the directory.
fn local(dir: &Path, name: &str) -> Option<PathBuf> {
    let path = backups::folder(dir).join(name);
    let is_plain = Path::new(name).components().count() == 1 && !name.starts_with('.');
    (is_plain && path.is_file()).then_some(path)
}

/// Without a server: the data need not even be such that one could be started on it.
fn restore_here(place: Place, file: &Path, name: &str, progress: &Progress) -> anyhow::Result<String> {
    let config = place.config();
    let dir = config.dir.clone();
    if !swap::is_pending(&dir) {
        Db::refuse_foreign(&dir).map_err(in_words)?;
    }
    let lock = Db::lock(&dir).map_err(in_words)?;
    let staged =
        swap::settle(&dir, false).and_then(|_| App::restorer(&config).stage(&dir, file, name, &|| Ok(()), progress));
    drop(lock);
    staged.map_err(in_words)?;
    // As a server would be started on it: this is the trial.
    let app = App::open(Config { serving: true, ..config }).map_err(in_words)?;
    let confirmed = swap::confirm_and_tidy(&dir).map_err(in_words);
    tokio::runtime::Builder::new_current_thread().build()?.block_on(app.db.close());
    confirmed?;
    match swap::last(&dir).map_err(in_words)? {
        Some(ended) => told(&dir, &ended),
        None => bail!("what became of the restore cannot be told: look into {}", dir.display()),
    }
}

/// What the server says when it has started again.
async fn outcome_of_the_server(dir: &Path, before: Option<&Ended>) -> anyhow::Result<String> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if swap::is_pending(dir) {
            continue;
        }
        if let Some(ended) = swap::last(dir).map_err(in_words)?
            && before.is_none_or(|before| before.id != ended.id)
        {
            return told(dir, &ended);
        }
    }
    bail!("the server has begun to restore, but is not up again after {} seconds: see its log", PATIENCE.as_secs())
}

fn told(dir: &Path, ended: &Ended) -> anyhow::Result<String> {
    let kept = dir.join(&ended.kept);
    match &ended.reason {
        None => Ok(format!("Restored {}. What was there before is kept in {}.", ended.what, kept.display())),
        Some(reason) => bail!(
            "{} was not restored, everything is as it was before: {}. What was restored is kept in {}.",
            ended.what,
            reason.trim_end_matches('.'),
            kept.display()
        ),
    }
}
