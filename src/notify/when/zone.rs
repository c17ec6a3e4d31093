//! Time zones by their IANA names. The database is compiled in; a zone is read once and kept.

use jiff::tz::TimeZone;

use crate::error::Leaf;

/// The longest name has half of that.
const NAME: usize = 64;

/// The zone of that name, whatever its case; `UTC` is one. The error names what there is not.
pub fn find(name: &str) -> Result<TimeZone, Leaf> {
    let known = |name: &str| {
        let zone = TimeZone::get(name).ok()?;
        // What stands for "nobody knows", and offsets without a place, are no answer to where somebody is.
        (!zone.is_unknown() && zone.iana_name().is_some()).then_some(zone)
    };
    (!name.is_empty() && name.len() <= NAME).then(|| known(name)).flatten().ok_or_else(|| {
        let told: String = name.chars().filter(|char| !char.is_control()).take(NAME).collect();
        Leaf::new("validation_unknown_zone", format!("There is no time zone \"{told}\"; a known one is Europe/Berlin."))
    })
}

/// That zone, UTC if there is none such.
pub(super) fn find_or_utc(name: &str) -> TimeZone {
    find(name).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_name_or_refused_by_name() {
        for name in
            ["UTC", "Europe/Berlin", "europe/berlin", "Asia/Calcutta", "Etc/GMT+12", "America/Argentina/Ushuaia"]
        {
            assert!(find(name).is_ok(), "{name}");
        }
        let long = "x".repeat(10_000);
        for name in [
            "",
            "Mars/Olympus",
            "Etc/Unknown",
            "+02:00",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "../etc/passwd",
            "a\u{7}b",
            &long,
        ] {
            let leaf = find(name).unwrap_err();
            let told: String = name.chars().filter(|char| !char.is_control()).take(NAME).collect();
            assert!(leaf.message.contains(&format!("\"{told}\"")), "{}", leaf.message);
            assert!(leaf.message.len() < 200);
            assert_eq!(find_or_utc(name), TimeZone::UTC);
        }
    }
}
