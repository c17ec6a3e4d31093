//! Why there is no certificate, as far as it matters for what comes next.

use std::time::Duration;

use instant_acme::{Error, Problem};

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Nobody answered, or not as an authority does. It may be different in a moment.
    Away,
    /// The authority wanted to hear it once more.
    Again,
    /// It does not know our account.
    Stranger,
    /// It has been asked too often.
    TooOften,
    /// It says no.
    Refused,
    /// It is here: a full disk, for example.
    Ours,
}

/// An attempt without a certificate.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub cause: Cause,
    /// For the log: one line.
    pub why: String,
}

impl Failure {
    pub fn new(cause: Cause, why: impl AsRef<str>) -> Self {
        Self { cause, why: one_line(why.as_ref()) }
    }

    /// The attempt took longer than `limit`.
    pub fn late(limit: Duration) -> Self {
        Self::new(Cause::Away, format!("the authority did not finish within {} seconds", limit.as_secs()))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Api(problem) => Self::new(cause(problem), told(problem)),
            // What they say is none of ours: a reset connection, a page in place of JSON.
            _ => Self::new(Cause::Away, causes(&error)),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Cause::Ours, format!("{error:#}"))
    }
}

/// What an authority means.
pub fn cause(problem: &Problem) -> Cause {
    match problem.r#type.as_deref().and_then(|kind| kind.strip_prefix("urn:ietf:params:acme:error:")) {
        Some("badNonce") => Cause::Again,
        Some("accountDoesNotExist") => Cause::Stranger,
        Some("rateLimited") => Cause::TooOften,
        Some("serverInternal") => Cause::Away,
        None if problem.status.is_none_or(|status| status >= 500) => Cause::Away,
        Some(_) | None => Cause::Refused,
    }
}

/// What an authority says of itself.
pub fn told(problem: &Problem) -> String {
    let mut text = problem.detail.clone().unwrap_or_else(|| "no reason given".to_owned());
    if let Some(kind) = &problem.r#type {
        text = format!("{text} ({})", kind.rsplit(':').next().unwrap_or(kind));
    }
    for part in problem.subproblems.iter().take(3) {
        text = format!("{text}; {}", part.detail.as_deref().unwrap_or_default());
    }
    text
}

fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        let said = source.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = source.source();
    }
    text
}

/// Without line breaks and other control characters, and not too long: others wrote it.
fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: serde_json::Value) -> Failure {
        Failure::from(Error::Api(serde_json::from_value(json).unwrap()))
    }

    #[test]
    fn problems_are_told_apart() {
        for (kind, status, cause) in [
            ("urn:ietf:params:acme:error:badNonce", 400, Cause::Again),
            ("urn:ietf:params:acme:error:accountDoesNotExist", 400, Cause::Stranger),
            ("urn:ietf:params:acme:error:rateLimited", 429, Cause::TooOften),
            ("urn:ietf:params:acme:error:serverInternal", 500, Cause::Away),
            ("urn:ietf:params:acme:error:rejectedIdentifier", 400, Cause::Refused),
            ("about:blank", 503, Cause::Away),
            ("about:blank", 404, Cause::Refused),
        ] {
            let failure = problem(serde_json::json!({"type": kind, "status": status, "detail": "no\n\u{7}way"}));
            assert_eq!(failure.cause, cause, "{kind}");
            assert!(failure.why.starts_with("no way ("), "{}", failure.why);
        }
        assert_eq!(problem(serde_json::json!({})).cause, Cause::Away);
        assert_eq!(Failure::from(Error::Str("x")).cause, Cause::Away);
        assert_eq!(Failure::new(Cause::Ours, "x".repeat(9999)).why.len(), 500);
    }
}
