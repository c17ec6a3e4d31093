//! Who of a channel may start next: hosts share its slots, and one that fails or hangs is left alone for a while.
//!
//! A host may hold at most twice as many slots as are free, so however many it asks for, there is one left for the next
//! host, and less for each that hangs after it. A host whose last attempts all failed, or that answers nobody while
//! others wait behind it, has its *circuit* open: what is meant for it is handed back with a time. After that time one
//! attempt probes it; the rest waits for what becomes of that one.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::clock::Timestamp;

/// Failures in a row that open a circuit.
const FAILURES: u32 = 5;
/// How long a circuit is open the first time; twice as long each further time, up to the second.
const PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A host that has ended nothing for so long hangs.
const HANGS: Duration = Duration::from_secs(2);
/// Hosts that are remembered for their failures alone.
const REMEMBERED: usize = 1000;

/// The hosts of one channel and what waits for each.
pub(super) struct Hosts<J> {
    slots: usize,
    /// False: there is one host, and all slots are its own.
    shared: bool,
    busy: usize,
    waiting: usize,
    hosts: HashMap<Box<str>, Host<J>>,
    /// Hosts with something waiting, in turn.
    turns: VecDeque<Box<str>>,
}

struct Host<J> {
    queue: VecDeque<J>,
    busy: usize,
    failures: u32,
    /// Nothing goes there before this time; afterwards one at a time, until one succeeds.
    opens: Option<Timestamp>,
    pause: Duration,
    /// When it last began from rest or ended something.
    moved: Instant,
}

/// How a sending ended, as far as the host is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It answered, whatever it said.
    Well,
    /// It was not asked after all.
    Untried,
    Failed,
    /// It asks to be left alone for so long.
    Enough(Duration),
}

/// What was handed back, and when it may go.
pub(super) type Deferred<J> = (Vec<J>, Timestamp);

impl<J> Hosts<J> {
    pub fn new(slots: usize, shared: bool) -> Self {
        let (hosts, turns) = (HashMap::new(), VecDeque::new());
        Self { slots, shared, busy: 0, waiting: 0, hosts, turns }
    }

    /// Waits for its turn, or is handed back because the host's circuit is open.
    pub fn add(&mut self, name: &str, job: J, now: Timestamp) -> Result<(), (J, Timestamp)> {
        if !self.hosts.contains_key(name) {
            self.forget_idle(now);
            self.hosts.insert(name.into(), Host::default());
        }
        let host = self.hosts.get_mut(name).expect("it was just inserted");
        if let Some(opens) = host.opens.filter(|opens| *opens > now) {
            return Err((job, opens));
        }
        host.queue.push_back(job);
        self.waiting += 1;
        if host.queue.len() == 1 {
            self.turns.push_back(name.into());
        }
        Ok(())
    }

    /// The next that may start, and its host: its slot is taken until [`Hosts::ended`].
    pub fn next(&mut self, now: Timestamp, tick: Instant) -> Option<(Box<str>, J)> {
        if self.busy >= self.slots {
            return None;
        }
        let free = self.slots - self.busy;
        for _ in 0..self.turns.len() {
            let name = self.turns.pop_front()?;
            let Some(host) = self.hosts.get_mut(&name) else { continue };
            if !host.may_start(now, if self.shared { 2 * free } else { self.slots }) {
                self.turns.push_back(name);
                continue;
            }
            let Some(job) = host.queue.pop_front() else { continue };
            if host.busy == 0 {
                host.moved = tick;
            }
            host.busy += 1;
            self.busy += 1;
            self.waiting -= 1;
            if !host.queue.is_empty() {
                self.turns.push_back(name.clone());
            }
            return Some((name, job));
        }
        None
    }

