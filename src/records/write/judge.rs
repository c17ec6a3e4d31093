//! May this write happen, and what would it write? The same judgement on a reader's snapshot and, when that has aged,
//! on the writer (`docs/wire/records-api.md` §4.1, §4.2; `records-filter.md` §9).

use std::sync::Arc;

use serde_json::Value as Json;

use super::{
    auth_form::Form,
    draft::{Draft, names, plain_text},
    facts::{Ground, Need, PENDING_HASH},
    files::Folder,
    notify,
    plan::{Plan, RuleKind, text},
    task::Task,
    validate::Candidate,
};
use crate::{
    db::{Row, Value},
    error::{Error, Result},
    identity::SUPERUSERS_ID,
    random,
    records::BatchAction,
    rules::{self, Query, Request, Verdict},
    schema::{Catalog, Collection, FieldKind, FieldType, Modifier},
};

/// A longer password has no hash on the wire, in bytes. Whom a create rule concerns is told nothing more; a superuser
/// and an update are told the field.
const MAX_PASSWORD_BYTES: usize = 72;

/// A write that may happen.
pub(super) struct Judgement {
    pub plan: Arc<Plan>,
    pub verdict: Allowed,
    /// Collections whose changes make this judgement stale. The record itself is compared, not listed.
    pub reads: Vec<Arc<str>>,
    /// Facts that were assumed.
    pub needs: Vec<Need>,
}

pub(super) enum Allowed {
    Insert(Save),
    Update {
        old: Arc<Row>,
        save: Save,
    },
    Delete {
        old: Arc<Row>,
    },
    /// Facts come first; nothing else is known yet.
    Unknown,
}

/// What is to be stored, without dates and token keys that the write itself sets.
pub(super) struct Save {
    pub values: Vec<Value>,
    /// The auth password is a new one, even if it is the old one again.
    pub new_password: bool,
    /// Files that the record has no longer.
    pub removed: Vec<String>,
}

impl Judgement {
    /// The record's stored row before, if it has one.
    pub fn old(&self) -> Option<&Arc<Row>> {
        match &self.verdict {
            Allowed::Update { old, .. } | Allowed::Delete { old } => Some(old),
            Allowed::Insert(_) | Allowed::Unknown => None,
        }
    }
}

/// Judges one task. Fails with what the wire answers.
pub(super) fn judge(ground: &Ground<'_>, task: &Task) -> Result<Judgement> {
    let unsupported = || Error::invalid("This request cannot be part of a batch.");
    if task.action == BatchAction::Unsupported {
        return Err(unsupported());
    }
    let collection = ground.catalog.find(&task.collection).ok_or_else(Error::not_found)?;
    if collection.is_view() {
        return Err(Error::invalid("Records of a view cannot be changed."));
    }
    let plan = ground.plans.of(collection);
    match &task.action {
        BatchAction::Create => Judge::new(*ground, task, plan, RuleKind::Create)?.create(),
        BatchAction::Update { id } => Judge::new(*ground, task, plan, RuleKind::Update)?.update(id),
        BatchAction::Delete { id } => Judge::new(*ground, task, plan, RuleKind::Delete)?.delete(id),
        BatchAction::Unsupported => Err(unsupported()),
        BatchAction::Upsert => {
            let id = task.values.get("id").map(plain_text).unwrap_or_default();
            if !id.is_empty() && plan.load(ground.tx, &id)?.is_some() {
                Judge::new(*ground, task, plan, RuleKind::Update)?.update(&id)
            } else {
                Judge::new(*ground, task, plan, RuleKind::Create)?.create()
            }
        }
    }
}

/// One judgement in the making.
struct Judge<'a> {
    ground: Ground<'a>,
    task: &'a Task,
    plan: Arc<Plan>,
    kind: RuleKind,
    superuser: bool,
    reads: Vec<Arc<str>>,
    needs: Vec<Need>,
}

impl<'a> Judge<'a> {
    /// A rule that nobody but superusers passes is decided before any record is looked up (`records.md` §2).
    fn new(ground: Ground<'a>, task: &'a Task, plan: Arc<Plan>, kind: RuleKind) -> Result<Self> {
        let superuser = task.request.caller.is_superuser();
        if !superuser && plan.rule(kind).is_none() {
            return Err(Error::forbidden("Only superusers may do this."));
        }
        Ok(Self { ground, task, plan, kind, superuser, reads: Vec::new(), needs: Vec::new() })
    }

