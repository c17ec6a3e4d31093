//! Who is connected, as whom, and who listens to what.

use std::{
    collections::{HashMap, hash_map::Entry as MapEntry},
    sync::Arc,
};

use super::{
    client::{Client, ClientId},
    standpoint,
    topic::{Options, Target, Topic},
};
use crate::{
    identity::Caller,
    records::{Scope, Shape},
    rules::{Context, Request},
    schema::{Catalog, Collection},
};

/// Everything that subscriptions change.
#[derive(Default)]
pub struct Registry {
    clients: HashMap<ClientId, Entry>,
    /// By the collection's id or name, as the topics have it.
    listeners: HashMap<String, Listeners>,
    /// Clients by the record that they are signed in as: collection id and record id.
    bound: HashMap<(Arc<str>, Arc<str>), Vec<ClientId>>,
    /// The last change that was told to whoever listened then.
    pub cursor: u64,
    /// The catalog for which all bindings were good.
    pub catalog_version: u64,
}

struct Entry {
    client: Arc<Client>,
    caller: Caller,
    /// The secret of the caller's collection when it was bound.
    secret: String,
    topics: Vec<(Arc<str>, Topic)>,
    /// The last change before its subscriptions.
    since: u64,
    /// What it said it stands on, if it counts ([`standpoint`]).
    standpoint: Option<String>,
}

/// Those who listen to one collection.
#[derive(Default)]
struct Listeners {
    all: Groups,
    records: HashMap<String, Groups>,
}

type Groups = HashMap<GroupKey, Group>;

/// Listeners who see the same: asked for the same, as the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct GroupKey {
    who: Who,
    options: String,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Who {
    Guest,
    Account(Arc<str>, Arc<str>),
}

/// Listeners with one view. Cheap to clone.
#[derive(Clone)]
pub struct Group {
    pub view: Arc<View>,
    pub members: Arc<Vec<Member>>,
}

/// One client's subscription.
#[derive(Clone)]
pub struct Member {
    pub client: Arc<Client>,
    pub topic: Arc<str>,
    /// Changes up to this one were there before the subscription.
    pub since: u64,
}

/// What a group sees of a record.
pub struct View {
    pub scope: Scope,
    /// Without a time.
    pub request: Request,
    pub filter: String,
    pub shape: Shape,
    /// Also wants to know when a record leaves its view.
    pub transitions: bool,
}

impl View {
    fn new(scope: Scope, caller: Caller, options: &Options) -> Self {
        let text = |name| options.query(name).map(str::to_owned);
        Self {
            scope,
            request: Request {
                context: Context::Realtime,
                method: "GET".to_owned(),
                query: options.query.clone(),
                headers: options.headers.clone(),
                caller,
                ..Request::default()
            },
            filter: text("filter").unwrap_or_default(),
            shape: Shape { expand: text("expand"), fields: text("fields") },
            transitions: options.query("transitions").is_some_and(|value| value == "true" || value == "1"),
        }
    }
}

impl Entry {
    /// A picture that the log does not lead on from has to be fetched again: its client comes back and is told so.
    fn check_standpoint(&self, catalog: &Catalog) {
        let Some(standpoint) = &self.standpoint else { return };
        if *standpoint != standpoint::of(catalog, &self.caller, self.topics.iter().map(|(_, topic)| topic)) {
            self.client.end();
        }
    }
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
}

