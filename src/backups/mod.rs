//! Backups: archives of the whole data directory, made while it is served (`docs/wire/services.md` §8).
//!
//! May touch the data directory, the folder `backups/` in it or a bucket, and through their rooms the database, settings,
//! jobs and mails. Main types: [`Backups`], which makes and keeps them, [`Archive`], which reads what anybody may have
//! made, and [`verify`], which judges it.
//!
//! | file | idea |
//! | --- | --- |
//! | `make` | a moment copied, and packed while everything goes on |
//! | `automatic` | by the clock: making, keeping some, telling superusers what went wrong |
//! | `shelf`, `name` | where archives are kept, and what they are called |
//! | `vault` | a bucket, and what was begun to be sent there |
//! | `room` | what has to stay free on the disk |
//! | `doing` | what is being done at this moment, for whoever watches |
//! | `turn` | one backup or restore at a time |
//! | `zip` | the format, and no more of it than is needed |
//! | `archive` | what an archive holds; unpacking it, whoever made it |
//! | `contents` | which files belong to a database |
//! | `lost` | a directory whose database has gone |
//! | `verify` | whether what was unpacked can be served |
//! | `swap` | the content of a directory exchanged by renames, under a journal: finished or undone after any crash |
//! | `restore` | an archive made ready beside the data, tried there, and only then decided for |
//! | `upgrade` | the copy of the database that is made before its tables are changed |

mod archive;
mod automatic;
mod contents;
mod doing;
mod lost;
mod make;
mod name;
pub mod restore;
mod room;
mod shelf;
pub mod swap;
#[cfg(test)]
mod tests;
mod turn;
pub mod upgrade;
mod vault;
mod verify;
mod zip;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use tokio::sync::oneshot;

pub use self::{
    archive::{About, Archive, Limits, free_bytes},
    automatic::CRON,
    doing::{Doing, Running},
    lost::refuse_remains,
    make::Place,
    restore::Restorer,
    shelf::{Fetched, Item},
    turn::Turn,
    verify::{Origin, Report, verify},
};
use self::{
    doing::Doings,
    make::Maker,
    shelf::{FOLDER, MAKING, Shelf, UPLOADING},
    turn::Turns,
};
use crate::{
    auth::Auth,
    clock::Clock,
    db::Db,
    error::{Error, Leaf, Result},
    files::{Object, Upload, uploads::Uploads},
    mail::Mail,
    progress::Progress,
    records::Records,
    settings,
};

/// The backups of one data directory. Cheap to clone.
#[derive(Clone)]
pub struct Backups {
    rooms: Rooms,
    turns: Turns,
    /// For what is being made.
    making: Arc<Path>,
    /// What is being sent to a bucket.
    uploads: Arc<Uploads>,
    doings: Doings,
}

/// What backups are made of.
#[derive(Clone)]
pub struct Rooms {
    pub db: Db,
    pub settings: settings::Store,
    pub records: Records,
    pub auth: Auth,
    pub mail: Mail,
    pub clock: Clock,
}