    fn create(mut self) -> Result<Judgement> {
        let plan = self.plan.clone();
        let mut draft = Draft::new(&plan, self.task, zeros(&plan));
        notify::settle(self.ground.catalog, &plan, &mut draft, true);
        self.fill_hashes(&mut draft);
        let manager = self.rule_on_new_row(&draft)?;
        if let Some(unknown) = self.check_form(&draft, None, manager)? {
            return Ok(unknown);
        }
        self.autogenerate(&mut draft);
        self.force_superuser_verified(&mut draft);
        let candidate = Candidate { plan: &plan, task: self.task, draft: &draft, stored: None };
        candidate.check(&self.ground, &mut self.reads)?;
        let save = self.save(draft, None);
        Ok(self.allow(Allowed::Insert(save)))
    }

    fn update(mut self, id: &str) -> Result<Judgement> {
        let plan = self.plan.clone();
        let old = Arc::new(plan.load(self.ground.tx, id)?.ok_or_else(Error::not_found)?);
        let stored = normalised(&plan, &old);
        let mut draft = Draft::new(&plan, self.task, stored.clone());
        notify::settle(self.ground.catalog, &plan, &mut draft, false);
        self.fill_hashes(&mut draft);
        let request = self.request_with(&draft);
        let request = request.as_ref().unwrap_or(&self.task.request);
        if !self.rule_on_stored_row(self.kind, &old, request)? {
            return Err(Error::not_found());
        }
        let manager =
            self.superuser || self.is_manager() && self.rule_on_stored_row(RuleKind::Manage, &old, request)?;
        if let Some(unknown) = self.check_form(&draft, Some(&stored), manager)? {
            return Ok(unknown);
        }
        self.force_superuser_verified(&mut draft);
        let candidate = Candidate { plan: &plan, task: self.task, draft: &draft, stored: Some(&stored) };
        candidate.check(&self.ground, &mut self.reads)?;
        let save = self.save(draft, Some(&stored));
        Ok(self.allow(Allowed::Update { old, save }))
    }

    fn delete(mut self, id: &str) -> Result<Judgement> {
        let old = Arc::new(self.plan.load(self.ground.tx, id)?.ok_or_else(Error::not_found)?);
        // The body is the raw one here (records-filter.md §9.1).
        let task = self.task;
        if !self.rule_on_stored_row(self.kind, &old, &task.request)? {
            return Err(Error::not_found());
        }
        Ok(self.allow(Allowed::Delete { old }))
    }

    fn allow(self, verdict: Allowed) -> Judgement {
        Judgement { plan: self.plan, verdict, reads: self.reads, needs: self.needs }
    }

    /// Puts the hash of every new password in its place, or the mark of one that has still to be made.
    fn fill_hashes(&mut self, draft: &mut Draft<'_>) {
        for position in 0..draft.passwords.len() {
            let (index, plain) = &draft.passwords[position];
            if plain.is_empty() {
                continue;
            }
            let field = &self.plan.collection.fields[*index];
            let hash = self.ground.facts.hash(self.task.item, &field.id, plain);
            if hash.is_none() {
                let (field, plain) = (field.id.clone(), plain.clone());
                self.needs.push(Need::Hash { item: self.task.item, field, plain });
            }
            draft.values[*index] = Value::Text(hash.unwrap_or(PENDING_HASH).to_owned());
        }
    }

    /// The create rule, then the manage rule, on a virtual row (`records-filter.md` §9.2). Returns whether the caller
    /// is a manager.
    fn rule_on_new_row(&mut self, draft: &Draft<'_>) -> Result<bool> {
        if self.superuser {
            return Ok(true);
        }
        check_passwords(draft)?;
        let plan = self.plan.clone();
        let rule = plan.rule(RuleKind::Create).unwrap_or_default();
        let manage = plan.rule(RuleKind::Manage).filter(|_| self.is_manager());
        if rule.is_empty() && manage.is_none() {
            return Ok(false);
        }
        let row = would_be(&plan, draft);
        let request = self.request_with(draft);
        let request = request.as_ref().unwrap_or(&self.task.request);
        if !rule.is_empty() && !self.new_row_satisfies(&row, request, rule)? {
            return Err(Error::invalid("The record could not be created."));
        }
        match manage {
            Some(rule) => self.new_row_satisfies(&row, request, rule),
            None => Ok(false),
        }
    }

