//! The plain-text alternative of a mail, made from its HTML.
//!
//! Not a browser: a single pass over tags that knows blocks, line breaks, list items and links. Whatever a template
//! holds, it takes time in proportion to its length and never fails.

use crate::entities;

/// The texts of these elements are not for reading.
const SILENT: [&str; 5] = ["head", "style", "script", "title", "template"];
/// What looks like tags within these is none.
const RAW: [&str; 3] = ["style", "script", "title"];
/// A line of its own.
const LINES: [&str; 12] =
    ["div", "tr", "li", "dt", "dd", "header", "footer", "section", "article", "main", "caption", "address"];
/// A blank line before and after.
const BLOCKS: [&str; 15] =
    ["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre", "figure", "form"];

/// A piece of HTML.
enum Piece<'a> {
    Text(&'a str),
    Tag(Tag<'a>),
}

struct Tag<'a> {
    name: String,
    closing: bool,
    attributes: &'a str,
}

/// Links of `html` in their order: the targets of its anchors, entities decoded.
pub fn targets(html: &str) -> impl Iterator<Item = String> {
    Pieces(html).filter_map(|piece| match piece {
        Piece::Tag(tag) if tag.name == "a" && !tag.closing => tag.attribute("href"),
        _ => None,
    })
}

/// `html` with the targets of its anchors replaced where `replace` has another for them. It is asked with the decoded
/// target; everything else stays as it is, byte for byte.
pub fn rewrite_links(html: &str, mut replace: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(html.len() + 1024);
    let mut copied = 0;
    for piece in Pieces(html) {
        let Piece::Tag(tag) = piece else { continue };
        if tag.name != "a" || tag.closing {
            continue;
        }
        let Some(value) = tag.raw_attribute("href") else { continue };
        let target = decoded(value).trim().to_owned();
        let Some(new) = replace(&target).filter(|_| !target.is_empty()) else { continue };
        // A slice of `html`, so this is its place.
        let start = value.as_ptr() as usize - html.as_ptr() as usize;
        out.push_str(&html[copied..start]);
        // Escaped for a value without quotes, too.
        for letter in new.chars() {
            match letter {
                '&' => out.push_str("&amp;"),
                '"' => out.push_str("%22"),
                '\'' => out.push_str("%27"),
                '<' => out.push_str("%3C"),
                '>' => out.push_str("%3E"),
                '`' => out.push_str("%60"),
                letter if letter.is_whitespace() || letter.is_control() => {}
                letter => out.push(letter),
            }
        }
        copied = start + value.len();
    }
    out.push_str(&html[copied..]);
    out
}

/// `html` as people read it in a terminal. Links become `text (target)`.
pub fn from_html(html: &str) -> String {
    let mut page = Page::default();
    let mut silent: Option<String> = None;
    for piece in Pieces(html) {
        match piece {
            Piece::Tag(tag) if silent.as_deref() == Some(tag.name.as_str()) && tag.closing => silent = None,
            _ if silent.is_some() => {}
            Piece::Tag(tag) if SILENT.contains(&tag.name.as_str()) && !tag.closing => silent = Some(tag.name),
            Piece::Tag(tag) => page.tag(&tag),
            Piece::Text(text) => page.text(&decoded(text)),
        }
    }
    page.finish()
}

/// The text so far.
#[derive(Default)]
struct Page {
    out: String,
    /// White space that is due before the next word: newlines, else a blank.
    newlines: usize,
    blank: bool,
    /// The open link: where its text begins, and its target.
    link: Option<(usize, String)>,
}

impl Page {
    fn text(&mut self, text: &str) {
        for letter in text.chars() {
            if letter.is_whitespace() && letter != '\u{a0}' {
                self.blank = true;
            } else if !letter.is_control() {
                self.space();
                self.out.push(if letter == '\u{a0}' { ' ' } else { letter });
            }
        }
    }

    /// Writes the white space that is due.
    fn space(&mut self) {
        if self.out.is_empty() {
            // Nothing to keep apart.
        } else if self.newlines > 0 {
            self.out.extend(std::iter::repeat_n('\n', self.newlines));
        } else if self.blank && !self.out.ends_with(['\n', ' ']) {
            self.out.push(' ');
        }
        (self.newlines, self.blank) = (0, false);
    }

    fn line_break(&mut self, newlines: usize) {
        self.newlines = self.newlines.max(newlines);
    }

    fn tag(&mut self, tag: &Tag<'_>) {
        match tag.name.as_str() {
            "br" => self.newlines = (self.newlines + 1).min(2),
            "hr" => {
                self.line_break(1);
                self.text("---");
                self.line_break(1);
            }
            "td" | "th" => self.blank = true,
            "img" => self.text(&tag.attribute("alt").unwrap_or_default()),
            "a" => self.anchor(tag),
            "li" if !tag.closing => {
                self.line_break(1);
                self.text("- ");
            }
            name if BLOCKS.contains(&name) => self.line_break(2),
            name if LINES.contains(&name) => self.line_break(1),
            _ => {}
        }
    }

