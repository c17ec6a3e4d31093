//! One change as those who listen see it (`docs/wire/services-realtime.md` §4): judged and rendered once for each view,
//! in memory where that is possible, else with one read for all of them.

use std::sync::Arc;

use bytes::Bytes;

use super::{client::Event, groups::View};
use crate::{
    clock::Timestamp,
    db::{Change, Db, Kind, ReadTx},
    error::{Error, Result},
    records::{Glance, Lens, Records, State},
    rules::Request,
    schema::{Catalog, Collection},
};

/// Times that a change is looked at again because the schema changed under it.
const MAX_ATTEMPTS: usize = 4;
/// Views that are judged by one read.
const VIEWS_AT_ONCE: usize = 256;

/// What a view is told of a change: a line of JSON without its end, where the number goes.
#[derive(Debug, Clone)]
pub struct Report {
    seq: u64,
    head: Bytes,
}

impl Report {
    /// The event for those who listen to `topic`, with the number for those who count.
    pub fn event(&self, topic: &str, numbered: bool, sharers: usize) -> Arc<Event> {
        if numbered {
            let number = format!(r#","seq":{}}}"#, self.seq);
            return Event::new(self.seq, topic, &[&self.head, number.as_bytes()], sharers);
        }
        Event::new(self.seq, topic, &[&self.head, b"}"], sharers)
    }
}

/// One change of a collection.
#[derive(Clone)]
pub struct Witnessed {
    pub seq: u64,
    pub change: Arc<Change>,
    pub at: Timestamp,
}

/// How a record relates to a view across a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Movement {
    None,
    Enter,
    Leave,
}

impl Witnessed {
    /// What each view is told.
    pub async fn report(
        &self,
        db: &Db,
        records: &Records,
        catalog: impl Fn() -> Arc<Catalog>,
        views: &[Arc<View>],
    ) -> Vec<Told> {
        let mut attempt = 1;
        loop {
            let current = catalog();
            let Some(collection) = current.by_id(&self.change.collection).cloned() else {
                return vec![Told::Nothing; views.len()];
            };
            let told = self.report_once(db, records, &current, &collection, views).await;
            // A column may have gone, or come, between the catalog and the snapshot.
            if catalog().version == current.version || attempt == MAX_ATTEMPTS {
                return told;
            }
            attempt += 1;
        }
    }

    async fn report_once(
        &self,
        db: &Db,
        records: &Records,
        catalog: &Arc<Catalog>,
        collection: &Arc<Collection>,
        views: &[Arc<View>],
    ) -> Vec<Told> {
        let state =
            |image: &Option<Arc<crate::db::Row>>| image.as_ref().map(|image| records.state(catalog, collection, image));
        let sight = Arc::new(Sight {
            seq: self.seq,
            kind: self.change.kind,
            old: state(&self.change.old),
            new: state(&self.change.new),
        });
        let mut told = Vec::with_capacity(views.len());
        let mut unsure = Vec::new();
        for (position, view) in views.iter().enumerate() {
            let lens = lens(view, self.at);
            match sight.glance(records, view, &lens) {
                Some(report) => told.push(report.into()),
                None => {
                    unsure.push((position, view.clone(), lens));
                    told.push(Told::Failed);
                }
            }
        }
        // In parts, each of which is soon done: who asks for much shall not be the reason that others hear nothing.
        while !unsure.is_empty() {
            let part = unsure.split_off(unsure.len().saturating_sub(VIEWS_AT_ONCE));
            let (sight, records) = (sight.clone(), records.clone());
            let work = move |tx: &ReadTx<'_>| {
                let look = |(position, view, lens): &(usize, Arc<View>, Lens)| {
                    (*position, sight.look(&records, tx, view, lens))
                };
                Ok(part.iter().map(look).collect::<Vec<_>>())
            };
            let failed = |error: Error| tracing::error!(%error, seq = self.seq, "a change could not be told");
            match db.read(work).await {
                Ok(seen) => {
                    for (position, seen) in seen {
                        told[position] = seen.map_or_else(
                            |error| {
                                failed(error);
                                Told::Failed
                            },
                            Told::from,
                        );
                    }
                }
                Err(error) => failed(error),
            }
        }
        told
    }
}

