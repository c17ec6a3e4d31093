//! What sign-ins with providers share: the client that asks them (bounded time, no redirects), and what is remembered.
//!
//! The URLs are those of superusers, so a provider in the same network is nothing unusual. What providers' *users*
//! bring along is fetched by [`super::picture`], which trusts nobody.

use std::time::Duration;

use reqwest::{Client, redirect};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{keys::Keys, names::Names, picture::Pictures};
use crate::{
    error::{Error, Result},
    outgoing::{Lazy, USER_AGENT},
};

/// Sign-ins that wait for providers at the same time; more are told to come back.
const MAX_WAITING: usize = 256;
/// For one connection, the TLS handshake included.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// A connection that nobody uses is kept so long.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// What sign-ins with providers share.
pub(in crate::auth) struct Outside {
    client: Lazy,
    waiting: Semaphore,
    pub keys: Keys,
    pub names: Names,
    pub pictures: Pictures,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            client: Lazy::default(),
            waiting: Semaphore::new(MAX_WAITING),
            keys: Keys::default(),
            names: Names::default(),
            pictures: Pictures::default(),
        }
    }
}

impl Outside {
    /// One that downloads pictures from these addresses only.
    #[cfg(test)]
    pub fn with_pictures_from(allows: crate::outgoing::Allows) -> Self {
        Self { pictures: Pictures::from(allows), ..Self::default() }
    }

    /// Room for one more sign-in that waits for others, or busy.
    pub fn admit(&self) -> Result<SemaphorePermit<'_>> {
        self.waiting.try_acquire().map_err(|_| Error::busy(Duration::from_secs(1)))
    }

    pub async fn client(&self) -> Result<&Client> {
        let builder = || {
            let builder = Client::builder().user_agent(USER_AGENT).redirect(redirect::Policy::none());
            builder.connect_timeout(CONNECT_TIME).pool_idle_timeout(IDLE_TIME)
        };
        self.client.get(builder).await.map_err(Error::internal)
    }
}
