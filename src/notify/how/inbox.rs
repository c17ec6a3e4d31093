//! What lies in somebody's inbox: a row of `_inbox` (`docs/notifications.md`). It is in the house, so no transport takes
//! it: the row is written in the transaction that settles its delivery.

use serde_json::Value as Json;

use super::{Letter, Ticket};
use crate::db::Value;

/// Bytes of title and text that the collection takes (`schema/bootstrap/notify.rs`), which counts characters.
const MAX_TITLE: usize = 1024;
const MAX_BODY: usize = 100_000;
const MAX_LINK: usize = 5000;

/// The columns of the row, for whoever writes it. Unread, neither archived nor snoozed.
pub fn columns(letter: &Letter, ticket: &Ticket) -> [(&'static str, Value); 9] {
    let (collection, record, _) = ticket.recipient.columns();
    let text = |text: &str| Value::Text(text.to_owned());
    // An inbox shows text. A letter that has none but HTML is read as one.
    let body = match letter.body.is_empty() && !letter.html.is_empty() {
        true => crate::mail::text_from_html(&letter.html).trim_end().to_owned(),
        false => letter.body.clone(),
    };
    let data = match letter.data.is_empty() {
        true => "null".to_owned(),
        false => Json::Object(letter.data.clone()).to_string(),
    };
    [
        ("collectionRef", text(collection)),
        ("recordRef", text(record)),
        ("notification", text(&ticket.notification)),
        ("delivery", text(&ticket.delivery)),
        ("category", text(&letter.category)),
        ("title", text(cut(&letter.title, MAX_TITLE))),
        ("body", text(cut(&body, MAX_BODY))),
        ("link", text(if letter.link.len() <= MAX_LINK { &letter.link } else { "" })),
        ("data", Value::Text(data)),
    ]
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notify::who::Recipient;

    #[test]
    fn a_row_says_what_the_letter_says() {
        let recipient = Recipient::Account { collection: "users".into(), record: "ann".into() };
        let ticket = Ticket { delivery: "d1".into(), notification: "n1".into(), recipient, attempt: 1 };
        let shown = |letter: &Letter| -> Vec<String> {
            let value = |(name, value): (&str, Value)| match value {
                Value::Text(text) => format!("{name}={text}"),
                other => format!("{name}={other:?}"),
            };
            columns(letter, &ticket).into_iter().map(value).collect()
        };
        let data = json!({"a": 1}).as_object().unwrap().clone();
        let letter = Letter {
            title: "t".into(),
            body: "b".into(),
            link: "/l".into(),
            category: "c".into(),
            data,
            ..Letter::default()
        };
        assert_eq!(
            shown(&letter),
            [
                "collectionRef=users",
                "recordRef=ann",
                "notification=n1",
                "delivery=d1",
                "category=c",
                "title=t",
                "body=b",
                "link=/l",
                "data={\"a\":1}"
            ]
        );
        let long = Letter {
            title: "é".repeat(1000),
            html: "<p>a<br>b</p>".into(),
            link: "x".repeat(6000),
            ..Letter::default()
        };
        let row = shown(&long);
        assert_eq!(
            (row[5].len(), row[6].as_str(), row[7].as_str(), row[8].as_str()),
            (6 + 1024, "body=a\nb", "link=", "data=null")
        );
    }
}
