//! What is kept instead of sent: where the house captures, transports make their request whole, encrypted and signed,
//! and hand it in here at the moment when it would leave (`docs/mailbox.md`). Mails do the same in [`crate::mail`].

use super::{Outcome, Ticket};
use crate::{
    clock::Clock,
    mail::{Mail, Request},
    notify::who::Recipient,
};

/// The receipt of what was kept.
const RECEIPT: &str = "captured";

/// The capture box, where everything is kept, or the open door.
#[derive(Clone)]
pub struct Capture {
    kept_by: Option<Mail>,
    clock: Clock,
}

impl Capture {
    /// With `capture` nothing leaves the house.
    pub fn new(mail: &Mail, clock: &Clock, capture: bool) -> Self {
        Self { kept_by: capture.then(|| mail.clone()), clock: clock.clone() }
    }

    /// Keeps what `request` makes, if the house captures; the transport then has done its work. `None`: send it.
    pub fn keep(&self, request: impl FnOnce() -> Request) -> Option<Outcome> {
        let mail = self.kept_by.as_ref()?;
        let request = request();
        tracing::info!(channel = request.medium.as_str(), to = request.to, "kept a message, see GET /api/mailbox");
        mail.mailbox().keep_request(request, self.clock.now());
        Some(Outcome::Sent { receipt: Some(RECEIPT.to_owned()) })
    }
}

/// The recipient as a test knows them: `collection/record` (by the collection's id), or the address.
pub fn recipient(ticket: &Ticket) -> String {
    match &ticket.recipient {
        Recipient::Account { collection, record } => format!("{collection}/{record}"),
        Recipient::Address(address) => address.to_string(),
    }
}
