//! The joins of one FROM clause, shared by path (`records-filter.md` §6.2, §7.5), and conditions over them.
//!
//! Joins that yield at most one row stay in the FROM clause. Joins that multiply rows move into `EXISTS` around just
//! the conditions that share them: a record is accepted when *some* combination of joined rows satisfies the whole,
//! and "some" distributes over OR, and over AND between conditions without a common join. So no DISTINCT is needed,
//! the base table can be read in the order of an index, and a LIMIT stops early.

use super::frag::{Cond, Frag, group};
use crate::schema::Collection;

/// Tables that SQLite joins at most is 64; one is the base.
const MAX_JOINS: usize = 60;

/// One LEFT JOIN.
#[derive(Debug, Clone)]
pub(super) struct Join<'a> {
    /// The path that it stands for.
    pub key: String,
    pub alias: String,
    /// `LEFT JOIN … ON …`
    pub sql: Frag,
    /// This join and all that it builds on.
    closure: u64,
    /// It, or one it builds on, may yield several rows.
    pub many: bool,
    /// The collection whose rows it brings; `None` for exploded arrays.
    pub collection: Option<&'a Collection>,
    /// A client's use of it: the collection's list rule applies (§6.4).
    pub restricted: bool,
}

/// The joins of one FROM clause.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope<'a> {
    pub joins: Vec<Join<'a>>,
}

/// A scope has no room for another join.
#[derive(Debug)]
pub(super) struct TooManyJoins;

impl<'a> Scope<'a> {
    /// The join of this path, if it exists already: its alias and its bit.
    pub fn find(&self, key: &str) -> Option<(usize, &Join<'a>)> {
        self.joins.iter().enumerate().find(|(_, join)| join.key == key)
    }

    /// Adds a join; returns its index.
    pub fn add(
        &mut self,
        key: String,
        alias: String,
        sql: Frag,
        many: bool,
        collection: Option<&'a Collection>,
    ) -> Result<usize, TooManyJoins> {
        let index = self.joins.len();
        if index >= MAX_JOINS {
            return Err(TooManyJoins);
        }
        let closure = (1 << index) | self.closure(sql.uses);
        self.joins.push(Join { key, alias, sql, closure, many, collection, restricted: false });
        Ok(index)
    }

    /// These joins and all that they build on.
    pub fn closure(&self, uses: u64) -> u64 {
        self.each(uses).fold(uses, |closure, join| closure | join.closure)
    }

    fn each(&self, uses: u64) -> impl Iterator<Item = &Join<'a>> {
        self.joins.iter().enumerate().filter(move |(index, _)| uses & (1 << index) != 0).map(|(_, join)| join)
    }

    /// The joins that may multiply rows.
    pub fn many(&self) -> u64 {
        let many = self.joins.iter().enumerate().filter(|(_, join)| join.many);
        many.fold(0, |mask, (index, _)| mask | (1 << index))
    }

    /// The JOIN clauses of these joins, in the order they build on each other.
    pub fn render(&self, uses: u64) -> Frag {
        let mut clauses = Frag::default();
        for join in self.each(uses) {
            clauses.push_str(" ");
            clauses.push(&join.sql);
        }
        clauses
    }

    /// The JOIN clauses of all joins.
    pub fn render_all(&self) -> Frag {
        let clauses: Vec<Frag> = self.joins.iter().map(|join| Frag::fill(" {0}", &[&join.sql])).collect();
        Frag::join(&clauses, "")
    }

    /// The condition as an expression over the base and the single-row joins: joins that multiply are inside `EXISTS`.
    pub fn existential(&self, cond: &Cond) -> Frag {
        let many = self.many();
        self.existential_of(cond, many)
    }

    fn existential_of(&self, cond: &Cond, many: u64) -> Frag {
        if self.closure(cond.uses()) & many == 0 {
            return cond.flat();
        }
        match cond {
            Cond::Or(members) => {
                group(members.iter().map(|member| self.existential_of(member, many)).collect(), " OR ")
            }
            Cond::And(members) => {
                let parts = self.components(members, many).into_iter().map(|component| match component.as_slice() {
                    [single] => self.existential_of(single, many),
                    several => self.exists(several, many),
                });
                group(parts.collect(), " AND ")
            }
            _ => self.exists(&[cond], many),
        }
    }

    /// The members of a conjunction grouped by the multiplying joins that they share.
    fn components<'c>(&self, members: &'c [Cond], many: u64) -> Vec<Vec<&'c Cond>> {
        let mut components: Vec<(u64, Vec<&Cond>)> = Vec::new();
        for member in members {
            let mut mask = self.closure(member.uses()) & many;
            let mut merged = Vec::new();
            // What shares a join with this member becomes one component with it.
            components.retain_mut(|(other, conds)| {
                let shares = mask != 0 && *other & mask != 0;
                if shares {
                    mask |= *other;
                    merged.append(conds);
                }
                !shares
            });
            merged.push(member);
            components.push((mask, merged));
        }
        components.into_iter().map(|(_, conds)| conds).collect()
    }

    /// `EXISTS` over the multiplying joins of these conditions, which see the same joined row.
    fn exists(&self, conds: &[&Cond], many: u64) -> Frag {
        let conditions: Vec<Frag> = conds.iter().map(|cond| cond.flat()).collect();
        let uses = conditions.iter().fold(0, |uses, frag| uses | frag.uses);
        let inside = self.closure(uses) & many;
        let joins = self.render(inside);
        let condition = Frag::join(&conditions, " AND ");
        let mut exists = Frag::fill("EXISTS (SELECT 1 FROM (SELECT 1){0} WHERE {1})", &[&joins, &condition]);
        exists.uses &= !many;
        exists
    }
}
