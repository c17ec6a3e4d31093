//! Who is connected, as whom, and what they asked for.

use std::{
    collections::{HashMap, hash_map::Entry as MapEntry},
    sync::Arc,
};

use super::{
    client::{Client, ClientId},
    groups::{Group, Groups, Member, View},
    standpoint::Standpoints,
    topic::{Target, Topic},
};
use crate::{
    identity::{AuthRecord, Caller},
    schema::{Catalog, Collection},
};

/// Memory that the topics of all clients may take, by a rough count ([`weight`]).
const MAX_TOPICS_WEIGHT: usize = 512 << 20;

/// Everything that subscriptions change.
#[derive(Default)]
pub struct Registry {
    clients: HashMap<ClientId, Entry>,
    groups: Groups,
    /// Clients by the record that they are signed in as: collection id and record id.
    bound: HashMap<(Arc<str>, Arc<str>), Vec<ClientId>>,
    /// The last change that was told to whoever listened then.
    pub cursor: u64,
    /// The catalog for which all bindings were good.
    catalog_version: u64,
    standpoints: Standpoints,
    topics_weight: usize,
    topics: usize,
    rebinds: u64,
}

struct Entry {
    client: Arc<Client>,
    caller: Caller,
    /// The secret of the caller's collection when it was bound.
    secret: String,
    topics: Vec<Listening>,
    /// What it said it stands on, if it counts ([`Standpoints`]).
    standpoint: Option<String>,
}

/// One topic of a client.
struct Listening {
    text: Arc<str>,
    topic: Topic,
    /// The last change before the subscription.
    since: u64,
    /// Its place in its group.
    slot: Option<usize>,
}

/// Why a subscription was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such client.
    Unknown,
    /// The stream was opened from another address.
    OtherAddress,
    /// The stream belongs to another account.
    OtherAccount,
    /// There are too many topics already.
    Full,
}

impl Registry {
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Topics of all clients.
    pub fn topics(&self) -> usize {
        self.topics
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    pub fn add(&mut self, client: Arc<Client>) {
        let entry = Entry {
            client: client.clone(),
            caller: Caller::Guest,
            secret: String::new(),
            topics: Vec::new(),
            standpoint: None,
        };
        self.clients.insert(client.id.clone(), entry);
    }

    pub fn remove(&mut self, id: &str) {
        self.leave_groups(id);
        if let Some((id, entry)) = self.clients.remove_entry(id) {
            self.topics_weight -= entry.weight();
            self.topics -= entry.topics.len();
            self.unbind_index(&id, &entry.caller);
        }
        // A crowd that has gone leaves nothing behind.
        if self.clients.capacity() > 4 * self.clients.len() + 1024 {
            self.clients.shrink_to(2 * self.clients.len());
        }
    }

    pub fn clients(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.clients.values().map(|entry| &entry.client)
    }

    pub fn client(&self, id: &str) -> Option<&Arc<Client>> {
        self.clients.get(id).map(|entry| &entry.client)
    }

    /// Replaces all subscriptions of a client and binds it to its caller (§2.1). Returns the client and what it listens
    /// to now.
    pub fn subscribe(
        &mut self,
        id: &str,
        address: std::net::IpAddr,
        joining: Joining,
    ) -> Result<(Arc<Client>, Vec<Subscription>), Refusal> {
        let Joining { caller, secret, topics, since, standpoint } = joining;
        let entry = self.clients.get(id).ok_or(Refusal::Unknown)?;
        if entry.client.address != address {
            return Err(Refusal::OtherAddress);
        }
        let same = |record: &AuthRecord| caller.is(&record.collection_id, &record.id);
        if entry.caller.record().is_some_and(|record| !same(record)) {
            return Err(Refusal::OtherAccount);
        }
        let more = topics.iter().map(|(text, _)| weight(text)).sum::<usize>();
        let weighed = self.topics_weight - entry.weight() + more;
        if weighed > MAX_TOPICS_WEIGHT && more > 0 {
            return Err(Refusal::Full);
        }
        self.topics_weight = weighed;
        self.topics = self.topics - entry.topics.len() + topics.len();
        self.leave_groups(id);
        let Some(entry) = self.clients.get_mut(id) else { return Err(Refusal::Unknown) };
        let (client, before) = (entry.client.clone(), std::mem::replace(&mut entry.caller, caller.clone()));
        entry.secret = secret;
        // A topic that was listened to before goes on without a gap: the hub may be behind. Who counts is told the rest
        // from the log.
        let known: HashMap<Arc<str>, u64> = match standpoint {
            Some(_) => HashMap::new(),
            None => entry.topics.drain(..).map(|listening| (listening.text, listening.since)).collect(),
        };
        let topics = topics.into_iter().map(|(text, topic)| {
            let since = known.get(&text).copied().unwrap_or(since);
            Listening { text, topic, since, slot: None }
        });
        entry.topics = topics.collect();
        entry.standpoint = standpoint;
        client.subscribe(entry.standpoint.is_some());
        self.unbind_index(&client.id, &before);
        if let Some(record) = caller.record() {
            let key = (record.collection_id.clone(), record.id.clone());
            self.bound.entry(key).or_default().push(client.id.clone());
        }
        let joined = self.join_groups(id);
        Ok((client, joined))
    }

    /// Those who listen to a record, each view once. Everybody who subscribes later sees only what comes later.
    pub fn advance(&mut self, seq: u64, collection: Option<&Collection>, record: &str) -> Vec<Arc<Group>> {
        self.cursor = self.cursor.max(seq);
        collection.map(|collection| self.groups.of(collection, record)).unwrap_or_default()
    }

    /// The log went back to `cursor`: who was there before hears of everything after it.
    pub fn restart(&mut self, cursor: u64) {
        self.cursor = cursor;
        for id in self.clients.keys().cloned().collect::<Vec<_>>() {
            self.leave_groups(&id);
            if let Some(entry) = self.clients.get_mut(&id) {
                entry.topics.iter_mut().for_each(|listening| listening.since = listening.since.min(cursor));
            }
            self.join_groups(&id);
        }
    }

    /// What the topics show to the caller, besides the records. Each comes with its text.
    pub fn standpoint<'t>(
        &mut self,
        catalog: &Catalog,
        caller: &Caller,
        topics: impl Iterator<Item = (&'t str, &'t Topic)>,
    ) -> String {
        self.standpoints.of(catalog, caller, topics)
    }

