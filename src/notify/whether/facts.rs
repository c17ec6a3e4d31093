//! What the judgement on deliveries has to know, read for a whole batch in one snapshot: of deliveries that are due, and
//! of such as are only planned.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use rusqlite::params_from_iter;
use serde_json::Map;

use super::Profile;
use crate::{
    clock::Timestamp,
    db::{ReadTx, Row, quote_ident},
    error::{Kind, Result},
    identity::Caller,
    notify::{
        Channel, collections,
        deliveries::Delivery,
        how::Device,
        intent::{Already, Intent, Unless},
        suppression,
        what::Variants,
        who::Recipient,
    },
    rules::{self, Query, Request},
    schema::{
        Catalog, Collection,
        field::value::{moment, scalar},
    },
};

/// Devices of one account that are told.
const MAX_DEVICES: usize = 100;

/// All that is known of one delivery.
#[derive(Clone)]
pub struct Facts {
    pub delivery: Arc<Delivery>,
    pub intent: Intended,
    /// The record that set it off, as it is now.
    pub source: Option<Arc<Record>>,
    /// A change of a record set it off: `record` of its data is what that was then, for templates only.
    pub set_off: bool,
    /// `None` for a bare address, and for an account that is gone.
    pub account: Option<Arc<Record>>,
    pub profile: Arc<Profile>,
    /// IANA name of the recipient's zone, else the notification's, else the house's.
    pub zone: Arc<str>,
    /// Those of its channel.
    pub devices: Vec<Arc<Device>>,
    /// Why its address is on the suppression list.
    pub suppressed: Option<String>,
    pub siblings: Siblings,
    /// How many of the category the recipient got through the channel, within the window of the cap.
    pub passed: u32,
    pub condition: Condition,
    /// `None`: there is none of that name.
    pub template: Option<Arc<Variants>>,
    /// A newer one under the same collapse key took its place.
    pub superseded: bool,
}

/// What the delivery belongs to.
#[derive(Clone)]
pub enum Intended {
    There(Arc<Intent>),
    Gone,
    Cancelled,
    Unreadable(String),
}

/// A record as it is stored, with all columns.
pub struct Record {
    pub collection: Arc<Collection>,
    pub row: Row,
}

/// What became of the other steps of the chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Siblings {
    pub seen: bool,
    pub sent: bool,
}

/// A cancel condition on the record as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    None,
    Holds,
    HoldsNot,
    RecordGone,
    Unjudged(String),
}

impl Record {
    /// Blank where there is none.
    pub fn email(&self) -> &str {
        self.row.text("email").unwrap_or_default()
    }
}

impl Facts {
    /// Where a mail would go.
    pub fn address(&self) -> Option<&str> {
        match &self.delivery.recipient {
            Recipient::Address(address) => Some(address),
            Recipient::Account { .. } => {
                self.account.as_ref().map(|account| account.email()).filter(|email| !email.is_empty())
            }
        }
    }

    pub fn intent(&self) -> Option<&Arc<Intent>> {
        match &self.intent {
            Intended::There(intent) => Some(intent),
            _ => None,
        }
    }
}

pub(in crate::notify) const DEVICES: &str = "
    SELECT id, kind, token, secrets FROM _devices
    WHERE recordRef = ?1 AND collectionRef = ?2 ORDER BY rowid LIMIT ?3";

pub(in crate::notify) const SUPPRESSION: &str = "SELECT reason, note FROM _suppressions WHERE address = ?1";

/// The other deliveries of a notification to the same recipient, and when they were noticed.
pub(in crate::notify) const SIBLINGS: &str = "
    SELECT d.channel, d.state, d.sentAt, d.openedAt, d.clickedAt, coalesce(i.read, '')
    FROM _deliveries d LEFT JOIN _inbox i ON i.delivery = d.id AND i.delivery != ''
    WHERE d.notification = ?1 AND d.collectionRef = ?2 AND d.recordRef = ?3 AND d.address = ?4 AND d.id != ?5";

