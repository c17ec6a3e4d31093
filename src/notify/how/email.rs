//! E-mail: a letter as HTML and text, in the house's layout, with a way out of its category.
//!
//! A repeated mail has the Message-ID of the first, so whoever got both sees one. Mails of one collapse key refer to the
//! same ancestor that was never sent, so clients show them as one conversation. Nothing in a mail tells that it was read,
//! unless the notification asks for it (`track`).

use aws_lc_rs::digest::{SHA256, digest};

use super::{Letter, Outcome, Sending, Target, Ticket, Transport};
use crate::{
    db::Db,
    error::Error,
    mail::{self, Mail, Marks, Message, Undelivered, escaped},
    notify::{
        suppression,
        token::{Links, Signer},
    },
    records::Records,
};

/// The link target that stands for the way out, for those who word it themselves: `<a href="unsubscribe:">`.
const WAY_OUT: &str = "unsubscribe:";
/// Links of one mail that tell when they are followed.
const MAX_TRACKED: usize = 200;
/// The beginning of a text that stands for a missing title, in bytes.
const MAX_SUBJECT: usize = 100;
/// What a mail server said, in bytes.
const MAX_SAID: usize = 500;
/// Schemes that no link of a mail needs.
const NO_LINKS: [&str; 3] = ["javascript:", "vbscript:", "data:"];

/// Sends mails.
pub struct Email {
    mail: Mail,
    links: Links,
    db: Db,
    records: Records,
}

impl Email {
    pub fn new(mail: Mail, links: Links, db: Db, records: Records) -> Self {
        Self { mail, links, db, records }
    }

    async fn post(&self, letter: &Letter, address: &str, ticket: &Ticket) -> Outcome {
        let signer = match self.links.signer().await {
            Ok(signer) => signer,
            Err(error) => return later(&error),
        };
        let Err(error) = self.mail.send(compose(letter, address, ticket, &signer)).await else {
            return Outcome::Sent { receipt: None };
        };
        if !mail::is_permanent(&error) {
            return later(&error);
        }
        let why = said(&error);
        if mail::is_dead_address(&error) {
            self.suppress(address.to_owned(), why.clone()).await;
        }
        Outcome::Refused(why)
    }

    /// No other mail needs to find out the same. Not worth a failure: the next one will tell again.
    async fn suppress(&self, address: String, why: String) {
        let records = self.records.clone();
        let noted = self.db.write(move |tx| suppression::bounced(&records, tx, &address, &why)).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "a refused address could not be put on the suppression list");
        }
    }
}

impl Transport for Email {
    fn send<'a>(&'a self, letter: &'a Letter, target: &'a Target, ticket: &'a Ticket) -> Sending<'a> {
        Box::pin(async move {
            match target {
                Target::Email { address } => self.post(letter, address, ticket).await,
                _ => Outcome::Refused("this is no address".to_owned()),
            }
        })
    }
}

fn later(error: &Error) -> Outcome {
    Outcome::Later { why: said(error), retry_after: error.retry_after }
}

/// What the mail server said, else what we say.
fn said(error: &Error) -> String {
    let why = Undelivered::behind(error).map_or(error.message.as_ref(), |cause| &cause.what);
    why[..why.floor_char_boundary(MAX_SAID)].to_owned()
}

