//! FCM: to apps on Android and iOS (and browsers that Firebase's library subscribed), through Google's HTTP v1 API.

mod access;
mod message;

use std::{sync::Arc, time::Duration};

use serde_json::Value as Json;

use self::access::{Access, Setup};
use super::{
    Device, Letter, Outcome, Sending, Target, Ticket, Transport, Tried, Trying,
    capture::{Capture, recipient},
    tried,
};
use crate::{
    clock::Clock,
    mail::{Medium, Request},
    outgoing::{Answer, Outgoing},
    settings,
};

/// The steps of a sending, in order; `access` is the token that Google gives us for sending.
const STEPS: &[&str] = &["settings", "access", "url", "resolve", "address", "connect", "tls", "answer", "accepted"];
/// For everything together: two requests for tokens and two messages, at worst.
const TIME: Duration = Duration::from_secs(28);
/// Where messages go, unless the settings say otherwise.
const BASE: &str = "https://fcm.googleapis.com";
/// What Google asks for between two messages when the quota is used up, if it does not say.
const QUOTA_WAIT: Duration = Duration::from_secs(60);

/// Sends to apps.
pub struct Fcm {
    settings: settings::Store,
    clock: Clock,
    outgoing: Arc<Outgoing>,
    capture: Capture,
    access: Access,
}

impl Fcm {
    pub fn new(settings: settings::Store, clock: Clock, outgoing: Arc<Outgoing>, capture: Capture) -> Self {
        Self { settings, clock, outgoing, capture, access: Access::default() }
    }

    async fn push(&self, letter: &Letter, device: &Device, ticket: &Ticket) -> Tried {
        let message = message::compose(letter, ticket, &device.token, self.clock.now());
        // Kept even without a service account: nobody has one for tests.
        if let Some(outcome) = self.capture.keep(|| to_request(letter, device, ticket, &message)) {
            return Tried { steps: STEPS, ..Tried::of(outcome) };
        }
        let settings = self.settings.current();
        let setup = match Setup::of(&settings) {
            Ok(setup) => setup,
            Err(why) => return Tried::refused(STEPS, "settings", why),
        };
        let base = settings.notify.fcm.base_url.trim_end_matches('/');
        let base = if base.is_empty() { BASE } else { base };
        let url = format!("{base}/v1/projects/{}/messages:send", setup.project);
        let mut spent = None;
        loop {
            let token = self.access.token(&setup, &self.outgoing, self.clock.now(), spent.as_deref()).await;
            let token = match token {
                Ok(token) => token,
                Err(tried) => return tried,
            };
            let answer =
                self.outgoing.post(&url, setup.allow_private, |request| request.bearer_auth(&token).json(&message));
            let answer = match answer.await {
                Ok(answer) => answer,
                Err(failure) => return Tried::unanswered(STEPS, failure),
            };
            // Somebody may have taken our token back: another one, once.
            if answer.status.as_u16() == 401 && error_code(&answer) != "THIRD_PARTY_AUTH_ERROR" && spent.is_none() {
                spent = Some(token);
                continue;
            }
            return Tried::answered(STEPS, &answer, self.judge(&answer));
        }
    }

    /// What Google's answer means (<https://firebase.google.com/docs/cloud-messaging/error-codes>). A device is gone only if
    /// it is said in so many words: a wrong project or base URL answers 404 as well.
    fn judge(&self, answer: &Answer) -> Outcome {
        let now = self.clock.now();
        if answer.status.is_success() {
            let name = serde_json::from_slice::<Json>(&answer.body).ok();
            let name = name.as_ref().and_then(|json| json.get("name")?.as_str());
            return Outcome::Sent { receipt: name.map(tried::bounded) };
        }
        match error_code(answer).as_str() {
            "UNREGISTERED" => Outcome::Gone(answer.said()),
            "QUOTA_EXCEEDED" => {
                let retry_after = Some(answer.retry_after(now).unwrap_or(QUOTA_WAIT));
                Outcome::Later { why: answer.said(), retry_after }
            }
            "UNAVAILABLE" | "INTERNAL" => tried::later(answer, now),
            _ => tried::by_status(answer, now),
        }
    }
}

impl Transport for Fcm {
    fn send<'a>(&'a self, letter: &'a Letter, target: &'a Target, ticket: &'a Ticket) -> Sending<'a> {
        Box::pin(async move { self.try_out(letter, target, ticket).await.outcome })
    }

    fn try_out<'a>(&'a self, letter: &'a Letter, target: &'a Target, ticket: &'a Ticket) -> Trying<'a> {
        Box::pin(async move {
            let Target::Device(device) = target else { return Tried::refused(STEPS, "settings", "this is no device") };
            let sending = tokio::time::timeout(TIME, self.push(letter, device, ticket)).await;
            sending.unwrap_or_else(|_| Tried::later(STEPS, "answer", "it took too long", None))
        })
    }
}

/// As the capture box keeps it.
fn to_request(letter: &Letter, device: &Device, ticket: &Ticket, message: &Json) -> Request {
    Request {
        medium: Medium::Fcm,
        to: recipient(ticket),
        target: device.token.clone(),
        subject: letter.title.clone(),
        text: letter.body.clone(),
        link: letter.link.clone(),
        headers: Vec::new(),
        payload: message.clone(),
        body: message.to_string(),
    }
}

/// FCM's own code in an error; blank if there is none.
fn error_code(answer: &Answer) -> String {
    let json: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
    let details = json.pointer("/error/details").and_then(Json::as_array);
    let code = details.into_iter().flatten().find_map(|detail| {
        let kind = detail.get("@type")?.as_str()?;
        kind.ends_with("google.firebase.fcm.v1.FcmError").then(|| detail.get("errorCode")?.as_str()).flatten()
    });
    code.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