/// Those of a category that a recipient got through a channel, and those on their way, which may count soon. Where there
/// is a category they have an index; without one, all that the recipient gets through the channel is looked through.
macro_rules! counted {
    ($what:literal, $state:literal, $rest:literal) => {
        [
            concat!(
                "SELECT ",
                $what,
                " FROM _deliveries WHERE recordRef = ?1 AND collectionRef = ?2 AND channel = ?3 ",
                "AND state IN ('sent', 'sending') AND category != '' AND category = ?4 AND state = '",
                $state,
                "' ",
                $rest
            ),
            concat!(
                "SELECT ",
                $what,
                " FROM _deliveries WHERE recordRef = ?1 AND collectionRef = ?2 AND channel = ?3 ",
                "AND category = ?4 AND state = '",
                $state,
                "' ",
                $rest
            ),
        ]
    };
}

/// With a category and without.
pub(in crate::notify) const PASSED: [&str; 2] = counted!("1", "sent", "AND sentAt > ?5 LIMIT ?6");
pub(in crate::notify) const PASSING: [&str; 2] = counted!("id", "sending", "LIMIT ?5");

/// A newer one that is due as well, or was sent already.
pub(in crate::notify) const NEWER_WAITING: &str = "
    SELECT 1 FROM _deliveries
    WHERE recordRef = ?1 AND collectionRef = ?2 AND address = '' AND channel = ?3 AND collapse = ?4 AND collapse != ''
      AND state IN ('scheduled', 'sending') AND notification != ?5 AND rowid > ?6 AND due <= ?7 LIMIT 1";
pub(in crate::notify) const NEWER_SENT: &str = "
    SELECT 1 FROM _deliveries
    WHERE recordRef = ?1 AND collectionRef = ?2 AND address = '' AND channel = ?3 AND collapse = ?4 AND collapse != ''
      AND state = 'sent' AND notification != ?5 AND rowid > ?6 AND due <= ?7 AND sentAt >= ?8 LIMIT 1";

/// Reads facts in one snapshot; what several deliveries have in common is read once.
pub struct Reader<'a, 'c> {
    tx: &'a ReadTx<'c>,
    catalog: Arc<Catalog>,
    default_zone: &'a str,
    request: Request,
    /// By id; that of a planned one under the blank id.
    intents: HashMap<String, Known>,
    accounts: HashMap<Who, Option<Arc<Record>>>,
    profiles: HashMap<Who, Arc<Profile>>,
    devices: HashMap<Who, Vec<Arc<Device>>>,
    templates: HashMap<String, Option<Arc<Variants>>>,
    /// By collection.
    columns: RefCell<HashMap<Arc<str>, Columns>>,
}

/// All columns of a collection, and `SELECT … FROM` with them.
type Columns = (Arc<[Arc<str>]>, Arc<str>);

/// What is known of a notification.
#[derive(Clone)]
struct Known {
    intent: Intended,
    condition: Condition,
    source: Option<Arc<Record>>,
    set_off: bool,
}

impl Known {
    fn not(intent: Intended) -> Self {
        Self { intent, condition: Condition::None, source: None, set_off: false }
    }
}

/// Collection and record of an account.
type Who = (Arc<str>, Arc<str>);

impl<'a, 'c> Reader<'a, 'c> {
    /// `default_zone`: of the settings.
    pub fn new(tx: &'a ReadTx<'c>, catalog: Arc<Catalog>, default_zone: &'a str) -> Self {
        Self {
            tx,
            catalog,
            default_zone,
            request: Request { caller: Caller::system(), now: tx.now(), ..Request::default() },
            intents: HashMap::new(),
            accounts: HashMap::new(),
            profiles: HashMap::new(),
            devices: HashMap::new(),
            templates: HashMap::new(),
            columns: RefCell::default(),
        }
    }

    /// What deliveries with a blank `notification` belong to: an intent that is not stored.
    pub fn plan_for(&mut self, intent: Arc<Intent>) -> Result<()> {
        let condition = intent.unless.as_ref().map_or(Ok(Condition::None), |unless| self.condition(unless))?;
        self.intents.insert(String::new(), Known { condition, ..Known::not(Intended::There(intent)) });
        Ok(())
    }

    /// The facts of these, in their order. Those in the batch that are on their way do not count for each other's caps:
    /// whoever judges them one by one counts them ([`same_cap`]).
    pub fn read(&mut self, deliveries: &[Arc<Delivery>]) -> Result<Vec<Facts>> {
        let batch: HashSet<&str> = deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
        deliveries.iter().map(|delivery| self.of(delivery, &batch)).collect()
    }

