//! A mail on its way out: what the house wants to say, and the bytes that go over the wire (RFC 5322).

use std::time::{Duration, UNIX_EPOCH};

use lettre::{
    Address,
    address::Envelope,
    message::{Mailbox, MultiPart, header},
};

use super::{Template, Undelivered, text};
use crate::{clock::Timestamp, random, settings::Meta};

/// A subject is cut off after this many bytes.
const MAX_SUBJECT: usize = 500;
/// HTML and text together, in bytes. Templates and the values in them are bounded well below this.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// What names a mail or a conversation, in bytes.
const MAX_ID: usize = 128;
/// A line of a mail has at most 998 bytes, so an address that stands on one has less.
const MAX_URL: usize = 900;
/// The headers that a captured mail is shown with.
const SHOWN: [&str; 6] =
    ["Message-ID", "In-Reply-To", "References", "List-Unsubscribe", "List-Unsubscribe-Post", "Auto-Submitted"];

/// One mail to one address. Who sends it is in the settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// A bare address, without a name.
    pub to: String,
    pub subject: String,
    /// A whole page.
    pub html: String,
    pub text: String,
    /// The template that it was made from, if any.
    pub template: Option<Template>,
    /// For the programs that handle it.
    pub marks: Marks,
}

/// What a mail says to the programs that handle it. A blank member says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marks {
    /// Names the mail, and is the same when it is sent again: the left part of its `Message-ID` (RFC 5322 §3.6.4).
    pub id: String,
    /// Mails with the same one are shown as one conversation: the left part of the `Message-ID` that they refer to.
    pub thread: String,
    /// The address at which one POST ends mails of this kind (RFC 8058).
    pub unsubscribe: String,
}

impl Message {
    /// A mail with this HTML; its text is made from that.
    pub fn new(to: &str, subject: &str, html: &str) -> Self {
        Self {
            to: to.to_owned(),
            subject: subject.to_owned(),
            html: html.to_owned(),
            text: text::from_html(html),
            template: None,
            marks: Marks::default(),
        }
    }
}

/// A message in the form in which it travels.
pub struct Letter {
    pub envelope: Envelope,
    pub bytes: Vec<u8>,
    /// Those of its headers that a tester may want to see.
    pub headers: Vec<(String, String)>,
}

/// `Auto-Submitted: auto-generated` (RFC 3834): nobody's holiday notice should answer.
#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// `List-Unsubscribe: <URL>` (RFC 2369), the URL in the form in which it travels: ASCII without spaces and brackets.
#[derive(Clone)]
struct ListUnsubscribe(String);

impl ListUnsubscribe {
    /// `None` for what is no web address.
    fn at(url: &str) -> Option<Self> {
        let url = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"');
        let text = String::from(url);
        (text.len() <= MAX_URL && text.bytes().all(plain)).then_some(Self(text))
    }
}

impl header::Header for ListUnsubscribe {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.trim_matches(['<', '>']).to_owned()))
    }

    /// Already in the form in which it travels: an encoder would take a long URL apart.
    fn display(&self) -> header::HeaderValue {
        let value = format!("<{}>", self.0);
        header::HeaderValue::dangerous_new_pre_encoded(Self::name(), value.clone(), value)
    }
}

/// `List-Unsubscribe-Post: List-Unsubscribe=One-Click` (RFC 8058 §3.1): one POST to that URL is enough.
#[derive(Clone)]
struct ListUnsubscribePost;

impl header::Header for ListUnsubscribePost {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("List-Unsubscribe-Post")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "List-Unsubscribe=One-Click".to_owned())
    }
}

/// The address that a mail comes from, as people read it.
pub fn sender(meta: &Meta) -> String {
    format!("{} <{}>", one_line(&meta.sender_name), meta.sender_address)
}

/// A subject on one line and of bounded length.
pub fn subject(text: &str) -> String {
    let line = one_line(text);
    line[..line.floor_char_boundary(MAX_SUBJECT)].to_owned()
}

