//! The intent: what somebody asked to be told to whom, read once from a body or a row of `_notifications`.
//!
//! Both are read by the same parser ([`parse`]), so what one door refuses, the other refuses with the same words. What
//! was read is written back in one form ([`Intent::columns`]), whichever of its spellings came in.

mod parse;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::{
    clock::Timestamp,
    db::{ReadTx, Row, Value},
    error::Result,
    notify::{
        Channel, Priority,
        what::{Texts, category},
        when::When,
    },
};

/// Entries of `to`.
pub const MAX_ENTRIES: usize = 10_000;
/// Steps of a chain.
pub const MAX_STEPS: usize = 8;
/// Bytes of `data` as JSON.
pub const MAX_DATA: usize = 64 << 10;
/// Bytes of keys, categories, names.
pub const MAX_KEY: usize = 255;

/// What is to be told to whom, when, through what.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Asked again under the same key, it is the same notification. May be blank.
    pub key: String,
    pub to: Vec<To>,
    /// Key of a template; blank: the texts below are the template.
    pub template: String,
    pub title: String,
    pub body: String,
    pub html: String,
    pub link: String,
    pub data: Map<String, Json>,
    /// What preferences are kept by; blank: none.
    pub category: String,
    pub priority: Priority,
    /// At least one. Unless said: the inbox, or e-mail where all of `to` are addresses.
    pub channels: Vec<Step>,
    pub when: When,
    pub expires: Option<Expiry>,
    /// `None`: as each recipient wants it.
    pub quiet: Option<Quiet>,
    /// Replaces what is pending under the same key for the same recipient and channel. May be blank.
    pub collapse: String,
    pub digest: Option<Digest>,
    pub cap: Option<Cap>,
    pub unless: Option<Unless>,
    /// Blank: that of each recipient.
    pub locale: String,
    /// Its mails tell when they are opened and which of their links are followed.
    pub track: bool,
}

/// One entry of `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// `users/ID`: an account by its collection (name or id) and its id.
    Account { collection: String, id: String },
    /// `topic:KEY`: whoever is subscribed.
    Topic(String),
    /// A bare e-mail address, in lower case.
    Address(String),
    /// The accounts of a collection that match a filter; a blank one matches all.
    Filter { collection: String, filter: String },
    /// In schedules that follow changes: a field of the record that changed, a relation to accounts or an e-mail.
    Field(String),
}

/// One step of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub channel: Channel,
    /// Counted from the time when the first step is due.
    pub after: Duration,
    pub unless: Option<Already>,
}

/// What makes a later step unnecessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Already {
    /// Somebody has looked at it.
    Seen,
    /// Another step was sent.
    Sent,
}

impl Already {
    pub const ALL: [Self; 2] = [Self::Seen, Self::Sent];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Sent => "sent",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|already| already.as_str() == name)
    }
}

/// When it is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    At(Timestamp),
    /// Counted from the time when the first step is due.
    After(Duration),
}

/// What becomes of it in somebody's quiet hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    Defer,
    Skip,
    /// Quiet hours do not count.
    Ignore,
}

impl Quiet {
    pub const ALL: [Self; 3] = [Self::Defer, Self::Skip, Self::Ignore];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Defer => "defer",
            Self::Skip => "skip",
            Self::Ignore => "ignore",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quiet| quiet.as_str() == name)
    }
}

/// All of a recipient's under this key within the window become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    pub key: String,
    pub window: Duration,
}

/// No more than so many of this category within the window, for each recipient and channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    pub count: u32,
    pub window: Duration,
}

/// Not sent if this record matches this filter by then; a missing record matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unless {
    pub collection: String,
    pub record: String,
    pub filter: String,
}

impl Intent {
    /// Its own texts, if it has no template.
    pub fn texts(&self) -> Option<Texts> {
        self.template.is_empty().then(|| Texts {
            title: self.title.clone(),
            body: self.body.clone(),
            html: self.html.clone(),
            link: self.link.clone(),
        })
    }

    /// With the category of its template, unless it has its own.
    pub fn categorised(mut self, tx: &ReadTx<'_>) -> Result<Self> {
        if self.category.is_empty() {
            self.category = category(tx, &self.template)?;
        }
        Ok(self)
    }

    /// The columns of `_notifications` that say what it is.
    pub const COLUMNS: [&str; 20] = parse::COLUMNS;

    /// Reads the body of a send. `now` decides what lies too far in the past. All failures are told together, by field.
    pub fn parse(body: &Map<String, Json>, now: Timestamp) -> Result<Self> {
        parse::read(body, now, false)
    }

