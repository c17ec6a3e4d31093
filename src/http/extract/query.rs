//! Query parameters: the first value of each name counts.

use serde_json::{Map, Value as Json};

use crate::{
    error::{Error, Result},
    records::{ListParams, Shape},
};

/// More parameters than this are refused.
const MAX_PARAMS: usize = 1000;

/// Decoded query parameters in the order of the request.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    pub fn parse(query: &str) -> Result<Self> {
        if query.is_empty() {
            return Ok(Self::default());
        }
        let mut pairs = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if pairs.len() == MAX_PARAMS {
                return Err(Error::invalid("The request has too many query parameters."));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// The first value of `name`; a blank one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// `expand` and `fields`.
    pub fn shape(&self) -> Shape {
        let owned = |name| self.get(name).map(str::to_owned);
        Shape { expand: owned("expand"), fields: owned("fields") }
    }

    /// The parameters of a list.
    pub fn list(&self) -> ListParams {
        ListParams::parse(|name| self.get(name))
    }

    /// First values by name, as rules see them.
    pub fn to_map(&self) -> Map<String, Json> {
        let mut map = Map::new();
        for (name, value) in &self.0 {
            map.entry(name).or_insert_with(|| Json::String(value.clone()));
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts() {
        let params = Params::parse("a=1&a=2&b=&c=x+y%26&fields=id&expand=").unwrap();
        assert_eq!(params.get("a"), Some("1"));
        assert_eq!(params.get("b"), None);
        assert_eq!(params.get("c"), Some("x y&"));
        assert_eq!(
            serde_json::to_string(&params.to_map()).unwrap(),
            r#"{"a":"1","b":"","c":"x y&","fields":"id","expand":""}"#
        );
        let shape = params.shape();
        assert_eq!((shape.fields.as_deref(), shape.expand), (Some("id"), None));
    }

    #[test]
    fn parameters_are_bounded() {
        assert!(Params::parse(&"a=1&".repeat(MAX_PARAMS)).is_ok());
        assert!(Params::parse(&"a=1&".repeat(MAX_PARAMS + 1)).is_err());
    }
}
