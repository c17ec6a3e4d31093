//! Who may compile what: a judge over every statement that a connection compiles while it holds.
//!
//! `rusqlite` sets an authorizer only through an exclusive connection, which nobody has inside a transaction; hence the
//! call into SQLite's own interface (<https://www.sqlite.org/c3ref/set_authorizer.html>).

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    ptr::null_mut,
};

use rusqlite::{Connection, ffi};

/// What a statement that is being compiled would do: SQLite's code for it, and its two arguments in lower case, blank
/// where there is none.
#[derive(Debug)]
pub struct Access {
    /// `SQLITE_READ`, `SQLITE_PRAGMA`, …
    pub action: c_int,
    pub first: String,
    pub second: String,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// The column reads as NULL.
    Blank,
    /// The statement does not compile.
    Deny,
}

/// Runs `f` while `judge` decides over what the connection compiles. The connection belongs to this thread, so nothing
/// else is compiled meanwhile. Statements that were compiled before are compiled anew at their next use.
pub fn judged<T>(
    connection: &Connection,
    judge: &mut dyn FnMut(&Access) -> Verdict,
    f: impl FnOnce(&Connection) -> T,
) -> T {
    /// Lifts the judgement also when `f` panics.
    struct Guard<'c>(&'c Connection);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            // SAFETY: the handle is open as long as the borrowed connection.
            unsafe { ffi::sqlite3_set_authorizer(self.0.handle(), None, null_mut()) };
        }
    }
    let mut judge = judge;
    let state: *mut &mut dyn FnMut(&Access) -> Verdict = &raw mut judge;
    // SAFETY: the handle is open as long as the borrowed connection. `state` points to `judge`, which outlives the
    // guard, and nothing but the callback uses it until then.
    unsafe { ffi::sqlite3_set_authorizer(connection.handle(), Some(authorize), state.cast()) };
    let _guard = Guard(connection);
    f(connection)
}

unsafe extern "C" fn authorize(
    state: *mut c_void,
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
    // SAFETY: this is what `judged` has set, and it is still there. SQLite calls from this thread only, one at a time.
    let judge = unsafe { &mut *state.cast::<&mut dyn FnMut(&Access) -> Verdict>() };
    match judge(&Access { action, first: text(first), second: text(second) }) {
        Verdict::Allow => ffi::SQLITE_OK,
        Verdict::Blank => ffi::SQLITE_IGNORE,
        Verdict::Deny => ffi::SQLITE_DENY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_is_judged_while_the_judge_holds() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2)").unwrap();
        let mut seen = 0;
        let mut judge = |access: &Access| {
            seen += 1;
            match (access.action, &*access.second) {
                (ffi::SQLITE_READ, "b") => Verdict::Blank,
                (ffi::SQLITE_READ | ffi::SQLITE_SELECT, _) => Verdict::Allow,
                _ => Verdict::Deny,
            }
        };
        judged(&connection, &mut judge, |connection| {
            let read = |sql| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
            assert_eq!(read("SELECT a FROM t").unwrap(), Some(1));
            assert_eq!(read("SELECT B FROM t").unwrap(), None);
            assert!(connection.execute("DELETE FROM t", []).is_err());
        });
        assert!(seen > 0);
        assert_eq!(connection.execute("DELETE FROM t", []).unwrap(), 1);
    }
}