    /// Reads the body that a schedule sends: `to` may also name fields of a changed record.
    pub fn parse_scheduled(body: &Map<String, Json>, now: Timestamp) -> Result<Self> {
        parse::read(body, now, true)
    }

    /// Reads a row of `_notifications`; judged as of its creation.
    pub fn from_row(row: &Row, created: Timestamp) -> Result<Self> {
        Self::parse(&parse::body_of(row), created)
    }

    /// The columns of `_notifications` that hold it.
    pub fn columns(&self) -> Vec<(&'static str, Value)> {
        let text = |text: &str| Value::Text(text.to_owned());
        let json = |value: Json| Value::Text(value.to_string());
        vec![
            ("key", text(&self.key)),
            ("to", json(self.to.iter().map(To::to_json).collect())),
            ("template", text(&self.template)),
            ("title", text(&self.title)),
            ("body", text(&self.body)),
            ("html", text(&self.html)),
            ("link", text(&self.link)),
            ("data", json(Json::Object(self.data.clone()))),
            ("category", text(&self.category)),
            ("priority", text(self.priority.as_str())),
            ("channels", json(self.channels.iter().map(|step| step.to_json()).collect())),
            ("when", json(when_json(&self.when))),
            ("expires", text(&self.expires.map(Expiry::to_text).unwrap_or_default())),
            ("quiet", text(self.quiet.map(Quiet::as_str).unwrap_or_default())),
            ("collapse", text(&self.collapse)),
            ("digest", json(self.digest.as_ref().map_or(Json::Null, Digest::to_json))),
            ("cap", json(self.cap.map_or(Json::Null, Cap::to_json))),
            ("unless", json(self.unless.as_ref().map_or(Json::Null, Unless::to_json))),
            ("locale", text(&self.locale)),
            ("track", Value::Integer(self.track.into())),
        ]
    }
}

impl To {
    /// As it is written in a body.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Account { .. } | Self::Topic(_) | Self::Address(_) => Json::String(self.to_string()),
            Self::Filter { collection, filter } => json!({"collection": collection, "filter": filter}),
            Self::Field(field) => json!({"field": field}),
        }
    }
}

/// For people.
impl std::fmt::Display for To {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account { collection, id } => write!(f, "{collection}/{id}"),
            Self::Topic(key) => write!(f, "topic:{key}"),
            Self::Address(address) => f.write_str(address),
            Self::Filter { collection, filter } if filter.is_empty() => write!(f, "all of {collection}"),
            Self::Filter { collection, filter } => write!(f, "{collection} where {filter}"),
            Self::Field(field) => write!(f, "the field {field}"),
        }
    }
}

impl Step {
    fn to_json(self) -> Json {
        let mut step = Map::new();
        step.insert("channel".to_owned(), self.channel.as_str().into());
        if !self.after.is_zero() {
            step.insert("after".to_owned(), span(self.after).into());
        }
        if let Some(unless) = self.unless {
            step.insert("unless".to_owned(), unless.as_str().into());
        }
        match step.len() {
            1 => self.channel.as_str().into(),
            _ => Json::Object(step),
        }
    }
}

impl Expiry {
    fn to_text(self) -> String {
        match self {
            Self::At(time) => time.to_string(),
            Self::After(duration) => span(duration),
        }
    }
}

impl Digest {
    fn to_json(&self) -> Json {
        json!({"key": self.key, "window": span(self.window)})
    }
}

impl Cap {
    fn to_json(self) -> Json {
        json!({"count": self.count, "window": span(self.window)})
    }
}

impl Unless {
    fn to_json(&self) -> Json {
        json!({"collection": self.collection, "record": self.record, "filter": self.filter})
    }
}

/// A duration as it is written: whole seconds, in the largest unit that says it exactly.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let exact = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    let (unit, letter) = exact.unwrap_or((1, 's'));
    format!("{}{letter}", seconds / unit)
}

/// `when` as it is written in a body.
fn when_json(when: &When) -> Json {
    match when {
        When::Now => Json::Null,
        When::At(time) => json!({"at": time.to_string()}),
        When::After(duration) => json!({"after": span(*duration)}),
        When::Local { time, date, zone } => {
            let mut local = Map::new();
            local.insert("local".to_owned(), format!("{:02}:{:02}", time.hour(), time.minute()).into());
            if let Some(date) = date {
                local.insert("date".to_owned(), date.to_string().into());
            }
            if let Some(zone) = zone {
                local.insert("zone".to_owned(), Json::from(&**zone));
            }
            Json::Object(local)
        }
    }
}
