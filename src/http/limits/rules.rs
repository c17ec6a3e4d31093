//! The rules of the settings in a form in which the one for a request is found at once: by the parts of its labels, so
//! that no label has to be put together.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Duration,
};

use super::Action;
use crate::{
    identity::Caller,
    settings::{RateLimitRule, RateLimits, network::Networks},
    windows::Limit,
};

/// Stands for every collection.
const EVERY: &str = "*";

/// What the limiter has to know of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Guest,
    Auth,
}

impl Audience {
    /// None for superusers, who are not limited.
    pub fn of(caller: &Caller) -> Option<Self> {
        match caller {
            Caller::Superuser(_) => None,
            Caller::Record(_) => Some(Self::Auth),
            Caller::Guest => Some(Self::Guest),
        }
    }
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    pub limit: Limit,
    /// The hash of label and audience: rules that agree in both count together.
    pub id: u64,
    /// Tells the audiences of the wire apart.
    pub audience: u8,
}

/// The rules that are in force, in the order of the settings.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// `collection:tag` by tag, then by the collection's name or [`EVERY`].
    tags: HashMap<String, HashMap<String, Choice>>,
    /// `/path` and `METHOD /path`.
    exact: HashMap<String, Paths>,
    /// The same with a slash at the end, under the path without it: all that is below, and it itself.
    prefixes: HashMap<String, Paths>,
    /// The slashes of the longest of them: longer paths have no other beginnings of interest.
    deepest: usize,
    excluded: Networks,
}

/// The first rule for guests, and for those who are signed in: indices into the list.
#[derive(Debug, Clone, Copy, Default)]
struct Choice {
    guest: Option<usize>,
    auth: Option<usize>,
}

impl Choice {
    fn add(&mut self, index: usize, audience: &str) {
        if audience != "@auth" {
            self.guest.get_or_insert(index);
        }
        if audience != "@guest" {
            self.auth.get_or_insert(index);
        }
    }

    fn of(self, audience: Audience) -> Option<usize> {
        match audience {
            Audience::Guest => self.guest,
            Audience::Auth => self.auth,
        }
    }
}

/// What limits one path.
#[derive(Debug, Default)]
struct Paths {
    any: Choice,
    methods: Vec<(String, Choice)>,
}

impl Paths {
    fn of(&self, method: Option<&str>, audience: Audience) -> Option<usize> {
        match method {
            None => self.any.of(audience),
            Some(method) => self.methods.iter().find(|(known, _)| known == method)?.1.of(audience),
        }
    }

    fn of_mut(&mut self, method: Option<&str>) -> &mut Choice {
        let Some(method) = method else { return &mut self.any };
        let known = self.methods.iter().position(|(known, _)| known == method);
        let index = known.unwrap_or_else(|| {
            self.methods.push((method.to_owned(), Choice::default()));
            self.methods.len() - 1
        });
        &mut self.methods[index].1
    }
}

impl Rules {
    /// None while rate limits are switched off, or limit nothing.
    pub fn compile(settings: &RateLimits) -> Option<Self> {
        if !settings.enabled || settings.rules.is_empty() {
            return None;
        }
        let mut rules = Self {
            rules: Vec::with_capacity(settings.rules.len()),
            tags: HashMap::new(),
            exact: HashMap::new(),
            prefixes: HashMap::new(),
            deepest: 0,
            excluded: Networks::new(&settings.excluded_ips),
        };
        let hasher = RandomState::new();
        for (index, rule) in settings.rules.iter().enumerate() {
            rules.add(index, rule);
            rules.rules.push(Rule {
                limit: Limit {
                    most: u32::try_from(rule.max_requests).unwrap_or(u32::MAX),
                    span: Duration::from_secs(u64::try_from(rule.duration).unwrap_or_default()),
                },
                id: hasher.hash_one((&rule.label, &rule.audience)),
                audience: match rule.audience.as_str() {
                    "@guest" => 1,
                    "@auth" => 2,
                    _ => 0,
                },
            });
        }
        Some(rules)
    }