/// The mail of a letter.
pub fn compose(letter: &Letter, address: &str, ticket: &Ticket, signer: &Signer) -> Message {
    let way_out = match letter.category.as_str() {
        "" => String::new(),
        category => signer.unsubscribe(&ticket.recipient, category),
    };
    let link = absolute(&letter.link, signer.base()).unwrap_or_default();
    let html = if letter.html.trim().is_empty() { page(letter, &link) } else { letter.html.clone() };
    let mut text = match letter.body.trim() {
        "" => mail::text_from_html(&html).replace(WAY_OUT, &way_out),
        body => with_link(body, &link),
    };
    let mut has_way_out = false;
    let mut tracked = 0;
    let html = mail::rewrite_links(&html, |target| {
        if target == WAY_OUT {
            has_way_out = true;
            return Some(if way_out.is_empty() { "#".to_owned() } else { way_out.clone() });
        }
        let target = absolute(target, signer.base())?;
        if letter.track && tracked < MAX_TRACKED && is_web(&target) && !signer.is_ours(&target) {
            tracked += 1;
            return signer.click(&ticket.delivery, &target).or(Some(target));
        }
        Some(target)
    });
    let mut end = String::new();
    if !way_out.is_empty() {
        if !has_way_out {
            end = format!("<hr>\n<p><small><a href=\"{}\">Unsubscribe</a></small></p>\n", escaped(&way_out));
        }
        if !text.contains(&way_out) {
            text = format!("{}\n\n---\nUnsubscribe: {way_out}\n", text.trim_end());
        }
    }
    if letter.track {
        let picture = escaped(&signer.open(&ticket.delivery));
        end.push_str(&format!("<img src=\"{picture}\" width=\"1\" height=\"1\" alt=\"\">\n"));
    }
    let html = mail::wrap(mail::before_end(html, &end));
    let marks = Marks { id: ticket.delivery.clone(), thread: thread(letter, ticket), unsubscribe: way_out };
    Message { to: address.to_owned(), subject: subject(letter, &text), html, text, template: None, marks }
}

/// The title, or how the text begins: nobody opens a mail without a subject.
fn subject(letter: &Letter, text: &str) -> String {
    match letter.title.trim() {
        "" => {
            let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            line[..line.floor_char_boundary(MAX_SUBJECT)].trim().to_owned()
        }
        title => title.to_owned(),
    }
}

/// Names the conversation of a collapse key with this recipient; nobody learns the key from it.
fn thread(letter: &Letter, ticket: &Ticket) -> String {
    if letter.collapse.is_empty() {
        return String::new();
    }
    let (collection, record, address) = ticket.recipient.columns();
    let name = [&letter.collapse, collection, record, address].join("\0");
    let hash = digest(&SHA256, name.as_bytes());
    let hex: String = hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("thread.{hex}")
}

/// The HTML of a letter that has none: its title, which leads where the letter does, and its text in paragraphs.
fn page(letter: &Letter, link: &str) -> String {
    let title = escaped(&letter.title);
    let mut html = match (title.is_empty(), link.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("<p><a href=\"{0}\">{0}</a></p>\n", escaped(link)),
        (false, true) => format!("<p><strong>{title}</strong></p>\n"),
        (false, false) => format!("<p><a href=\"{}\"><strong>{title}</strong></a></p>\n", escaped(link)),
    };
    for paragraph in letter.body.replace("\r\n", "\n").split("\n\n").map(str::trim).filter(|it| !it.is_empty()) {
        let lines: Vec<String> = paragraph.lines().map(linked).collect();
        html.push_str(&format!("<p>{}</p>\n", lines.join("<br>\n")));
    }
    html
}

/// A line of text as HTML, with its web addresses as links.
fn linked(line: &str) -> String {
    let as_link = |word: &str| {
        let end = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '"', '\'', '>']);
        let start = end.find("http").filter(|&at| is_web(&end[at..]))?;
        let (before, address, after) = (&word[..start], &end[start..], &word[end.len()..]);
        let (before, shown, after) = (escaped(before), escaped(address), escaped(after));
        Some(format!("{before}<a href=\"{shown}\">{shown}</a>{after}"))
    };
    line.split(' ').map(|word| as_link(word).unwrap_or_else(|| escaped(word))).collect::<Vec<_>>().join(" ")
}

/// A text with the letter's link below it, unless it names that already.
fn with_link(body: &str, link: &str) -> String {
    match link.is_empty() || body.contains(link) {
        true => format!("{}\n", body.trim_end()),
        false => format!("{}\n\n{link}\n", body.trim_end()),
    }
}

