//! A disk that is full for as many writes as the thread says.

use std::{cell::Cell, ffi::c_void, sync::Once};

use rusqlite::ffi;

thread_local! {
    /// Writes that fail on this thread. A commit stops at its first.
    pub(super) static FULL_FOR: Cell<u32> = const { Cell::new(0) };
}

type Call = unsafe extern "C" fn();
type Write = unsafe extern "C" fn(i32, *const c_void, usize) -> isize;
type PositionedWrite = unsafe extern "C" fn(i32, *const c_void, usize, i64) -> isize;

fn full() -> bool {
    FULL_FOR.with(|left| {
        let now = left.get();
        left.set(now.saturating_sub(1));
        now > 0
    })
}

unsafe extern "C" fn write(fd: i32, bytes: *const c_void, size: usize) -> isize {
    if full() {
        // SAFETY: the thread's own errno.
        unsafe { *libc::__errno_location() = libc::ENOSPC };
        return -1;
    }
    // SAFETY: SQLite's own arguments, passed on.
    unsafe { libc::write(fd, bytes, size) }
}

unsafe extern "C" fn pwrite(fd: i32, bytes: *const c_void, size: usize, offset: i64) -> isize {
    if full() {
        // SAFETY: the thread's own errno.
        unsafe { *libc::__errno_location() = libc::ENOSPC };
        return -1;
    }
    // SAFETY: SQLite's own arguments, passed on.
    unsafe { libc::pwrite(fd, bytes, size, offset) }
}

/// Puts the functions above into SQLite's table of system calls, once for the process.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the signatures are those of the calls that they replace; SQLite casts them back.
        unsafe {
            let vfs = ffi::sqlite3_vfs_find(std::ptr::null());
            let set = (*vfs).xSetSystemCall.expect("the unix VFS has it");
            set(vfs, c"write".as_ptr(), Some(std::mem::transmute::<Write, Call>(write)));
            for name in [c"pwrite", c"pwrite64"] {
                // A build without one of them refuses it.
                set(vfs, name.as_ptr(), Some(std::mem::transmute::<PositionedWrite, Call>(pwrite)));
            }
        }
    });
}
