//! Pieces of SQL with the parameters and joins they need, and the boolean tree they hang in.

use super::slot::Slot;
use crate::db::quote_ident;

/// A piece of SQL: text with plain `?` placeholders, their slots in order, and the joins of its scope it refers to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::rules) struct Frag {
    pub text: String,
    pub slots: Vec<Slot>,
    /// Bit `n`: join `n` of the scope.
    pub uses: u64,
}

impl Frag {
    /// SQL without parameters.
    pub fn raw(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// One bound parameter.
    pub fn slot(slot: Slot) -> Self {
        Self { text: "?".to_owned(), slots: vec![slot], uses: 0 }
    }

    pub fn column(alias: &str, name: &str, uses: u64) -> Self {
        Self { text: format!("{alias}.{}", quote_ident(name)), slots: Vec::new(), uses }
    }

    /// A template with `{0}`, `{1}`, … replaced by `parts`, each as often as it is named.
    pub fn fill(template: &str, parts: &[&Frag]) -> Self {
        let mut filled = Frag::default();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (index, tail) = after.split_once('}').expect("templates are constants with closed braces");
            let index: usize = index.parse().expect("templates name their parts by number");
            filled.text.push_str(before);
            filled.push(parts.get(index).expect("templates get all their parts"));
            rest = tail;
        }
        filled.text.push_str(rest);
        filled
    }

    /// Appends another piece.
    pub fn push(&mut self, other: &Frag) {
        self.text.push_str(&other.text);
        self.slots.extend(other.slots.iter().cloned());
        self.uses |= other.uses;
    }

    pub fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// All pieces with `separator` between.
    pub fn join(pieces: &[Frag], separator: &str) -> Self {
        let mut joined = Frag::default();
        for (index, piece) in pieces.iter().enumerate() {
            joined.push_str(if index == 0 { "" } else { separator });
            joined.push(piece);
        }
        joined
    }
}

/// A condition. Only TRUE accepts a row and there is no negation, so FALSE and NULL need not be told apart.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::rules) enum Cond {
    True,
    False,
    /// An SQL expression that may stand between AND and OR as it is.
    Leaf(Frag),
    And(Vec<Cond>),
    Or(Vec<Cond>),
}

impl Cond {
    pub fn leaf(template: &str, parts: &[&Frag]) -> Self {
        Cond::Leaf(Frag::fill(template, parts))
    }

    /// All of them; constants fold.
    pub fn all(members: Vec<Cond>) -> Self {
        let mut kept = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Cond::True => {}
                Cond::False => return Cond::False,
                Cond::And(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        match kept.len() {
            0 => Cond::True,
            1 => kept.swap_remove(0),
            _ => Cond::And(kept),
        }
    }

    /// Any of them; constants fold.
    pub fn any(members: Vec<Cond>) -> Self {
        let mut kept = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Cond::False => {}
                Cond::True => return Cond::True,
                Cond::Or(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        match kept.len() {
            0 => Cond::False,
            1 => kept.swap_remove(0),
            _ => Cond::Or(kept),
        }
    }

    /// The joins that it refers to.
    pub fn uses(&self) -> u64 {
        match self {
            Cond::True | Cond::False => 0,
            Cond::Leaf(frag) => frag.uses,
            Cond::And(members) | Cond::Or(members) => members.iter().fold(0, |uses, member| uses | member.uses()),
        }
    }

    /// As one SQL expression over the joined rows.
    pub fn flat(&self) -> Frag {
        match self {
            Cond::True => Frag::raw("1"),
            Cond::False => Frag::raw("0"),
            Cond::Leaf(frag) => frag.clone(),
            Cond::And(members) => group(members.iter().map(Cond::flat).collect(), " AND "),
            Cond::Or(members) => group(members.iter().map(Cond::flat).collect(), " OR "),
        }
    }
}

/// `(a AND b AND c)`
pub(in crate::rules) fn group(members: Vec<Frag>, join: &str) -> Frag {
    Frag::fill("({0})", &[&Frag::join(&members, join)])
}
