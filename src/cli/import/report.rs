//! What an import tells a person in the end.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    database::{Missing, Survey, Surveyed},
    files::Copied,
    source::Source,
};
use crate::settings::Settings;

#[derive(Debug)]
pub struct Report {
    target: PathBuf,
    collections: Vec<Surveyed>,
    copied: Copied,
    /// One sentence for each thing that did not come along, or not whole.
    notes: Vec<String>,
}

impl Report {
    pub fn new(
        target: &Path,
        source: &Source,
        survey: &Survey,
        settings: &Settings,
        copied: Copied,
        missing: Missing,
    ) -> Self {
        let mut notes = survey.notes.clone();
        notes.extend(elsewhere(settings).map(str::to_owned));
        if missing.files > 0 && !settings.s3.enabled {
            let examples = missing.examples.join(", ");
            notes.push(format!("{} files that records name are not in storage, such as {examples}.", missing.files));
        }
        notes.extend(copied.skipped.iter().map(|path| format!("{}: neither a file nor a folder.", path.display())));
        notes.extend(source.left_behind());
        if let Some(process) = source.user() {
            notes.push(format!(
                "PocketBase (process {process}) has the source open: what it writes from now on stays behind."
            ));
        }
        Self { target: target.to_owned(), collections: survey.collections.clone(), copied, notes }
    }
}

/// Settings on which it depends where something is.
fn elsewhere(settings: &Settings) -> impl Iterator<Item = &'static str> {
    [(
        settings.s3.enabled,
        "Files are in the bucket of the settings and stay there: `conch storage move --to local` fetches them.",
    )]
    .into_iter()
    .filter_map(|(on, note)| on.then_some(note))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Imported into {}:", self.target.display())?;
        let records: u64 = self.collections.iter().filter_map(|collection| collection.records).sum();
        writeln!(f, "  collections  {}", self.collections.len())?;
        writeln!(f, "  records      {records}")?;
        for collection in &self.collections {
            match collection.records {
                Some(records) => writeln!(f, "    {:<24} {records}", collection.name)?,
                None => writeln!(f, "    {:<24} view", collection.name)?,
            }
        }
        writeln!(f, "  files        {} ({} bytes)", self.copied.files, self.copied.bytes)?;
        writeln!(f, "Passwords and issued tokens stay valid.")?;
        if !self.notes.is_empty() {
            writeln!(f, "What did not come along, or not whole:")?;
        }
        for note in &self.notes {
            writeln!(f, "  - {note}")?;
        }
        writeln!(f, "Start it with: conch serve --dir {}", self.target.display())
    }
}