/// A link as it can be followed from a mail: one that begins with a slash belongs to the app. `None` for what should not
/// be followed; what has a scheme of its own (an app's) stays.
fn absolute(link: &str, base: &str) -> Option<String> {
    let link: String = link.trim().chars().filter(|letter| !letter.is_control()).collect();
    let lower = link.to_ascii_lowercase();
    if link.is_empty() || NO_LINKS.iter().any(|scheme| lower.starts_with(scheme)) {
        return None;
    }
    match link.starts_with('/') && !link.starts_with("//") {
        true => Some(format!("{base}{link}")),
        false => Some(link),
    }
}

fn is_web(link: &str) -> bool {
    url::Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::{
        token::{
            Grant,
            testing::{grant, signer},
        },
        who::Recipient,
    };

    fn ticket() -> Ticket {
        let recipient = Recipient::Account { collection: "users".into(), record: "ann".into() };
        Ticket { delivery: "d1".into(), notification: "n1".into(), recipient, attempt: 1 }
    }

    fn composed(letter: &Letter) -> Message {
        compose(letter, "ann@example.com", &ticket(), &signer("https://app.test"))
    }

    fn letter(title: &str, body: &str, html: &str) -> Letter {
        Letter { title: title.to_owned(), body: body.to_owned(), html: html.to_owned(), ..Letter::default() }
    }

    /// The targets of its links, in order.
    fn targets(html: &str) -> Vec<String> {
        let mut found = Vec::new();
        mail::rewrite_links(html, |target| {
            found.push(target.to_owned());
            None
        });
        found
    }

    #[test]
    fn html_and_text_are_made_from_what_there_is() {
        let made = composed(&Letter {
            link: "/o/1".to_owned(),
            ..letter("A <b>", "Hi\nyou & me\n\nsee https://x.y/?a=1&b. Bye", "")
        });
        assert_eq!(made.text, "Hi\nyou & me\n\nsee https://x.y/?a=1&b. Bye\n\nhttps://app.test/o/1\n");
        for part in [
            "<p><a href=\"https://app.test/o/1\"><strong>A &lt;b&gt;</strong></a></p>",
            "<p>Hi<br>\nyou &amp; me</p>",
            "<p>see <a href=\"https://x.y/?a=1&amp;b\">https://x.y/?a=1&amp;b</a>. Bye</p>",
        ] {
            assert!(made.html.contains(part), "{part}: {}", made.html);
        }
        assert!(made.html.starts_with("<!doctype html>") && made.subject == "A <b>");
        let own = composed(&letter("s", "", "<p>x <a href='https://x.y'>y</a></p>"));
        assert_eq!(own.text, "x y (https://x.y)\n");
        let both = composed(&letter("s", "text", "<html><body><p>x</p></body></html>"));
        assert_eq!((both.text.as_str(), both.html.as_str()), ("text\n", "<html><body><p>x</p></body></html>"));
        assert_eq!(composed(&letter(" ", "", "<p></p><p>Hi <b>you</b></p>")).subject, "Hi you");
        let named = composed(&Letter { link: "https://x.y".to_owned(), ..letter("s", "at https://x.y today", "") });
        assert_eq!(named.text, "at https://x.y today\n");
    }

    #[test]
    fn a_category_has_a_way_out() {
        let plain = composed(&letter("s", "b", ""));
        assert!(
            plain.marks.unsubscribe.is_empty()
                && !plain.html.contains("nsubscribe")
                && !plain.text.contains("nsubscribe")
        );
        let of = |letter: Letter| composed(&Letter { category: "orders".to_owned(), ..letter });
        let mail = of(letter("s", "b", ""));
        let url = mail.marks.unsubscribe.clone();
        assert!(mail.text.ends_with(&format!("b\n\n---\nUnsubscribe: {url}\n")), "{}", mail.text);
        assert_eq!(targets(&mail.html), [url.as_str()]);
        assert_eq!(
            grant(&url),
            Some(Grant::Unsubscribe { recipient: ticket().recipient, category: "orders".to_owned() })
        );
        // In one's own words there is no second one.
        let own = of(letter("s", "", "<a href='unsubscribe:'>Abmelden</a>"));
        assert_eq!(
            (targets(&own.html), own.text.as_str()),
            (vec![url.clone()], format!("Abmelden ({url})\n").as_str())
        );
        assert_eq!(targets(&composed(&letter("s", "", "<a href='unsubscribe:'>x</a>")).html), ["#"]);
        let page = of(letter("s", "t", "<html><body>x</body></html>"));
        assert!(page.html.ends_with("</small></p>\n</body></html>"), "{}", page.html);
    }

    #[test]
    fn nothing_is_tracked_unless_asked_for() {
        let html = "<a href='https://x.y/?a=1&amp;b=2'>x</a><a href='/in'>i</a><a href='mailto:a@b.c'>m</a><a href='myapp://z'>z</a>\
                    <a href='unsubscribe:'>u</a><a href='#top'>t</a>";
        let category = "c".to_owned();
        let quiet = composed(&Letter { category: category.clone(), ..letter("s", "", html) });
        let found = targets(&quiet.html);
        assert_eq!(found[..4], ["https://x.y/?a=1&b=2", "https://app.test/in", "mailto:a@b.c", "myapp://z"]);
        assert!(!quiet.html.contains("<img") && found[5] == "#top");
        let told = composed(&Letter { category, track: true, ..letter("s", "", html) });
        let found = targets(&told.html);
        let click = |target: &str| Some(Grant::Click { delivery: "d1".to_owned(), target: target.to_owned() });
        assert_eq!(grant(&found[0]), click("https://x.y/?a=1&b=2"));
        assert_eq!(grant(&found[1]), click("https://app.test/in"));
        assert_eq!(found[2..4], ["mailto:a@b.c", "myapp://z"]);
        assert_eq!(found[4], told.marks.unsubscribe);
        let picture = told.html.split("<img src=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(grant(picture), Some(Grant::Open { delivery: "d1".to_owned() }));
        assert!(!told.text.contains("/click/"), "who reads the text sees where links lead");
        let many = composed(&Letter { track: true, ..letter("s", "", &"<a href='https://x.y'>x</a>".repeat(300)) });
        assert_eq!(many.html.matches("/click/").count(), MAX_TRACKED);
    }

    #[test]
    fn conversations_are_of_one_key_and_one_recipient() {
        let of = |collapse: &str, recipient: Recipient| {
            let letter = Letter { collapse: collapse.to_owned(), ..Letter::default() };
            thread(&letter, &Ticket { recipient, ..ticket() })
        };
        let ann = || ticket().recipient;
        let bob = || Recipient::Address("bob@example.com".into());
        assert_eq!(of("", ann()), "");
        assert_eq!(of("a", ann()), of("a", ann()));
        assert!(of("a", ann()) != of("b", ann()) && of("a", ann()) != of("a", bob()));
        assert!(composed(&Letter::default()).marks.id == "d1" && of("a", ann()).starts_with("thread."));
    }

    #[test]
    fn links_that_do_harm_lead_nowhere() {
        let base = "https://app.test";
        for (link, expected) in [
            ("/a", Some("https://app.test/a")),
            ("//evil.example", Some("//evil.example")),
            (" https://x.y ", Some("https://x.y")),
            ("java\nscript:alert(1)", None),
            ("JavaScript:alert(1)", None),
            ("data:text/html,x", None),
            ("myapp://x", Some("myapp://x")),
            ("", None),
        ] {
            assert_eq!(absolute(link, base).as_deref(), expected, "{link:?}");
        }
    }
}
