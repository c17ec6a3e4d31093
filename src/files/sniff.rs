//! Types of contents: what a file is, whatever it is called.
//!
//! Binary types are `infer`'s under the names that the wire uses for them; text is told apart here.

use std::borrow::Cow;

/// A type with its file extension (dot included, blank when there is none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    pub mime: Cow<'static, str>,
    pub extension: &'static str,
}

/// A known type: the wire's name, extension, other names for the same thing.
struct Known {
    mime: &'static str,
    extension: &'static str,
    aliases: &'static [&'static str],
}

const fn known(mime: &'static str, extension: &'static str, aliases: &'static [&'static str]) -> Known {
    Known { mime, extension, aliases }
}

const TYPES: &[Known] = &[
    known("application/gzip", ".gz", &["application/x-gzip", "application/x-gunzip", "application/gzip-compressed"]),
    known("application/json", ".json", &[]),
    known("application/ogg", ".ogg", &["application/x-ogg", "audio/ogg"]),
    known("application/pdf", ".pdf", &["application/x-pdf"]),
    known("application/postscript", ".ps", &[]),
    known("application/vnd.rar", ".rar", &["application/x-rar", "application/x-rar-compressed"]),
    known("application/vnd.sqlite3", ".sqlite", &["application/x-sqlite3"]),
    known("application/x-7z-compressed", ".7z", &[]),
    known("application/x-java-applet", ".class", &["application/java"]),
    known("application/x-ndjson", ".ndjson", &[]),
    known("application/x-subrip", ".srt", &["application/x-srt", "text/x-srt"]),
    known("application/x-tar", ".tar", &[]),
    known("application/zip", ".zip", &["application/x-zip", "application/x-zip-compressed"]),
    known("audio/flac", ".flac", &["audio/x-flac"]),
    known("audio/midi", ".midi", &["audio/mid", "audio/sp-midi", "audio/x-mid", "audio/x-midi"]),
    known("audio/mpeg", ".mp3", &["audio/x-mpeg", "audio/mp3"]),
    known("audio/wav", ".wav", &["audio/x-wav", "audio/vnd.wave", "audio/wave"]),
    known("audio/x-m4a", ".m4a", &["audio/m4a"]),
    known("font/otf", ".otf", &[]),
    known("font/ttf", ".ttf", &["font/sfnt", "application/x-font-ttf", "application/font-sfnt"]),
    known("font/woff", ".woff", &["application/font-woff"]),
    known("font/woff2", ".woff2", &[]),
    known("image/avif", ".avif", &[]),
    known("image/bmp", ".bmp", &["image/x-bmp", "image/x-ms-bmp"]),
    known("image/heic", ".heic", &[]),
    known("image/heif", ".heif", &[]),
    known("image/svg+xml", ".svg", &[]),
    known("image/tiff", ".tiff", &[]),
    known("image/vnd.adobe.photoshop", ".psd", &["image/x-psd", "application/photoshop"]),
    known("image/x-icon", ".ico", &["image/vnd.microsoft.icon"]),
    known("text/calendar", ".ics", &[]),
    known("text/csv", ".csv", &[]),
    known("text/html", ".html", &[]),
    known("text/javascript", ".js", &["application/javascript", "application/x-javascript"]),
    known("text/plain", ".txt", &[]),
    known("text/rtf", ".rtf", &["application/rtf"]),
    known("text/tab-separated-values", ".tsv", &[]),
    known("text/vcard", ".vcf", &[]),
    known("text/vtt", ".vtt", &[]),
    known("text/x-lua", ".lua", &[]),
    known("text/x-perl", ".pl", &[]),
    known("text/x-php", ".php", &[]),
    known("text/x-python", ".py", &["text/x-script.python", "application/x-python"]),
    known("text/x-ruby", ".rb", &[]),
    known("text/x-shellscript", ".sh", &["text/x-sh", "application/x-shellscript", "application/x-sh"]),
    known("text/x-tcl", ".tcl", &["application/x-tcl"]),
    known("text/xml", ".xml", &["application/xml"]),
    known("video/3gpp", ".3gp", &["video/3gp", "audio/3gpp"]),
    known("video/mp4", ".mp4", &[]),
    known("video/quicktime", ".mov", &[]),
    known("video/webm", ".webm", &["audio/webm"]),
    known("video/x-m4v", ".m4v", &[]),
    known("video/x-msvideo", ".avi", &["video/avi", "video/msvideo"]),
];

/// Whether a sniffed type is the one that a field's `mimeTypes` names; parameters do not count.
pub fn mime_matches(sniffed: &str, allowed: &str) -> bool {
    let essence = |mime: &str| mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (sniffed, allowed) = (essence(sniffed), essence(allowed));
    sniffed == allowed || TYPES.iter().any(|known| known.mime == sniffed && known.aliases.contains(&allowed.as_str()))
}

