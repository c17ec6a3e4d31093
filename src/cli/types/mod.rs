//! `conch types`: the collections as TypeScript, for the official SDK.

mod typescript;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value as Json;

pub use self::typescript::print;
use super::{Place, ask::Ask};

/// Collections on a page.
const PAGE: usize = 500;
/// Pages that are asked for: nobody has so many collections.
const PAGES: usize = 100;

/// `conch types`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  conch types > src/conch.d.ts
  conch types --url https://app.example.com --token \"$TOKEN\" > src/conch.d.ts
  conch exec --seed seed.json -- sh -c 'conch types > src/conch.d.ts'

In the program:
  import PocketBase from \"pocketbase\";
  import type { TypedPocketBase } from \"./conch\";
  const pb = new PocketBase(url) as TypedPocketBase;

Records, what creates and changes them, their relations in `expand` and the answers to logins are typed then.")]
pub struct Types {
    /// Asks a server instead of looking into the data directory
    #[arg(long, value_name = "URL", requires = "token")]
    url: Option<String>,
    /// A token of a superuser, for --url
    #[arg(long, env = "CONCH_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

impl Types {
    pub fn run(self, place: Place) -> anyhow::Result<()> {
        let text = match self.url {
            None => Ask::Types.carry_out(place)?,
            Some(url) => {
                let token = self.token.context("give --token, too")?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let collections = runtime.block_on(fetch(&url, &token))?;
                print(&collections).map_err(|reason| anyhow::anyhow!("{url} has a strange collection: {reason}"))?
            }
        };
        print!("{text}");
        Ok(())
    }
}

/// All collections of a server.
async fn fetch(url: &str, token: &str) -> anyhow::Result<Vec<Json>> {
    let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(30)).build()?;
    let base = url.trim_end_matches('/');
    let mut found = Vec::new();
    for page in 1..=PAGES {
        let asked = format!("{base}/api/collections?page={page}&perPage={PAGE}&skipTotal=1&sort=name");
        let answer = client.get(&asked).header("Authorization", token).send().await;
        let answer = answer.with_context(|| format!("cannot reach {base}"))?;
        let status = answer.status();
        match status.as_u16() {
            200 => {}
            401 | 403 => bail!("{base} does not take the token: it has to be one of a superuser, and not too old"),
            _ => bail!("{base} answers {status}"),
        }
        let mut body: Json = answer.json().await.with_context(|| format!("{base} gives no list of collections"))?;
        let Some(Json::Array(items)) = body.get_mut("items").map(Json::take) else {
            bail!("{base} gives no list of collections");
        };
        let last = items.len() < PAGE;
        found.extend(items);
        if last {
            break;
        }
    }
    Ok(found)
}
