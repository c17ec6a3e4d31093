//! A bar on the terminal for long work.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use crate::progress::{Progress, Step, Unit};

const BYTES: &str = "{msg} {bar:30} {bytes}/{total_bytes} ({bytes_per_sec}, {eta})";
const ITEMS: &str = "{msg} {bar:30} {pos}/{len} ({per_sec}, {eta})";
const UNKNOWN: &str = "{spinner} {msg} {pos}";

/// Draws the newest steps on stderr; nothing where that is no terminal.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    pub fn new() -> Self {
        Self(io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        }))
    }

    pub fn show(&self, step: &Step) {
        let Some(bar) = &self.0 else { return };
        let template = match step.unit {
            _ if step.total == 0 => UNKNOWN,
            Unit::Bytes => BYTES,
            Unit::Items => ITEMS,
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the templates are constants"));
        bar.set_message(step.what.clone());
        bar.set_length(step.total.max(step.done));
        bar.set_position(step.done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Runs `work` with a bar under it.
pub async fn with_bar<T>(work: impl AsyncFnOnce(Progress) -> T) -> T {
    let (bar, progress) = (Bar::new(), Progress::default());
    let mut steps = progress.watch();
    let mut work = std::pin::pin!(work(progress));
    loop {
        tokio::select! {
            done = &mut work => return done,
            step = next(&mut steps) => bar.show(&step),
        }
    }
}

/// The next step, not oftener than ten times a second. Never completes once nobody tells any more.
pub async fn next(steps: &mut watch::Receiver<Step>) -> Step {
    match steps.changed().await {
        Ok(()) => {
            let step = steps.borrow_and_update().clone();
            tokio::time::sleep(Duration::from_millis(100)).await;
            step
        }
        Err(_) => std::future::pending().await,
    }
}
