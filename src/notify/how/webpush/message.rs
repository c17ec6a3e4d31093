//! What the service worker gets.

use serde_json::{Value as Json, json};

use crate::notify::how::{Letter, Ticket, fit::Fitted};

/// The JSON `{id, title, body, link, data, category, tag, receipt}` in at most `most` bytes; what is blank is left out, but
/// for the title and the body. `id` is the delivery's, the same when it is sent again; `tag` is the collapse key. If the
/// letter had to be cut ([`Fitted::new`] says how), `cut` is `true`, and the rest is to be had in the inbox.
pub fn compose(letter: &Letter, ticket: &Ticket, most: usize) -> Vec<u8> {
    let fitted = Fitted::new(letter, most, |fitted| render(fitted, letter, ticket).len());
    render(&fitted, letter, ticket).into_bytes()
}

fn render(fitted: &Fitted, letter: &Letter, ticket: &Ticket) -> String {
    let mut json = json!({ "id": ticket.delivery, "title": fitted.title, "body": fitted.body });
    let mut put = |name: &str, blank: bool, value: Json| {
        if !blank && !fitted.bare {
            json[name] = value;
        }
    };
    put("link", fitted.link.is_empty(), fitted.link.clone().into());
    put("data", fitted.data.is_empty(), fitted.data.clone().into());
    put("category", letter.category.is_empty(), letter.category.clone().into());
    put("tag", letter.collapse.is_empty(), letter.collapse.clone().into());
    put("receipt", letter.receipt.is_empty(), letter.receipt.clone().into());
    put("cut", !fitted.cut, true.into());
    json.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::how::{testing::ticket, webpush::encrypt::MAX_MESSAGE};

    fn composed(letter: &Letter) -> Json {
        let bytes = compose(letter, &ticket(), MAX_MESSAGE);
        assert!(bytes.len() <= MAX_MESSAGE, "{}", bytes.len());
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn what_fits_is_whole() {
        let mut letter = Letter { title: "T".to_owned(), body: "b".to_owned(), ..Letter::default() };
        assert_eq!(composed(&letter), json!({"id": "d1", "title": "T", "body": "b"}));
        letter.data.insert("x".to_owned(), json!([1]));
        let letter = Letter {
            link: "/x".to_owned(),
            category: "news".to_owned(),
            collapse: "k".to_owned(),
            receipt: "https://a.b/r".to_owned(),
            ..letter
        };
        let expected = json!({"id": "d1", "title": "T", "body": "b", "link": "/x", "data": {"x": [1]},
            "category": "news", "tag": "k", "receipt": "https://a.b/r"});
        assert_eq!(composed(&letter), expected);
    }

    #[test]
    fn whatever_is_long_something_arrives() {
        let long = |text: &str| text.repeat(9000);
        let letter = Letter { title: long("\0"), body: long("😀"), link: long("l"), ..Letter::default() };
        let json = composed(&letter);
        assert!(json["cut"] == true && json.get("link").is_none() && json["body"].as_str().unwrap().len() > 3000);
        let letter = Letter { category: long("c"), collapse: long("k"), receipt: long("r"), ..letter };
        assert!(composed(&letter)["body"].as_str().unwrap().len() > 3000);
    }
}
