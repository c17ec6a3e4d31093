//! What settings have to fulfil, and the codes of what they do not (`docs/wire/services.md` §4.1).

use std::collections::HashSet;

use serde_json::Value as Json;

use super::{
    cron, format, network,
    tree::{Backups, Batch, Logs, Meta, Notify, RateLimitRule, RateLimits, S3, Settings, Smtp, TrustedProxy},
};
use crate::{
    address,
    error::{Issues, Leaf, Result},
};

/// Checks a whole tree.
pub fn check(next: &Settings) -> Result<()> {
    let mut issues = Issues::default();
    issues.nest("superuserIPs", networks(&next.superuser_ips));
    issues.nest("trustedProxy", trusted_proxy(&next.trusted_proxy));
    issues.nest("meta", meta(&next.meta));
    issues.nest("logs", logs(&next.logs));
    issues.nest("smtp", smtp(&next.smtp));
    issues.nest("s3", s3(&next.s3));
    issues.nest("backups", backups(&next.backups));
    issues.nest("batch", batch(&next.batch));
    issues.nest("rateLimits", rate_limits(&next.rate_limits));
    issues.nest("notify", notify(&next.notify));
    issues.into_result("The settings cannot be saved.")
}

/// Collects the first failed check of each field.
#[derive(Default)]
struct Checks(Issues);

impl Checks {
    fn field(&mut self, name: &str, checks: impl IntoIterator<Item = Option<Leaf>>) -> &mut Self {
        if let Some(leaf) = checks.into_iter().flatten().next() {
            self.0.insert(name, leaf);
        }
        self
    }
}

fn required(blank: bool) -> Option<Leaf> {
    blank.then(Leaf::required)
}

fn at_least(threshold: i64, value: i64) -> Option<Leaf> {
    (value < threshold).then(|| {
        Leaf::new("validation_min_greater_equal_than_required", format!("Has to be at least {threshold}."))
            .param("threshold", threshold)
    })
}

fn length(text: &str, max: usize) -> Option<Leaf> {
    (text.len() > max).then(|| {
        Leaf::new("validation_length_out_of_range", format!("Has to have 1 to {max} characters."))
            .param("min", 1)
            .param("max", max)
    })
}

fn one_of(text: &str, choices: &[&str]) -> Option<Leaf> {
    (!choices.contains(&text)).then(|| Leaf::new("validation_in_invalid", "Is not one of the possible values."))
}

/// Blank texts pass: whether they may be blank is another check.
fn formatted(text: &str, fits: fn(&str) -> bool, code: &'static str, message: &'static str) -> Option<Leaf> {
    (!text.is_empty() && !fits(text)).then(|| Leaf::new(code, message))
}

fn url(text: &str) -> Option<Leaf> {
    formatted(text, address::is_url, "validation_is_url", "Has to be a web address.")
}

fn host(text: &str) -> Option<Leaf> {
    formatted(text, address::is_host, "validation_is_host", "Has to be an IP address or a host name.")
}

fn networks(list: &[String]) -> Issues {
    let mut checks = Checks::default();
    for (index, text) in list.iter().enumerate() {
        // The misspelt code is the wire's.
        let network = formatted(
            text,
            network::is_network,
            "validation_invlaid_ip_or_subnet",
            "Has to be an IP address or a CIDR range.",
        );
        checks.field(&index.to_string(), [required(text.is_empty()), network]);
    }
    checks.0
}

/// What can be no name of a header would never be found, and every client would have the proxy's address.
fn trusted_proxy(proxy: &TrustedProxy) -> Issues {
    let mut headers = Checks::default();
    for (index, name) in proxy.headers.iter().enumerate() {
        let token = formatted(
            name,
            format::is_header_name,
            "validation_match_invalid",
            "Has to be the name of a header, such as X-Forwarded-For.",
        );
        headers.field(&index.to_string(), [token]);
    }
    let mut issues = Issues::default();
    issues.nest("headers", headers.0);
    issues
}

