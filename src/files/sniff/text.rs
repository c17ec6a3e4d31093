//! Types of text: markup, programs, JSON, tables.

use std::borrow::Cow;

use super::{Detected, named, with_charset};

/// The type of a text by its first bytes; `cut`: there are more.
pub fn detect(head: &[u8], cut: bool) -> Detected {
    let bytes = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let (text, charset) = decode(bytes, cut);
    let start = text.trim_ascii_start();
    if start.starts_with("%PDF-") {
        return named("application/pdf");
    }
    if start.starts_with("%!PS-Adobe-") {
        return named("application/postscript");
    }
    if let Some(mime) = markup(start) {
        // An image has no charset, and neither has a program.
        return if matches!(mime, "text/html" | "text/xml") { with_charset(mime, charset) } else { named(mime) };
    }
    let mime = script(start)
        .or_else(|| start.starts_with("{\\rtf").then_some("text/rtf"))
        .or_else(|| json(&text, cut))
        .or_else(|| start.starts_with("BEGIN:VCARD").then_some("text/vcard"))
        .or_else(|| start.starts_with("BEGIN:VCALENDAR").then_some("text/calendar"))
        .or_else(|| start.starts_with("WEBVTT").then_some("text/vtt"))
        .or_else(|| is_subtitle(start).then_some("application/x-subrip"))
        .or_else(|| is_table(&text, cut, ',').then_some("text/csv"))
        .or_else(|| is_table(&text, cut, '\t').then_some("text/tab-separated-values"));
    match mime {
        Some(mime) => named(mime),
        None => with_charset("text/plain", charset),
    }
}

/// The text and its charset. A character cut in two at the end is no reason to doubt UTF-8.
fn decode(bytes: &[u8], cut: bool) -> (Cow<'_, str>, &'static str) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), "utf-8"),
        Err(error) if cut && error.error_len().is_none() => {
            (String::from_utf8_lossy(&bytes[..error.valid_up_to()]), "utf-8")
        }
        Err(_) => {
            let charset =
                if bytes.iter().any(|byte| (0x80..0xa0).contains(byte)) { "windows-1252" } else { "iso-8859-1" };
            (String::from_utf8_lossy(bytes), charset)
        }
    }
}

/// HTML, XML and what is written in it, PHP.
fn markup(start: &str) -> Option<&'static str> {
    // WHATWG MIME Sniffing §7.1.
    const TAGS: [&str; 17] = [
        "<!doctype html",
        "<html",
        "<head",
        "<script",
        "<iframe",
        "<h1",
        "<div",
        "<font",
        "<table",
        "<a",
        "<style",
        "<title",
        "<b",
        "<body",
        "<br",
        "<p",
        "<!--",
    ];
    if !start.starts_with('<') {
        return None;
    }
    let lower = start.to_ascii_lowercase();
    let has_svg = lower.contains("<svg");
    if lower.starts_with("<?php") {
        return Some("text/x-php");
    }
    if lower.starts_with("<svg") || lower.starts_with("<!doctype svg") {
        return Some("image/svg+xml");
    }
    if lower.starts_with("<?xml") {
        return Some(if has_svg {
            "image/svg+xml"
        } else if lower.contains("<rss") {
            "application/rss+xml"
        } else if lower.contains("<feed") {
            "application/atom+xml"
        } else {
            "text/xml"
        });
    }
    let is_html = TAGS.iter().any(|tag| {
        lower.strip_prefix(tag).is_some_and(|rest| *tag == "<!--" || rest.starts_with([' ', '>', '\n', '\r', '\t']))
    });
    match is_html {
        true if lower.starts_with("<!--") && has_svg && !lower.contains("<html") => Some("image/svg+xml"),
        true => Some("text/html"),
        false => None,
    }
}

/// A program by its first line.
fn script(start: &str) -> Option<&'static str> {
    let line = start.strip_prefix("#!")?.lines().next()?;
    let program = line
        .split_ascii_whitespace()
        .map(|word| word.rsplit('/').next().unwrap_or(word))
        .find(|word| *word != "env")?;
    [
        ("python", "text/x-python"),
        ("perl", "text/x-perl"),
        ("lua", "text/x-lua"),
        ("node", "text/javascript"),
        ("tclsh", "text/x-tcl"),
        ("ruby", "text/x-ruby"),
        ("sh", "text/x-shellscript"),
        ("bash", "text/x-shellscript"),
        ("dash", "text/x-shellscript"),
        ("zsh", "text/x-shellscript"),
        ("ksh", "text/x-shellscript"),
    ]
    .into_iter()
    .find(|(name, _)| program.starts_with(name))
    .map(|(_, mime)| mime)
}

/// One JSON object or array, or one on each of several lines.
fn json(text: &str, cut: bool) -> Option<&'static str> {
    if !text.trim_ascii_start().starts_with(['{', '[']) {
        return None;
    }
    let is_json = |text: &str, cut: bool| match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => true,
        Err(error) => cut && error.is_eof(),
    };
    if is_json(text, cut) {
        return Some("application/json");
    }
    let mut lines: Vec<_> = text.lines().filter(|line| !line.trim_ascii().is_empty()).collect();
    if cut {
        lines.pop();
    }
    (lines.len() > 1 && lines.iter().all(|line| is_json(line, false))).then_some("application/x-ndjson")
}

/// A number, then `00:00:01,000 --> 00:00:02,000`.
fn is_subtitle(start: &str) -> bool {
    let mut lines = start.lines();
    lines.next().is_some_and(|line| line.trim_ascii() == "1") && lines.next().is_some_and(|line| line.contains(" --> "))
}

/// At least two lines with the same number, more than one, of fields.
fn is_table(text: &str, cut: bool, separator: char) -> bool {
    let mut lines: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if cut {
        lines.pop();
    }
    let fields = |line: &str| {
        let mut quoted = false;
        1 + line
            .chars()
            .filter(|&c| {
                quoted ^= c == '"';
                !quoted && c == separator
            })
            .count()
    };
    let width = lines.first().map_or(0, |line| fields(line));
    width > 1 && lines.len() > 1 && lines.iter().all(|line| fields(line) == width)
}
