//! Which transport takes what: by channel, and by kind of device.

use std::{collections::BTreeMap, sync::Arc};

use super::{Target, Transport};

/// The transports of the house. Filled once, when the room opens.
#[derive(Clone, Default)]
pub struct Transports {
    /// By [`Target::route`].
    by_route: BTreeMap<&'static str, Arc<dyn Transport>>,
    /// Takes everything that would leave the house.
    capture: Option<Arc<dyn Transport>>,
}

impl Transports {
    /// `route` is a kind of device (`webpush`, `fcm`, `webhook`) or `email`.
    pub fn with(mut self, route: &'static str, transport: Arc<dyn Transport>) -> Self {
        self.by_route.insert(route, transport);
        self
    }

    /// From now on nothing leaves the house: whatever the route, this one takes it.
    pub fn capturing(mut self, transport: Arc<dyn Transport>) -> Self {
        self.capture = Some(transport);
        self
    }

    /// Who takes what goes there. `None`: nobody can; and the inbox is no transport's business.
    pub fn of(&self, target: &Target) -> Option<&Arc<dyn Transport>> {
        let route = target.route()?;
        self.capture.as_ref().or_else(|| self.by_route.get(route))
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
}