    fn new_row_satisfies(&mut self, row: &Row, request: &Request, rule: &str) -> Result<bool> {
        let plan = self.plan.clone();
        let query = Query::over_new_row(self.ground.catalog, &plan.collection, request, row);
        self.holds(query, rule)
    }

    /// Whether the query finds a row under the rule. A rule that does not compile is one that nobody satisfies
    /// (`records.md` §2).
    fn holds(&mut self, mut query: Query<'_>, rule: &str) -> Result<bool> {
        if let Err(error) = query.and_rule(rule) {
            tracing::warn!(collection = %self.plan.collection.name, rule, %error, "a rule does not compile");
            return Ok(false);
        }
        let sql = query.select(&[], Some(1), 0);
        self.reads.extend(query.reads());
        Ok(self.ground.tx.query_one(&sql.text, rusqlite::params_from_iter(&sql.params), |_| Ok(()))?.is_some())
    }

    /// An update, delete or manage rule on the stored row: in memory where that is possible.
    fn rule_on_stored_row(&mut self, kind: RuleKind, row: &Row, request: &Request) -> Result<bool> {
        let plan = self.plan.clone();
        let rule = match plan.rule(kind) {
            _ if self.superuser => return Ok(true),
            None => return Ok(false),
            Some("") => return Ok(true),
            Some(rule) => rule,
        };
        match rules::judge(rule, self.ground.catalog, &plan.collection, row, request) {
            Verdict::Match => return Ok(true),
            Verdict::NoMatch => return Ok(false),
            Verdict::NeedsSql => {}
        }
        let mut query = Query::new(self.ground.catalog, &plan.collection, request);
        query.and_id(plan.id_of(row));
        self.holds(query, rule)
    }

    /// The request as rules see it, if any rule looks.
    fn request_with(&self, draft: &Draft<'_>) -> Option<Request> {
        let looks = !self.superuser && (self.plan.rule(self.kind) != Some("") || self.is_manager());
        looks.then(|| Request { body: draft.request_body(&self.plan), ..(*self.task.request).clone() })
    }

    /// Somebody for whom the manage rule is to be asked (`auth.md` §4).
    fn is_manager(&self) -> bool {
        !self.superuser && self.task.request.caller.record().is_some() && self.plan.rule(RuleKind::Manage).is_some()
    }

    /// The checks of auth collections. `Some` when they cannot be told before more is known.
    fn check_form(&mut self, draft: &Draft<'_>, stored: Option<&[Value]>, manager: bool) -> Result<Option<Judgement>> {
        let Some(columns) = self.plan.auth else { return Ok(None) };
        let form = Form { columns, stored, manager, facts: self.ground.facts };
        let known = self.needs.len();
        let issues = form.check(draft, &mut self.needs);
        let verify = self.needs.split_off(known);
        if !issues.is_empty() && !verify.is_empty() {
            // Without the hashes of new passwords: nothing is hashed for a form that fails.
            let unknown = Allowed::Unknown;
            return Ok(Some(Judgement { plan: self.plan.clone(), verdict: unknown, reads: Vec::new(), needs: verify }));
        }
        self.needs.extend(verify);
        issues.into_result("The record is not valid.")?;
        Ok(None)
    }

    /// Blank texts that have a pattern are generated (`records-collections.md` §4.6).
    fn autogenerate(&self, draft: &mut Draft<'_>) {
        for (index, field) in self.plan.collection.fields.iter().enumerate() {
            let FieldKind::Text(kind) = &field.kind else { continue };
            if kind.autogenerate_pattern.is_empty() || !text(draft.values.get(index)).is_empty() {
                continue;
            }
            let generate = || kind.apply(&kind.zero(), Modifier::Autogenerate, &Json::from(""));
            let value = if kind.primary_key {
                let id = self.task.generated_id(|| text(generate().as_ref()).to_owned());
                Some(Value::Text(id.to_owned()))
            } else {
                generate()
            };
            if let Some(value) = value {
                draft.values[index] = value;
            }
        }
    }

