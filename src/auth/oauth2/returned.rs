//! Back from the provider: what its redirect brings (`docs/wire/auth-oauth2.md` §3.11).

use serde_json::{Value as Json, json};

use crate::auth::Auth;

/// The parameters of `oauth2-redirect`. Blank is what did not come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The id of the realtime client that waits.
    pub state: String,
    pub code: String,
    pub error: String,
    /// Apple's JSON of the user's name; comes only with POST.
    pub user: String,
}

/// The page that the popup ends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing {
    Success,
    Failure,
}

impl Returned {
    /// Reads the parameters, however they came.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| get(name).unwrap_or_default();
        Self { state: text("state"), code: text("code"), error: text("error"), user: text("user") }
    }

    /// What the waiting client is told.
    fn signal(&self) -> Json {
        let mut signal = json!({"state": self.state, "code": self.code});
        if !self.error.is_empty() {
            signal["error"] = self.error.as_str().into();
        }
        signal
    }
}

impl Auth {
    /// `GET|POST /api/oauth2-redirect` (§3.11). `waiting` tells the realtime client of this state, which is subscribed to
    /// `@oauth2` and came from the same address; `None` when there is none.
    pub fn returned(&self, returned: &Returned, waiting: Option<impl FnOnce(Json)>) -> Landing {
        let Some(tell) = waiting else { return Landing::Failure };
        let granted = !returned.code.is_empty() && returned.error.is_empty();
        if granted && !returned.user.is_empty() {
            // Before the client hears of the code.
            self.outside.names.keep(&returned.code, &returned.user, self.now());
        }
        tell(returned.signal());
        if granted { Landing::Success } else { Landing::Failure }
    }
}