    /// Gives the slot back. What waits for a host whose circuit opens now is handed back.
    pub fn ended(&mut self, name: &str, answer: Answer, now: Timestamp, tick: Instant) -> Option<Deferred<J>> {
        self.busy = self.busy.saturating_sub(1);
        let host = self.hosts.get_mut(name)?;
        host.busy = host.busy.saturating_sub(1);
        if answer == Answer::Untried {
            return None;
        }
        host.moved = tick;
        match answer {
            Answer::Well => {
                (host.failures, host.opens, host.pause) = (0, None, PAUSE);
                return None;
            }
            Answer::Failed => host.failures += 1,
            // Returned above.
            Answer::Untried => {}
            Answer::Enough(_) => host.failures = FAILURES,
        }
        // Those that were on their way when it opened say nothing new.
        if host.failures < FAILURES || host.opens.is_some_and(|opens| opens > now) {
            return None;
        }
        let asked = if let Answer::Enough(asked) = answer { asked } else { Duration::ZERO };
        let opens = now.plus(host.pause.max(asked.min(LONGEST_PAUSE)));
        host.pause = (host.pause * 2).min(LONGEST_PAUSE);
        host.opens = Some(opens);
        let handed_back: Vec<J> = host.queue.drain(..).collect();
        self.waiting -= handed_back.len();
        self.turns.retain(|turn| **turn != *name);
        Some((handed_back, opens))
    }

    /// Hands back what waits for hosts that hang. For when there is no room left to wait in. Nothing where there is only
    /// one host: then nobody else is kept waiting.
    pub fn give_up_hanging(&mut self, now: Timestamp, tick: Instant) -> Vec<Deferred<J>> {
        let mut all = Vec::new();
        if !self.shared {
            return all;
        }
        for host in self.hosts.values_mut() {
            let hangs = host.busy > 0 && tick.saturating_duration_since(host.moved) >= HANGS;
            if hangs && !host.queue.is_empty() {
                let opens = now.plus(PAUSE);
                host.opens = Some(opens);
                self.waiting -= host.queue.len();
                all.push((host.queue.drain(..).collect(), opens));
            }
        }
        let hosts = &self.hosts;
        self.turns.retain(|name| hosts.get(name).is_some_and(|host| !host.queue.is_empty()));
        all
    }

    /// When [`Hosts::give_up_hanging`] might find something, at the earliest.
    pub fn hangs_at(&self) -> Option<Instant> {
        let suspects = self.hosts.values().filter(|host| self.shared && host.busy > 0 && !host.queue.is_empty());
        suspects.map(|host| host.moved + HANGS).min()
    }

    /// Everything that waits.
    pub fn clear(&mut self) -> Vec<J> {
        self.turns.clear();
        self.waiting = 0;
        self.hosts.values_mut().flat_map(|host| host.queue.drain(..)).collect()
    }

    fn forget_idle(&mut self, now: Timestamp) {
        if self.hosts.len() >= REMEMBERED {
            self.hosts.retain(|_, host| {
                host.busy > 0 || !host.queue.is_empty() || host.opens.is_some_and(|opens| opens > now)
            });
        }
    }
}

impl<J> Default for Host<J> {
    fn default() -> Self {
        let queue = VecDeque::new();
        Self { queue, busy: 0, failures: 0, opens: None, pause: PAUSE, moved: Instant::now() }
    }
}

