//! `impersonate` (`docs/wire/auth.md` §3.5): a superuser gets a session of somebody else that cannot be prolonged.

use super::{Auth, sign_in::Admission, token::Grant};
use crate::{
    error::{Error, Leaf, Result},
    identity::AuthRecord,
    records::{Rendered, Shape},
    rules::Request,
};

impl Auth {
    /// `POST …/impersonate/{id}`, for superusers only. 0 seconds: as long as the collection's sessions last.
    pub async fn impersonate(
        &self,
        request: Request,
        record: &AuthRecord,
        seconds: i64,
        shape: Shape,
    ) -> Result<Rendered> {
        if seconds < 0 {
            let leaf = Leaf::new("validation_min_greater_equal_than_required", "Must be 0 or more.");
            return Err(Error::field("duration", leaf.param("threshold", 0)));
        }
        let collection = self.auth_collection(&record.collection_id)?;
        let lifetime = (seconds > 0).then_some(seconds);
        let token = self.mint(&collection, record, Grant::Auth { refreshable: false }, lifetime)?;
        Admission { auth: self, request, collection: &collection, record }.answer_with(&token, None, shape).await
    }
}
