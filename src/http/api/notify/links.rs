//! What links in notifications open: the way out of a category, and receipts. Whoever holds a token may use it, so what
//! a token of ours does not say is answered the same for everything: nothing tells what exists.

use actix_web::http::{
    Method, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY},
};
use serde_json::Value as Json;

use crate::{
    error::{Error, Kind, Result},
    http::{
        api::member,
        extract::{
            Call,
            body::{self, Form, LOGIN_LIMIT},
        },
        reply::Reply,
    },
    mail::escaped,
    notify::{Event, Grant, Recipient},
};

/// A transparent picture of one pixel (GIF89a).
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\
                       \x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
const PAGE: &str = include_str!("../../../../assets/notify/unsubscribe.html");
/// Nothing from elsewhere, no script at all; its form goes back where it came from.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// `GET unsubscribe/{token}`: says what the button will do. Changes nothing: programs look into links, too.
pub async fn ask(call: Call, token: &str) -> Result<Reply> {
    let notify = &call.app().notify;
    let Some(Grant::Unsubscribe { recipient, category }) = notify.grant(token).await? else { return Ok(unknown()) };
    let words = Words::new(&call, &recipient, &category);
    Ok(match notify.is_unsubscribed(&recipient, &category).await? {
        true => words.done(),
        false => words.question(),
    })
}

/// `POST unsubscribe/{token}`: does it, for the button and for mail programs (RFC 8058 §3.2).
pub async fn unsubscribe(mut call: Call, token: &str) -> Result<Reply> {
    let undo = match body::read(&mut call, LOGIN_LIMIT, Form::Texts).await {
        Ok(mut received) => member(&mut received, "undo").is_some(),
        Err(error) if error.kind == Kind::TooLarge => return Err(error),
        // Whatever else a mail program sends along, it means what the address says.
        Err(_) => false,
    };
    let notify = &call.app().notify;
    let Some(Grant::Unsubscribe { recipient, category }) = notify.grant(token).await? else { return Ok(unknown()) };
    let words = Words::new(&call, &recipient, &category);
    if undo {
        notify.resubscribe(&recipient, &category).await?;
        // The list may hold the address for other reasons.
        return Ok(match notify.is_unsubscribed(&recipient, &category).await? {
            true => words.blocked(),
            false => words.undone(),
        });
    }
    notify.unsubscribe(&recipient, &category).await?;
    Ok(words.done())
}

/// `GET open/{token}`: a picture, whatever the token says. A mail program that only asks about it has not shown it.
pub async fn open(call: Call, token: &str) -> Result<Reply> {
    if let Ok(Some(Grant::Open { delivery })) = call.app().notify.grant(token).await
        && call.http.method() == Method::GET
    {
        note(&call, &delivery, Event::Opened).await;
    }
    Ok(Reply::with(StatusCode::OK, "image/gif", PIXEL).header(CACHE_CONTROL, "no-store, private"))
}

/// `GET click/{token}`: on to where the link of the mail led. That is part of what was signed, so there is no other place.
pub async fn click(call: Call, token: &str) -> Result<Reply> {
    let Some(Grant::Click { delivery, target }) = call.app().notify.grant(token).await? else { return Ok(unknown()) };
    let web = url::Url::parse(&target).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = web else { return Ok(unknown()) };
    if call.http.method() == Method::GET {
        note(&call, &delivery, Event::Clicked).await;
    }
    let reply = Reply { status: StatusCode::FOUND, ..Reply::redirect(url.as_str()) };
    Ok(reply.header(CACHE_CONTROL, "no-store, private").header(REFERRER_POLICY, "no-referrer"))
}

/// `POST receipts/{token}` with `{"event": "delivered" | "opened" | "clicked"}`: 204.
pub async fn receive(mut call: Call, token: &str) -> Result<Reply> {
    let mut received = body::read(&mut call, LOGIN_LIMIT, Form::Texts).await?;
    let notify = &call.app().notify;
    let Some(Grant::Receipt { delivery }) = notify.grant(token).await? else { return Err(Error::not_found()) };
    let event = member(&mut received, "event").as_ref().and_then(Json::as_str).and_then(Event::parse);
    let names = Event::ALL.map(Event::as_str).join(", ");
    let event = event.ok_or_else(|| Error::invalid(format!("\"event\" has to be one of {names}.")))?;
    notify.receive(&delivery, event).await?;
    Ok(Reply::no_content())
}

