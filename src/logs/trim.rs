//! `maxDataSize` (`docs/wire/services.md` §6.2): what a row's `data` keeps within a rough number of bytes.

use serde_json::{Map, Value as Json};

/// Tells that something is missing.
const MARK: &str = "__pb_truncated__";

/// Keeps keys in their order until the budget is used up. The value that does not fit any more becomes `null`, or is left
/// out with its key if not even that fits; nothing follows it.
pub(super) fn trim(data: Map<String, Json>, budget: usize) -> Map<String, Json> {
    let mut left = Budget(budget);
    let (mut kept, complete) = left.object(data);
    if !complete {
        kept.insert(MARK.to_owned(), Json::Bool(true));
    }
    kept
}

/// Bytes that are left, counted as JSON text has them.
struct Budget(usize);

impl Budget {
    /// False when it is not enough.
    fn spend(&mut self, bytes: usize) -> bool {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }

    /// What fits of an object whose keys are sorted, and whether that is all.
    fn object(&mut self, data: Map<String, Json>) -> (Map<String, Json>, bool) {
        let mut kept = Map::new();
        for (key, value) in data {
            // Two quotes and a colon.
            if !self.spend(key.len() + 3) {
                return (kept, false);
            }
            let (value, complete) = self.value(value);
            kept.insert(key, value);
            if !complete {
                return (kept, false);
            }
        }
        (kept, true)
    }

    fn value(&mut self, value: Json) -> (Json, bool) {
        match value {
            Json::Object(mut object) => {
                if !self.spend(2) {
                    return (Json::Null, false);
                }
                object.sort_keys();
                let (kept, complete) = self.object(object);
                (Json::Object(kept), complete)
            }
            Json::Array(items) => {
                if !self.spend(2) {
                    return (Json::Null, false);
                }
                let mut kept = Vec::new();
                for item in items {
                    let (item, complete) = self.value(item);
                    kept.push(item);
                    if !complete {
                        return (Json::Array(kept), false);
                    }
                }
                (Json::Array(kept), true)
            }
            // Its text and a comma.
            other => match self.spend(other.to_string().len() + 1) {
                true => (other, true),
                false => (Json::Null, false),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every line as PocketBase 0.40.6 cut it.
    #[test]
    fn what_does_not_fit_is_left_out() {
        let health = json!({
            "auth": "", "execTime": 0.057437, "method": "GET", "referer": "rrrrrrrrrrrrrrrrrrrr",
            "remoteIP": "127.0.0.1", "status": 200, "type": "request",
        });
        let failed = json!({
            "auth": "_superusers", "authId": "irmt54nnzvvrewi",
            "details": { "password": "cannot be blank", "passwordConfirm": "cannot be blank" },
            "error": "Failed to create record.",
        });
        for (data, budget, expected) in [
            (&health, 10, json!({ "auth": "", MARK: true })),
            (&health, 40, json!({ "auth": "", "execTime": 0.057437, "method": null, MARK: true })),
            (&health, 60, json!({ "auth": "", "execTime": 0.057437, "method": "GET", "referer": null, MARK: true })),
            (
                &health,
                80,
                json!({ "auth": "", "execTime": 0.057437, "method": "GET", "referer": "rrrrrrrrrrrrrrrrrrrr", MARK: true }),
            ),
            (&health, 1000, health.clone()),
            (&failed, 10, json!({ "auth": null, MARK: true })),
            (&failed, 40, json!({ "auth": "_superusers", "authId": null, MARK: true })),
            (&failed, 60, json!({ "auth": "_superusers", "authId": "irmt54nnzvvrewi", "details": {}, MARK: true })),
            (
                &failed,
                80,
                json!({ "auth": "_superusers", "authId": "irmt54nnzvvrewi", "details": { "password": null }, MARK: true }),
            ),
            (
                &failed,
                120,
                json!({
                    "auth": "_superusers", "authId": "irmt54nnzvvrewi",
                    "details": { "password": "cannot be blank", "passwordConfirm": null }, MARK: true,
                }),
            ),
        ] {
            let Json::Object(data) = data.clone() else { unreachable!() };
            assert_eq!(Json::Object(trim(data, budget)), expected, "{budget}");
        }
    }
}
