//! What is in the copied database, and whether it can be taken over (`docs/wire/records-storage.md` §2, §9).

use std::path::Path;

use anyhow::{Context, bail};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value as Json;

use crate::{
    cli::in_words,
    db::{quote_ident, remove_triggers},
    schema::bootstrap::notify,
};

/// Triggers that are told by name.
const MOST_NAMED: usize = 5;

/// One collection of the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Surveyed {
    pub id: String,
    pub name: String,
    /// `None` for a view.
    pub records: Option<u64>,
    file_fields: Vec<String>,
}

/// The copy as it was before it was adopted.
#[derive(Debug)]
pub struct Survey {
    pub collections: Vec<Surveyed>,
    /// What comes along, but is not used or not complete, for people.
    pub notes: Vec<String>,
}

/// Files that records name and the copy does not have.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Missing {
    pub files: u64,
    /// The first few, as `collection/record/name`.
    pub examples: Vec<String>,
}

impl Survey {
    /// Refuses what is damaged, too old, or already somebody else's. Without a key, encrypted settings are taken out.
    pub fn of(database: &Path, has_key: bool) -> anyhow::Result<Self> {
        let connection = open(database)?;
        check_integrity(&connection)?;
        refuse_old(&connection)?;
        refuse_foreign(&connection)?;
        let mut notes = Vec::new();
        if !has_key {
            remove_encrypted_settings(&connection, &mut notes)?;
        }
        let collections = collections(&connection)?;
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        connection.close().map_err(|(_, error)| error)?;
        leave_triggers_out(database, &mut notes)?;
        Ok(Self { collections, notes })
    }

    /// Fails unless every table still has as many records as the survey saw.
    pub fn compare(&self, database: &Path) -> anyhow::Result<()> {
        let connection = open(database)?;
        for collection in &self.collections {
            let Some(before) = collection.records else { continue };
            let now = count(&connection, &collection.name)?;
            if now != before {
                bail!("{} had {before} records and has {now} in the copy: nothing was imported", collection.name);
            }
        }
        check_integrity(&connection)
    }

    /// Looks for every file that a record names.
    pub fn missing_files(&self, database: &Path, storage: &Path) -> anyhow::Result<Missing> {
        let connection = open(database)?;
        let mut missing = Missing::default();
        for collection in &self.collections {
            for field in &collection.file_fields {
                let (table, column) = (quote_ident(&collection.name), quote_ident(field));
                let mut statement = connection
                    .prepare(&format!(
                        "SELECT id, CAST({column} AS TEXT) FROM {table} WHERE {column} NOT IN ('', '[]')"
                    ))
                    .with_context(|| format!("cannot read the files of {}", collection.name))?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    let (id, value): (String, String) = (row.get(0)?, row.get(1)?);
                    for name in file_names(&value) {
                        if !storage.join(&collection.id).join(&id).join(&name).is_file() {
                            missing.add(format!("{}/{id}/{name}", collection.name));
                        }
                    }
                }
            }
        }
        Ok(missing)
    }
}

impl Missing {
    fn add(&mut self, file: String) {
        self.files += 1;
        if self.examples.len() < 3 {
            self.examples.push(file);
        }
    }
}

fn open(database: &Path) -> anyhow::Result<Connection> {
    Connection::open(database).context("cannot open the copy of data.db")
}

fn check_integrity(connection: &Connection) -> anyhow::Result<()> {
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .context("data.db is no SQLite database, or is damaged")?;
    if verdict != "ok" {
        bail!("data.db is damaged: {verdict}");
    }
    Ok(())
}

fn refuse_old(connection: &Connection) -> anyhow::Result<()> {
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info('_collections')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if columns.is_empty() {
        bail!("data.db has no collections: it was not written by PocketBase");
    }
    let modern = ["fields", "options"].iter().all(|name| columns.iter().any(|column| column == name));
    let admins = exists(connection, "SELECT 1 FROM sqlite_master WHERE name = '_admins'")?;
    if !modern || admins {
        bail!(
            "the directory was written by a PocketBase older than 0.23: start it once with a newer one, which upgrades \
             it, then import it"
        );
    }
    Ok(())
}

