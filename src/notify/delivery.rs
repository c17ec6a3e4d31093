//! What a delivery can be in, and how urgent it is.

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for its time.
    Scheduled,
    /// Waits as part of a digest, whose first delivery carries it along.
    Batched,
    /// On its way, under a lease.
    Sending,
    /// A provider, a mail server or the inbox took it.
    Sent,
    /// Given up: the dead letter.
    Failed,
    /// Called back, or replaced by a newer one.
    Cancelled,
    /// Its recipient does not want it, or may not get it.
    Suppressed,
    /// Its condition did not hold.
    Skipped,
    /// It would have come too late.
    Expired,
}

impl State {
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::Batched,
        Self::Sending,
        Self::Sent,
        Self::Failed,
        Self::Cancelled,
        Self::Suppressed,
        Self::Skipped,
        Self::Expired,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Batched => "batched",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Suppressed => "suppressed",
            Self::Skipped => "skipped",
            Self::Expired => "expired",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Nothing follows by itself.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Batched | Self::Sending)
    }
}

/// How urgent; among what is due the higher goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    Low = 0,
    #[default]
    Normal = 1,
    /// Passes quiet hours and caps.
    Critical = 2,
}

impl Priority {
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::Critical => "critical",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == name)
    }

    /// As it is stored with a delivery.
    pub fn number(self) -> i64 {
        self as i64
    }

    pub fn from_number(number: i64) -> Self {
        Self::ALL.into_iter().find(|priority| priority.number() == number).unwrap_or_default()
    }
}
