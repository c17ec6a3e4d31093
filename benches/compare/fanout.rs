//! Many subscribers to one collection, and one who creates records in it: how late does everybody hear of each?
//!
//!     fanout HOST:PORT COLLECTION SUBSCRIBERS [PID]
//!
//! Opens the streams (`GET /api/realtime`, one POST for each), creates records at a steady rate and reads the moment of
//! sending out of every event. Prints a line of JSON per step; the first one has the memory of the process PID before
//! and after. Rates rise until the 99th percentile of the latency passes 250 ms, or the server takes no more.

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Latencies in steps of 100 µs, up to ten seconds.
const STEP: u64 = 100;
const STEPS: usize = 100_000;
/// Connections that create.
const WRITERS: usize = 32;
const LIMIT: Duration = Duration::from_millis(250);

struct Shared {
    address: String,
    collection: String,
    began: Instant,
    latencies: Vec<AtomicU64>,
    connected: AtomicUsize,
    ended: AtomicUsize,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Counts what every event in `text` tells; returns how much of it is done with.
    fn note(&self, text: &[u8]) -> usize {
        let mark = b"\"title\":\"";
        let (now, mut done) = (self.now(), 0);
        let finder = memmem::Finder::new(mark);
        while let Some(found) = finder.find(&text[done..]) {
            let digits = &text[done + found + mark.len()..];
            let Some(end) = memchr::memchr(b'"', digits) else { return done + found };
            if let Some(sent) = std::str::from_utf8(&digits[..end]).ok().and_then(|text| text.parse::<u64>().ok()) {
                let late = usize::try_from(now.saturating_sub(sent) / STEP).unwrap_or(STEPS);
                self.latencies[late.min(STEPS - 1)].fetch_add(1, Ordering::Relaxed);
            }
            done += found + mark.len() + end;
        }
        text.len().saturating_sub(mark.len()).max(done)
    }

    /// Deliveries and the latency in milliseconds that this part of them had at most.
    fn quantile(&self, part: f64) -> (u64, f64) {
        let counts: Vec<u64> = self.latencies.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let mut rest = (all as f64 * part) as u64;
        let step = counts.iter().position(|count| {
            let found = rest < *count;
            rest = rest.saturating_sub(*count);
            found
        });
        (all, step.unwrap_or(0) as f64 * STEP as f64 / 1000.0)
    }
}

