//! What later versions of PocketBase changed in a directory of 0.23 (`docs/wire/records-storage.md` §2), applied when
//! such a directory is opened for the first time. Works on the stored JSON: definitions may not be readable yet.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::{MIGRATIONS, system};
use crate::schema::{
    CollectionType, FieldKind, delete::REFERRING, draft::auth_indexes, field::Text, ids, index::Index, table, templates,
};
use crate::{
    db::{ReadTx, WriteTx, quote_ident},
    error::{Error, Result},
};

/// The login alert as it was before it told where the login came from.
pub(in crate::schema) const OLD_ALERT: &str = "<p>Hello,</p>\n<p>We noticed a login to your {APP_NAME} account from a new location.</p>\n<p>If \
                         this was you, you may disregard this email.</p>\n<p><strong>If this wasn't you, you should \
                         immediately change your {APP_NAME} account password to revoke access from all other \
                         locations.</strong></p>\n<p>\n  Thanks,<br/>\n  {APP_NAME} team\n</p>";

type Step = fn(&mut WriteTx<'_>) -> Result<()>;

/// Applies what is not `done` yet.
pub(super) fn migrate(tx: &mut WriteTx<'_>, done: &[String]) -> Result<()> {
    let [.., lock_rules, fixed_ids, sent_to, alerts, indexes] = MIGRATIONS;
    let steps: [(&str, Step); 5] = [
        (lock_rules, lock_delete_rules),
        (fixed_ids, fix_system_ids),
        (sent_to, add_sent_to),
        (alerts, renew_login_alerts),
        (indexes, normalise_indexes),
    ];
    for (name, step) in steps {
        if !done.iter().any(|done| done == name) {
            tracing::info!(migration = name, "bringing the directory up to date");
            step(tx)?;
        }
    }
    Ok(())
}

fn lock_delete_rules(tx: &mut WriteTx<'_>) -> Result<()> {
    tx.execute_batch("CREATE INDEX IF NOT EXISTS idx__collections_type on `_collections` (`type`)")?;
    tx.execute("UPDATE _collections SET deleteRule = NULL WHERE name IN ('_mfas', '_otps')", [])?;
    Ok(())
}

/// System collections and their system fields get the deterministic ids that clients hard-code.
fn fix_system_ids(tx: &mut WriteTx<'_>) -> Result<()> {
    let mut renamed = HashMap::new();
    for stored in read(tx)? {
        let kind = if stored.name == "_superusers" { CollectionType::Auth } else { CollectionType::Base };
        if kind == CollectionType::Base && !REFERRING.contains(&stored.name.as_str()) {
            continue;
        }
        let id = ids::collection_base(kind, &stored.name);
        let fields = stored.fields.into_iter().map(with_fixed_id).collect::<Json>();
        let sql = "UPDATE _collections SET id = ?2, fields = ?3 WHERE id = ?1";
        tx.execute(sql, rusqlite::params![stored.id, id, fields.to_string()])?;
        if id != stored.id {
            renamed.insert(stored.id, id);
        }
    }
    for stored in read(tx)? {
        let mut fields = stored.fields;
        let mut changed = false;
        for field in &mut fields {
            let target = field.get("collectionId").and_then(Json::as_str).and_then(|id| renamed.get(id));
            if let Some(target) = target.cloned() {
                field["collectionId"] = target.into();
                changed = true;
            }
        }
        if changed {
            let fields = Json::Array(fields).to_string();
            tx.execute("UPDATE _collections SET fields = ?2 WHERE id = ?1", rusqlite::params![stored.id, fields])?;
        }
        if REFERRING.contains(&stored.name.as_str()) {
            let table = quote_ident(&stored.name);
            for (old, new) in &renamed {
                tx.execute(&format!("UPDATE {table} SET collectionRef = ?2 WHERE collectionRef = ?1"), [old, new])?;
            }
        }
    }
    Ok(())
}

fn with_fixed_id(mut field: Json) -> Json {
    let text = |key: &str| field.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let id = ids::field(&text("type"), &text("name"), |_| false);
    if field.get("system") == Some(&json!(true)) {
        field["id"] = id.into();
    }
    field
}

fn add_sent_to(tx: &mut WriteTx<'_>) -> Result<()> {
    let Some(mut otps) = read(tx)?.into_iter().find(|stored| stored.name == "_otps") else { return Ok(()) };
    if otps.fields.iter().any(|field| field.get("name") == Some(&json!("sentTo"))) {
        return Ok(());
    }
    otps.fields.push(system::sent_to().to_json());
    let fields = Json::Array(otps.fields).to_string();
    tx.execute("UPDATE _collections SET fields = ?2 WHERE id = ?1", rusqlite::params![otps.id, fields])?;
    let column = FieldKind::Text(Text::default()).as_type().column();
    table::run(tx, &format!("ALTER TABLE `_otps` ADD COLUMN `sentTo` {column}"))
}

/// Only the unchanged default is replaced; what somebody wrote stays.
fn renew_login_alerts(tx: &mut WriteTx<'_>) -> Result<()> {
    for stored in read(tx)? {
        let mut options = stored.options;
        let body = options.pointer_mut("/authAlert/emailTemplate/body");
        let Some(body) = body.filter(|body| body.as_str() == Some(OLD_ALERT)) else { continue };
        *body = templates::auth_alert().body.into();
        let sql = "UPDATE _collections SET options = ?2 WHERE id = ?1";
        tx.execute(sql, rusqlite::params![stored.id, options.to_string()])?;
    }
    Ok(())
}

/// Every index of a table is listed, under its own table's name; automatic ones are not there twice.
fn normalise_indexes(tx: &mut WriteTx<'_>) -> Result<()> {
    for stored in read(tx)?.into_iter().filter(|stored| stored.kind != "view") {
        let mut listed = stored.indexes.clone();
        for text in &mut listed {
            if let Some(mut index) = Index::parse(text).filter(|index| index.table != stored.name) {
                index.table.clone_from(&stored.name);
                *text = index.to_string();
            }
        }
        let sql = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL";
        for text in tx.query_all(sql, [&stored.name], |row| row.get::<_, String>(0))? {
            let Some(index) = Index::parse(&text) else { continue };
            let parsed: Vec<Index> = listed.iter().filter_map(|text| Index::parse(text)).collect();
            if parsed.iter().any(|other| other.name.eq_ignore_ascii_case(&index.name)) {
                continue;
            }
            let doubled = |(column, _): &(&str, Index)| {
                let on = |other: &Index| other.unique && other.is_on(column);
                stored.kind == "auth" && on(&index) && parsed.iter().any(on)
            };
            if auth_indexes(&stored.id, &stored.name).iter().any(doubled) {
                table::run(tx, &format!("DROP INDEX {}", quote_ident(&index.name)))?;
            } else {
                listed.push(index.to_string());
            }
        }
        if listed != stored.indexes {
            let sql = "UPDATE _collections SET indexes = ?2 WHERE id = ?1";
            tx.execute(sql, rusqlite::params![stored.id, Json::from(listed).to_string()])?;
        }
    }
    Ok(())
}

/// A row of `_collections`, not yet understood.
struct Stored {
    id: String,
    name: String,
    kind: String,
    fields: Vec<Json>,
    indexes: Vec<String>,
    options: Json,
}

fn read(tx: &ReadTx<'_>) -> Result<Vec<Stored>> {
    let sql = "SELECT id, name, type, fields, indexes, options FROM _collections ORDER BY rowid";
    let rows = tx.query_all(sql, [], |row| {
        let text = |index| row.get::<_, String>(index);
        Ok([text(0)?, text(1)?, text(2)?, text(3)?, text(4)?, text(5)?])
    })?;
    rows.into_iter().map(|row| parse(row).map_err(Error::internal)).collect()
}

fn parse([id, name, kind, fields, indexes, options]: [String; 6]) -> serde_json::Result<Stored> {
    let fields = serde_json::from_str::<Option<_>>(&fields)?.unwrap_or_default();
    let indexes = serde_json::from_str::<Option<_>>(&indexes)?.unwrap_or_default();
    Ok(Stored { id, name, kind, fields, indexes, options: serde_json::from_str(&options)? })
}
