//! What rules may know of a request (`records-filter.md` §6.5), and how its values become SQL values.

use std::net::IpAddr;

use serde_json::{Map, Value as Json};

use crate::{
    clock::Timestamp,
    db::{Asker, Value},
    identity::{Caller, network},
};

/// `@request.context`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Context {
    #[default]
    Default,
    Expand,
    Realtime,
    ProtectedFile,
    Batch,
    OAuth2,
    Otp,
    Password,
}

impl Context {
    pub fn as_str(self) -> &'static str {
        match self {
            Context::Default => "default",
            Context::Expand => "expand",
            Context::Realtime => "realtime",
            Context::ProtectedFile => "protectedFile",
            Context::Batch => "batch",
            Context::OAuth2 => "oauth2",
            Context::Otp => "otp",
            Context::Password => "password",
        }
    }
}

/// What rules may know of a request (§6.5).
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub context: Context,
    /// Upper case.
    pub method: String,
    /// First value of each query parameter.
    pub query: Map<String, Json>,
    /// First value of each header, names in snake_case.
    pub headers: Map<String, Json>,
    /// Body values: normalised after modifiers for known fields (in the wire's JSON form), raw for others.
    pub body: Map<String, Json>,
    pub caller: Caller,
    /// Where it comes from, unless it is the house's own; no rule sees it.
    pub address: Option<IpAddr>,
    /// The time that macros tell.
    pub now: Timestamp,
}

/// The three maps of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Query,
    Headers,
    Body,
}

/// A value inside one of the maps: keys and array indexes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RequestPath {
    pub part: Part,
    pub path: Vec<Box<str>>,
}

impl Request {
    /// Who shares the database's slow lane with others: an account, or the guests of one address.
    pub fn asker(&self) -> Asker {
        match (self.caller.record(), self.address) {
            (Some(record), _) if !record.id.is_empty() => Asker::named(&(&record.collection_id, &record.id)),
            (None, Some(address)) => Asker::named(&network(address)),
            _ => Asker::HOUSE,
        }
    }

    /// The value at a path, `None` when a step does not exist.
    pub(super) fn value(&self, path: &RequestPath) -> Option<&Json> {
        let map = match path.part {
            Part::Query => &self.query,
            Part::Headers => &self.headers,
            Part::Body => &self.body,
        };
        let (first, rest) = path.path.split_first()?;
        rest.iter().try_fold(map.get(&**first)?, |value, key| match value {
            Json::Object(map) => map.get(&**key),
            Json::Array(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The submitted elements of a multi-value body key: a scalar is one element, nothing is none.
    pub(super) fn items(&self, key: &str) -> &[Json] {
        match self.body.get(key) {
            None | Some(Json::Null) => &[],
            Some(Json::Array(items)) => items,
            Some(scalar) => std::slice::from_ref(scalar),
        }
    }
}

/// A request's JSON value as SQL sees it: numbers are floats, booleans 1 and 0, lists and objects their JSON text.
/// `number`: a text that is a number becomes one (§6.5, last segment names a number field).
pub(super) fn to_sql(value: Option<&Json>, number: bool) -> Value {
    match value {
        None | Some(Json::Null) => Value::Null,
        Some(Json::Bool(flag)) => Value::Integer(i64::from(*flag)),
        Some(Json::Number(number)) => number.as_f64().map_or(Value::Null, Value::Real),
        Some(Json::String(text)) => match text.parse::<f64>() {
            Ok(parsed) if number && parsed.is_finite() => Value::Real(parsed),
            _ => Value::Text(text.clone()),
        },
        Some(composite) => Value::Text(composite.to_string()),
    }
}

/// A bound value's text in a pattern: numbers in their shortest form without exponent (§5.4).
pub(super) fn pattern_text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Blob(_) => None,
        Value::Integer(integer) => Some(integer.to_string()),
        Value::Real(real) => Some(real.to_string()),
        Value::Text(text) => Some(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_of_one_address_are_one_asker() {
        let guest = |address: &str| Request { address: address.parse().ok(), ..Request::default() }.asker();
        for (one, other, same) in [
            ("1.2.3.4", "1.2.3.4", true),
            ("1.2.3.4", "1.2.3.5", false),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("1.2.3.4", "", false),
        ] {
            assert_eq!(guest(one) == guest(other), same, "{one} {other}");
        }
        let house = Request { caller: Caller::system(), ..Request::default() };
        assert_eq!(house.asker(), Asker::HOUSE);
    }
}