fn meta(meta: &Meta) -> Issues {
    let color_length = (!meta.accent_color.is_empty() && meta.accent_color.len() != 7).then(|| {
        Leaf::new("validation_length_invalid", "Has to have exactly 7 characters.").param("min", 7).param("max", 7)
    });
    let color = formatted(
        &meta.accent_color,
        format::is_hex_color,
        "validation_is_hex_color",
        "Has to be a colour like #1055c9.",
    );
    let address =
        formatted(&meta.sender_address, address::is_email, "validation_is_email", "Has to be an e-mail address.");
    let mut checks = Checks::default();
    checks
        .field("accentColor", [color_length, color])
        .field("appName", [required(meta.app_name.is_empty()), length(&meta.app_name, 255)])
        .field("appURL", [required(meta.app_url.is_empty()), url(&meta.app_url)])
        .field("senderName", [required(meta.sender_name.is_empty()), length(&meta.sender_name, 255)])
        .field("senderAddress", [required(meta.sender_address.is_empty()), address]);
    checks.0
}

fn logs(logs: &Logs) -> Issues {
    let mut checks = Checks::default();
    checks.field("maxDays", [at_least(0, logs.max_days)]).field("maxDataSize", [at_least(0, logs.max_data_size)]);
    checks.0
}

fn smtp(smtp: &Smtp) -> Issues {
    let mut checks = Checks::default();
    checks
        .field("host", [required(smtp.enabled && smtp.host.is_empty()), host(&smtp.host)])
        .field("port", [required(smtp.enabled && smtp.port == 0), at_least(0, smtp.port)])
        .field("authMethod", [one_of(&smtp.auth_method, &["", "PLAIN", "LOGIN"])])
        .field("localName", [host(&smtp.local_name)]);
    checks.0
}

fn s3(s3: &S3) -> Issues {
    let mut checks = Checks::default();
    for (name, value) in
        [("bucket", &s3.bucket), ("region", &s3.region), ("accessKey", &s3.access_key), ("secret", &s3.secret)]
    {
        checks.field(name, [required(s3.enabled && value.is_empty())]);
    }
    checks.field("endpoint", [required(s3.enabled && s3.endpoint.is_empty()), url(&s3.endpoint)]);
    checks.0
}

fn backups(backups: &Backups) -> Issues {
    let scheduled = !backups.cron.is_empty();
    let schedule = formatted(
        &backups.cron,
        cron::is_schedule,
        "validation_invalid_cron",
        "Has to be a macro like @daily or exactly five segments with single spaces between them.",
    );
    let keep = (backups.cron_max_keep != 0).then(|| at_least(1, backups.cron_max_keep)).flatten();
    let mut checks = Checks::default();
    checks.field("cron", [schedule]).field("cronMaxKeep", [required(scheduled && backups.cron_max_keep == 0), keep]);
    checks.0.nest("s3", s3(&backups.s3));
    checks.0
}

fn notify(notify: &Notify) -> Issues {
    let zone = formatted(
        &notify.default_zone,
        is_zone,
        "validation_unknown_zone",
        "Has to be a time zone like Europe/Berlin.",
    );
    let mut checks = Checks::default();
    checks
        .field("defaultZone", [required(notify.default_zone.is_empty()), zone])
        .field("retentionDays", [required(notify.retention_days == 0), at_least(1, notify.retention_days)]);
    let mut all = checks.0;

    let (push, mut checks) = (&notify.web_push, Checks::default());
    let is_subject = |text: &str| match text.split_once(':') {
        Some(("mailto", address)) => address::is_email(address),
        _ => text.starts_with("https://") && address::is_url(text),
    };
    let key = |text: &str, fits: fn(&str) -> bool| formatted(text, fits, "validation_invalid_key", "Is no such key.");
    // One without the other would be taken for none, and replaced: everybody's subscription would be void.
    let half = |own: &str, other: &str| required(own.is_empty() && !other.is_empty());
    checks
        .field(
            "subject",
            [formatted(&push.subject, is_subject, "validation_is_url", "Has to begin with mailto: or https://.")],
        )
        .field(
            "publicKey",
            [half(&push.public_key, &push.private_key), key(&push.public_key, |text| is_base64url(text, 87))],
        )
        .field(
            "privateKey",
            [half(&push.private_key, &push.public_key), key(&push.private_key, |text| is_base64url(text, 43))],
        );
    all.nest("webPush", checks.0);

    let (fcm, mut checks) = (&notify.fcm, Checks::default());
    let account = formatted(
        &fcm.service_account,
        is_service_account,
        "validation_invalid_json",
        "Has to be the JSON of a service account's key, with project_id, client_email and private_key.",
    );
    checks
        .field("serviceAccount", [account])
        .field("baseURL", [web(&fcm.base_url)])
        .field("tokenURL", [web(&fcm.token_url)]);
    all.nest("fcm", checks.0);

    let (rates, mut checks) = (&notify.rates, Checks::default());
    for (name, rate) in [("email", rates.email), ("push", rates.push), ("webhook", rates.webhook)] {
        checks.field(name, [at_least(0, rate)]);
    }
    all.nest("rates", checks.0);
    all
}

