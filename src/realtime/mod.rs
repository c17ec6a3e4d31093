//! Realtime: live readers of the change log (`docs/wire/services-realtime.md`, `docs/realtime.md`).
//!
//! The writer tells the [`feed`] what it committed; the hub's one task ([`teller`]) takes the changes in their order, finds
//! who listens ([`registry`], [`groups`]), judges and renders each once for all who see the same ([`witness`]), and queues
//! the events at the [`client`]s, whose connections send them. Who was away and says what it saw last is told the rest from
//! the log ([`replay`], [`recent`]).
//!
//! May touch `records`, `rules`, `schema`, `identity` and `db`. Main type: [`Hub`].

mod client;
mod feed;
mod groups;
mod recent;
mod registry;
mod replay;
mod standpoint;
mod teller;
#[cfg(test)]
mod tests;
mod topic;
mod witness;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::Value as Json;

pub use self::client::Client;
use self::{
    client::{Backlog, Event},
    feed::Feed,
    recent::Recent,
    registry::{Joining, Refusal, Registry, Subscription},
    replay::{Hold, Resume},
    topic::{OAUTH2, Topic},
};
use crate::{
    db::Db,
    error::{Error, Issues, Leaf, Result},
    identity::Caller,
    random,
    records::Records,
    schema::Schema,
};

/// Clients at once; one more is answered busy.
const MAX_CLIENTS: usize = 100_000;
/// Topics of one client (§2).
const MAX_TOPICS: usize = 1000;
/// Bytes of one topic (§2).
const MAX_TOPIC: usize = 2500;
/// Bytes of all topics of one client.
const MAX_TOPIC_BYTES: usize = 256 << 10;
/// Characters of a client id that are looked at (§2).
const MAX_CLIENT_ID: usize = 255;
const CLIENT_ID: usize = 40;

/// Everything live. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    schema: Schema,
    records: Records,
    registry: Mutex<Registry>,
    feed: Arc<Feed>,
    recent: Recent,
    backlog: Arc<Backlog>,
    closed: AtomicBool,
}

/// Where a subscriber stands after subscribing, if it asked to resume.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// Nothing was missed, or all of it follows.
    pub recovered: bool,
    /// Opaque: another one means another log, other rules or another account.
    pub epoch: String,
    /// The number of the last change before the live ones.
    pub seq: u64,
}

/// How the hub stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Open streams.
    pub clients: usize,
    /// What they listen to, all together.
    pub topics: usize,
    /// Changes that were committed and not told yet.
    pub behind: u64,
    /// Bytes that wait at clients that do not read.
    pub waiting_bytes: usize,
    /// Clients that did not keep up and were dropped, since the start.
    pub dropped: u64,
}

/// A client with its subscriptions in place.
struct Joined {
    client: Arc<Client>,
    subscriptions: Vec<Subscription>,
    /// Good until the client has subscribed more often than this.
    subscribed: usize,
    /// The last change that is not told live.
    since: u64,
    /// Of the log, and of all else that decides what is seen.
    epoch: String,
}

/// What a `POST /api/realtime` asks for.
#[derive(Debug, Default)]
pub struct Subscribe {
    pub client: String,
    pub topics: Vec<String>,
    pub resume: Option<Resume>,
}

