//! Which type an uploaded file is served as, and which types a browser may show in place (`docs/wire/services-files.md` §4).

use std::path::Path;

/// Types by the extension of the served name: what is sniffed is too general for a browser. Letter case counts.
const BY_EXTENSION: [(&str, &str); 7] = [
    ("svg", "image/svg+xml"),
    ("css", "text/css"),
    ("js", "text/javascript"),
    ("mjs", "text/javascript"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
];

/// Sniffed types that are shown in place: none of them can run a script.
const SHOWN: [&str; 25] = [
    "image/png",
    "image/jpg",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/x-icon",
    "image/bmp",
    "video/webm",
    "video/mp4",
    "video/3gpp",
    "video/quicktime",
    "video/x-ms-wmv",
    "audio/basic",
    "audio/aiff",
    "audio/mpeg",
    "audio/midi",
    "audio/mp3",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-mpeg",
    "audio/x-m4a",
    "audio/aac",
    "application/pdf",
    "application/x-pdf",
];

/// The type that a file of this sniffed type and name is served as.
pub fn served<'t>(sniffed: &'t str, name: &str) -> &'t str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    BY_EXTENSION.iter().find(|(known, _)| *known == extension).map_or(sniffed, |(_, forced)| forced)
}

/// The type of a file of the owner's by its name, with a charset for text; none when the name tells nothing.
pub fn of_name(path: &Path) -> Option<String> {
    let known = match mime_guess::from_path(path).first_raw()? {
        "application/javascript" => "text/javascript",
        known => known,
    };
    Some(if known.starts_with("text/") { format!("{known}; charset=utf-8") } else { known.to_owned() })
}

/// Whether a file of this sniffed type may be shown in place.
pub fn may_be_shown(sniffed: &str) -> bool {
    SHOWN.contains(&sniffed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_types_of_the_owners_files() {
        for (name, expected) in [
            ("a.html", Some("text/html; charset=utf-8")),
            ("A.HTML", Some("text/html; charset=utf-8")),
            ("a.js", Some("text/javascript; charset=utf-8")),
            ("a.mjs", Some("text/javascript; charset=utf-8")),
            ("a.css", Some("text/css; charset=utf-8")),
            ("a.json", Some("application/json")),
            ("a.svg", Some("image/svg+xml")),
            ("a.wasm", Some("application/wasm")),
            ("a.webmanifest", Some("application/manifest+json")),
            ("a.woff2", Some("font/woff2")),
            (".html", None),
            ("a", None),
            ("a.neverheard", None),
        ] {
            assert_eq!(of_name(Path::new(name)).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn extensions_force_a_type_but_no_showing() {
        for (sniffed, name, expected, shown) in [
            ("image/png", "a.png", "image/png", true),
            ("text/xml; charset=utf-8", "a.svg", "image/svg+xml", false),
            ("image/svg+xml", "a.svg", "image/svg+xml", false),
            ("image/png", "a.svg", "image/svg+xml", true),
            ("text/plain; charset=utf-8", "a.b.js", "text/javascript", false),
            ("text/plain; charset=utf-8", "a.JS", "text/plain; charset=utf-8", false),
            ("text/html; charset=utf-8", "a.html", "text/html; charset=utf-8", false),
            ("application/zip", "js", "application/zip", false),
            ("application/pdf", "", "application/pdf", true),
            ("", "a", "", false),
        ] {
            assert_eq!((served(sniffed, name), may_be_shown(sniffed)), (expected, shown), "{sniffed} {name}");
        }
    }
}
