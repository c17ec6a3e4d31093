//! Second factors (`docs/wire/auth.md` §3.8): the first method leaves a row in `_mfas`, another one has to name it.

use serde_json::{Map, Value as Json};

use super::{
    find::{current, values},
    form, options,
    sign_in::{Admission, Method},
};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    identity::AuthRecord,
    records::Script,
};

pub(super) const MFAS: &str = "_mfas";

/// What a first factor that was named turned out to be.
enum Factor {
    /// It counted, and is gone now.
    Accepted,
    /// There is none of this id, or it was too old and is gone now.
    Gone,
    OfAnother,
    /// It was this very method.
    Same,
}

impl Admission<'_> {
    /// Step 3 of §3.1. `Some` when the account needs a second factor and this was the first one: the id that the second
    /// has to name. `query_id` is the `mfaId` of the query.
    pub async fn second_factor(&self, method: Method, query_id: &str) -> Result<Option<String>> {
        if !self.needs_second_factor().await? {
            return Ok(None);
        }
        match query_id {
            "" => match &*form::text(&self.request.body, "mfaId")? {
                "" => self.note_first(method).await.map(Some),
                id => self.redeem_first(method, id).await.map(|()| None),
            },
            id => self.redeem_first(method, id).await.map(|()| None),
        }
    }

    /// The rule is asked for superusers' requests, too: their header does not replace a factor.
    async fn needs_second_factor(&self) -> Result<bool> {
        let mfa = &options(self.collection).mfa;
        if !mfa.enabled || mfa.rule.is_empty() {
            return Ok(mfa.enabled);
        }
        let matches = self.auth.records.matches(&self.request, self.collection, &self.record.id, &mfa.rule).await;
        matches.map_err(|error| Error::invalid("The sign-in failed.").because(error))
    }

    async fn note_first(&self, method: Method) -> Result<String> {
        let record = self.record.clone();
        let noted = move |script: &mut Script<'_, '_>| {
            // Whoever set a new password meanwhile has cleared the table; the old one must not count any more.
            current(script, &record)?;
            let row = script.create(MFAS, row_of(&record, [("method", method.name())]))?;
            Ok(row.text("id").unwrap_or_default().to_owned())
        };
        self.auth.records.transact(None, noted).await
    }

    /// Of logins that name the same row at the same time, one finds it.
    async fn redeem_first(&self, method: Method, id: &str) -> Result<()> {
        let (record, id) = (self.record.clone(), id.to_owned());
        let seconds = options(self.collection).mfa.duration;
        let redeemed = move |script: &mut Script<'_, '_>| redeem(script, &record, method, &id, seconds);
        match self.auth.records.transact(None, redeemed).await? {
            Factor::Accepted => Ok(()),
            Factor::Gone => Err(Error::invalid("The first factor is not known or has expired.")),
            Factor::OfAnother => Err(Error::invalid("The first factor was another account's.")),
            Factor::Same => Err(Error::invalid("The second factor has to be of another kind.")),
        }
    }
}

fn redeem(script: &mut Script<'_, '_>, record: &AuthRecord, method: Method, id: &str, seconds: i64) -> Result<Factor> {
    current(script, record)?;
    let Some(row) = script.load(MFAS, id)? else { return Ok(Factor::Gone) };
    let is = |column: &str, value: &str| row.text(column) == Some(value);
    let factor = if is_older(row.text("created"), seconds, script.now()) {
        Factor::Gone
    } else if !is("collectionRef", &record.collection_id) || !is("recordRef", &record.id) {
        return Ok(Factor::OfAnother);
    } else if is("method", method.name()) {
        return Ok(Factor::Same);
    } else {
        Factor::Accepted
    };
    script.delete(MFAS, id)?;
    Ok(factor)
}

/// A row of a system collection that refers to this account.
pub(super) fn row_of<const N: usize>(record: &AuthRecord, others: [(&str, &str); N]) -> Map<String, Json> {
    let owner = [("collectionRef", &*record.collection_id), ("recordRef", &*record.id)];
    values(owner.into_iter().chain(others))
}

/// Whether something of this date (stored form) is older than so many seconds. Dates of one width compare as texts.
pub(super) fn is_older(created: Option<&str>, seconds: i64, now: Timestamp) -> bool {
    let oldest = Timestamp(now.millis().saturating_sub(seconds.saturating_mul(1000)));
    created.is_none_or(|created| created < oldest.to_string().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exactly_as_old_still_counts() {
        let now = Timestamp(1_800_000_000_000);
        for (age, seconds, expected) in [
            (0, 0, false),
            (1, 0, true),
            (600_000, 600, false),
            (600_001, 600, true),
            (-5, 0, false),
            (0, i64::MAX, false),
        ] {
            let created = Timestamp(now.millis() - age).to_string();
            assert_eq!(is_older(Some(&created), seconds, now), expected, "{age} {seconds}");
        }
        assert!(is_older(None, 600, now));
        assert!(is_older(Some(""), 600, now));
    }
}
