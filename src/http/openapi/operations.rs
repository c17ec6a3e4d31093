//! Every route that is always there, with what it takes and answers: the table behind the document. `tests` holds it
//! against the route table itself.

use serde_json::{Map, Value as Json, json};

/// Who may call it at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Everybody,
    /// Whoever has signed in, or a superuser.
    Account,
    Superuser,
}

/// What a successful call answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The name of a schema.
    Json(String),
    /// The same with another status than 200.
    JsonWith(u16, &'static str),
    /// 204
    Nothing,
    /// Another status with nothing to read, and where it leads.
    Redirect(u16),
    /// 200 with bytes of this type.
    Bytes(&'static str),
    /// 404 as a page for people.
    UnknownLink,
}

/// One method of one path.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: &'static str,
    /// With parameters in braces.
    pub path: String,
    pub id: String,
    pub tag: &'static str,
    pub summary: String,
    pub access: Access,
    /// Names of [`query_parameter`].
    pub query: Vec<&'static str>,
    /// The name of a schema.
    pub body: Option<String>,
    /// The body may be a form with files.
    pub is_form: bool,
    /// The body cannot be JSON.
    pub is_no_json: bool,
    pub answers: Vec<Answer>,
    /// Statuses besides those of every call.
    pub statuses: Vec<u16>,
}

impl Operation {
    pub fn new(method: &'static str, path: &str, id: &str, tag: &'static str, summary: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            id: id.to_owned(),
            tag,
            summary: summary.to_owned(),
            access: Access::Everybody,
            query: Vec::new(),
            body: None,
            is_form: false,
            is_no_json: false,
            answers: Vec::new(),
            statuses: Vec::new(),
        }
    }

    pub fn by(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    pub fn query(mut self, names: &[&'static str]) -> Self {
        self.query.extend(names);
        self
    }

    pub fn takes(mut self, schema: &str) -> Self {
        self.body = Some(schema.to_owned());
        self
    }

    pub fn or_form(mut self) -> Self {
        self.is_form = true;
        self
    }

    pub fn only_form(mut self) -> Self {
        (self.is_form, self.is_no_json) = (true, true);
        self
    }

    pub fn gives(mut self, schema: &str) -> Self {
        self.answers.push(Answer::Json(schema.to_owned()));
        self
    }

    pub fn answers(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    pub fn also(mut self, statuses: &[u16]) -> Self {
        self.statuses.extend(statuses);
        self
    }

    /// As an operation object of OpenAPI.
    pub fn to_json(&self) -> Json {
        let mut operation = Map::new();
        operation.insert("operationId".into(), self.id.clone().into());
        operation.insert("summary".into(), self.summary.clone().into());
        operation.insert("tags".into(), json!([self.tag]));
        let in_path = self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        let in_path = in_path.map(
            |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}),
        );
        let parameters: Vec<Json> = in_path.chain(self.query.iter().map(|name| query_parameter(name))).collect();
        if !parameters.is_empty() {
            operation.insert("parameters".into(), parameters.into());
        }
        if let Some(schema) = &self.body {
            let mut content = Map::new();
            if !self.is_no_json {
                content.insert("application/json".into(), json!({"schema": reference(schema)}));
            }
            if self.is_form {
                content.insert("multipart/form-data".into(), json!({"schema": reference(schema)}));
            }
            operation.insert("requestBody".into(), json!({"required": true, "content": content}));
        }
        operation.insert("responses".into(), self.responses());
        let security = match self.access {
            Access::Everybody => json!([{}, {"token": []}]),
            Access::Account | Access::Superuser => json!([{"token": []}]),
        };
        operation.insert("security".into(), security);
        operation.into()
    }

    fn responses(&self) -> Json {
        let mut responses = std::collections::BTreeMap::new();
        for answer in &self.answers {
            let (status, response) = match answer {
                Answer::Json(schema) => (200, with_content("It is done.", "application/json", &reference(schema))),
                Answer::JsonWith(status, schema) => {
                    (*status, with_content("Not so.", "application/json", &reference(schema)))
                }
                Answer::Nothing => (204, json!({"description": "It is done."})),
                Answer::Redirect(status) => (*status, json!({"description": "Somewhere else."})),
                Answer::Bytes(kind) => (200, with_content("What was asked for.", kind, &json!({}))),
                Answer::UnknownLink => (404, with_content("The link is not whole.", "text/html", &json!({}))),
            };
            responses.insert(status.to_string(), response);
        }
        // Any request may be malformed, any server busy.
        let mut statuses = vec![400, 404, 429, 503];
        if self.access != Access::Everybody {
            statuses.extend([401, 403]);
        }
        if self.body.is_some() {
            statuses.push(413);
        }
        if self.method != "get" {
            statuses.push(507);
        }
        statuses.extend(&self.statuses);
        for status in statuses {
            let name = format!("Failed{status}");
            responses
                .entry(status.to_string())
                .or_insert_with(|| json!({"$ref": format!("#/components/responses/{name}")}));
        }
        json!(responses)
    }
}