/// A receipt that nobody waits for: the picture is shown and the link followed whether or not it can be noted.
async fn note(call: &Call, delivery: &str, event: Event) {
    if let Err(error) = call.app().notify.receive(delivery, event).await {
        tracing::warn!(%error, delivery, event = event.as_str(), "a receipt could not be noted");
    }
}

/// What the pages of one link say.
struct Words {
    app: String,
    category: String,
    /// Who gets the mails.
    whom: String,
}

impl Words {
    fn new(call: &Call, recipient: &Recipient, category: &str) -> Self {
        let app = call.app().settings.current().meta.app_name.clone();
        // The account's address of today is nobody's business who holds an old link.
        let whom = match recipient {
            Recipient::Account { .. } => "you".to_owned(),
            Recipient::Address(address) => format!("<strong>{}</strong>", escaped(address)),
        };
        Self { app: escaped(&app), category: escaped(category), whom }
    }

    fn question(&self) -> Reply {
        let Self { app, category, whom } = self;
        page(
            StatusCode::OK,
            "Stop these e-mails?",
            &format!(
                "<p>{app} sends {whom} e-mails of the kind <strong>{category}</strong>. If you press the button, no more \
                 of them are sent.</p>\n{}\n<p class=\"hint\">Other e-mails stay as they are. To change nothing, close \
                 this page.</p>",
                button("Stop them", "stop")
            ),
        )
    }

    fn done(&self) -> Reply {
        let Self { app, category, whom } = self;
        page(
            StatusCode::OK,
            "You are unsubscribed",
            &format!(
                "<p>{app} sends {whom} no more e-mails of the kind <strong>{category}</strong>. You can close this \
                 page.</p>\n{}",
                button("Send them again", "undo")
            ),
        )
    }

    fn undone(&self) -> Reply {
        let Self { app, category, whom } = self;
        page(
            StatusCode::OK,
            "You are subscribed again",
            &format!(
                "<p>{app} sends {whom} e-mails of the kind <strong>{category}</strong>.</p>\n{}",
                button("Stop them", "stop")
            ),
        )
    }

    fn blocked(&self) -> Reply {
        page(
            StatusCode::OK,
            "These e-mails stay stopped",
            &format!(
                "<p>{} has stopped e-mails to {} for another reason. Its makers can help.</p>",
                self.app, self.whom
            ),
        )
    }
}

/// A form of one button; without an address of its own it goes back to the link.
fn button(label: &str, name: &str) -> String {
    format!("<form method=\"post\"><input type=\"hidden\" name=\"{name}\" value=\"1\"><button>{label}</button></form>")
}

fn unknown() -> Reply {
    let text = "<p>It may have been cut off. Open it once more from the e-mail, in full length.</p>";
    page(StatusCode::NOT_FOUND, "This link does not work", text)
}

/// `text` is HTML.
fn page(status: StatusCode, title: &str, text: &str) -> Reply {
    let body = PAGE.replace("<!-- title -->", title).replace("<!-- text -->", text);
    Reply::with(status, "text/html; charset=utf-8", body)
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(REFERRER_POLICY, "no-referrer")
        .header(CACHE_CONTROL, "no-store, private")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_obeys_its_policy() {
        for forbidden in ["<style", "style=", "<script", "http://", "https://", " on"] {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
        assert_eq!((PAGE.matches("<!-- title -->").count(), PAGE.matches("<!-- text -->").count()), (2, 1));
        assert_eq!(unknown().status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn the_pixel_is_a_picture() {
        let size = image::load_from_memory(PIXEL).map(|picture| (picture.width(), picture.height()));
        assert_eq!(size.unwrap(), (1, 1));
    }
}
