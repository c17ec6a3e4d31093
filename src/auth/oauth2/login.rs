//! `auth-with-oauth2` (`docs/wire/auth-oauth2.md` §3.10).

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json, json};

use super::{
    ask,
    exchange::{self, Grant, Tokens},
    link::{Arrival, Landed},
    provider::Provider,
    user::{User, refused},
};
use crate::{
    auth::{
        Auth, Login, Method, SignedIn, auth_record,
        find::lookup,
        form::{member, text},
        options,
    },
    db::Value,
    error::{Error, Issues, Leaf, Result},
    files::Upload,
    random,
    records::{Asked, Body},
    rules::{Context, Request},
    schema::{Collection, FieldKind, FieldType, auth_options::OAuth2},
};

/// For everything that providers are asked.
const ASKING_TIME: Duration = Duration::from_secs(30);
/// Characters of a password that nobody knows.
const PASSWORD: usize = 30;

impl Auth {
    /// `POST …/auth-with-oauth2` (§3.10). What the provider's account leads to is committed before the steps of every
    /// sign-in, so whoever may not sign in or needs a second factor is registered or linked nevertheless.
    pub async fn with_oauth2(&self, login: Login, collection: &str) -> Result<SignedIn> {
        let collection = self.auth_collection(collection)?;
        Method::OAuth2.admit(&collection)?;
        let form = Form::parse(&login.request.body)?;
        let provider = form.check(&options(&collection).oauth2)?;
        let _room = self.outside.admit()?;
        let (tokens, user) = self.ask_provider(&provider, form.grant).await?;

        let caller = login.request.caller.record().filter(|caller| caller.collection_id == collection.id);
        let arrival = Arc::new(Arrival {
            collection: collection.clone(),
            provider: provider.key(),
            user,
            caller: caller.cloned(),
            password: random::string(random::ALPHANUMERIC, PASSWORD),
        });
        let landed = self.settle(&arrival, &login.request, form.create_data).await?;
        let meta = meta(&arrival.user, &tokens, landed.is_new);
        let id: Arc<str> = landed.row.text("id").unwrap_or_default().into();
        let record = auth_record(&collection, id, landed.row);
        self.sign_in(Method::OAuth2, login, &collection, &record, Some(&meta)).await
    }

    async fn ask_provider(&self, provider: &Provider, grant: Grant) -> Result<(Tokens, User)> {
        let asking = async {
            let tokens = exchange::tokens(&self.outside, provider, &grant, self.now()).await?;
            let mut user = ask::user(&self.outside, provider, &tokens, self.now()).await?;
            if provider.key() == "apple"
                && let Some(name) = self.outside.names.take(&grant.code, self.now())
            {
                user.name = name;
            }
            Ok((tokens, user))
        };
        let late = || refused(format!("{} took too long", provider.key()));
        tokio::time::timeout(ASKING_TIME, asking).await.unwrap_or_else(|_| Err(late()))
    }

    /// Finds the record, or has it created. Both are decided on the writer: looking before that only tells whether a
    /// creation has to be prepared, which may download a picture. What was prepared in vain, because the record has
    /// appeared meanwhile, is dropped.
    async fn settle(&self, arrival: &Arc<Arrival>, request: &Request, data: Map<String, Json>) -> Result<Landed> {
        let looking = arrival.clone();
        if self.db.read(move |tx| looking.resolve(tx)).await?.is_some() {
            let entering = arrival.clone();
            if let Some(landed) = self.records.transact(None, move |script| entering.find(script)).await? {
                return Ok(landed);
            }
            // It was there, and has gone.
        }
        let asked = self.registration(arrival, request, data).await?;
        let arrival = arrival.clone();
        self.records.transact(Some(asked), move |script| arrival.find_or_join(script)).await
    }

    /// The creation of a record for somebody new: an ordinary one, of whoever makes the request, under the collection's
    /// own rules.
    async fn registration(&self, arrival: &Arrival, request: &Request, data: Map<String, Json>) -> Result<Asked> {
        let collection = &arrival.collection;
        let request = Request { context: Context::OAuth2, query: Map::new(), body: Map::new(), ..request.clone() };
        let body = self.payload(arrival, data).await?;
        if body.values.contains_key("password") {
            return Asked::create(request, &collection.id, body).await;
        }
        Asked::create_with_random_password(request, &collection.id, body, &arrival.password).await
    }

