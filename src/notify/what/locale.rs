//! Languages: in which order templates are looked for, and how dates and numbers are written.
//!
//! The table is small on purpose: what it does not know is written as ISO 8601 and with a point.

use jiff::civil::{Date, Weekday};

/// Where to look for a text in this locale: itself, its language, no language. `de-AT`: `de-AT`, `de`, blank.
pub fn fallbacks(locale: &str) -> impl Iterator<Item = String> {
    let whole = normal(locale);
    let mut next = Some(whole);
    std::iter::from_fn(move || {
        let this = next.take()?;
        next = match this.rsplit_once('-') {
            Some((shorter, _)) => Some(shorter.to_owned()),
            None if this.is_empty() => None,
            None => Some(String::new()),
        };
        Some(this)
    })
}

/// Locales are compared so: in lower case, with hyphens.
pub(super) fn normal(locale: &str) -> String {
    locale.trim().replace('_', "-").to_ascii_lowercase()
}

/// Is this how a locale is written? Letters, digits and hyphens, at most 35 of them (RFC 5646 §4.4.1).
pub fn is_locale(text: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 35
        && text.split(['-', '_']).all(part)
        && text.bytes().take_while(|byte| byte.is_ascii_alphabetic()).count() >= 2
}

/// How many hours a clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Day,
    HalfDay,
}

/// How somewhere dates and numbers are written.
pub(super) struct Style {
    pub clock: Clock,
    pub names: Option<&'static Names>,
    short: &'static str,
    /// Between thousands, before decimals.
    separators: (&'static str, &'static str),
    language: &'static str,
}

/// Months and days of a language.
pub(super) struct Names {
    language: &'static str,
    months: [&'static str; 12],
    /// Monday first.
    weekdays: [&'static str; 7],
}

const DOTTED: &str = "%d.%m.%Y";
const SLASHED: &str = "%d/%m/%Y";
const ISO: &str = "%Y-%m-%d";
const WIDE: &str = "\u{a0}";
const NARROW: &str = "\u{202f}";

impl Style {
    pub fn of(locale: &str) -> Self {
        let locale = normal(locale);
        let (language, region) = locale.split_once('-').unwrap_or((&locale, ""));
        let half_day = language == "en" && !matches!(region, "gb" | "ie" | "za");
        let short = match (language, region) {
            ("en", "" | "us" | "ph") => "%-m/%-d/%Y",
            ("en", "ca") | ("sv" | "lt" | "fr", "ca") | ("sv" | "lt", _) => ISO,
            ("en" | "fr" | "es" | "it" | "pt" | "el" | "vi" | "id" | "ar" | "he", _) => SLASHED,
            ("de" | "pl" | "cs" | "sk" | "ru" | "uk" | "bg" | "ro" | "tr" | "fi" | "nb" | "nn" | "no" | "da", _) => {
                DOTTED
            }
            ("nl", _) => "%d-%m-%Y",
            ("ja" | "zh", _) => "%Y/%m/%d",
            ("ko" | "hu", _) => "%Y. %m. %d.",
            _ => ISO,
        };
        let separators = match (language, region) {
            ("de" | "it", "ch") => ("’", "."),
            ("de" | "nl" | "es" | "it" | "pt" | "id" | "tr" | "da" | "el" | "ro", _) => (".", ","),
            ("fr", _) => (NARROW, ","),
            ("sv" | "pl" | "cs" | "sk" | "ru" | "uk" | "fi" | "nb" | "nn" | "no" | "bg" | "hu" | "lt", _) => {
                (WIDE, ",")
            }
            ("en" | "ja" | "zh" | "ko" | "he" | "th", _) => (",", "."),
            _ => ("", "."),
        };
        let names = NAMES.iter().find(|names| names.language == language);
        Self {
            clock: if half_day { Clock::HalfDay } else { Clock::Day },
            short,
            separators,
            language: match names {
                Some(names) if language == "en" && short == "%-m/%-d/%Y" => {
                    debug_assert_eq!(names.language, "en");
                    "en-us"
                }
                Some(names) => names.language,
                None => "",
            },
            names,
        }
    }

    pub fn short(&self, date: Date) -> String {
        date.strftime(self.short).to_string()
    }

    /// With the month's name, where that is known.
    pub fn long(&self, date: Date) -> String {
        let Some(names) = self.names else { return self.short(date) };
        let (day, month, year) = (date.day(), names.month(date), date.year());
        match self.language {
            "en-us" => format!("{month} {day}, {year}"),
            "de" => format!("{day}. {month} {year}"),
            "es" | "pt" => format!("{day} de {month} de {year}"),
            _ => format!("{day} {month} {year}"),
        }
    }

    /// With the weekday before it.
    pub fn full(&self, date: Date) -> String {
        let (Some(names), long) = (self.names, self.long(date)) else { return self.short(date) };
        let between = if matches!(self.language, "fr" | "it" | "nl" | "sv") { " " } else { ", " };
        format!("{}{between}{long}", names.weekday(date))
    }

    /// Digits with a point, rewritten.
    pub fn number(&self, text: &str) -> String {
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let mut written = String::with_capacity(text.len() * 2);
        written.push_str(sign);
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && (whole.len() - place).is_multiple_of(3) {
                written.push_str(self.separators.0);
            }
            written.push(digit);
        }
        if !decimals.is_empty() {
            written.push_str(self.separators.1);
            written.push_str(decimals);
        }
        written
    }
}

impl Names {
    pub fn month(&self, date: Date) -> &'static str {
        self.months[usize::try_from(date.month() - 1).expect("months begin with 1") % 12]
    }

    pub fn weekday(&self, date: Date) -> &'static str {
        let weekday: Weekday = date.weekday();
        self.weekdays[usize::try_from(weekday.to_monday_zero_offset()).expect("days begin with 0") % 7]
    }
}

const NAMES: [Names; 8] = [
    Names {
        language: "en",
        months: [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
        weekdays: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    },
    Names {
        language: "de",
        months: [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ],
        weekdays: ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    },
    Names {
        language: "fr",
        months: [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
        weekdays: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
    },
    Names {
        language: "es",
        months: [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
        weekdays: ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
    },
    Names {
        language: "it",
        months: [
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ],
        weekdays: ["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"],
    },
    Names {
        language: "pt",
        months: [
            "janeiro",
            "fevereiro",
            "março",
            "abril",
            "maio",
            "junho",
            "julho",
            "agosto",
            "setembro",
            "outubro",
            "novembro",
            "dezembro",
        ],
        weekdays: ["segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"],
    },
    Names {
        language: "nl",
        months: [
            "januari",
            "februari",
            "maart",
            "april",
            "mei",
            "juni",
            "juli",
            "augustus",
            "september",
            "oktober",
            "november",
            "december",
        ],
        weekdays: ["maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"],
    },
    Names {
        language: "sv",
        months: [
            "januari",
            "februari",
            "mars",
            "april",
            "maj",
            "juni",
            "juli",
            "augusti",
            "september",
            "oktober",
            "november",
            "december",
        ],
        weekdays: ["måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag", "söndag"],
    },
];
