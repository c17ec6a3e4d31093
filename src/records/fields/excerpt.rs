//! The beginning of a HTML text as plain text: the `excerpt` modifier (`docs/wire/records-api.md` §7).
//!
//! Not a parser of documents: tags are recognised, not balanced. Works in one pass and stops at the wanted length.

use crate::entities;

/// How much is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    /// Unicode characters.
    pub max: usize,
    /// Append `...` when something was cut off.
    pub ellipsis: bool,
}

/// Elements whose content is not text for reading.
const SKIPPED: &[&str] = &[
    "applet", "button", "dialog", "embed", "form", "head", "iframe", "img", "input", "object", "option", "picture",
    "script", "select", "style", "svg", "template", "textarea",
];
/// Skipped elements that have no content.
const VOID: &[&str] = &["embed", "img", "input"];
/// Elements that do not stand apart from the words around them.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdo", "big", "br", "cite", "code", "em", "i", "label", "q", "small", "span",
    "strike", "strong", "sub", "sup", "time",
];
/// Elements whose content is not markup up to their own end tag.
const RAW: &[&str] = &["iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"];
/// Elements that do not end the implied head of a document.
const METADATA: &[&str] = &["base", "head", "html", "link", "meta", "script", "style", "template", "title"];

/// The first `max` characters of what a person would read.
pub fn shorten(html: &str, excerpt: Excerpt) -> String {
    let mut reader = Reader::new(html, excerpt.max);
    reader.run();
    let mut text = reader.text;
    let end = text.trim_end().len();
    text.truncate(end);
    let Some((cut, _)) = text.char_indices().nth(excerpt.max) else { return text };
    text.truncate(text[..cut].trim_end().len());
    if excerpt.ellipsis {
        text.push_str("...");
    }
    text
}

struct Reader<'a> {
    rest: &'a str,
    text: String,
    /// Characters in `text`.
    length: usize,
    /// Stop when there are more.
    max: usize,
    /// White space is due before the next character.
    space: bool,
    /// Nothing but metadata came so far: a title is not text yet.
    in_head: bool,
}

enum Tag<'a> {
    Start {
        name: &'a str,
    },
    End {
        name: &'a str,
    },
    /// A comment, a doctype, or an unfinished tag at the end.
    Nothing,
}

impl<'a> Reader<'a> {
    fn new(html: &'a str, max: usize) -> Self {
        Self { rest: html, text: String::new(), length: 0, max, space: false, in_head: true }
    }

    fn run(&mut self) {
        while self.length <= self.max && !self.rest.is_empty() {
            let plain = self.rest.find('<').unwrap_or(self.rest.len());
            let (text, rest) = self.rest.split_at(plain);
            self.rest = rest;
            self.push_text(text);
            if rest.is_empty() {
                return;
            }
            match self.tag() {
                Some(Tag::Start { name }) => self.enter(&name.to_ascii_lowercase()),
                Some(Tag::End { name }) => self.stand_apart(&name.to_ascii_lowercase()),
                Some(Tag::Nothing) => {}
                None => {
                    self.rest = &rest[1..];
                    self.push('<');
                }
            }
        }
    }

    /// Behind a start tag: takes or skips content that is not markup or not text.
    fn enter(&mut self, name: &str) {
        let metadata = METADATA.contains(&name);
        let skipped = SKIPPED.contains(&name) || (name == "title" && self.in_head);
        self.in_head &= metadata;
        self.stand_apart(name);
        match () {
            () if VOID.contains(&name) => {}
            () if RAW.contains(&name) => {
                let content = self.until_end_tag(name);
                if !skipped {
                    match name {
                        "title" => self.push_text(content),
                        _ => content.chars().for_each(|c| self.push(c)),
                    }
                    self.space = true;
                }
            }
            () if name == "plaintext" => std::mem::take(&mut self.rest).chars().for_each(|c| self.push(c)),
            () if skipped => self.skip(name),
            () => {}
        }
    }