    /// Ends the one-shot subscription to the login signal; `None` when there is none, or it came from elsewhere (§6).
    pub fn take_popup(&mut self, id: &str, address: std::net::IpAddr) -> Option<Arc<Client>> {
        let entry = self.clients.get_mut(id)?;
        let position = entry.topics.iter().position(|listening| listening.topic.target == Target::OAuth2)?;
        if entry.client.address != address {
            return None;
        }
        let taken = entry.topics.remove(position);
        self.topics_weight -= weight(&taken.text);
        self.topics -= 1;
        Some(entry.client.clone())
    }

    pub fn is_bound(&self, collection: &Arc<str>, record: &str) -> bool {
        !self.bound.is_empty() && self.bound.contains_key(&(collection.clone(), Arc::from(record)))
    }

    /// How many times streams were bound to another state of their account. An account that was read before the last
    /// time may be older than what they are bound to.
    pub fn rebinds(&self) -> u64 {
        self.rebinds
    }

    /// The token keys that the streams of an account were bound with may be over: `now` is the account today, `None` when
    /// it is gone. Streams whose key is another become guests, the others see the new row.
    pub fn rebind(&mut self, collection: &Arc<str>, record: &str, now: Option<&Caller>, catalog: &Catalog) {
        let key = (collection.clone(), Arc::from(record));
        let Some(ids) = self.bound.remove(&key) else { return };
        self.rebinds += 1;
        let token_key = |caller: &Caller| {
            caller.record().and_then(|record| record.row.text("tokenKey").map(str::to_owned)).unwrap_or_default()
        };
        ids.iter().for_each(|id| self.leave_groups(id));
        for id in ids {
            let Some(entry) = self.clients.get_mut(&id) else { continue };
            match now.filter(|now| token_key(now) == token_key(&entry.caller)) {
                Some(now) => {
                    entry.caller = now.clone();
                    self.bound.entry(key.clone()).or_default().push(id.clone());
                }
                None => entry.caller = Caller::Guest,
            }
            entry.check_standpoint(&mut self.standpoints, catalog);
            self.join_groups(&id);
        }
    }

