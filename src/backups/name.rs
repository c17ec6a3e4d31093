//! What backups are called (`docs/wire/services.md` §8).

use crate::{
    clock::Timestamp,
    error::{Error, Leaf, Result},
};

/// What the names of automatic backups begin with: nobody can ask for such a name.
pub const AUTOMATIC: &str = "@auto_pb_backup_";
const BY_HAND: &str = "pb_backup_";
const MAX_NAME: usize = 150;
/// Letters of the app's name in a name.
const MAX_APP: usize = 50;
/// Bytes that file systems allow in one name.
const MAX_KEY: usize = 255;

/// A name that somebody asks for: `[a-z0-9_-]+.zip`.
pub fn asked(name: &str) -> Result<()> {
    let leaf = if name.is_empty() || name.len() > MAX_NAME {
        Leaf::new("validation_length_out_of_range", format!("Has to have 1 to {MAX_NAME} characters."))
            .param("min", 1)
            .param("max", MAX_NAME)
    } else if !is_plain(name) {
        Leaf::new("validation_match_invalid", "Has to consist of a-z, 0-9, _ and -, and end with .zip.")
    } else {
        return Ok(());
    };
    Err(Error::field("name", leaf))
}

fn is_plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    name.strip_suffix(".zip").is_some_and(|stem| !stem.is_empty() && stem.bytes().all(allowed))
}

/// Whether a file can be called so without leading anywhere else: uploads keep the name that they had. What begins with a
/// dot is ours, and never told.
pub fn is_key(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_KEY
        && !name.starts_with('.')
        && !name.contains(|letter: char| matches!(letter, '/' | '\\') || letter.is_control())
}

/// The name of a backup that nobody has named.
pub fn generated(is_automatic: bool, app: &str, now: Timestamp) -> String {
    let digits: String = now.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    let prefix = if is_automatic { AUTOMATIC } else { BY_HAND };
    format!("{prefix}{}_{digits}.zip", snake(app))
}

/// The words of a name in small letters.
fn snake(app: &str) -> String {
    let mut out = String::new();
    let mut after_small = false;
    for letter in app.chars() {
        let starts = !letter.is_ascii_alphanumeric() || (letter.is_ascii_uppercase() && after_small);
        if starts && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        if letter.is_ascii_alphanumeric() {
            out.push(letter.to_ascii_lowercase());
        }
        after_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    out.truncate(MAX_APP);
    out.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_be_asked_for() {
        let long = format!("{}.zip", "a".repeat(146));
        for name in ["a.zip", "a_b-9.zip", &long] {
            assert!(asked(name).is_ok(), "{name}");
        }
        let longer = format!("{}.zip", "a".repeat(147));
        for (name, code) in [
            ("", "validation_length_out_of_range"),
            (longer.as_str(), "validation_length_out_of_range"),
            (".zip", "validation_match_invalid"),
            ("a", "validation_match_invalid"),
            ("A.zip", "validation_match_invalid"),
            ("../a.zip", "validation_match_invalid"),
            ("@auto_pb_backup_x.zip", "validation_match_invalid"),
            ("a.zip\n", "validation_match_invalid"),
        ] {
            assert_eq!(asked(name).unwrap_err().issues.leaves(), [("name".to_owned(), code)], "{name}");
        }
    }

    #[test]
    fn keys_stay_in_their_folder() {
        for (name, expected) in [
            ("a.zip", true),
            ("My Backup (1).ZIP", true),
            ("ü", true),
            ("@auto_pb_backup_acme_20260101000000.zip", true),
            ("", false),
            (".", false),
            ("..", false),
            (".making", false),
            ("a/b.zip", false),
            ("a\\b.zip", false),
            ("a\0", false),
        ] {
            assert_eq!(is_key(name), expected, "{name:?}");
        }
        assert!(!is_key(&"x".repeat(256)));
    }

    #[test]
    fn generated_names_tell_the_app_and_the_time() {
        let now = Timestamp(1_700_000_000_000);
        for (app, expected) in [
            ("Acme", "pb_backup_acme_20231114221320.zip"),
            ("My App 2", "pb_backup_my_app_2_20231114221320.zip"),
            ("MyApp", "pb_backup_my_app_20231114221320.zip"),
            ("  /Süß/ ", "pb_backup_s_20231114221320.zip"),
        ] {
            assert_eq!(generated(false, app, now), expected, "{app}");
            assert_eq!(generated(true, app, now), format!("@auto_{expected}"));
        }
        let long = generated(false, &"x".repeat(99), now);
        assert_eq!(long.len(), "pb_backup__20231114221320.zip".len() + 50);
        assert!(asked(&long).is_ok());
    }
}
