//! The comparison of two operands as SQL (`records-filter.md` §5, §7.2).

use super::{
    frag::{Cond, Frag, group},
    operand::{Side, Term},
    slot::Slot,
};
use crate::rules::{
    class::{Affinity, Class},
    parse::expr::Sign,
};

/// `left sign right` on one joined row.
pub(super) fn compare(left: &Term, sign: Sign, right: &Term) -> Cond {
    match sign {
        Sign::Equal => equality(left, right, true),
        Sign::NotEqual => equality(left, right, false),
        Sign::Like => like(left, right, ""),
        Sign::NotLike => like(left, right, " = 0"),
        ordering => Cond::leaf(&format!("{{0}} {} {{1}}", ordering.as_str()), &[&left.sql, &right.sql]),
    }
}

/// No pair of values among all that the paths have compares FALSE. NULL is neither pass nor counter-example (§7.4).
pub(super) fn no_counter_example(left: &Side, sign: Sign, right: &Side) -> Cond {
    let mut joins = Frag::default();
    let mut guards = Vec::new();
    for all in [&left.all, &right.all].into_iter().flatten() {
        joins.push(&all.joins);
        guards.extend(all.guards.iter().cloned());
    }
    let term = |side: &Side| {
        let mut term = side.all.as_ref().map_or(&side.term, |all| &all.term).clone();
        // Here FALSE and NULL differ, so columns are compared exactly as §5.2 says.
        term.present &= term.class == Class::Known;
        term
    };
    let compared = compare(&term(left), sign, &term(right)).flat();
    // An e-mail that the caller may not see is a counter-example whatever it is: nothing can be learned of it.
    let mut holds = vec![compared];
    holds.extend(guards);
    let holds = if holds.len() == 1 { Frag::join(&holds, "") } else { group(holds, " AND ") };
    Cond::leaf("NOT EXISTS (SELECT 1 FROM (SELECT 1){0} WHERE NOT ({1}))", &[&joins, &holds])
}

/// The table of §5.2.
fn equality(left: &Term, right: &Term, equal: bool) -> Cond {
    use Class::{Blank, Known, Plain, Raw};
    let choose = |yes: &'static str, no: &'static str| if equal { yes } else { no };
    let constant = |truth: bool| if truth == equal { Cond::True } else { Cond::False };
    match (left.class, right.class) {
        (Raw, _) | (_, Raw) => Cond::leaf(choose("{0} IS {1}", "{0} IS NOT {1}"), &[&left.sql, &right.sql]),
        (Blank, Blank) => constant(true),
        // What is certainly there is never blank.
        (_, Blank) if left.present => constant(false),
        (Blank, _) if right.present => constant(false),
        (Plain, Blank) => blank(&left.sql, equal),
        (Blank, Plain) => blank(&right.sql, equal),
        (Known, _) | (_, Known) => {
            Cond::leaf(choose("{0} = {1}", "{0} IS NOT {1}"), &[&left.or_blank(), &right.or_blank()])
        }
        (Plain, Plain) if left.matches_directly(right) => {
            Cond::leaf(choose("{0} = {1}", "{0} IS NOT {1}"), &[&left.sql, &right.sql])
        }
        (Plain, Plain) => Cond::leaf(
            choose("coalesce({0}, '') = coalesce({1}, '')", "coalesce({0}, '') IS NOT coalesce({1}, '')"),
            &[&left.sql, &right.sql],
        ),
    }
}

fn blank(column: &Frag, equal: bool) -> Cond {
    match equal {
        true => Cond::leaf("({0} = '' OR {0} IS NULL)", &[column]),
        false => Cond::leaf("({0} IS NOT '' AND {0} IS NOT NULL)", &[column]),
    }
}

/// §5.4, by a function of ours: see `like`. It has no way to print a float as SQLite does, hence the cast.
fn like(left: &Term, right: &Term, outcome: &str) -> Cond {
    let pattern = match &right.bound {
        Some(slot) => Frag::slot(Slot::Pattern(Box::new(slot.clone()))),
        None => Frag::fill("'%' || {0} || '%'", &[&right.sql]),
    };
    Cond::leaf(&format!("conch_like(CAST({{0}} AS TEXT), {{1}}){outcome}"), &[&left.sql, &pattern])
}

impl Term {
    /// The operand where a blank one is compared as `''`.
    fn or_blank(&self) -> Frag {
        if self.class == Class::Blank { Frag::raw("''") } else { self.sql.clone() }
    }

    /// True when one side is a value that is certainly there and neither side converts the other: then the columns
    /// can be compared as they are, and an index can be used, with the result that `coalesce` would give.
    fn matches_directly(&self, other: &Term) -> bool {
        (self.present || other.present) && self.affinity == Affinity::Text && other.affinity == Affinity::Text
    }
}