/// The letter of a message. Fails for good when an address is none that mail servers know, or when it is too long.
pub fn letter(message: &Message, meta: &Meta, now: Timestamp) -> Result<Letter, Undelivered> {
    if message.html.len() + message.text.len() > MAX_BODY {
        return Err(Undelivered::for_good("the mail is too long"));
    }
    let from = address(&meta.sender_address)?;
    let to = address(&message.to)?;
    let marks = &message.marks;
    let id = message_id(&marks.id, from.domain())
        .unwrap_or_else(|| format!("<{}@{}>", random::string(random::LOWER_ALPHANUMERIC, 24), from.domain()));
    let thread = message_id(&marks.thread, from.domain());
    let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(now.seconds()).unwrap_or_default());
    let name = Some(one_line(&meta.sender_name)).filter(|name| !name.is_empty());
    let mut builder = lettre::Message::builder()
        .from(Mailbox::new(name, from))
        .to(Mailbox::new(None, to))
        .subject(subject(&message.subject))
        .date(date)
        .message_id(Some(id))
        .header(AutoSubmitted);
    if let Some(thread) = thread {
        builder = builder.in_reply_to(thread.clone()).references(thread);
    }
    if let Some(unsubscribe) = ListUnsubscribe::at(&marks.unsubscribe) {
        builder = builder.header(unsubscribe).header(ListUnsubscribePost);
    }
    let built = builder
        .multipart(MultiPart::alternative_plain_html(message.text.clone(), message.html.clone()))
        .map_err(|error| Undelivered::for_good(format!("the mail cannot be written: {error}")))?;
    let shown = |name: &&str| Some(((*name).to_owned(), built.headers().get_raw(name)?.to_owned()));
    let headers = SHOWN.iter().filter_map(shown).collect();
    Ok(Letter { envelope: built.envelope().clone(), bytes: built.formatted(), headers })
}

/// `<left@domain>`, if `left` can stand there: what names something of ours is made of letters, digits, `.`, `_`, `-`.
fn message_id(left: &str, domain: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = !left.is_empty() && left.len() <= MAX_ID && left.bytes().all(is_plain);
    fits.then(|| format!("<{left}@{domain}>"))
}

/// An address whose domain is in ASCII, as DNS has it. Only its local part may then need SMTPUTF8.
fn address(text: &str) -> Result<Address, Undelivered> {
    let refused = || Undelivered::for_good(format!("{text:?} is no address that mail can be sent to"));
    let (local, domain) = text.rsplit_once('@').ok_or_else(refused)?;
    let domain = match domain.is_ascii() {
        true => domain.to_owned(),
        false => url::Host::parse(domain).map_err(|_| refused())?.to_string(),
    };
    Address::new(local, domain).map_err(|_| refused())
}