/// One stream, to its end.
async fn subscribe(shared: Arc<Shared>) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(&shared.address).await?;
    let host = &shared.address;
    stream.write_all(format!("GET /api/realtime HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut buffer = Vec::with_capacity(4096);
    let mark = b"\"clientId\":\"";
    let id = loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err("the stream ended at once".into());
        }
        if let Some(at) = memmem::find(&buffer, mark)
            && let Some(end) = memchr::memchr(b'"', &buffer[at + mark.len()..])
        {
            break String::from_utf8(buffer[at + mark.len()..][..end].to_vec())?;
        }
    };
    let body = format!(r#"{{"clientId":"{id}","subscriptions":["{}/*"]}}"#, shared.collection);
    let mut side = TcpStream::connect(&shared.address).await?;
    let (mut answer, length) = (Vec::new(), body.len());
    side.write_all(format!("POST /api/realtime HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).await?;
    side.read_to_end(&mut answer).await?;
    if !answer.starts_with(b"HTTP/1.1 204") {
        return Err(String::from_utf8_lossy(&answer).into());
    }
    drop(side);
    shared.connected.fetch_add(1, Ordering::Relaxed);
    buffer.clear();
    loop {
        buffer.reserve(4096);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        let done = shared.note(&buffer);
        buffer.drain(..done);
    }
}

/// Creates records at `rate` a second for `seconds`; returns how many were.
async fn create(shared: &Arc<Shared>, rate: f64, seconds: f64) -> Result<usize, Failure> {
    let (begin, next, made) = (Instant::now(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let total = (rate * seconds) as usize;
    let writers = (0..WRITERS).map(|_| {
        let (shared, next, made) = (shared.clone(), next.clone(), made.clone());
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(&shared.address).await?;
            stream.set_nodelay(true)?;
            let mut answer = vec![0; 16 << 10];
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total || begin.elapsed().as_secs_f64() > seconds {
                    return Ok::<(), Failure>(());
                }
                tokio::time::sleep_until((begin + Duration::from_secs_f64(number as f64 / rate)).into()).await;
                let body = format!(r#"{{"title":"{}","body":"lorem ipsum dolor sit amet lorem ipsum dolor sit amet"}}"#, shared.now());
                let (collection, host, length) = (&shared.collection, &shared.address, body.len());
                stream.write_all(format!("POST /api/collections/{collection}/records HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).await?;
                // The answer is small: it comes in one piece, or in two.
                let mut got = 0;
                loop {
                    let read = stream.read(&mut answer[got..]).await?;
                    got += read;
                    let head = memmem::find(&answer[..got], b"\r\n\r\n");
                    if read == 0 || head.is_some_and(|head| got > head + 4 && answer[..got].ends_with(b"}") || answer[..got].ends_with(b"}\n")) {
                        break;
                    }
                }
                if !answer.starts_with(b"HTTP/1.1 200") {
                    return Err(String::from_utf8_lossy(&answer[..got]).into());
                }
                made.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    Ok(made.load(Ordering::Relaxed))
}

/// Resident memory of a process in KiB.
fn memory(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

async fn run(words: Vec<String>) -> Result<(), Failure> {
    let [address, collection, subscribers, rest @ ..] = &words[..] else {
        return Err("usage: fanout HOST:PORT COLLECTION SUBSCRIBERS [PID]".into());
    };
    let subscribers: usize = subscribers.parse()?;
    let pid = rest.first().map_or("self", String::as_str);
    let shared = Arc::new(Shared {
        address: address.clone(),
        collection: collection.clone(),
        began: Instant::now(),
        latencies: (0..STEPS).map(|_| AtomicU64::new(0)).collect(),
        connected: AtomicUsize::new(0),
        ended: AtomicUsize::new(0),
    });
    let before = memory(pid);
    let begin = Instant::now();
    let failure = Arc::new(Mutex::new(None));
    for number in 0..subscribers {
        let (shared_by_it, failure) = (shared.clone(), failure.clone());
        tokio::spawn(async move {
            let shared = shared_by_it;
            if let Err(error) = subscribe(shared.clone()).await {
                *failure.lock().expect("no thread panics with it") = Some(error.to_string());
            }
            shared.ended.fetch_add(1, Ordering::Relaxed);
        });
        while number + 1 > shared.connected.load(Ordering::Relaxed) + shared.ended.load(Ordering::Relaxed) + 200 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    while shared.connected.load(Ordering::Relaxed) < subscribers {
        if let Some(error) = failure.lock().expect("no thread panics with it").take() {
            return Err(format!("a subscriber failed: {error}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let connected = begin.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = memory(pid);
    println!(r#"{{"subscribers":{subscribers},"connected":{connected:.2},"kib_before":{before},"kib_after":{after}}}"#);
    create(&shared, 20.0, 1.0).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (mut rate, mut seconds) = (20.0, 8.0);
    loop {
        shared.latencies.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        let begin = Instant::now();
        let made = create(&shared, rate, seconds).await?;
        let expected = (made * subscribers) as u64;
        // Everything arrives, or nothing has for two seconds.
        let (mut last, mut since) = (0, Instant::now());
        while last < expected && since.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let (all, _) = shared.quantile(0.5);
            if all > last {
                (last, since) = (all, Instant::now());
            }
        }
        let took = begin.elapsed().as_secs_f64();
        let ((delivered, p50), (_, p99)) = (shared.quantile(0.5), shared.quantile(0.99));
        let (ended, kept) = (shared.ended.load(Ordering::Relaxed), made as f64 / (rate * seconds));
        println!(
            r#"{{"rate":{rate:.0},"made":{made},"kept_up":{kept:.2},"expected":{expected},"delivered":{delivered},"a_second":{:.0},"p50":{p50:.1},"p99":{p99:.1},"ended":{ended},"kib":{}}}"#,
            delivered as f64 / took,
            memory(pid)
        );
        std::io::stdout().flush()?;
        if p99 > LIMIT.as_secs_f64() * 1000.0 || kept < 0.9 || ended > 0 || delivered < expected {
            return Ok(());
        }
        (rate, seconds) = (if rate < 50.0 { 50.0 } else { rate * 1.3 }, 4.0);
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = runtime.expect("threads can be started").block_on(run(std::env::args().skip(1).collect()));
    if let Err(error) = outcome {
        eprintln!("fanout: {error}");
        std::process::exit(1);
    }
}