impl Hub {
    /// Over an opened database. Listens to its commits, so it is made once per database; [`Hub::run`] does the work.
    pub fn new(db: Db, schema: Schema, records: Records) -> Self {
        let feed = Arc::new(Feed::new(*db.watch().borrow()));
        let (commits, epochs) = (feed.clone(), feed.clone());
        db.on_commit(move |commit| commits.note(commit));
        db.on_new_epoch(move |_| epochs.note_epoch());
        let inner = Inner {
            db,
            schema,
            records,
            registry: Mutex::default(),
            feed,
            recent: Recent::default(),
            backlog: Arc::default(),
            closed: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A new stream (§1). Its first event is queued.
    pub fn connect(&self, address: IpAddr) -> Result<Connection> {
        let id: Arc<str> = random::string(random::ALPHANUMERIC, CLIENT_ID).into();
        let client = Arc::new(Client::new(id.clone(), address, self.inner.backlog.clone()));
        let hello = serde_json::json!({"clientId": &*id}).to_string();
        client.send(Event::new(0, "PB_CONNECT", &[hello.as_bytes()], 1));
        let mut registry = self.inner.registry.lock();
        if self.inner.closed.load(Ordering::Acquire) || registry.len() >= MAX_CLIENTS {
            return Err(Error::busy(Duration::from_secs(2)));
        }
        if let Some(last) = self.inner.feed.start() {
            registry.cursor = last;
        }
        registry.add(client.clone());
        Ok(Connection { client, hub: self.clone() })
    }

    /// Replaces the subscriptions of a stream (§2) and binds it to the caller, whom `identify` finds out: as late as
    /// possible, as the account may have changed since the request began. What has begun is carried through, also if
    /// whoever asked goes away: the stream is another connection.
    pub async fn subscribe(
        &self,
        ask: Subscribe,
        identify: impl AsyncFnOnce() -> Result<Caller>,
        address: IpAddr,
    ) -> Result<Option<Position>> {
        check(&ask)?;
        let mut seen = std::collections::HashSet::new();
        let topics = ask.topics.iter().filter(|text| !text.is_empty() && seen.insert(text.as_str()));
        let topics = topics.map(|text| (Arc::from(text.as_str()), Topic::parse(text))).collect();
        // Older than what the token is verified with: if it changes meanwhile, that is seen below.
        let catalog = self.inner.schema.catalog();
        let caller = identify().await?;
        let secret = teller::secret(&catalog, &caller);

        let resumes = ask.resume.is_some();
        let (joined, hold) = self.join(&ask.client, address, resumes, caller.clone(), secret, topics)?;
        let hub = self.clone();
        let rest = tokio::spawn(async move {
            // The account's changes are told to the stream from now on; one that came in between is found here.
            hub.check_account(&caller).await;
            match (hold, ask.resume) {
                (Some(hold), Some(resume)) => Some(hub.resume(joined, hold, resume).await),
                _ => None,
            }
        });
        rest.await.map_err(Error::internal)
    }

    /// Puts a client's subscriptions in place; live events of one that resumes are held.
    fn join(
        &self,
        id: &str,
        address: IpAddr,
        resumes: bool,
        caller: Caller,
        secret: String,
        topics: Vec<(Arc<str>, Topic)>,
    ) -> Result<(Joined, Option<Hold>)> {
        let mut registry = self.inner.registry.lock();
        let catalog = self.inner.schema.catalog();
        registry.follow(&catalog);
        let caller = if teller::secret(&catalog, &caller) == secret { caller } else { Caller::Guest };
        if resumes && registry.client(id).is_some_and(|client| client.is_held()) {
            // It is still being told what it missed the last time.
            return Err(Error::busy(Duration::from_secs(1)));
        }
        // What was committed before is fetched, or comes from the log; what comes now is told live.
        let since = self.inner.feed.last();
        let standpoint = resumes.then(|| {
            let texts = topics.iter().map(|(text, topic)| (&**text, topic));
            registry.standpoint(&catalog, &caller, texts)
        });
        let joining = Joining { caller, secret, topics, since, standpoint: standpoint.clone() };
        let (client, subscriptions) = registry.subscribe(id, address, joining).map_err(refused)?;
        let hold = resumes.then(|| Hold::new(client.clone(), since));
        let epoch = [&*self.inner.db.epoch(), ".", &standpoint.unwrap_or_default()].concat();
        let subscribed = client.subscribed();
        Ok((Joined { client, subscriptions, subscribed, since, epoch }, hold))
    }

    /// Whoever waits for the signal of a login popup under this state (§6), to be told it once. `None` when nobody does
    /// from this address.
    pub fn popup(&self, state: &str, address: IpAddr) -> Option<impl FnOnce(Json) + use<>> {
        let client = self.inner.registry.lock().take_popup(state, address)?;
        Some(move |signal: Json| client.send(Event::new(0, OAUTH2, &[signal.to_string().as_bytes()], 1)))
    }

    /// How many listen to how much, and how far the hub is.
    pub fn stats(&self) -> Stats {
        let (clients, topics, told) = {
            let registry = self.inner.registry.lock();
            (registry.len(), registry.topics(), registry.cursor)
        };
        let behind = if clients == 0 { 0 } else { self.inner.feed.last().saturating_sub(told) };
        let backlog = &self.inner.backlog;
        Stats { clients, topics, behind, waiting_bytes: backlog.bytes(), dropped: backlog.dropped() }
    }

    /// Ends all streams; clients come back to whoever takes over.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        for client in self.inner.registry.lock().clients() {
            client.end();
        }
    }

    /// Ends the streams that there are; clients connect again and ask for everything anew.
    pub fn end_streams(&self) {
        for client in self.inner.registry.lock().clients() {
            client.end();
        }
    }

    fn leave(&self, client: &Client) {
        let mut registry = self.inner.registry.lock();
        registry.remove(&client.id);
        if registry.is_empty() {
            self.inner.feed.stop();
        }
    }
}

/// One open stream. Dropping it forgets the client.
pub struct Connection {
    client: Arc<Client>,
    hub: Hub,
}

impl Connection {
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hub.leave(&self.client);
    }
}

/// The form of a subscription (§2).
fn check(ask: &Subscribe) -> Result<()> {
    let mut issues = Issues::default();
    let too_long = |max: usize| {
        Leaf::new("validation_length_too_long", format!("May have {max} at most.")).param("min", 0).param("max", max)
    };
    if ask.client.is_empty() {
        issues.insert("clientId", Leaf::required());
    } else if ask.client.len() > MAX_CLIENT_ID {
        let leaf = Leaf::new("validation_length_out_of_range", "The length must be between 1 and 255.");
        issues.insert("clientId", leaf.param("min", 1).param("max", MAX_CLIENT_ID));
    }
    if ask.topics.len() > MAX_TOPICS {
        issues.insert("subscriptions", too_long(MAX_TOPICS));
    } else {
        let mut items = Issues::default();
        for (index, _) in ask.topics.iter().enumerate().filter(|(_, topic)| topic.len() > MAX_TOPIC) {
            items.insert(&index.to_string(), too_long(MAX_TOPIC));
        }
        issues.nest("subscriptions", items);
    }
    issues.into_result("The subscriptions are not valid.")?;
    match ask.topics.iter().map(String::len).sum::<usize>() > MAX_TOPIC_BYTES {
        true => Err(Error::invalid("The subscriptions are too long altogether.")),
        false => Ok(()),
    }
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Unknown => Error::not_found(),
        Refusal::OtherAddress => Error::invalid("The stream was opened from another address."),
        Refusal::Full => Error::busy(Duration::from_secs(10)),
        Refusal::OtherAccount => Error::forbidden("The stream belongs to another account."),
    }
}
