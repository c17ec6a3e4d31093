//! `geoPoint`: a longitude and a latitude, `{"lon":0,"lat":0}` in storage.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    Field, FieldType,
    value::{render, scalar},
};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GeoPoint {}

impl FieldType for GeoPoint {
    fn name(&self) -> &'static str {
        "geoPoint"
    }

    fn column(&self) -> &'static str {
        r#"JSON DEFAULT '{"lon":0,"lat":0}' NOT NULL"#
    }

    fn zero(&self) -> Value {
        Point::default().store()
    }

    fn normalise(&self, input: &Json) -> Value {
        match input {
            Json::String(text) => Point::parse(text),
            other => Point::of(other),
        }
        .store()
    }

    fn normalise_stored(&self, raw: ValueRef<'_>) -> Value {
        Point::parse(&scalar::raw_text(raw)).store()
    }

    fn write_json(&self, stored: ValueRef<'_>, out: &mut Vec<u8>) {
        match stored {
            ValueRef::Text(bytes) if is_plain_point(bytes) => out.extend_from_slice(bytes),
            other => Point::parse(&scalar::raw_text(other)).write(out),
        }
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        let point = Point::parse(scalar::stored_text(value));
        if required && point.lon == 0.0 && point.lat == 0.0 {
            return Err(Leaf::required());
        }
        if !(-90.0..=90.0).contains(&point.lat) {
            return Err(Leaf::new("validation_invalid_latitude", "The latitude must be from -90 to 90 degrees."));
        }
        if !(-180.0..=180.0).contains(&point.lon) {
            return Err(Leaf::new("validation_invalid_longitude", "The longitude must be from -180 to 180 degrees."));
        }
        Ok(())
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        Issues::default()
    }
}

/// Degrees.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Point {
    lon: f64,
    lat: f64,
}

impl Point {
    /// The point that a JSON object means; a missing part is 0, a malformed one makes both 0.
    fn of(input: &Json) -> Self {
        let part = |key: &str| match input.get(key) {
            None | Some(Json::Null) => Some(0.0),
            Some(value) => value.as_f64(),
        };
        match (part("lon"), part("lat")) {
            (Some(lon), Some(lat)) if input.is_object() => Self { lon, lat },
            _ => Self::default(),
        }
    }

    fn parse(text: &str) -> Self {
        serde_json::from_str(text).map(|input: Json| Self::of(&input)).unwrap_or_default()
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"lon\":");
        render::write_float(self.lon, out);
        out.extend_from_slice(b",\"lat\":");
        render::write_float(self.lat, out);
        out.push(b'}');
    }

    fn store(self) -> Value {
        let mut json = Vec::with_capacity(32);
        self.write(&mut json);
        Value::Text(String::from_utf8(json).expect("numbers are ASCII"))
    }
}

/// True for a point as it is stored: two plain decimals, nothing else.
fn is_plain_point(bytes: &[u8]) -> bool {
    let parts = bytes
        .strip_prefix(b"{\"lon\":")
        .and_then(|rest| rest.strip_suffix(b"}"))
        .and_then(|rest| Some(rest.split_at(rest.iter().position(|&byte| byte == b',')?)));
    parts.is_some_and(|(lon, rest)| is_decimal(lon) && rest.strip_prefix(b",\"lat\":").is_some_and(is_decimal))
}

/// True for a JSON number without exponent.
fn is_decimal(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let whole = parts.next().unwrap_or_default();
    is_number(whole) && (whole == b"0" || whole[0] != b'0') && parts.next().is_none_or(is_number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn input_is_normalised() {
        for (input, stored) in [
            (json!({"lon": 1, "lat": 2}), r#"{"lon":1,"lat":2}"#),
            (json!({"lat": 2, "x": 3}), r#"{"lon":0,"lat":2}"#),
            (json!({"lon": null, "lat": 2.5}), r#"{"lon":0,"lat":2.5}"#),
            (json!({"lon": "1", "lat": 2}), r#"{"lon":0,"lat":0}"#),
            (json!({"lon": true, "lat": 2}), r#"{"lon":0,"lat":0}"#),
            (json!({"Lon": 1, "LAT": 2}), r#"{"lon":0,"lat":0}"#),
            (json!({"lon": 1e-9, "lat": 2}), r#"{"lon":1e-9,"lat":2}"#),
            (json!(" {\"lon\":1,\"lat\":2} "), r#"{"lon":1,"lat":2}"#),
            (json!("{\"lat\":1}"), r#"{"lon":0,"lat":1}"#),
            (json!([1, 2]), r#"{"lon":0,"lat":0}"#),
            (json!("abc"), r#"{"lon":0,"lat":0}"#),
            (json!(null), r#"{"lon":0,"lat":0}"#),
        ] {
            assert_eq!(GeoPoint {}.normalise(&input), Value::Text(stored.into()), "{input}");
        }
    }

    #[test]
    fn raw_columns_are_rendered() {
        for (raw, json) in [
            (r#"{"lon":-1.25,"lat":0.5}"#, r#"{"lon":-1.25,"lat":0.5}"#),
            (r#"{"lat":2, "lon":1}"#, r#"{"lon":1,"lat":2}"#),
            (r#"{"lon":01,"lat":2}"#, r#"{"lon":0,"lat":0}"#),
            (r#"{"lon":1e-9,"lat":2}"#, r#"{"lon":1e-9,"lat":2}"#),
            ("", r#"{"lon":0,"lat":0}"#),
        ] {
            let mut out = Vec::new();
            GeoPoint {}.write_json(ValueRef::Text(raw.as_bytes()), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), json, "{raw}");
        }
    }

    #[test]
    fn bounds_are_checked() {
        for (lon, lat, code) in [
            (181.0, 91.0, Some("validation_invalid_latitude")),
            (181.0, 1.0, Some("validation_invalid_longitude")),
            (-180.0, -90.0, None),
        ] {
            let checked = GeoPoint {}.check(true, &Point { lon, lat }.store());
            assert_eq!(checked.err().map(|leaf| leaf.code.into_owned()), code.map(str::to_owned));
        }
        assert_eq!(GeoPoint {}.check(true, &GeoPoint {}.zero()), Err(Leaf::required()));
    }
}
