//! The paging and searching parameters of a list (`docs/wire/records-api.md` §2).

use crate::error::{Error, Result};

/// Records of a page unless the client says otherwise.
const DEFAULT_PER_PAGE: u64 = 30;
/// More are never answered at once.
const MAX_PER_PAGE: u64 = 1000;

/// What a list is asked for, parsed and clamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListParams {
    /// From 1.
    pub page: u64,
    /// 1 to 1000.
    pub per_page: u64,
    pub skip_total: bool,
    pub filter: Option<String>,
    pub sort: Option<String>,
    /// What could not be parsed. Kept for later, because a missing collection and a locked rule are told first
    /// (`docs/wire/records.md` §2).
    problem: Option<&'static str>,
}

impl Default for ListParams {
    fn default() -> Self {
        Self { page: 1, per_page: DEFAULT_PER_PAGE, skip_total: false, filter: None, sort: None, problem: None }
    }
}

impl ListParams {
    /// From query parameters, which `query` looks up by name; blank ones count as absent. Never fails: see
    /// [`ListParams::check`].
    pub fn parse<'a>(query: impl Fn(&str) -> Option<&'a str>) -> Self {
        let query = |name| query(name).filter(|text| !text.is_empty());
        let mut params = Self::default();
        if let Some(text) = query("page") {
            match text.parse::<i64>() {
                Ok(page) => params.page = u64::try_from(page).unwrap_or(1).max(1),
                Err(_) => params.problem = Some("page has to be a whole number."),
            }
        }
        if let Some(text) = query("perPage") {
            match text.parse::<i64>() {
                Ok(size) if size <= 0 => params.per_page = DEFAULT_PER_PAGE,
                Ok(size) => params.per_page = size.unsigned_abs().min(MAX_PER_PAGE),
                Err(_) => params.problem = Some("perPage has to be a whole number."),
            }
        }
        if let Some(text) = query("skipTotal") {
            match parse_bool(text) {
                Some(skip) => params.skip_total = skip,
                None => params.problem = Some("skipTotal has to be true or false."),
            }
        }
        params.filter = query("filter").map(str::to_owned);
        params.sort = query("sort").map(str::to_owned);
        params
    }

    /// Fails with the first parameter that could not be parsed.
    pub fn check(&self) -> Result<()> {
        match self.problem {
            Some(problem) => Err(Error::invalid(problem)),
            None => Ok(()),
        }
    }

    /// Records before this page.
    pub fn offset(&self) -> u64 {
        // SQLite knows no offset beyond i64.
        (self.page - 1).saturating_mul(self.per_page).min(i64::MAX as u64)
    }
}

/// The spellings of a bool that the wire knows.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> ListParams {
        ListParams::parse(|wanted| pairs.iter().find(|(name, _)| *name == wanted).map(|(_, text)| *text))
    }

    #[test]
    fn pages_are_clamped() {
        for (page, per_page, expected) in [
            ("", "", (1, 30)),
            ("0", "0", (1, 30)),
            ("-5", "-1", (1, 30)),
            ("2", "1", (2, 1)),
            ("+2", "1001", (2, 1000)),
            ("007", "9223372036854775807", (7, 1000)),
        ] {
            let params = parse(&[("page", page), ("perPage", per_page)]);
            assert!(params.check().is_ok(), "{page} {per_page}");
            assert_eq!((params.page, params.per_page), expected);
        }
        assert_eq!(parse(&[("page", "9223372036854775807")]).offset(), i64::MAX as u64);
        assert_eq!(parse(&[("page", "3"), ("perPage", "20")]).offset(), 40);
    }

    #[test]
    fn only_go_spellings_of_bools_are_known() {
        for text in ["1", "t", "T", "true", "TRUE", "True"] {
            assert!(parse(&[("skipTotal", text)]).skip_total);
        }
        for text in ["0", "f", "F", "false", "FALSE", "False", ""] {
            let params = parse(&[("skipTotal", text)]);
            assert!(!params.skip_total && params.check().is_ok());
        }
    }

    #[test]
    fn bad_parameters_are_told_later() {
        for (name, text) in [
            ("page", "x"),
            ("page", "1.0"),
            ("page", " 1"),
            ("page", "9223372036854775808"),
            ("perPage", "ten"),
            ("perPage", "1e2"),
            ("skipTotal", "yes"),
            ("skipTotal", "tRUE"),
        ] {
            assert!(parse(&[(name, text)]).check().is_err(), "{name}={text}");
        }
    }
}
