//! The letter to one recipient: their template in their language, filled with what it may speak of.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::{
    clock::Timestamp,
    notify::{
        how::Letter,
        what::{Broken, Scene},
        when::zone,
        whether::facts::{Facts, Record},
    },
    records::Records,
    settings::Settings,
};

/// Renders it. `items` is the rest of a digest.
pub(super) fn compose(
    records: &Records,
    settings: &Settings,
    now: Timestamp,
    facts: &Facts,
    items: &[Facts],
) -> Result<Letter, Broken> {
    let (Some(intent), Some(variants)) = (facts.intent(), &facts.template) else { return Ok(Letter::default()) };
    let locale: Arc<str> = match intent.locale.is_empty() {
        true => facts.profile.locale.clone(),
        false => intent.locale.as_str().into(),
    };
    let template = variants.for_locale(&locale);
    let data = template.with_defaults(&intent.data);
    let all: Vec<Json> = std::iter::once(facts)
        .chain(items)
        .filter_map(|of| of.intent().map(|intent| Json::Object(template.with_defaults(&intent.data))))
        .collect();
    let shown = |record: &Arc<Record>| Scene::rendered(&records.visible(&record.collection, &record.row));
    let record = match &facts.source {
        Some(record) => shown(record),
        // What was deleted, as it was.
        None => data.get("record").filter(|_| facts.set_off).map(Scene::value).unwrap_or_default(),
    };
    let scene = Scene {
        count: all.len(),
        items: Scene::value(&Json::Array(all)),
        data: Scene::value(&Json::Object(data.clone())),
        user: facts.account.as_ref().map(shown).unwrap_or_default(),
        record,
        app: Scene::value(&json!({"name": settings.meta.app_name, "url": settings.meta.app_url})),
        category: facts.delivery.category.as_str().into(),
        link: None,
        now,
        zone: zone::find(&facts.zone).ok(),
        locale,
    };
    let said = template.compiled()?.render(&scene)?;
    let mut data = data;
    if facts.set_off {
        // Templates choose what of it is told. Whoever hears of it may not be one of those who may see it.
        data.remove("record");
    }
    Ok(Letter { title: said.title, body: said.body, html: said.html, link: said.link, data, ..Letter::default() })
}