    /// Ends the bindings of collections that are gone or have a new secret (§2.1), and the streams of those who count and
    /// see by other rules now. An older catalog than the last one changes nothing.
    pub fn follow(&mut self, catalog: &Catalog) {
        if catalog.version <= self.catalog_version {
            return;
        }
        self.catalog_version = catalog.version;
        let good = |entry: &Entry, collection: &str| {
            let options = catalog.by_id(collection).and_then(|collection| collection.auth());
            options.is_some_and(|options| options.auth_token.secret == entry.secret)
        };
        let lost = self.clients.values().filter_map(|entry| {
            let record = entry.caller.record()?;
            (!good(entry, &record.collection_id)).then(|| (record.collection_id.clone(), record.id.clone()))
        });
        for (collection, record) in lost.collect::<Vec<_>>() {
            self.rebind(&collection, &record, None, catalog);
        }
        for entry in self.clients.values() {
            entry.check_standpoint(&mut self.standpoints, catalog);
        }
    }

    fn unbind_index(&mut self, id: &ClientId, caller: &Caller) {
        let Some(record) = caller.record() else { return };
        if let MapEntry::Occupied(mut ids) = self.bound.entry((record.collection_id.clone(), record.id.clone())) {
            ids.get_mut().retain(|other| other != id);
            if ids.get().is_empty() {
                ids.remove();
            }
        }
    }

    /// Adds a client to the groups of its topics.
    fn join_groups(&mut self, id: &str) -> Vec<Subscription> {
        let Some(entry) = self.clients.get_mut(id) else { return Vec::new() };
        let mut joined = Vec::new();
        for Listening { text, topic, since, slot } in &mut entry.topics {
            let member = Member { client: entry.client.clone(), since: *since };
            let Some((place, view)) = self.groups.join(&entry.caller, text, topic, member) else { continue };
            *slot = Some(place);
            joined.push(Subscription { target: topic.target.clone(), view, topic: text.clone() });
        }
        joined
    }

    /// Takes a client out of its groups.
    fn leave_groups(&mut self, id: &str) {
        let Some(entry) = self.clients.get_mut(id) else { return };
        for Listening { text, topic, slot, .. } in &mut entry.topics {
            if let Some(slot) = slot.take() {
                self.groups.leave(&entry.caller, text, topic, slot);
            }
        }
    }
}

impl Entry {
    fn weight(&self) -> usize {
        self.topics.iter().map(|listening| weight(&listening.text)).sum()
    }

    /// A picture that the log does not lead on from has to be fetched again: its client comes back and is told so.
    fn check_standpoint(&self, standpoints: &mut Standpoints, catalog: &Catalog) {
        let Some(standpoint) = &self.standpoint else { return };
        let topics = self.topics.iter().map(|listening| (&*listening.text, &listening.topic));
        if !self.client.is_over() && *standpoint != standpoints.of(catalog, &self.caller, topics) {
            self.client.end();
        }
    }
}

/// Memory of a topic, roughly: its text, what was read from it, its group.
fn weight(text: &str) -> usize {
    1024 + 4 * text.len()
}

/// A client's subscriptions as they are asked for.
pub struct Joining {
    pub caller: Caller,
    /// The secret of the caller's collection, blank for guests.
    pub secret: String,
    pub topics: Vec<(Arc<str>, Topic)>,
    /// The last change that is not told live.
    pub since: u64,
    /// What it stands on, if it counts.
    pub standpoint: Option<String>,
}

/// One topic that a client listens to.
pub struct Subscription {
    pub target: Target,
    pub view: Arc<View>,
    pub topic: Arc<str>,
}

impl Subscription {
    /// Whether it is about this record.
    pub fn covers(&self, collection: &Collection, id: &str) -> bool {
        let named = |name: &str| *name == *collection.id || *name == *collection.name;
        match &self.target {
            Target::Collection(name) => named(name),
            Target::Record { collection: name, id: record } => named(name) && record == id,
            Target::OAuth2 | Target::Nothing => false,
        }
    }
}