/// Our own tables may not be there yet, under any spelling.
fn refuse_foreign(connection: &Connection) -> anyhow::Result<()> {
    let taken: Option<String> = connection
        .query_row("SELECT name FROM sqlite_master WHERE lower(name) GLOB '__conch_*' LIMIT 1", [], |row| row.get(0))
        .optional()?;
    match taken {
        Some(name) if name == "__conch_meta" || name == "__conch_log" => {
            bail!("this is a Conch directory already: serve it with conch serve --dir")
        }
        Some(name) => {
            bail!("data.db has something called {name}, a name that Conch needs: rename it first")
        }
        None => refuse_notifications(connection),
    }
}

/// Nor what takes the name of one of the collections of notifications.
fn refuse_notifications(connection: &Connection) -> anyhow::Result<()> {
    let mut statement = connection.prepare(
        "SELECT name FROM _collections WHERE lower(name) = lower(?1)
         UNION ALL SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND lower(name) = lower(?1)",
    )?;
    for name in notify::NAMES {
        if let Some(taken) = statement.query_row([name], |row| row.get::<_, String>(0)).optional()? {
            return Err(notify::in_the_way(&taken).into());
        }
    }
    Ok(())
}

/// Nobody could open a directory whose settings nobody can read.
fn remove_encrypted_settings(connection: &Connection, notes: &mut Vec<String>) -> anyhow::Result<()> {
    // PocketBase binds the value as bytes.
    let sql = "SELECT CAST(value AS TEXT) FROM _params WHERE id = 'settings'";
    let stored: Option<Option<String>> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    let is_plain = |text: &str| serde_json::from_str::<Json>(text).is_ok_and(|settings| settings.is_object());
    if stored.flatten().is_none_or(|text| is_plain(&text)) {
        return Ok(());
    }
    connection.execute("DELETE FROM _params WHERE id = 'settings'", [])?;
    notes.push(
        "The settings are encrypted and were not brought: import again with --encryption-key (the value of the variable \
         that PocketBase's --encryptionEnv names), or set them anew."
            .into(),
    );
    Ok(())
}

fn collections(connection: &Connection) -> anyhow::Result<Vec<Surveyed>> {
    let mut statement =
        connection.prepare("SELECT id, name, type, fields, options FROM _collections ORDER BY rowid")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, name, kind): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let fields: Json = serde_json::from_str(&row.get::<_, String>(3)?)
            .with_context(|| format!("the fields of the collection {name} are no JSON"))?;
        serde_json::from_str::<Json>(&row.get::<_, String>(4)?)
            .with_context(|| format!("the options of the collection {name} are no JSON"))?;
        let is_view = kind == "view";
        let records = if is_view { None } else { Some(count(connection, &name)?) };
        let file_fields = if is_view { Vec::new() } else { file_fields(&fields) };
        found.push(Surveyed { id, name, records, file_fields });
    }
    Ok(found)
}

/// They would change rows behind the log and the caches.
fn leave_triggers_out(database: &Path, notes: &mut Vec<String>) -> anyhow::Result<()> {
    let names = remove_triggers(database).map_err(in_words)?;
    if names.is_empty() {
        return Ok(());
    }
    let (count, named) =
        (names.len(), names.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", "));
    let more = if count > MOST_NAMED { ", …" } else { "" };
    notes.push(format!(
        "SQL triggers ({count}: {named}{more}) were left out: what they change would reach neither the change log, nor caches, \
         nor live clients. Do it where the records are written."
    ));
    Ok(())
}

fn file_fields(fields: &Json) -> Vec<String> {
    let is_file = |field: &&Json| field.get("type").and_then(Json::as_str) == Some("file");
    let fields = fields.as_array().map(Vec::as_slice).unwrap_or_default();
    fields.iter().filter(is_file).filter_map(|field| Some(field.get("name")?.as_str()?.to_owned())).collect()
}

