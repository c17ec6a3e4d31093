//! The ways to somebody.

/// One of them. A push goes to every device of its recipient that takes pushes; a webhook likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    Inbox,
    Email,
    Push,
    Webhook,
}

impl Channel {
    pub const ALL: [Self; 4] = [Self::Inbox, Self::Email, Self::Push, Self::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Email => "email",
            Self::Push => "push",
            Self::Webhook => "webhook",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == name)
    }
}