    /// What the client wants to be stored, filled up with what the provider tells.
    async fn payload(&self, arrival: &Arrival, data: Map<String, Json>) -> Result<Body> {
        let Arrival { collection, user, .. } = arrival;
        let mapped = &options(collection).oauth2.mapped_fields;
        let mut body = Body { values: data, uploads: Vec::new() };
        if body.values.get("email").and_then(Json::as_str).unwrap_or_default().is_empty() {
            body.values.insert("email".to_owned(), user.email.as_str().into());
        }
        let wanted = |body: &Body, name: &str| !name.is_empty() && !body.values.contains_key(name);
        for (name, value) in [(&mapped.id, &user.id), (&mapped.name, &user.name)] {
            if wanted(&body, name) {
                body.values.insert(name.clone(), value.as_str().into());
            }
        }
        if wanted(&body, &mapped.username) && self.is_free(collection, &mapped.username, &user.username).await? {
            body.values.insert(mapped.username.clone(), user.username.as_str().into());
        }
        if wanted(&body, &mapped.avatar_url) && !user.avatar_url.is_empty() {
            self.add_picture(arrival, &mapped.avatar_url, &mut body).await;
        }
        Ok(body)
    }

    /// Whether the field would take the username, and nobody has it where it has to be unique.
    async fn is_free(&self, collection: &Collection, field: &str, username: &str) -> Result<bool> {
        let Some(field) = collection.field(field) else { return Ok(false) };
        let FieldKind::Text(kind) = &field.kind else { return Ok(false) };
        if kind.check(field.required, &Value::Text(username.to_owned())).is_err() {
            return Ok(false);
        }
        if !collection.has_unique_index(&field.name) {
            return Ok(true);
        }
        let (sql, username) = (lookup(collection, &field.name), username.to_owned());
        let taken: Option<String> = self.db.read(move |tx| tx.query_one(&sql, [&username], |row| row.get(0))).await?;
        Ok(taken.is_none())
    }

    /// The URL of the picture, or for a file field the picture itself. Without it the field stays empty.
    async fn add_picture(&self, arrival: &Arrival, field: &str, body: &mut Body) {
        let Arrival { collection, user, provider, .. } = arrival;
        let Some(found) = collection.field(field) else { return };
        if !matches!(found.kind, FieldKind::File(_)) {
            body.values.insert(field.to_owned(), user.avatar_url.as_str().into());
            return;
        }
        let path = self.records.spool_path();
        let into = Upload { key: field.to_owned(), client_name: String::new(), path, size: 0 };
        match self.outside.pictures.download(&user.avatar_url, into).await {
            Ok(upload) => body.uploads.push(upload),
            Err(why) => tracing::warn!(provider, why, "a picture could not be downloaded"),
        }
    }
}

/// The body of the request.
struct Form {
    provider: String,
    grant: Grant,
    create_data: Map<String, Json>,
}

impl Form {
    fn parse(body: &Map<String, Json>) -> Result<Self> {
        let create_data = match member(body, "createData") {
            None => Map::new(),
            Some(Json::Object(data)) => data.clone(),
            Some(_) => return Err(Error::invalid("The body could not be read.")),
        };
        Ok(Self {
            provider: text(body, "provider")?,
            grant: Grant {
                code: text(body, "code")?,
                verifier: text(body, "codeVerifier")?,
                redirect_url: redirect_url(body)?,
            },
            create_data,
        })
    }

    /// The configured provider that is meant.
    fn check(&self, method: &OAuth2) -> Result<Provider> {
        let mut issues = Issues::default();
        let entry = method.providers.iter().find(|entry| entry.name == self.provider);
        let provider = entry.filter(|_| !self.provider.is_empty()).and_then(Provider::for_entry);
        if self.provider.is_empty() {
            issues.insert("provider", Leaf::required());
        } else if self.provider.len() > 100 {
            let leaf = Leaf::new("validation_length_too_long", "The length must be no more than 100.");
            issues.insert("provider", leaf.param("min", 0).param("max", 100));
        } else if provider.is_none() {
            let leaf = Leaf::new("validation_invalid_provider", "The collection has no such provider.");
            issues.insert("provider", leaf.param("name", self.provider.as_str()));
        }
        if self.grant.code.is_empty() {
            issues.insert("code", Leaf::required());
        }
        issues.into_result("The login is not valid.")?;
        provider.ok_or_else(|| Error::internal(anyhow::anyhow!("a checked login has no provider")))
    }
}

/// `redirectURL`, or by its old name `redirectUrl` where that one is blank.
fn redirect_url(body: &Map<String, Json>) -> Result<String> {
    match body.get("redirectUrl").and_then(Json::as_str) {
        Some(old) if body.get("redirectURL").and_then(Json::as_str).unwrap_or_default().is_empty() => {
            Ok(old.to_owned())
        }
        _ => text(body, "redirectURL"),
    }
}

/// What the client is told of the provider's account.
fn meta(user: &User, tokens: &Tokens, is_new: bool) -> Json {
    json!({
        "id": user.id,
        "name": user.name,
        "username": user.username,
        "email": user.email,
        "avatarURL": user.avatar_url,
        "avatarUrl": user.avatar_url,
        "accessToken": tokens.access,
        "refreshToken": tokens.refresh,
        "expiry": tokens.expiry.map(|time| time.to_string()).unwrap_or_default(),
        "rawUser": user.raw,
        "isNew": is_new,
    })
}
