//! What stands on one side of a comparison in memory.

use crate::{
    db::Value,
    rules::class::{Affinity, Class},
};

/// One side of a comparison.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub source: Source,
    pub class: Class,
    pub affinity: Affinity,
    /// A bound value: `~` makes a pattern of it.
    pub bound: bool,
    /// It stands for several values (§7.1).
    pub multi: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Source {
    One(Value),
    /// The current element of a list, by its number.
    Element(usize),
}

impl Side {
    pub fn known(value: Value) -> Self {
        Self { source: Source::One(value), class: Class::Known, affinity: Affinity::None, bound: true, multi: false }
    }

    pub fn blank(value: Value) -> Self {
        Self { class: Class::Blank, bound: false, ..Self::known(value) }
    }

    pub fn null() -> Self {
        Self::blank(Value::Null)
    }

    pub fn column(value: Value, class: Class, affinity: Affinity) -> Self {
        Self { class, affinity, bound: false, ..Self::known(value) }
    }

    pub fn computed(value: Value) -> Self {
        Self::column(value, Class::Plain, Affinity::None)
    }
}
