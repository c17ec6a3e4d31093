//! Whether what came out of an archive is a data directory that can be served.

use std::path::Path;

use serde::Serialize;

use super::{About, contents};
use crate::{
    db::{Copy, Depth, Owner},
    error::{Error, Kind, Result},
    progress::{Progress, Unit},
    rules,
    schema::Catalog,
    settings,
};

/// So many problems are told one by one.
const MOST: usize = 20;
/// So many missing files are told by name.
const MOST_NAMED: usize = 5;

/// Where a content comes from: that says what may be missing in it.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// An archive, with what it says of itself: nothing when another program has made or changed it.
    Archive(Option<&'a About>),
    /// A folder that was put aside as it was.
    Folder,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// False for a database of PocketBase, which has to be adopted first: then only the database was looked at.
    pub is_conch: bool,
    /// The number of its newest migration, and that of this executable's: it may be older, never newer.
    pub version: u32,
    pub newest_version: u32,
    /// Epoch and last number of its change log.
    pub epoch: String,
    pub seq: u64,
    pub collections: usize,
    /// Files that records name.
    pub files: u64,
    /// Those of them that are not there.
    pub missing: u64,
    /// What is wrong, in sentences for people, as far as there is room. Nothing: it can be served.
    pub problems: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// The report, or all that is wrong as one failure.
    pub fn into_result(self) -> Result<Self> {
        if self.is_sound() {
            return Ok(self);
        }
        Err(Error::invalid(format!("This backup is not sound: {}", self.problems.join(" "))))
    }

    fn wrong(&mut self, what: impl Into<String>) {
        if self.problems.len() < MOST {
            self.problems.push(what.into());
        }
    }
}

/// Looks at an unpacked backup: the database page by page (at the `depth` that is wanted) and its log, the collections,
/// and every file that a record names. What an archive says of itself has to be true.
///
/// Nothing in `dir` changes, but that write-ahead logs are copied into their databases. Fails as invalid when there is no
/// database, one that is damaged so that nothing can be asked of it, or one of another program or of a newer Conch. Blocks.
pub fn verify(dir: &Path, origin: Origin<'_>, depth: Depth, progress: &Progress) -> Result<Report> {
    let path = dir.join("data.db");
    if !path.exists() {
        return Err(Error::invalid("There is no data.db in it."));
    }
    look(dir, &path, origin, depth, progress).map_err(|error| match error.sqlite() {
        // Whoever reads this has to do something, and not about us.
        Some(_) if error.kind == Kind::Invalid => {
            let message =
                format!("The database in it is damaged. Nothing was changed: take another backup. {}", error.message);
            Error { message: message.into(), ..error }
        }
        _ => error,
    })
}

fn look(dir: &Path, path: &Path, origin: Origin<'_>, depth: Depth, progress: &Progress) -> Result<Report> {
    progress.begin("Checking the database", 0, Unit::Items);
    let copy = Copy::open(path, &[rules::register])?;
    let owner = copy.owner()?;
    let mut report = Report {
        is_conch: owner == Owner::Conch,
        version: 0,
        newest_version: 0,
        epoch: String::new(),
        seq: 0,
        collections: 0,
        files: 0,
        missing: 0,
        problems: copy.problems(depth)?.into_iter().map(|problem| format!("data.db: {problem}.")).collect(),
    };
    match owner {
        Owner::Conch => look_inside(dir, &copy, origin, &mut report, progress)?,
        Owner::PocketBase => {}
        Owner::Nobody => return Err(Error::invalid("Its database is empty.")),
        Owner::Stranger => return Err(Error::invalid("Its database is of another program, not of Conch.")),
    }
    let logs = dir.join("auxiliary.db");
    if logs.exists() {
        match Copy::open(&logs, &[]).and_then(|copy| copy.problems(Depth::Quick)) {
            Ok(problems) => problems.iter().for_each(|problem| report.wrong(format!("auxiliary.db: {problem}."))),
            Err(error) => report.wrong(error.message),
        }
    }
    Ok(report)
}

