//! Reading and checking the settings of fields (`docs/wire/records-collections.md` §4.1, §4.5).
//!
//! `null` stands for the default everywhere, another JSON type is an error, numbers may be spelled as floats.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Issues, Leaf};

/// The largest integer that every client can say.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

pub fn text<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

pub fn flag<'de, D: Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

pub fn texts<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let list: Option<Vec<Option<String>>> = Option::deserialize(input)?;
    Ok(list.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect())
}

pub fn integer<'de, D: Deserializer<'de>>(input: D) -> Result<i64, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(input)? else { return Ok(0) };
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() < 9e18).then_some(float as i64);
    number
        .as_i64()
        .or_else(|| number.as_f64().and_then(whole))
        .ok_or_else(|| serde::de::Error::custom("not a whole number"))
}

/// A whole float without a fraction.
pub fn float_json(float: f64) -> serde_json::Value {
    if float.fract() == 0.0 && float.abs() < 9e15 { (float as i64).into() } else { float.into() }
}

pub fn write_float<S: Serializer>(float: &Option<f64>, out: S) -> Result<S::Ok, S::Error> {
    float.map(float_json).serialize(out)
}

/// Adds an issue when `value` is not within `least` and `most`.
pub fn check_range(issues: &mut Issues, key: &str, value: i64, least: i64, most: i64) {
    if value < least {
        let message = format!("Must be no less than {least}.");
        issues.insert(key, Leaf::new("validation_min_greater_equal_than_required", message).param("threshold", least));
    } else if value > most {
        let message = format!("Must be no greater than {most}.");
        issues.insert(key, Leaf::new("validation_max_less_equal_than_required", message).param("threshold", most));
    }
}

/// Adds an issue when `bytes` is longer than `most`, or blank.
pub fn check_length(issues: &mut Issues, key: &str, text: &str, most: usize) {
    if !(1..=most).contains(&text.len()) {
        issues.insert(
            key,
            Leaf::new("validation_length_out_of_range", format!("The length must be between 1 and {most}."))
                .param("min", 1)
                .param("max", most),
        );
    }
}

/// Adds an issue when `pattern` is no regular expression of the wire.
pub fn check_pattern(issues: &mut Issues, key: &str, pattern: &str) {
    if let Err(reason) = crate::schema::pattern::compile(pattern) {
        issues.insert(key, Leaf::new("validation_invalid_regex", reason));
    }
}

/// The checks of a pair of domain lists: only one of them, and only domains in it.
pub fn check_domains(only: &[String], except: &[String]) -> Issues {
    let mut issues = Issues::default();
    for (key, list, other) in [("onlyDomains", only, except), ("exceptDomains", except, only)] {
        if !list.is_empty() && !other.is_empty() {
            issues.insert(key, Leaf::new("validation_empty", "Must be blank when the other list is set."));
            continue;
        }
        let mut entries = Issues::default();
        for (index, domain) in list.iter().enumerate() {
            if !domain.is_empty() && !crate::address::is_domain(domain) {
                entries.insert(&index.to_string(), Leaf::new("validation_is_domain", "Must be a domain."));
            }
        }
        issues.nest(key, entries);
    }
    issues
}

/// True when `domain` passes a pair of domain lists.
pub fn allows_domain(domain: &str, only: &[String], except: &[String]) -> bool {
    (only.is_empty() || only.iter().any(|entry| entry == domain)) && !except.iter().any(|entry| entry == domain)
}
