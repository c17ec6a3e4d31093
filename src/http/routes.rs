//! The whole route table (`docs/wire/services.md` §0.1, §1.2).
//!
//! Paths are matched exactly and case-sensitively, segment by segment *after* splitting, so that an encoded `/` stays
//! in its segment. A known path under another method is as unknown as any other: 404, never 405.

use actix_web::http::Method;

use super::{
    api::{
        auth, backups, batch, collections, crons, files, health, jobs, logs, mailbox, notify, openapi, overview, pages,
        realtime, records, rules, settings, snapshots, sql, test,
    },
    extract::{Call, body, path::Segments},
    health::Route,
    reply::Reply,
};
use crate::error::{Error, Kind, Result};

/// Answers `call` with the handler of its route. The rare and the long arms are boxed, so that the future of the
/// frequent ones stays small.
pub async fn dispatch(call: Call) -> Result<Reply> {
    let http = call.http.clone();
    let segments = match Segments::parse(http.uri().path()) {
        // What is not UTF-8 is no route, but still something that was asked for.
        Err(error) if error.kind == Kind::NotFound => Segments::default(),
        parsed => parsed?,
    };
    // GET routes answer HEAD as well; the server leaves the body out.
    let method = if http.method() == Method::HEAD { &Method::GET } else { http.method() };

    let names = segments.names();
    call.wire.shared.limits.check(&call, method, &names)?;
    if !has_own_limit(method, &names) {
        body::check_length(http.headers(), body::DEFAULT_LIMIT)?;
    }
    // Before the body is read: what is deleted meanwhile makes room.
    if call.app().db.is_scarce() && Route::of(method, &format!("/{}", names.join("/"))).adds(method) {
        return Err(Error::new(
            Kind::StorageFull,
            "The disk of the server is nearly full: nothing can be added until there is room.",
        ));
    }
    match (method, names.as_slice()) {
        (&Method::GET, ["_", rest @ ..]) => pages::file(&call, rest),
        // No route has a blank name in it (§1.2).
        (&Method::GET, [.., ""]) => Box::pin(public(call)).await,
        (&Method::GET, ["api", "health"]) => health::check(call),
        (&Method::GET, ["api", "openapi.json"]) => openapi::document(call),

        (&Method::GET, ["api", "collections", c, "records"]) => records::list(call, c).await,
        (&Method::GET, ["api", "collections", c, "records", id]) => records::view(call, c, id).await,
        (&Method::POST, ["api", "collections", c, "records"]) => Box::pin(records::create(call, c)).await,
        (&Method::PATCH, ["api", "collections", c, "records", id]) => Box::pin(records::update(call, c, id)).await,
        (&Method::DELETE, ["api", "collections", c, "records", id]) => Box::pin(records::delete(call, c, id)).await,
        (&Method::POST, ["api", "collections", c, "records", "undelete"]) => Box::pin(records::undelete(call, c)).await,
        (&Method::POST, ["api", "batch"]) => Box::pin(batch::run(call)).await,

        (&Method::GET, ["api", "collections", c, "auth-methods"]) => auth::methods(call, c),
        (&Method::POST, ["api", "collections", c, "auth-with-password"]) => {
            Box::pin(auth::with_password(call, c)).await
        }
        (&Method::POST, ["api", "collections", c, "request-otp"]) => Box::pin(auth::request_otp(call, c)).await,
        (&Method::POST, ["api", "collections", c, "auth-with-otp"]) => Box::pin(auth::with_otp(call, c)).await,
        (&Method::POST, ["api", "collections", c, "auth-with-oauth2"]) => Box::pin(auth::with_oauth2(call, c)).await,
        (&Method::GET | &Method::POST, ["api", "oauth2-redirect"]) => Box::pin(auth::redirected(call)).await,
        (&Method::POST, ["api", "collections", c, "auth-refresh"]) => Box::pin(auth::refresh(call, c)).await,

        (&Method::POST, ["api", "collections", c, "request-verification"]) => {
            Box::pin(auth::request_verification(call, c)).await
        }
        (&Method::POST, ["api", "collections", c, "request-password-reset"]) => {
            Box::pin(auth::request_password_reset(call, c)).await
        }
        (&Method::POST, ["api", "collections", c, "request-email-change"]) => {
            Box::pin(auth::request_email_change(call, c)).await
        }
        (&Method::POST, ["api", "collections", c, "confirm-verification"]) => {
            Box::pin(auth::confirm_verification(call, c)).await
        }
        (&Method::POST, ["api", "collections", c, "confirm-password-reset"]) => {
            Box::pin(auth::confirm_password_reset(call, c)).await
        }
        (&Method::POST, ["api", "collections", c, "confirm-email-change"]) => {
            Box::pin(auth::confirm_email_change(call, c)).await
        }
        (&Method::POST, ["api", "collections", c, "impersonate", id]) if !id.is_empty() => {
            Box::pin(auth::impersonate(call, c, id)).await
        }
        (&Method::GET, ["api", "files", c, id, name]) => Box::pin(files::download(call, c, id, name)).await,
        (&Method::POST, ["api", "files", "token"]) => files::token(call),

        (&Method::GET, ["api", "collections", "meta", "scaffolds"]) => collections::scaffolds(call),
        (&Method::GET, ["api", "collections", "meta", "oauth2-providers"]) => collections::oauth2_providers(call),
        (&Method::POST, ["api", "collections", "meta", "dry-run-view"]) => {
            Box::pin(collections::dry_run_view(call)).await
        }
        (&Method::PUT, ["api", "collections", "import"]) => Box::pin(collections::import(call)).await,
        (&Method::GET, ["api", "collections"]) => Box::pin(collections::list(call)).await,
        (&Method::POST, ["api", "collections"]) => Box::pin(collections::create(call)).await,
        (&Method::GET, ["api", "collections", c]) => collections::view(call, c),
        (&Method::PATCH, ["api", "collections", c]) => Box::pin(collections::update(call, c)).await,
        (&Method::DELETE, ["api", "collections", c]) => Box::pin(collections::delete(call, c)).await,
        (&Method::DELETE, ["api", "collections", c, "truncate"]) => Box::pin(collections::truncate(call, c)).await,

        (&Method::GET, ["api", "realtime"]) => realtime::connect(&call),
        (&Method::POST, ["api", "realtime"]) => Box::pin(realtime::subscribe(call)).await,

        (&Method::GET, ["api", "settings"]) => settings::get(call),
        (&Method::GET, ["api", "settings", "origins"]) => settings::origins(call),
        (&Method::PATCH, ["api", "settings"]) => Box::pin(settings::patch(call)).await,
        (&Method::POST, ["api", "settings", "test", "s3"]) => Box::pin(settings::test_s3(call)).await,
        (&Method::POST, ["api", "settings", "test", "email"]) => Box::pin(settings::test_email(call)).await,

        (&Method::GET, ["api", "overview"]) => Box::pin(overview::show(call)).await,

        (&Method::GET, ["api", "backups"]) => Box::pin(backups::list(call)).await,
        (&Method::POST, ["api", "backups"]) => Box::pin(backups::create(call)).await,
        (&Method::POST, ["api", "backups", "upload"]) => Box::pin(backups::upload(call)).await,
        (&Method::GET, ["api", "backups", "progress"]) => backups::progress(call),
        (&Method::GET, ["api", "backups", key]) if !key.is_empty() => Box::pin(backups::download(call, key)).await,
        (&Method::POST, ["api", "backups", key, "restore"]) => Box::pin(backups::restore(call, key)).await,
        (&Method::DELETE, ["api", "backups", key]) if !key.is_empty() => Box::pin(backups::delete(call, key)).await,

        (&Method::GET, ["api", "mailbox"]) => Box::pin(mailbox::list(call)).await,
        (&Method::GET, ["api", "mailbox", id]) => mailbox::view(call, id),
        (&Method::DELETE, ["api", "mailbox"]) => mailbox::clear(call),
        (&Method::POST, ["api", "settings", "apple", "generate-client-secret"]) => {
            Box::pin(settings::apple_client_secret(call)).await
        }

        (&Method::GET, ["api", "logs"]) => Box::pin(logs::list(call)).await,
        (&Method::GET, ["api", "logs", "stats"]) => Box::pin(logs::stats(call)).await,
        (&Method::GET, ["api", "logs", id]) if !id.is_empty() => Box::pin(logs::view(call, id)).await,
        (&Method::DELETE, ["api", "logs"]) => Box::pin(logs::truncate(call)).await,

        (&Method::POST, ["api", "rules", "check"]) => Box::pin(rules::check(call)).await,
        (&Method::POST, ["api", "rules", "test"]) => Box::pin(rules::test(call)).await,

        (&Method::POST, ["api", "sql"]) => Box::pin(sql::run(call)).await,

        (&Method::GET, ["api", "crons"]) => crons::list(call),
        (&Method::POST, ["api", "crons", id]) if !id.is_empty() => Box::pin(crons::run(call, id)).await,
        (method, ["api", "jobs", rest @ ..]) => Box::pin(jobs::dispatch(call, method, rest)).await,

        (method, ["api", "notify", rest @ ..]) => Box::pin(notify::dispatch(call, method, rest)).await,

        (&Method::GET, ["api", "test", "clock"]) => test::clock(call),
        (&Method::POST, ["api", "test", "clock"]) => Box::pin(test::steer(call)).await,
        (&Method::POST, ["api", "test", "run-due"]) => Box::pin(test::run_due(call)).await,
        (&Method::POST, ["api", "test", "snapshot"]) => Box::pin(snapshots::take(call)).await,
        (&Method::POST, ["api", "test", "restore"]) => Box::pin(snapshots::restore(call)).await,
        (&Method::POST, ["api", "test", "reset"]) => Box::pin(snapshots::reset(call)).await,
        (&Method::DELETE, ["api", "test", "snapshot", id]) => Box::pin(snapshots::forget(call, id)).await,

        #[cfg(test)]
        (&Method::GET, ["api", "test", "panic"]) => panic!("a secret"),

        // What is no route may be a file of the static folder.
        (&Method::GET, _) => Box::pin(public(call)).await,

        _ => Err(Error::not_found()),
    }
}

/// A file of the static folder (§3.1).
async fn public(call: Call) -> Result<Reply> {
    call.wire.shared.public.answer(&call).await
}

/// True for the routes that look at their body's length themselves, because they may take more than others (§2.3).
fn has_own_limit(method: &Method, names: &[&str]) -> bool {
    matches!(
        (method, names),
        (&Method::POST, ["api", "collections", _, "records"] | ["api", "batch"] | ["api", "backups", "upload"])
            | (&Method::PATCH, ["api", "collections", _, "records", _])
    )
}
