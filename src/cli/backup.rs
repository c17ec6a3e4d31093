//! `conch backup …`: backups without a browser. What needs the data is done by the server that runs on them, if one does.

use std::path::Path;

use anyhow::bail;
use clap::Args;

use super::{Place, ask::Ask, bar, in_words};
use crate::backups::{self, Item, Report};

/// Lines of a list that are shown.
const MOST: usize = 200;

/// `conch backup create`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch backup create --dir /var/lib/conch        named after the app and the time
  conch backup create before-the-move.zip

Nothing has to be stopped. The archive goes to the folder backups/ of the data directory, or to the bucket that the
settings name (backups.s3); its name is printed.")]
pub struct Create {
    /// a-z, 0-9, _ and -, ending with .zip
    name: Option<String>,
}

/// `conch backup list`
#[derive(Debug, Args)]
pub struct List {}

/// `conch backup verify`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch backup verify nightly.zip --dir /var/lib/conch
  conch backup verify /mnt/usb/nightly.zip            needs no data directory

The archive is unpacked into a folder that goes again: there has to be room for it (for a file that is no backup of the
data directory, in TMPDIR). Every checksum, the database and every file that a record names are looked at.")]
pub struct Verify {
    /// The name of a backup that `conch backup list` shows, or the path of an archive
    #[arg(value_name = "NAME|FILE")]
    archive: String,
}

impl Create {
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        println!("{}", Ask::BackupCreate { name: self.name }.carry_out(place)?);
        Ok(())
    }
}

impl List {
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        println!("{}", Ask::BackupList {}.carry_out(place)?);
        Ok(())
    }
}

impl Verify {
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        let path = Path::new(&self.archive);
        let is_name = !self.archive.contains('/');
        let told = if path.is_file() && !(is_name && backups::folder(&place.dir).join(path).is_file()) {
            verify_file(path)?
        } else if is_name {
            Ask::BackupVerify { name: self.archive }.carry_out(place)?
        } else {
            bail!("there is no archive {}", self.archive);
        };
        println!("{told}");
        Ok(())
    }
}

/// An archive from anywhere, without anybody's data.
fn verify_file(path: &Path) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (path, scratch) = (path.to_owned(), std::env::temp_dir());
    let report = runtime.block_on(bar::with_bar(async |progress| {
        tokio::task::spawn_blocking(move || backups::verify_file(&path, &scratch, &progress)).await
    }))?;
    Ok(report_text(&report.and_then(Report::into_result).map_err(in_words)?))
}

/// What there is, for people.
pub fn list_text(items: &[Item]) -> String {
    if items.is_empty() {
        return "There are no backups yet. Make one with: conch backup create".to_owned();
    }
    let width = items.iter().map(|item| item.key.chars().count()).max().unwrap_or(0);
    let line = |item: &Item| format!("{:width$}  {}  {:>15}", item.key, item.modified, item.size);
    let mut lines: Vec<_> = items.iter().take(MOST).map(line).collect();
    if items.len() > MOST {
        lines.push(format!("and {} more", items.len() - MOST));
    }
    lines.join("\n")
}

/// What was found in one that is sound.
pub fn report_text(report: &Report) -> String {
    if !report.is_conch {
        return "It is sound. It is of PocketBase: restoring it needs `conch import pocketbase`.".to_owned();
    }
    let missing = match report.missing {
        0 => String::new(),
        missing => format!(", {missing} of which were not there when it was made or are kept elsewhere"),
    };
    format!(
        "It is sound: {} collections, {} files{missing}, and the log up to change {}.",
        report.collections, report.files, report.seq
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_table_of_bounded_length() {
        let item = |key: &str, size| Item { key: key.into(), size, modified: "2026-01-01 00:00:00.000Z".into() };
        assert_eq!(
            list_text(&[item("a.zip", 5), item("long.zip", 1234)]),
            "a.zip     2026-01-01 00:00:00.000Z                5\n\
             long.zip  2026-01-01 00:00:00.000Z             1234"
        );
        assert!(list_text(&[]).contains("conch backup create"));
        let many = list_text(&vec![item("a", 1); MOST + 3]);
        assert!(many.ends_with("and 3 more") && many.lines().count() == MOST + 1);
    }
}
