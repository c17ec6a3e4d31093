//! What Apple calls its users: it tells their name once, with the redirect, and never again
//! (`docs/wire/auth-oauth2.md` §3.11).

use parking_lot::Mutex;
use serde::Deserialize;

use crate::{auth::expiring::Expiring, clock::Timestamp};

/// Milliseconds that a name waits for its code.
const LIFETIME: i64 = 60 * 1000;
/// Bytes of a name.
const MAX_NAME: usize = 150;
/// Bytes of a code; a longer one is none of Apple's.
const MAX_CODE: usize = 1024;
/// Names that wait at the same time; the oldest goes.
const MAX_WAITING: usize = 1000;

/// Names by the code that came with them.
pub struct Names {
    /// Never held across an await.
    waiting: Mutex<Expiring<String, String>>,
}

impl Default for Names {
    fn default() -> Self {
        Self { waiting: Mutex::new(Expiring::new(LIFETIME, MAX_WAITING)) }
    }
}

impl Names {
    /// Keeps the name in Apple's `user` for a minute. Anything wrong with it is nothing to keep.
    pub fn keep(&self, code: &str, user: &str, now: Timestamp) {
        let Some(name) = read(user).filter(|_| !code.is_empty() && code.len() <= MAX_CODE) else { return };
        self.waiting.lock().insert(code.to_owned(), name, now);
    }

    /// The name that came with the code, once.
    pub fn take(&self, code: &str, now: Timestamp) -> Option<String> {
        self.waiting.lock().take(&code.to_owned(), now)
    }
}

/// First and last name in Apple's JSON.
fn read(user: &str) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Name {
        first_name: String,
        last_name: String,
    }
    #[derive(Deserialize)]
    struct User {
        name: Name,
    }
    let User { name } = serde_json::from_str(user).ok()?;
    let mut name = format!("{} {}", name.first_name, name.last_name).trim().to_owned();
    name.truncate(name.floor_char_boundary(MAX_NAME));
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = r#"{"name":{"firstName":"Ann","lastName":"Lee"},"email":"x"}"#;

    #[test]
    fn a_name_is_told_once_and_soon() {
        let names = Names::default();
        names.keep("c", USER, Timestamp(0));
        assert_eq!(names.take("d", Timestamp(1)), None);
        assert_eq!(names.take("c", Timestamp(LIFETIME - 1)).as_deref(), Some("Ann Lee"));
        assert_eq!(names.take("c", Timestamp(1)), None);
        names.keep("c", USER, Timestamp(0));
        assert_eq!(names.take("c", Timestamp(LIFETIME)), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let names = Names::default();
        for n in 0..MAX_WAITING + 10 {
            names.keep(&n.to_string(), USER, Timestamp(0));
        }
        assert_eq!(names.waiting.lock().len(), MAX_WAITING);
        assert!(names.take("0", Timestamp(1)).is_none() && names.take("10", Timestamp(1)).is_some());
        names.keep(&"x".repeat(MAX_CODE + 1), USER, Timestamp(0));
        names.keep("", USER, Timestamp(0));
        assert!(
            names.take(&"x".repeat(MAX_CODE + 1), Timestamp(1)).is_none() && names.take("", Timestamp(1)).is_none()
        );
        assert_eq!(names.waiting.lock().len(), MAX_WAITING);
        let long = format!(r#"{{"name":{{"firstName":"{}"}}}}"#, "é".repeat(200));
        assert_eq!(read(&long).unwrap().len(), MAX_NAME);
    }

    #[test]
    fn only_apples_shape_is_read() {
        for (user, expected) in [
            (r#"{"name":{"firstName":" A "}}"#, Some("A")),
            (r#"{"name":{"lastName":"B"}}"#, Some("B")),
            (r#"{"name":{}}"#, None),
            (r#"{"name":"A"}"#, None),
            (r#"{"name":{"firstName":5}}"#, None),
            ("{}", None),
            ("", None),
            ("null", None),
        ] {
            assert_eq!(read(user).as_deref(), expected, "{user}");
        }
    }
}