    /// Superusers are always verified, whatever is submitted (`auth.md` §1.4).
    fn force_superuser_verified(&self, draft: &mut Draft<'_>) {
        if let Some(auth) = self.plan.auth.filter(|_| is_superusers(&self.plan.collection)) {
            draft.values[auth.verified] = Value::Integer(1);
        }
    }

    /// The valid draft, with the files that come and go.
    fn save(&mut self, draft: Draft<'_>, stored: Option<&[Value]>) -> Save {
        let plan = self.plan.clone();
        let id = text(draft.values.get(plan.id)).to_owned();
        let mut removed = Vec::new();
        for (index, field) in plan.collection.fields.iter().enumerate() {
            let FieldKind::File(kind) = &field.kind else { continue };
            let now = names(kind, &draft.values[index]);
            let before = stored.map(|stored| names(kind, &stored[index])).unwrap_or_default();
            removed.extend(before.into_iter().filter(|name| !now.contains(name)));
            for (upload, _) in self.task.uploads.iter().enumerate().filter(|(_, staged)| now.contains(&staged.name)) {
                let folder = Folder { collection: plan.collection.id.clone(), record: id.clone() };
                if self.ground.facts.place(self.task.item, upload) != Some(&folder) {
                    self.needs.push(Need::Place { item: self.task.item, upload, folder });
                }
            }
        }
        let new_password = plan.auth.is_some_and(|auth| draft.plain(auth.password).is_some_and(|new| !new.is_empty()));
        Save { values: draft.values, new_password, removed }
    }
}

/// The virtual row that create rules are asked about.
fn would_be(plan: &Plan, draft: &Draft<'_>) -> Row {
    let mut values = draft.values.clone();
    if text(values.get(plan.id)).is_empty() {
        values[plan.id] = Value::Text(random::record_id());
    }
    if let Some(auth) = plan.auth {
        values[auth.verified] = Value::Integer(0);
    }
    plan.row(values)
}

/// The virtual row has hashes, and there are none of these (auth.md §7).
fn check_passwords(draft: &Draft<'_>) -> Result<()> {
    match draft.passwords.iter().any(|(_, plain)| plain.len() > MAX_PASSWORD_BYTES) {
        true => Err(Error::invalid("A password may have 72 bytes at most.")),
        false => Ok(()),
    }
}

/// What the rules of a create or an update see: the request with the normalised body, and the would-be row of a new
/// record.
pub(super) fn rehearse(
    catalog: &Catalog,
    task: &Task,
    plan: &Plan,
    stored: Option<&Row>,
) -> Result<(Request, Option<Row>)> {
    let values = match stored {
        Some(row) => normalised(plan, row),
        None => zeros(plan),
    };
    let mut draft = Draft::new(plan, task, values);
    notify::settle(catalog, plan, &mut draft, stored.is_none());
    for (index, plain) in &draft.passwords {
        if !plain.is_empty() {
            draft.values[*index] = Value::Text(PENDING_HASH.to_owned());
        }
    }
    let request = Request { body: draft.request_body(plan), ..(*task.request).clone() };
    let row = match stored {
        Some(_) => None,
        None => {
            check_passwords(&draft)?;
            Some(would_be(plan, &draft))
        }
    };
    Ok((request, row))
}

/// What a record has before anything is said of it.
fn zeros(plan: &Plan) -> Vec<Value> {
    plan.collection.fields.iter().map(|field| field.kind.as_type().zero()).collect()
}

/// The stored values as fields read them: legacy forms become today's.
fn normalised(plan: &Plan, row: &Row) -> Vec<Value> {
    let fields = plan.collection.fields.iter();
    fields.zip(&row.values).map(|(field, value)| field.kind.as_type().normalise_stored(value.into())).collect()
}

pub(super) fn is_superusers(collection: &Collection) -> bool {
    &*collection.id == SUPERUSERS_ID
}