    fn add(&mut self, index: usize, rule: &RateLimitRule) {
        let (method, path) = match rule.label.split_once(' ') {
            Some((method, path)) => (Some(method), path),
            None => (None, rule.label.as_str()),
        };
        if !path.starts_with('/') {
            // A tag alone is for code that extends the server, and there is none.
            if let Some((collection, tag)) = path.split_once(':') {
                let collections = self.tags.entry(tag.to_owned()).or_default();
                collections.entry(collection.to_owned()).or_default().add(index, &rule.audience);
            }
            return;
        }
        self.exact.entry(path.to_owned()).or_default().of_mut(method).add(index, &rule.audience);
        if let Some(below) = path.strip_suffix('/') {
            self.deepest = self.deepest.max(below.bytes().filter(|&byte| byte == b'/').count());
            self.prefixes.entry(below.to_owned()).or_default().of_mut(method).add(index, &rule.audience);
        }
    }

    /// The rule for an ordinary route.
    pub fn of_path(&self, method: &str, path: &str, audience: Audience) -> Option<&Rule> {
        let index = self.find(Some(method), path, audience).or_else(|| self.find(None, path, audience))?;
        self.rules.get(index)
    }

    /// The rule for an action on a collection of this name.
    pub fn of_action(
        &self,
        collection: &str,
        action: Action,
        method: &str,
        path: &str,
        audience: Audience,
    ) -> Option<&Rule> {
        let tagged = |of: &str| action.tags().iter().find_map(|tag| self.tags.get(*tag)?.get(of)?.of(audience));
        match tagged(collection).or_else(|| tagged(EVERY)) {
            Some(index) => self.rules.get(index),
            None => self.of_path(method, path, audience),
        }
    }

    /// Exactly this path, else the first rule of the list that it is below of.
    fn find(&self, method: Option<&str>, path: &str, audience: Audience) -> Option<usize> {
        if let Some(index) = self.exact.get(path).and_then(|paths| paths.of(method, audience)) {
            return Some(index);
        }
        let slashes = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
        let beginnings = slashes.chain([path.len()]).take(self.deepest + 1);
        beginnings.filter_map(|end| self.prefixes.get(&path[..end])?.of(method, audience)).min()
    }