/// `text` without control characters: a header is one line.
fn one_line(text: &str) -> String {
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(name: &str, address: &str) -> Meta {
        Meta { sender_name: name.to_owned(), sender_address: address.to_owned(), ..Meta::default() }
    }

    fn written(message: &Message, meta: &Meta) -> String {
        String::from_utf8(letter(message, meta, Timestamp(1_800_000_000_123)).unwrap().bytes).unwrap()
    }

    /// The header lines, folded ones joined.
    fn headers(mail: &str) -> Vec<String> {
        let head = mail.split_once("\r\n\r\n").unwrap().0.replace("\r\n ", " ").replace("\r\n\t", " ");
        head.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_letter_has_all_that_servers_ask_for() {
        let mail = written(&Message::new("ann@example.com", "Grüße", "<p>Hällo</p>"), &meta("Ä. Co", "a@b.example"));
        let headers = headers(&mail);
        let header = |name: &str| {
            let found: Vec<&String> = headers.iter().filter(|line| line.starts_with(&format!("{name}: "))).collect();
            assert_eq!(found.len(), 1, "{name}: {headers:?}");
            found[0][name.len() + 2..].to_owned()
        };
        assert_eq!(header("To"), "ann@example.com");
        assert!(header("From").ends_with("<a@b.example>") && header("From").is_ascii());
        assert_eq!(header("Date"), "Fri, 15 Jan 2027 08:00:00 +0000");
        assert!(header("Message-ID").ends_with("@b.example>"), "{}", header("Message-ID"));
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        assert!(header("Content-Type").starts_with("multipart/alternative"));
        assert_eq!(header("MIME-Version"), "1.0");
        let plain = mail.find("text/plain").unwrap();
        assert!(mail.is_ascii() && plain < mail.find("text/html").unwrap(), "the last alternative is the best one");
        assert!(mail.split("\r\n").all(|line| line.len() <= 998));
    }

    #[test]
    fn nothing_from_outside_becomes_a_header() {
        let attack = "x\r\nBcc: victim@example.com\r\n\r\n<p>hello";
        let expected = headers(&written(&Message::new("ann@example.com", "x", "x"), &meta("x", "a@b.example")));
        let names = |headers: &[String]| -> Vec<String> {
            headers.iter().map(|line| line.split(':').next().unwrap().to_owned()).collect()
        };
        for attack in [attack, "x\nBcc: v@example.com", "x\rBcc: v@example.com", "x\u{85}Bcc: v", "x\0\r\n.\r\n"] {
            let mail = written(&Message::new("ann@example.com", attack, attack), &meta(attack, "a@b.example"));
            assert_eq!(names(&headers(&mail)), names(&expected), "{attack:?}");
        }
        for address in [
            "a@b.example\r\nBcc: v@example.com",
            "a\r\nBcc: v@example.com",
            "a@b.example>, <v@example.com",
            "a b@c.example",
            "\u{0}@c.example",
            "a@",
            "@b.example",
            "",
            "-oQ/tmp",
            "a@b.example, v@example.com",
        ] {
            for (to, from) in [(address, "a@b.example"), ("ann@example.com", address)] {
                let refused = letter(&Message::new(to, "s", "h"), &meta("x", from), Timestamp(0)).err();
                assert!(refused.is_some_and(|cause| cause.permanent), "{address:?}");
            }
        }
    }

    #[test]
    fn marks_become_headers_or_nothing() {
        let marked = |marks: Marks| {
            let message = Message { marks, ..Message::new("ann@example.com", "s", "x") };
            headers(&written(&message, &meta("x", "a@b.example")))
        };
        let url = format!("https://app.example/base/api/notify/unsubscribe/{}", "abc_-".repeat(80));
        let (id, thread) = ("d1.x_y-z".to_owned(), "t1".to_owned());
        let all = marked(Marks { id, thread, unsubscribe: url.clone() });
        for line in [
            "Message-ID: <d1.x_y-z@b.example>".to_owned(),
            "In-Reply-To: <t1@b.example>".to_owned(),
            "References: <t1@b.example>".to_owned(),
            format!("List-Unsubscribe: <{url}>"),
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click".to_owned(),
        ] {
            assert_eq!(all.iter().filter(|it| **it == line).count(), 1, "{line}: {all:?}");
        }
        let plain = marked(Marks::default()).len();
        let long = format!("https://x.y/{}", "a".repeat(1000));
        for bad in
            ["", "a\r\nBcc: v@example.com", "a b", "a>, <b", "é", "javascript:alert(1)", "mailto:a@b.c", long.as_str()]
        {
            let marks = Marks { id: bad.to_owned(), thread: bad.to_owned(), unsubscribe: bad.to_owned() };
            assert_eq!(marked(marks).len(), plain, "{bad:?}");
        }
        let odd = marked(Marks { unsubscribe: "https://x.y/\r\nBcc: v>é".to_owned(), ..Marks::default() });
        assert!(odd.iter().all(|line| line.is_ascii() && !line.starts_with("Bcc")), "{odd:?}");
    }

    #[test]
    fn domains_travel_in_ascii() {
        for (to, expected, foreign) in [
            ("ann@bücher.example", "ann@xn--bcher-kva.example", false),
            ("ann@EXAMPLE.com", "ann@EXAMPLE.com", false),
            ("änn@bücher.example", "änn@xn--bcher-kva.example", true),
        ] {
            let letter = letter(&Message::new(to, "s", "h"), &meta("x", "a@b.example"), Timestamp(0)).unwrap();
            assert_eq!(letter.envelope.to()[0].as_ref() as &str, expected);
            assert_eq!(!letter.envelope.to()[0].user().is_ascii(), foreign, "{to}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(subject(&"é".repeat(MAX_SUBJECT)).len(), MAX_SUBJECT);
        let long = Message::new("ann@example.com", "s", &"x".repeat(MAX_BODY));
        assert!(letter(&long, &meta("x", "a@b.example"), Timestamp(0)).is_err());
    }
}
