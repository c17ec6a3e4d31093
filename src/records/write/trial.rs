//! Would a rule let somebody do something, and which part of it decides? Judged as the real thing is, on a reader's
//! snapshot, and nothing is written.

use std::{ops::Range, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::{
    judge::rehearse,
    plan::{Plan, Plans},
    task::Task,
};
use crate::{
    db::{Asker, ReadTx, Row},
    error::{Error, Leaf, Result},
    identity::{AuthRecord, Caller},
    records::{BatchAction, Records},
    rules::{Part, Purpose, Request, Stored, Subject, explain, locate},
    schema::{Catalog, Collection, Rule},
};

/// Characters of a rule in a sentence.
const MAX_QUOTED: usize = 120;

/// What is to be done to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    List,
    View,
    Create,
    Update,
    Delete,
    /// To be a manager of the account.
    Manage,
    /// To sign in as the account.
    Auth,
}

/// What is to be tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Id or name.
    pub collection: String,
    pub act: Act,
    /// In the place of the stored one.
    pub rule: Option<Rule>,
    /// The record's id; of no meaning for a create.
    pub record: String,
    /// What would be sent.
    pub body: Map<String, Json>,
    /// The caller's collection (id or name) and id; nobody is a guest.
    pub caller: Option<(String, String)>,
    /// Everything else that rules see.
    pub request: Request,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    pub allowed: bool,
    /// A sentence.
    pub reason: String,
    /// The rule that was asked.
    pub rule: Rule,
    /// Of a rule that had to be asked part by part.
    pub parts: Option<Part>,
    /// The smallest part that decided.
    #[serde(serialize_with = "as_place")]
    pub decided: Option<Range<usize>>,
}

impl Act {
    pub const ALL: [(&'static str, Self); 7] = [
        ("list", Self::List),
        ("view", Self::View),
        ("create", Self::Create),
        ("update", Self::Update),
        ("delete", Self::Delete),
        ("manage", Self::Manage),
        ("auth", Self::Auth),
    ];

    /// The method of a request for it.
    pub fn method(self) -> &'static str {
        match self {
            Act::List | Act::View => "GET",
            Act::Create | Act::Auth => "POST",
            Act::Update | Act::Manage => "PATCH",
            Act::Delete => "DELETE",
        }
    }

    fn rule(self, collection: &Collection) -> Rule {
        let auth = collection.auth();
        match self {
            Act::List => collection.list_rule.clone(),
            Act::View => collection.view_rule.clone(),
            Act::Create => collection.create_rule.clone(),
            Act::Update => collection.update_rule.clone(),
            Act::Delete => collection.delete_rule.clone(),
            Act::Manage => auth.and_then(|options| options.manage_rule.clone()),
            Act::Auth => auth.and_then(|options| options.auth_rule.clone()),
        }
    }

    /// Fails where nobody could do it whatever a rule says.
    fn check(self, collection: &Collection) -> Result<()> {
        let message = match self {
            Act::Create | Act::Update | Act::Delete if collection.is_view() => "Records of a view cannot be changed.",
            Act::Manage | Act::Auth if !collection.is_auth() => "Only the records of auth collections are accounts.",
            _ => return Ok(()),
        };
        Err(Error::field("action", Leaf::new("validation_invalid_value", message)))
    }
}

impl Records {
    /// Tries it, at the expense of `asker`. Fails with the field of the trial that names nothing.
    pub async fn try_rule(&self, trial: Trial, asker: Asker) -> Result<Tried> {
        let trial = Arc::new(trial);
        self.steadily(|catalog| {
            let (trial, plans) = (trial.clone(), self.writes.plans.clone());
            self.db.read_for(asker, move |tx| Attempt { tx, catalog: &catalog, plans: &plans, trial: &trial }.run())
        })
        .await
    }
}

/// One trial on one snapshot.
struct Attempt<'a> {
    tx: &'a ReadTx<'a>,
    catalog: &'a Catalog,
    plans: &'a Plans,
    trial: &'a Trial,
}

