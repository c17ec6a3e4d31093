//! The five mails of accounts: a collection's template filled in (`docs/wire/auth.md` §10).

use rusqlite::types::ValueRef;

use super::{Marks, Message, layout, text};
use crate::{
    db::Row,
    schema::{
        Collection, FieldKind,
        auth_options::{AuthOptions, EmailTemplate},
    },
    settings::Settings,
};

/// A value is cut off after this many bytes: a mail is no place for more.
const MAX_VALUE: usize = 16 * 1024;
/// All values of one text together, in bytes; those beyond are blank.
const MAX_VALUES: usize = 256 * 1024;
/// The longest name of a placeholder: `RECORD:` and a field's name.
const MAX_NAME: usize = 7 + 100;

/// Which mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Template {
    Verification,
    PasswordReset,
    EmailChange,
    Otp,
    LoginAlert,
}

impl Template {
    pub const ALL: [Self; 5] =
        [Self::Verification, Self::PasswordReset, Self::EmailChange, Self::Otp, Self::LoginAlert];

    /// The wire's name (`docs/wire/services.md` §4.4).
    pub fn as_str(self) -> &'static str {
        match self {
            Template::Verification => "verification",
            Template::PasswordReset => "password-reset",
            Template::EmailChange => "email-change",
            Template::Otp => "otp",
            Template::LoginAlert => "login-alert",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.as_str() == name)
    }

    /// Its subject and body in an auth collection.
    fn of(self, options: &AuthOptions) -> &EmailTemplate {
        match self {
            Template::Verification => &options.verification_template,
            Template::PasswordReset => &options.reset_password_template,
            Template::EmailChange => &options.confirm_email_change_template,
            Template::Otp => &options.otp.email_template,
            Template::LoginAlert => &options.auth_alert.email_template,
        }
    }
}

/// What a mail carries besides the record: the values of its own placeholders.
#[derive(Clone, Copy)]
pub enum Fill<'a> {
    /// `{TOKEN}`
    Token(&'a str),
    /// `{OTP}` and `{OTP_ID}`
    Otp { code: &'a str, id: &'a str },
    /// `{ALERT_INFO}`: when, from where, with what
    Alert(&'a str),
}

/// The mail that `collection` (an auth collection, else it is blank) sends to `to` about the record in `row`.
pub fn compose(
    template: Template,
    collection: &Collection,
    row: &Row,
    to: &str,
    fill: Fill<'_>,
    settings: &Settings,
) -> Message {
    let Some(options) = collection.auth() else { return Message::new(to, "", "") };
    let EmailTemplate { subject, body } = template.of(options);
    let values = Values { collection, row, fill, settings };
    let body = expand(body, |name| values.get(name, Medium::Html));
    Message {
        to: to.to_owned(),
        subject: expand(subject, |name| values.get(name, Medium::Subject)),
        text: text::from_html(&body),
        html: layout::wrap(body),
        template: Some(template),
        marks: Marks::default(),
    }
}

/// What a text is going to be, as far as escaping is concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Medium {
    Html,
    Subject,
}

struct Values<'a> {
    collection: &'a Collection,
    row: &'a Row,
    fill: Fill<'a>,
    settings: &'a Settings,
}

impl Values<'_> {
    /// What stands for `{name}`; `None` when the mail does not know it.
    fn get(&self, name: &str, medium: Medium) -> Option<String> {
        // The owner's own words. A subject is no HTML, so only the body escapes them.
        let owners = |text: &str| match medium {
            Medium::Html => escaped(cut(text)),
            Medium::Subject => cut(text).to_owned(),
        };
        match (name, self.fill) {
            ("APP_NAME", _) => Some(owners(&self.settings.meta.app_name)),
            ("APP_URL", _) => Some(owners(self.settings.meta.app_url.trim_end_matches('/'))),
            ("TOKEN", Fill::Token(token)) => Some(escaped(cut(token))),
            ("OTP", Fill::Otp { code, .. }) => Some(escaped(cut(code))),
            ("OTP_ID", Fill::Otp { id, .. }) => Some(escaped(cut(id))),
            ("ALERT_INFO", Fill::Alert(info)) => Some(escaped(cut(info))),
            _ => self.field(name.strip_prefix("RECORD:")?),
        }
    }

    /// A field of the record, HTML-escaped in subjects too: that is what the wire does. Hidden fields, and secrets
    /// whatever their settings say, are unknown.
    fn field(&self, name: &str) -> Option<String> {
        let field = self.collection.field(name)?;
        if field.hidden || name == "tokenKey" || matches!(field.kind, FieldKind::Password(_)) {
            return None;
        }
        let kind = field.kind.as_type();
        let zero;
        let value = match self.row.get(name) {
            Some(value) => value,
            None => {
                zero = kind.zero();
                &zero
            }
        };
        // A list has no text of its own.
        if kind.is_multiple() {
            return Some(String::new());
        }
        let mut json = Vec::new();
        kind.write_json(ValueRef::from(value), &mut json);
        let json = String::from_utf8_lossy(&json).into_owned();
        Some(match &field.kind {
            FieldKind::Number(_) | FieldKind::Bool(_) => json,
            FieldKind::Date(_) | FieldKind::Autodate(_) => unquoted(json),
            FieldKind::Json(_) | FieldKind::GeoPoint(_) => escaped(cut(&json)),
            _ => escaped(cut(&unquoted(json))),
        })
    }
}