    fn of(&mut self, delivery: &Arc<Delivery>, batch: &HashSet<&str>) -> Result<Facts> {
        let Known { intent, condition, source, set_off } = self.intent(&delivery.notification)?;
        let known = match &intent {
            Intended::There(intent) => Some(intent.clone()),
            _ => None,
        };
        let account = self.account(&delivery.recipient)?;
        let profile = self.profile(&delivery.recipient)?;
        let own = profile.zone.as_ref().and_then(|zone| zone.iana_name()).unwrap_or_default();
        let zone = known.as_ref().map_or(self.default_zone, |intent| intent.when.zone(own, self.default_zone)).into();
        let mut facts = Facts {
            delivery: delivery.clone(),
            zone,
            devices: self.devices(delivery)?,
            suppressed: None,
            siblings: Siblings::default(),
            passed: 0,
            template: None,
            superseded: self.is_superseded(delivery)?,
            intent,
            source,
            set_off,
            condition,
            account,
            profile,
        };
        if delivery.channel == Channel::Email
            && let Some(address) = facts.address()
        {
            let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            let found = self.tx.query_one(SUPPRESSION, [suppression::key(address)], read)?;
            let stops = |(reason, note): &(String, String)| suppression::stops(reason, note, &delivery.category);
            facts.suppressed = found.filter(stops).map(|(reason, _)| reason);
        }
        if let Some(intent) = known {
            let step = intent.channels.get(delivery.step);
            facts.siblings = self.siblings(delivery, step.and_then(|step| step.unless))?;
            facts.passed = self.passed(delivery, &intent, batch)?;
            facts.template = self.template(&intent)?;
        }
        Ok(facts)
    }

    fn intent(&mut self, notification: &str) -> Result<Known> {
        if let Some(known) = self.intents.get(notification) {
            return Ok(known.clone());
        }
        let found = match self.stored(collections::NOTIFICATIONS, notification)? {
            Some(row) => self.parsed(&row)?,
            None => Known::not(Intended::Gone),
        };
        self.intents.insert(notification.to_owned(), found.clone());
        Ok(found)
    }

    fn parsed(&self, row: &Row) -> Result<Known> {
        if row.text("state") == Some("cancelled") {
            return Ok(Known::not(Intended::Cancelled));
        }
        let created = row.text("created").and_then(moment::parse).unwrap_or_default();
        let intent = match Intent::from_row(row, created) {
            Ok(intent) => intent,
            Err(error) => return Ok(Known::not(Intended::Unreadable(error.to_string()))),
        };
        let unless = match &intent.unless {
            Some(unless) => Some(unless.clone()),
            None => self.unless_of_schedule(row)?,
        };
        let condition = unless.map_or(Ok(Condition::None), |unless| self.condition(&unless))?;
        let set_off = row.text("sourceRecord").is_some_and(|record| !record.is_empty());
        Ok(Known { intent: Intended::There(Arc::new(intent)), condition, source: self.source(row)?, set_off })
    }

    fn source(&self, row: &Row) -> Result<Option<Arc<Record>>> {
        let (Some(collection), Some(record)) = (row.text("sourceCollection"), row.text("sourceRecord")) else {
            return Ok(None);
        };
        match self.catalog.find(collection).filter(|_| !record.is_empty()).cloned() {
            Some(collection) => Ok(self.row(&collection, record)?.map(|row| Arc::new(Record { collection, row }))),
            None => Ok(None),
        }
    }

    /// The cancel condition of the schedule that a change set off, on the record that changed.
    fn unless_of_schedule(&self, row: &Row) -> Result<Option<Unless>> {
        let text = |column| row.text(column).unwrap_or_default();
        let (schedule, collection, record) = (text("schedule"), text("sourceCollection"), text("sourceRecord"));
        if schedule.is_empty() || collection.is_empty() || record.is_empty() {
            return Ok(None);
        }
        let Some(schedule) = self.stored(collections::SCHEDULES, schedule)? else { return Ok(None) };
        let filter = schedule.text("unless").unwrap_or_default();
        let (collection, record) = (collection.to_owned(), record.to_owned());
        Ok((!filter.is_empty()).then(|| Unless { collection, record, filter: filter.to_owned() }))
    }

    /// Judged with all rights, on the record as it is now. Fails where a later try may succeed.
    fn condition(&self, unless: &Unless) -> Result<Condition> {
        match self.try_condition(unless) {
            Err(error) if error.kind == Kind::Invalid => {
                Ok(Condition::Unjudged(format!("Its cancel condition cannot be judged: {}", error.message)))
            }
            judged => judged,
        }
    }

