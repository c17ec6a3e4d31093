//! A bar on the terminal for long work.

use std::{
    cell::RefCell,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use crate::progress::{Progress, Step, Unit};

const BYTES: &str = "{msg} {bar:30} {bytes}/{total_bytes} ({bytes_per_sec}, {eta})";
const ITEMS: &str = "{msg} {bar:30} {pos}/{len} ({per_sec}, {eta})";
const UNKNOWN: &str = "{spinner} {msg} {pos}";

/// Without a terminal there is a line at most this often about one step.
const PACE: Duration = Duration::from_secs(5);

/// Draws the newest steps on stderr.
pub struct Bar(How);

enum How {
    Drawn(ProgressBar),
    /// Line by line: the step that was last told, and when.
    Told(RefCell<(String, Instant)>),
    Silent,
}

impl Bar {
    /// Nothing where there is no terminal: most commands run by the clock, and who reads their mails wants to hear of
    /// failures.
    pub fn new() -> Self {
        Self::or(How::Silent)
    }

    /// Plain lines where there is no terminal.
    pub fn or_lines() -> Self {
        Self::or(How::Told(RefCell::new((String::new(), Instant::now()))))
    }

    fn or(other: How) -> Self {
        if !io::stderr().is_terminal() {
            return Self(other);
        }
        let bar = ProgressBar::no_length();
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(How::Drawn(bar))
    }

    pub fn show(&self, step: &Step) {
        match &self.0 {
            How::Drawn(bar) => draw(bar, step),
            How::Told(last) => {
                let mut last = last.borrow_mut();
                if let Some(line) = line(step, &last.0, last.1.elapsed()) {
                    eprintln!("{line}");
                    *last = (step.what.clone(), Instant::now());
                }
            }
            How::Silent => {}
        }
    }
}

fn draw(bar: &ProgressBar, step: &Step) {
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

/// What is told of a step, so long after the last line, which was about `last`.
fn line(step: &Step, last: &str, since: Duration) -> Option<String> {
    if step.what != last {
        return Some(format!("{} …", step.what));
    }
    let percent = step.done.saturating_mul(100).checked_div(step.total)?;
    (since >= PACE).then(|| format!("  {percent} %"))
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let How::Drawn(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Runs `work` with a bar under it.
pub async fn with_bar<T>(work: impl AsyncFnOnce(Progress) -> T) -> T {
    under(Bar::new(), work).await
}

/// Runs `work` under this bar.
pub async fn under<T>(bar: Bar, work: impl AsyncFnOnce(Progress) -> T) -> T {
    let progress = Progress::default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_for_each_step_and_then_not_too_often() {
        let step = |what: &str, done, total| Step { what: what.to_owned(), done, total, unit: Unit::Items };
        for (step, last, since, expected) in [
            (step("Copying", 0, 0), "", 0, Some("Copying …")),
            (step("Copying", 5, 10), "Looking", 0, Some("Copying …")),
            (step("Copying", 5, 10), "Copying", 4, None),
            (step("Copying", 5, 10), "Copying", 5, Some("  50 %")),
            (step("Copying", 5, 0), "Copying", 99, None),
        ] {
            assert_eq!(line(&step, last, Duration::from_secs(since)).as_deref(), expected, "{step:?}");
        }
    }
}