impl Attempt<'_> {
    fn run(&self) -> Result<Tried> {
        let trial = self.trial;
        let collection = self.catalog.find(&trial.collection).ok_or_else(|| missing("collection"))?;
        trial.act.check(collection)?;
        let plan = self.plans.of(collection);
        let stored = match trial.act {
            Act::Create => None,
            _ if trial.record.is_empty() => return Err(Error::field("record", Leaf::required())),
            _ => Some(plan.load(self.tx, &trial.record)?.ok_or_else(|| missing("record"))?),
        };
        let caller = self.caller()?;
        let rule = trial.rule.clone().unwrap_or_else(|| trial.act.rule(collection));
        let said = |allowed: bool, reason: &str| {
            Ok(Tried { allowed, reason: reason.to_owned(), rule: rule.clone(), parts: None, decided: None })
        };
        let text = match &rule {
            _ if caller.is_superuser() => return said(true, "Superusers pass every rule."),
            None if trial.act == Act::Manage => return said(false, "Locked: only superusers manage accounts."),
            None if trial.act == Act::Auth => return said(false, "Locked: nobody signs in to this collection."),
            None => return said(false, "Locked: only superusers may do this."),
            Some(_) if trial.act == Act::Manage && caller.record().is_none() => {
                return said(false, "Nobody manages accounts without signing in.");
            }
            Some(text) if text.is_empty() && trial.act == Act::Manage => {
                return said(true, "Everybody who has signed in is a manager.");
            }
            Some(text) if text.is_empty() && trial.act == Act::Auth => {
                return said(true, "Public: every account may sign in.");
            }
            Some(text) if text.is_empty() => return said(true, "Public: everybody may do this."),
            Some(text) => text,
        };
        if let Some(fault) = locate(self.catalog, collection, text, Purpose::Rule) {
            return said(false, &format!("The rule is not valid, so nobody satisfies it: {}.", fault.message));
        }
        let (request, row) = match self.rehearsed(caller, &plan, stored.as_ref()) {
            Ok(rehearsed) => rehearsed,
            Err(refused) => return said(false, &refused.message),
        };
        let record = match &row {
            Some(row) => Stored::WouldBe(row),
            None => Stored::Row(&trial.record),
        };
        let subject = Subject { catalog: self.catalog, collection, request: &request, record };
        let parts = match explain(self.tx, &subject, text) {
            // What compiles for a stored record need not compile for one that is not there yet.
            Err(error) if row.is_some() && error.sqlite().is_none() => {
                let cause = error.source.map_or(String::new(), |cause| format!(": {cause:#}"));
                return said(
                    false,
                    &format!("The rule cannot be asked of a new record, so nobody satisfies it{cause}."),
                );
            }
            parts => parts?,
        };
        let allowed = parts.result == Some(true);
        let decisive = parts.decisive();
        let (reason, decided) = (reason(allowed, decisive), Some(decisive.from..decisive.to));
        Ok(Tried { allowed, reason, rule: rule.clone(), parts: Some(parts), decided })
    }

    fn caller(&self) -> Result<Caller> {
        let Some((collection, id)) = &self.trial.caller else { return Ok(Caller::Guest) };
        let found = self.catalog.find(collection).filter(|found| found.is_auth());
        let Some(collection) = found else { return Err(missing("as")) };
        let row = self.plans.of(collection).load(self.tx, id)?.ok_or_else(|| missing("as"))?;
        Ok(Caller::of(AuthRecord {
            collection_id: collection.id.clone(),
            collection_name: collection.name.clone(),
            id: id.as_str().into(),
            row: Arc::new(row),
        }))
    }

    /// The request as the rule sees it, and the would-be row of a create.
    fn rehearsed(&self, caller: Caller, plan: &Plan, stored: Option<&Row>) -> Result<(Request, Option<Row>)> {
        let trial = self.trial;
        let request = Request { caller, now: self.tx.now(), ..trial.request.clone() };
        let action = match trial.act {
            Act::Create => BatchAction::Create,
            Act::Update | Act::Manage => BatchAction::Update { id: trial.record.clone() },
            // The body is the raw one here (records-filter.md §9.1).
            Act::List | Act::View | Act::Delete | Act::Auth => {
                return Ok((Request { body: trial.body.clone(), ..request }, None));
            }
        };
        let task = Task::of_house(0, action, &trial.collection, request, trial.body.clone(), false);
        rehearse(self.catalog, &task, plan, stored)
    }
}

/// One sentence that names the part.
fn reason(allowed: bool, decisive: &Part) -> String {
    let mut text: String = decisive.text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = text.char_indices().nth(MAX_QUOTED) {
        text.truncate(end);
        text.push('…');
    }
    match (allowed, decisive.op) {
        (true, "and") => format!("The rule holds, because all of `{text}` is true."),
        (true, _) => format!("The rule holds, because `{text}` is true."),
        (false, "or") => format!("The rule does not hold, because no part of `{text}` is true."),
        (false, "and") => format!(
            "The rule does not hold: each part of `{text}` is true, but not of one and the same related record."
        ),
        (false, _) => format!("The rule does not hold, because `{text}` is false."),
    }
}

fn missing(field: &str) -> Error {
    Error::field(field, Leaf::new("validation_missing_record", "There is no such record or collection."))
}

fn as_place<S: serde::Serializer>(place: &Option<Range<usize>>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Place {
        from: usize,
        to: usize,
    }
    place.as_ref().map(|place| Place { from: place.start, to: place.end }).serialize(serializer)
}
