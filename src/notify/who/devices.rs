//! Devices: what pushes and webhooks reach, registered by whoever is signed in there.

use rusqlite::params;
use serde_json::{Map, Value as Json, json};

use super::{
    Owner,
    registration::{Kind, Registration},
};
use crate::{
    clock::Timestamp,
    db::{ReadTx, Row, Value, quote_ident},
    error::{Error, Leaf, Result},
    identity::Caller,
    notify::{
        Notify,
        collections::DEVICES,
        how::{Device, webpush},
    },
    records::Bulk,
};

/// Devices of one account. One more, and the one that was seen longest ago goes.
pub const MOST: usize = 50;

/// A registered device, as its owner is told.
#[derive(Debug)]
pub struct Registered {
    /// `{id, kind, user, label, platform, lastSeen}`, and `secret` if it was made just now.
    pub device: Json,
}

impl Device {
    /// A row of `_devices`.
    pub fn of_row(row: &Row) -> Self {
        let text = |column| row.text(column).unwrap_or_default().to_owned();
        let secrets = serde_json::from_str(row.text("secrets").unwrap_or_default()).unwrap_or_default();
        Self { id: text("id"), kind: text("kind"), token: text("token"), secrets }
    }
}

impl Notify {
    /// The key that browsers subscribe with: base64url of an uncompressed point of P-256. Made when first asked for.
    pub async fn vapid_key(&self) -> Result<String> {
        Ok(webpush::pair(&self.rooms.settings).await?.public)
    }

    /// Registers a device for whoever asks, or for another account if a superuser does. A device that is known already is
    /// updated; it moves to this account if it was another's. Nobody is told secrets again.
    pub async fn register_device(&self, caller: &Caller, body: &Map<String, Json>) -> Result<Registered> {
        let owner = self.owner_of_device(caller, body).await?;
        let allow_private = self.rooms.settings.current().notify.allow_private;
        let asked = Registration::parse(body, allow_private)?;
        let (records, may_take) = (self.rooms.records.clone(), caller.is_superuser());
        let device = self.rooms.db.write(move |tx| {
            let now = tx.now();
            store(&mut records.bulk(tx), &owner, &asked, may_take, now)
        });
        Ok(Registered { device: device.await? })
    }

    /// Whose device it will be.
    async fn owner_of_device(&self, caller: &Caller, body: &Map<String, Json>) -> Result<Owner> {
        let Some(own) = caller.record() else { return Err(Error::unauthorized("Sign in to register a device.")) };
        let own = Owner { collection: own.collection_id.to_string(), record: own.id.to_string() };
        let Some(named) = body.get("user").filter(|user| !user.is_null()) else { return Ok(own) };
        let named = match named.as_str() {
            Some(name) => self.account(name).await?,
            None => None,
        };
        match named {
            Some(named) if caller.is_superuser() || named == own => Ok(named),
            _ if !caller.is_superuser() => Err(Error::forbidden("Only superusers may register devices for others.")),
            _ => Err(Error::field("user", Leaf::new("validation_missing_record", "There is no such account."))),
        }
    }
}

/// Decides on the writer: two registrations of one device follow each other.
fn store(bulk: &mut Bulk<'_, '_>, owner: &Owner, asked: &Registration, may_take: bool, now: Timestamp) -> Result<Json> {
    let collection = bulk.catalog().by_id(&owner.collection).cloned().ok_or_else(Error::not_found)?;
    let sql = format!("SELECT 1 FROM {} WHERE id = ?1", quote_ident(&collection.name));
    if bulk.tx().query_one(&sql, [&owner.record], |_| Ok(()))?.is_none() {
        return Err(Error::not_found());
    }
    let known = known(bulk.tx(), asked)?;
    let ours = known.as_ref().is_some_and(|known| known.is_of(owner));
    let secrets = match &known {
        Some(known) if !ours && !may_take => asked.taking(&known.secrets)?,
        Some(known) if ours => asked.again(&known.secrets),
        _ => asked.secrets.clone(),
    };
    let keep = |new: &Option<String>, old: fn(&Known) -> &String| match (new, &known) {
        (Some(new), _) => new.clone(),
        (None, Some(known)) if ours => old(known).clone(),
        _ => String::new(),
    };
    let (label, platform) = (keep(&asked.label, |known| &known.label), keep(&asked.platform, |known| &known.platform));
    let text = |text: &str| Value::Text(text.to_owned());
    let values = [
        ("collectionRef", text(&collection.id)),
        ("recordRef", text(&owner.record)),
        ("kind", text(asked.kind.as_str())),
        ("token", text(&asked.token)),
        ("secrets", Value::Text(Json::Object(secrets.clone()).to_string())),
        ("label", text(&label)),
        ("platform", text(&platform)),
        ("lastSeen", Value::Text(now.to_string())),
    ];
    let id = match known {
        Some(known) => {
            bulk.update(DEVICES, &known.id, &values)?;
            known.id
        }
        None => bulk.insert(DEVICES, &values)?,
    };
    for old in beyond(bulk.tx(), &collection.id, &owner.record, &id)? {
        bulk.delete(DEVICES, &old)?;
    }
    let user = format!("{}/{}", collection.name, owner.record);
    let mut device = json!({ "id": id, "kind": asked.kind.as_str(), "user": user, "label": label, "platform": platform,
        "lastSeen": now.to_string() });
    if asked.made && secrets == asked.secrets {
        device["secret"] = secrets.get("secret").cloned().unwrap_or_default();
    }
    Ok(device)
}

/// A device that is registered already.
struct Known {
    id: String,
    collection: String,
    record: String,
    secrets: Map<String, Json>,
    label: String,
    platform: String,
}

impl Known {
    fn is_of(&self, owner: &Owner) -> bool {
        self.collection == owner.collection && self.record == owner.record
    }
}

fn known(tx: &ReadTx<'_>, asked: &Registration) -> Result<Option<Known>> {
    let sql =
        "SELECT id, collectionRef, recordRef, secrets, label, platform FROM _devices WHERE kind = ?1 AND token = ?2";
    tx.query_one(sql, [asked.kind.as_str(), &asked.token], |row| {
        Ok(Known {
            id: row.get(0)?,
            collection: row.get(1)?,
            record: row.get(2)?,
            secrets: serde_json::from_str(&row.get::<_, Option<String>>(3)?.unwrap_or_default()).unwrap_or_default(),
            label: row.get(4)?,
            platform: row.get(5)?,
        })
    })
}

/// The devices of an account that are too many, `newest` not counted; as many of them as one transaction may delete.
fn beyond(tx: &ReadTx<'_>, collection: &str, record: &str, newest: &str) -> Result<Vec<String>> {
    let sql = "SELECT id FROM _devices WHERE recordRef = ?1 AND collectionRef = ?2 AND id != ?3 \
               ORDER BY lastSeen DESC, created DESC, id LIMIT 500 OFFSET ?4";
    let others = i64::try_from(MOST - 1).unwrap_or(0);
    tx.query_all(sql, params![record, collection, newest, others], |row| row.get(0))
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebPush => "webpush",
            Self::Fcm => "fcm",
            Self::Webhook => "webhook",
        }
    }
}

#[cfg(test)]
mod tests;
