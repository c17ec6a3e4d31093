//! What rules may know of a request, collected only as far as some rule asks for it.

use actix_web::http::header::HeaderMap;
use serde_json::{Map, Value as Json};

use super::{Call, query::Params};
use crate::{
    rules::{Context, Request},
    schema::{Catalog, Collection},
};

/// Which parts of a request the rules of one catalog mention. Collecting headers and query for every request would
/// cost more than most rules do.
#[derive(Debug, Default)]
pub struct Asked {
    /// The catalog that was looked through.
    version: Option<u64>,
    pub headers: bool,
    pub query: bool,
}

impl Asked {
    fn refresh(&mut self, catalog: &Catalog) {
        if self.version == Some(catalog.version) {
            return;
        }
        let mentions = |what: &str| catalog.all().iter().any(|collection| mentions(collection, what));
        // The bare words: a false alarm costs little, a missed one would break a rule.
        *self = Self { version: Some(catalog.version), headers: mentions("headers"), query: mentions("query") };
    }
}

fn mentions(collection: &Collection, what: &str) -> bool {
    let rules = [
        &collection.list_rule,
        &collection.view_rule,
        &collection.create_rule,
        &collection.update_rule,
        &collection.delete_rule,
    ];
    let auth = collection.auth().into_iter().flat_map(|options| [&options.auth_rule, &options.manage_rule]);
    let mfa = collection.auth().map(|options| options.mfa.rule.as_str());
    rules.into_iter().chain(auth).flatten().map(String::as_str).chain(mfa).any(|rule| rule.contains(what))
}

impl Call {
    /// The request as rules see it; the body is added by whoever reads it.
    pub fn rule_request(&self, context: Context, params: &Params) -> Request {
        let mut asked = self.wire.asked.borrow_mut();
        asked.refresh(&self.app().schema.catalog());
        // A superuser's filter may read the request too; anybody else's is refused.
        let filters = self.caller.is_superuser() && ["filter", "sort"].iter().any(|name| params.get(name).is_some());
        Request {
            context,
            method: self.http.method().as_str().to_owned(),
            query: if asked.query || filters { params.to_map() } else { Map::new() },
            headers: if asked.headers || filters { snake_case(self.http.headers()) } else { Map::new() },
            body: Map::new(),
            caller: self.caller.clone(),
            address: Some(self.client_ip()),
            now: self.app().clock.now(),
        }
    }
}

/// The first value of each header under its name in snake_case (`docs/wire/records-filter.md` §6.5).
pub fn snake_case(headers: &HeaderMap) -> Map<String, Json> {
    let mut map = Map::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        map.entry(snake_name(name.as_str())).or_insert_with(|| Json::String(value.into_owned()));
    }
    map
}

pub fn snake_name(name: &str) -> String {
    name.replace('-', "_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn headers_are_seen_in_snake_case() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-foo-bar", "1"), ("x-foo-bar", "2"), ("user-agent", "a")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let map = snake_case(&headers);
        assert_eq!(map.get("x_foo_bar"), Some(&Json::from("1")));
        assert_eq!(map.get("user_agent"), Some(&Json::from("a")));
        assert_eq!(map.len(), 2);
    }
}
