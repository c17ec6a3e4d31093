//! `GET /metrics`: the server in numbers, gathered when somebody asks.
//!
//! What is counted as it happens is added up from its places. What has to be asked of the database is asked for rarely,
//! once for all who want to know.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use actix_web::http::StatusCode;
use tokio::sync::Mutex;

use super::{
    Health,
    page::{CONTENT_TYPE, Page},
    process::Process,
    routes::Route,
    worker::{STATUSES, TIMES},
};
use crate::{app::App, error::Result, http::reply::Reply, jobs, measure::Tally, notify};

/// Counting jobs looks at all of them.
pub(super) const JOBS_HOLD: Duration = Duration::from_secs(5);
/// Counting deliveries looks at every one that is kept.
pub(super) const DELIVERIES_HOLD: Duration = Duration::from_secs(30);
const MICROS: f64 = 1e6;

/// What is asked of the database, and when it was asked.
#[derive(Default)]
pub struct Rarely {
    pub(super) jobs: Mutex<Option<(Instant, jobs::Stats)>>,
    pub(super) deliveries: Mutex<Option<(Instant, notify::Stats)>>,
}

impl Health {
    pub(super) async fn numbers(&self) -> Reply {
        let mut page = Page::default();
        self.requests(&mut page);
        let app = &self.inner.app;
        database(&mut page, app);
        live(&mut page, app);
        logs(&mut page, app);
        if let Some(certificates) = self.inner.certificates.get() {
            let each = certificates.ends().into_iter();
            let each = each.map(|(name, end)| (vec![("name", name)], end.millis() as f64 / 1e3));
            page.gauges(
                "conch_certificate_end_seconds",
                "When a certificate in use ends, in seconds since 1970.",
                each,
            );
        }
        process(&mut page, Process::look(self.inner.started));
        self.work(&mut page).await;
        match page.text() {
            Ok(text) => Reply::with(StatusCode::OK, CONTENT_TYPE, text),
            Err(_) => Reply::bare(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    fn requests(&self, page: &mut Page) {
        let shards = self.inner.shards.lock().clone();
        let (mut answers, mut times) = (Vec::new(), Vec::new());
        for route in Route::ALL {
            let (mut counts, mut tally) = ([0; STATUSES.len()], Tally::empty(TIMES));
            for shard in &shards {
                let (more, took) = shard.answers(route);
                counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
                tally.add(&took);
            }
            if tally.count() == 0 {
                continue;
            }
            let name = || ("route", route.as_str().to_owned());
            for (status, count) in STATUSES.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
                let status = if status == 0 { "other".to_owned() } else { status.to_string() };
                answers.push((vec![name(), ("status", status)], count as f64));
            }
            times.push((vec![name()], tally));
        }
        page.counters("conch_requests", "Requests answered; 499: the client went away first.", answers);
        page.histograms(
            "conch_request_duration_seconds",
            "Time until the head of the answer was ready.",
            MICROS,
            times,
        );
        let running: u64 = shards.iter().map(|shard| shard.running()).sum();
        page.gauge("conch_requests_running", "Requests that are not answered whole, streams left out.", running as f64);
        let silent = shards.iter().filter_map(|shard| shard.silent()).max().unwrap_or_default();
        page.gauge(
            "conch_worker_silence_seconds",
            "Since the quietest worker last said that it lives.",
            silent.as_secs_f64(),
        );
    }

    /// Jobs and deliveries.
    async fn work(&self, page: &mut Page) {
        let (app, rarely) = (&self.inner.app, &self.inner.rarely);
        let (jobs, deliveries) = tokio::join!(
            newest(&rarely.jobs, JOBS_HOLD, || app.runner.stats()),
            newest(&rarely.deliveries, DELIVERIES_HOLD, || app.notify.stats()),
        );
        if let Some(stats) = jobs {
            let each =
                stats.counts.into_iter().map(|it| (vec![("kind", it.kind), ("state", it.state)], it.jobs as f64));
            page.gauges("conch_jobs", "Jobs in the queue.", each);
            page.gauge(
                "conch_jobs_lag_seconds",
                "How late the job is that should have begun first.",
                stats.behind as f64 / 1e3,
            );
        }
        if let Some(stats) = deliveries {
            let (mut counts, mut behind) = (Vec::new(), Vec::new());
            for (channel, of) in stats.channels {
                let name = || ("channel", channel.to_owned());
                counts.extend(
                    of.states
                        .iter()
                        .map(|(state, count)| (vec![name(), ("state", (*state).to_owned())], *count as f64)),
                );
                behind.push((vec![name()], of.behind as f64 / 1e3));
            }
            page.gauges("conch_deliveries", "Deliveries of notifications that are kept.", counts);
            page.gauges(
                "conch_deliveries_lag_seconds",
                "How late the delivery at the head of each channel is.",
                behind,
            );
        }
    }
}

/// What was asked no longer ago than `holds`, or is now; nothing when that fails.
pub(super) async fn newest<T: Clone, F: Future<Output = Result<T>>>(
    kept: &Mutex<Option<(Instant, T)>>,
    holds: Duration,
    ask: impl FnOnce() -> F,
) -> Option<T> {
    let mut kept = kept.lock().await;
    if let Some((_, known)) = kept.as_ref().filter(|(asked, _)| asked.elapsed() < holds) {
        return Some(known.clone());
    }
    match ask().await {
        Ok(found) => Some(kept.insert((Instant::now(), found)).1.clone()),
        Err(error) => {
            tracing::warn!(%error, "a part of the numbers is missing");
            None
        }
    }
}

fn database(page: &mut Page, app: &App) {
    let (stats, room) = (app.db.stats(), app.db.room());
    page.gauge("conch_writer_queue", "Writes that wait for the writer.", stats.queued as f64);
    page.gauge("conch_writer_queue_capacity", "Writes that may wait.", stats.queue_capacity as f64);
    page.counter("conch_writes_refused", "Writes that found the queue full (503).", stats.refused as f64);
    page.histograms(
        "conch_writer_group_jobs",
        "Writes that were committed together.",
        1.0,
        [(Vec::new(), stats.groups)],
    );
    page.histograms(
        "conch_writer_commit_seconds",
        "From the first statement of a group to the end of its commit.",
        MICROS,
        [(Vec::new(), stats.commits)],
    );
    page.counter("conch_writer_commits_failed", "Commits that failed.", stats.failed_commits as f64);
    page.gauge("conch_database_bytes", "Size of data.db.", stats.database_bytes as f64);
    page.gauge("conch_wal_bytes", "Size of the write-ahead log's file.", stats.wal_bytes as f64);
    page.gauge("conch_wal_pages", "Pages in the write-ahead log.", stats.wal_pages as f64);
    page.gauge("conch_wal_copied_pages", "Of these, pages that are in data.db already.", stats.wal_copied_pages as f64);
    page.gauge("conch_log_last", "Number of the newest change in the log.", stats.log_last as f64);
    page.gauge("conch_log_oldest", "Number of the oldest change that is kept.", stats.log_oldest as f64);
    let behind = [("realtime", app.realtime.stats().behind), ("schedules", app.notify.log_behind())];
    let behind = behind.map(|(reader, changes)| (vec![("reader", reader.to_owned())], changes as f64));
    page.gauges("conch_log_lag", "Changes that a reader of the log has not read yet.", behind);
    page.counter(
        "conch_slow_reads",
        "Reads that took too long on their worker and began again in the slow lane.",
        stats.slow_reads as f64,
    );
    let lane = [("running", stats.slow_running), ("waiting", stats.slow_waiting)];
    let lane = lane.map(|(state, reads)| (vec![("state", state.to_owned())], reads as f64));
    page.gauges("conch_slow_lane_reads", "Reads in the slow lane.", lane);
    page.gauge("conch_disk_free_bytes", "Free on the disk of the data directory.", room.free as f64);
    page.gauge("conch_disk_bytes", "Size of that disk.", room.total as f64);
    page.gauge("conch_disk_scarce", "1 while nothing can be added for want of room.", f64::from(u8::from(room.scarce)));
    page.gauge("conch_disk_full", "1 while no write is possible for want of room.", f64::from(u8::from(room.full)));
    let lookups = app.records.lookups();
    let each = lookups.into_iter().flat_map(|(cache, it)| {
        let labels = move |outcome: &str| vec![("cache", cache.to_owned()), ("outcome", outcome.to_owned())];
        [(labels("hit"), it.found as f64), (labels("miss"), it.missed as f64)]
    });
    page.counters("conch_cache_lookups", "Looks into the caches of records.", each);
}

fn live(page: &mut Page, app: &App) {
    let stats = app.realtime.stats();
    page.gauge("conch_realtime_clients", "Open realtime streams.", stats.clients as f64);
    page.gauge("conch_realtime_topics", "What they listen to, all together.", stats.topics as f64);
    page.gauge("conch_realtime_waiting_bytes", "What waits at clients that do not read.", stats.waiting_bytes as f64);
    page.counter("conch_realtime_dropped", "Clients that did not keep up and were dropped.", stats.dropped as f64);
}

fn logs(page: &mut Page, app: &App) {
    let counters = app.logs.counters();
    let each = [("written", counters.written), ("dropped", counters.dropped)];
    let each = each.map(|(outcome, rows)| (vec![("outcome", outcome.to_owned())], rows as f64));
    page.counters("conch_logs", "Rows of the log; dropped: there were more than could be written.", each);
    page.gauge("conch_logs_waiting", "Rows of the log that wait to be written.", counters.waiting as f64);
}

fn process(page: &mut Page, process: Process) {
    let labels = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    page.gauges("conch_build", "Always 1; its label tells the version.", [(labels, 1.0)]);
    // These names are the same for all programs.
    page.gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", process.started);
    if let Some(seconds) = process.cpu_seconds {
        page.counter("process_cpu_seconds", "Processor time of the process.", seconds);
    }
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory that the process has.", process.resident_bytes),
        ("process_virtual_memory_bytes", "Memory that the process could use.", process.virtual_bytes),
        ("process_threads", "Threads of the process.", process.threads),
        ("process_open_fds", "Open files and connections.", process.open_files),
        ("process_max_fds", "Files and connections that may be open.", process.max_files),
    ] {
        if let Some(value) = value {
            page.gauge(name, help, value as f64);
        }
    }
}
