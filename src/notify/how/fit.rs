//! Letters cut to the bytes that a provider takes.

use serde_json::{Map, Value as Json};

use super::Letter;

/// A body is not cut below so many bytes for the sake of the data.
const BODY_FLOOR: usize = 400;
/// What a title may take when not everything fits.
const TITLE_ROOM: usize = 600;
/// And a link, which is useless when cut.
const LINK_ROOM: usize = 1500;

/// What of a letter is sent.
#[derive(Debug, Default)]
pub struct Fitted {
    pub title: String,
    pub body: String,
    pub link: String,
    pub data: Map<String, Json>,
    /// Not everything fitted.
    pub cut: bool,
    /// Only identifier, title and body fit.
    pub bare: bool,
}

impl Fitted {
    /// As much of the letter as fits in `most` bytes; `length` tells how many the whole message takes.
    ///
    /// If not everything fits, first the body is shortened, down to [`BODY_FLOOR`]; then the data is left out, then the
    /// title shortened, then a long link left out; what gets free is the body's again.
    pub fn new(letter: &Letter, most: usize, length: impl Fn(&Self) -> usize) -> Self {
        let (title, body) = (letter.title.clone(), letter.body.clone());
        let mut this = Self { title, body, link: letter.link.clone(), data: letter.data.clone(), ..Self::default() };
        if length(&this) <= most {
            return this;
        }
        (this.cut, this.body) = (true, String::new());
        let floor = json_length(&letter.body).min(BODY_FLOOR);
        let steps: [fn(&mut Self); 5] = [
            |_| {},
            |this| this.data = Map::new(),
            |this| this.title = cut(&this.title, TITLE_ROOM),
            |this| {
                if json_length(&this.link) > LINK_ROOM {
                    this.link = String::new();
                }
            },
            // Categories and keys are short: nobody writes such a letter by hand.
            |this| this.bare = true,
        ];
        let mut room = 0;
        for step in steps {
            step(&mut this);
            room = most.saturating_sub(length(&this));
            if room >= floor && room > 0 {
                break;
            }
        }
        this.body = cut(&letter.body, room);
        this
    }
}

/// What stands where something was cut off.
const ELLIPSIS: &str = "…";

/// The bytes of a text inside JSON, without its quotes.
fn json_length(text: &str) -> usize {
    text.chars().map(json_width).sum()
}

fn json_width(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    }
}

/// The text if it takes at most `room` bytes inside JSON; else as many of its first characters as fit with an ellipsis,
/// nothing if not even that fits.
fn cut(text: &str, room: usize) -> String {
    if json_length(text) <= room {
        return text.to_owned();
    }
    let Some(mut left) = room.checked_sub(ELLIPSIS.len()) else { return String::new() };
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let Some(rest) = left.checked_sub(json_width(c)) else { break };
        (left, end) = (rest, at + c.len_utf8());
    }
    format!("{}{ELLIPSIS}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_serialiser() {
        let all: String = (0..0x250).filter_map(char::from_u32).chain(['€', '😀', '\u{2028}', '\u{7f}']).collect();
        for c in all.chars() {
            let text = c.to_string();
            assert_eq!(json_length(&text), serde_json::to_string(&text).unwrap().len() - 2, "{c:?}");
        }
    }

    #[test]
    fn texts_end_at_a_character() {
        for (text, room, expected) in [
            ("abc", 3, "abc"),
            ("abcdef", 5, "ab…"),
            ("abcd", 3, "…"),
            ("abcd", 2, ""),
            ("äöüß", 7, "äö…"),
            ("äöüß", 6, "ä…"),
            ("a\n\n\nb", 6, "a\n…"),
            ("😀😀", 7, "😀…"),
            ("", 0, ""),
        ] {
            assert_eq!(cut(text, room), expected, "{text:?} {room}");
            assert!(json_length(&cut(text, room)) <= room);
        }
    }

    fn render(fitted: &Fitted) -> usize {
        let Fitted { title, body, link, data, bare, .. } = fitted;
        let more = if *bare { serde_json::json!({}) } else { serde_json::json!({ "link": link, "data": data }) };
        serde_json::json!({ "title": title, "body": body, "more": more }).to_string().len()
    }

    fn fitted(title: usize, body: usize, link: usize, data: usize) -> Fitted {
        let mut letter =
            Letter { title: "ä".repeat(title), body: "\"".repeat(body), link: "l".repeat(link), ..Letter::default() };
        letter.data.insert("x".to_owned(), "d".repeat(data).into());
        let fitted = Fitted::new(&letter, 4000, render);
        assert!(render(&fitted) <= 4000, "{}", render(&fitted));
        fitted
    }

    #[test]
    fn the_body_yields_first_then_the_data_then_the_title_then_the_link() {
        let whole = fitted(10, 10, 10, 10);
        assert_eq!((whole.body.len(), whole.data.len(), whole.cut), (10, 1, false));
        let body = fitted(10, 5000, 10, 2000);
        assert!(body.cut && body.data.len() == 1 && (200..1000).contains(&body.body.chars().count()));
        let data = fitted(10, 5000, 10, 3700);
        assert!(data.data.is_empty() && data.body.len() > 1800 && data.body.ends_with('…'));
        let title = fitted(3000, 300, 1000, 10);
        assert!((500..=TITLE_ROOM).contains(&title.title.len()) && title.body.len() == 300 && title.link.len() == 1000);
        let link = fitted(3000, 300, 9000, 10);
        assert!(link.link.is_empty() && link.body.len() == 300 && !link.bare);
    }
}
