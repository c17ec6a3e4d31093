//! Reading an intent: every member checked and bounded, every failure told under its member's name.

use std::{collections::HashSet, time::Duration};

use serde_json::{Map, Value as Json};

use super::{Already, Cap, Digest, Expiry, Intent, MAX_DATA, MAX_ENTRIES, MAX_KEY, MAX_STEPS, Quiet, Step, To, Unless};
use crate::{
    address,
    clock::Timestamp,
    db::{Row, Value},
    error::{Issue, Issues, Leaf, Result},
    notify::{
        Channel, Priority,
        when::{self, When, span},
    },
};

/// Members of a body that are texts of their own in the row.
const TEXTS: [&str; 12] = [
    "key", "template", "title", "body", "html", "link", "category", "priority", "collapse", "expires", "quiet",
    "locale",
];
/// Members that are JSON in the row.
const JSONS: [&str; 7] = ["to", "channels", "when", "data", "digest", "cap", "unless"];

/// Members that are true or false.
const FLAGS: [&str; 1] = ["track"];

/// All of them.
pub(super) const COLUMNS: [&str; TEXTS.len() + JSONS.len() + FLAGS.len()] = {
    let mut columns = [""; TEXTS.len() + JSONS.len() + FLAGS.len()];
    let mut index = 0;
    while index < columns.len() {
        columns[index] = match index.checked_sub(TEXTS.len()) {
            None => TEXTS[index],
            Some(other) if other < JSONS.len() => JSONS[other],
            Some(other) => FLAGS[other - JSONS.len()],
        };
        index += 1;
    }
    columns
};

/// The texts of a notification, in characters. They are templates.
const MAX_TITLE: usize = 1 << 10;
const MAX_BODY: usize = 100_000;
const MAX_HTML: usize = 500_000;
const MAX_LINK: usize = 2_048;
/// A filter, as everywhere.
const MAX_FILTER: usize = 3_500;
/// The longest delay, expiry or window.
const MAX_SPAN: Duration = Duration::from_secs(366 * 86_400);
/// An instant may have passed when it is asked for, but not by so much: then somebody meant another.
const LATE: Duration = Duration::from_secs(86_400);
/// A cap beyond this caps nothing.
const MAX_COUNT: u64 = 100_000;
/// Failed entries of one list that are told.
const MAX_TOLD: usize = 20;

type Parsed<T> = Result<T, Issue>;

/// The body that a row of `_notifications` stands for: blank texts and nulls are not there.
pub(super) fn body_of(row: &Row) -> Map<String, Json> {
    let mut body = Map::new();
    for name in TEXTS {
        if let Some(text) = row.text(name).filter(|text| !text.is_empty()) {
            body.insert(name.to_owned(), text.into());
        }
    }
    for name in JSONS {
        let Some(Value::Text(text)) = row.get(name) else { continue };
        // What is no JSON is a text, and refused as one.
        let value = serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone()));
        if !value.is_null() && value != Json::String(String::new()) {
            body.insert(name.to_owned(), value);
        }
    }
    for name in FLAGS {
        if row.get(name) == Some(&Value::Integer(1)) {
            body.insert(name.to_owned(), true.into());
        }
    }
    body
}

/// `scheduled`: entries of `to` may name fields of a changed record.
pub(super) fn read(body: &Map<String, Json>, now: Timestamp, scheduled: bool) -> Result<Intent> {
    let mut form = Form { body, issues: Issues::default() };
    form.refuse_unknown();
    let intent = Intent {
        key: form.text("key", MAX_KEY),
        to: form.read("to", Vec::new(), |json| recipients(json, scheduled)),
        template: form.text("template", MAX_KEY),
        title: form.text("title", MAX_TITLE),
        body: form.text("body", MAX_BODY),
        html: form.text("html", MAX_HTML),
        link: form.text("link", MAX_LINK),
        data: form.read("data", Map::new(), data),
        category: form.text("category", MAX_KEY).trim().to_owned(),
        priority: form.choice("priority", Priority::parse, &Priority::ALL.map(Priority::as_str)).unwrap_or_default(),
        channels: form.read("channels", Vec::new(), steps),
        when: form.read("when", When::Now, |json| moment(json, now)),
        expires: form.read("expires", None, |json| expiry(json).map(Some)),
        quiet: form.choice("quiet", Quiet::parse, &Quiet::ALL.map(Quiet::as_str)),
        collapse: form.text("collapse", MAX_KEY),
        digest: form.read("digest", None, |json| digest(json).map(Some)),
        cap: form.read("cap", None, |json| cap(json).map(Some)),
        unless: form.read("unless", None, |json| unless(json).map(Some)),
        locale: form.text("locale", 35),
        track: form.read("track", false, |json| json.as_bool().ok_or_else(|| invalid("Must be true or false.").into())),
    };
    form.finish(intent)
}

