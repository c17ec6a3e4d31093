//! Builds an [`Expr`] from tokens (`records-filter.md` §2). No recursion over groups: 1500 parentheses are fine.

pub(super) mod expr;
pub(super) mod ident;
mod lexer;
pub(super) mod outline;

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use self::{
    expr::{Comparison, Expr, Function, Operand, Operator},
    lexer::{Lexer, Token, TokenKind},
    outline::{Outline, Parts, Spot},
};
use super::cache::Cache;

/// Comparisons in one filter or rule (§10). It bounds the depth of the tree as well: a group without two members
/// collapses.
pub(super) const MAX_COMPARISONS: usize = 200;
/// How deep functions may nest (§10).
const MAX_FUNCTION_DEPTH: usize = 3;
/// Open groups; only a hostile text has more.
const MAX_OPEN_GROUPS: usize = 100_000;
/// Longer texts are parsed each time.
const MAX_CACHED_TEXT: usize = 16 * 1024;

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct ParseError {
    /// Byte offset into the text, at most its length.
    pub position: usize,
    pub message: String,
}

impl ParseError {
    pub(super) fn new(position: usize, message: impl Into<String>) -> Self {
        Self { position, message: message.into() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.position)
    }
}

/// Parses a filter or rule (§2).
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_outlined(text).map(|(expr, _)| expr)
}

/// [`parse`], with where each part stands.
pub fn parse_outlined(text: &str) -> Result<(Expr, Outline), ParseError> {
    let mut parser = Parser { lexer: Lexer::new(text), comparisons: 0 };
    parser.filter()
}

/// Where the token ends that begins at this byte; where nothing begins, the next character does.
pub(super) fn end_of_token(text: &str, position: usize) -> usize {
    let rest = text.get(position..).unwrap_or_default();
    let mut lexer = Lexer::new(rest);
    // What is no token ends where the lexer gave up.
    let _ = lexer.next();
    position + lexer.end().max(rest.chars().next().map_or(0, char::len_utf8))
}

/// [`parse`] through a bounded cache.
pub fn parse_cached(text: &str) -> Result<Arc<Expr>, ParseError> {
    static PARSED: LazyLock<Cache<Arc<Expr>>> = LazyLock::new(|| Cache::new(1 << 20));
    if let Some(expr) = PARSED.get(text) {
        return Ok(expr);
    }
    let expr = Arc::new(parse(text)?);
    if text.len() <= MAX_CACHED_TEXT {
        PARSED.insert(text, expr.clone(), text.len() * 4 + 256);
    }
    Ok(expr)
}

/// A group that is still open: finished alternatives, and the conjunction being read.
#[derive(Default)]
struct Group {
    position: usize,
    alternatives: Vec<Term>,
    conjunction: Vec<Term>,
}

/// A part of a filter, and where it stands.
type Term = (Expr, Outline);

impl Group {
    fn finish(mut self) -> Term {
        self.close_conjunction();
        single_or(self.alternatives, Expr::Or)
    }

    /// `||` binds weaker than `&&`: it ends the conjunction.
    fn close_conjunction(&mut self) {
        self.alternatives.push(single_or(std::mem::take(&mut self.conjunction), Expr::And));
    }
}

/// A group of one is its member.
fn single_or(mut members: Vec<Term>, group: fn(Vec<Expr>) -> Expr) -> Term {
    if members.len() == 1 {
        return members.swap_remove(0);
    }
    let (members, outlines) = members.into_iter().unzip();
    (group(members), Outline::group(outlines))
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    comparisons: usize,
}

