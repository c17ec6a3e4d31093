//! `number`: a 64-bit float, stored as an integer where it is one.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    Field, FieldType, Modifier, settings,
    value::{render, scalar},
};
use crate::{
    db::Value,
    error::{Issues, Leaf},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Number {
    #[serde(serialize_with = "settings::write_float")]
    pub min: Option<f64>,
    #[serde(serialize_with = "settings::write_float")]
    pub max: Option<f64>,
    #[serde(deserialize_with = "settings::flag")]
    pub only_int: bool,
}

impl FieldType for Number {
    fn name(&self) -> &'static str {
        "number"
    }

    fn column(&self) -> &'static str {
        "NUMERIC DEFAULT 0 NOT NULL"
    }

    fn zero(&self) -> Value {
        Value::Integer(0)
    }

    fn normalise(&self, input: &Json) -> Value {
        scalar::float_value(scalar::float_of(input))
    }

    fn normalise_stored(&self, raw: ValueRef<'_>) -> Value {
        scalar::float_value(scalar::raw_float(raw))
    }

    fn write_json(&self, stored: ValueRef<'_>, out: &mut Vec<u8>) {
        match stored {
            ValueRef::Integer(integer) if scalar::is_exact(integer) => render::write_integer(integer, out),
            other => render::write_float(scalar::raw_float(other), out),
        }
    }

    fn apply(&self, current: &Value, modifier: Modifier, input: &Json) -> Option<Value> {
        let (stored, given) = (scalar::stored_float(current), scalar::float_of(input));
        match modifier {
            Modifier::Set => Some(given),
            Modifier::Append => Some(stored + given),
            Modifier::Remove => Some(stored - given),
            Modifier::Prepend | Modifier::Autogenerate => None,
        }
        .map(scalar::float_value)
    }

    fn check(&self, required: bool, value: &Value) -> Result<(), Leaf> {
        let float = scalar::stored_float(value);
        if !float.is_finite() {
            return Err(Leaf::new("validation_not_a_number", "Must be a finite number."));
        }
        if float == 0.0 {
            // 0 stands for "missing": the bounds do not apply to it.
            return if required { Err(Leaf::required()) } else { Ok(()) };
        }
        // Beyond 64 bits no integer is meant either.
        if self.only_int && (float.fract() != 0.0 || float.abs() >= 9_223_372_036_854_775_808.0) {
            return Err(only_int());
        }
        if let Some(min) = self.min.filter(|&min| float < min) {
            return Err(too_small(min));
        }
        if let Some(max) = self.max.filter(|&max| float > max) {
            let message = format!("Must be no greater than {max}.");
            return Err(Leaf::new("validation_max_number_constraint", message).param("max", settings::float_json(max)));
        }
        Ok(())
    }

    fn check_settings(&self, _field: &Field) -> Issues {
        let mut issues = Issues::default();
        for (key, bound) in [("min", self.min), ("max", self.max)] {
            if self.only_int && bound.is_some_and(|bound| bound.fract() != 0.0) {
                issues.insert(key, only_int());
            }
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && max < min
        {
            issues.insert("max", too_small(min));
        }
        issues
    }
}

fn only_int() -> Leaf {
    Leaf::new("validation_only_int_constraint", "Must be a whole number.")
}

fn too_small(min: f64) -> Leaf {
    Leaf::new("validation_min_number_constraint", format!("Must be no less than {min}."))
        .param("min", settings::float_json(min))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// serde_json's default reading of floats is off by one unit in the last place here.
    #[test]
    fn floats_survive_the_way_through() {
        for text in ["489.26578275772124", "6.110022924717905e-8", "998095.2281729409", "-14299.306196957827"] {
            let input: Json = serde_json::from_str(text).expect("a number");
            let mut out = Vec::new();
            Number::default().write_json(ValueRef::from(&Number::default().normalise(&input)), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