/// A body on its way to an intent.
struct Form<'b> {
    body: &'b Map<String, Json>,
    issues: Issues,
}

impl Form<'_> {
    fn refuse_unknown(&mut self) {
        let known = |name: &str| TEXTS.contains(&name) || JSONS.contains(&name) || FLAGS.contains(&name);
        for name in self.body.keys().filter(|name| !known(name)).take(MAX_TOLD) {
            self.issues.insert(name, unknown());
        }
    }

    fn member(&self, name: &str) -> Option<&Json> {
        self.body.get(name).filter(|value| !value.is_null())
    }

    /// A text of at most `max` characters; blank when it is not there.
    fn text(&mut self, name: &str, max: usize) -> String {
        self.read(name, String::new(), |json| text(json, max).map(str::to_owned))
    }

    fn read<T>(&mut self, name: &str, absent: T, read: impl FnOnce(&Json) -> Parsed<T>) -> T {
        match self.member(name).map(read) {
            None => absent,
            Some(Ok(value)) => value,
            Some(Err(issue)) => {
                self.issues.insert(name, issue);
                absent
            }
        }
    }

    /// One of few words; blank is none.
    fn choice<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Option<T>, words: &[&str]) -> Option<T> {
        self.read(name, None, |json| match text(json, MAX_KEY)? {
            "" => Ok(None),
            word => parse(word).map(Some).ok_or_else(|| one_of(words)),
        })
    }

    /// What one member alone cannot tell.
    fn finish(mut self, mut intent: Intent) -> Result<Intent> {
        if intent.to.is_empty() && !self.issues.contains("to") {
            self.issues.insert("to", Leaf::required());
        }
        let inline = [("title", &intent.title), ("body", &intent.body), ("html", &intent.html)];
        if intent.template.is_empty() {
            if inline.iter().all(|(name, text)| text.is_empty() && !self.issues.contains(name)) {
                let message = "Needs a template, or a title or body.";
                self.issues.insert("template", Leaf::new("validation_required", message));
            }
        } else if let Some((name, _)) = inline.iter().find(|(_, text)| !text.is_empty()) {
            self.issues.insert(name, invalid("A notification has a template or texts of its own, not both."));
        }
        if intent.channels.is_empty() {
            let only_addresses = intent.to.iter().all(|to| matches!(to, To::Address(_)));
            let channel = if only_addresses { Channel::Email } else { Channel::Inbox };
            intent.channels = vec![Step { channel, after: Duration::ZERO, unless: None }];
        }
        self.issues.into_result("The notification is not valid.")?;
        Ok(intent)
    }
}

fn recipients(json: &Json, scheduled: bool) -> Parsed<Vec<To>> {
    // One recipient needs no list.
    let entries = match json {
        Json::Array(entries) => entries.as_slice(),
        single => std::slice::from_ref(single),
    };
    if entries.len() > MAX_ENTRIES {
        let message = format!("{MAX_ENTRIES} entries at most: use a topic or a filter.");
        return Err(Leaf::new("validation_too_many_values", message).param("maxSelect", MAX_ENTRIES).into());
    }
    list(entries, |entry| recipient(entry, scheduled))
}

fn recipient(json: &Json, scheduled: bool) -> Parsed<To> {
    let object = match json {
        Json::String(text) => return named(text),
        Json::Object(object) => object,
        _ => return Err(invalid("Must be a text or an object.").into()),
    };
    if scheduled && object.contains_key("field") {
        only(object, &["field"])?;
        return Ok(To::Field(required(object, "field", MAX_KEY)?));
    }
    only(object, &["collection", "filter"])?;
    let filter = optional(object, "filter", MAX_FILTER)?;
    Ok(To::Filter { collection: required(object, "collection", MAX_KEY)?, filter })
}