impl Backups {
    /// Removes what an earlier process was making when it ended. The directory's lock must be held. Blocks.
    pub fn open(rooms: Rooms) -> Self {
        let making: Arc<Path> = rooms.db.dir().join(FOLDER).join(MAKING).into();
        match fs::remove_dir_all(&making) {
            // No reason not to serve: whoever wants a backup hears of it.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %making.display(), %error, "what is left of earlier backups stays");
            }
            _ => {}
        }
        let uploads = Uploads::open(rooms.db.dir().join(FOLDER).join(UPLOADING));
        Self { rooms, turns: Turns::default(), making, uploads, doings: Doings::default() }
    }

    fn dir(&self) -> PathBuf {
        self.rooms.db.dir().to_owned()
    }

    /// All archives, by their names; none that is still being made.
    pub async fn list(&self) -> Result<Vec<Item>> {
        let mut items = self.shelf().await?.list().await?;
        // Asked after the look: what ended in between is whole.
        items.retain(|item| !self.turns.is_making(&item.key));
        Ok(items)
    }

    /// Makes a backup of this moment, of this name or of one with the time in it; returns its name when it is there. Goes
    /// on if the caller leaves. Fails as invalid, with the wire's codes, for a name that may not be or is taken, and while
    /// another backup or restore is at work.
    pub async fn create(&self, asked: Option<&str>, progress: &Progress) -> Result<String> {
        let key = match asked {
            Some(asked) => {
                name::asked(asked)?;
                asked.to_owned()
            }
            None => self.generated(false),
        };
        self.make(&key, progress).await?;
        Ok(key)
    }

    fn generated(&self, is_automatic: bool) -> String {
        let settings = self.rooms.settings.current();
        name::generated(is_automatic, &settings.meta.app_name, self.rooms.clock.now())
    }

    async fn make(&self, key: &str, progress: &Progress) -> Result<()> {
        self.shelf().await?.refuse_existing(key, "name").await?;
        let settings = self.rooms.settings.current();
        let place = self.place().await?;
        // From here on nobody can leave.
        let turn = self.turns.take_new(key)?;
        let maker = Maker {
            db: self.rooms.db.clone(),
            records: self.rooms.records.clone(),
            clock: self.rooms.clock.clone(),
            place,
            turns: self.turns.clone(),
            progress: progress.clone(),
            files_elsewhere: settings.s3.enabled,
        };
        let doing = self.tell("create", key, progress);
        let (backups, key) = (self.clone(), key.to_owned());
        on_a_thread("conch-backup", move || {
            // Until all of it is there, whatever becomes of whoever has asked.
            let _turn = (turn, doing);
            let made = maker.run(&key, async || backups.shelf().await);
            match &made {
                Ok(()) => tracing::info!(backup = key, "a backup was made"),
                Err(error) => tracing::error!(backup = key, %error, "a backup could not be made"),
            }
            made
        })
        .await
    }

    /// Keeps an archive that a client brings, under the name that it had there. Fails as invalid, with the wire's codes,
    /// when it is no zip or its name is taken.
    pub async fn upload(&self, upload: Upload) -> Result<()> {
        let key = upload.client_name.clone();
        if !name::is_key(&key) {
            return Err(Error::field(
                "file",
                Leaf::new("validation_invalid_value", "Has no name that a file can have."),
            ));
        }
        let (upload, kind) = tokio::task::spawn_blocking(move || {
            let kind = upload.sniff();
            (upload, kind)
        })
        .await
        .map_err(Error::internal)?;
        if kind? != "application/zip" {
            return Err(Error::field("file", Leaf::new("validation_invalid_mime_type", "Has to be a zip archive.")));
        }
        let shelf = self.shelf().await?;
        shelf.refuse_existing(&key, "file").await?;
        self.place().await.map(drop)?;
        // Carried through or called off, whether or not the client waits for it.
        let (turns, progress) = (self.turns.clone(), Progress::default());
        let doing = self.tell("upload", &key, &progress);
        let put = async move {
            let _doing = doing;
            shelf.put(&key, &upload.path, &turns, &progress).await
        };
        tokio::spawn(put).await.map_err(Error::internal)?
    }

    /// Calls off what earlier processes began to send to the bucket and did not end.
    pub async fn tidy(&self) -> Result<()> {
        self.shelf().await?.tidy().await
    }

    /// An archive to be sent; `None` when there is none of this name.
    pub async fn find(&self, key: &str) -> Result<Option<Object>> {
        self.shelf().await?.find(key).await
    }

    /// Removes an archive. Fails as invalid when there is none of this name, or it is being worked on.
    pub async fn delete(&self, key: &str) -> Result<()> {
        if self.turns.is_on(key) {
            return Err(Error::invalid("This backup is being worked on."));
        }
        match self.shelf().await?.delete(key).await? {
            true => Ok(()),
            false => Err(Error::invalid("There is no backup of this name.")),
        }
    }

    /// Unpacks an archive beside the others and looks whether it can be served: every checksum, the database, and every
    /// file that its records name. Nothing stays of that.
    pub async fn verify(&self, key: &str, progress: &Progress) -> Result<Report> {
        let doing = self.tell("verify", key, progress);
        let place = self.place().await?;
        let shelf = self.shelf().await?;
        let fetched = shelf.fetch(key, place.path(), &self.turns, progress).await?;
        let fetched = fetched.ok_or_else(|| Error::invalid("There is no backup of this name."))?;
        let progress = progress.clone();
        on_a_thread("conch-verify", move || {
            let _doing = doing;
            make::verify(&fetched.path, &place, &progress)
        })
        .await
    }

    /// The archive on the local disk. `None` when there is none of this name.
    pub async fn fetch(&self, key: &str, place: &Place, progress: &Progress) -> Result<Option<Fetched>> {
        self.shelf().await?.fetch(key, place.path(), &self.turns, progress).await
    }

    /// Keeps every other backup and restore from beginning, as long as it lives. Fails as invalid while one is at work.
    pub fn take_turn(&self, key: &str) -> Result<Turn> {
        self.turns.take(key)
    }

    /// What is being done with archives: of several things what was begun last.
    pub fn running(&self) -> Option<Running> {
        self.doings.newest()
    }

    /// Tells whoever watches of work on an archive, as long as the answer lives.
    pub fn tell(&self, what: &'static str, key: &str, progress: &Progress) -> Doing {
        self.doings.begin(what, key, self.rooms.clock.now(), progress)
    }

    /// Whether a backup or a restore is at work.
    pub fn is_busy(&self) -> bool {
        self.turns.is_taken()
    }

    /// A folder for work, on the disk of the local archives, that goes when it is dropped, and at the next start at the
    /// latest.
    pub async fn place(&self) -> Result<Place> {
        let making = self.making.clone();
        tokio::task::spawn_blocking(move || Place::new(&making)).await.map_err(Error::internal)?
    }

    /// Has whatever is being made end, and waits for that: the server stops.
    pub async fn stop(&self) {
        self.turns.end();
        self.turns.ended().await;
    }

    async fn shelf(&self) -> Result<Shelf> {
        Shelf::of(&self.rooms.settings.current().backups.s3, self.rooms.db.dir(), &self.uploads).await
    }
}

/// Looks at an archive that lies anywhere: unpacks it below `scratch`, which is made, and goes again. Blocks, for long.
pub fn verify_file(archive: &Path, scratch: &Path, progress: &Progress) -> Result<Report> {
    make::verify(archive, &Place::new(scratch)?, progress)
}

/// The folder of local archives in a data directory.
pub fn folder(dir: &Path) -> PathBuf {
    dir.join(FOLDER)
}

/// Runs what takes long and gives way to all others.
async fn on_a_thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        // A caller that has gone wants no answer.
        let _ = reply.send(work());
    })?;
    answer.await.map_err(|_| Error::internal(anyhow::anyhow!("the work of a backup panicked")))?
}