    /// Skips to the end tag of an element that may contain itself.
    fn skip(&mut self, name: &str) {
        let mut depth = 1;
        while let Some(position) = self.rest.find('<') {
            self.rest = &self.rest[position..];
            let before = self.rest;
            match self.tag() {
                Some(Tag::Start { name: inner }) if inner.eq_ignore_ascii_case(name) => depth += 1,
                Some(Tag::Start { name: inner }) => {
                    let inner = inner.to_ascii_lowercase();
                    if RAW.contains(&&*inner) {
                        self.until_end_tag(&inner);
                    }
                }
                Some(Tag::End { name: inner }) if inner.eq_ignore_ascii_case(name) => {
                    depth -= 1;
                    if depth == 0 {
                        return;
                    }
                }
                Some(_) => {}
                None => self.rest = &before[1..],
            }
        }
        self.rest = "";
    }

    /// What stands before `</name`, which is taken as well. Everything when there is no such tag.
    fn until_end_tag(&mut self, name: &str) -> &'a str {
        let html = self.rest;
        let mut from = 0;
        while let Some(position) = html[from..].find("</").map(|found| from + found) {
            let behind = &html[position + 2..];
            let matches = behind.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
            if matches && !behind[name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
                self.rest = &html[position..];
                self.tag();
                return &html[..position];
            }
            from = position + 2;
        }
        self.rest = "";
        html
    }

    /// Takes the tag or comment that starts here; `None` when `<` is just a character.
    fn tag(&mut self) -> Option<Tag<'a>> {
        let html = self.rest;
        let behind = &html[1..];
        if let Some(comment) = behind.strip_prefix("!--") {
            // `<!-->` is a whole comment.
            self.rest = comment.strip_prefix('>').or_else(|| behind_of(comment, "-->")).unwrap_or("");
            return Some(Tag::Nothing);
        }
        let (end, name) = match behind.strip_prefix('/') {
            Some(name) => (true, name),
            None => (false, behind),
        };
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let bogus = end || behind.starts_with(['!', '?']);
            return bogus.then(|| {
                self.rest = behind_of(behind, ">").unwrap_or("");
                Tag::Nothing
            });
        }
        let length = name.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).unwrap_or(name.len());
        let (name, attributes) = name.split_at(length);
        self.rest = match end_of_attributes(attributes) {
            Some(end) => &attributes[end..],
            None => {
                self.rest = "";
                return Some(Tag::Nothing);
            }
        };
        Some(if end { Tag::End { name } } else { Tag::Start { name } })
    }

    fn stand_apart(&mut self, name: &str) {
        self.space |= !INLINE.contains(&name) && !SKIPPED.contains(&name);
    }

    /// Text with references.
    fn push_text(&mut self, text: &str) {
        let mut rest = text;
        while self.length <= self.max {
            let plain = rest.find('&').unwrap_or(rest.len());
            rest[..plain].chars().for_each(|c| self.push(c));
            rest = &rest[plain..];
            if rest.is_empty() {
                return;
            }
            let (c, length) = entities::decode(rest).unwrap_or(('&', 1));
            self.push(c);
            rest = &rest[length..];
        }
    }

    fn push(&mut self, c: char) {
        if c.is_ascii_whitespace() {
            self.space = true;
            return;
        }
        if self.length > self.max || (self.text.is_empty() && c.is_whitespace()) {
            return;
        }
        if self.space && !self.text.is_empty() {
            self.text.push(' ');
            self.length += 1;
        }
        self.space = false;
        self.in_head = false;
        self.text.push(c);
        self.length += 1;
    }
}

fn behind_of<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    text.find(end).map(|position| &text[position + end.len()..])
}