/// The type of a file by its first bytes; `cut`: there are more.
pub fn detect(head: &[u8], cut: bool) -> Detected {
    if head.is_empty() {
        return named("text/plain");
    }
    for (mark, charset) in [(b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be")] {
        if head.starts_with(mark) {
            return with_charset("text/plain", charset);
        }
    }
    // Some binary formats begin with letters only, so text goes first.
    if is_text(head) { detect_text(head, cut) } else { detect_binary(head) }
}

/// No byte that text does not have (WHATWG MIME Sniffing §3, "binary data byte").
fn is_text(head: &[u8]) -> bool {
    !head.iter().any(|byte| matches!(byte, 0x00..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f))
}

fn detect_binary(head: &[u8]) -> Detected {
    let unknown = Detected { mime: "application/octet-stream".into(), extension: "" };
    if let Some(detected) = detect_media_file(head) {
        return detected;
    }
    let Some(found) = infer::get(head) else { return unknown };
    let mime = match (found.mime_type(), found.extension()) {
        // Two letters and a few bytes prove nothing.
        (_, "obj") => return unknown,
        ("image/bmp", _) if !is_bitmap(head) => return unknown,
        ("image/vnd.microsoft.icon", _) => "image/x-icon",
        ("application/java", _) => "application/x-java-applet",
        ("application/rtf", _) => "text/rtf",
        ("audio/x-wav", _) => "audio/wav",
        ("audio/x-flac", _) => "audio/flac",
        ("audio/m4a", _) => "audio/x-m4a",
        ("audio/ogg" | "audio/opus", _) => "application/ogg",
        ("application/font-woff", "woff2") => "font/woff2",
        ("application/font-woff", _) => "font/woff",
        ("application/font-sfnt", "otf") => "font/otf",
        ("application/font-sfnt", _) => "font/ttf",
        ("application/x-executable", _) => return Detected { mime: "application/x-executable".into(), extension: "" },
        ("application/x-ole-storage", _) => {
            return Detected { mime: "application/x-ole-storage".into(), extension: "" };
        }
        (mime, extension) => {
            let extension =
                TYPES.iter().find(|known| known.mime == mime).map_or(with_dot(extension), |it| it.extension);
            return Detected { mime: mime.into(), extension };
        }
    };
    named(mime)
}

/// Files of the ISO base media format say in their first box what they are.
fn detect_media_file(head: &[u8]) -> Option<Detected> {
    let brand = head.strip_prefix(head.get(..4)?)?.strip_prefix(b"ftyp")?.get(..4)?;
    Some(named(match brand {
        b"heic" | b"heix" | b"heim" | b"heis" => "image/heic",
        b"mif1" | b"msf1" => "image/heif",
        b"avif" | b"avis" => "image/avif",
        b"qt  " => "video/quicktime",
        b"M4A " | b"M4B " => "audio/x-m4a",
        b"M4V " | b"M4VP" | b"M4VH" => "video/x-m4v",
        [b'3', b'g', b'p', _] => "video/3gpp",
        b"isom" | b"iso2" | b"iso4" | b"iso5" | b"iso6" | b"mp41" | b"mp42" | b"avc1" | b"dash" | b"MSNV" => {
            "video/mp4"
        }
        _ => return None,
    }))
}

/// `infer` names extensions without their dot.
fn with_dot(extension: &'static str) -> &'static str {
    const DOTTED: &[&str] = &[
        ".aac", ".aiff", ".amr", ".ape", ".avif", ".bz2", ".cab", ".cr2", ".crx", ".dcm", ".deb", ".djvu", ".doc",
        ".docx", ".dsf", ".dwg", ".epub", ".exe", ".flv", ".gif", ".jp2", ".jpg", ".jxl", ".jxr", ".lz", ".lz4",
        ".m4v", ".mkv", ".mobi", ".mov", ".mp4", ".mpg", ".odp", ".ods", ".odt", ".png", ".ppt", ".pptx", ".rpm",
        ".swf", ".wasm", ".webp", ".wmv", ".xls", ".xlsx", ".xz", ".zst",
    ];
    DOTTED.iter().find(|dotted| &dotted[1..] == extension).copied().unwrap_or("")
}

/// A bitmap's header has the size of its second header, which is one of few.
fn is_bitmap(head: &[u8]) -> bool {
    matches!(head.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

fn detect_text(head: &[u8], cut: bool) -> Detected {
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

fn named(mime: &'static str) -> Detected {
    let extension = TYPES.iter().find(|known| known.mime == mime).map_or("", |known| known.extension);
    Detected { mime: mime.into(), extension }
}

fn with_charset(mime: &'static str, charset: &'static str) -> Detected {
    Detected { mime: format!("{mime}; charset={charset}").into(), ..named(mime) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_have_types() {
        let utf8 = "text/plain; charset=utf-8";
        for (content, mime, extension) in [
            (&b"hello world"[..], utf8, ".txt"),
            (b"", "text/plain", ".txt"),
            (b"1", utf8, ".txt"),
            (b"BMW and other cars", utf8, ".txt"),
            (b"# hi\n", utf8, ".txt"),
            (b"function a(){}", utf8, ".txt"),
            (b"\xef\xbb\xbfhi", utf8, ".txt"),
            (b"\xff\xfeh\0i\0", "text/plain; charset=utf-16le", ".txt"),
            (b"caf\xe9 abc", "text/plain; charset=iso-8859-1", ".txt"),
            (b"{\"a\":1}", "application/json", ".json"),
            (b" [1,2]", "application/json", ".json"),
            (b"{\"a\":1}\n{\"b\":2}\n", "application/x-ndjson", ".ndjson"),
            (b"{not json", utf8, ".txt"),
            (b"<!DOCTYPE html><html></html>", "text/html; charset=utf-8", ".html"),
            (b"<p>hi</p>", "text/html; charset=utf-8", ".html"),
            (b"<?xml version=\"1.0\"?><a/>", "text/xml; charset=utf-8", ".xml"),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>", "image/svg+xml", ".svg"),
            (b"<?xml version=\"1.0\"?><svg></svg>", "image/svg+xml", ".svg"),
            (b"<?php echo 1;", "text/x-php", ".php"),
            (b"#!/bin/sh\necho", "text/x-shellscript", ".sh"),
            (b"#!/usr/bin/env python\n", "text/x-python", ".py"),
            (b"{\\rtf1", "text/rtf", ".rtf"),
            (b"a,b\n1,2\n3,4\n", "text/csv", ".csv"),
            (b"a\tb\n1\t2\n", "text/tab-separated-values", ".tsv"),
            (b"BEGIN:VCARD\nVERSION:3.0\n", "text/vcard", ".vcf"),
            (b"WEBVTT\n", "text/vtt", ".vtt"),
            (b"1\n00:00:01,000 --> 00:00:02,000\nhi\n", "application/x-subrip", ".srt"),
            (b"%PDF-1.4\n", "application/pdf", ".pdf"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png", ".png"),
            (b"GIF89a\x01\0\x01\0\0\0\0;", "image/gif", ".gif"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01", "image/jpeg", ".jpg"),
            (b"RIFF\x1a\0\0\0WEBPVP8L", "image/webp", ".webp"),
            (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav", ".wav"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4", ".mp4"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "image/heic", ".heic"),
            (b"\0\0\x01\0\x01\0", "image/x-icon", ".ico"),
            (b"\x1f\x8b\x08\0\0", "application/gzip", ".gz"),
            (b"SQLite format 3\0\0", "application/vnd.sqlite3", ".sqlite"),
            (b"wOF2\0\x01\0\0", "font/woff2", ".woff2"),
            (b"\0asm\x01\0\0\0", "application/wasm", ".wasm"),
            (b"BM\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "application/octet-stream", ""),
            (b"\x01\x02\x03", "application/octet-stream", ""),
            (b"\0\0\0\0\0\0\0\0\0\0", "application/octet-stream", ""),
        ] {
            let detected = detect(content, false);
            let shown = String::from_utf8_lossy(content);
            assert_eq!((detected.mime.as_ref(), detected.extension), (mime, extension), "{shown:?}");
        }
    }

    #[test]
    fn a_cut_character_is_no_binary() {
        let head = "é".repeat(100);
        assert_eq!(detect(&head.as_bytes()[..199], true).mime, "text/plain; charset=utf-8");
        assert_eq!(detect(b"{\"a\": [1, 2", true).mime, "application/json");
    }

    #[test]
    fn allowed_types_match_by_any_name() {
        for (sniffed, allowed, matches) in [
            ("text/plain; charset=utf-8", "text/plain", true),
            ("text/plain; charset=utf-8", "text/plain; charset=x", true),
            ("image/png", "IMAGE/PNG", true),
            ("audio/mpeg", "audio/mp3", true),
            ("image/png", "image/*", false),
            ("image/png", "image/jpeg", false),
            ("image/png", "", false),
        ] {
            assert_eq!(mime_matches(sniffed, allowed), matches, "{sniffed} as {allowed}");
        }
    }
}
