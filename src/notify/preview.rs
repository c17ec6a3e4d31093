//! What a template would say: rendered for a real account and a real record, and sent to nobody.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::{
    Notify,
    collections::PREFERENCES,
    send::Sent,
    what::{Broken, Scene, Template, Texts, Variants, is_locale, missing},
    whether::Profile,
};
use crate::{
    db::{Asker, ReadTx, Row},
    error::{Error, Issues, Leaf, Result},
    notify::{when::zone, who::Owner},
    schema::Collection,
};

/// Parts of a digest in a preview.
const MAX_ITEMS: usize = 100;
/// The category of test messages.
const TEST: &str = "test";
/// Members of a send that a test goes without.
const NOT_OF_TESTS: [&str; 7] = ["key", "when", "expires", "digest", "cap", "collapse", "unless"];
const MESSAGE: &str = "The preview is not valid.";

/// What is asked for.
struct Asked {
    /// Key of a template; blank: the texts.
    template: String,
    texts: Texts,
    /// None: every language that there is.
    locale: Option<String>,
    data: Map<String, Json>,
    items: Vec<Json>,
    category: String,
    user: String,
    record: String,
}

impl Notify {
    /// The answer of `POST /api/notify/preview`: `{"items": [{"locale", "title", "body", "html", "link"} |
    /// {"locale", "error": {"field", "line", "message"}}]}`, one for each language of the template or one for the one
    /// that was asked for. Members of a send that mean nothing here are passed over, so that one can be previewed.
    pub async fn preview(&self, body: &Map<String, Json>) -> Result<Json> {
        let asked = Asked::parse(body)?;
        let (key, texts) = (asked.template.clone(), asked.texts.clone());
        let variants = self.rooms.db.read(move |tx| match key.is_empty() {
            true => Ok(Some(Variants::inline(texts.clone()))),
            false => Variants::load(tx, &key),
        });
        let Some(variants) = variants.await? else {
            return Err(Error::field(
                "template",
                Leaf::new("validation_missing_template", missing(&asked.template).words),
            ));
        };
        let scene = self.scene(&asked).await?;
        let items: Vec<Json> = match &asked.locale {
            Some(locale) => vec![answer(variants.for_locale(locale), locale, &asked, &scene)],
            None => variants.each().map(|template| answer(template, &template.locale, &asked, &scene)).collect(),
        };
        Ok(json!({ "items": items }))
    }

    /// The answer of `POST /api/notify/test`: the body of a send to one account or address, sent at once through the normal
    /// way, under a category of its own: so it passes quiet hours, and counts for nobody's cap. Opt-outs from everything
    /// and the suppression list stop it, too.
    pub async fn send_test(&self, body: &Map<String, Json>) -> Result<Sent> {
        let one = match body.get("to") {
            Some(Json::Array(entries)) => entries.first().filter(|_| entries.len() == 1),
            other => other,
        };
        if one.and_then(Json::as_str).is_none_or(|to| to.starts_with("topic:")) {
            let message = "Must be one account, users/ID, or one e-mail address.";
            return Err(Error::field("to", Leaf::new("validation_invalid_value", message)));
        }
        let mut body = body.clone();
        body.retain(|name, _| !NOT_OF_TESTS.contains(&name.as_str()));
        for step in body.get_mut("channels").and_then(Json::as_array_mut).into_iter().flatten() {
            // At once: nothing waits for what a step before it does.
            if let Some(channel) = step.get("channel").cloned() {
                *step = channel;
            }
        }
        for (name, value) in [("category", TEST), ("priority", "critical"), ("quiet", "ignore")] {
            body.insert(name.to_owned(), value.into());
        }
        self.send(&body).await
    }

    async fn scene(&self, asked: &Asked) -> Result<Scene> {
        let settings = self.rooms.settings.current();
        let mut scene = Scene {
            count: asked.items.len().max(1),
            app: Scene::value(&json!({"name": settings.meta.app_name, "url": settings.meta.app_url})),
            category: asked.category.as_str().into(),
            now: self.rooms.clock.now(),
            zone: zone::find(&settings.notify.default_zone).ok(),
            ..Scene::default()
        };
        if let Some((collection, row)) = self.record("user", &asked.user, true).await? {
            scene.user = Scene::rendered(&self.rooms.records.visible(&collection, &row));
            let profile = self.profile(&collection.id, row.text("id").unwrap_or_default()).await?;
            scene.zone = profile.zone.or(scene.zone);
            scene.locale = profile.locale;
        }
        if let Some((collection, row)) = self.record("record", &asked.record, false).await? {
            scene.record = Scene::rendered(&self.rooms.records.visible(&collection, &row));
        }
        Ok(scene)
    }

    /// The record that a member of the body names; none for a blank name.
    async fn record(&self, field: &str, name: &str, account: bool) -> Result<Option<(Arc<Collection>, Arc<Row>)>> {
        if name.is_empty() {
            return Ok(None);
        }
        let found = self.named(name).await?.filter(|(collection, _)| !account || collection.is_auth());
        found.map(Some).ok_or_else(|| {
            Error::field(field, Leaf::new("validation_missing_record", format!("There is no record {name:?}.")))
        })
    }

