//! SQLite's mathematical functions (<https://sqlite.org/lang_mathfunc.html>), registered by us: the bundled library has
//! them only under a compile flag, and imported views use them.
//!
//! NULL, text that is no number, and arguments outside a function's domain give NULL.

use rusqlite::{
    Connection, Result,
    functions::{Context, FunctionFlags},
    types::{Value, ValueRef},
};

const PURE: FunctionFlags =
    FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC).union(FunctionFlags::SQLITE_INNOCUOUS);

type Unary = fn(f64) -> f64;
type Binary = fn(f64, f64) -> f64;

const UNARY: [(&str, Unary); 20] = [
    ("acos", f64::acos),
    ("acosh", f64::acosh),
    ("asin", f64::asin),
    ("asinh", f64::asinh),
    ("atan", f64::atan),
    ("atanh", f64::atanh),
    ("cos", f64::cos),
    ("cosh", f64::cosh),
    ("degrees", f64::to_degrees),
    ("exp", f64::exp),
    ("ln", |x| positive(x, f64::ln)),
    ("log", |x| positive(x, f64::log10)),
    ("log10", |x| positive(x, f64::log10)),
    ("log2", |x| positive(x, f64::log2)),
    ("radians", f64::to_radians),
    ("sin", f64::sin),
    ("sinh", f64::sinh),
    ("sqrt", f64::sqrt),
    ("tan", f64::tan),
    ("tanh", f64::tanh),
];

/// These keep an INTEGER argument as it is.
const ROUNDING: [(&str, Unary); 4] =
    [("ceil", f64::ceil), ("ceiling", f64::ceil), ("floor", f64::floor), ("trunc", f64::trunc)];

const BINARY: [(&str, Binary); 5] = [
    ("atan2", f64::atan2),
    ("log", |base, x| if base > 0.0 && base != 1.0 { positive(x, f64::ln) / base.ln() } else { f64::NAN }),
    ("mod", |x, y| x % y),
    ("pow", f64::powf),
    ("power", f64::powf),
];

pub(super) fn register(connection: &Connection) -> Result<()> {
    for (name, function) in UNARY {
        connection.create_scalar_function(name, 1, PURE, move |context| {
            Ok(number(context, 0).and_then(|x| defined(function(x))))
        })?;
    }
    for (name, function) in ROUNDING {
        connection.create_scalar_function(name, 1, PURE, move |context| {
            Ok(match context.get_raw(0) {
                ValueRef::Integer(whole) => Value::Integer(whole),
                _ => number(context, 0).map_or(Value::Null, |x| Value::Real(function(x))),
            })
        })?;
    }
    for (name, function) in BINARY {
        connection.create_scalar_function(name, 2, PURE, move |context| {
            let (x, y) = (number(context, 0), number(context, 1));
            Ok(x.zip(y).and_then(|(x, y)| defined(function(x, y))))
        })?;
    }
    connection.create_scalar_function("pi", 0, PURE, |_| Ok(std::f64::consts::PI))
}

fn positive(x: f64, function: Unary) -> f64 {
    if x > 0.0 { function(x) } else { f64::NAN }
}

fn defined(x: f64) -> Option<f64> {
    (!x.is_nan()).then_some(x)
}

fn number(context: &Context<'_>, index: usize) -> Option<f64> {
    match context.get_raw(index) {
        ValueRef::Integer(whole) => Some(whole as f64),
        ValueRef::Real(real) => Some(real),
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok().filter(|x: &f64| x.is_finite()),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mathematics_works_whatever_the_compile_flags() {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        for (sql, expected) in [
            ("sqrt(9)", Value::Real(3.0)),
            ("sqrt(-1)", Value::Null),
            ("sqrt('16')", Value::Real(4.0)),
            ("sqrt('a')", Value::Null),
            ("sqrt(NULL)", Value::Null),
            ("ln(0)", Value::Null),
            ("log(100)", Value::Real(2.0)),
            ("log(2, 8)", Value::Real(3.0)),
            ("ceil(7)", Value::Integer(7)),
            ("ceil(1.2)", Value::Real(2.0)),
            ("trunc(-1.7)", Value::Real(-1.0)),
            ("mod(11.0, 3.5)", Value::Real(0.5)),
            ("pow(2, 10)", Value::Real(1024.0)),
            ("pi()", Value::Real(std::f64::consts::PI)),
        ] {
            let value: Value = connection.query_row(&format!("SELECT {sql}"), [], |row| row.get(0)).unwrap();
            assert_eq!(value, expected, "{sql}");
        }
    }
}
