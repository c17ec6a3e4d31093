//! How things leave: one file for each transport behind one trait.

pub mod capture;
pub mod email;
pub mod fcm;
mod fit;
pub mod inbox;
#[cfg(test)]
pub(crate) mod testing;
mod transports;
pub mod tried;
pub mod webhook;
pub mod webpush;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};

pub use self::{transports::Transports, tried::Tried};
use crate::{
    clock::Timestamp,
    notify::{Priority, who::Recipient},
};

/// What goes out, rendered for its recipient.
#[derive(Debug, Clone, Default)]
pub struct Letter {
    pub title: String,
    pub body: String,
    /// HTML of a mail; blank: made from the body.
    pub html: String,
    pub link: String,
    pub data: Map<String, Json>,
    pub category: String,
    pub priority: Priority,
    /// Replaces what was sent under the same key, where the provider can.
    pub collapse: String,
    /// Where the device may tell that it was shown, opened or clicked; blank: nowhere.
    pub receipt: String,
    /// Of no use after this time.
    pub expires: Option<Timestamp>,
    /// Mails tell when they are opened and which of their links are followed.
    pub track: bool,
}

/// Where one push or webhook goes: a row of `_devices`.
#[derive(Debug, Clone)]
pub struct Device {
    pub id: String,
    /// `webpush`, `fcm` or `webhook`.
    pub kind: String,
    /// Endpoint or registration token.
    pub token: String,
    pub secrets: Map<String, Json>,
}

/// One way to one recipient.
#[derive(Debug, Clone)]
pub enum Target {
    Inbox,
    Email { address: String },
    Device(Arc<Device>),
}

/// What names this sending towards others: the same when it is repeated.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Id of the delivery.
    pub delivery: String,
    /// Id of the notification.
    pub notification: String,
    pub recipient: Recipient,
    /// 1 in the first attempt.
    pub attempt: u32,
}

/// How a sending ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody took responsibility for it; what they call it.
    Sent { receipt: Option<String> },
    /// The device is gone for good: it is forgotten.
    Gone(String),
    /// Another attempt would fail as well.
    Refused(String),
    /// Another attempt may succeed, not before the given time from now.
    Later { why: String, retry_after: Option<Duration> },
}

pub type Sending<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
pub type Trying<'a> = Pin<Box<dyn Future<Output = Tried> + Send + 'a>>;

/// One way out. Takes 30 seconds at most, whatever the other side does.
pub trait Transport: Send + Sync {
    fn send<'a>(&'a self, letter: &'a Letter, target: &'a Target, ticket: &'a Ticket) -> Sending<'a>;

    /// The same, with how far it came.
    fn try_out<'a>(&'a self, letter: &'a Letter, target: &'a Target, ticket: &'a Ticket) -> Trying<'a> {
        Box::pin(async move { Tried::of(self.send(letter, target, ticket).await) })
    }
}
