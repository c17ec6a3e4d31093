//! The loop of one channel that leads out of the house.
//!
//! It claims what is due as long as it has hands for it, prepares a batch beside whatever is on its way, and sends what
//! [`Hosts`] and [`Pace`] let go. What has ended is settled by a task of its own, which coalesces. A delivery is *held*
//! from its claim until it is settled; no more than a bound is held, so nothing piles up in memory.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    task::{self, JoinSet},
};

use super::{
    Desk, STOP_PATIENCE,
    conclude::{Ended, conclude, nothing_left},
    hosts::{Answer, Hosts},
    pace::Pace,
    prepare::{Outgoing, Prepared, prepare_all, ticket},
};
use crate::{
    clock::Timestamp,
    notify::{
        Channel, State,
        deliveries::{self, Lease},
        how::{Letter, Outcome, Target, Ticket},
        settle::{Ending, Settlement},
    },
};

/// Deliveries that are claimed and prepared at once.
const BATCH: usize = 64;
/// Deliveries that a channel holds at most: on their way, waiting for a slot, waiting to be settled.
const HELD: usize = 512;
/// How long a claim holds. Nothing is begun that might outlive it.
const LEASE: Duration = Duration::from_secs(300);
/// The longest that one sending takes.
const SENDING: Duration = Duration::from_secs(40);
/// When deliveries could not be claimed, this passes before the next try.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Claims of one delivery: more than attempts, since the process may die of something else in the middle of one.
const CLAIMS: u32 = 16;

/// A task that sent a piece, and the piece's host.
type Joined = Result<(task::Id, (Piece, Box<str>, Outcome)), task::JoinError>;
type Preparing = Pin<Box<dyn Future<Output = Looked> + Send>>;

/// What a look at the queue brought.
struct Looked {
    prepared: Vec<Prepared>,
    /// There may be more that is due.
    full: bool,
    /// There may be more that the process before has left.
    took_over: bool,
    next: Option<Timestamp>,
}

pub(super) struct Lane {
    channel: Channel,
    desk: Arc<Desk>,
    hosts: Hosts<Piece>,
    pace: Pace,
    held: HashMap<String, Held>,
    running: JoinSet<(Piece, Box<str>, Outcome)>,
    /// Names the pieces that run, for those that panic.
    begun: HashMap<task::Id, (Piece, Box<str>)>,
    settle: mpsc::UnboundedSender<(u64, Settlement)>,
    settled: mpsc::UnboundedReceiver<Vec<(u64, String)>>,
    /// Numbers what is held: as soon as a delivery is settled it may be claimed again.
    serial: u64,
    /// Takes over what the process before has left.
    take_over: bool,
}

/// One way of one delivery.
#[derive(Debug, Clone)]
struct Piece {
    delivery: String,
    /// Which holding of it this belongs to.
    serial: u64,
    target: usize,
}

struct Held {
    serial: u64,
    work: Arc<Work>,
    settlement: Settlement,
    lease: Timestamp,
    /// Pieces that have not ended.
    open: usize,
    results: Vec<(usize, Ended)>,
}

/// What is sent, shared by the tasks that send it.
struct Work {
    letter: Letter,
    ticket: Ticket,
    targets: Vec<Target>,
}

impl Lane {
    pub fn new(desk: Arc<Desk>, channel: Channel, slots: usize) -> (Self, impl Future<Output = ()> + Send) {
        let (settle, unsettled) = mpsc::unbounded_channel();
        let (told, settled) = mpsc::unbounded_channel();
        let settler = super::settler(desk.clone(), unsettled, told);
        let lane = Self {
            channel,
            desk,
            hosts: Hosts::new(slots, channel != Channel::Email),
            pace: Pace::new(Instant::now()),
            held: HashMap::new(),
            running: JoinSet::new(),
            begun: HashMap::new(),
            settle,
            settled,
            serial: 0,
            take_over: true,
        };
        (lane, settler)
    }

    /// Until it is told to stop; what is held then has [`STOP_PATIENCE`] to end, and is given back.
    pub async fn work(mut self, mut stopped: watch::Receiver<bool>) {
        let desk = self.desk.clone();
        let alarm = desk.bells.lane(self.channel);
        let mut preparing: Option<Preparing> = None;
        let mut look = true;
        loop {
            let pause = self.begin_some();
            if look && preparing.is_none() && self.has_room() {
                alarm.clear();
                look = false;
                preparing = Some(self.look(self.room().min(BATCH)));
            }
            let rest = pause.map(|pause| tokio::time::sleep(pause));
            tokio::select! {
                // An error means that nobody is left who could stop us.
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = alarm.rings(&desk.rooms.clock), if !look => look = true,
                looked = async { preparing.as_mut().expect("it is there").await }, if preparing.is_some() => {
                    preparing = None;
                    look |= looked.full;
                    self.take_over &= looked.took_over;
                    if let Some(next) = looked.next {
                        alarm.set(next);
                    }
                    self.take(looked.prepared);
                }
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                Some(ids) = self.settled.recv() => self.release(&ids),
                () = async { rest.expect("it is there").await }, if pause.is_some() => {}
            }
        }
        self.finish(preparing).await;
    }

