//! Names of stored files, made from what clients call them (`docs/wire/records-storage.md` §8).

use crate::{error::Result, random};

/// Bytes of a client's name that are looked at: the last ones, where the extension is.
const MAX_CLIENT_NAME: usize = 300;
const MAX_EXTENSION: usize = 20;
const MAX_STEM: usize = 100;
const MIN_STEM: usize = 3;
const RANDOM: usize = 10;

/// `stem_RANDOM.ext`. `detect` tells the extension (with its dot, or blank) by the content when the name has none.
pub fn generate(client_name: &str, detect: impl FnOnce() -> Result<&'static str>) -> Result<String> {
    let trimmed = client_name.trim_end_matches('/');
    let base = last_bytes(trimmed.rsplit('/').next().unwrap_or_default(), MAX_CLIENT_NAME);
    let (stem, extension) = base.split_at(extension_start(base));
    let extension = match clean_extension(extension) {
        blank if blank.is_empty() => detect()?.to_owned(),
        extension => format!(".{extension}"),
    };
    let mut stem = snake_case(stem);
    if stem.len() < MIN_STEM {
        stem.push_str(&random_part());
    }
    // Snake case is ASCII.
    stem.truncate(MAX_STEM);
    Ok(format!("{stem}_{}{extension}", random_part()))
}

fn random_part() -> String {
    random::string(random::LOWER_ALPHANUMERIC, RANDOM)
}

/// The end of `text`, at most `most` bytes of it.
fn last_bytes(text: &str, most: usize) -> &str {
    let mut start = text.len().saturating_sub(most);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// Where the extension begins: at the second-last dot (`.tar.gz`), or the only one.
fn extension_start(name: &str) -> usize {
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    match (dots.next(), dots.next()) {
        (_, Some(second)) => second,
        (Some(only), None) => only,
        (None, None) => name.len(),
    }
}

/// Without dots around it and without characters that do not belong into an extension.
fn clean_extension(extension: &str) -> String {
    let is_fine = |c: &char| c.is_ascii_alphanumeric() || "_.*+=#-".contains(*c);
    let clean: String = extension.chars().filter(is_fine).collect();
    // All ASCII from here on. The dot in front counts.
    let clean = clean.trim_matches('.');
    let start = if clean.len() + 1 > MAX_EXTENSION { clean.len() - MAX_EXTENSION.min(clean.len()) } else { 0 };
    clean[start..].trim_matches('.').to_owned()
}

/// Lower-case words joined by `_`: cut at everything that is no ASCII letter or digit, and before an upper-case letter
/// that follows none.
fn snake_case(text: &str) -> String {
    let mut snake = String::with_capacity(text.len() + 8);
    let mut previous = None;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            let starts_word = match previous {
                None => true,
                Some(previous) => c.is_ascii_uppercase() && !char::is_ascii_uppercase(&previous),
            };
            if starts_word && !snake.is_empty() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
            previous = Some(c);
        } else {
            previous = None;
        }
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `R` stands for ten random characters.
    fn is_like(name: &str, expected: &str) -> bool {
        let mut rest = name;
        for (at, part) in expected.split('R').enumerate() {
            if at > 0 {
                let Some((random, after)) = rest.split_at_checked(RANDOM) else { return false };
                if !random.bytes().all(|byte| random::LOWER_ALPHANUMERIC.contains(&byte)) {
                    return false;
                }
                rest = after;
            }
            let Some(after) = rest.strip_prefix(part) else { return false };
            rest = after;
        }
        rest.is_empty()
    }

    #[test]
    fn client_names_become_storage_names() {
        let long = format!("{}.txt", "a".repeat(400));
        let long_stored = format!("{}_R.txt", "a".repeat(100));
        for (client, stored) in [
            ("My File (1).TXT", "my_file_1_R.TXT"),
            ("a.tar.gz", "aR_R.tar.gz"),
            ("camelCaseName.txt", "camel_case_name_R.txt"),
            ("a.b.c.d", "a_b_R.c.d"),
            (".hidden", "R_R.hidden"),
            ("noext", "noext_R.det"),
            ("é.txt", "R_R.txt"),
            ("", "R_R.det"),
            ("..", "R_R.det"),
            ("...", "R_R.det"),
            ("a.", "aR_R.det"),
            ("a..b", "aR_R.b"),
            ("..a", "R_R.a"),
            ("HTMLParser.js", "htmlparser_R.js"),
            ("aBcD.txt", "a_bc_d_R.txt"),
            ("ABc.txt", "abc_R.txt"),
            ("a__b--c.txt", "a_b_c_R.txt"),
            ("-a-.txt", "aR_R.txt"),
            ("x.t xt", "xR_R.txt"),
            ("x.tär", "xR_R.tr"),
            ("x.ABC+=#*-_", "xR_R.ABC+=#*-_"),
            ("x.123456789012345678901234567890", "xR_R.12345678901234567890"),
            ("x.1234567890.12345678901234567890", "xR_R.12345678901234567890"),
            ("a.bbbbbbbbbbbbbbb.cccccccccc", "aR_R.bbbbbbbbb.cccccccccc"),
            ("Ünïcode Näme.txt", "n_code_n_me_R.txt"),
            ("日本語.txt", "R_R.txt"),
            ("a/b/c.txt", "cR_R.txt"),
            ("../../etc/passwd", "passwd_R.det"),
            ("a\\b.txt", "a_b_R.txt"),
            ("C:\\x\\y.txt", "c_x_y_R.txt"),
            ("a.txt.", "aR_R.txt"),
            ("a.txt..", "a_txt_R.det"),
            ("a.txt/", "aR_R.txt"),
            ("%2e%2e.txt", "2e_2e_R.txt"),
            ("foo2Bar3.txt", "foo2_bar3_R.txt"),
            ("foo_Bar.txt", "foo_bar_R.txt"),
            ("aÀb.txt", "a_b_R.txt"),
            ("123.txt", "123_R.txt"),
            ("a.b c.d", "aR_R.bc.d"),
            ("x.tar.ä", "xR_R.tar"),
            ("name.with.dots.txt", "name_with_R.dots.txt"),
            (&long, &long_stored),
        ] {
            let name = generate(client, || Ok(".det")).expect("no detection fails");
            assert!(is_like(&name, stored), "{client}: {name} is not like {stored}");
        }
        assert!(generate(&"é".repeat(500), || Ok("")).expect("no detection fails").len() < 150);
    }
}
