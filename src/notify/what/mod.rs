//! Templates: what is said, in whose language.
//!
//! A template is four texts in the language of Jinja ([`Texts`]), compiled once ([`Compiled`]) and rendered for a
//! recipient ([`Scene`]). Rendering is pure: it reads nothing but its scene, and is bounded in steps, depth and output.
//! Texts that stand in a send itself are templates like those of `_templates`, and are cached in the same way.

mod engine;
mod filters;
mod locale;
mod scene;
mod templates;

use std::fmt;

pub use self::{
    engine::{Compiled, Rendered, compile},
    locale::{fallbacks, is_locale},
    scene::Scene,
    templates::{Template, Variants, category, missing},
};
use crate::{
    error::{Error, Leaf},
    notify::whether::Reason,
};

/// The four texts of a template, as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Texts {
    /// One line; what does not fit is cut.
    pub title: String,
    pub body: String,
    /// The only one whose values are escaped.
    pub html: String,
    pub link: String,
}

impl Texts {
    /// Bytes of all four.
    pub fn bytes(&self) -> usize {
        self.title.len() + self.body.len() + self.html.len() + self.link.len()
    }
}

/// A template that cannot be compiled or rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// `title`, `body`, `html`, `link`; `template` for the whole.
    pub field: &'static str,
    /// Counted from 1, where it is known.
    pub line: Option<usize>,
    pub words: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} line {line}: {}", self.field, self.words),
            None => write!(f, "{}: {}", self.field, self.words),
        }
    }
}

impl From<&Broken> for Reason {
    fn from(broken: &Broken) -> Self {
        Reason::new("template", broken.to_string())
    }
}

impl From<&Broken> for Leaf {
    fn from(broken: &Broken) -> Self {
        let code = "validation_invalid_template";
        match broken.line {
            Some(line) => Leaf::new(code, format!("Line {line}: {}", broken.words)).param("line", line),
            None => Leaf::new(code, broken.words.clone()),
        }
    }
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        Error::field(broken.field, Leaf::from(&broken))
    }
}
