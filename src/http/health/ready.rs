//! `GET /readyz`: whether the server can do its work now, found out by doing some of it.
//!
//! The write that is tried is real: through the queue, the writer and the disk. However many ask, it is tried once a
//! second at most, and all of them share what came of it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::timeout;

use crate::{app::App, db::Room, error::Kind};

/// A write that takes longer counts as failed; it may still happen.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
/// Work in the background that is later than this is in trouble.
const JOBS_PATIENCE: Duration = Duration::from_secs(600);
/// It is only believed when it is still so after a while: a clock that was set forward makes everything late at once.
const STILL_LATE: Duration = Duration::from_secs(30);
/// What was found out holds so long.
const HOLDS: Duration = Duration::from_secs(1);

/// What was found out, and by which checks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    pub ready: bool,
    pub checks: Checks,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checks {
    /// It is not about to stop.
    pub serving: Check,
    /// A write reached the disk.
    pub writes: Check,
    /// There is room on the disk.
    pub disk: Check,
    /// Work in the background keeps up.
    pub jobs: Check,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    pub ok: bool,
    /// What is wrong, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took, or how late it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve_bytes: Option<u64>,
}

impl Readiness {
    /// What everybody may know: which check failed, without numbers and reasons.
    pub fn in_short(mut self) -> Self {
        let Checks { serving, writes, disk, jobs } = &mut self.checks;
        for check in [serving, writes, disk, jobs] {
            *check = Check { ok: check.ok, ..Check::default() };
        }
        self
    }
}

/// The newest findings, for all who ask at the same time.
#[derive(Debug, Default)]
pub struct Finder {
    newest: tokio::sync::Mutex<Option<(Instant, Readiness)>>,
    /// Since when jobs are late. Locked for a look.
    late: Mutex<Option<Instant>>,
}

impl Finder {
    /// What was found out a moment ago, or is now.
    pub async fn readiness(&self, app: &App) -> Readiness {
        let mut newest = self.newest.lock().await;
        let known =
            newest.as_ref().filter(|(found, _)| found.elapsed() < HOLDS).map(|(_, readiness)| readiness.clone());
        let mut readiness = match known {
            Some(readiness) => readiness,
            None => {
                let found = self.find_out(app).await;
                newest.insert((Instant::now(), found)).1.clone()
            }
        };
        // The news that it is about to stop must not wait.
        readiness.checks.serving = serving(app);
        readiness.ready &= readiness.checks.serving.ok;
        readiness
    }

    async fn find_out(&self, app: &App) -> Readiness {
        let (writes, jobs) = tokio::join!(writes(app), self.jobs(app));
        let checks = Checks { serving: serving(app), writes, disk: disk(app.db.room()), jobs };
        let ready = [&checks.serving, &checks.writes, &checks.disk, &checks.jobs].iter().all(|check| check.ok);
        Readiness { ready, checks }
    }

    async fn jobs(&self, app: &App) -> Check {
        match timeout(WRITE_PATIENCE, app.runner.stats()).await {
            Ok(Ok(stats)) => {
                let late = self.is_late(Duration::from_millis(stats.behind), Instant::now());
                let check = if late { failed("work in the background is late") } else { fine() };
                Check { milliseconds: Some(stats.behind), ..check }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the queue of jobs could not be looked at");
                failed("the queue of jobs could not be looked at: the log tells why")
            }
            Err(_) => failed("reading takes too long"),
        }
    }

    fn is_late(&self, behind: Duration, now: Instant) -> bool {
        let mut late = self.late.lock();
        if behind <= JOBS_PATIENCE {
            *late = None;
            return false;
        }
        now.duration_since(*late.get_or_insert(now)) >= STILL_LATE
    }
}

fn serving(app: &App) -> Check {
    match app.life.ending() {
        None => fine(),
        Some(_) => failed("the server is about to stop"),
    }
}

async fn writes(app: &App) -> Check {
    let began = Instant::now();
    let tried = timeout(WRITE_PATIENCE, app.db.try_writing()).await;
    let milliseconds = millis(began.elapsed());
    let check = match tried {
        Ok(Ok(())) => fine(),
        Ok(Err(error)) => failed(match error.kind {
            Kind::StorageFull => "the disk is full",
            Kind::Busy => "too many writes wait",
            _ => "a write failed: the log tells why",
        }),
        Err(_) => failed("a write took too long"),
    };
    Check { milliseconds: Some(milliseconds), ..check }
}

fn disk(room: Room) -> Check {
    let check = match (room.full, room.scarce) {
        (true, _) => failed("the disk is full: all writes are refused"),
        (false, true) => failed("less than the reserve is left: nothing can be added"),
        (false, false) => fine(),
    };
    Check { free_bytes: Some(room.free), reserve_bytes: Some(room.reserve), ..check }
}

fn fine() -> Check {
    Check { ok: true, ..Check::default() }
}

fn failed(reason: &str) -> Check {
    Check { ok: false, reason: Some(reason.to_owned()), ..Check::default() }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_disk_is_told_to_the_owner_only() {
        let room = Room { free: 10, total: 100, reserve: 20, scarce: false, full: false };
        for (scarce, full, ok) in [(false, false, true), (true, false, false), (true, true, false)] {
            let check = disk(Room { scarce, full, ..room });
            assert_eq!((check.ok, check.reason.is_none(), check.free_bytes), (ok, ok, Some(10)));
            let checks = Checks { serving: fine(), writes: fine(), disk: check, jobs: fine() };
            let told = serde_json::to_value(Readiness { ready: ok, checks }.in_short()).unwrap();
            assert_eq!(told["checks"]["disk"], serde_json::json!({ "ok": ok }));
        }
    }

    #[test]
    fn late_is_what_stays_late() {
        let (finder, start) = (Finder::default(), Instant::now());
        let (long, short) = (JOBS_PATIENCE * 2, JOBS_PATIENCE / 2);
        for (behind, after, expected) in [
            (long, 0, false),
            (long, 29, false),
            (long, 30, true),
            (short, 31, false),
            (long, 40, false),
            (long, 70, true),
        ] {
            assert_eq!(finder.is_late(behind, start + Duration::from_secs(after)), expected, "{behind:?} {after}");
        }
    }
}