    fn try_condition(&self, unless: &Unless) -> Result<Condition> {
        let Some(collection) = self.catalog.find(&unless.collection).cloned() else { return Ok(Condition::RecordGone) };
        let Some(row) = self.row(&collection, &unless.record)? else { return Ok(Condition::RecordGone) };
        let verdict = |holds| if holds { Condition::Holds } else { Condition::HoldsNot };
        match rules::judge(&unless.filter, &self.catalog, &collection, &row, &self.request) {
            rules::Verdict::Match => return Ok(Condition::Holds),
            rules::Verdict::NoMatch => return Ok(Condition::HoldsNot),
            rules::Verdict::NeedsSql => {}
        }
        let mut query = Query::new(&self.catalog, &collection, &self.request);
        query.and_id(&unless.record);
        query.and_filter(&unless.filter)?;
        let sql = query.select(&[], Some(1), 0);
        Ok(verdict(self.tx.query_one(&sql.text, params_from_iter(&sql.params), |_| Ok(()))?.is_some()))
    }

    fn account(&mut self, recipient: &Recipient) -> Result<Option<Arc<Record>>> {
        let Recipient::Account { collection, record } = recipient else { return Ok(None) };
        let who = (collection.clone(), record.clone());
        if let Some(known) = self.accounts.get(&who) {
            return Ok(known.clone());
        }
        let found = match self.catalog.by_id(collection).filter(|found| found.is_auth()).cloned() {
            Some(found) => self.row(&found, record)?.map(|row| Arc::new(Record { collection: found, row })),
            None => None,
        };
        self.accounts.insert(who, found.clone());
        Ok(found)
    }

    fn profile(&mut self, recipient: &Recipient) -> Result<Arc<Profile>> {
        let Recipient::Account { collection, record } = recipient else { return Ok(Arc::default()) };
        let who = (collection.clone(), record.clone());
        if let Some(known) = self.profiles.get(&who) {
            return Ok(known.clone());
        }
        let condition = "WHERE collectionRef = ?1 AND recordRef = ?2";
        let found = match self.catalog.by_name(collections::PREFERENCES).cloned() {
            Some(preferences) => self.select(&preferences, condition, [&**collection, &**record])?,
            None => None,
        };
        let profile = Arc::new(found.map(|row| Profile::of(&row)).unwrap_or_default());
        self.profiles.insert(who, profile.clone());
        Ok(profile)
    }

    fn devices(&mut self, delivery: &Delivery) -> Result<Vec<Arc<Device>>> {
        let takes: fn(&str) -> bool = match delivery.channel {
            Channel::Push => |kind| kind != "webhook",
            Channel::Webhook => |kind| kind == "webhook",
            Channel::Inbox | Channel::Email => return Ok(Vec::new()),
        };
        let Recipient::Account { collection, record } = &delivery.recipient else { return Ok(Vec::new()) };
        let who = (collection.clone(), record.clone());
        if !self.devices.contains_key(&who) {
            let found = self.tx.query_all(DEVICES, (&**record, &**collection, MAX_DEVICES as i64), |row| {
                let secrets = scalar::raw_text(row.get_ref(3)?).into_owned();
                let secrets = serde_json::from_str(&secrets).unwrap_or_else(|_| Map::new());
                Ok(Arc::new(Device { id: row.get(0)?, kind: row.get(1)?, token: row.get(2)?, secrets }))
            })?;
            self.devices.insert(who.clone(), found);
        }
        let all = self.devices.get(&who).map(Vec::as_slice).unwrap_or_default();
        Ok(all.iter().filter(|device| takes(&device.kind)).cloned().collect())
    }

    fn siblings(&self, delivery: &Delivery, unless: Option<Already>) -> Result<Siblings> {
        let mut siblings = Siblings::default();
        if unless.is_none() || delivery.notification.is_empty() {
            return Ok(siblings);
        }
        let (collection, record, address) = delivery.recipient.columns();
        let asked = (&delivery.notification, collection, record, address, &delivery.id);
        let others = self.tx.query_all(SIBLINGS, asked, |row| {
            let there = |index| Ok::<_, rusqlite::Error>(!scalar::raw_text(row.get_ref(index)?).is_empty());
            let sent = row.get::<_, String>(1)? == "sent" || there(2)?;
            Ok((sent, there(3)? || there(4)? || there(5)?))
        })?;
        for (sent, seen) in others {
            siblings.sent |= sent;
            siblings.seen |= seen;
        }
        Ok(siblings)
    }

