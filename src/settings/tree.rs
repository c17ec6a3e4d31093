//! The tree of settings (`docs/wire/services.md` §4.1), in the wire's key order.
//!
//! `Default` of every struct is its *zero* value, what `null` in a patch means; [`Settings::fresh`] is what a new
//! directory starts with.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use crate::outgoing::bucket;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// IP addresses and CIDR ranges that superusers may come from; empty admits all.
    #[serde(rename = "superuserIPs", deserialize_with = "nullable_elements")]
    pub superuser_ips: Vec<String>,
    pub smtp: Smtp,
    pub backups: Backups,
    pub s3: S3,
    pub meta: Meta,
    pub rate_limits: RateLimits,
    pub trusted_proxy: TrustedProxy,
    pub batch: Batch,
    pub logs: Logs,
    pub notify: Notify,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Smtp {
    pub enabled: bool,
    pub port: i64,
    pub host: String,
    pub username: String,
    /// Never leaves through the API.
    pub password: String,
    /// `""`, `PLAIN` or `LOGIN`.
    pub auth_method: String,
    /// False: STARTTLS if the server offers it.
    pub tls: bool,
    pub local_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Backups {
    /// Blank: no automatic backups.
    pub cron: String,
    pub cron_max_keep: i64,
    pub s3: S3,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct S3 {
    pub enabled: bool,
    pub bucket: String,
    pub region: String,
    pub endpoint: String,
    pub access_key: String,
    /// Never leaves through the API.
    pub secret: String,
    pub force_path_style: bool,
}

impl S3 {
    /// What it takes to reach the bucket, switched on or not.
    pub fn params(&self) -> bucket::Params {
        bucket::Params {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            bucket: self.bucket.clone(),
            access_key: self.access_key.clone(),
            secret: self.secret.clone(),
            path_style: self.force_path_style,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub accent_color: String,
    pub app_name: String,
    #[serde(rename = "appURL")]
    pub app_url: String,
    pub sender_name: String,
    pub sender_address: String,
    pub hide_controls: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimits {
    #[serde(deserialize_with = "nullable_elements")]
    pub rules: Vec<RateLimitRule>,
    #[serde(rename = "excludedIPs", deserialize_with = "nullable_elements")]
    pub excluded_ips: Vec<String>,
    pub enabled: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimitRule {
    pub label: String,
    /// `""`, `@guest` or `@auth`.
    pub audience: String,
    /// Seconds.
    pub duration: i64,
    pub max_requests: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrustedProxy {
    /// Headers that name the real client, most trusted first.
    #[serde(deserialize_with = "nullable_elements")]
    pub headers: Vec<String>,
    #[serde(rename = "useLeftmostIP")]
    pub use_leftmost_ip: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Batch {
    pub enabled: bool,
    pub max_requests: i64,
    /// Seconds.
    pub timeout: i64,
    /// Bytes; 0 is the built-in limit.
    pub max_body_size: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Logs {
    /// 0 caps nothing.
    pub max_data_size: i64,
    /// 0 keeps no log.
    pub max_days: i64,
    pub min_level: i64,
    #[serde(rename = "logIP")]
    pub log_ip: bool,
    pub log_auth_id: bool,
}

impl Settings {
    /// The defaults of a new directory.
    pub fn fresh() -> Self {
        let rule = |label: &str, max_requests, duration| RateLimitRule {
            label: label.to_owned(),
            audience: String::new(),
            duration,
            max_requests,
        };
        Self {
            superuser_ips: Vec::new(),
            smtp: Smtp { port: 587, host: "smtp.example.com".to_owned(), ..Smtp::default() },
            backups: Backups { cron_max_keep: 3, ..Backups::default() },
            s3: S3::default(),
            meta: Meta {
                accent_color: "#1055c9".to_owned(),
                app_name: "Acme".to_owned(),
                app_url: "http://localhost:8090".to_owned(),
                sender_name: "Support".to_owned(),
                sender_address: "support@example.com".to_owned(),
                hide_controls: false,
            },
            rate_limits: RateLimits {
                rules: vec![
                    rule("*:auth", 2, 3),
                    rule("*:create", 20, 5),
                    rule("/api/batch", 3, 1),
                    rule("/api/", 300, 10),
                ],
                ..RateLimits::default()
            },
            trusted_proxy: TrustedProxy::default(),
            batch: Batch { max_requests: 50, timeout: 3, ..Batch::default() },
            logs: Logs { max_days: 5, log_ip: true, ..Logs::default() },
            notify: Notify { default_zone: "UTC".to_owned(), retention_days: 30, ..Notify::default() },
        }
    }

    /// The tree as it is stored, secrets included.
    pub fn to_stored(&self) -> Json {
        serde_json::to_value(self).expect("strings, numbers and booleans always serialise")
    }

    /// The tree as the API shows it: secrets are absent, not masked (§4.2).
    pub fn redacted(&self) -> Json {
        let mut tree = self.to_stored();
        for (holder, secret) in [
            ("/smtp", "password"),
            ("/s3", "secret"),
            ("/backups/s3", "secret"),
            ("/notify/webPush", "privateKey"),
            ("/notify/fcm", "serviceAccount"),
        ] {
            if let Some(Json::Object(holder)) = tree.pointer_mut(holder) {
                holder.shift_remove(secret);
            }
        }
        tree
    }
}

/// Notifications; not of the wire (`docs/notifications.md`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Notify {
    /// IANA name of the zone of whoever has not named one.
    pub default_zone: String,
    /// Endpoints, webhooks and base URLs may be on this machine and in private networks.
    pub allow_private: bool,
    /// Days for which what has ended is kept; at least 1.
    pub retention_days: i64,
    pub web_push: WebPush,
    pub fcm: Fcm,
    pub rates: Rates,
}

/// Who we are towards push services (RFC 8292).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebPush {
    /// `mailto:` or `https:`; blank: the sender of mails.
    pub subject: String,
    /// base64url of an uncompressed point of P-256. Both keys are made when they are first needed.
    pub public_key: String,
    /// base64url of 32 bytes. Never leaves through the API.
    pub private_key: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Fcm {
    /// The JSON file of a service account. Never leaves through the API.
    pub service_account: String,
    /// Blank: Google's.
    #[serde(rename = "baseURL")]
    pub base_url: String,
    /// Blank: Google's.
    #[serde(rename = "tokenURL")]
    pub token_url: String,
}

/// The most deliveries a second by channel; 0 is no limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rates {
    pub email: i64,
    pub push: i64,
    pub webhook: i64,
}

/// A list in which `null` is the zero element.
fn nullable_elements<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let elements = Vec::<Option<T>>::deserialize(deserializer)?;
    Ok(elements.into_iter().map(Option::unwrap_or_default).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_stored_but_never_shown() {
        let mut settings = Settings::fresh();
        settings.smtp.password = "hush1".to_owned();
        settings.s3.secret = "hush2".to_owned();
        settings.backups.s3.secret = "hush3".to_owned();
        settings.notify.web_push.private_key = "hush4".to_owned();
        settings.notify.fcm.service_account = "hush5".to_owned();
        assert_eq!(settings.to_stored().to_string().matches("hush").count(), 5);
        let shown = settings.redacted();
        assert!(!shown.to_string().contains("hush"));
        assert_eq!(shown.pointer("/smtp/password"), None);
        assert_eq!(shown.pointer("/smtp/host"), Some(&Json::from("smtp.example.com")));
    }

    #[test]
    fn the_stored_form_comes_back() {
        let settings = Settings::fresh();
        assert_eq!(serde_json::from_value::<Settings>(settings.to_stored()).unwrap(), settings);
    }
}
