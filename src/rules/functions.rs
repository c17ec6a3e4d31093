//! The SQL functions behind `geoDistance` and `~` (`records-filter.md` §4, §5.4), for every connection that runs compiled
//! filters.

use std::{borrow::Cow, convert::Infallible};

use rusqlite::{
    Connection,
    functions::FunctionFlags,
    types::{Value, ValueRef},
};

use super::{like::Pattern, memory::value::to_numeric};

/// Kilometres.
const EARTH_RADIUS: f64 = 6371.0;

/// Makes `geo_distance(lonA, latA, lonB, latB)` and `conch_like(text, pattern)` known to a connection.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("geo_distance", 4, flags, |context| {
        let mut point = [Value::Null, Value::Null, Value::Null, Value::Null];
        for (index, value) in point.iter_mut().enumerate() {
            *value = match context.get_raw(index) {
                ValueRef::Integer(degrees) => Value::Integer(degrees),
                ValueRef::Real(degrees) => Value::Real(degrees),
                ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Null | ValueRef::Blob(_) => Value::Null,
            };
        }
        Ok(geo_distance(&point))
    })?;
    connection.create_scalar_function("conch_like", 2, flags, |context| {
        let Some(subject) = text(context.get_raw(0)) else { return Ok(None) };
        if context.get_raw(1) == ValueRef::Null {
            return Ok(None);
        }
        // SQLite keeps what was made of a pattern that is the same on every row.
        let pattern = context.get_or_create_aux(1, |pattern| -> Result<_, Infallible> {
            Ok(Pattern::new(&text(pattern).unwrap_or_default()))
        })?;
        Ok(Some(pattern.matches(&subject)))
    })
}

/// A text's characters; `None` for what is no text (a compiled filter hands over texts and NULL only).
fn text(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes)),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    }
}

/// The spherical law of cosines; `None` when an argument is NULL or no number.
pub(super) fn geo_distance([lon_a, lat_a, lon_b, lat_b]: &[Value; 4]) -> Option<f64> {
    let radians = |value: &Value| match to_numeric(value) {
        Value::Integer(degrees) => Some((degrees as f64).to_radians()),
        Value::Real(degrees) => Some(degrees.to_radians()),
        _ => None,
    };
    let (lon_a, lat_a, lon_b, lat_b) = (radians(lon_a)?, radians(lat_a)?, radians(lon_b)?, radians(lat_b)?);
    let cosine = lat_a.cos() * lat_b.cos() * (lon_b - lon_a).cos() + lat_a.sin() * lat_b.sin();
    // Rounding may leave the domain of the arc cosine for points that coincide.
    Some(EARTH_RADIUS * cosine.clamp(-1.0, 1.0).acos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_kilometres_on_a_sphere() {
        let connection = Connection::open_in_memory().expect("memory is always there");
        register(&connection).unwrap();
        for (arguments, expected) in [
            // Sofia to Plovdiv.
            ("23.32, 42.69, 24.74, 42.13", Some(132.2)),
            ("0, 0, 180, 0", Some(20015.1)),
            ("10.1, 50.2, 10.1, 50.2", Some(0.0)),
            ("'23.32', '42.69', 24.74, 42.13", Some(132.2)),
            ("NULL, 0, 0, 0", None),
            ("'x', 0, 0, 0", None),
            ("x'00', 0, 0, 0", None),
        ] {
            let sql = format!("SELECT round(geo_distance({arguments}), 1)");
            let found: Option<f64> = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(found, expected, "{arguments}");
        }
    }

    #[test]
    fn patterns_are_matched_row_by_row() {
        let connection = Connection::open_in_memory().expect("memory is always there");
        register(&connection).unwrap();
        let sql = "WITH t (a, b) AS (VALUES ('Abc', '%b%'), ('abc', '%d%'), (NULL, '%'), ('x', NULL), (15.5, '1_.%'))
                   SELECT group_concat(coalesce(conch_like(CAST(a AS TEXT), b), '-') || coalesce(conch_like(CAST(a AS TEXT), ?), '-'), ' ') FROM t";
        let found: String = connection.query_row(sql, ["%B_"], |row| row.get(0)).unwrap();
        assert_eq!(found, "11 01 -- -0 10");
    }
}