/// What a view is told of one change.
#[derive(Clone)]
pub enum Told {
    /// It sees nothing of it.
    Nothing,
    Report(Report),
    /// It could not be found out.
    Failed,
}

impl From<Option<Report>> for Told {
    fn from(report: Option<Report>) -> Self {
        report.map_or(Self::Nothing, Self::Report)
    }
}

fn lens(view: &View, now: Timestamp) -> Lens {
    Lens {
        request: Arc::new(Request { now, ..view.request.clone() }),
        scope: view.scope,
        filter: view.filter.clone(),
        shape: view.shape.clone(),
    }
}

/// A change as states of today's collection.
struct Sight {
    seq: u64,
    kind: Kind,
    old: Option<State>,
    new: Option<State>,
}

impl Sight {
    /// The state that the wire's event is about: what a record became, or what it was before it went.
    fn shown(&self) -> Option<&State> {
        self.new.as_ref().or(self.old.as_ref())
    }

    /// `None` when SQL has to be asked.
    fn glance(&self, records: &Records, view: &View, lens: &Lens) -> Option<Option<Report>> {
        let Some(shown) = self.shown() else { return Some(None) };
        let seen = match shown.glance(records, lens) {
            Glance::Unsure => return None,
            Glance::Seen(record) => Some(record),
            Glance::Hidden => None,
        };
        if !self.may_move(view) {
            return Some(seen.map(|record| self.write(&record, Movement::None)));
        }
        let before = match self.old.as_ref().map(|old| old.glance(records, lens)) {
            Some(Glance::Unsure) => return None,
            Some(Glance::Seen(_)) => true,
            Some(Glance::Hidden) | None => false,
        };
        Some(self.moved(shown, seen, before))
    }

    fn look(&self, records: &Records, tx: &ReadTx<'_>, view: &View, lens: &Lens) -> Result<Option<Report>> {
        let Some(shown) = self.shown() else { return Ok(None) };
        let seen = shown.look(records, tx, lens)?;
        if !self.may_move(view) {
            return Ok(seen.map(|record| self.write(&record, Movement::None)));
        }
        let before = match &self.old {
            Some(old) => old.look(records, tx, lens)?.is_some(),
            None => false,
        };
        Ok(self.moved(shown, seen, before))
    }

    /// Only an update can move a record across the border of a view.
    fn may_move(&self, view: &View) -> bool {
        view.transitions && self.kind == Kind::Update
    }

    fn moved(&self, shown: &State, seen: Option<Bytes>, before: bool) -> Option<Report> {
        match (seen, before) {
            (Some(record), true) => Some(self.write(&record, Movement::None)),
            (Some(record), false) => Some(self.write(&record, Movement::Enter)),
            // Which record it was is known to whoever saw it; nothing else of it is told.
            (None, true) => Some(self.write(&shown.reference(), Movement::Leave)),
            (None, false) => None,
        }
    }

    /// `{"record":…,"action":"…"}` (§4) with what is ours beside it.
    fn write(&self, record: &Bytes, movement: Movement) -> Report {
        let action = match self.kind {
            Kind::Create => "create",
            Kind::Update => "update",
            Kind::Delete => "delete",
        };
        let movement = match movement {
            Movement::None => "",
            Movement::Enter => r#","transition":"enter""#,
            Movement::Leave => r#","transition":"leave""#,
        };
        let head =
            [br#"{"record":"#, &**record, br#","action":""#, action.as_bytes(), b"\"", movement.as_bytes()].concat();
        Report { seq: self.seq, head: head.into() }
    }
}
