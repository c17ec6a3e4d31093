//! Types of containers, which say within what they hold: ISO media files, Matroska, archives of documents.

use super::{Detected, named};

/// The type of a container; `None` when it is none.
pub fn detect(head: &[u8]) -> Option<Detected> {
    detect_media_file(head).or_else(|| detect_matroska(head)).or_else(|| detect_archive(head))
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

/// Matroska and its subset WebM name themselves in their header.
fn detect_matroska(head: &[u8]) -> Option<Detected> {
    let header = head.strip_prefix(b"\x1a\x45\xdf\xa3")?;
    let header = &header[..header.len().min(64)];
    let names = |name: &[u8]| header.windows(name.len()).any(|window| window == name);
    if names(b"webm") {
        return Some(named("video/webm"));
    }
    names(b"matroska").then(|| named("video/x-matroska"))
}

/// Documents are archives: the names of their entries tell them apart, or an entry that holds nothing but the type.
fn detect_archive(head: &[u8]) -> Option<Detected> {
    const ENTRY: &[u8] = b"PK\x03\x04";
    if !head.starts_with(ENTRY) {
        return None;
    }
    let starts = head.windows(ENTRY.len()).enumerate().filter(|(_, window)| *window == ENTRY).map(|(at, _)| at);
    let mut mime = "application/zip";
    for entry in starts.filter_map(|at| Entry::read(&head[at..])) {
        match entry.name {
            b"mimetype" => {
                let declared = DECLARED.iter().find(|declared| entry.content.starts_with(declared.as_bytes()));
                return Some(named(declared.copied().unwrap_or(mime)));
            }
            b"AndroidManifest.xml" | b"classes.dex" => return Some(named("application/vnd.android.package-archive")),
            // An Android package has one too, so this is the last word only if no other follows.
            b"META-INF/MANIFEST.MF" => mime = "application/java-archive",
            name if name.starts_with(b"word/") => return Some(named(DOCUMENT)),
            name if name.starts_with(b"xl/") => return Some(named(SHEET)),
            name if name.starts_with(b"ppt/") => return Some(named(SLIDES)),
            _ => {}
        }
    }
    Some(named(mime))
}

const DOCUMENT: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const SHEET: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const SLIDES: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
/// Types that an archive may declare, templates before what they are templates of.
const DECLARED: [&str; 8] = [
    "application/epub+zip",
    "application/vnd.oasis.opendocument.text-template",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "application/vnd.oasis.opendocument.graphics",
    "application/vnd.oasis.opendocument.formula",
    "application/vnd.oasis.opendocument.chart",
];

/// A local file header of an archive (PKWARE APPNOTE §4.3.7), as far as it was read.
struct Entry<'a> {
    name: &'a [u8],
    content: &'a [u8],
}

impl<'a> Entry<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let length = |at: usize| Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
        let (name, extra) = (length(26)?, length(28)?);
        Some(Self { name: bytes.get(30..30 + name)?, content: bytes.get(30 + name + extra..).unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Local headers with these names, each followed by some content.
    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, content) in entries {
            bytes.extend_from_slice(b"PK\x03\x04");
            bytes.extend_from_slice(&[0; 22]);
            bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&[0; 2]);
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(content.as_bytes());
        }
        bytes
    }

    #[test]
    fn archives_are_told_apart_by_their_entries() {
        for (entries, mime, extension) in [
            (&[("a.txt", "x")][..], "application/zip", ".zip"),
            (&[("[Content_Types].xml", "x"), ("_rels/.rels", "x"), ("word/document.xml", "x")], DOCUMENT, ".docx"),
            (&[("[Content_Types].xml", "x"), ("docProps/app.xml", "x"), ("xl/workbook.xml", "x")], SHEET, ".xlsx"),
            (&[("[Content_Types].xml", "x"), ("ppt/presentation.xml", "x")], SLIDES, ".pptx"),
            (
                &[("mimetype", "application/vnd.oasis.opendocument.text"), ("content.xml", "x")],
                "application/vnd.oasis.opendocument.text",
                ".odt",
            ),
            (&[("mimetype", "application/epub+zip")], "application/epub+zip", ".epub"),
            (&[("mimetype", "application/x-nobody-knows")], "application/zip", ".zip"),
            (&[("META-INF/MANIFEST.MF", "x")], "application/java-archive", ".jar"),
            (
                &[("META-INF/MANIFEST.MF", "x"), ("AndroidManifest.xml", "x")],
                "application/vnd.android.package-archive",
                ".apk",
            ),
        ] {
            let detected = detect(&archive(entries)).expect("an archive");
            assert_eq!((detected.mime.as_ref(), detected.extension), (mime, extension));
        }
        assert_eq!(detect(b"PK\x03\x04\xff").expect("cut short").mime, "application/zip");
        assert_eq!(detect(b"PK\x05\x06"), None);
    }

    #[test]
    fn matroska_names_itself() {
        let webm = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm";
        assert_eq!(detect(webm).expect("a container").mime, "video/webm");
        let mkv = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x88matroska";
        assert_eq!(detect(mkv).expect("a container").mime, "video/x-matroska");
        assert_eq!(detect(b"\x1a\x45\xdf\xa3"), None);
    }
}
