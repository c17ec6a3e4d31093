//! What the system knows of this process. Linux tells in `/proc`; elsewhere there is less to know.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

/// The process in numbers, as far as the system tells them.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Process {
    /// Bytes of memory that it has, and that it could use.
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub cpu_seconds: Option<f64>,
    pub threads: Option<u64>,
    pub open_files: Option<u64>,
    pub max_files: Option<u64>,
    /// Seconds since 1970.
    pub started: f64,
}

/// When this process started to serve, by the system's clock.
pub fn start() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

impl Process {
    /// Looks now.
    pub fn look(started: f64) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kilobytes = |name| Some(named(&status, name)? * 1024);
        Self {
            resident_bytes: kilobytes("VmRSS:"),
            virtual_bytes: kilobytes("VmSize:"),
            cpu_seconds: cpu_seconds(),
            threads: named(&status, "Threads:"),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
            max_files: max_files(),
            started,
        }
    }
}

/// The number in the line that begins with `name`.
fn named(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    // SAFETY: a structure of numbers, for which zeroes are a value; the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) == 0).then_some(usage)
    }?;
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Some(seconds(usage.ru_utime) + seconds(usage.ru_stime))
}

fn max_files() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes only into `limit`.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 };
    known.then_some(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_knows_this_process() {
        assert_eq!(named("Name:\tx\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(named("VmRSS: x", "VmRSS:"), None);
        let process = Process::look(start());
        assert!(process.cpu_seconds.is_some() && process.max_files.is_some() && process.started > 1e9);
        #[cfg(target_os = "linux")]
        assert!(process.resident_bytes > Some(1 << 20) && process.open_files > Some(2) && process.threads >= Some(1));
    }
}