    fn anchor(&mut self, tag: &Tag<'_>) {
        self.end_link();
        if !tag.closing
            && let Some(target) = tag.attribute("href").filter(|target| !target.starts_with('#'))
        {
            self.link = Some((self.out.len(), target));
        }
    }

    /// Puts the target behind the link's text, unless that is the target already.
    fn end_link(&mut self) {
        let Some((start, target)) = self.link.take() else { return };
        let said = self.out[start..].trim();
        if said.is_empty() {
            self.text(&target);
        } else if said != target && target.strip_prefix("mailto:") != Some(said) {
            self.out.push_str(" (");
            self.out.extend(target.chars().filter(|letter| !letter.is_control()));
            self.out.push(')');
        }
    }

    fn finish(mut self) -> String {
        self.end_link();
        let length = self.out.trim_end().len();
        self.out.truncate(length);
        self.out.push('\n');
        self.out
    }
}

/// Splits HTML into texts and tags. A `<` that begins no tag is text; comments and declarations are left out.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            let rest = self.0;
            let Some(inner) = rest.strip_prefix('<') else {
                let end = rest.find('<').unwrap_or(rest.len());
                self.0 = &rest[end..];
                return (end > 0).then(|| Piece::Text(&rest[..end]));
            };
            if let Some(comment) = inner.strip_prefix("!--") {
                self.0 = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            } else if inner.starts_with(['!', '?']) {
                self.0 = inner.find('>').map_or("", |end| &inner[end + 1..]);
            } else if let Some((tag, after)) = Tag::parse(inner) {
                self.0 =
                    if !tag.closing && RAW.contains(&tag.name.as_str()) { raw_end(after, &tag.name) } else { after };
                return Some(Piece::Tag(tag));
            } else {
                let end = inner.find('<').map_or(rest.len(), |end| end + 1);
                self.0 = &rest[end..];
                return Some(Piece::Text(&rest[..end]));
            }
        }
    }
}

/// `text` from the closing tag of `name` on; nothing when there is none.
fn raw_end<'a>(text: &'a str, name: &str) -> &'a str {
    let closes = |at: usize| text[at + 2..].get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name));
    text.match_indices("</").find(|&(at, _)| closes(at)).map_or("", |(at, _)| &text[at..])
}

impl<'a> Tag<'a> {
    /// The tag that begins right before `inner`, and what comes after it.
    fn parse(inner: &'a str) -> Option<(Self, &'a str)> {
        let (closing, inner) = match inner.strip_prefix('/') {
            Some(inner) => (true, inner),
            None => (false, inner),
        };
        let length = inner.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if !inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let (name, rest) = inner.split_at(length);
        let mut quote = None;
        let end = rest.bytes().position(|byte| match quote {
            Some(open) => {
                if byte == open {
                    quote = None;
                }
                false
            }
            None => {
                if matches!(byte, b'"' | b'\'') {
                    quote = Some(byte);
                }
                byte == b'>'
            }
        });
        let (attributes, after) = match end {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            // Never closed: the rest is its attributes.
            None => (rest, ""),
        };
        Some((Self { name: name.to_ascii_lowercase(), closing, attributes }, after))
    }

    /// The decoded value of an attribute that has one.
    fn attribute(&self, wanted: &str) -> Option<String> {
        let value = self.raw_attribute(wanted)?;
        Some(decoded(value).trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The same as it stands there, without its quotes.
    fn raw_attribute(&self, wanted: &str) -> Option<&'a str> {
        let mut rest = self.attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/' || c == '=');
            let end = rest.find(|c: char| c.is_whitespace() || c == '=')?;
            let (name, after) = rest.split_at(end);
            let Some(value) = after.trim_start().strip_prefix('=') else {
                rest = after;
                continue;
            };
            let value = value.trim_start();
            let (value, after) = match value.chars().next() {
                Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
                _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
            };
            if name.eq_ignore_ascii_case(wanted) {
                return Some(value);
            }
            rest = after;
        }
    }
}

