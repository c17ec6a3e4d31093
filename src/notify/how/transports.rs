//! Which transport takes what: by channel, and by kind of device.

use std::{collections::BTreeMap, sync::Arc};

use super::{Target, Transport, capture::Capture, email::Email, fcm::Fcm, webhook::Webhook, webpush::WebPush};
use crate::{
    notify::{Links, Rooms},
    outgoing::Outgoing,
};

/// The transports of the house. Filled once, when the room opens.
#[derive(Clone, Default)]
pub struct Transports {
    /// By [`Target::route`].
    by_route: BTreeMap<&'static str, Arc<dyn Transport>>,
}

impl Transports {
    /// All that the house has.
    pub fn open(rooms: &Rooms, links: &Links) -> Self {
        let outgoing = Arc::new(Outgoing::default());
        let capture = Capture::new(&rooms.mail, &rooms.clock, rooms.capture);
        let shared = || (rooms.settings.clone(), rooms.clock.clone(), outgoing.clone(), capture.clone());
        let email = Email::new(rooms.mail.clone(), links.clone(), rooms.db.clone(), rooms.records.clone());
        let (settings, clock, out, kept) = shared();
        let webpush = WebPush::new(settings, clock, out, kept);
        let (settings, clock, out, kept) = shared();
        let fcm = Fcm::new(settings, clock, out, kept);
        let (settings, clock, out, kept) = shared();
        let webhook = Webhook::new(settings, clock, out, kept);
        Self::default()
            .with("email", Arc::new(email))
            .with("webpush", Arc::new(webpush))
            .with("fcm", Arc::new(fcm))
            .with("webhook", Arc::new(webhook))
    }

    /// `route` is a kind of device (`webpush`, `fcm`, `webhook`) or `email`.
    pub fn with(mut self, route: &'static str, transport: Arc<dyn Transport>) -> Self {
        self.by_route.insert(route, transport);
        self
    }

    /// Who takes what goes there. `None`: nobody can; and the inbox is no transport's business.
    pub fn of(&self, target: &Target) -> Option<&Arc<dyn Transport>> {
        self.by_route.get(target.route()?)
    }
}

impl Target {
    /// What names the way there; `None` for the inbox, which is in the house.
    pub fn route(&self) -> Option<&str> {
        match self {
            Self::Inbox => None,
            Self::Email { .. } => Some("email"),
            Self::Device(device) => Some(&device.kind),
        }
    }

    /// Who answers there: one that hangs must not keep others waiting. Blank: all the same.
    pub fn host(&self) -> String {
        match self {
            Self::Inbox | Self::Email { .. } => String::new(),
            Self::Device(device) => url::Url::parse(&device.token)
                .ok()
                .and_then(|url| {
                    url.host_str().map(|host| format!("{host}:{}", url.port_or_known_default().unwrap_or(0)))
                })
                // What is no URL is a token of the kind's only provider.
                .unwrap_or_else(|| device.kind.clone()),
        }
    }
}
