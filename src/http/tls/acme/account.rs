//! Our account at an authority: made once, kept beside the certificates.

use aws_lc_rs::digest::{SHA256, digest};
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use serde::{Deserialize, Serialize};

use super::{authority::Authority, failure::Failure, web::Web};
use crate::http::tls::store::Store;

/// What is kept. The credentials hold the account's private key.
#[derive(Serialize, Deserialize)]
struct Kept {
    email: Option<String>,
    credentials: AccountCredentials,
}

/// The account that is kept, or a new one.
pub async fn open(authority: &Authority, web: &Web, store: &Store) -> Result<Account, Failure> {
    let builder = Account::builder_with_http(Box::new(web.clone()));
    match kept(authority, store)? {
        None => make(authority, web, store).await,
        Some(Kept { email, credentials }) => {
            let account = builder.from_credentials(credentials).await?;
            if email != authority.email {
                rewrite(authority, &account, store).await?;
            }
            Ok(account)
        }
    }
}

/// Registers, and keeps the account before it is used: one that is forgotten cannot be had again.
pub async fn make(authority: &Authority, web: &Web, store: &Store) -> Result<Account, Failure> {
    let address = contact(authority);
    let new = NewAccount { contact: &slices(&address), terms_of_service_agreed: true, only_return_existing: false };
    let binding = authority.binding.as_ref().map(|binding| ExternalAccountKey::new(binding.id.clone(), &binding.key));
    let builder = Account::builder_with_http(Box::new(web.clone()));
    let (account, credentials) = builder.create(&new, authority.directory.clone(), binding.as_ref()).await?;
    keep(authority, store, credentials)?;
    tracing::info!(directory = authority.directory, "an account at the certificate authority was made");
    Ok(account)
}

/// Tells the authority the address that was given since.
async fn rewrite(authority: &Authority, account: &Account, store: &Store) -> Result<(), Failure> {
    account.update_contacts(&slices(&contact(authority))).await?;
    if let Some(Kept { credentials, .. }) = kept(authority, store)? {
        keep(authority, store, credentials)?;
    }
    Ok(())
}

fn contact(authority: &Authority) -> Option<String> {
    authority.email.as_ref().map(|email| format!("mailto:{email}"))
}

fn slices(address: &Option<String>) -> Vec<&str> {
    address.iter().map(String::as_str).collect()
}

fn keep(authority: &Authority, store: &Store, credentials: AccountCredentials) -> anyhow::Result<()> {
    let kept = Kept { email: authority.email.clone(), credentials };
    store.keep_account(&file_name(authority), &serde_json::to_vec(&kept)?)
}

/// What cannot be read is as good as nothing: an account is easily made.
fn kept(authority: &Authority, store: &Store) -> anyhow::Result<Option<Kept>> {
    let Some(bytes) = store.account(&file_name(authority))? else { return Ok(None) };
    Ok(serde_json::from_slice(&bytes).ok())
}

/// One for each authority. No domain has such a name.
fn file_name(authority: &Authority) -> String {
    let hash = digest(&SHA256, authority.directory.as_bytes());
    let hash: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("acme_account+{hash}.json")
}
