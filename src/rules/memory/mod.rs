//! The second reader of filters: judges a rule on one record without SQL where that is possible
//! (`records-filter.md` §11). What it cannot know for certain to be SQLite's answer it leaves to SQL.

mod compare;
mod json;
mod operand;
mod side;
pub(super) mod value;

use self::{
    operand::Reader,
    side::{Side, Source},
    value::Uncertain,
};
use super::{
    parse::{
        expr::{Comparison, Expr, Operator},
        parse_cached,
    },
    request::Request,
};
use crate::{
    db::{Row, Value},
    schema::{Catalog, Collection},
};

/// Combinations of list elements that are tried before SQL has to do it.
const MAX_COMBINATIONS: usize = 256;

/// What the in-memory reader says of a record (§11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Match,
    NoMatch,
    /// The expression reads more than the record and the request: ask SQL.
    NeedsSql,
}

/// Judges `expr`, as a rule, on one stored record in memory. `row` holds the base collection's columns in stored form.
pub fn matches(expr: &Expr, catalog: &Catalog, base: &Collection, row: &Row, request: &Request) -> Verdict {
    // A view's columns have the affinity of whatever expressions they come from.
    if base.is_view() {
        return Verdict::NeedsSql;
    }
    let mut reader = Reader { catalog, base, row, request, lists: Vec::new() };
    let node = Node::read(expr, &mut reader);
    let combinations = reader.lists.iter().try_fold(1_usize, |product, (_, list)| product.checked_mul(list.len()));
    let Some(combinations) = combinations.filter(|&count| count <= MAX_COMBINATIONS) else { return Verdict::NeedsSql };
    let mut verdict = Verdict::NoMatch;
    for mut combination in 0..combinations {
        // One joined row: an element of each list.
        let mut picked = Vec::with_capacity(reader.lists.len());
        for (_, list) in &reader.lists {
            picked.push(combination % list.len());
            combination /= list.len();
        }
        match node.judge(&Joined { lists: &reader.lists, picked: &picked }) {
            Verdict::Match => return Verdict::Match,
            Verdict::NeedsSql => verdict = Verdict::NeedsSql,
            Verdict::NoMatch => {}
        }
    }
    verdict
}

/// [`matches`] for a rule's text, parsed once and remembered. A text that does not parse needs SQL (which refuses it).
pub fn judge(rule: &str, catalog: &Catalog, base: &Collection, row: &Row, request: &Request) -> Verdict {
    match parse_cached(rule) {
        Ok(expr) => matches(&expr, catalog, base, row, request),
        Err(_) => Verdict::NeedsSql,
    }
}

/// An expression with its operands read.
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Compare { left: Side, operator: Operator, right: Side },
    Uncertain,
}

/// One combination of the lists' elements.
struct Joined<'j> {
    lists: &'j [(String, Vec<Value>)],
    picked: &'j [usize],
}

impl Joined<'_> {
    fn current<'v>(&'v self, side: &'v Side) -> &'v Value {
        match &side.source {
            Source::One(value) => value,
            Source::Element(list) => {
                let picked = self.picked.get(*list).copied().unwrap_or_default();
                self.lists.get(*list).and_then(|(_, values)| values.get(picked)).unwrap_or(&Value::Null)
            }
        }
    }

    /// All values of a multi-value side, else the current one.
    fn all<'v>(&'v self, side: &'v Side) -> &'v [Value] {
        match &side.source {
            Source::Element(list) if side.multi => self.lists.get(*list).map_or(&[], |(_, values)| values.as_slice()),
            _ => std::slice::from_ref(self.current(side)),
        }
    }
}

impl Node {
    fn read(expr: &Expr, reader: &mut Reader<'_>) -> Self {
        match expr {
            Expr::And(members) => Node::And(members.iter().map(|member| Node::read(member, reader)).collect()),
            Expr::Or(members) => Node::Or(members.iter().map(|member| Node::read(member, reader)).collect()),
            Expr::Compare(comparison) => {
                let Comparison { left, operator, right } = &**comparison;
                match (reader.operand(left), reader.operand(right)) {
                    (Ok(left), Ok(right)) => Node::Compare { left, operator: *operator, right },
                    _ => Node::Uncertain,
                }
            }
        }
    }

    /// There is no negation, so a member that is not TRUE decides an AND whatever the others are.
    fn judge(&self, joined: &Joined<'_>) -> Verdict {
        let (members, decisive) = match self {
            Node::And(members) => (members, Verdict::NoMatch),
            Node::Or(members) => (members, Verdict::Match),
            Node::Uncertain => return Verdict::NeedsSql,
            Node::Compare { left, operator, right } => return compare(left, *operator, right, joined),
        };
        let mut verdict = if decisive == Verdict::Match { Verdict::NoMatch } else { Verdict::Match };
        for member in members {
            match member.judge(joined) {
                judged if judged == decisive => return decisive,
                Verdict::NeedsSql => verdict = Verdict::NeedsSql,
                _ => {}
            }
        }
        verdict
    }
}

/// TRUE on the current values and, without `?`, FALSE for no pair of all values (§7.1).
fn compare(left: &Side, operator: Operator, right: &Side, joined: &Joined<'_>) -> Verdict {
    let compare = |left_value, right_value| compare::compare((left, left_value), operator.sign, (right, right_value));
    let judged = || -> Result<bool, Uncertain> {
        if compare(joined.current(left), joined.current(right))? != Some(true) {
            return Ok(false);
        }
        if operator.any || !(left.multi || right.multi) {
            return Ok(true);
        }
        for left_value in joined.all(left) {
            for right_value in joined.all(right) {
                if compare(left_value, right_value)? == Some(false) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    };
    match judged() {
        Ok(true) => Verdict::Match,
        Ok(false) => Verdict::NoMatch,
        Err(Uncertain) => Verdict::NeedsSql,
    }
}
