//! A copy of the database as it is at one moment, made while it is written to.
//!
//! A connection of its own holds one snapshot and copies it page by page. Nobody waits for it: what is written meanwhile
//! stays in the write-ahead log, which the writer does not try to begin anew as long (`checkpoint.rs`). Therefore the copy
//! is made as fast as the disk takes it, and packing it comes later.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{Db, ReadTx, connect, log};
use crate::{
    error::{Error, Result},
    trickle::Trickle,
};

/// Pages that are copied at once: 1 MiB.
const STEP: i32 = 256;
/// When the source cannot be read now.
const NAP: Duration = Duration::from_millis(2);

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Epoch of the change log …
    pub epoch: String,
    /// … and the last change in it.
    pub seq: u64,
    /// The copy's size.
    pub bytes: u64,
}

impl Db {
    /// Copies the database to a new file at `target`. `pulse` hears of bytes copied and bytes in all, and may break off;
    /// then, as after any failure, no file is left. Blocks for as long as it takes.
    pub fn copy_to(&self, target: &Path, pulse: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<Moment> {
        let shared = &self.inner.shared;
        let _held = Held::new(&shared.held);
        let source = connect::reader(&self.inner.dir.join(connect::FILE), &[])?;
        source.execute_batch("BEGIN")?;
        // The first look opens the snapshot.
        let tx = ReadTx { connection: &source, now: shared.clock.now() };
        let (epoch, seq) = (log::epoch(&tx)?.unwrap_or_default(), log::last(&tx)?);
        let bytes = copy_pages(&source, target, pulse)?;
        Ok(Moment { epoch, seq, bytes })
    }
}

/// Copies any database of the house to a new file, as it is at one moment; the same duties as for [`Db::copy_to`].
pub fn copy_file(source: &Path, target: &Path, pulse: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<u64> {
    let source = connect::reader(source, &[])?;
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
    copy_pages(&source, target, pulse)
}

/// Copies what `source` sees; the same duties as for [`Db::copy_to`]. Returns the size of the copy.
pub(super) fn copy_pages(
    source: &Connection,
    target: &Path,
    pulse: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<u64> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)?;
    let copied = fill(source, target, &file, pulse);
    if copied.is_err() {
        // It is in a folder that is emptied at the next start.
        let _ = fs::remove_file(target);
    }
    copied
}

fn fill(source: &Connection, target: &Path, file: &File, pulse: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(target, flags)?;
    // Nobody needs a half of it: it has no journal.
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -4000;")?;
    let page = source.query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)?;
    let size = |pages: i32| u64::try_from(pages).unwrap_or(0) * page;
    let backup = Backup::new(source, &mut copy)?;
    // What piles up unwritten would hold up the next commit's.
    let mut trickle = Trickle::default();
    loop {
        let step = backup.step(STEP)?;
        let progress = backup.progress();
        let (total, left) = (size(progress.pagecount), size(progress.remaining));
        let done = total.saturating_sub(left);
        pulse(done, total)?;
        match step {
            StepResult::Done => return Ok(total),
            StepResult::More => trickle.reach(file, done)?,
            StepResult::Busy | StepResult::Locked => thread::sleep(NAP),
            _ => return Err(Error::internal(anyhow::anyhow!("a copy of the database goes no further"))),
        }
    }
}

/// As long as there is one, the write-ahead log is not begun anew.
struct Held(Arc<AtomicU32>);

impl Held {
    fn new(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::db::{
        Copy, Depth,
        testing::{self, TempDir, insert, open, options},
    };

    /// Every copy has the records that its log tells of, and no others, whatever is written meanwhile.
    #[test]
    fn a_copy_is_one_moment_of_a_database_that_is_written_to() {
        let (db, _dir) = open(options());
        let place = TempDir::new();
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (db, stop) = (db.clone(), Arc::clone(&stop));
                thread::spawn(move || {
                    let mut written = 0;
                    while !stop.load(Relaxed) {
                        let id = format!("{writer}-{written}");
                        db.write_blocking(move |tx| insert(tx, &id, &"x".repeat(5000))).unwrap();
                        written += 1;
                    }
                })
            })
            .collect();
        let mut last = 0;
        for round in 0..6 {
            while db.announced() < last + 150 {
                thread::sleep(Duration::from_millis(1));
            }
            let path = place.path().join(format!("{round}.db"));
            let mut steps = 0;
            let moment = db
                .copy_to(&path, &mut |done, total| {
                    assert!(done <= total);
                    steps += 1;
                    // Others write between any two steps.
                    let now = db.announced();
                    while db.announced() == now {
                        thread::yield_now();
                    }
                    Ok(())
                })
                .unwrap();
            assert!(steps > 0 && moment.seq > last && moment.epoch == *db.epoch().to_string());
            assert_eq!(fs::metadata(&path).unwrap().len(), moment.bytes);
            last = moment.seq;
            let copy = Copy::open(&path, &[]).unwrap();
            assert!(copy.problems(Depth::Whole).unwrap().is_empty());
            assert_eq!(copy.head().unwrap(), (moment.epoch, moment.seq));
            assert_eq!(copy.read(testing::count).unwrap() as u64, moment.seq);
        }
        stop.store(true, Relaxed);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(db.inner.shared.held.load(Relaxed), 0);
    }

    #[test]
    fn one_that_is_broken_off_leaves_nothing() {
        let (db, _dir) = open(options());
        db.write_blocking(|tx| insert(tx, "a", &"x".repeat(3 << 20))).unwrap();
        let place = TempDir::new();
        let path = place.path().join("copy.db");
        let broken = db.copy_to(&path, &mut |_, _| Err(Error::invalid("enough")));
        assert_eq!(broken.unwrap_err().message, "enough");
        assert!(!path.exists());
        fs::write(&path, "somebody's").unwrap();
        assert!(db.copy_to(&path, &mut |_, _| Ok(())).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"somebody's");
    }
}
