//! How far an import has come: a bar on a terminal, plain lines elsewhere. Always on stderr.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal there is a line at most this often.
const PACE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Progress {
    terminal: bool,
}

impl Progress {
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    /// A new phase begins.
    pub fn say(&self, what: &str) {
        eprintln!("{what} …");
    }

    /// Counts `files` of `bytes` together.
    pub fn files(&self, files: u64, bytes: u64) -> Counter {
        let bar = self.terminal.then(|| {
            let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
            ProgressBar::new(bytes).with_style(style.expect("the template is a constant"))
        });
        Counter { bar, files, done: 0, told: Instant::now() }
    }
}

/// Advances with every copied file.
#[derive(Debug)]
pub struct Counter {
    bar: Option<ProgressBar>,
    files: u64,
    done: u64,
    told: Instant,
}

impl Counter {
    pub fn add(&mut self, bytes: u64) {
        self.done += 1;
        match &self.bar {
            Some(bar) => bar.inc(bytes),
            None if self.told.elapsed() >= PACE => {
                eprintln!("  {} of {} files", self.done, self.files);
                self.told = Instant::now();
            }
            None => {}
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
