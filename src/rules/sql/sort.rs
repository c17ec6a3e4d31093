//! Sort terms (`records-api.md` §2, `records-filter.md` §8).

use super::{Base, Compiler, Fault, Rights, frag::Frag, operand::Reading};
use crate::rules::parse::ident::Ident;

/// §10
const MAX_TERMS: usize = 8;
const MAX_TERM_BYTES: usize = 255;

/// One term of ORDER BY.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub sql: Frag,
    pub descending: bool,
}

impl<'a> Compiler<'a> {
    /// Adds a comma list of `[+|-]path`, and the list rules of what it joined.
    pub fn sort(&mut self, text: &str, rights: Rights) -> Result<(), Fault> {
        let terms: Vec<&str> = text.split(',').map(str::trim).collect();
        if terms.len() > MAX_TERMS {
            return Err(Fault::refused(format!("more than {MAX_TERMS} sort terms")));
        }
        for term in terms {
            if term.is_empty() || term.len() > MAX_TERM_BYTES {
                return Err(Fault::refused("a sort term is blank or too long"));
            }
            let (descending, path) = match term.strip_prefix('-') {
                Some(path) => (true, path),
                None => (false, term.strip_prefix('+').unwrap_or(term)),
            };
            let sql = self.sort_term(path, rights)?;
            self.order.push(Order { sql, descending });
        }
        self.restrict()
    }

    fn sort_term(&mut self, path: &str, rights: Rights) -> Result<Frag, Fault> {
        let is_view = matches!(self.base, Base::Collection { collection, .. } if collection.is_view());
        match path {
            "@random" => return Ok(Frag::raw("random()")),
            "@rowid" if is_view => return Err(Fault::refused("a view has no insertion order")),
            "@rowid" => return Ok(self.base_column("_rowid_")),
            _ => {}
        }
        if !matches!(Ident::parse(path), Some(Ident::Own(_) | Ident::Collection { .. })) {
            return Err(Fault::refused(format!("{path:?} is no column to sort by")));
        }
        let root = self.root();
        let mut scope = std::mem::take(&mut self.scope);
        let mut reading = Reading { scope: &mut scope, root: root.as_ref(), rights, all: false };
        let side = self.identifier(path, &mut reading);
        self.scope = scope;
        Ok(side?.term.sql)
    }
}
