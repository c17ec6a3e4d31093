//! Types of contents: what a file is, whatever it is called.
//!
//! Binary types are `infer`'s under the names that the wire uses for them; text and containers are told apart here.

mod container;
mod text;

use std::borrow::Cow;

const UNKNOWN: &str = "application/octet-stream";

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
    known("application/epub+zip", ".epub", &[]),
    known("application/gzip", ".gz", &["application/x-gzip", "application/x-gunzip", "application/gzip-compressed"]),
    known("application/java-archive", ".jar", &["application/jar", "application/x-java-archive", "application/x-jar"]),
    known("application/json", ".json", &[]),
    known("application/ogg", ".ogg", &["application/x-ogg", "audio/ogg"]),
    known("application/pdf", ".pdf", &["application/x-pdf"]),
    known("application/postscript", ".ps", &[]),
    known("application/vnd.android.package-archive", ".apk", &[]),
    known("application/vnd.oasis.opendocument.chart", ".odc", &[]),
    known("application/vnd.oasis.opendocument.formula", ".odf", &[]),
    known("application/vnd.oasis.opendocument.graphics", ".odg", &[]),
    known("application/vnd.oasis.opendocument.presentation", ".odp", &[]),
    known("application/vnd.oasis.opendocument.spreadsheet", ".ods", &[]),
    known("application/vnd.oasis.opendocument.text", ".odt", &[]),
    known("application/vnd.oasis.opendocument.text-template", ".ott", &[]),
    known("application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx", &[]),
    known("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx", &[]),
    known("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx", &[]),
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
    known("video/x-matroska", ".mkv", &[]),
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
    // Some binary formats begin with letters only, so text goes first, unless it is in an old charset: then it may be
    // binary by accident without a byte that betrays it.
    if !is_text(head) {
        return detect_binary(head);
    }
    let is_unicode = std::str::from_utf8(head).map_or_else(|error| cut && error.error_len().is_none(), |_| true);
    match (!is_unicode).then(|| detect_binary(head)) {
        Some(binary) if binary.mime != UNKNOWN => binary,
        _ => text::detect(head, cut),
    }
}

/// No byte that text does not have (WHATWG MIME Sniffing §3, "binary data byte").
fn is_text(head: &[u8]) -> bool {
    !head.iter().any(|byte| matches!(byte, 0x00..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f))
}

fn detect_binary(head: &[u8]) -> Detected {
    let unknown = Detected { mime: UNKNOWN.into(), extension: "" };
    if let Some(detected) = container::detect(head) {
        return detected;
    }
    let Some(found) = infer::get(head).filter(|found| found.matcher_type() != infer::MatcherType::Text) else {
        return unknown;
    };
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

/// `infer` names extensions without their dot.
fn with_dot(extension: &'static str) -> &'static str {
    const DOTTED: &[&str] = &[
        ".aac", ".aiff", ".amr", ".ape", ".bz2", ".cab", ".cr2", ".crx", ".dcm", ".deb", ".djvu", ".doc", ".dsf",
        ".dwg", ".exe", ".flv", ".gif", ".jp2", ".jpg", ".jxl", ".jxr", ".lz", ".lz4", ".mobi", ".mpg", ".png", ".ppt",
        ".rpm", ".swf", ".wasm", ".webp", ".wmv", ".xls", ".xz", ".zst",
    ];
    DOTTED.iter().find(|dotted| &dotted[1..] == extension).copied().unwrap_or("")
}

/// A bitmap's header has the size of its second header, which is one of few.
fn is_bitmap(head: &[u8]) -> bool {
    matches!(head.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
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
            (b"\xff\xfb\x90\x44", "audio/mpeg", ".mp3"),
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