    fn passed(&self, delivery: &Delivery, intent: &Intent, batch: &HashSet<&str>) -> Result<u32> {
        let (Some(cap), Recipient::Account { collection, record }) = (intent.cap, &delivery.recipient) else {
            return Ok(0);
        };
        let window = i64::try_from(cap.window.as_millis()).unwrap_or(i64::MAX);
        let since = Timestamp(self.tx.now().millis().saturating_sub(window)).to_string();
        let (channel, limit) = (delivery.channel.as_str(), i64::from(cap.count));
        let without = usize::from(delivery.category.is_empty());
        let asked = (&**record, &**collection, channel, &delivery.category, since, limit);
        let sent = self.tx.query_all(PASSED[without], asked, |_| Ok(()))?.len();
        let asked = (&**record, &**collection, channel, &delivery.category, limit + 1);
        let sending = self.tx.query_all(PASSING[without], asked, |row| row.get::<_, String>(0))?;
        let others = sending.iter().filter(|id| !batch.contains(id.as_str())).count();
        Ok(u32::try_from(sent.saturating_add(others)).unwrap_or(u32::MAX))
    }

    fn is_superseded(&self, delivery: &Delivery) -> Result<bool> {
        let Recipient::Account { collection, record } = &delivery.recipient else { return Ok(false) };
        if delivery.collapse.is_empty() || delivery.id.is_empty() {
            return Ok(false);
        }
        let now = self.tx.now().to_string();
        let created = delivery.created.to_string();
        for sql in [NEWER_WAITING, NEWER_SENT] {
            let mut asked: Vec<&dyn rusqlite::ToSql> = vec![record, collection];
            let channel = delivery.channel.as_str();
            asked.extend([&channel as &dyn rusqlite::ToSql, &delivery.collapse, &delivery.notification]);
            asked.extend([&delivery.rowid as &dyn rusqlite::ToSql, &now]);
            if sql == NEWER_SENT {
                asked.push(&created);
            }
            if self.tx.query_one(sql, asked.as_slice(), |_| Ok(()))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn template(&mut self, intent: &Intent) -> Result<Option<Arc<Variants>>> {
        if let Some(texts) = intent.texts() {
            return Ok(Some(Arc::new(Variants::inline(texts))));
        }
        if let Some(known) = self.templates.get(&intent.template) {
            return Ok(known.clone());
        }
        let found = Variants::load(self.tx, &intent.template)?.map(Arc::new);
        self.templates.insert(intent.template.clone(), found.clone());
        Ok(found)
    }

    /// A row of a collection of the house.
    fn stored(&self, name: &str, id: &str) -> Result<Option<Row>> {
        match self.catalog.by_name(name).cloned() {
            Some(collection) => self.row(&collection, id),
            None => Ok(None),
        }
    }

    fn row(&self, collection: &Collection, id: &str) -> Result<Option<Row>> {
        self.select(collection, "WHERE `id` = ?1", [id])
    }

    fn columns(&self, collection: &Collection) -> Columns {
        let mut known = self.columns.borrow_mut();
        let make = || -> Columns {
            let names: Vec<String> = collection.fields.iter().map(|field| quote_ident(&field.name)).collect();
            let select = format!("SELECT {} FROM {}", names.join(", "), quote_ident(&collection.name));
            (collection.fields.iter().map(|field| Arc::from(field.name.as_str())).collect(), select.into())
        };
        known.entry(collection.id.clone()).or_insert_with(make).clone()
    }

    /// All columns of a collection's row.
    fn select<const N: usize>(
        &self,
        collection: &Collection,
        condition: &str,
        values: [&str; N],
    ) -> Result<Option<Row>> {
        let (columns, select) = self.columns(collection);
        let sql = format!("{select} {condition} LIMIT 1");
        self.tx.query_one(&sql, params_from_iter(values), |row| Row::read(&columns, row))
    }
}

/// What counts together under a cap: those of a batch that pass count for each other.
pub fn same_cap(delivery: &Delivery) -> (Recipient, Channel, String) {
    (delivery.recipient.clone(), delivery.channel, delivery.category.clone())
}