fn look_inside(dir: &Path, copy: &Copy, origin: Origin<'_>, report: &mut Report, progress: &Progress) -> Result<()> {
    (report.version, report.newest_version) = copy.versions()?;
    if report.version > report.newest_version {
        return Err(Error::invalid(format!(
            "It was made by a newer Conch (database version {}, this executable knows {}). Use that version or a newer one.",
            report.version, report.newest_version
        )));
    }
    // What cannot be read does not have to be compared.
    if !report.problems.is_empty() {
        return Ok(());
    }
    (report.epoch, report.seq) = copy.head()?;
    let about = match origin {
        Origin::Archive(about) => about,
        Origin::Folder => None,
    };
    if let Some(about) = about
        && (&about.epoch, about.seq) != (&report.epoch, report.seq)
    {
        report.wrong(format!(
            "Its log ends with change {} of {}, and the archive says {} of {}.",
            report.seq, report.epoch, about.seq, about.epoch
        ));
    }
    let catalog = match copy.read(Catalog::stored) {
        Ok(catalog) => catalog,
        Err(error) => {
            report.wrong(format!("Its collections cannot be read: {error}."));
            return Ok(());
        }
    };
    report.collections = catalog.all().len();
    progress.begin("Looking for files", about.map_or(0, |about| about.files), Unit::Items);
    let mut named = Vec::new();
    contents::each_file(copy, &catalog, |key| {
        report.files += 1;
        progress.advance(1);
        if !dir.join("storage").join(key.as_str()).is_file() {
            report.missing += 1;
            if named.len() < MOST_NAMED {
                named.push(format!("storage/{}", key.as_str()));
            }
        }
        Ok(())
    })?;
    let allowed = allowed_to_miss(copy, origin, report)?;
    if report.missing > allowed {
        report.wrong(about_missing(report, allowed, &named));
    }
    Ok(())
}

/// How many files may be missing: those that were when the archive was made, and all where they are kept elsewhere.
fn allowed_to_miss(copy: &Copy, origin: Origin<'_>, report: &Report) -> Result<u64> {
    Ok(match origin {
        // It was served like that.
        Origin::Folder => u64::MAX,
        Origin::Archive(Some(about)) if about.files_elsewhere => u64::MAX,
        Origin::Archive(Some(about)) => about.missing,
        // Some of them are there, so the others belong there.
        Origin::Archive(None) if report.missing < report.files => 0,
        Origin::Archive(None) => match copy.read(settings::stored_in_bucket)? {
            Some(false) => 0,
            // Encrypted settings do not tell.
            Some(true) | None => u64::MAX,
        },
    })
}

