//! Who listens to what: subscriptions that see the same, together, so that a change is judged once for all of them.
//!
//! The hub looks at a group while others join and leave it. So a group is never changed under its reader: what the reader
//! holds is copied first, in pieces of a few members, so that neither a crowd that comes nor one that goes costs more than
//! its own size.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    client::Client,
    topic::{Options, Target, Topic},
};
use crate::{
    identity::Caller,
    records::{Scope, Shape},
    rules::{Context, Request},
    schema::Collection,
};

/// Members that are copied together.
const CHUNK: usize = 64;

/// All groups, by what they listen to.
#[derive(Default)]
pub struct Groups {
    /// By the collection's id or name, as the topics have it.
    collections: HashMap<String, Places>,
}

/// Those who listen to one collection.
#[derive(Default)]
struct Places {
    all: Place,
    records: HashMap<String, Place>,
}

type Place = HashMap<Key, Arc<Group>>;

/// Listeners who see the same: asked with the same words, as the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    who: Who,
    topic: Arc<str>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Who {
    Guest,
    Account(Arc<str>, Arc<str>),
}

/// Listeners to one topic with one view.
#[derive(Clone)]
pub struct Group {
    pub topic: Arc<str>,
    pub view: Arc<View>,
    members: Vec<Arc<Chunk>>,
    /// Places that members have left.
    free: BTreeSet<usize>,
}

type Chunk = Vec<Option<Member>>;

/// One client's subscription.
#[derive(Clone)]
pub struct Member {
    pub client: Arc<Client>,
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

impl Groups {
    /// Adds a subscription; returns its place in the group, and what it sees. `None` for topics that no record has.
    pub fn join(
        &mut self,
        caller: &Caller,
        text: &Arc<str>,
        topic: &Topic,
        member: Member,
    ) -> Option<(usize, Arc<View>)> {
        let (collection, record) = target(&topic.target)?;
        let places = self.collections.entry(collection.to_owned()).or_default();
        let (place, scope) = match record {
            None => (&mut places.all, Scope::Collection),
            Some(record) => (places.records.entry(record.to_owned()).or_default(), Scope::Record),
        };
        let group = place.entry(Key::of(caller, text)).or_insert_with(|| {
            Arc::new(Group {
                topic: text.clone(),
                view: Arc::new(View::new(scope, caller.clone(), &topic.options)),
                members: Vec::new(),
                free: BTreeSet::new(),
            })
        });
        Some((Arc::make_mut(group).add(member), group.view.clone()))
    }

    /// Takes back what [`Groups::join`] did; what is empty goes.
    pub fn leave(&mut self, caller: &Caller, text: &Arc<str>, topic: &Topic, slot: usize) {
        let Some((collection, record)) = target(&topic.target) else { return };
        let Some(places) = self.collections.get_mut(collection) else { return };
        let place = match record {
            None => Some(&mut places.all),
            Some(record) => places.records.get_mut(record),
        };
        let key = Key::of(caller, text);
        if let Some(place) = place
            && let Some(group) = place.get_mut(&key)
            && Arc::make_mut(group).remove(slot)
        {
            place.remove(&key);
        }
        if let Some(record) = record
            && places.records.get(record).is_some_and(HashMap::is_empty)
        {
            places.records.remove(record);
        }
        if places.all.is_empty() && places.records.is_empty() {
            self.collections.remove(collection);
        }
    }

    /// Those who listen to a record, each view once.
    pub fn of(&self, collection: &Collection, record: &str) -> Vec<Arc<Group>> {
        let names = [&*collection.id, &*collection.name];
        let names = if names[0] == names[1] { &names[..1] } else { &names[..] };
        let mut found = Vec::new();
        for places in names.iter().filter_map(|name| self.collections.get(*name)) {
            found.extend(places.all.values().cloned());
            found.extend(places.records.get(record).into_iter().flat_map(HashMap::values).cloned());
        }
        found
    }
}

impl Group {
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().flat_map(|chunk| chunk.iter().flatten())
    }

