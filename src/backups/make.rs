//! Making an archive, on a thread of its own, while everything goes on.
//!
//! First the databases are copied, each as it is at one moment, and as fast as that goes: that moment is the backup's.
//! Then, slowly and at low priority, the copy and the files that its records name are packed. No file changes, and those
//! that are dropped meanwhile are not removed before the end (`Records::keep_files`), so all of them are those of that
//! moment, however long it takes.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{About, Report, archive, contents, room::Room, shelf::Shelf, turn::Turns, zip::Writer};
use crate::{
    clock::{Clock, Timestamp},
    db::{self, Copy, Db, Moment},
    error::{Error, Kind, Result},
    progress::{Progress, Unit},
    random,
    records::Records,
    rules,
    schema::Catalog,
    threads,
};

/// How far packing stands behind everything else.
const NICENESS: i32 = 10;
const LOGS: &str = "auxiliary.db";
/// Follows a file's name in the name of what tells about it.
const SIDECAR: &str = ".attrs";
/// Missing files that are told by name.
const MOST_NAMED: u64 = 5;

/// What is needed to make one.
pub struct Maker {
    pub db: Db,
    pub records: Records,
    pub clock: Clock,
    /// A folder of its own, which goes with it.
    pub place: Place,
    pub turns: Turns,
    pub progress: Progress,
    /// Whether records' files are in a bucket, and not in the data directory.
    pub files_elsewhere: bool,
}

/// A folder for what is being made; removed when dropped.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    /// Below `making`, which is created if it is not there.
    pub fn new(making: &Path) -> Result<Self> {
        let path = making.join(random::string(random::LOWER_ALPHANUMERIC, 20));
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "what a backup leaves is removed at the next start");
        }
    }
}

impl Maker {
    /// Makes the archive and puts it on the shelf that `shelf` finds. Blocks, for long.
    pub fn run(self, key: &str, shelf: impl AsyncFnOnce() -> Result<Shelf>) -> Result<()> {
        let archive = self.place.path().join("archive.zip");
        {
            // Before the moment: what is dropped after it stays until the files are packed.
            let _kept = self.records.keep_files();
            let moment = self.copy()?;
            threads::give_way(NICENESS);
            self.pack(&archive, &moment)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { shelf().await?.put(key, &archive, &self.turns, &self.progress).await })
    }

    /// Copies both databases into the place.
    fn copy(&self) -> Result<Moment> {
        self.progress.begin("Copying the database", 0, Unit::Bytes);
        let logs = self.db.dir().join(LOGS);
        let sizes =
            [self.db.dir().join("data.db"), logs.clone()].map(|path| fs::metadata(path).map_or(0, |it| it.len()));
        let mut room = Room::new(self.place.path());
        room.expect(sizes.iter().sum())?;
        let (mut total, mut done) = (0, 0);
        let mut pulse = |now: u64, of: u64| {
            if of != total {
                total = of;
                self.progress.begin("Copying the database", of, Unit::Bytes);
                self.progress.advance(now);
            } else {
                self.progress.advance(now.saturating_sub(done));
            }
            room.take(now.saturating_sub(done), of.saturating_sub(now) + sizes[1])?;
            done = now;
            self.turns.check()
        };
        let moment = self.db.copy_to(&self.place.path().join("data.db"), &mut pulse)?;
        let mut done = 0;
        let mut pulse = |now: u64, of: u64| {
            room.take(now.saturating_sub(done), of.saturating_sub(now))?;
            done = now;
            self.turns.check()
        };
        if logs.exists()
            && let Err(error) = db::copy_file(&logs, &self.place.path().join(LOGS), &mut pulse)
        {
            self.turns.check()?;
            if error.kind == Kind::StorageFull {
                return Err(error);
            }
            // Better a backup without the logs than none.
            tracing::warn!(%error, "the logs are not in this backup");
        }
        Ok(moment)
    }

    /// Packs the copies, and the files of the records in them.
    fn pack(&self, archive: &Path, moment: &Moment) -> Result<()> {
        let copy = Copy::open(&self.place.path().join("data.db"), &[rules::register])?;
        let catalog = copy.read(Catalog::stored)?;
        let found = self.look_for_files(&copy, &catalog)?;
        let databases = ["data.db", LOGS].map(|name| (name, self.place.path().join(name)));
        let sizes = databases.iter().filter_map(|(_, path)| fs::metadata(path).ok()).map(|found| found.len());
        self.progress.begin("Packing", found.bytes + sizes.sum::<u64>(), Unit::Bytes);
        let mut writer = Writer::create(archive)?;
        let mut room = Room::new(archive);
        let mut pulse = |read: u64| {
            self.progress.advance(read);
            room.take(read, 0)?;
            self.turns.check()
        };
        for (name, path) in &databases {
            if path.exists() {
                add(&mut writer, name, path, &mut pulse)?;
            }
        }
        let (mut files, mut missing) = (0, 0);
        if !self.files_elsewhere {
            let storage = self.db.dir().join("storage");
            contents::each_file(&copy, &catalog, |key| {
                let path = storage.join(key.as_str());
                files += 1;
                if !add(&mut writer, &format!("storage/{}", key.as_str()), &path, &mut pulse)? {
                    missing += 1;
                    if missing <= MOST_NAMED {
                        tracing::warn!(file = key.as_str(), "a record names a file that is not there");
                    }
                }
                let sidecar = format!("{}{SIDECAR}", key.as_str());
                add(&mut writer, &format!("storage/{sidecar}"), &storage.join(&sidecar), &mut pulse)?;
                Ok(())
            })?;
        }
        let about = About {
            conch: env!("CARGO_PKG_VERSION").to_owned(),
            created: self.clock.now().to_string(),
            epoch: moment.epoch.clone(),
            seq: moment.seq,
            files: files - missing,
            missing,
            files_elsewhere: self.files_elsewhere,
        };
        if missing > 0 {
            tracing::warn!(missing, files, "files that records name are not there, and not in this backup");
        }
        writer.finish(&serde_json::to_string(&about).map_err(Error::internal)?)
    }

    /// How much there is to pack.
    fn look_for_files(&self, copy: &Copy, catalog: &Catalog) -> Result<Found> {
        let mut found = Found::default();
        if self.files_elsewhere {
            return Ok(found);
        }
        self.progress.begin("Looking for files", 0, Unit::Items);
        let storage = self.db.dir().join("storage");
        contents::each_file(copy, catalog, |key| {
            self.progress.advance(1);
            found.bytes += fs::metadata(storage.join(key.as_str())).map_or(0, |found| found.len());
            self.turns.check()
        })?;
        Ok(found)
    }
}

#[derive(Default)]
struct Found {
    bytes: u64,
}

/// Adds a file. False when it is not there.
fn add(writer: &mut Writer, name: &str, path: &Path, pulse: &mut dyn FnMut(u64) -> Result<()>) -> Result<bool> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(false);
    }
    let since = found.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let modified = Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    writer.add(name, &mut file, found.len(), modified, pulse)?;
    Ok(true)
}

/// Unpacks an archive into `place` and looks whether it can be served. Blocks, for long.
pub fn verify(archive: &Path, place: &Place, progress: &Progress) -> Result<Report> {
    threads::give_way(NICENESS);
    let archive = archive::Archive::open(archive)?;
    let dir = place.path().join("unpacked");
    archive.extract_into(&dir, &archive::Limits::for_room_in(&dir)?, progress)?;
    let origin = super::verify::Origin::Archive(archive.about());
    super::verify::verify(&dir, origin, db::Depth::Whole, progress)
}