fn about_missing(report: &Report, allowed: u64, named: &[String]) -> String {
    let before = match allowed {
        0 => String::new(),
        known => format!(" ({known} were when it was made)"),
    };
    let more = report.missing.saturating_sub(named.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "{} of {} files that records name are missing{before}: {}{more}.",
        report.missing,
        report.files,
        named.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use serde_json::json;

    use super::*;
    use crate::{
        db::{
            Db,
            testing::{TempDir, options},
        },
        schema::Schema,
    };

    /// An unpacked backup: the database of a directory with a collection `c` whose record names these files.
    async fn unpacked(named: &str) -> (TempDir, About) {
        let (dir, place) = (TempDir::new(), TempDir::new());
        let db = Db::open(dir.path(), options()).unwrap();
        let schema = Schema::open(db.clone(), Arc::new(rules::Checker)).unwrap();
        let fields = json!([{"name": "files", "type": "file", "maxSelect": 9}, {"name": "text", "type": "text"}]);
        let collection = json!({"id": "ccc", "name": "c", "type": "base", "fields": fields});
        schema.create(collection.as_object().unwrap().clone()).await.unwrap();
        let named = named.to_owned();
        db.write(move |tx| {
            tx.execute("INSERT INTO `c` (`id`, `files`) VALUES ('r', ?1), ('empty', '[]')", [&named])?;
            tx.append(crate::db::testing::change("ccc", "r"))
        })
        .await
        .unwrap();
        let moment = db.copy_to(&place.path().join("data.db"), &mut |_, _| Ok(())).unwrap();
        db.close().await;
        let about = About {
            conch: String::new(),
            created: String::new(),
            epoch: moment.epoch,
            seq: moment.seq,
            files: 2,
            missing: 0,
            files_elsewhere: false,
        };
        (place, about)
    }

    fn look(place: &TempDir, about: Option<&About>) -> Result<Report> {
        verify(place.path(), Origin::Archive(about), Depth::Whole, &Progress::default())
    }

    #[actix_web::test]
    async fn every_file_that_a_record_names_has_to_be_there() {
        let (place, about) = unpacked(r#"["a.txt","b.txt"]"#).await;
        let folder = place.path().join("storage/ccc/r");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.txt"), "x").unwrap();
        let report = look(&place, Some(&about)).unwrap();
        assert_eq!((report.files, report.missing, report.seq), (2, 1, 1));
        assert!(report.problems[0].contains("storage/ccc/r/b.txt"), "{report:?}");
        assert!(report.into_result().unwrap_err().message.contains("b.txt"));

        // It was missing before, is in a bucket, or was like that when it was put aside.
        let missing = About { missing: 1, ..about.clone() };
        let elsewhere = About { files_elsewhere: true, ..about.clone() };
        for origin in [Origin::Archive(Some(&missing)), Origin::Archive(Some(&elsewhere)), Origin::Folder] {
            let found = verify(place.path(), origin, Depth::Whole, &Progress::default()).unwrap();
            assert!(found.is_sound() && found.missing == 1, "{origin:?}");
        }
        fs::write(folder.join("b.txt"), "x").unwrap();
        let report = look(&place, Some(&about)).unwrap().into_result().unwrap();
        assert!(report.is_conch && report.missing == 0 && report.collections > 1, "{report:?}");
    }

    /// Programs that take a file out of an archive take along what it says of itself.
    #[actix_web::test]
    async fn files_are_missed_in_an_archive_that_says_nothing() {
        let (place, about) = unpacked(r#"["1","2","3","4","5","6","7"]"#).await;
        let missing = |about: Option<&About>| look(&place, about).and_then(Report::into_result);
        let settings = |value: &str| {
            let connection = rusqlite::Connection::open(place.path().join("data.db")).unwrap();
            connection.execute_batch(settings::CREATE_TABLE).unwrap();
            connection.execute("INSERT OR REPLACE INTO _params (id, value) VALUES ('settings', ?1)", [value]).unwrap();
        };
        // There are no settings, those that say where files are, and those that nobody can read.
        assert!(missing(None).is_ok());
        for (value, is_refused) in [
            (r#"{"s3":{"enabled":false}}"#, true),
            (r#"{"meta":{}}"#, true),
            (r#"{"s3":{"enabled":true}}"#, false),
            ("ZW5jcnlwdGVk", false),
        ] {
            settings(value);
            assert_eq!(missing(None).is_err(), is_refused, "{value}");
        }
        // One of them is there: so they are here.
        fs::create_dir_all(place.path().join("storage/ccc/r")).unwrap();
        fs::write(place.path().join("storage/ccc/r/1"), "x").unwrap();
        let told = missing(None).unwrap_err().message;
        assert!(told.contains("6 of 7 files") && told.contains("storage/ccc/r/2") && told.contains("1 more"), "{told}");
        // More than were missing when it was made.
        let told = missing(Some(&About { missing: 2, ..about })).unwrap_err().message;
        assert!(told.contains("6 of 7") && told.contains("(2 were"), "{told}");
    }

    #[actix_web::test]
    async fn what_is_wrong_with_a_database_is_told() {
        let (place, about) = unpacked("[]").await;
        let path = place.path().join("data.db");
        let whole = fs::read(&path).unwrap();
        let other = About { seq: 7, ..about.clone() };
        assert!(look(&place, Some(&other)).unwrap().problems[0].contains("change 1"));
        for (sql, told) in [
            ("INSERT INTO __conch_migrations VALUES (9999, 'future', 0)", "newer Conch"),
            ("UPDATE _collections SET fields = '{' WHERE name = 'c'", "collections"),
            ("DROP TABLE __conch_meta; DROP TABLE _collections; DROP TABLE IF EXISTS _migrations", "another program"),
        ] {
            fs::write(&path, &whole).unwrap();
            rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
            let found = look(&place, Some(&about)).and_then(Report::into_result).unwrap_err();
            assert!(found.to_string().contains(told), "{found}");
        }
        let garbage = |from: usize, to: usize| {
            let mut bytes = whole.clone();
            bytes[from..to].fill(0x5a);
            bytes
        };
        for damaged in [
            whole[..whole.len() / 2].to_vec(),
            whole[..4096].to_vec(),
            whole[..50].to_vec(),
            garbage(0, 4096),
            garbage(100, 4096),
            garbage(4096, whole.len()),
            b"no database at all ".repeat(999),
        ] {
            fs::write(&path, &damaged).unwrap();
            let found = look(&place, Some(&about)).and_then(Report::into_result).unwrap_err();
            assert_eq!(found.kind, Kind::Invalid, "{found}");
            let told = ["database in it is damaged", "data.db: "].iter().any(|words| found.message.contains(words));
            assert!(told, "{found}");
        }
        fs::write(&path, &whole).unwrap();
        fs::write(place.path().join("auxiliary.db"), b"nonsense".repeat(100)).unwrap();
        assert!(look(&place, Some(&about)).unwrap().problems[0].contains("auxiliary.db"));
        fs::remove_file(&path).unwrap();
        assert!(look(&place, None).unwrap_err().message.contains("no data.db"));
    }
}