impl<J> Host<J> {
    fn may_start(&self, now: Timestamp, share: usize) -> bool {
        match self.opens {
            Some(opens) if opens > now => false,
            // Those that hang since before count as probes, too: they may still answer.
            Some(_) => self.busy == 0 || self.failures < FAILURES,
            None => self.busy < share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn start_all(hosts: &mut Hosts<u32>, now: Timestamp) -> HashMap<Box<str>, usize> {
        let mut started = HashMap::new();
        while let Some((name, _)) = hosts.next(now, Instant::now()) {
            *started.entry(name).or_default() += 1;
        }
        started
    }

    #[test]
    fn nobody_takes_all_slots() {
        let mut hosts = Hosts::new(64, true);
        for job in 0..200 {
            hosts.add("a", job, NOW).unwrap();
        }
        let first = start_all(&mut hosts, NOW);
        assert!((40..50).contains(&first["a"]), "{first:?}");
        for job in 0..200 {
            hosts.add("b", job, NOW).unwrap();
        }
        let second = start_all(&mut hosts, NOW);
        assert!((10..20).contains(&second["b"]) && !second.contains_key("a"), "{second:?}");
        hosts.add("c", 1, NOW).unwrap();
        assert_eq!(start_all(&mut hosts, NOW)["c"], 1, "there is one left for whoever comes");

        let mut alone = Hosts::new(8, false);
        for job in 0..20 {
            alone.add("", job, NOW).unwrap();
        }
        assert_eq!(start_all(&mut alone, NOW)[""], 8);
        assert!(alone.give_up_hanging(NOW, Instant::now() + HANGS).is_empty() && alone.hangs_at().is_none());
    }

    #[test]
    fn a_failing_host_is_left_alone_and_probed() {
        let (mut hosts, tick) = (Hosts::new(8, true), Instant::now());
        for job in 0..9 {
            hosts.add("a", job, NOW).unwrap();
        }
        start_all(&mut hosts, NOW);
        for _ in 0..4 {
            assert!(hosts.ended("a", Answer::Failed, NOW, tick).is_none());
        }
        let (back, opens) = hosts.ended("a", Answer::Failed, NOW, tick).unwrap();
        assert_eq!((back.len(), opens), (3, NOW.plus(PAUSE)));
        assert!(hosts.ended("a", Answer::Failed, NOW, tick).is_none(), "it was on its way before");
        assert_eq!(hosts.add("a", 20, NOW), Err((20, opens)));
        assert_eq!(hosts.add("b", 30, NOW), Ok(()));
        assert_eq!(hosts.next(NOW, tick), Some(("b".into(), 30)));

        // One goes first, and fails: longer this time.
        hosts.add("a", 21, opens).unwrap();
        hosts.add("a", 22, opens).unwrap();
        assert_eq!(hosts.next(opens, tick), Some(("a".into(), 21)));
        assert_eq!(hosts.next(opens, tick), None);
        let (back, later) = hosts.ended("a", Answer::Failed, opens, tick).unwrap();
        assert_eq!((back, later), (vec![22], opens.plus(PAUSE * 2)));

        // One that was not sent after all says nothing: the next one probes.
        hosts.add("a", 23, later).unwrap();
        assert_eq!(hosts.next(later, tick), Some(("a".into(), 23)));
        assert!(hosts.ended("a", Answer::Untried, later, tick).is_none());

        // It answers again: everything goes.
        for job in 0..3 {
            hosts.add("a", job, later).unwrap();
        }
        assert!(hosts.next(later, tick).is_some() && hosts.next(later, tick).is_none());
        assert!(hosts.ended("a", Answer::Well, later, tick).is_none());
        assert_eq!(start_all(&mut hosts, later)["a"], 2);

        // Whoever says "enough" is believed at once, within reason.
        let (_, opens) = hosts.ended("a", Answer::Enough(Duration::from_secs(60)), later, tick).unwrap();
        assert_eq!(opens, later.plus(Duration::from_secs(60)));
    }

    #[test]
    fn a_hanging_host_keeps_no_place_to_wait() {
        let (mut hosts, tick) = (Hosts::new(8, true), Instant::now());
        for job in 0..20 {
            hosts.add("slow", job, NOW).unwrap();
        }
        let started = start_all(&mut hosts, NOW)["slow"];
        assert!(hosts.give_up_hanging(NOW, tick + HANGS / 2).is_empty());
        assert!(hosts.hangs_at().is_some_and(|at| at <= Instant::now() + HANGS));
        let back = hosts.give_up_hanging(NOW, Instant::now() + HANGS);
        assert_eq!((back.len(), back[0].0.len()), (1, 20 - started));
        assert_eq!((hosts.waiting, hosts.hangs_at()), (0, None));
        assert!(hosts.add("slow", 99, NOW).is_err());
        assert!(hosts.ended("slow", Answer::Well, NOW, tick).is_none());
        assert!(hosts.add("slow", 99, NOW).is_ok(), "it answered after all");
    }
}