/// A stored file field: one name, or a JSON list of them. A name with a path in it is nobody's file.
fn file_names(value: &str) -> Vec<String> {
    let names = serde_json::from_str(value).unwrap_or_else(|_| vec![value.to_owned()]);
    names.into_iter().filter(|name: &String| !name.is_empty()).map(|name| name.replace(['/', '\\'], "_")).collect()
}

fn count(connection: &Connection, table: &str) -> anyhow::Result<u64> {
    let sql = format!("SELECT count(*) FROM {}", quote_ident(table));
    let rows: i64 = connection
        .query_row(&sql, [], |row| row.get(0))
        .with_context(|| format!("cannot count the records of {table}"))?;
    Ok(rows.cast_unsigned())
}

fn exists(connection: &Connection, sql: &str) -> anyhow::Result<bool> {
    Ok(connection.prepare(sql)?.exists([])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_fields_hold_one_name_or_a_list() {
        for (value, names) in [
            ("a.txt", vec!["a.txt"]),
            (r#"["a.txt","b.txt"]"#, vec!["a.txt", "b.txt"]),
            (r#"["",""]"#, vec![]),
            ("[broken", vec!["[broken"]),
            ("../../etc/passwd", vec![".._.._etc_passwd"]),
        ] {
            assert_eq!(file_names(value), names, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_taken_over_is_refused_with_the_reason() {
        let modern = "CREATE TABLE _collections (id, name, type, fields, options);
                      CREATE TABLE _params (id, value);";
        for (sql, reason) in [
            ("CREATE TABLE other (x)", "not written by PocketBase"),
            ("CREATE TABLE _collections (id, name, schema)", "older than 0.23"),
            (&format!("{modern} CREATE TABLE _admins (id)"), "older than 0.23"),
            (&format!("{modern} CREATE TABLE __Conch_log (id)"), "__Conch_log"),
            (&format!("{modern} CREATE VIEW _Inbox AS SELECT 1"), "_Inbox"),
            (&format!("{modern} INSERT INTO _collections VALUES ('a', '_topics', 'base', '[]', '{{}}')"), "_topics"),
            (&format!("{modern} INSERT INTO _collections VALUES ('a', 'gone', 'base', '[]', '{{}}')"), "gone"),
            (&format!("{modern} INSERT INTO _collections VALUES ('a', 'b', 'view', '[', '{{}}')"), "no JSON"),
        ] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(sql).unwrap();
            let verdict = refuse_old(&connection)
                .and_then(|()| refuse_foreign(&connection))
                .and_then(|()| collections(&connection).map(drop));
            let error = format!("{:#}", verdict.unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn triggers_are_left_out_by_name() {
        let place = crate::db::testing::TempDir::new();
        let database = place.path().join("data.db");
        let connection = Connection::open(&database).unwrap();
        let mut notes = Vec::new();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE posts (title)").unwrap();
        leave_triggers_out(&database, &mut notes).unwrap();
        assert!(notes.is_empty());
        for name in ["stamp", "it's \"mine\""] {
            let sql = format!(
                "CREATE TRIGGER {} AFTER INSERT ON posts BEGIN UPDATE posts SET title = 'x'; END",
                quote_ident(name)
            );
            connection.execute_batch(&sql).unwrap();
        }
        leave_triggers_out(&database, &mut notes).unwrap();
        assert!(notes[0].contains("2: it's") && notes[0].contains("stamp"), "{notes:?}");
        connection.execute("INSERT INTO posts VALUES ('mine')", []).unwrap();
        let title: String = connection.query_row("SELECT title FROM posts", [], |row| row.get(0)).unwrap();
        assert_eq!(title, "mine");
    }

    #[test]
    fn only_encrypted_settings_are_taken_out() {
        for (value, left) in [(r#"{"meta":{}}"#, 1), ("bm90IGpzb24=", 0), ("null", 0)] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch("CREATE TABLE _params (id, value)").unwrap();
            connection.execute("INSERT INTO _params VALUES ('settings', ?1)", [value.as_bytes()]).unwrap();
            let mut notes = Vec::new();
            remove_encrypted_settings(&connection, &mut notes).unwrap();
            assert_eq!((count(&connection, "_params").unwrap(), notes.is_empty()), (left, left == 1), "{value}");
        }
    }
}
