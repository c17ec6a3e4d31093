//! The rate limiter (`docs/wire/services.md` §2.4): `settings.rateLimits`, compiled once per change, and what was counted.
//!
//! While it is off a request costs one look at a pointer. While it is on nothing is allocated either: labels are never
//! put together, their parts are looked up (`rules`). Memory is bounded by [`Windows`]: beyond [`MOST`] counts the ones
//! that began first are forgotten, so a crowd of addresses is let in rather than locked out.

mod action;
mod rules;

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use actix_web::http::Method;
use arc_swap::ArcSwapOption;

pub use self::action::Action;
use self::rules::{Audience, Rule, Rules};
use super::extract::{Call, path};
use crate::{
    app::App,
    clock::Timestamp,
    error::{Error, Kind, Result},
    identity::network,
    jobs::{
        Overlap,
        cron::{Cron, Missed},
    },
    schema::Collection,
    windows::Windows,
};

/// Counts that are remembered, of all rules and clients: some 4 MiB.
const MOST: usize = 128 * 1024;

/// What every worker asks before it answers.
pub struct Limits {
    /// None while the limiter is off.
    rules: ArcSwapOption<Rules>,
    counts: Windows,
}

/// What is counted together.
#[derive(Hash)]
enum Bucket<'a> {
    /// Everything that comes under one rule.
    Rule(u64),
    /// One action on one collection (id), whatever rule limits it.
    Action(&'a str, Action, u8),
    /// The same within batches.
    Item(&'a str, Action, u8),
}

impl Limits {
    /// Follows the settings of `app` from now on, and forgets each hour what has ended. Before the runner of jobs starts.
    pub fn follow(app: &App) -> Arc<Self> {
        let limits = Arc::new(Self { rules: ArcSwapOption::empty(), counts: Windows::new(MOST) });
        let followed = Arc::clone(&limits);
        app.settings.on_change(move |_, settings| {
            // Counts begin anew with every change of the settings (§4.3), whatever it was.
            followed.rules.store(Rules::compile(&settings.rate_limits).map(Arc::new));
            followed.counts.clear();
        });
        limits.rules.store(Rules::compile(&app.settings.current().rate_limits).map(Arc::new));
        let (swept, clock) = (Arc::clone(&limits), app.clock.clone());
        app.runner.cron("__pbRateLimitersCleanup__", Cron::utc("2 * * * *"), Missed::Skip, Overlap::Skip, move |_| {
            swept.counts.forget_ended(whole_seconds(clock.now()));
            async { Ok(()) }
        });
        limits
    }

    /// Counts a request; `TooMany` when it is one too many. `method` and `names` are what the route is found by.
    pub fn check(&self, call: &Call, method: &Method, names: &[&str]) -> Result<()> {
        let rules = self.rules.load();
        let Some(rules) = rules.as_deref() else { return Ok(()) };
        let Some(audience) = Audience::of(&call.caller) else { return Ok(()) };
        let asked = call.http.uri().path();
        // What cannot be decoded is no route: it comes under the rules as it is.
        let asked = path::decode(asked).unwrap_or(Cow::Borrowed(asked));
        let named = call.http.method().as_str();
        let Some((name, action)) = Action::of(method, names) else {
            let Some(rule) = rules.of_path(named, &asked, audience) else { return Ok(()) };
            return self.count(rules, rule, &Bucket::Rule(rule.id), call);
        };
        // Its handler says that there is no such collection, and that is not counted.
        let Ok(collection) = call.app().schema.find(name) else { return Ok(()) };
        match rules.of_action(&collection.name, action, named, &asked, audience) {
            Some(rule) => self.count(rules, rule, &Bucket::Action(&collection.id, action, rule.audience), call),
            None => Ok(()),
        }
    }

    /// Whether anything is limited for whoever sends this batch.
    pub fn apply_to(&self, call: &Call) -> bool {
        self.rules.load().is_some() && Audience::of(&call.caller).is_some()
    }

    /// Counts an item of a batch: `path` is that of its URL.
    pub fn check_item(
        &self,
        call: &Call,
        collection: &Collection,
        action: Action,
        method: &str,
        path: &str,
    ) -> Result<()> {
        let rules = self.rules.load();
        let Some(rules) = rules.as_deref() else { return Ok(()) };
        let Some(audience) = Audience::of(&call.caller) else { return Ok(()) };
        match rules.of_action(&collection.name, action, method, path, audience) {
            Some(rule) => self.count(rules, rule, &Bucket::Item(&collection.id, action, rule.audience), call),
            None => Ok(()),
        }
    }

    fn count(&self, rules: &Rules, rule: &Rule, bucket: &Bucket<'_>, call: &Call) -> Result<()> {
        let client: IpAddr = call.client_ip();
        if rules.excludes(client) {
            return Ok(());
        }
        let now = whole_seconds(call.app().clock.now());
        // The wire's answer says nothing about how long to wait.
        self.counts
            .count((bucket, network(client)), rule.limit, now)
            .map_err(|_| Error::new(Kind::TooMany, "Too many requests. Wait a moment, then try again."))
    }
}

/// Windows begin and end with a second.
fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp(now.seconds() * 1000)
}
