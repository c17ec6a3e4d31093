//! Filters and functions of templates that the language does not bring along: dates where the recipient is, numbers as
//! they are written there, and ranges of a sensible length.

use jiff::{Timestamp, Zoned, civil, tz::TimeZone};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::{
    locale::{Clock, Style},
    scene::{PLACE, Place},
};

/// Numbers that `range` gives.
const MAX_RANGE: i64 = 1000;
/// Bytes of a pattern for dates.
const MAX_PATTERN: usize = 100;

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("date", date);
    environment.add_filter("time", time);
    environment.add_filter("datetime", datetime);
    environment.add_filter("number", number);
    environment.add_function("range", range);
}

/// `date`: "short" (by numbers, the default), "long" (with the month's name), "full" (with the weekday), "iso", or a
/// pattern like `%d.%m.`.
fn date(state: &State, value: &Value, style: Option<&str>) -> Result<Value, Error> {
    told(state, value, |moment, locale| match style {
        Some(pattern) if pattern.contains('%') => by_pattern(moment, locale, pattern),
        Some("long") => Ok(locale.long(moment.date())),
        Some("full") => Ok(locale.full(moment.date())),
        Some("iso") => Ok(moment.date().to_string()),
        None | Some("short") => Ok(locale.short(moment.date())),
        Some(other) => Err(unknown(other)),
    })
}

/// `time`: hours and minutes, or a pattern.
fn time(state: &State, value: &Value, style: Option<&str>) -> Result<Value, Error> {
    told(state, value, |moment, locale| match style {
        Some(pattern) if pattern.contains('%') => by_pattern(moment, locale, pattern),
        None | Some("short") => Ok(clock(locale, moment)),
        Some(other) => Err(unknown(other)),
    })
}

/// `datetime`: the date in a style of `date`, and the time.
fn datetime(state: &State, value: &Value, style: Option<&str>) -> Result<Value, Error> {
    told(state, value, |moment, locale| {
        let date = match style {
            Some(pattern) if pattern.contains('%') => return by_pattern(moment, locale, pattern),
            Some("iso") => return Ok(moment.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()),
            Some("long") => locale.long(moment.date()),
            Some("full") => locale.full(moment.date()),
            None | Some("short") => locale.short(moment.date()),
            Some(other) => return Err(unknown(other)),
        };
        Ok(format!("{date} {}", clock(locale, moment)))
    })
}

/// `number`: with the separators of the recipient's language, and so many decimals if that is said.
fn number(state: &State, value: &Value, decimals: Option<u8>) -> Value {
    let Ok(number) = f64::try_from(value.clone()) else { return value.clone() };
    if value.is_undefined() || value.is_none() || !number.is_finite() {
        return value.clone();
    }
    let text = match (decimals, value.is_integer()) {
        (Some(decimals), _) => format!("{number:.*}", usize::from(decimals.min(12))),
        (None, true) => value.to_string(),
        (None, false) => number.to_string(),
    };
    place(state, |_, locale| locale.number(&text)).into()
}

fn range(from: i64, to: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (from, to) = to.map_or((0, from), |to| (from, to));
    let step = step.unwrap_or(1);
    let distance = i128::from(to) - i128::from(from);
    let refuse = |words: String| Err(Error::new(ErrorKind::InvalidOperation, words));
    if step == 0 {
        return refuse("range: a step of 0 leads nowhere".to_owned());
    }
    if distance / i128::from(step) > i128::from(MAX_RANGE) {
        return refuse(format!("range: more than {MAX_RANGE} numbers"));
    }
    let mut numbers = Vec::new();
    let mut next = Some(from);
    while let Some(number) = next.filter(|&number| if step > 0 { number < to } else { number > to }) {
        numbers.push(number);
        next = number.checked_add(step);
    }
    Ok(Value::from(numbers))
}

/// What `tell` says of the moment that `value` names, in the recipient's zone. What is no moment stays as it is.
fn told(state: &State, value: &Value, tell: impl Fn(&Zoned, &Style) -> Result<String, Error>) -> Result<Value, Error> {
    place(state, |zone, locale| match moment(value, zone) {
        Some(moment) => tell(&moment, locale).map(Value::from),
        None => Ok(value.clone()),
    })
}

fn place<T>(state: &State, f: impl FnOnce(&TimeZone, &Style) -> T) -> T {
    let place = state.lookup(PLACE);
    match place.as_ref().and_then(|place| place.downcast_object_ref::<Place>()) {
        Some(place) => f(&place.zone, &Style::of(&place.locale)),
        None => f(&TimeZone::UTC, &Style::of("")),
    }
}

/// The wire's dates (`2026-12-01 09:00:00.000Z`), RFC 3339, seconds since 1970; days and times without a zone are those
/// of the recipient.
fn moment(value: &Value, zone: &TimeZone) -> Option<Zoned> {
    if let Some(text) = value.as_str() {
        let text = text.trim();
        if text.len() > 64 {
            return None;
        }
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Some(instant.to_zoned(zone.clone()));
        }
        let civil = text.parse::<civil::DateTime>().ok()?;
        return civil.to_zoned(zone.clone()).ok();
    }
    let seconds = i64::try_from(value.clone()).ok().filter(|_| value.is_number())?;
    Some(Timestamp::from_second(seconds).ok()?.to_zoned(zone.clone()))
}

fn clock(locale: &Style, moment: &Zoned) -> String {
    match locale.clock {
        Clock::Day => moment.strftime("%H:%M").to_string(),
        Clock::HalfDay => moment.strftime("%-I:%M %p").to_string(),
    }
}

/// `strftime`, with names of days and months in the recipient's language.
fn by_pattern(moment: &Zoned, locale: &Style, pattern: &str) -> Result<String, Error> {
    let refuse = |words: String| Error::new(ErrorKind::InvalidOperation, words);
    if pattern.len() > MAX_PATTERN {
        return Err(refuse(format!("a date's pattern has {MAX_PATTERN} characters at most")));
    }
    let named = locale.names.map_or_else(
        || pattern.to_owned(),
        |names| pattern.replace("%A", names.weekday(moment.date())).replace("%B", names.month(moment.date())),
    );
    let mut text = String::new();
    std::fmt::Write::write_fmt(&mut text, format_args!("{}", moment.strftime(&named)))
        .map_err(|_| refuse(format!("{pattern:?} is no pattern for dates")))?;
    Ok(text)
}

fn unknown(style: &str) -> Error {
    let style: String = style.chars().take(30).collect();
    Error::new(ErrorKind::InvalidOperation, format!("{style:?}: expected short, long, full, iso or a pattern with %"))
}