/// `text` with its character references replaced, as far as they end with a semicolon: what stands in a link without one
/// is most likely the next parameter. What refers to no character stays.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let whole =
            |&(letter, length): &(char, usize)| rest[..length].ends_with(';') && letter != char::REPLACEMENT_CHARACTER;
        let (letter, length) = entities::decode(rest).filter(whole).unwrap_or(('&', 1));
        out.push(letter);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_text() {
        for (html, expected) in [
            ("", "\n"),
            ("plain", "plain\n"),
            ("  a \n\t b  ", "a b\n"),
            ("<p>a</p><p>b</p>", "a\n\nb\n"),
            ("<div>a</div><div>b</div>", "a\nb\n"),
            ("a<br>b<br/>c<br><br>d<br><br><br>e", "a\nb\nc\n\nd\n\ne\n"),
            ("<ul><li>a</li><li>b</li></ul>c", "- a\n- b\n\nc\n"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n"),
            ("<h1>T</h1>x<hr>y", "T\n\nx\n---\ny\n"),
            ("<b>a</b><i>b</i> <em>c</em>", "ab c\n"),
            ("<img src=x alt='a &lt; b'>", "a < b\n"),
            // Links.
            ("see <a href=\"https://x.y/?a=1&amp;b=2\">here</a>.", "see here (https://x.y/?a=1&b=2).\n"),
            ("<a href='https://x.y'>https://x.y</a>", "https://x.y\n"),
            ("<a href=https://x.y class=btn target=_blank>a b</a>", "a b (https://x.y)\n"),
            ("<A CLASS=btn HREF = \"u\">a</A>", "a (u)\n"),
            ("<a href=\"mailto:a@b.c\">a@b.c</a>", "a@b.c\n"),
            ("<a href=\"u\"><img alt=\"\"></a>", "u\n"),
            ("<a href=\"#top\">up</a> <a name=x>n</a> <a href>h</a>", "up n h\n"),
            ("<a href=u>a<a href=v>b", "a (u)b (v)\n"),
            ("<a data-href=no href=yes>a</a>", "a (yes)\n"),
            // What is not for reading.
            ("<head><title>t</title></head><style>a{}</style>x<script>if (a<b) '<p>'</SCRIPT>y", "xy\n"),
            ("a<!-- <p>b</p> -->c<!doctype html><?x?>d", "acd\n"),
            ("<style>never closed", "\n"),
            // Entities.
            ("&lt;i&gt; &amp;amp; &#39;&#x41;&#34; &nbsp;&copy; &euro;", "<i> &amp; 'A\" \u{20}© €\n"),
            (
                "&unknown; & &; &#xD800; &#99999999; &verylongname;",
                "&unknown; & &; &#xD800; &#99999999; &verylongname;\n",
            ),
            ("caf&eacute; &alpha;&frac12;&thetasym; &#150; &#0;", "café α½ϑ – &#0;\n"),
            ("&eacute &notit; &#65 &hellip", "&eacute &notit; &#65 &hellip\n"),
            ("<a href=\"https://x.y/?a=1&copy=2\">here</a>", "here (https://x.y/?a=1&copy=2)\n"),
            ("https://x.y/?a=1&copy=2&lt=3", "https://x.y/?a=1&copy=2&lt=3\n"),
            // Broken things.
            ("a < b > c", "a < b > c\n"),
            ("1<2", "1<2\n"),
            ("<<p>a", "<\n\na\n"),
            ("a<p", "a\n"),
            ("<a href=\"never", "never\n"),
            ("<!-- never", "\n"),
            ("é<é>é</é>", "é<é>é</é>\n"),
            ("a\u{0}b\u{1b}[0m", "ab[0m\n"),
        ] {
            assert_eq!(from_html(html), expected, "{html}");
        }
    }

    #[test]
    fn targets_are_decoded_and_in_order() {
        let html = "<a href='b&amp;c'>x</a><p href=no><a>y</a><A HREF=a>";
        assert_eq!(targets(html).collect::<Vec<_>>(), ["b&c", "a"]);
    }

    #[test]
    fn links_are_replaced_in_their_place() {
        let replace = |target: &str| target.starts_with("http").then(|| format!("https://t.co/?<'{target}\"&x"));
        for (html, expected) in [
            ("<p>http://x.y</p>", "<p>http://x.y</p>"),
            (
                "é<a class=b href=\"http://x.y/?a&amp;b\">é</a>",
                "é<a class=b href=\"https://t.co/?%3C%27http://x.y/?a&amp;b%22&amp;x\">é</a>",
            ),
            (
                "<A HREF = 'http'>a</A><a href=http>",
                "<A HREF = 'https://t.co/?%3C%27http%22&amp;x'>a</A><a href=https://t.co/?%3C%27http%22&amp;x>",
            ),
            ("<a href=\"#x\"><a name=http><a href><a href=''>", "<a href=\"#x\"><a name=http><a href><a href=''>"),
            (
                "<!-- <a href=http> --><script>'<a href=http>'</script><link href=http>",
                "<!-- <a href=http> --><script>'<a href=http>'</script><link href=http>",
            ),
            ("<a href=\"http", "<a href=\"https://t.co/?%3C%27http%22&amp;x"),
        ] {
            assert_eq!(rewrite_links(html, replace), expected, "{html}");
            assert_eq!(rewrite_links(html, |_| None), html);
        }
    }

    #[test]
    fn nothing_is_quadratic() {
        for piece in ["<", "<a ", "<a href=", "&", "{", "<!--", "<p>", "<a href=x>", "<script>", "\"", "<a b=\"", "</"]
        {
            let started = std::time::Instant::now();
            let html = piece.repeat(300_000 / piece.len());
            let text = from_html(&html);
            assert!(text.len() <= 3 * html.len(), "{piece}: {}", text.len());
            assert_eq!(rewrite_links(&html, |_| None), html);
            assert!(targets(&html).count() <= html.matches("href=").count(), "{piece}");
            // Debug builds on a busy machine take well under a second.
            assert!(started.elapsed().as_secs() < 20, "{piece}: {:?}", started.elapsed());
        }
    }
}
