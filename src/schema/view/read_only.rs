//! A guard for queries that somebody wrote: while it holds, the connection compiles nothing that writes or that reads
//! what no view may show.

use rusqlite::{Connection, ffi};

use crate::db::{Access, Verdict, judged};

/// Functions that load code or touch files; the latter are there only in some builds of SQLite.
const DENIED: [&str; 5] = ["load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"];

/// Runs `f` under the guard.
pub(super) fn guarded<T>(connection: &Connection, f: impl FnOnce(&Connection) -> T) -> T {
    judged(connection, &mut judge, f)
}

fn judge(access: &Access) -> Verdict {
    let allowed = match access.action {
        ffi::SQLITE_SELECT | ffi::SQLITE_RECURSIVE => true,
        ffi::SQLITE_READ => may_read(&access.first, &access.second),
        ffi::SQLITE_FUNCTION => !DENIED.contains(&&*access.second),
        _ => false,
    };
    if allowed { Verdict::Allow } else { Verdict::Deny }
}

/// Not the settings, not the secrets of collections, not our own tables. Names in lower case.
fn may_read(table: &str, column: &str) -> bool {
    let secret = table == "_collections" && column == "options";
    !secret && table != "_params" && !table.starts_with("__conch_")
}
