//! What a template can speak of.

use std::sync::Arc;

use jiff::{Zoned, tz::TimeZone};
use minijinja::value::{Enumerator, Object, Value};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::clock::Timestamp;

/// The names that a template knows. Cheap to clone: what is the same for all recipients is made once and shared.
///
/// `user` and `record` have to be made of what everybody may see of them ([`crate::records::Records::visible`]).
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// The data of the notification over the defaults of the template.
    pub data: Value,
    /// The account that is told; nothing for a bare address.
    pub user: Value,
    /// The record that set it off.
    pub record: Value,
    /// The data of everything in a digest, oldest first.
    pub items: Value,
    /// How many that are; 1 without a digest.
    pub count: usize,
    /// `{name, url}`
    pub app: Value,
    pub category: Arc<str>,
    /// The rendered link: rendering sets it for the other three texts.
    pub link: Option<Value>,
    pub now: Timestamp,
    /// Of the recipient: dates are told in it.
    pub zone: Option<TimeZone>,
    /// Of the recipient: dates and numbers are written so.
    pub locale: Arc<str>,
}

/// The name under which filters find zone and locale: none that a template can spell.
pub(super) const PLACE: &str = "@place";

const NAMES: [&str; 10] = ["data", "user", "record", "items", "count", "app", "category", "link", "now", "locale"];

impl Scene {
    /// A value for one of its parts.
    pub fn value(json: &Json) -> Value {
        Value::deserialize(json).unwrap_or_default()
    }

    /// The same of a rendered record.
    pub fn rendered(json: &[u8]) -> Value {
        serde_json::from_slice(json).unwrap_or_default()
    }

    /// The time, where the recipient is.
    fn zoned(&self) -> Option<Zoned> {
        let now = jiff::Timestamp::from_millisecond(self.now.millis()).ok()?;
        Some(now.to_zoned(self.zone.clone().unwrap_or(TimeZone::UTC)))
    }
}

/// Where and in which language the recipient is.
#[derive(Debug)]
pub(super) struct Place {
    pub zone: TimeZone,
    pub locale: Arc<str>,
}

impl Object for Place {}

/// A scene as the root of a template's names.
#[derive(Debug)]
pub(super) struct Root(pub Scene);

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let scene = &self.0;
        Some(match key.as_str()? {
            "data" => scene.data.clone(),
            "user" => scene.user.clone(),
            "record" => scene.record.clone(),
            "items" => scene.items.clone(),
            "count" => scene.count.into(),
            "app" => scene.app.clone(),
            "category" => Value::from(scene.category.clone()),
            "link" => scene.link.clone()?,
            "locale" => Value::from(scene.locale.clone()),
            "now" => {
                let now = scene.zoned()?;
                now.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string().into()
            }
            PLACE => {
                let zone = scene.zone.clone().unwrap_or(TimeZone::UTC);
                Value::from_object(Place { zone, locale: scene.locale.clone() })
            }
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&NAMES)
    }
}
