//! A guard for queries that somebody wrote: while it holds, the connection compiles nothing that writes or that reads
//! what no view may show.
//!
//! `rusqlite` sets an authorizer only through an exclusive connection, which nobody has inside a transaction; hence the
//! call into SQLite's own interface (<https://www.sqlite.org/c3ref/set_authorizer.html>).

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    ptr::null_mut,
};

use rusqlite::{Connection, ffi};

/// Functions that load code or touch files; the latter are there only in some builds of SQLite.
const DENIED: [&str; 5] = ["load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"];

/// Runs `f` under the guard. The connection belongs to this thread, so nothing else is compiled meanwhile.
pub(super) fn guarded<T>(connection: &Connection, f: impl FnOnce(&Connection) -> T) -> T {
    /// Lifts the guard also when `f` panics.
    struct Guard<'c>(&'c Connection);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            // SAFETY: the handle is open as long as the borrowed connection.
            unsafe { ffi::sqlite3_set_authorizer(self.0.handle(), None, null_mut()) };
        }
    }
    // SAFETY: as above; the callback uses no state.
    unsafe { ffi::sqlite3_set_authorizer(connection.handle(), Some(authorize), null_mut()) };
    let _guard = Guard(connection);
    f(connection)
}

unsafe extern "C" fn authorize(
    _: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _: *const c_char,
    _: *const c_char,
) -> c_int {
    // SAFETY: SQLite hands over null or a NUL-terminated text that outlives the call.
    let text = |pointer: *const c_char| match pointer.is_null() {
        true => String::new(),
        false => unsafe { CStr::from_ptr(pointer) }.to_string_lossy().to_ascii_lowercase(),
    };
    let allowed = match action {
        ffi::SQLITE_SELECT | ffi::SQLITE_RECURSIVE => true,
        ffi::SQLITE_READ => may_read(&text(first), &text(second)),
        ffi::SQLITE_FUNCTION => !DENIED.contains(&&*text(second)),
        _ => false,
    };
    if allowed { ffi::SQLITE_OK } else { ffi::SQLITE_DENY }
}

/// Not the settings, not the secrets of collections, not our own tables. Names in lower case.
fn may_read(table: &str, column: &str) -> bool {
    let secret = table == "_collections" && column == "options";
    !secret && table != "_params" && !table.starts_with("__conch_")
}