    /// Whether this client is not limited.
    pub fn excludes(&self, client: IpAddr) -> bool {
        self.excluded.contain(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules of one line each: label, then the audience if there is one.
    fn rules(lines: &[&str]) -> Rules {
        let rule = |(index, line): (usize, &&str)| {
            let (label, audience) =
                line.split_once(" @").map_or((*line, String::new()), |(label, who)| (label, format!("@{who}")));
            RateLimitRule { label: label.to_owned(), audience, duration: 5, max_requests: index as i64 + 1 }
        };
        let rules = lines.iter().enumerate().map(rule).collect();
        Rules::compile(&RateLimits { enabled: true, rules, excluded_ips: vec!["10.0.0.0/8".into()] }).unwrap()
    }

    fn number(found: Option<&Rule>) -> usize {
        found.map_or(0, |rule| rule.limit.most as usize)
    }

    #[test]
    fn the_rule_of_a_path_is_the_wires() {
        use Audience::{Auth, Guest};
        let list = [
            "/api/",            // 1
            "/api/health",      // 2
            "POST /api/",       // 3
            "/api/a/",          // 4
            "GET /api/x @auth", // 5
            "/api/x @guest",    // 6
            "/only/",           // 7
            "/only/deep/er/",   // 8
            "/exact",           // 9
            "tag",              // 10
        ];
        let rules = rules(&list);
        for (method, path, audience, expected) in [
            ("GET", "/api/health", Guest, 2),
            ("GET", "/api/health/", Guest, 1),
            ("GET", "/api/healthy", Guest, 1),
            ("GET", "/api", Guest, 1),
            ("GET", "/ap", Guest, 0),
            ("GET", "/apix", Guest, 0),
            ("POST", "/api/health", Guest, 3),
            ("POST", "/api/a/b", Guest, 3),
            // The list's order counts, not the length.
            ("GET", "/api/a/b", Guest, 1),
            ("GET", "/api/x", Auth, 5),
            ("HEAD", "/api/x", Auth, 1),
            ("GET", "/api/x", Guest, 6),
            ("GET", "/only/deep/er/x", Guest, 7),
            ("GET", "/exact", Guest, 9),
            ("GET", "/exact/", Guest, 0),
            ("GET", "/exact/x", Guest, 0),
            ("GET", "/tag", Guest, 0),
            ("GET", "/", Guest, 0),
            ("GET", "", Guest, 0),
        ] {
            assert_eq!(number(rules.of_path(method, path, audience)), expected, "{method} {path} {audience:?}");
        }
        assert_eq!(number(super::Rules::compile(&RateLimits::default()).as_ref().and(None)), 0);
    }

    #[test]
    fn a_slash_covers_everything_and_long_paths_cost_no_more() {
        let rules = rules(&["/"]);
        for path in ["/", "/a", "/a/b/", &"/a".repeat(10_000)] {
            assert_eq!(number(rules.of_path("GET", path, Audience::Guest)), 1, "{}", path.len());
        }
    }

    #[test]
    fn the_rule_of_an_action_is_the_wires() {
        use Audience::{Auth, Guest};
        let (list, password) = (Action::List, Action::AuthWithPassword);
        for (lines, action, audience, expected) in [
            (vec!["*:list", "posts:list"], list, Guest, 2),
            (vec!["posts:list @auth", "*:list"], list, Guest, 2),
            (vec!["posts:list @auth", "*:list"], list, Auth, 1),
            (vec!["other:list", "*:view"], list, Guest, 0),
            (vec!["*:auth", "*:authWithPassword"], password, Guest, 2),
            (vec!["*:authWithPassword", "posts:auth"], password, Guest, 2),
            (vec!["/api/", "*:auth"], password, Guest, 2),
            (vec!["/api/", "*:auth @auth"], password, Guest, 1),
            (vec!["/api/collections/posts/x", "/api/"], list, Guest, 1),
            (vec!["GET /api/collections/posts/x", "/api/"], list, Guest, 1),
            (vec!["posts", "*"], list, Guest, 0),
            // The first of two that say the same.
            (vec!["*:list", "*:list"], list, Guest, 1),
        ] {
            let rules = rules(&lines);
            let found = rules.of_action("posts", action, "GET", "/api/collections/posts/x", audience);
            assert_eq!(number(found), expected, "{lines:?} {audience:?}");
        }
    }

    #[test]
    fn excluded_clients_and_what_counts_together() {
        let rules = rules(&["/a", "/a @auth", "/a"]);
        assert!(rules.excludes("10.1.2.3".parse().unwrap()) && !rules.excludes("11.1.2.3".parse().unwrap()));
        assert!(rules.rules[0].id == rules.rules[2].id && rules.rules[0].id != rules.rules[1].id);
    }

    mod agree {
        use proptest::prelude::*;

        use super::*;

        /// The wire's words, taken literally.
        fn literally(rules: &[RateLimitRule], labels: &[String], audience: Audience) -> usize {
            let fits = |rule: &RateLimitRule| match rule.audience.as_str() {
                "@guest" => audience == Audience::Guest,
                "@auth" => audience == Audience::Auth,
                _ => true,
            };
            for label in labels {
                let exact = rules.iter().position(|rule| rule.label == *label && fits(rule));
                let below = |rule: &RateLimitRule| {
                    rule.label.ends_with('/') && format!("{label}/").starts_with(&rule.label) && fits(rule)
                };
                if let Some(index) = exact.or_else(|| rules.iter().position(below)) {
                    return index + 1;
                }
            }
            0
        }

        fn label() -> impl Strategy<Value = String> {
            prop_oneof!["(GET |POST )?(/[ab]?){1,4}", "(posts|other|[*]):(list|auth|authWithPassword)", "[a-z]{1,2}",]
        }

        proptest! {
            #[test]
            fn with_the_words_of_the_wire(
                list in proptest::collection::vec((label(), "(|@guest|@auth)"), 1..12),
                path in "(/[abc]?){1,5}",
                method in "(GET|POST|HEAD)",
                signed_in: bool,
                action in prop_oneof![Just(None), Just(Some(Action::List)), Just(Some(Action::AuthWithPassword))],
            ) {
                let audience = if signed_in { Audience::Auth } else { Audience::Guest };
                let list: Vec<RateLimitRule> = list.into_iter().enumerate().map(|(index, (label, audience))| {
                    RateLimitRule { label, audience, duration: 1, max_requests: index as i64 + 1 }
                }).collect();
                let rules =
                    Rules::compile(&RateLimits { enabled: true, rules: list.clone(), excluded_ips: vec![] }).unwrap();
                let mut labels = Vec::new();
                for of in ["posts", "*"] {
                    labels.extend(action.iter().flat_map(|it| it.tags()).map(|tag| format!("{of}:{tag}")));
                }
                labels.extend([format!("{method} {path}"), path.clone()]);
                let found = match action {
                    Some(action) => rules.of_action("posts", action, &method, &path, audience),
                    None => rules.of_path(&method, &path, audience),
                };
                prop_assert_eq!(number(found), literally(&list, &labels, audience));
            }
        }
    }
}
