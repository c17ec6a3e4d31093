//! Why a write has to be tried again in another way. Travels as the source of an error, so that it undoes the savepoint.

use super::facts::Need;
use crate::error::Error;

#[derive(Debug, thiserror::Error)]
pub(super) enum Again {
    #[error("facts are missing")]
    Facts(Vec<Need>),
    #[error("too large for a shared transaction")]
    Alone,
}

impl From<Again> for Error {
    fn from(again: Again) -> Self {
        // Never seen by a client: whoever runs the write looks for it.
        Error::internal(again)
    }
}

impl Again {
    pub fn of(error: &Error) -> Option<&Again> {
        error.source.as_ref()?.downcast_ref()
    }
}
