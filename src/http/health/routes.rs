//! Which sort of request it is: few enough to be counted each by itself.

use actix_web::http::Method;

/// A sort of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Route {
    List,
    View,
    Create,
    Update,
    Delete,
    Batch,
    Auth,
    Files,
    Realtime,
    Collections,
    Settings,
    Logs,
    Backups,
    Jobs,
    Notify,
    Health,
    /// Another one under `/api/`.
    Api,
    /// Pages and files of `public/`, and what is not known.
    Other,
}

impl Route {
    pub const ALL: [Self; 18] = [
        Self::List,
        Self::View,
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Batch,
        Self::Auth,
        Self::Files,
        Self::Realtime,
        Self::Collections,
        Self::Settings,
        Self::Logs,
        Self::Backups,
        Self::Jobs,
        Self::Notify,
        Self::Health,
        Self::Api,
        Self::Other,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::View => "view",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Batch => "batch",
            Self::Auth => "auth",
            Self::Files => "files",
            Self::Realtime => "realtime",
            Self::Collections => "collections",
            Self::Settings => "settings",
            Self::Logs => "logs",
            Self::Backups => "backups",
            Self::Jobs => "jobs",
            Self::Notify => "notify",
            Self::Health => "health",
            Self::Api => "api",
            Self::Other => "other",
        }
    }

    /// Looks at the path as it came: what is only meant by an encoded name counts as another sort.
    pub fn of(method: &Method, path: &str) -> Self {
        let Some(path) = path.strip_prefix("/api/") else {
            return if matches!(path, "/livez" | "/readyz" | "/metrics") { Self::Health } else { Self::Other };
        };
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        match first {
            "collections" => Self::of_collection(method, rest),
            "files" => Self::Files,
            "realtime" => Self::Realtime,
            "batch" => Self::Batch,
            "health" => Self::Health,
            "settings" => Self::Settings,
            "logs" => Self::Logs,
            "backups" => Self::Backups,
            "jobs" | "crons" => Self::Jobs,
            "notify" => Self::Notify,
            "oauth2-redirect" => Self::Auth,
            _ => Self::Api,
        }
    }

    fn of_collection(method: &Method, rest: &str) -> Self {
        let Some((_, action)) = rest.split_once('/') else { return Self::Collections };
        let (action, one) = action.split_once('/').map_or((action, false), |(action, _)| (action, true));
        match (action, method, one) {
            ("records", &Method::POST, _) => Self::Create,
            ("records", &Method::PATCH, _) => Self::Update,
            ("records", &Method::DELETE, _) => Self::Delete,
            ("records", _, true) => Self::View,
            ("records", _, false) => Self::List,
            ("truncate" | "scaffolds" | "oauth2-providers" | "dry-run-view", ..) => Self::Collections,
            _ => Self::Auth,
        }
    }

    /// Whether such a request may add to what is stored: what a disk without room cannot take. Signing in, deleting, and
    /// what an owner does to make room go on.
    pub fn adds(self, method: &Method) -> bool {
        match self {
            Self::Create | Self::Update | Self::Batch => true,
            Self::Collections | Self::Backups | Self::Notify => {
                matches!(*method, Method::POST | Method::PUT | Method::PATCH)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_of_one_sort() {
        for (place, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route as usize, place, "{route:?}");
        }
        for (method, path, route, adds) in [
            (Method::GET, "/api/collections/posts/records", Route::List, false),
            (Method::HEAD, "/api/collections/posts/records/abc", Route::View, false),
            (Method::POST, "/api/collections/posts/records", Route::Create, true),
            (Method::PATCH, "/api/collections/posts/records/abc", Route::Update, true),
            (Method::DELETE, "/api/collections/posts/records/abc", Route::Delete, false),
            (Method::POST, "/api/batch", Route::Batch, true),
            (Method::POST, "/api/collections/users/auth-with-password", Route::Auth, false),
            (Method::POST, "/api/collections/users/impersonate/abc", Route::Auth, false),
            (Method::GET, "/api/collections/meta/scaffolds", Route::Collections, false),
            (Method::GET, "/api/collections", Route::Collections, false),
            (Method::PUT, "/api/collections/import", Route::Collections, true),
            (Method::DELETE, "/api/collections/posts/truncate", Route::Collections, false),
            (Method::POST, "/api/files/token", Route::Files, false),
            (Method::GET, "/api/realtime", Route::Realtime, false),
            (Method::POST, "/api/backups/upload", Route::Backups, true),
            (Method::DELETE, "/api/backups/x.zip", Route::Backups, false),
            (Method::GET, "/api/crons", Route::Jobs, false),
            (Method::POST, "/api/notify/send", Route::Notify, true),
            (Method::PATCH, "/api/settings", Route::Settings, false),
            (Method::POST, "/api/sql", Route::Api, false),
            (Method::GET, "/livez", Route::Health, false),
            (Method::GET, "/api/health", Route::Health, false),
            (Method::GET, "/", Route::Other, false),
            (Method::GET, "/api", Route::Other, false),
        ] {
            let found = Route::of(&method, path);
            assert_eq!((found, found.adds(&method)), (route, adds), "{method} {path}");
        }
    }
}