    /// Deliveries that may be held.
    fn capacity(&self) -> usize {
        HELD.min(self.pace.within(LEASE / 4))
    }

    fn room(&self) -> usize {
        self.capacity().saturating_sub(self.held.len())
    }

    /// Whether it is worth to look for more.
    fn has_room(&self) -> bool {
        self.room() >= BATCH.min(self.capacity()).div_ceil(2)
    }

    /// Claims and prepares, beside what is on its way.
    fn look(&mut self, limit: usize) -> Preparing {
        let (desk, channel) = (self.desk.clone(), self.channel);
        let held: Arc<HashSet<String>> = Arc::new(self.held.keys().cloned().collect());
        let take_over = self.take_over;
        Box::pin(async move {
            let records = desk.rooms.records.clone();
            let claim = desk.rooms.db.write_behind(move |tx| {
                let lease = Lease { until: tx.now().plus(LEASE), take_over };
                let claimed = deliveries::claim(tx, &records, channel, lease, limit, &|id| held.contains(id))?;
                let full = claimed.deliveries.len() >= limit;
                let next = if full { None } else { deliveries::next(tx, channel)? };
                Ok((claimed, next))
            });
            match claim.await {
                Ok((claimed, next)) => {
                    let (full, took_over) = (claimed.deliveries.len() >= limit, claimed.lapsed > 0);
                    let claimed = claimed.deliveries.into_iter().map(Arc::new).collect();
                    let prepared = prepare_all(&desk, claimed).await;
                    desk.moved();
                    Looked { prepared, full, took_over, next }
                }
                Err(error) => {
                    tracing::warn!(%error, channel = channel.as_str(), "deliveries cannot be claimed now");
                    let next = Some(desk.rooms.clock.now().plus(LOOK_AGAIN));
                    Looked { prepared: Vec::new(), full: false, took_over: true, next }
                }
            }
        })
    }

    /// What was prepared waits for its host, or is settled at once.
    fn take(&mut self, prepared: Vec<Prepared>) {
        let now = self.desk.rooms.clock.now();
        let lease = now.plus(LEASE);
        for one in prepared {
            let outgoing = match one {
                Prepared::Goes(outgoing) if !outgoing.targets.is_empty() => outgoing,
                Prepared::Goes(outgoing) => {
                    self.decide(nothing_left(outgoing.settlement));
                    continue;
                }
                Prepared::Decided(settlement) => {
                    self.decide(settlement);
                    continue;
                }
            };
            let Outgoing { mut settlement, letter, targets } = *outgoing;
            if settlement.delivery.attempts > CLAIMS {
                let reason = "failed: Its attempts never ended.".to_owned();
                settlement.ending = Ending::Over { state: State::Failed, reason };
                self.decide(settlement);
                continue;
            }
            let id = settlement.delivery.id.clone();
            let open = targets.len();
            let hosts: Vec<String> = targets.iter().map(Target::host).collect();
            let work = Arc::new(Work { ticket: ticket(&settlement.delivery), letter, targets });
            self.serial += 1;
            let serial = self.serial;
            self.held.insert(id.clone(), Held { serial, work, settlement, lease, open, results: Vec::new() });
            for (target, host) in hosts.iter().enumerate() {
                if let Err((piece, opens)) = self.hosts.add(host, Piece { delivery: id.clone(), serial, target }, now) {
                    self.result(&piece, Ended::Deferred(opens));
                }
            }
        }
    }

    /// Starts whatever may start. Returns how long until more may, if time is what it takes.
    fn begin_some(&mut self) -> Option<Duration> {
        let settings = self.desk.rooms.settings.current();
        let tick = Instant::now();
        self.pace.set(super::rate(&settings, self.channel), tick);
        let now = self.desk.rooms.clock.now();
        loop {
            if let Err(wait) = self.pace.take(tick) {
                return Some(wait);
            }
            let Some((host, piece)) = self.hosts.next(now, tick) else {
                self.pace.put_back();
                break;
            };
            self.begin(host, piece, now);
        }
        // A host that hangs is only in the way when there is no room for others.
        if self.has_room() {
            return None;
        }
        for (pieces, opens) in self.hosts.give_up_hanging(now, tick) {
            pieces.iter().for_each(|piece| self.result(piece, Ended::Deferred(opens)));
        }
        self.hosts.hangs_at().map(|at| at.saturating_duration_since(tick) + Duration::from_millis(1))
    }