    pub fn len(&self) -> usize {
        self.members.iter().map(|chunk| chunk.len()).sum::<usize>() - self.free.len()
    }

    /// Returns the member's place.
    fn add(&mut self, member: Member) -> usize {
        if let Some(slot) = self.free.pop_first() {
            Arc::make_mut(&mut self.members[slot / CHUNK])[slot % CHUNK] = Some(member);
            return slot;
        }
        match self.members.last_mut() {
            Some(last) if last.len() < CHUNK => Arc::make_mut(last).push(Some(member)),
            _ => self.members.push(Arc::new(vec![Some(member)])),
        }
        (self.members.len() - 1) * CHUNK + self.members.last().map_or(0, |last| last.len()) - 1
    }

    /// Whether that was the last one.
    fn remove(&mut self, slot: usize) -> bool {
        let Some(place) = self.members.get_mut(slot / CHUNK).map(Arc::make_mut).and_then(|c| c.get_mut(slot % CHUNK))
        else {
            return self.len() == 0;
        };
        *place = None;
        self.free.insert(slot);
        // A crowd that has gone leaves nothing behind at the end.
        while let Some(last) = self.members.last()
            && last.iter().all(Option::is_none)
        {
            let begin = (self.members.len() - 1) * CHUNK;
            self.free.split_off(&begin);
            self.members.pop();
        }
        self.members.is_empty()
    }
}

impl Key {
    fn of(caller: &Caller, topic: &Arc<str>) -> Self {
        let who = match caller.record() {
            Some(record) => Who::Account(record.collection_id.clone(), record.id.clone()),
            None => Who::Guest,
        };
        Self { who, topic: topic.clone() }
    }
}

/// Collection and record of a target that records can have.
fn target(target: &Target) -> Option<(&str, Option<&str>)> {
    match target {
        Target::Collection(collection) => Some((collection, None)),
        Target::Record { collection, id } => Some((collection, Some(id))),
        Target::OAuth2 | Target::Nothing => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn member(name: usize) -> Member {
        let client = Client::new(name.to_string().into(), Ipv4Addr::LOCALHOST.into(), Arc::default());
        Member { client: Arc::new(client), since: 0 }
    }

    #[test]
    fn members_come_and_go_and_readers_keep_what_they_saw() {
        let (mut groups, text) = (Groups::default(), Arc::from("notes/*"));
        let topic = Topic::parse(&text);
        let all = |groups: &Groups| {
            let group = groups.collections["notes"].all.values().next().unwrap().clone();
            let mut names: Vec<usize> = group.members().map(|member| member.client.id.parse().unwrap()).collect();
            assert_eq!(names.len(), group.len());
            names.sort_unstable();
            (group, names)
        };
        let mut slots: Vec<usize> =
            (0..1000).map(|name| groups.join(&Caller::Guest, &text, &topic, member(name)).unwrap().0).collect();
        let (before, names) = all(&groups);
        assert_eq!(names, (0..1000).collect::<Vec<_>>());
        for (name, slot) in slots.iter().enumerate().filter(|(name, _)| name % 3 != 0 || *name > 500) {
            groups.leave(&Caller::Guest, &text, &topic, *slot);
            assert!(name < 1000);
        }
        assert_eq!(all(&groups).1, (0..=500).step_by(3).collect::<Vec<_>>());
        assert_eq!(before.members().count(), 1000, "a reader is not disturbed");
        assert!(all(&groups).0.members.len() <= 8, "what a crowd took is given back");
        for name in 2000..2100 {
            slots.push(groups.join(&Caller::Guest, &text, &topic, member(name)).unwrap().0);
        }
        assert_eq!(all(&groups).1.len(), 267);
        for slot in slots.drain(..).rev() {
            if groups.collections.contains_key("notes") {
                groups.leave(&Caller::Guest, &text, &topic, slot);
            }
        }
        assert!(groups.collections.is_empty());
    }
}
