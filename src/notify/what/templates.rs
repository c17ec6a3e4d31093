//! Rows of `_templates`: one text in several languages.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{Broken, Compiled, Texts, compile, fallbacks, locale::normal};
use crate::{
    db::ReadTx,
    error::Result,
    notify::{collections::TEMPLATES, whether::Reason},
};

/// Languages of one template that are looked at.
const MAX_VARIANTS: usize = 200;

/// One row.
#[derive(Clone)]
pub struct Template {
    pub locale: String,
    pub category: String,
    /// What a send's data leaves out.
    pub data: Map<String, Json>,
    texts: Arc<Texts>,
}

impl Template {
    pub fn compiled(&self) -> Result<Arc<Compiled>, Broken> {
        compile(&self.texts)
    }

    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The data of a notification over the template's own.
    pub fn with_defaults(&self, data: &Map<String, Json>) -> Map<String, Json> {
        let mut all = self.data.clone();
        all.extend(data.iter().map(|(key, value)| (key.clone(), value.clone())));
        all
    }
}

/// A template in all its languages.
#[derive(Clone)]
pub struct Variants(Vec<Template>);

impl Variants {
    /// None when there is no template of this key.
    pub fn load(tx: &ReadTx<'_>, key: &str) -> Result<Option<Self>> {
        let sql = format!(
            "SELECT locale, category, data, title, body, html, link FROM `{TEMPLATES}` WHERE `key` = ?1 \
             ORDER BY locale LIMIT {MAX_VARIANTS}"
        );
        let found = tx.query_all(&sql, [key], |row| {
            let data: String = row.get::<_, Option<String>>(2)?.unwrap_or_default();
            Ok(Template {
                locale: row.get(0)?,
                category: row.get(1)?,
                data: serde_json::from_str(&data).unwrap_or_default(),
                texts: Arc::new(Texts { title: row.get(3)?, body: row.get(4)?, html: row.get(5)?, link: row.get(6)? }),
            })
        })?;
        Ok((!found.is_empty()).then_some(Self(found)))
    }

    /// Texts that stand in a send itself: the same in every language.
    pub fn inline(texts: Texts) -> Self {
        Self(vec![Template {
            locale: String::new(),
            category: String::new(),
            data: Map::new(),
            texts: Arc::new(texts),
        }])
    }

    /// For somebody who reads `locale`: that one, its language, the one of no language, else the first by name: a text
    /// in a foreign language is better than none.
    pub fn for_locale(&self, locale: &str) -> &Template {
        let with = |wanted: String| self.0.iter().find(|template| normal(&template.locale) == wanted);
        fallbacks(locale).find_map(with).unwrap_or_else(|| self.0.first().expect("there is one at least"))
    }

    pub fn each(&self) -> impl Iterator<Item = &Template> {
        self.0.iter()
    }
}

/// What people opt out of who do not want what is sent by this template: blank if it does not say, or is not there.
pub fn category(tx: &ReadTx<'_>, key: &str) -> Result<String> {
    let sql = format!(
        "SELECT category FROM `{TEMPLATES}` WHERE `key` = ?1 AND `key` != '' AND category != '' ORDER BY locale LIMIT 1"
    );
    Ok(tx.query_one(&sql, [key], |row| row.get(0))?.unwrap_or_default())
}

/// Why a notification with this template cannot be sent.
pub fn missing(key: &str) -> Reason {
    Reason::new("template_missing", format!("There is no template {key:?}."))
}