/// What stands for "nobody knows", and an offset without a place, are no zones.
fn is_zone(name: &str) -> bool {
    let place = |zone: jiff::tz::TimeZone| !zone.is_unknown() && zone.iana_name().is_some();
    name.len() <= 64 && jiff::tz::TimeZone::get(name).is_ok_and(place)
}

fn is_service_account(text: &str) -> bool {
    let Some(Json::Object(account)) = (text.len() <= 16 << 10).then(|| serde_json::from_str(text).ok()).flatten()
    else {
        return false;
    };
    let said = |key: &str| account.get(key).and_then(Json::as_str).filter(|value| !value.is_empty());
    let has_all = ["project_id", "client_email", "private_key"].into_iter().all(|key| said(key).is_some());
    has_all && said("token_uri").is_none_or(is_web)
}

fn is_web(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://")) && address::is_url(text)
}

/// A whole URL, not only a host.
fn web(text: &str) -> Option<Leaf> {
    formatted(text, is_web, "validation_is_url", "Has to be a web address with http:// or https://.")
}

fn is_base64url(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn batch(batch: &Batch) -> Issues {
    let mut checks = Checks::default();
    checks
        .field("maxRequests", [required(batch.enabled && batch.max_requests == 0), at_least(0, batch.max_requests)])
        .field("timeout", [required(batch.enabled && batch.timeout == 0), at_least(0, batch.timeout)])
        .field("maxBodySize", [at_least(0, batch.max_body_size)]);
    checks.0
}

fn rate_limits(limits: &RateLimits) -> Issues {
    let mut issues = Issues::default();
    if limits.enabled && limits.rules.is_empty() {
        issues.insert("rules", Leaf::required());
    }
    let mut rules = Issues::default();
    for (index, rule) in limits.rules.iter().enumerate() {
        rules.nest(&index.to_string(), rate_limit_rule(rule));
    }
    if rules.is_empty() {
        rules = conflicts(&limits.rules);
    }
    issues.nest("rules", rules);
    issues.nest("excludedIPs", networks(&limits.excluded_ips));
    issues
}

fn rate_limit_rule(rule: &RateLimitRule) -> Issues {
    let label = formatted(
        &rule.label,
        format::is_rate_limit_label,
        "validation_match_invalid",
        "Has to be a path, a method and a path, or collection:action.",
    );
    let number = |value: i64| [required(value == 0), at_least(1, value)];
    let mut checks = Checks::default();
    checks
        .field("label", [required(rule.label.is_empty()), label])
        .field("audience", [one_of(&rule.audience, &["", "@guest", "@auth"])])
        .field("maxRequests", number(rule.max_requests))
        .field("duration", number(rule.duration));
    checks.0
}

/// Two rules conflict when they have one label and a common audience. Only the first that conflicts with an earlier one
/// is told.
fn conflicts(rules: &[RateLimitRule]) -> Issues {
    let mut seen: HashSet<(&str, &str)> = HashSet::new();
    let mut issues = Issues::default();
    for (index, rule) in rules.iter().enumerate() {
        let label = rule.label.as_str();
        let clashing: &[&str] = match rule.audience.as_str() {
            "" => &["", "@guest", "@auth"],
            "@guest" => &["", "@guest"],
            _ => &["", "@auth"],
        };
        if clashing.iter().any(|audience| seen.contains(&(label, *audience))) {
            let leaf =
                Leaf::new("validation_conflicting_rate_limit_rule", format!("Another rule is about {label} already."));
            issues.nest(&index.to_string(), {
                let mut group = Issues::default();
                group.insert("label", leaf.param("label", Json::from(label)));
                group
            });
            break;
        }
        seen.insert((label, rule.audience.as_str()));
    }
    issues
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::merge;

    /// The codes that a patch of the defaults earns, as `path code`.
    fn codes(patch: &str) -> Vec<String> {
        let fresh = Settings::fresh();
        let next = merge::merged(&fresh, serde_json::from_str(patch).unwrap()).unwrap();
        match check(&next) {
            Ok(()) => Vec::new(),
            Err(error) => error.issues.leaves().into_iter().map(|(path, code)| format!("{path} {code}")).collect(),
        }
    }

    #[test]
    fn every_setting_has_its_code() {
        for (patch, expected) in [
            ("{}", vec![]),
            (
                r#"{"meta":null}"#,
                vec![
                    "meta.appName validation_required",
                    "meta.appURL validation_required",
                    "meta.senderAddress validation_required",
                    "meta.senderName validation_required",
                ],
            ),
            (r##"{"meta":{"accentColor":"#12345"}}"##, vec!["meta.accentColor validation_length_invalid"]),
            (r##"{"meta":{"accentColor":"#12345g"}}"##, vec!["meta.accentColor validation_is_hex_color"]),
            (r#"{"meta":{"accentColor":""}}"#, vec![]),
            (r#"{"notify":{"defaultZone":"Europe/Berlin","webPush":{"subject":"mailto:a@b.co"}}}"#, vec![]),
            (
                r#"{"notify":{"webPush":{"subject":"https://a.co/x"},"fcm":{"baseURL":"http://127.0.0.1:80/x"}}}"#,
                vec![],
            ),
            (
                r#"{"notify":null}"#,
                vec!["notify.defaultZone validation_required", "notify.retentionDays validation_required"],
            ),
            (r#"{"notify":{"defaultZone":"Etc/Unknown"}}"#, vec!["notify.defaultZone validation_unknown_zone"]),
            (
                concat!(
                    r#"{"notify":{"fcm":{"serviceAccount":"{\"project_id\":\"p\",\"client_email\":\"a@b.example\",\"private_key\":\"k\","#,
                    r#"\"token_uri\":\"https://oauth2.example/token\"}"}}}"#
                ),
                vec![],
            ),
            (
                r#"{"notify":{"fcm":{"serviceAccount":"{\"client_email\":\"a@b.example\"}"}}}"#,
                vec!["notify.fcm.serviceAccount validation_invalid_json"],
            ),
            (
                r#"{"notify":{"defaultZone":"Mars/X","retentionDays":-1,"rates":{"email":-1}}}"#,
                vec![
                    "notify.defaultZone validation_unknown_zone",
                    "notify.rates.email validation_min_greater_equal_than_required",
                    "notify.retentionDays validation_min_greater_equal_than_required",
                ],
            ),
            (
                r#"{"notify":{"webPush":{"subject":"a@b.co","publicKey":"x","privateKey":"y"}}}"#,
                vec![
                    "notify.webPush.privateKey validation_invalid_key",
                    "notify.webPush.publicKey validation_invalid_key",
                    "notify.webPush.subject validation_is_url",
                ],
            ),
            (
                r#"{"notify":{"fcm":{"serviceAccount":"[]","baseURL":"a.co","tokenURL":"ftp://a.co"}}}"#,
                vec![
                    "notify.fcm.baseURL validation_is_url",
                    "notify.fcm.serviceAccount validation_invalid_json",
                    "notify.fcm.tokenURL validation_is_url",
                ],
            ),
            // Seven bytes, six letters.
            (r##"{"meta":{"accentColor":"#1234é"}}"##, vec!["meta.accentColor validation_is_hex_color"]),
            (r#"{"meta":{"appURL":"HTTP://X.Y"}}"#, vec!["meta.appURL validation_is_url"]),
            (r#"{"meta":{"appURL":"https://example.com:99999"}}"#, vec![]),
            (r#"{"meta":{"appURL":"x"}}"#, vec!["meta.appURL validation_is_url"]),
            (r#"{"meta":{"senderAddress":"a@b"}}"#, vec!["meta.senderAddress validation_is_email"]),
            (
                r#"{"superuserIPs":["","x","1.2.3.4","::1/200"]}"#,
                vec![
                    "superuserIPs.0 validation_required",
                    "superuserIPs.1 validation_invlaid_ip_or_subnet",
                    "superuserIPs.3 validation_invlaid_ip_or_subnet",
                ],
            ),
            (
                r#"{"trustedProxy":{"headers":["X-Forwarded-For","bad header","","a:b"]}}"#,
                vec![
                    "trustedProxy.headers.1 validation_match_invalid",
                    "trustedProxy.headers.3 validation_match_invalid",
                ],
            ),
            (
                r#"{"logs":{"maxDays":-1,"maxDataSize":-2,"minLevel":-4}}"#,
                vec![
                    "logs.maxDataSize validation_min_greater_equal_than_required",
                    "logs.maxDays validation_min_greater_equal_than_required",
                ],
            ),
            (
                r#"{"smtp":{"enabled":true,"host":"","port":0}}"#,
                vec!["smtp.host validation_required", "smtp.port validation_required"],
            ),
            (
                r#"{"smtp":{"host":"ü.de","port":-1,"authMethod":"X","localName":"a b"}}"#,
                vec![
                    "smtp.authMethod validation_in_invalid",
                    "smtp.host validation_is_host",
                    "smtp.localName validation_is_host",
                    "smtp.port validation_min_greater_equal_than_required",
                ],
            ),
            (r#"{"s3":{"endpoint":"x.y"}}"#, vec!["s3.endpoint validation_is_url"]),
            (
                r#"{"backups":{"cron":"* * *","cronMaxKeep":0}}"#,
                vec!["backups.cron validation_invalid_cron", "backups.cronMaxKeep validation_required"],
            ),
            (
                r#"{"backups":{"cronMaxKeep":-1}}"#,
                vec!["backups.cronMaxKeep validation_min_greater_equal_than_required"],
            ),
            (
                r#"{"backups":{"s3":{"enabled":true,"bucket":"b","region":"r","endpoint":"e.fgh","accessKey":"k"}}}"#,
                vec!["backups.s3.secret validation_required"],
            ),
            (
                r#"{"batch":{"enabled":true,"maxRequests":0,"timeout":-1,"maxBodySize":-1}}"#,
                vec![
                    "batch.maxBodySize validation_min_greater_equal_than_required",
                    "batch.maxRequests validation_required",
                    "batch.timeout validation_min_greater_equal_than_required",
                ],
            ),
            (r#"{"batch":{"enabled":true}}"#, vec![]),
            (r#"{"rateLimits":{"enabled":true,"rules":[]}}"#, vec!["rateLimits.rules validation_required"]),
            (
                r#"{"rateLimits":{"rules":[{}]}}"#,
                vec![
                    "rateLimits.rules.0.duration validation_required",
                    "rateLimits.rules.0.label validation_required",
                    "rateLimits.rules.0.maxRequests validation_required",
                ],
            ),
            (
                r#"{"rateLimits":{"rules":[{"label":"a b c","audience":"x","duration":1,"maxRequests":-1}]}}"#,
                vec![
                    "rateLimits.rules.0.audience validation_in_invalid",
                    "rateLimits.rules.0.label validation_match_invalid",
                    "rateLimits.rules.0.maxRequests validation_min_greater_equal_than_required",
                ],
            ),
            (
                concat!(
                    r#"{"rateLimits":{"rules":[{"label":"/a","duration":1,"maxRequests":1},"#,
                    r#"{"label":"/a","duration":1,"maxRequests":1},{"label":"/a","duration":1,"maxRequests":1}]}}"#
                ),
                vec!["rateLimits.rules.1.label validation_conflicting_rate_limit_rule"],
            ),
            (
                r#"{"rateLimits":{"excludedIPs":["q"]}}"#,
                vec!["rateLimits.excludedIPs.0 validation_invlaid_ip_or_subnet"],
            ),
        ] {
            assert_eq!(codes(patch), expected, "{patch}");
        }
    }

    #[test]
    fn rules_of_one_label_conflict_when_their_audiences_meet() {
        for (first, second, conflict) in [
            (("/a", ""), ("/a", ""), true),
            (("/a", "@guest"), ("/a", ""), true),
            (("/a", ""), ("/a", "@auth"), true),
            (("/a", "@guest"), ("/a", "@auth"), false),
            (("/a", ""), ("/ab", ""), false),
        ] {
            let rule = |(label, audience): (&str, &str)| RateLimitRule {
                label: label.to_owned(),
                audience: audience.to_owned(),
                duration: 1,
                max_requests: 1,
            };
            let found = conflicts(&[rule(first), rule(second)]);
            assert_eq!(!found.is_empty(), conflict, "{first:?} {second:?}");
            assert!(found.is_empty() || found.leaves()[0].0 == "1.label");
        }
    }
}
