//! A bar on the terminal for long work.

use std::{
    cell::RefCell,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

use crate::progress::{Progress, Step, Unit};

const BYTES: &str = "{msg} {bar:30} {bytes}/{total_bytes} ({bytes_per_sec}, {eta})";
const ITEMS: &str = "{msg} {bar:30} {pos}/{len} ({per_sec}, {eta})";
const UNKNOWN: &str = "{spinner} {msg} {pos}";
/// Of what is not counted.
const BARE: &str = "{spinner} {msg}";
/// A bar moves this often by itself.
const TICK: Duration = Duration::from_millis(120);

/// Without a terminal there is a line at most this often about one step.
const PACE: Duration = Duration::from_secs(5);

/// Draws the newest steps on stderr.
pub struct Bar(How);

enum How {
    Drawn(RefCell<Drawn>),
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
        Self(How::Drawn(RefCell::new(Drawn::new(ProgressDrawTarget::stderr))))
    }

    pub fn show(&self, step: &Step) {
        match &self.0 {
            How::Drawn(drawn) => drawn.borrow_mut().show(step),
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

/// One bar for each part of the work: a bar that is told of another part draws its name beside the count of the last one,
/// and reckons with the pace of that.
struct Drawn {
    target: fn() -> ProgressDrawTarget,
    bar: ProgressBar,
    what: String,
}

impl Drawn {
    fn new(target: fn() -> ProgressDrawTarget) -> Self {
        Self { target, bar: ProgressBar::hidden(), what: String::new() }
    }

    fn show(&mut self, step: &Step) {
        if step.what == self.what {
            draw(&self.bar, step);
            return;
        }
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
        draw(&self.bar, step);
        self.bar.set_draw_target((self.target)());
        // The first tick by itself may come after a short part has ended.
        self.bar.tick();
        self.bar.enable_steady_tick(TICK);
        self.what.clone_from(&step.what);
    }
}

fn draw(bar: &ProgressBar, step: &Step) {
    let template = match step.unit {
        _ if step.total == 0 && step.done == 0 => BARE,
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
        if let How::Drawn(drawn) = &self.0 {
            drawn.borrow().bar.finish_and_clear();
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
    use std::sync::{Mutex, PoisonError};

    use indicatif::TermLike;

    use super::*;

    /// What was drawn on the terminal of the test.
    static DRAWN: Mutex<String> = Mutex::new(String::new());

    fn drawn() -> String {
        std::mem::take(&mut *DRAWN.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[derive(Debug)]
    struct Terminal;

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            DRAWN.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.write_str("\n")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_part_of_the_work_bears_the_count_of_the_last_one() {
        let step = |what: &str, done, total| Step { what: what.to_owned(), done, total, unit: Unit::Items };
        let mut bar = Drawn::new(|| ProgressDrawTarget::term_like(Box::new(Terminal)));
        bar.show(&step("Unpacking", 4711, 9999));
        assert!(drawn().contains("4711/9999"));
        for (next, told) in [(step("Checking", 0, 0), "Checking"), (step("Looking", 3, 0), "Looking 3")] {
            bar.show(&next);
            std::thread::sleep(TICK * 2);
            let told_is = drawn();
            let lines: Vec<_> = told_is.lines().filter(|line| line.contains(&next.what)).collect();
            assert!(lines.iter().all(|line| line.contains(told) && !line.contains("4711")), "{lines:?}");
            assert!(!lines.is_empty() && !lines.iter().any(|line| line.contains("Checking 0")), "{lines:?}");
        }
        bar.bar.finish_and_clear();
    }

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
