//! The page around a mail's body: plain, readable in light and dark, without anything from elsewhere.

const LAYOUT: &str = include_str!("../../assets/emails/layout.html");
const PLACE: &str = "<!-- body -->";

/// `body` within the layout. A body that is a whole page already stays as it is.
pub fn wrap(body: String) -> String {
    let start = body.trim_start().as_bytes();
    let begins = |with: &str| start.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()));
    if begins("<!doctype") || begins("<html") {
        return body;
    }
    let (before, after) = LAYOUT.split_once(PLACE).expect("the layout is ours and has a place for the body");
    [before, &body, after].concat()
}

/// `page` with `piece` at the end of its body: before the last `</body>`, else before the last `</html>`, else at its end.
pub fn before_end(mut page: String, piece: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let at = ["</body", "</html"].iter().find_map(|tag| lower.rfind(tag)).unwrap_or(page.len());
    page.insert_str(at, piece);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_framed_once() {
        let framed = wrap("<p>é <!-- body --></p>".to_owned());
        assert!(framed.starts_with("<!doctype html>") && framed.contains("\n<p>é <!-- body --></p>\n"), "{framed}");
        for whole in ["<!DOCTYPE html><p>x", "  <html lang=de><p>x", "\n<html>aaé", "\n<HTML>"] {
            assert_eq!(wrap(whole.to_owned()), whole);
        }
        for part in ["", "é", "12345678é0", "<htm"] {
            assert!(wrap(part.to_owned()).starts_with("<!doctype html>"), "{part}");
        }
    }

    #[test]
    fn pieces_go_to_the_end_of_the_body() {
        for (page, expected) in [
            ("<html><body>é</BODY ></html>", "<html><body>é!</BODY ></html>"),
            ("<html>é</html>", "<html>é!</html>"),
            ("é", "é!"),
            ("", "!"),
        ] {
            assert_eq!(before_end(page.to_owned(), "!"), expected);
        }
    }

    #[test]
    fn the_layout_needs_nothing_from_elsewhere() {
        for forbidden in ["http:", "https:", "src=", "url(", "@import", "<script", "<link"] {
            assert!(!LAYOUT.contains(forbidden), "{forbidden}");
        }
        assert_eq!(LAYOUT.matches(PLACE).count(), 1);
    }
}
