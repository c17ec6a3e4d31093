//! Collections (`docs/wire/records-collections.md` §8): superusers only.

use rusqlite::params_from_iter;
use serde_json::{Map, Value as Json, json};

use super::{member, oauth2_providers, picked, picked_value, sql_text};
use crate::{
    db::Row,
    error::{Error, Leaf, Result},
    http::{
        extract::{
            Call,
            body::{self, Form, Received},
        },
        reply::Reply,
    },
    records::{ListParams, pick_items},
    rules::{Context, Query, Request},
    schema::Field,
};

/// What a list of collections can be filtered and sorted by (§8.1).
const COLUMNS: &[&str] = &["id", "created", "updated", "name", "system", "type"];
const MAX_VIEW_QUERY: usize = 5000;

/// `GET /api/collections`
pub async fn list(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let request = call.rule_request(Context::Default, &params);
    let list = params.list();
    list.check()?;
    let (ids, total) = found(&call, &request, &list).await?;
    let catalog = call.app().schema.catalog();
    let items: Vec<Json> = ids.iter().filter_map(|id| catalog.by_id(id)).map(|found| found.to_json()).collect();
    let (total, pages) = match total {
        Some(total) => (json!(total), json!(total.div_ceil(list.per_page))),
        None => (json!(-1), json!(-1)),
    };
    let page = json!({
        "items": items, "page": list.page, "perPage": list.per_page, "totalItems": total, "totalPages": pages,
    });
    let page = serde_json::to_vec(&page).map_err(Error::internal)?;
    Ok(Reply::json(match params.get("fields") {
        Some(fields) => pick_items(&page, fields)?,
        None => page,
    }))
}

/// Ids of one page, and how many there are unless that is not asked for.
async fn found(call: &Call, request: &Request, list: &ListParams) -> Result<(Vec<String>, Option<u64>)> {
    let mut query = Query::over_table("_collections", COLUMNS, request);
    if let Some(filter) = &list.filter {
        query.and_filter(filter)?;
    }
    query.sort(list.sort.as_deref().unwrap_or("@rowid"))?;
    let page = query.select(&["id"], Some(list.per_page), list.offset());
    let count = (!list.skip_total).then(|| query.count());
    call.app()
        .db
        .read_for(request.asker(), move |tx| {
            let mut statement = tx.prepare(&page.text)?;
            let ids = statement.query_map(params_from_iter(&page.params), |row| row.get(0))?;
            let ids = ids.collect::<rusqlite::Result<Vec<String>>>()?;
            let total = match &count {
                Some(count) => {
                    tx.query_one(&count.text, params_from_iter(&count.params), |row| row.get::<_, i64>(0))?
                }
                None => None,
            };
            Ok((ids, total.and_then(|total| u64::try_from(total).ok())))
        })
        .await
}

/// `GET /api/collections/{collection}`
pub fn view(call: Call, collection: &str) -> Result<Reply> {
    call.require_superuser()?;
    picked_value(&call.app().schema.find(collection)?.to_json(), &call.query()?)
}

/// `POST /api/collections`
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = superusers_body(&mut call).await?.body.values;
    let created = call.app().schema.create(body).await?;
    picked_value(&created.to_json(), &call.query()?)
}

/// `PATCH /api/collections/{collection}`
pub async fn update(mut call: Call, collection: &str) -> Result<Reply> {
    let body = superusers_body(&mut call).await?.body.values;
    let updated = call.app().schema.update(collection, body).await?;
    picked_value(&updated.to_json(), &call.query()?)
}

/// `DELETE /api/collections/{collection}`
pub async fn delete(call: Call, collection: &str) -> Result<Reply> {
    call.require_superuser()?;
    call.app().schema.delete(collection).await?;
    Ok(Reply::no_content())
}

/// `DELETE /api/collections/{collection}/truncate`
pub async fn truncate(call: Call, collection: &str) -> Result<Reply> {
    call.require_superuser()?;
    call.app().records.truncate(collection).await?;
    Ok(Reply::no_content())
}

/// `PUT /api/collections/import`
pub async fn import(mut call: Call) -> Result<Reply> {
    let mut received = superusers_body(&mut call).await?;
    let delete_missing = match member(&mut received, "deleteMissing") {
        None => false,
        Some(Json::Bool(delete)) => delete,
        Some(_) => return Err(Error::invalid("deleteMissing has to be true or false.")),
    };
    let collections = match member(&mut received, "collections") {
        None => Vec::new(),
        Some(Json::Array(entries)) => entries.into_iter().map(object).collect::<Result<_>>()?,
        Some(_) => return Err(Error::invalid("collections has to be a list of collections.")),
    };
    if collections.is_empty() {
        return Err(Error::field("collections", Leaf::required()));
    }
    call.app().schema.import(collections, delete_missing).await?;
    Ok(Reply::no_content())
}

/// `GET /api/collections/meta/scaffolds`
pub fn scaffolds(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    picked_value(&call.app().schema.scaffolds(), &call.query()?)
}

/// `GET /api/collections/meta/oauth2-providers`
pub fn oauth2_providers(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    picked_value(&oauth2_providers::all(), &call.query()?)
}

/// `POST /api/collections/meta/dry-run-view`
pub async fn dry_run_view(mut call: Call) -> Result<Reply> {
    let mut received = superusers_body(&mut call).await?;
    let query = sql_text(&mut received, MAX_VIEW_QUERY)?;
    let (fields, rows) = call.app().schema.dry_run_view(query).await?;
    picked(rendered(&fields, &rows)?, &call.query()?)
}

/// `{"fields":[…],"sample":[…]}`; the sample's records belong to no collection and show no hidden field.
fn rendered(fields: &[Field], rows: &[Row]) -> Result<Vec<u8>> {
    let definitions: Vec<Json> = fields.iter().map(Field::to_json).collect();
    let mut sorted: Vec<&Field> = fields.iter().filter(|field| !field.hidden).collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));

    let mut out = br#"{"fields":"#.to_vec();
    serde_json::to_writer(&mut out, &definitions).map_err(Error::internal)?;
    out.extend_from_slice(br#","sample":["#);
    for (index, row) in rows.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"" } else { b"," });
        out.extend_from_slice(br#"{"collectionId":"","collectionName":"""#);
        for (field, value) in sorted.iter().filter_map(|field| Some((field, row.get(&field.name)?))) {
            out.push(b',');
            serde_json::to_writer(&mut out, &field.name).map_err(Error::internal)?;
            out.push(b':');
            field.kind.as_type().write_json(value.into(), &mut out);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// The body of a request that only superusers may make: who asks is looked at first.
async fn superusers_body(call: &mut Call) -> Result<Received> {
    call.require_superuser()?;
    body::read(call, body::DEFAULT_LIMIT, Form::Values).await
}

fn object(value: Json) -> Result<Map<String, Json>> {
    match value {
        Json::Object(object) => Ok(object),
        _ => Err(Error::invalid("A collection has to be an object.")),
    }
}
