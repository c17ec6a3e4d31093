//! Files that a fixture gives to records: by their path beside it, or within it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value as Json};

use crate::{files::Upload, records::Records};

/// The largest file, in bytes. Fields have limits of their own.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Takes the files of one field (by this name) out of `value`: a path, `{"name", "text"}`, `{"name", "base64"}`, or a list
/// of these. Blocks.
pub fn uploads(records: &Records, folder: &Path, field: &str, value: &Json) -> anyhow::Result<Vec<Upload>> {
    let one = |value: &Json| upload(records, folder, field, value);
    match value {
        Json::Null => Ok(Vec::new()),
        Json::Array(values) => {
            let read = values.iter().enumerate().map(|(index, value)| one(value).with_context(|| format!("[{index}]")));
            read.collect()
        }
        value => Ok(vec![one(value)?]),
    }
}

fn upload(records: &Records, folder: &Path, field: &str, value: &Json) -> anyhow::Result<Upload> {
    let spool =
        |client_name: String| Upload { key: field.to_owned(), client_name, path: records.spool_path(), size: 0 };
    match value {
        Json::String(path) => {
            let path = folder.join(path);
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let mut upload = spool(name);
            upload.size = copy(&path, &upload.path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(upload)
        }
        Json::Object(file) => {
            let (name, bytes) = inline(file)?;
            let mut upload = spool(name);
            fs::write(&upload.path, &bytes).context("cannot be written to the disk")?;
            upload.size = bytes.len() as u64;
            Ok(upload)
        }
        _ => bail!("a file is a path, or an object with \"name\" and \"text\" or \"base64\""),
    }
}

fn copy(from: &PathBuf, to: &PathBuf) -> anyhow::Result<u64> {
    let found = fs::metadata(from)?;
    if !found.is_file() {
        bail!("this is no file");
    }
    if found.len() > MAX_BYTES {
        bail!("it is larger than {} MiB", MAX_BYTES >> 20);
    }
    Ok(fs::copy(from, to)?)
}

fn inline(file: &Map<String, Json>) -> anyhow::Result<(String, Vec<u8>)> {
    let text = |key: &str| file.get(key).and_then(Json::as_str);
    let Some(name) = text("name").filter(|name| !name.is_empty()) else { bail!("a file needs a \"name\"") };
    let bytes = match (text("text"), text("base64")) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(encoded)) => BASE64_STANDARD.decode(encoded.trim()).context("\"base64\" is no Base64")?,
        _ => bail!("a file needs either \"text\" or \"base64\""),
    };
    if let Some(other) = file.keys().find(|key| !matches!(key.as_str(), "name" | "text" | "base64")) {
        bail!("{other}: unknown here; there are \"name\", \"text\" and \"base64\"");
    }
    Ok((name.to_owned(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_in_the_fixture_in_two_ways() {
        let read = |text: &str| inline(&serde_json::from_str(text).unwrap());
        for (text, expected) in
            [(r#"{"name": "a.txt", "text": "hi"}"#, &b"hi"[..]), (r#"{"name": "a.bin", "base64": "AP8="}"#, &[0, 255])]
        {
            assert_eq!(read(text).unwrap().1, expected, "{text}");
        }
        for text in [
            r#"{"text": "hi"}"#,
            r#"{"name": "a"}"#,
            r#"{"name": "a", "base64": "?"}"#,
            r#"{"name": "a", "text": "", "base64": ""}"#,
            r#"{"name": "a", "text": "", "type": "x"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