impl Registry {
    pub fn len(&self) -> usize {
        self.clients.len()
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
            since: 0,
            standpoint: None,
        };
        self.clients.insert(client.id.clone(), entry);
    }

    pub fn remove(&mut self, id: &str) {
        self.leave_groups(id);
        if let Some((id, entry)) = self.clients.remove_entry(id) {
            self.unbind_index(&id, &entry.caller);
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
        let same = |record: &crate::identity::AuthRecord| caller.is(&record.collection_id, &record.id);
        if entry.caller.record().is_some_and(|record| !same(record)) {
            return Err(Refusal::OtherAccount);
        }
        self.leave_groups(id);
        let Some(entry) = self.clients.get_mut(id) else { return Err(Refusal::Unknown) };
        let (client, before) = (entry.client.clone(), std::mem::replace(&mut entry.caller, caller.clone()));
        entry.secret = secret;
        entry.topics = topics;
        entry.since = since;
        entry.standpoint = standpoint;
        self.unbind_index(&client.id, &before);
        if let Some(record) = caller.record() {
            let key = (record.collection_id.clone(), record.id.clone());
            self.bound.entry(key).or_default().push(client.id.clone());
        }
        let joined = self.join_groups(id);
        Ok((client, joined))
    }

    /// Those who listen to a record, each view once. Everybody who subscribes later sees only what comes later.
    pub fn advance(&mut self, seq: u64, collection: Option<&Collection>, record: &str) -> Vec<Group> {
        self.cursor = self.cursor.max(seq);
        let Some(collection) = collection else { return Vec::new() };
        let names = [&*collection.id, &*collection.name];
        let names = if names[0] == names[1] { &names[..1] } else { &names[..] };
        let mut found = Vec::new();
        for listeners in names.iter().filter_map(|name| self.listeners.get(*name)) {
            found.extend(listeners.all.values().cloned());
            found.extend(listeners.records.get(record).into_iter().flat_map(HashMap::values).cloned());
        }
        found
    }

    /// Ends the one-shot subscription to the login signal; `None` when there is none, or it came from elsewhere (§6).
    pub fn take_popup(&mut self, id: &str, address: std::net::IpAddr) -> Option<Arc<Client>> {
        let entry = self.clients.get_mut(id)?;
        let position = entry.topics.iter().position(|(_, topic)| topic.target == Target::OAuth2)?;
        if entry.client.address != address {
            return None;
        }
        entry.topics.remove(position);
        Some(entry.client.clone())
    }

    pub fn is_bound(&self, collection: &Arc<str>, record: &str) -> bool {
        !self.bound.is_empty() && self.bound.contains_key(&(collection.clone(), Arc::from(record)))
    }

    /// The token keys that the streams of an account were bound with may be over: `now` is the account today, `None` when
    /// it is gone. Streams whose key is another become guests, the others see the new row.
    pub fn rebind(&mut self, collection: &Arc<str>, record: &str, now: Option<&Caller>, catalog: &Catalog) {
        let key = (collection.clone(), Arc::from(record));
        let Some(ids) = self.bound.remove(&key) else { return };
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
            entry.check_standpoint(catalog);
            self.join_groups(&id);
        }
    }

    /// Ends the bindings of collections that are gone or have a new secret (§2.1), and the streams of those who count and
    /// see by other rules now.
    pub fn follow(&mut self, catalog: &Catalog) {
        if self.catalog_version == catalog.version {
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
        self.clients.values().for_each(|entry| entry.check_standpoint(catalog));
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
        let Some(entry) = self.clients.get(id) else { return Vec::new() };
        let mut joined = Vec::new();
        for (text, topic) in &entry.topics {
            let Some((collection, record)) = places(&topic.target) else { continue };
            let listeners = self.listeners.entry(collection.to_owned()).or_default();
            let groups = match record {
                None => &mut listeners.all,
                Some(record) => listeners.records.entry(record.to_owned()).or_default(),
            };
            let scope = if record.is_some() { Scope::Record } else { Scope::Collection };
            let group = groups.entry(GroupKey::of(&entry.caller, &topic.options)).or_insert_with(|| Group {
                view: Arc::new(View::new(scope, entry.caller.clone(), &topic.options)),
                members: Arc::default(),
            });
            let member = Member { client: entry.client.clone(), topic: text.clone(), since: entry.since };
            Arc::make_mut(&mut group.members).push(member.clone());
            joined.push(Subscription { target: topic.target.clone(), view: group.view.clone(), topic: text.clone() });
        }
        joined
    }

    /// Takes a client out of its groups; what is empty goes.
    fn leave_groups(&mut self, id: &str) {
        let Some(entry) = self.clients.get(id) else { return };
        for (_, topic) in &entry.topics {
            let Some((collection, record)) = places(&topic.target) else { continue };
            let Some(listeners) = self.listeners.get_mut(collection) else { continue };
            let groups = match record {
                None => Some(&mut listeners.all),
                Some(record) => listeners.records.get_mut(record),
            };
            let key = GroupKey::of(&entry.caller, &topic.options);
            if let Some(groups) = groups
                && let MapEntry::Occupied(mut group) = groups.entry(key)
            {
                let members = Arc::make_mut(&mut group.get_mut().members);
                members.retain(|member| *member.client.id != *id);
                if members.is_empty() {
                    group.remove();
                }
            }
            if let Some(record) = record
                && listeners.records.get(record).is_some_and(HashMap::is_empty)
            {
                listeners.records.remove(record);
            }
            if listeners.all.is_empty() && listeners.records.is_empty() {
                self.listeners.remove(collection);
            }
        }
    }
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

impl GroupKey {
    fn of(caller: &Caller, options: &Options) -> Self {
        let who = match caller.record() {
            Some(record) => Who::Account(record.collection_id.clone(), record.id.clone()),
            None => Who::Guest,
        };
        let options = match options.query.is_empty() && options.headers.is_empty() {
            true => String::new(),
            false => serde_json::json!([options.query, options.headers]).to_string(),
        };
        Self { who, options }
    }
}

/// Collection and record of a target that records can have.
fn places(target: &Target) -> Option<(&str, Option<&str>)> {
    match target {
        Target::Collection(collection) => Some((collection, None)),
        Target::Record { collection, id } => Some((collection, Some(id))),
        Target::OAuth2 | Target::Nothing => None,
    }
}