/// A topic, an address or an account.
fn named(entry: &str) -> Parsed<To> {
    if entry.len() > 2 * MAX_KEY {
        return Err(too_long(2 * MAX_KEY));
    }
    if let Some(key) = entry.strip_prefix("topic:").filter(|key| !key.is_empty()) {
        return Ok(To::Topic(key.to_owned()));
    }
    if address::is_email(entry) {
        return Ok(To::Address(entry.to_ascii_lowercase()));
    }
    match entry.split_once('/') {
        Some((collection, id)) if !collection.is_empty() && !id.is_empty() && !id.contains('/') => {
            Ok(To::Account { collection: collection.to_owned(), id: id.to_owned() })
        }
        _ => Err(invalid("Must be users/ID, topic:KEY, an e-mail address or a filter over a collection.").into()),
    }
}

fn data(json: &Json) -> Parsed<Map<String, Json>> {
    let Json::Object(data) = json else { return Err(invalid("Must be an object.").into()) };
    if json.to_string().len() > MAX_DATA {
        let message = format!("{MAX_DATA} bytes at most.");
        return Err(Leaf::new("validation_json_size_limit", message).param("maxSize", MAX_DATA).into());
    }
    Ok(data.clone())
}

fn steps(json: &Json) -> Parsed<Vec<Step>> {
    let Json::Array(steps) = json else { return Err(invalid("Must be a list.").into()) };
    if steps.len() > MAX_STEPS {
        let message = format!("{MAX_STEPS} steps at most.");
        return Err(Leaf::new("validation_too_many_values", message).param("maxSelect", MAX_STEPS).into());
    }
    let found = list(steps, step)?;
    let mut before = Duration::ZERO;
    let mut same = HashSet::new();
    for (index, step) in found.iter().enumerate() {
        let issue = if step.after < before {
            invalid("The steps of a chain follow each other.")
        } else if !same.insert((step.channel, step.after)) {
            invalid("The same step twice.")
        } else {
            before = step.after;
            continue;
        };
        let mut issues = Issues::default();
        issues.insert(&index.to_string(), issue);
        return Err(issues.into());
    }
    Ok(found)
}

fn step(json: &Json) -> Parsed<Step> {
    let channel = |name: &str| Channel::parse(name).ok_or_else(|| one_of(&Channel::ALL.map(Channel::as_str)));
    let object = match json {
        Json::String(name) => {
            return Ok(Step { channel: channel(name)?, after: Duration::ZERO, unless: None });
        }
        Json::Object(object) => object,
        _ => return Err(invalid("Must be the name of a channel or an object.").into()),
    };
    only(object, &["channel", "after", "unless"])?;
    let after = match object.get("after") {
        None | Some(Json::Null) => Duration::ZERO,
        Some(after) => under("after", duration(after))?,
    };
    let words = Already::ALL.map(Already::as_str);
    let unless = match optional(object, "unless", MAX_KEY)?.as_str() {
        "" => None,
        word => Some(under("unless", Already::parse(word).ok_or_else(|| one_of(&words)))?),
    };
    Ok(Step { channel: under("channel", channel(&required(object, "channel", MAX_KEY)?))?, after, unless })
}

fn moment(json: &Json, now: Timestamp) -> Parsed<When> {
    let when = When::parse(json)?;
    let place = match &when {
        When::At(at) if at.plus(LATE) < now => ("at", past("This moment is over since long.")),
        When::At(at) if now.plus(MAX_SPAN) < *at => ("at", too_far()),
        When::After(after) if *after > MAX_SPAN => ("after", too_far()),
        When::Local { date: Some(_), .. } => match when.resolve(now, "UTC").at {
            // Somewhere it is a day earlier or later.
            at if at.plus(LATE * 2) < now => ("date", past("This day is over.")),
            at if now.plus(MAX_SPAN) < at => ("date", too_far()),
            _ => return Ok(when),
        },
        _ => return Ok(when),
    };
    let mut issues = Issues::default();
    issues.insert(place.0, place.1);
    Err(issues.into())
}

fn expiry(json: &Json) -> Parsed<Expiry> {
    let text = text(json, MAX_KEY)?;
    match span::parse(text) {
        Ok(_) => duration(json).map(Expiry::After),
        Err(_) => when::instant(text)
            .map(Expiry::At)
            .map_err(|_| invalid("Must be a duration like 2h or a moment like 2026-12-01T09:00:00Z.").into()),
    }
}

fn digest(json: &Json) -> Parsed<Digest> {
    let object = object(json, &["key", "window"])?;
    let key = required(object, "key", MAX_KEY)?;
    Ok(Digest { key, window: window(object)? })
}

