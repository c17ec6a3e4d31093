//! What is wrong with a text, and where it stands: for whoever is writing it.

use std::ops::Range;

use super::{
    parse::{end_of_token, outline::Outline, parse_outlined},
    query::MAX_FILTER_BYTES,
    request::Request,
    sql::{Base, Compiler, Rights, plan::Plan},
};
use crate::schema::{Catalog, Collection, MAX_EXPRESSION};

/// What a text is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A rule of a collection.
    Rule,
    /// A superuser's filter.
    Filter,
}

/// A fault with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// For people, without a period.
    pub message: String,
    /// In UTF-16 units of the text, as JavaScript counts.
    pub place: Range<usize>,
}

/// Why this text is no rule or filter over `base`, which may be a collection that is only proposed; `None` when it is
/// one. A blank text is one. The same verdict as when it is saved or asked with.
pub fn locate(catalog: &Catalog, base: &Collection, text: &str, purpose: Purpose) -> Option<Located> {
    if text.is_empty() {
        return None;
    }
    let most = match purpose {
        Purpose::Rule => MAX_EXPRESSION,
        Purpose::Filter => MAX_FILTER_BYTES,
    };
    if text.len() > most {
        return Some(located(text, &format!("longer than {most} bytes"), 0..text.len()));
    }
    let outline = match parse_outlined(text) {
        Ok((_, outline)) => outline,
        Err(error) => {
            let end = end_of_token(text, error.position);
            return Some(located(text, &error.message, error.position..end));
        }
    };
    let request = Request::default();
    let mut compiler = Compiler::new(Base::Collection { catalog, collection: base, new_row: false }, &request);
    if let Err(fault) = compiler.filter(text, Rights::All) {
        let trail = compiler.trail();
        let place = culprit(text, &outline, trail.comparisons, trail.culprit.as_deref());
        return Some(located(text, &fault.to_string(), place));
    }
    let fault = Plan::new(compiler).check_weight().err()?;
    Some(located(text, &fault.to_string(), 0..text.len()))
}

/// The operand of this name in the comparison that was begun last, or else all of that comparison.
fn culprit(text: &str, outline: &Outline, begun: usize, name: Option<&str>) -> Range<usize> {
    let Some(comparison) = begun.checked_sub(1).and_then(|number| outline.comparison(number)) else {
        return outline.place.clone();
    };
    // Of a function the text begins with its name.
    let is_named = |place: &Range<usize>| {
        let rest = name.and_then(|name| text.get(place.clone())?.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('('))
    };
    match comparison.spot(is_named) {
        Some(spot) => spot.place.clone(),
        None => comparison.place.clone(),
    }
}

fn located(text: &str, message: &str, place: Range<usize>) -> Located {
    Located { message: message.to_owned(), place: units(text, &place) }
}

/// A range of bytes in UTF-16 units.
pub(super) fn units(text: &str, place: &Range<usize>) -> Range<usize> {
    let until = |byte: usize| text.get(..byte).unwrap_or(text).encode_utf16().count();
    until(place.start)..until(place.end)
}
