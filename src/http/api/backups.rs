//! `/api/backups` (`docs/wire/services.md` §8). For superusers.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value as Json;

use super::{files, member, picked_value};
use crate::{
    backups::{Running, free_bytes, restore::Source},
    error::{Error, Leaf, Result},
    http::{
        download::{self, Showing},
        extract::{
            Call,
            body::{self, Form},
        },
        reply::Reply,
    },
    life::Ending,
    progress::Progress,
};

/// Between the answer to who asked for a restore and its beginning (§8).
const UNTIL_ANSWERED: Duration = Duration::from_secs(1);

/// Room on the disk that an upload leaves to others, in bytes.
const RESERVE: u64 = 128 << 20;

/// `GET /api/backups`
pub async fn list(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let params = call.query()?;
    picked_value(&call.app().backups.list().await?, &params)
}

#[derive(Serialize)]
struct Doing {
    running: Option<Running>,
}

/// `GET /api/backups/progress` (`docs/admin.md`): what is being done, and how far it is.
pub fn progress(call: Call) -> Result<Reply> {
    call.require_superuser()?;
    picked_value(&Doing { running: call.app().backups.running() }, &call.query()?)
}

/// `POST /api/backups`: 204 when the archive is there.
pub async fn create(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let mut received = body::read(&mut call, body::DEFAULT_LIMIT, Form::Texts).await?;
    let name = match member(&mut received, "name") {
        None => None,
        Some(Json::String(name)) => Some(name).filter(|name| !name.is_empty()),
        Some(_) => return Err(Error::invalid("The name of a backup has to be a text.")),
    };
    call.app().backups.create(name.as_deref(), &Progress::default()).await?;
    Ok(Reply::no_content())
}

/// `POST /api/backups/upload`: as large as there is room for.
pub async fn upload(mut call: Call) -> Result<Reply> {
    call.require_superuser()?;
    let dir = call.app().db.dir().to_owned();
    let free = tokio::task::spawn_blocking(move || free_bytes(&dir)).await.map_err(Error::internal)??;
    let received = body::read(&mut call, free.saturating_sub(RESERVE), Form::Record).await?;
    let file = received.body.uploads.into_iter().find(|upload| upload.key == "file");
    let file = file.ok_or_else(|| Error::field("file", Leaf::required()))?;
    call.app().backups.upload(file).await?;
    Ok(Reply::no_content())
}

/// `GET /api/backups/{key}?token=`: only a superuser's file token in the address counts.
pub async fn download(call: Call, key: &str) -> Result<Reply> {
    let params = call.query()?;
    let call = files::by_token(call, &params).await?;
    if !call.caller.is_superuser() {
        return Err(Error::forbidden("Only superusers may have this, with a file token in the address."));
    }
    let object = call.app().backups.find(key).await?.ok_or_else(Error::not_found)?;
    download::reply(&call.http, &object, key, Showing::Never)
}

/// `POST /api/backups/{key}/restore`: 204 at once if there is such a backup. What becomes of it is told by the log: the
/// work begins when the answer is out, and ends with a new start of the server.
pub async fn restore(call: Call, key: &str) -> Result<Reply> {
    call.require_superuser()?;
    let app = call.app().clone();
    if app.backups.find(key).await?.is_none() {
        return Err(Error::invalid("There is no backup of this name."));
    }
    let (turn, key) = (app.backups.take_turn(key)?, key.to_owned());
    tokio::spawn(async move {
        let progress = Progress::default();
        let _doing = app.backups.tell("restore", &key, &progress);
        tokio::time::sleep(UNTIL_ANSWERED).await;
        let restored = app.backups.restore(&app.restorer, turn, &key, Source::Kept, &progress).await;
        match restored {
            Ok(()) => {
                tracing::info!(backup = key, "the backup is good: the server starts again on it");
                app.life.end(Ending::Restart);
            }
            Err(error) => tracing::error!(backup = key, %error, "the backup was not restored"),
        }
    });
    Ok(Reply::no_content())
}

/// `DELETE /api/backups/{key}`
pub async fn delete(call: Call, key: &str) -> Result<Reply> {
    call.require_superuser()?;
    call.app().backups.delete(key).await?;
    Ok(Reply::no_content())
}
