//! The collections of notifications (`src/notify/`), which every directory has: a new one from its beginning, one that
//! was there before since its first start with a version that knows them.
//!
//! They are system collections in PocketBase's layout, but Conch's own: owners may change their rules
//! ([`Collection::rules_may_change`]). The names are fixed, so code asks by name; an id may have a number appended where
//! a renamed collection of the owner's has kept it.

use std::{sync::Arc, time::Duration};

use super::system::{OWNER, dates, index, required};
use crate::{
    db::{ReadTx, WriteTx},
    error::{Error, Result},
    schema::{
        Catalog, CheckRule, Collection, CollectionType, Field, FieldKind, LogPolicy,
        draft::scaffold,
        edit::Edit,
        field::{Bool, Date, JsonField, Number, Relation, Select, Text},
        index::Index,
    },
};

/// All of them, in order of creation.
pub const NAMES: [&str; 10] = [
    "_templates",
    "_devices",
    "_topics",
    "_subscriptions",
    "_preferences",
    "_schedules",
    "_notifications",
    "_deliveries",
    "_inbox",
    "_suppressions",
];

/// Those whose rows belong to an account, and go with it. What was sent stays until retention takes it.
pub const OF_ACCOUNTS: [&str; 4] = ["_devices", "_subscriptions", "_preferences", "_inbox"];

/// The longest that an item of an inbox can be put off.
pub const LONGEST_SNOOZE: Duration = Duration::from_secs(366 * 86_400);

/// Deliveries on their way change often, and nobody but the engine asks: the log keeps how they end, and what becomes
/// of them then.
const DELIVERIES_LOGGED: LogPolicy =
    LogPolicy::Settled { column: "state", passing: &["scheduled", "batched", "sending"] };

/// Characters of a title, of a text and of an HTML text.
const TITLE: i64 = 1024;
const BODY: i64 = 100_000;
const HTML: i64 = 500_000;
/// Characters of a push endpoint or a registration token.
const TOKEN: i64 = 4096;

const CLOCK_TIME: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";
const LOWER_CASE: &str = r"^[^A-Z\s]+$";

const SIGNED_IN_AND_OPEN: &str = "@request.auth.id != '' && open = true";
/// What an item says is not its reader's to change.
const INBOX_FIXED: [&str; 7] = ["collectionRef", "recordRef", "notification", "delivery", "category", "title", "body"];

/// What the engine has not made all deliveries of.
const OPEN: &str = "`state` IN ('', 'new', 'expanding')";

/// Where a directory remembers that it has them, and of which edition their indexes are.
const MARK: &str = "collections_of_notifications";
const EDITION: i64 = 3;

/// Indexes of earlier editions.
const GONE: [&str; 1] = ["idx__inbox_unread"];

/// True when the directory has had them made as they are today.
pub(crate) fn are_there(tx: &ReadTx<'_>) -> Result<bool> {
    let sql = "SELECT CAST(value AS INTEGER) FROM __conch_meta WHERE key = ?1";
    let edition: Option<i64> = tx.query_one(sql, [MARK], |row| row.get(0))?;
    Ok(edition.is_some_and(|edition| edition >= EDITION))
}

/// Makes those that are missing, and brings the indexes of the others up to date. A collection of another origin is in
/// the way: it is named, and nothing happens.
pub(super) fn create(tx: &mut WriteTx<'_>, rules: &dyn CheckRule, catalog: &Catalog) -> Result<()> {
    let mut edit = Edit::begin(tx, rules, catalog)?;
    for name in NAMES {
        let topics = edit.catalog.by_name("_topics").map(|topics| topics.id.to_string()).unwrap_or_default();
        let wanted = collection(name, topics);
        if let Some(found) = edit.catalog.by_name(name).filter(|found| is_ours(found, &wanted)).cloned() {
            renew_indexes(&mut edit, &found, &wanted)?;
            continue;
        }
        if let Some(taken) = taken(edit.tx, &edit.catalog, &wanted)? {
            return Err(in_the_way(&taken));
        }
        super::insert(&mut edit, wanted)?;
    }
    let sql =
        "INSERT INTO __conch_meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    tx.execute(sql, (MARK, EDITION.to_string()))?;
    Ok(())
}

/// Those of today, and what the owner has added.
fn renew_indexes(edit: &mut Edit<'_, '_>, found: &Arc<Collection>, wanted: &Collection) -> Result<()> {
    let name = |text: &str| Index::parse(text).map(|index| index.name.to_lowercase()).unwrap_or_default();
    let todays: Vec<_> = wanted.indexes.iter().map(|text| name(text)).collect();
    let is_added = |text: &&String| !todays.contains(&name(text)) && !GONE.contains(&name(text).as_str());
    let indexes: Vec<_> = wanted.indexes.iter().chain(found.indexes.iter().filter(is_added)).cloned().collect();
    if indexes != found.indexes {
        edit.replace(found, Arc::new(Collection { indexes, ..Collection::clone(found) }))?;
    }
    Ok(())
}