    /// The record that `collection/id` names.
    async fn named(&self, name: &str) -> Result<Option<(Arc<Collection>, Arc<Row>)>> {
        let catalog = self.rooms.schema.catalog();
        let Some((collection, id)) = name.split_once('/') else { return Ok(None) };
        let Some(collection) = catalog.find(collection).filter(|found| !found.is_view()) else { return Ok(None) };
        let row = self.rooms.records.row_for(collection, id, Asker::HOUSE).await?;
        Ok(row.map(|row| (collection.clone(), row)))
    }

    /// The account that `collection/id` names.
    pub async fn account(&self, name: &str) -> Result<Option<Owner>> {
        let found = self.named(name).await?.filter(|(collection, _)| collection.is_auth());
        Ok(found.map(|(collection, row)| Owner {
            collection: collection.id.to_string(),
            record: row.text("id").unwrap_or_default().to_owned(),
        }))
    }

    /// What an account wants; nothing in particular if it never said.
    pub async fn profile(&self, collection: &str, record: &str) -> Result<Profile> {
        let (collection, record) = (collection.to_owned(), record.to_owned());
        self.rooms.db.read(move |tx| profile(tx, &collection, &record)).await
    }
}

fn profile(tx: &ReadTx<'_>, collection: &str, record: &str) -> Result<Profile> {
    let columns: Arc<[Arc<str>]> =
        ["zone", "locale", "quietFrom", "quietTo", "quietMode", "channels"].map(Arc::from).into();
    let sql = format!(
        "SELECT zone, locale, quietFrom, quietTo, quietMode, channels FROM `{PREFERENCES}` \
         WHERE collectionRef = ?1 AND recordRef = ?2"
    );
    let row = tx.query_one(&sql, [collection, record], |row| Row::read(&columns, row))?;
    Ok(row.map(|row| Profile::of(&row)).unwrap_or_default())
}

/// One language. Dates and numbers are written as in the language that was asked for, else in the template's.
fn answer(template: &Template, locale: &str, asked: &Asked, scene: &Scene) -> Json {
    let locale = if locale.is_empty() { scene.locale.clone() } else { locale.into() };
    let with_defaults = |data: &Map<String, Json>| Json::Object(template.with_defaults(data));
    let items: Vec<Json> = match asked.items.is_empty() {
        true => vec![with_defaults(&asked.data)],
        false => asked.items.iter().map(|item| item.as_object().map_or(Json::Null, with_defaults)).collect(),
    };
    let scene = Scene {
        data: Scene::value(&with_defaults(&asked.data)),
        items: Scene::value(&Json::Array(items)),
        category: if asked.category.is_empty() { template.category.as_str().into() } else { scene.category.clone() },
        locale,
        ..scene.clone()
    };
    match template.compiled().and_then(|compiled| compiled.render(&scene)) {
        Ok(said) => json!({
            "locale": template.locale, "title": said.title, "body": said.body, "html": said.html, "link": said.link,
        }),
        Err(Broken { field, line, words }) => {
            json!({"locale": template.locale, "error": {"field": field, "line": line, "message": words}})
        }
    }
}

impl Asked {
    fn parse(body: &Map<String, Json>) -> Result<Self> {
        let mut issues = Issues::default();
        let mut text = |name: &'static str| match body.get(name) {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(text)) => text.clone(),
            Some(_) => {
                issues.insert(name, Leaf::new("validation_invalid_value", "Must be a text."));
                String::new()
            }
        };
        let template = text("template");
        let texts = Texts { title: text("title"), body: text("body"), html: text("html"), link: text("link") };
        let (locale, category) = (text("locale"), text("category"));
        let (user, record) = (text("user"), text("record"));
        if !locale.is_empty() && !is_locale(&locale) {
            issues.insert("locale", Leaf::new("validation_invalid_locale", "Must be a language like de or de-AT."));
        }
        let data = match body.get("data") {
            None | Some(Json::Null) => Map::new(),
            Some(Json::Object(data)) => data.clone(),
            Some(_) => {
                issues.insert("data", Leaf::new("validation_invalid_value", "Must be an object."));
                Map::new()
            }
        };
        let items = match body.get("items") {
            None | Some(Json::Null) => Vec::new(),
            Some(Json::Array(items)) if items.len() <= MAX_ITEMS && items.iter().all(Json::is_object) => items.clone(),
            Some(_) => {
                let message = format!("Must be a list of {MAX_ITEMS} objects at most.");
                issues.insert("items", Leaf::new("validation_invalid_value", message));
                Vec::new()
            }
        };
        if template.is_empty() && texts == Texts::default() {
            issues.insert("template", Leaf::new("validation_required", "Needs a template, or a title or body."));
        }
        issues.into_result(MESSAGE)?;
        let locale = body.contains_key("locale").then_some(locale).filter(|locale| !locale.is_empty());
        Ok(Self { template, texts, locale, data, items, category, user, record })
    }
}