fn with_content(description: &str, kind: &str, schema: &Json) -> Json {
    let mut content = Map::new();
    content.insert(kind.to_owned(), json!({"schema": schema}));
    json!({"description": description, "content": content})
}

/// A schema of the components.
pub fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The statuses of failures, with what they mean.
pub const FAILURES: &[(u16, &str, &str)] = &[
    (400, "Something in the request is not valid; `data` says what, where that may be told.", "Error"),
    (401, "Nobody is signed in, or another factor is asked for.", "Unauthorized"),
    (403, "The caller may not do this.", "Error"),
    (404, "It is not there, or the caller may not know that it is.", "Error"),
    (413, "The body is too large.", "Error"),
    (416, "The file has no such part.", "Error"),
    (429, "Too many requests; `Retry-After` says how long to wait.", "Error"),
    (503, "The server is busy; `Retry-After` says how long to wait.", "Error"),
    (507, "The disk is full.", "Error"),
];

fn query_parameter(name: &str) -> Json {
    let whole = |least: u32, most: Option<u32>| match most {
        Some(most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        None => json!({"type": "integer", "minimum": least}),
    };
    let text = || json!({"type": "string"});
    let (schema, description) = match name {
        "page" => (whole(1, None), "Which page, from 1 on."),
        "perPage" => (whole(1, Some(1000)), "Items on a page."),
        "filter" => (text(), "A filter, such as `title ~ \"cat\" && created > \"2026-01-01\"`."),
        "sort" => (text(), "Fields by which to sort, comma separated; `-` for descending."),
        "skipTotal" => (json!({"type": "boolean"}), "Does not count all records."),
        "expand" => (text(), "Relations whose records come along, comma separated."),
        "thumb" => (text(), "The size of a thumbnail, such as `100x100`."),
        "token" => (text(), "A file token, for protected files."),
        "download" => (json!({"type": "boolean"}), "To be saved rather than shown."),
        "limit" => (whole(0, Some(500)), "Items at most."),
        "wait" => (whole(0, Some(30)), "Seconds to wait for one that matches."),
        "to" => (text(), "The recipient."),
        "channel" => {
            (json!({"type": "string", "enum": ["email", "webpush", "fcm", "webhook"]}), "The way it would have gone.")
        }
        "template" => (
            json!({"type": "string", "enum": ["verification", "password-reset", "email-change", "otp", "login-alert", "test"]}),
            "The mail's template.",
        ),
        "kind" => (text(), "The kind of job."),
        "user" => (text(), "For a superuser: whose, as `users/ID`."),
        "before" => (whole(0, None), "Only what is older than the one of this id."),
        "after" => (text(), "What the last page gave as `next`."),
        "state" => (text(), "The state it is in."),
        "code" | "error" => (text(), "From the provider."),
        _ => (text(), ""),
    };
    json!({"name": name, "in": "query", "schema": schema, "description": description})
}

/// Everything but what belongs to one collection alone.
pub fn fixed() -> Vec<Operation> {
    [records(), accounts(), files(), collections(), house(), watching(), notify(), testers()].concat()
}

const LIST: &[&str] = &["page", "perPage", "sort", "filter", "skipTotal"];

fn records() -> Vec<Operation> {
    let op = |method, path: &str, id: &str, summary: &str| Operation::new(method, path, id, "records", summary);
    vec![
        op("get", "/api/collections/{collection}/records", "listRecords", "Records that the caller may list")
            .query(LIST)
            .query(&["expand"])
            .gives("AnyRecordPage")
            .also(&[403]),
        op("get", "/api/collections/{collection}/records/{id}", "viewRecord", "One record")
            .query(&["expand"])
            .gives("AnyRecord")
            .also(&[403]),
        op("post", "/api/collections/{collection}/records", "createRecord", "Create a record")
            .query(&["expand"])
            .takes("Object")
            .or_form()
            .gives("AnyRecord")
            .also(&[403]),
        op("patch", "/api/collections/{collection}/records/{id}", "updateRecord", "Change a record")
            .query(&["expand"])
            .takes("Object")
            .or_form()
            .gives("AnyRecord")
            .also(&[403]),
        op(
            "delete",
            "/api/collections/{collection}/records/{id}",
            "deleteRecord",
            "Delete a record with all that follows",
        )
        .answers(Answer::Nothing)
        .also(&[403]),
        op(
            "post",
            "/api/collections/{collection}/records/undelete",
            "undeleteRecords",
            "Bring deleted records back as the change log remembers them",
        )
        .by(Access::Superuser)
        .takes("Undelete")
        .gives("Undeleted"),
        op("post", "/api/batch", "batch", "Several writes that happen together or not at all")
            .takes("Batch")
            .or_form()
            .gives("BatchAnswer")
            .also(&[403]),
        Operation::new("get", "/api/realtime", "connect", "realtime", "A stream of events")
            .answers(Answer::Bytes("text/event-stream")),
        Operation::new("post", "/api/realtime", "subscribe", "realtime", "What a stream listens to, and as whom")
            .takes("Subscriptions")
            .gives("Position")
            .answers(Answer::Nothing)
            .also(&[403]),
    ]
}

fn accounts() -> Vec<Operation> {
    let op = |method, name: &str, id: &str, summary: &str| {
        Operation::new(method, &format!("/api/collections/{{collection}}/{name}"), id, "accounts", summary)
    };
    let login = |name: &str, id: &str, summary: &str, body: &str| {
        op("post", name, id, summary).query(&["expand"]).takes(body).gives("AnyAuthResponse").also(&[401, 403])
    };
    let done = |name: &str, id: &str, summary: &str, body: &str| {
        op("post", name, id, summary).takes(body).answers(Answer::Nothing).also(&[401, 403])
    };
    vec![
        op("get", "auth-methods", "authMethods", "How accounts sign in").gives("AuthMethods"),
        login("auth-with-password", "authWithPassword", "Sign in with a password", "PasswordLogin"),
        login("auth-with-otp", "authWithOtp", "Sign in with a one-time code", "OtpLogin"),
        login("auth-with-oauth2", "authWithOAuth2", "Sign in with another site's account", "OAuth2Login"),
        op("post", "request-otp", "requestOtp", "Mail a one-time code")
            .takes("EmailOnly")
            .gives("OtpRequested")
            .also(&[401, 403]),
        op("post", "auth-refresh", "authRefresh", "A new token for who is signed in")
            .by(Access::Account)
            .query(&["expand"])
            .gives("AnyAuthResponse"),
        done("request-verification", "requestVerification", "Mail a link that verifies the address", "EmailOnly"),
        done("confirm-verification", "confirmVerification", "Verify with the link's token", "TokenOnly"),
        done("request-password-reset", "requestPasswordReset", "Mail a link to a new password", "EmailOnly"),
        done(
            "confirm-password-reset",
            "confirmPasswordReset",
            "Set a new password with the link's token",
            "NewPassword",
        ),
        done("request-email-change", "requestEmailChange", "Mail a link to the new address", "NewEmail"),
        done(
            "confirm-email-change",
            "confirmEmailChange",
            "Change the address with the link's token",
            "ConfirmedEmail",
        ),
        Operation::new(
            "post",
            "/api/collections/{collection}/impersonate/{id}",
            "impersonate",
            "accounts",
            "A token of somebody else's account",
        )
        .by(Access::Superuser)
        .query(&["expand"])
        .takes("Impersonate")
        .gives("AnyAuthResponse"),
        Operation::new(
            "get",
            "/api/oauth2-redirect",
            "oauth2Redirect",
            "accounts",
            "Where providers send browsers back to",
        )
        .query(&["state", "code", "error"])
        .answers(Answer::Redirect(307)),
        Operation::new("post", "/api/oauth2-redirect", "oauth2RedirectForm", "accounts", "The same as a form")
            .answers(Answer::Redirect(303))
            .also(&[413]),
    ]
}

fn files() -> Vec<Operation> {
    vec![
        Operation::new("get", "/api/files/{collection}/{id}/{name}", "downloadFile", "files", "A file of a record")
            .query(&["thumb", "token", "download"])
            .answers(Answer::Bytes("*/*"))
            .also(&[416]),
        Operation::new("post", "/api/files/token", "fileToken", "files", "A short-lived token for protected files")
            .by(Access::Account)
            .gives("Token"),
    ]
}

fn collections() -> Vec<Operation> {
    let op = |method, path: &str, id: &str, summary: &str| {
        let path = format!("/api/collections{path}");
        Operation::new(method, &path, id, "collections", summary).by(Access::Superuser)
    };
    vec![
        op("get", "", "listCollections", "All collections").query(LIST).gives("CollectionPage"),
        op("post", "", "createCollection", "Create a collection").takes("CollectionInput").gives("Collection"),
        op("get", "/{collection}", "viewCollection", "One collection").gives("Collection"),
        op("patch", "/{collection}", "updateCollection", "Change a collection")
            .takes("CollectionInput")
            .gives("Collection"),
        op("delete", "/{collection}", "deleteCollection", "Delete a collection with its records")
            .answers(Answer::Nothing),
        op("delete", "/{collection}/truncate", "truncateCollection", "Delete all records").answers(Answer::Nothing),
        op("put", "/import", "importCollections", "Create and change many")
            .takes("CollectionImport")
            .answers(Answer::Nothing),
        op("get", "/meta/scaffolds", "scaffolds", "Blank collections of each type").gives("Scaffolds"),
        op("get", "/meta/oauth2-providers", "oauth2Providers", "Providers that can be configured")
            .gives("OAuth2Providers"),
        op("post", "/meta/dry-run-view", "dryRunView", "What a view over a query would be")
            .takes("ViewQuery")
            .gives("Object"),
    ]
}

fn house() -> Vec<Operation> {
    let op = |method, path: &str, id: &str, tag, summary: &str| {
        Operation::new(method, path, id, tag, summary).by(Access::Superuser)
    };
    vec![
        Operation::new("get", "/api/health", "health", "house", "Whether the server is well").gives("Health"),
        op("get", "/api/openapi.json", "openapi", "house", "This document").gives("Object"),
        op("get", "/api/overview", "overview", "house", "The server at a glance").gives("Overview"),
        op("post", "/api/rules/check", "checkRule", "house", "What is wrong with a rule or filter, and where")
            .takes("RuleCheck")
            .gives("RuleChecked"),
        op("post", "/api/rules/test", "testRule", "house", "Whether a rule would let somebody do something, and why")
            .takes("RuleTest")
            .gives("RuleTested"),
        op("get", "/api/settings", "settings", "house", "All settings but secrets").gives("Settings"),
        op("get", "/api/settings/origins", "settingsOrigins", "house", "Where settings and options came from")
            .gives("Origins"),
        op("patch", "/api/settings", "updateSettings", "house", "Change some settings")
            .takes("SettingsInput")
            .gives("Settings"),
        op(
            "post",
            "/api/settings/test/s3",
            "testS3",
            "house",
            "Whether files can be kept in the bucket of the settings",
        )
        .takes("TestS3")
        .answers(Answer::Nothing),
        op("post", "/api/settings/test/email", "testEmail", "house", "Send a mail to see whether it works")
            .takes("TestMail")
            .answers(Answer::Nothing),
        op(
            "post",
            "/api/settings/apple/generate-client-secret",
            "appleClientSecret",
            "house",
            "A client secret for Apple",
        )
        .takes("AppleSecretInput")
        .gives("Secret"),
        op("get", "/api/backups", "listBackups", "backups", "Backups that there are").gives("Backups"),
        op("get", "/api/backups/progress", "backupProgress", "backups", "What is being done with backups")
            .gives("BackupProgress"),
        op("post", "/api/backups", "createBackup", "backups", "Make one now")
            .takes("BackupName")
            .answers(Answer::Nothing),
        op("post", "/api/backups/upload", "uploadBackup", "backups", "Bring one from elsewhere")
            .takes("BackupUpload")
            .only_form()
            .answers(Answer::Nothing),
        Operation::new(
            "get",
            "/api/backups/{key}",
            "downloadBackup",
            "backups",
            "Download one, with a superuser's file token",
        )
        .query(&["token"])
        .answers(Answer::Bytes("*/*"))
        .also(&[403, 416]),
        op(
            "post",
            "/api/backups/{key}/restore",
            "restoreBackup",
            "backups",
            "Put one in the place of everything, soon",
        )
        .answers(Answer::Nothing),
        op("delete", "/api/backups/{key}", "deleteBackup", "backups", "Delete one").answers(Answer::Nothing),
        op("get", "/api/logs", "listLogs", "logs", "What was asked and what went wrong").query(LIST).gives("LogPage"),
        op("get", "/api/logs/stats", "logStats", "logs", "How many entries each hour has")
            .query(&["filter"])
            .gives("LogStats"),
        op("get", "/api/logs/{id}", "viewLog", "logs", "One entry").gives("Log"),
        op("delete", "/api/logs", "truncateLogs", "logs", "Delete all entries").answers(Answer::Nothing),
        op("post", "/api/sql", "sql", "house", "Statements of SQL, run as they are").takes("Sql").gives("SqlAnswer"),
        op("get", "/api/crons", "listCrons", "house", "What runs regularly").gives("Crons"),
        op("post", "/api/crons/{id}", "runCron", "house", "Run one now").answers(Answer::Nothing),
        op("get", "/api/jobs", "listJobs", "jobs", "The queue of work, the newest first")
            .query(&["kind", "state", "before", "limit"])
            .gives("Jobs"),
        op("get", "/api/jobs/history", "jobHistory", "jobs", "What became of runs")
            .query(&["kind", "before", "limit"])
            .gives("JobRuns"),
        op("get", "/api/jobs/stats", "jobStats", "jobs", "How many of each kind there are").gives("JobStats"),
        op("post", "/api/jobs/{id}/replay", "replayJob", "jobs", "Try a dead job again").answers(Answer::Nothing),
        op("post", "/api/jobs/{id}/cancel", "cancelJob", "jobs", "Take a job out of the queue")
            .answers(Answer::Nothing),
        op("post", "/api/jobs/{id}/run", "runJob", "jobs", "Run a waiting job now").answers(Answer::Nothing),
        op("get", "/api/mailbox", "listMails", "mailbox", "Mails that were kept instead of sent, the newest first")
            .query(&["to", "channel", "target", "template", "limit", "wait"])
            .gives("Mails"),
        op("get", "/api/mailbox/{id}", "viewMail", "mailbox", "One of them").gives("Mail"),
        op("delete", "/api/mailbox", "clearMailbox", "mailbox", "Forget all of them").answers(Answer::Nothing),
        Operation::new("get", "/_/{file}", "page", "house", "The pages that links in mails lead to")
            .answers(Answer::Bytes("*/*")),
    ]
}

/// What stands before the route table.
fn watching() -> Vec<Operation> {
    let op = |path: &str, id: &str, summary: &str| Operation::new("get", path, id, "watching", summary);
    vec![
        op("/livez", "alive", "Whether the process lives").gives("Alive").answers(Answer::JsonWith(503, "Alive")),
        op("/readyz", "ready", "Whether it can work, and what keeps it from that")
            .gives("Ready")
            .answers(Answer::JsonWith(503, "Ready")),
        op("/metrics", "metrics", "Numbers for Prometheus")
            .answers(Answer::Bytes("application/openmetrics-text"))
            .also(&[401, 403]),
    ]
}

fn notify() -> Vec<Operation> {
    let op = |method, path: &str, id: &str, summary: &str| {
        Operation::new(method, &format!("/api/notify/{path}"), id, "notify", summary)
    };
    let superuser = |method, path: &str, id: &str, summary: &str| op(method, path, id, summary).by(Access::Superuser);
    let account = |method, path: &str, id: &str, summary: &str| {
        op(method, path, id, summary).by(Access::Account).query(&["user"])
    };
    vec![
        op("get", "vapid-key", "vapidKey", "What browsers subscribe with").gives("VapidKey"),
        op("post", "devices", "registerDevice", "Register a device")
            .by(Access::Account)
            .takes("Object")
            .gives("AnyRecord"),
        op("post", "devices/{id}/test", "testDevice", "Send a push to see whether it arrives")
            .by(Access::Account)
            .gives("Object"),
        superuser("post", "send", "notify", "Tell somebody something").takes("Object").gives("Sent"),
        superuser("post", "explain", "explain", "Who would be told what, when, and why not")
            .query(&["limit", "after"])
            .takes("Object")
            .gives("Explained"),
        superuser("get", "notifications/{id}", "timeline", "What became of a notification")
            .query(&["limit", "after", "state", "user"])
            .gives("Timeline"),
        superuser("post", "cancel", "cancelNotifications", "Call back what has not gone out")
            .takes("Object")
            .gives("Cancelled"),
        op("get", "unsubscribe/{token}", "unsubscribePage", "The page of a mail's unsubscribe link")
            .answers(Answer::Bytes("text/html"))
            .answers(Answer::UnknownLink),
        op("post", "unsubscribe/{token}", "unsubscribe", "Stops mails of that kind")
            .answers(Answer::Bytes("text/html"))
            .answers(Answer::UnknownLink)
            .also(&[413]),
        op("get", "open/{token}", "openedPixel", "A picture of one pixel").answers(Answer::Bytes("image/gif")),
        op("get", "click/{token}", "followLink", "On to where a link leads")
            .answers(Answer::Redirect(302))
            .answers(Answer::UnknownLink),
        op("post", "receipts/{token}", "receive", "What a device tells of a push")
            .takes("Receipt")
            .answers(Answer::Nothing),
        account("get", "preferences", "preferences", "What somebody wants to be told").gives("Object"),
        account("patch", "preferences", "updatePreferences", "Change that").takes("Object").gives("Object"),
        superuser("get", "stats", "notifyStats", "Deliveries by state and channel").gives("NotifyStats"),
        superuser("post", "deliveries/{id}/retry", "retryDelivery", "Send a failed delivery again")
            .answers(Answer::Nothing),
        superuser("post", "preview", "previewNotification", "What it would look like").takes("Object").gives("Object"),
        superuser("post", "test", "testNotification", "Send a sample").takes("Object").gives("Object"),
        superuser("post", "schedules/{id}/run", "runSchedule", "Send now what recurs").gives("ScheduleRun"),
        account("get", "inbox/unread", "unread", "How many items are unread").gives("UnreadCount"),
        account("post", "inbox/read", "readItems", "Mark items read").takes("Object").gives("InboxChange"),
        account("post", "inbox/archive", "archiveItems", "Put items away").takes("Object").gives("InboxChange"),
        account("post", "inbox/snooze", "snoozeItems", "Put items off").takes("Object").gives("InboxChange"),
    ]
}

/// Of temporary servers; 404 elsewhere.
fn testers() -> Vec<Operation> {
    let op = |method, path: &str, id: &str, summary: &str| {
        Operation::new(method, &format!("/api/test/{path}"), id, "testers", summary).by(Access::Superuser)
    };
    vec![
        op("get", "clock", "clock", "What the clock shows").gives("Clock"),
        op("post", "clock", "steerClock", "Set the clock, hold it, let it go").takes("ClockOrder").gives("Clock"),
        op("post", "run-due", "runDue", "Wait until nothing is due any more").takes("RunDue").gives("RunDueDone"),
        op("post", "snapshot", "takeSnapshot", "Remember all that there is").gives("SnapshotId"),
        op("post", "restore", "restoreSnapshot", "Go back to a snapshot").takes("SnapshotId").answers(Answer::Nothing),
        op("post", "reset", "reset", "Go back to the beginning").answers(Answer::Nothing),
        op("delete", "snapshot/{id}", "forgetSnapshot", "Forget a snapshot").answers(Answer::Nothing),
    ]
}
