//! Where the parts of a text stand: for whoever points at them. The same tree as the [`Expr`](super::expr::Expr), in
//! bytes of the text.

use std::ops::Range;

/// A comparison, or a group with its parentheses.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    pub place: Range<usize>,
    /// With the parentheses around it.
    pub(super) extent: Range<usize>,
    pub parts: Parts,
}

/// What is within.
#[derive(Debug, Clone, PartialEq)]
pub enum Parts {
    Members(Vec<Outline>),
    Sides { left: Spot, right: Spot },
}

/// An operand, or an argument of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Spot {
    pub place: Range<usize>,
    pub arguments: Vec<Spot>,
}

impl Outline {
    /// The group that these make up; of one it is that one.
    pub(super) fn group(mut members: Vec<Outline>) -> Self {
        if members.len() == 1 {
            return members.swap_remove(0);
        }
        let start = members.first().map_or(0, |first| first.extent.start);
        let end = members.last().map_or(start, |last| last.extent.end);
        Self { place: start..end, extent: start..end, parts: Parts::Members(members) }
    }

    /// With parentheses around it, which are a group's own.
    pub(super) fn within(mut self, parentheses: Range<usize>) -> Self {
        if matches!(self.parts, Parts::Members(_)) {
            self.place = parentheses.clone();
        }
        self.extent = parentheses;
        self
    }

    /// The comparison of this number, counted from 0 in the order of the text.
    pub fn comparison(&self, number: usize) -> Option<&Outline> {
        let mut left = number;
        let mut open = vec![self];
        while let Some(outline) = open.pop() {
            match &outline.parts {
                Parts::Members(members) => open.extend(members.iter().rev()),
                Parts::Sides { .. } if left == 0 => return Some(outline),
                Parts::Sides { .. } => left -= 1,
            }
        }
        None
    }

    /// The first operand in here, arguments of functions included, for which this holds.
    pub fn spot(&self, wanted: impl Fn(&Range<usize>) -> bool) -> Option<&Spot> {
        let Parts::Sides { left, right } = &self.parts else { return None };
        let mut open = vec![right, left];
        while let Some(spot) = open.pop() {
            if wanted(&spot.place) {
                return Some(spot);
            }
            open.extend(spot.arguments.iter().rev());
        }
        None
    }
}
