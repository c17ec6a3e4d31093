//! The parsed form of a filter, and how it prints. Printing and parsing again gives an equal [`Expr`].

use std::fmt;

/// A parsed filter. `And` and `Or` hold at least two members; nesting is bounded by the number of comparisons.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Compare(Box<Comparison>),
}

/// `left operator right`
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub left: Operand,
    pub operator: Operator,
    pub right: Operand,
}

/// A sign, and whether any matching value of a multi-value path is enough (`?=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    pub sign: Sign,
    pub any: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Like,
    NotLike,
}

/// One side of a comparison, or an argument of a function.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Text(String),
    Number(f64),
    Identifier(String),
    Function(Box<Function>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    pub name: String,
    pub arguments: Vec<Operand>,
}

const SIGNS: [(Sign, &str); 8] = [
    (Sign::Equal, "="),
    (Sign::NotEqual, "!="),
    (Sign::Greater, ">"),
    (Sign::GreaterOrEqual, ">="),
    (Sign::Less, "<"),
    (Sign::LessOrEqual, "<="),
    (Sign::Like, "~"),
    (Sign::NotLike, "!~"),
];

impl Sign {
    pub(in crate::rules) fn from_text(text: &str) -> Option<Self> {
        SIGNS.iter().find(|(_, spelled)| *spelled == text).map(|(sign, _)| *sign)
    }

    pub(in crate::rules) fn as_str(self) -> &'static str {
        SIGNS.iter().find(|(sign, _)| *sign == self).map_or("=", |(_, text)| text)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.any { "?" } else { "" }, self.sign.as_str())
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (members, join) = match self {
            Expr::Compare(comparison) => {
                return write!(f, "{} {} {}", comparison.left, comparison.operator, comparison.right);
            }
            Expr::And(members) => (members, " && "),
            Expr::Or(members) => (members, " || "),
        };
        for (index, member) in members.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { join })?;
            match member {
                Expr::Compare(_) => write!(f, "{member}")?,
                _ => write!(f, "({member})")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Text(text) => write!(f, "'{}'", escape(text)),
            Operand::Number(number) => write!(f, "{number}"),
            Operand::Identifier(name) => f.write_str(name),
            Operand::Function(function) => {
                write!(f, "{}(", function.name)?;
                for (index, argument) in function.arguments.iter().enumerate() {
                    write!(f, "{}{argument}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}

/// Every backslash is doubled, so that no pair is read as an escape by accident.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