fn cap(json: &Json) -> Parsed<Cap> {
    let object = object(json, &["count", "window"])?;
    let count = object.get("count").and_then(Json::as_u64).filter(|count| (1..=MAX_COUNT).contains(count));
    let count = count.and_then(|count| u32::try_from(count).ok());
    let message = format!("Must be a whole number from 1 to {MAX_COUNT}.");
    let count = under("count", count.ok_or_else(|| Leaf::new("validation_invalid_value", message).into()))?;
    Ok(Cap { count, window: window(object)? })
}

fn unless(json: &Json) -> Parsed<Unless> {
    let object = object(json, &["collection", "record", "filter"])?;
    Ok(Unless {
        collection: required(object, "collection", MAX_KEY)?,
        record: required(object, "record", MAX_KEY)?,
        filter: required(object, "filter", MAX_FILTER)?,
    })
}

/// A window of at least a second.
fn window(object: &Map<String, Json>) -> Parsed<Duration> {
    let window = match object.get("window") {
        None | Some(Json::Null) => Err(Leaf::required().into()),
        Some(window) => duration(window),
    };
    let window = window.and_then(|window| match window.is_zero() {
        true => Err(invalid("Must be longer than nothing.").into()),
        false => Ok(window),
    });
    under("window", window)
}

fn duration(json: &Json) -> Parsed<Duration> {
    let span = span::parse(text(json, MAX_KEY)?)?;
    if span > MAX_SPAN { Err(too_far().into()) } else { Ok(span) }
}

fn text(json: &Json, max: usize) -> Parsed<&str> {
    let Json::String(text) = json else { return Err(invalid("Must be a text.").into()) };
    // Most are so short that nobody has to count.
    if text.len() > max && text.chars().count() > max { Err(too_long(max)) } else { Ok(text) }
}

fn object<'j>(json: &'j Json, members: &[&str]) -> Parsed<&'j Map<String, Json>> {
    let Json::Object(object) = json else { return Err(invalid("Must be an object.").into()) };
    only(object, members)?;
    Ok(object)
}

/// A member that is not meant is a spelling mistake, not to be passed over.
fn only(object: &Map<String, Json>, members: &[&str]) -> Parsed<()> {
    match object.keys().find(|key| !members.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => under(key, Err(unknown().into())),
    }
}

fn optional(object: &Map<String, Json>, name: &str, max: usize) -> Parsed<String> {
    match object.get(name) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(value) => under(name, text(value, max).map(str::to_owned)),
    }
}

fn required(object: &Map<String, Json>, name: &str, max: usize) -> Parsed<String> {
    match optional(object, name, max)? {
        text if text.is_empty() => under(name, Err(Leaf::required().into())),
        text => Ok(text),
    }
}

/// The items of a list, or what is wrong with the first few of the wrong ones, by their positions.
fn list<T>(items: &[Json], read: impl Fn(&Json) -> Parsed<T>) -> Parsed<Vec<T>> {
    let (mut found, mut issues, mut told) = (Vec::with_capacity(items.len()), Issues::default(), 0);
    for (index, item) in items.iter().enumerate() {
        match read(item) {
            Ok(item) => found.push(item),
            Err(issue) => {
                issues.insert(&index.to_string(), issue);
                told += 1;
                if told == MAX_TOLD {
                    break;
                }
            }
        }
    }
    if issues.is_empty() { Ok(found) } else { Err(issues.into()) }
}

fn under<T>(name: &str, result: Parsed<T>) -> Parsed<T> {
    result.map_err(|issue| {
        let mut issues = Issues::default();
        issues.insert(name, issue);
        issues.into()
    })
}

fn invalid(message: &'static str) -> Leaf {
    Leaf::new("validation_invalid_value", message)
}

fn past(message: &'static str) -> Leaf {
    Leaf::new("validation_in_the_past", message)
}

fn too_far() -> Leaf {
    Leaf::new("validation_invalid_value", "A year at most.")
}

fn unknown() -> Leaf {
    Leaf::new("validation_unknown_field", "There is no such member.")
}

fn one_of(words: &[&str]) -> Issue {
    Leaf::new("validation_invalid_value", format!("Must be one of {}.", words.join(", "))).into()
}

fn too_long(max: usize) -> Issue {
    let message = format!("{max} characters at most.");
    Leaf::new("validation_length_out_of_range", message).param("max", max).into()
}