    fn begin(&mut self, host: Box<str>, piece: Piece, now: Timestamp) {
        let held = self.held.get(&piece.delivery).filter(|held| held.serial == piece.serial);
        // It has waited here for so long (or the clock was set) that it might be taken for lost.
        let Some(held) = held.filter(|held| now.plus(SENDING) <= held.lease) else {
            self.hosts.ended(&host, Answer::Untried, now, Instant::now());
            self.pace.put_back();
            self.result(&piece, Ended::Deferred(now));
            return;
        };
        let (work, target, desk) = (held.work.clone(), piece.target, self.desk.clone());
        let (of, at) = (piece.clone(), host.clone());
        let sending = async move {
            let to = &work.targets[target];
            let outcome = match desk.transports.of(to) {
                Some(transport) => {
                    let sending = transport.send(&work.letter, to, &work.ticket);
                    let late = |_| Outcome::Later { why: "It took too long.".to_owned(), retry_after: None };
                    tokio::time::timeout(SENDING, sending).await.unwrap_or_else(late)
                }
                None => Outcome::Refused("There is no way to send this.".to_owned()),
            };
            (piece, host, outcome)
        };
        let begun = self.running.spawn(sending);
        self.begun.insert(begun.id(), (of, at));
    }

    fn ended(&mut self, ended: Joined) {
        let (piece, host, outcome) = match ended {
            Ok((id, ended)) => {
                self.begun.remove(&id);
                ended
            }
            Err(error) => {
                let Some((piece, host)) = self.begun.remove(&error.id()) else { return };
                tracing::error!(%error, channel = self.channel.as_str(), "a transport failed");
                (piece, host, Outcome::Later { why: "It failed here.".to_owned(), retry_after: None })
            }
        };
        let answer = match &outcome {
            Outcome::Later { retry_after: Some(after), .. } => Answer::Enough(*after),
            Outcome::Later { .. } => Answer::Failed,
            _ => Answer::Well,
        };
        let now = self.desk.rooms.clock.now();
        self.result(&piece, Ended::Outcome(outcome));
        // A mail server answers for many others: each of its mails fails for itself.
        let answer = if self.channel == Channel::Email { Answer::Well } else { answer };
        if let Some((pieces, opens)) = self.hosts.ended(&host, answer, now, Instant::now()) {
            pieces.iter().for_each(|piece| self.result(piece, Ended::Deferred(opens)));
        }
    }

    /// The last result of a delivery settles it.
    fn result(&mut self, piece: &Piece, ended: Ended) {
        let Some(held) = self.held.get_mut(&piece.delivery).filter(|held| held.serial == piece.serial) else { return };
        held.results.push((piece.target, ended));
        held.open = held.open.saturating_sub(1);
        if held.open == 0 {
            let results = std::mem::take(&mut held.results);
            let (work, mut settlement) = (held.work.clone(), held.settlement.clone());
            let now = self.desk.rooms.clock.now();
            conclude(&mut settlement, &work.targets, results, now, work.letter.expires);
            // The settler ends only after this lane.
            let _ = self.settle.send((held.serial, settlement));
        }
    }

    /// Decided without being sent: held until that is written, so that what is held is bounded.
    fn decide(&mut self, settlement: Settlement) {
        self.serial += 1;
        let work = Work { letter: Letter::default(), ticket: ticket(&settlement.delivery), targets: Vec::new() };
        let held = Held {
            serial: self.serial,
            work: Arc::new(work),
            settlement: settlement.clone(),
            lease: Timestamp::default(),
            open: 0,
            results: Vec::new(),
        };
        self.held.insert(settlement.delivery.id.clone(), held);
        // The settler ends only after this lane.
        let _ = self.settle.send((self.serial, settlement));
    }

    fn release(&mut self, settled: &[(u64, String)]) {
        for (serial, id) in settled {
            if self.held.get(id).is_some_and(|held| held.serial == *serial) {
                self.held.remove(id);
            }
        }
    }

    async fn finish(mut self, preparing: Option<Preparing>) {
        let patience = tokio::time::sleep(STOP_PATIENCE);
        tokio::pin!(patience);
        let now = self.desk.rooms.clock.now();
        if let Some(preparing) = preparing {
            let looked = preparing.await;
            self.take(looked.prepared);
        }
        for piece in self.hosts.clear() {
            self.result(&piece, Ended::Deferred(now));
        }
        while !self.running.is_empty() {
            tokio::select! {
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                () = &mut patience => break,
            }
        }
        self.running.shutdown().await;
        let broken_off: Vec<Piece> = self.begun.drain().map(|(_, (piece, _))| piece).collect();
        for piece in broken_off {
            let why = "The server stopped in the middle.".to_owned();
            self.result(&piece, Ended::Outcome(Outcome::Later { why, retry_after: Some(Duration::ZERO) }));
        }
    }
}