/// The text of a JSON string; anything else as it is.
fn unquoted(json: String) -> String {
    serde_json::from_str::<String>(&json).unwrap_or(json)
}

/// At most [`MAX_VALUE`] bytes of `text`.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_VALUE)]
}

/// `text` with the five characters that mean something in HTML spelt as the wire spells them.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// `template` with its placeholders replaced in one pass: what a value says is never looked at again, so nobody can
/// smuggle a placeholder in through a field. Unknown ones stay verbatim.
fn expand(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len());
    let (mut rest, mut left) = (template, MAX_VALUES);
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        match placeholder(rest).and_then(|name| Some((name, value(name)?))) {
            Some((name, value)) => {
                if value.len() <= left {
                    left -= value.len();
                    out.push_str(&value);
                }
                rest = &rest[name.len() + 2..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The name in the braces that `text` begins with.
fn placeholder(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?;
    let length = inner.bytes().take(MAX_NAME).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'));
    let name = &inner[..length.count()];
    inner[name.len()..].starts_with('}').then_some(name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        db::Value,
        schema::{Field, collection::Options},
    };

    fn collection(body: &str, subject: &str) -> Collection {
        let mut options = AuthOptions::default();
        let template = EmailTemplate { subject: subject.to_owned(), body: body.to_owned() };
        for slot in [
            &mut options.verification_template,
            &mut options.reset_password_template,
            &mut options.confirm_email_change_template,
            &mut options.otp.email_template,
            &mut options.auth_alert.email_template,
        ] {
            *slot = template.clone();
        }
        let mut collection = Collection::new("c", "users", Options::Auth(Box::new(options)));
        for (name, hidden, json) in [
            ("id", false, json!({"type": "text"})),
            ("password", false, json!({"type": "password"})),
            ("tokenKey", false, json!({"type": "text"})),
            ("email", false, json!({"type": "email"})),
            ("name", false, json!({"type": "text"})),
            ("secret", true, json!({"type": "text"})),
            ("n", false, json!({"type": "number"})),
            ("b", false, json!({"type": "bool"})),
            ("d", false, json!({"type": "date"})),
            ("j", false, json!({"type": "json"})),
            ("one", false, json!({"type": "select", "values": ["<"], "maxSelect": 1})),
            ("many", false, json!({"type": "select", "values": ["<", ">"], "maxSelect": 2})),
            ("g", false, json!({"type": "geoPoint"})),
        ] {
            let mut field = Field::from_json(json.as_object().unwrap()).unwrap();
            (field.name, field.hidden) = (name.to_owned(), hidden);
            collection.fields.push(field);
        }
        collection
    }

    fn row(name: &str) -> Row {
        let text = |text: &str| Value::Text(text.to_owned());
        let values = [
            ("id", text("r1")),
            ("password", text("$hash")),
            ("tokenKey", text("key")),
            ("email", text("o'b@example.com")),
            ("name", text(name)),
            ("secret", text("s")),
            ("n", Value::Real(1.5)),
            ("b", Value::Integer(1)),
            ("d", text("2024-01-02 03:04:05.678Z")),
            ("j", text(r#"{"a":"<"}"#)),
            ("one", text("<")),
            ("many", text(r#"["<",">"]"#)),
            ("g", text(r#"{"lon":1.5,"lat":2}"#)),
        ];
        let (columns, values): (Vec<Arc<str>>, Vec<Value>) =
            values.into_iter().map(|(column, value)| (Arc::from(column), value)).unzip();
        Row { columns: columns.into(), values }
    }

    fn settings() -> Settings {
        let mut settings = Settings::fresh();
        settings.meta.app_name = "A & <B>".to_owned();
        settings.meta.app_url = "https://app.test/".to_owned();
        settings
    }

    /// Subject and body (without its frame) of a text in both places.
    fn filled(template: Template, text: &str, name: &str, fill: Fill<'_>) -> (String, String) {
        let mail = compose(template, &collection(text, text), &row(name), "to@example.com", fill, &settings());
        assert_eq!((mail.to.as_str(), mail.template), ("to@example.com", Some(template)));
        let body = mail.html.split_once("role=\"article\">\n").unwrap().1.rsplit_once("\n</div>").unwrap().0;
        (mail.subject, body.to_owned())
    }

    #[test]
    fn placeholders_stand_for_what_the_wire_says() {
        let token = Fill::Token("T");
        for (text, expected) in [
            ("", ""),
            ("{TOKEN}{TOKEN}", "TT"),
            ("{OTP} {OTP_ID} {ALERT_INFO}", "{OTP} {OTP_ID} {ALERT_INFO}"),
            ("{APP_URL}/_/#/auth/confirm-verification/{TOKEN}", "https://app.test/_/#/auth/confirm-verification/T"),
            ("{RECORD:id} {RECORD:email}", "r1 o&#39;b@example.com"),
            ("{RECORD:n} {RECORD:b} {RECORD:d}", "1.5 true 2024-01-02 03:04:05.678Z"),
            ("{RECORD:j}", "{&#34;a&#34;:&#34;&lt;&#34;}"),
            ("{RECORD:g}", "{&#34;lon&#34;:1.5,&#34;lat&#34;:2}"),
            ("[{RECORD:one}] [{RECORD:many}]", "[&lt;] []"),
            // Secrets and what is not there stay as they were written.
            (
                "{RECORD:secret} {RECORD:password} {RECORD:tokenKey}",
                "{RECORD:secret} {RECORD:password} {RECORD:tokenKey}",
            ),
            ("{RECORD:nope} {RECORD:} {RECORD:collectionId}", "{RECORD:nope} {RECORD:} {RECORD:collectionId}"),
            ("{token} {RECORD:NAME} { TOKEN } {}", "{token} {RECORD:NAME} { TOKEN } {}"),
            // Braces of all kinds.
            ("{{TOKEN}} {TOKEN", "{T} {TOKEN"),
            ("{é{TOKEN}é}", "{éTé}"),
            ("a{b:c}{d", "a{b:c}{d"),
        ] {
            let found = filled(Template::Verification, text, "Ann", token);
            assert_eq!((found.0.as_str(), found.1.as_str()), (expected, expected), "{text}");
        }
        let otp = Fill::Otp { code: "123456", id: "i" };
        assert_eq!(filled(Template::Otp, "{OTP} {OTP_ID} {TOKEN}", "Ann", otp).1, "123456 i {TOKEN}");
        let alert = Fill::Alert("<b>UA</b>");
        assert_eq!(filled(Template::LoginAlert, "{ALERT_INFO}", "Ann", alert).1, "&lt;b&gt;UA&lt;/b&gt;");
    }

    #[test]
    fn the_owners_name_is_text_in_both_places() {
        let (subject, body) = filled(Template::PasswordReset, "{APP_NAME}", "Ann", Fill::Token("T"));
        assert_eq!((subject.as_str(), body.as_str()), ("A & <B>", "A &amp; &lt;B&gt;"));
    }

    #[test]
    fn a_value_is_never_read_as_a_template() {
        for name in ["{TOKEN}", "{RECORD:email}", "{RECORD:name}", "{", "{TOKEN", "<i>{APP_NAME}</i>"] {
            let (_, body) = filled(Template::EmailChange, "{{RECORD:name}}{TOKEN}", name, Fill::Token("T"));
            assert_eq!(body, format!("{{{}}}T", escaped(name)));
        }
        // Not even when it is put together with what stands around it.
        let (_, body) = filled(Template::EmailChange, "{RECORD:name}EN}", "{TOK", Fill::Token("T"));
        assert_eq!(body, "{TOKEN}");
    }

    #[test]
    fn values_are_bounded() {
        let long = "é<".repeat(MAX_VALUE);
        let many = "{RECORD:name}".repeat(100);
        let (subject, body) = filled(Template::Verification, &many, &long, Fill::Token("T"));
        assert!(body.len() <= MAX_VALUES && subject.len() <= MAX_VALUES, "{}", body.len());
        let (_, one) = filled(Template::Verification, "{RECORD:name}", &long, Fill::Token("T"));
        assert!((MAX_VALUE..MAX_VALUE * 3).contains(&one.len()) && one.starts_with("é&lt;é&lt;"));
    }

    #[test]
    fn the_text_says_what_the_page_says() {
        let body = "<p>Hello {RECORD:name},</p><p><a href=\"{APP_URL}/x/{TOKEN}\">Go &amp; see</a></p>";
        let fill = Fill::Token("T");
        let mail =
            compose(Template::Verification, &collection(body, "s"), &row("A <b>"), "to@example.com", fill, &settings());
        assert_eq!(mail.text, "Hello A <b>,\n\nGo & see (https://app.test/x/T)\n");
    }

    #[test]
    fn names_of_templates_are_the_wires() {
        for template in Template::ALL {
            assert_eq!(Template::parse(template.as_str()), Some(template));
        }
        assert_eq!(Template::parse("OTP"), None);
        // No mails for those who have no accounts.
        let base = Collection::new("c", "posts", Options::Base);
        let mail = compose(Template::Otp, &base, &row("x"), "to@example.com", Fill::Token("T"), &settings());
        assert_eq!((mail.subject.as_str(), mail.html.as_str()), ("", ""));
    }
}