/// Just behind the `>` that closes a tag, which does not count in a quoted value.
fn end_of_attributes(text: &str) -> Option<usize> {
    let (mut quote, mut value) = (None, false);
    for (position, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'>') => return Some(position + 1),
            (None, b'"' | b'\'') if value => {
                quote = Some(byte);
                value = false;
            }
            (None, b'=') => value = true,
            (None, byte) => value &= byte.is_ascii_whitespace(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line was answered alike by PocketBase 0.40.6.
    #[test]
    fn html_becomes_readable_text() {
        for (html, text) in [
            ("<p>a</p><p>b</p>", "a b"),
            ("a<b>b</b>c", "abc"),
            ("a<br>b", "ab"),
            ("a<div>b</div>c", "a b c"),
            ("  a \n b\t c ", "a b c"),
            ("a&nbsp;b", "a\u{a0}b"),
            ("&lt;b&gt; &amp;amp; &copy; &eacute; &#65;&#x42; &bogus; &ampx &lt x", "<b> &amp; © é AB &bogus; &x < x"),
            ("<title>T</title>x", "x"),
            ("<head><title>T</title></head><body>x</body>", "x"),
            ("a<!-- c -->b", "ab"),
            ("a<!DOCTYPE html>b", "ab"),
            ("<script>var a=\"<p>\";</script>x", "x"),
            ("<style>p{}</style>y", "y"),
            ("x<textarea>in</textarea>y", "xy"),
            ("x<noscript>no</noscript>y", "x no y"),
            ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
            ("a<img src=\"x>y\" alt=\"q\">b", "ab"),
            ("a < b", "a < b"),
            ("a <b", "a"),
            ("1<2>3", "1<2>3"),
            ("</p>a", "a"),
            ("a<custom>b</custom>c", "a b c"),
            ("a<svg><text>q</text></svg>b", "ab"),
            ("x<button>q<b>w</b></button>y", "xy"),
            ("a<form><p>z</p></form>b", "ab"),
            ("<iframe>q</iframe>z", "z"),
            ("a<select><option>q</option></select>b", "ab"),
            ("a<input>b", "ab"),
            ("a<hr>b", "a b"),
            ("<b>a</b> <i>b</i>", "a b"),
            ("a<xmp><b>q</b></xmp>b", "a <b>q</b> b"),
            ("a<title>t</title>b", "a t b"),
            ("a<kbd>p</kbd>b<u>c</u>d<time>e</time>f", "a p b c def"),
            ("<p>one</p> two <div> three </div>four", "one two three four"),
            ("a</b>c", "ac"),
            ("a&amp", "a&"),
            ("x<![CDATA[cd]]>y", "xy"),
            ("x<?php q ?>y", "xy"),
            ("<button>a<p>b", ""),
            ("a<noembed>q</noembed>b<noframes>z</noframes>c", "a q b z c"),
            ("<p>a<script>x</script>b</p>", "ab"),
            ("<script>x", ""),
            ("a<plaintext><b>x", "a <b>x"),
        ] {
            assert_eq!(shorten(html, Excerpt { max: 1000, ellipsis: true }), text, "{html}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        for (html, max, text) in [
            ("hello world foo", 6, "hello..."),
            ("hello world", 5, "hello..."),
            ("hello", 5, "hello"),
            ("hello ", 5, "hello"),
            ("日本語テキスト", 3, "日本語..."),
            ("<p>hello</p><p>x</p>", 6, "hello..."),
            ("a b c", 2, "a..."),
        ] {
            assert_eq!(shorten(html, Excerpt { max, ellipsis: true }), text, "{html}");
        }
        assert_eq!(shorten("hello world", Excerpt { max: 5, ellipsis: false }), "hello");
    }

    #[test]
    fn no_text_is_too_strange() {
        for html in
            ["<", "</", "<!", "<!--", "<!-->", "<a b='", "<é>", "&", "&#", "&#x;", "<title", "<title></ti", "<svg><"]
        {
            shorten(&html.repeat(100), Excerpt { max: 50, ellipsis: true });
            shorten(html, Excerpt { max: 50, ellipsis: true });
        }
    }
}
