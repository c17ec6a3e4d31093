//! `/api/logs` (`docs/wire/services.md` §6). For superusers.

use rusqlite::{Row, params_from_iter, types::ValueRef};
use serde_json::{json, value::RawValue};

use super::{picked, picked_value};
use crate::{
    error::{Error, Result},
    http::{extract::Call, reply::Reply},
    logs::{COLUMNS, TABLE},
    records::{ListParams, pick_items},
    rules::{Context, Query, Request, Sql},
};

/// What rows are read as, in this order.
const READ: &[&str] = &["id", "created", "data", "message", "level"];
const HOUR: &str = "strftime('%Y-%m-%d %H:00:00', `created`)";

/// One page, and how many there are unless that is not asked for.
struct Page {
    items: Vec<u8>,
    total: Option<u64>,
}

/// `GET /api/logs`
pub async fn list(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let request = call.rule_request(Context::Default, &params);
    let list = params.list();
    list.check()?;
    let found = page(&call, &request, &list).await?;
    let (total, pages) = match found.total {
        Some(total) => (json!(total), json!(total.div_ceil(list.per_page))),
        None => (json!(-1), json!(-1)),
    };
    let mut page = br#"{"items":["#.to_vec();
    page.extend_from_slice(&found.items);
    let rest =
        format!(r#"],"page":{},"perPage":{},"totalItems":{total},"totalPages":{pages}}}"#, list.page, list.per_page);
    page.extend_from_slice(rest.as_bytes());
    Ok(Reply::json(match params.get("fields") {
        Some(fields) => pick_items(&page, fields)?,
        None => page,
    }))
}

async fn page(call: &Call, request: &Request, list: &ListParams) -> Result<Page> {
    let mut query = over(request, list.filter.as_deref())?;
    query.sort(list.sort.as_deref().unwrap_or("@rowid"))?;
    let page = query.select(READ, Some(list.per_page), list.offset());
    let count = (!list.skip_total).then(|| query.count());
    let read = move |tx: &crate::db::ReadTx<'_>| {
        let mut items = Vec::new();
        let mut statement = tx.prepare(&page.text)?;
        let mut rows = statement.query(params_from_iter(&page.params))?;
        while let Some(row) = rows.next()? {
            if !items.is_empty() {
                items.push(b',');
            }
            write_row(row, &mut items)?;
        }
        let counted = |count: &Sql| tx.query_one(&count.text, params_from_iter(&count.params), |row| row.get(0));
        let total: Option<i64> = count.as_ref().map(counted).transpose()?.flatten();
        Ok(Page { items, total: total.and_then(|total| u64::try_from(total).ok()) })
    };
    call.app().logs.read_for(request.asker(), read).await
}

/// `GET /api/logs/{id}`
pub async fn view(call: Call, id: &str) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let request = call.rule_request(Context::Default, &params);
    let mut query = over(&request, None)?;
    query.and_id(id);
    let one = query.select(READ, Some(1), 0);
    let read = move |tx: &crate::db::ReadTx<'_>| {
        let mut statement = tx.prepare(&one.text)?;
        let mut rows = statement.query(params_from_iter(&one.params))?;
        let Some(row) = rows.next()? else { return Err(Error::not_found()) };
        let mut out = Vec::new();
        write_row(row, &mut out)?;
        Ok(out)
    };
    picked(call.app().logs.read_for(request.asker(), read).await?, &params)
}

/// `GET /api/logs/stats`: how many rows each hour has that has any.
pub async fn stats(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    let request = call.rule_request(Context::Default, &params);
    // Without a filter the index of hours has all that is asked for.
    let (from, bound) = match params.get("filter") {
        None => (format!("`{TABLE}`"), Vec::new()),
        filter => {
            let matching = over(&request, filter)?.select(&["created"], None, 0);
            (format!("({})", matching.text), matching.params)
        }
    };
    let sql = format!("SELECT {HOUR} AS `hour`, count(*) FROM {from} GROUP BY `hour` ORDER BY `hour`");
    let read = move |tx: &crate::db::ReadTx<'_>| {
        tx.query_all(&sql, params_from_iter(&bound), |row| {
            let hour: Option<String> = row.get(0)?;
            let date = hour.map_or(String::new(), |hour| hour + ".000Z");
            Ok(json!({ "date": date, "total": row.get::<_, i64>(1)? }))
        })
    };
    picked_value(&call.app().logs.read_for(request.asker(), read).await?, &params)
}

/// `DELETE /api/logs`
pub async fn truncate(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    call.app().logs.truncate().await?;
    Ok(Reply::no_content())
}

fn over<'a>(request: &'a Request, filter: Option<&str>) -> Result<Query<'a>> {
    let mut query = Query::over_table_with_json(TABLE, COLUMNS, Some("data"), request);
    query.and_filter(filter.unwrap_or_default())?;
    Ok(query)
}

/// A row of [`READ`] as JSON.
fn write_row(row: &Row<'_>, out: &mut Vec<u8>) -> Result<()> {
    // Another program may have left what is no text, or no JSON.
    let text = |index| -> Result<String> {
        Ok(match row.get_ref(index)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Null => String::new(),
        })
    };
    let (id, created, data, message) = (text(0)?, text(1)?, text(2)?, text(3)?);
    let level = row.get::<_, i64>(4).unwrap_or_default();
    let data = serde_json::from_str::<&RawValue>(&data).map_or_else(|_| json!(data).to_string(), ToString::to_string);
    let line = format!(
        r#"{{"id":{},"created":{},"data":{data},"message":{},"level":{level}}}"#,
        json!(id),
        json!(created),
        json!(message),
    );
    out.extend_from_slice(line.as_bytes());
    Ok(())
}