impl Parser<'_> {
    fn filter(&mut self) -> Result<Term, ParseError> {
        let mut open = vec![Group::default()];
        loop {
            // A term: groups may open before it.
            let term = self.term_start(&mut open)?;
            let Some(group) = open.last_mut() else { break };
            group.conjunction.push(term);
            if let Some(whole) = self.after_term(&mut open)? {
                return Ok(whole);
            }
        }
        Err(ParseError::new(0, "the parentheses do not match"))
    }

    /// Opens groups up to the next comparison, and reads that.
    fn term_start(&mut self, open: &mut Vec<Group>) -> Result<Term, ParseError> {
        loop {
            let token = self.expect("a comparison")?;
            if token.kind != TokenKind::Open {
                return self.comparison(token);
            }
            if open.len() > MAX_OPEN_GROUPS {
                return Err(ParseError::new(token.position, "too many open groups"));
            }
            open.push(Group { position: token.position, ..Group::default() });
        }
    }

    /// Closes groups up to the next join; the whole filter at the end of the text.
    fn after_term(&mut self, open: &mut Vec<Group>) -> Result<Option<Term>, ParseError> {
        loop {
            let token = self.lexer.next()?;
            let Some(mut group) = open.pop() else { return Err(ParseError::new(0, "the parentheses do not match")) };
            let Some(token) = token else {
                if !open.is_empty() {
                    return Err(ParseError::new(group.position, "this group is never closed"));
                }
                return Ok(Some(group.finish()));
            };
            match token.kind {
                TokenKind::And => {}
                TokenKind::Or => group.close_conjunction(),
                TokenKind::Close => {
                    let Some(outer) = open.last_mut() else {
                        return Err(ParseError::new(token.position, "there is no group to close"));
                    };
                    let parentheses = group.position..token.position + 1;
                    let (expr, outline) = group.finish();
                    outer.conjunction.push((expr, outline.within(parentheses)));
                    continue;
                }
                _ => return Err(ParseError::new(token.position, "expected && or || between comparisons")),
            }
            open.push(group);
            return Ok(None);
        }
    }

    fn comparison(&mut self, first: Token) -> Result<Term, ParseError> {
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            return Err(ParseError::new(first.position, format!("more than {MAX_COMPARISONS} comparisons")));
        }
        let (left, left_spot) = self.operand(first, 0)?;
        let operator = self.operator()?;
        let token = self.expect("an operand")?;
        let (right, right_spot) = self.operand(token, 0)?;
        let place = left_spot.place.start..right_spot.place.end;
        let parts = Parts::Sides { left: left_spot, right: right_spot };
        let outline = Outline { extent: place.clone(), place, parts };
        Ok((Expr::Compare(Box::new(Comparison { left, operator, right })), outline))
    }

    fn operator(&mut self) -> Result<Operator, ParseError> {
        let token = self.expect("a comparison operator")?;
        match token.kind {
            TokenKind::Operator(operator) => Ok(operator),
            _ => Err(ParseError::new(token.position, "expected a comparison operator")),
        }
    }

    fn operand(&mut self, token: Token, depth: usize) -> Result<(Operand, Spot), ParseError> {
        let mut arguments = Vec::new();
        let operand = match token.kind {
            TokenKind::Text(text) => Operand::Text(text),
            TokenKind::Number(number) => Operand::Number(number),
            TokenKind::Identifier(name) => Operand::Identifier(name),
            TokenKind::Function(_) if depth == MAX_FUNCTION_DEPTH => {
                let message = format!("functions nest at most {MAX_FUNCTION_DEPTH} deep");
                return Err(ParseError::new(token.position, message));
            }
            TokenKind::Function(name) => {
                let (values, spots) = self.arguments(depth + 1)?.into_iter().unzip();
                arguments = spots;
                Operand::Function(Box::new(Function { name, arguments: values }))
            }
            _ => {
                return Err(ParseError::new(token.position, "expected a text, a number, an identifier or a function"));
            }
        };
        Ok((operand, Spot { place: token.position..self.lexer.end(), arguments }))
    }

    /// Up to the closing parenthesis; a comma before it is allowed.
    fn arguments(&mut self, depth: usize) -> Result<Vec<(Operand, Spot)>, ParseError> {
        let mut arguments = Vec::new();
        loop {
            let token = self.expect("an argument")?;
            if token.kind == TokenKind::Close {
                return Ok(arguments);
            }
            arguments.push(self.operand(token, depth)?);
            let separator = self.expect("a comma")?;
            match separator.kind {
                TokenKind::Comma => {}
                TokenKind::Close => return Ok(arguments),
                _ => return Err(ParseError::new(separator.position, "expected a comma or a closing parenthesis")),
            }
        }
    }

    fn expect(&mut self, what: &str) -> Result<Token, ParseError> {
        match self.lexer.next()? {
            Some(token) => Ok(token),
            None => Err(ParseError::new(self.lexer.position(), format!("the text ends where {what} is expected"))),
        }
    }
}
