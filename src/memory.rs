//! What the process asks of the allocator and of the kernel, so that it takes no more memory than it uses.

/// No huge pages for this process: the allocator asks for them, and one touched byte would then cost two mebibytes. An
/// idle connection has two buffers of 8 KiB of which a few hundred bytes are ever written; with small pages it is half the
/// size, an idle server two thirds. Measured throughput is the same. First of all, before there is memory to speak of.
pub fn stay_small() {
    // SAFETY: numbers only; concerns this process and its children. A kernel that refuses changes nothing but size.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

/// Gives free memory back to the system: a hash fills 19 MiB, a picture far more, which the allocator would keep for a
/// process that may not need it for days.
pub fn give_back() {
    // SAFETY: may be called at any time from any thread; frees only what nobody uses.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