/// What of a system collection enters the change log.
pub(in crate::schema) fn log_policy(name: &str) -> LogPolicy {
    if name == "_deliveries" { DELIVERIES_LOGGED } else { LogPolicy::All }
}

/// Why a directory that has `name` already cannot be taken over.
pub(crate) fn in_the_way(name: &str) -> Error {
    Error::invalid(format!(
        "The data directory has a collection, table, view or index called \"{name}\", a name that Conch needs for its \
         notifications. Rename it first, with the program that made it, and try again."
    ))
}

fn is_ours(found: &Collection, wanted: &Collection) -> bool {
    let same = |field: &Field| {
        found.field(&field.name).is_some_and(|it| it.kind.as_type().name() == field.kind.as_type().name())
    };
    found.system && found.kind() == CollectionType::Base && wanted.fields.iter().all(same)
}

/// What has the name of the collection, or of one of its indexes, in any case.
fn taken(tx: &ReadTx<'_>, catalog: &Catalog, wanted: &Collection) -> Result<Option<String>> {
    if let Some(other) = catalog.all().iter().find(|other| other.name.eq_ignore_ascii_case(&wanted.name)) {
        return Ok(Some(other.name.to_string()));
    }
    let indexes = wanted.indexes.iter().filter_map(|text| Index::parse(text));
    for name in indexes.map(|index| index.name).chain([wanted.name.to_string()]) {
        let sql = "SELECT name FROM sqlite_master WHERE lower(name) = lower(?1)";
        if let Some(found) = tx.query_one(sql, [name], |row| row.get(0))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// One of [`NAMES`]; `topics` is the id of `_topics`.
fn collection(name: &'static str, topics: String) -> Collection {
    match name {
        "_templates" => templates(),
        "_devices" => devices(),
        "_topics" => self::topics(),
        "_subscriptions" => subscriptions(topics),
        "_preferences" => preferences(),
        "_schedules" => schedules(),
        "_notifications" => notifications(),
        "_deliveries" => deliveries(),
        "_inbox" => inbox(),
        _ => suppressions(),
    }
}

fn templates() -> Collection {
    let own = [required("key"), text("locale"), text("category")];
    let said = [long("title", TITLE), long("body", BODY), long("html", HTML), text("link"), json("data")];
    let mut collection = locked("_templates", own.into_iter().chain(said));
    collection.indexes = vec![index("UNIQUE ", "idx__templates_key", "_templates", "`key`, `locale`")];
    collection
}

fn devices() -> Collection {
    let token = Field { hidden: true, required: true, ..long("token", TOKEN) };
    let secrets = Field { hidden: true, ..json("secrets") };
    let kind = Field { required: true, ..select("kind", &["webpush", "fcm", "webhook"]) };
    let own = [kind, token, secrets, text("label"), text("platform"), date("lastSeen")];
    let mut collection = locked("_devices", whose(true).into_iter().chain(own));
    let owner = || Some(OWNER.to_owned());
    (collection.list_rule, collection.view_rule, collection.delete_rule) = (owner(), owner(), owner());
    collection.indexes = vec![
        index("UNIQUE ", "idx__devices_token", "_devices", "`kind`, `token`"),
        index("", "idx__devices_owner", "_devices", "`recordRef`, `collectionRef`"),
    ];
    collection
}

fn topics() -> Collection {
    let mut collection = locked("_topics", [required("key"), text("name"), flag("open")]);
    let open = || Some(SIGNED_IN_AND_OPEN.to_owned());
    (collection.list_rule, collection.view_rule) = (open(), open());
    collection.indexes = vec![index("UNIQUE ", "idx__topics_key", "_topics", "`key`")];
    collection
}

fn subscriptions(topics: String) -> Collection {
    let relation = Relation { collection_id: topics, cascade_delete: true, max_select: 1, ..Relation::default() };
    let topic = Field { required: true, ..system("topic", FieldKind::Relation(relation)) };
    let mut collection = locked("_subscriptions", [topic].into_iter().chain(whose(true)));
    let owner = || Some(OWNER.to_owned());
    (collection.list_rule, collection.view_rule, collection.delete_rule) = (owner(), owner(), owner());
    collection.create_rule = Some(format!("{OWNER} && topic.open = true"));
    collection.indexes = vec![
        index("UNIQUE ", "idx__subscriptions_topic", "_subscriptions", "`topic`, `collectionRef`, `recordRef`"),
        index("", "idx__subscriptions_owner", "_subscriptions", "`recordRef`, `collectionRef`"),
    ];
    collection
}

fn preferences() -> Collection {
    let quiet = [clock_time("quietFrom"), clock_time("quietTo"), select("quietMode", &["defer", "skip"])];
    let own = [text("zone"), text("locale")].into_iter().chain(quiet).chain([json("channels")]);
    let mut collection = locked("_preferences", whose(true).into_iter().chain(own));
    let owner = || Some(OWNER.to_owned());
    (collection.list_rule, collection.view_rule) = (owner(), owner());
    collection.indexes =
        vec![index("UNIQUE ", "idx__preferences_owner", "_preferences", "`collectionRef`, `recordRef`")];
    collection
}

fn schedules() -> Collection {
    let when = [
        required("name"),
        flag("active"),
        Field { required: true, ..select("kind", &["cron", "change"]) },
        text("cron"),
        text("zone"),
        select("missed", &["skip", "once", "all"]),
    ];
    let change = [
        text("collection"),
        select("action", &["create", "update", "delete"]),
        text("condition"),
        text("delay"),
        text("unless"),
    ];
    let state = [json("notification"), date("next"), date("last"), whole("runs"), text("error")];
    let mut collection = locked("_schedules", when.into_iter().chain(change).chain(state));
    collection.indexes = vec![partial("", "idx__schedules_next", "_schedules", "`next`", "`active` = TRUE")];
    collection
}

/// Those about a record that may still be called off.
const OPEN_SOURCE: &str = "`sourceRecord` != '' AND `state` IN ('', 'new', 'expanding', 'active')";

fn notifications() -> Collection {
    let said = [
        text("key"),
        text("template"),
        long("title", TITLE),
        long("body", BODY),
        long("html", HTML),
        text("link"),
        text("category"),
        select("priority", &["low", "normal", "critical"]),
    ];
    let asked = [
        json("to"),
        json("channels"),
        json("when"),
        json("data"),
        text("locale"),
        text("collapse"),
        json("digest"),
        json("cap"),
        text("expires"),
        select("quiet", &["defer", "skip", "ignore"]),
        json("unless"),
        flag("track"),
    ];
    let states = ["new", "expanding", "active", "done", "cancelled", "failed"];
    let work = [
        select("state", &states),
        text("reason"),
        Field { hidden: true, ..json("cursor") },
        whole("recipients"),
        text("schedule"),
        text("sourceCollection"),
        text("sourceRecord"),
    ];
    let mut collection = locked("_notifications", said.into_iter().chain(asked).chain(work));
    collection.indexes = vec![
        partial("UNIQUE ", "idx__notifications_key", "_notifications", "`key`", "`key` != ''"),
        index("", "idx__notifications_state", "_notifications", "`state`, `updated`"),
        partial("", "idx__notifications_source", "_notifications", "`sourceRecord`, `sourceCollection`", OPEN_SOURCE),
        partial("", "idx__notifications_open", "_notifications", "`priority`, `updated`", OPEN),
        partial("", "idx__notifications_schedule", "_notifications", "`schedule`", "`schedule` != ''"),
    ];
    collection
}

fn deliveries() -> Collection {
    let states = ["scheduled", "batched", "sending", "sent", "failed", "cancelled", "suppressed", "skipped", "expired"];
    let what = [
        text("address"),
        Field { required: true, ..select("channel", &["inbox", "email", "push", "webhook"]) },
        text("category"),
        whole("priority"),
        Field { required: true, ..select("state", &states) },
        text("reason"),
        date("due"),
        text("wall"),
        whole("attempts"),
        Field { hidden: true, ..date("lease") },
        whole("step"),
    ];
    let together = [text("digest"), text("digestOf"), text("collapse"), json("detail"), json("trail")];
    let receipts = ["sentAt", "deliveredAt", "openedAt", "clickedAt"].map(date);
    let own = [required("notification")].into_iter().chain(whose(false)).chain(what).chain(together).chain(receipts);
    let mut collection = locked("_deliveries", own);
    let of = |unique, name, columns| index(unique, name, "_deliveries", columns);
    let some = |unique, name, columns, condition| partial(unique, name, "_deliveries", columns, condition);
    let once = "`notification`, `collectionRef`, `recordRef`, `address`, `channel`, `step`";
    let same = "`collapse`, `recordRef`, `collectionRef`, `address`, `channel`, `state`";
    let counted = "`recordRef`, `collectionRef`, `channel`, `category`, `state`, `sentAt`";
    let batch = "`collectionRef`, `recordRef`, `address`, `channel`, `digest`";
    collection.indexes = vec![
        some("", "idx__deliveries_due", "`channel`, `priority`, `due`", "`state` = 'scheduled'"),
        some("", "idx__deliveries_failed", "`updated`", "`state` = 'failed'"),
        some("", "idx__deliveries_lease", "`lease`", "`state` = 'sending'"),
        of("UNIQUE ", "idx__deliveries_once", once),
        // Without the state: each move from one to another would write it twice, at a place of its own for each recipient.
        of("", "idx__deliveries_owner", "`recordRef`, `collectionRef`, `channel`"),
        // Counts all: neighbours in it are those that were made together, which mostly go out together.
        of("", "idx__deliveries_state", "`channel`, `state`"),
        some("", "idx__deliveries_counted", counted, "`state` IN ('sent', 'sending') AND `category` != ''"),
        some("", "idx__deliveries_address", "`address`, `state`, `channel`", "`address` != ''"),
        some("", "idx__deliveries_open", "`notification`", "`state` IN ('scheduled', 'batched', 'sending')"),
        some("", "idx__deliveries_collapse", same, "`collapse` != ''"),
        some("", "idx__deliveries_leader", "`digestOf`", "`digestOf` != ''"),
        some("UNIQUE ", "idx__deliveries_digest", batch, "`state` = 'scheduled' AND `digest` != ''"),
    ];
    collection
}

fn inbox() -> Collection {
    let own = [
        text("notification"),
        text("delivery"),
        text("category"),
        long("title", TITLE),
        long("body", BODY),
        text("link"),
        json("data"),
        date("read"),
        date("archived"),
        date("snoozed"),
    ];
    let mut collection = locked("_inbox", whose(true).into_iter().chain(own));
    let owner = || Some(OWNER.to_owned());
    (collection.list_rule, collection.view_rule, collection.delete_rule) = (owner(), owner(), owner());
    collection.update_rule = Some(inbox_update_rule());
    let some = |unique, name, columns, condition| partial(unique, name, "_inbox", columns, condition);
    collection.indexes = vec![
        // What is unread is counted in it alone: an index of its own would be one more page for each item.
        index(
            "",
            "idx__inbox_owner",
            "_inbox",
            "`recordRef`, `collectionRef`, `created`, `read`, `archived`, `snoozed`",
        ),
        some("", "idx__inbox_snoozed", "`snoozed`", "`snoozed` != ''"),
        some("UNIQUE ", "idx__inbox_delivery", "`delivery`", "`delivery` != ''"),
    ];
    collection
}

/// Whoever sends the whole item back with a date set is not refused; JSON cannot be compared, so it may not be sent.
fn inbox_update_rule() -> String {
    let fixed = INBOX_FIXED.map(|name| format!(" && @request.body.{name}:changed = false")).concat();
    format!("{OWNER}{fixed} && @request.body.link:changed = false && @request.body.data:isset = false")
}

fn suppressions() -> Collection {
    let pattern = Text { pattern: LOWER_CASE.to_owned(), ..Text::default() };
    let address = Field { required: true, ..system("address", FieldKind::Text(pattern)) };
    let reason = select("reason", &["bounce", "complaint", "unsubscribed", "manual"]);
    let mut collection = locked("_suppressions", [address, reason, text("note")]);
    collection.indexes = vec![index("UNIQUE ", "idx__suppressions_address", "_suppressions", "`address`")];
    collection
}

/// For superusers only, until rules say otherwise.
fn locked(name: &str, own: impl IntoIterator<Item = Field>) -> Collection {
    let mut collection = Collection { name: name.into(), system: true, ..scaffold(CollectionType::Base) };
    collection.fields.extend(own);
    collection.fields.extend(dates(true));
    collection
}

/// The account that a row belongs to.
fn whose(must: bool) -> [Field; 2] {
    ["collectionRef", "recordRef"].map(|name| Field { required: must, ..text(name) })
}

fn system(name: &str, kind: FieldKind) -> Field {
    Field { system: true, ..Field::new(name, kind) }
}

fn text(name: &str) -> Field {
    system(name, FieldKind::Text(Text::default()))
}

fn long(name: &str, max: i64) -> Field {
    system(name, FieldKind::Text(Text { max, ..Text::default() }))
}

fn clock_time(name: &str) -> Field {
    system(name, FieldKind::Text(Text { pattern: CLOCK_TIME.to_owned(), ..Text::default() }))
}

fn json(name: &str) -> Field {
    system(name, FieldKind::Json(JsonField::default()))
}

fn flag(name: &str) -> Field {
    system(name, FieldKind::Bool(Bool::default()))
}

fn date(name: &str) -> Field {
    system(name, FieldKind::Date(Date::default()))
}

fn whole(name: &str) -> Field {
    system(name, FieldKind::Number(Number { only_int: true, ..Number::default() }))
}

fn select(name: &str, values: &[&str]) -> Field {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    system(name, FieldKind::Select(Select { values, max_select: 1 }))
}

fn partial(unique: &str, name: &str, table: &str, columns: &str, condition: &str) -> String {
    format!("{} WHERE {condition}", index(unique, name, table, columns))
}
