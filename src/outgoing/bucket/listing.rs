//! Lists of a bucket's objects without those that no file of ours can be. A bucket may be shared, and one odd name of
//! somebody else (`a//b`, `../c`) must not make a whole folder unreadable, which is what the client makes of it.

use object_store::path::Path;

/// What is left out of one answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Odd {
    pub count: u64,
    /// The first of them.
    pub example: String,
}

/// The answer to a question for objects (`ListObjectsV2`) without entries whose key is not a path: empty segments, `.`,
/// `..`, a slash at either end. The markers of folders, which end with one, are left out without a word, as are common
/// prefixes, which nobody here asks for.
pub fn cleaned(answer: &str) -> (String, Odd) {
    let (mut kept, mut odd) = (String::with_capacity(answer.len()), Odd::default());
    let mut rest = answer;
    while let Some((before, tag, entry, after)) = next(rest) {
        kept.push_str(before);
        let key = (tag == CONTENTS).then(|| between(entry, "<Key>", "</Key>")).flatten().and_then(unescaped);
        match key {
            Some(key) if Path::parse(&key).is_ok_and(|path| path.as_ref() == key) => kept.push_str(entry),
            Some(key) if !key.ends_with('/') => {
                odd.count += 1;
                if odd.count == 1 {
                    odd.example = key.chars().take(200).collect();
                }
            }
            Some(_) => {}
            // Without a key that we understand it is the client's to say so.
            None if tag == CONTENTS => kept.push_str(entry),
            None => {}
        }
        rest = after;
    }
    kept.push_str(rest);
    (kept, odd)
}

type Tag = (&'static str, &'static str);
const CONTENTS: Tag = ("<Contents>", "</Contents>");
const PREFIXES: Tag = ("<CommonPrefixes>", "</CommonPrefixes>");

/// What is before the next entry, the entry, and what is after it.
fn next(text: &str) -> Option<(&str, Tag, &str, &str)> {
    let (at, tag) = [CONTENTS, PREFIXES].into_iter().filter_map(|tag| Some((text.find(tag.0)?, tag))).min()?;
    let length = text[at..].find(tag.1)? + tag.1.len();
    Some((&text[..at], tag, &text[at..at + length], &text[at + length..]))
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    Some(rest.split_once(end)?.0)
}

/// A text of XML as it was meant. `None` if it refers to what XML does not know.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';')?;
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        });
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_no_file_of_ours_is_left_out_and_counted() {
        let entry = |key: &str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        for (key, stays, counts) in [
            ("c/r/a.txt", true, false),
            ("c/r/a &amp; b &#x28;1&#41;.txt", true, false),
            ("c//a.txt", false, true),
            ("/c/r/a.txt", false, true),
            ("c/../a.txt", false, true),
            ("c/./a.txt", false, true),
            ("&#46;&#46;/a", false, true),
            ("c/r/", false, false),
            ("c/&nonsense;", true, false),
        ] {
            let (last, first) = (entry("c/r/last.txt"), entry("c/r/first.txt"));
            let page =
                format!("<?xml?><L><Name>b</Name>{first}{}{last}<IsTruncated>true</IsTruncated></L>", entry(key));
            let (kept, odd) = cleaned(&page);
            assert_eq!(kept.contains(&entry(key)), stays, "{key}: {kept}");
            assert!(
                kept.starts_with("<?xml?><L><Name>b</Name>") && kept.contains(&first) && kept.contains(&last),
                "{kept}"
            );
            assert!(kept.ends_with("<IsTruncated>true</IsTruncated></L>"), "{kept}");
            assert_eq!(odd.count, u64::from(counts), "{key}");
        }
        let page = format!("<L>{}<CommonPrefixes><Prefix>../</Prefix></CommonPrefixes></L>", entry("..").repeat(3));
        assert_eq!(cleaned(&page), ("<L></L>".to_owned(), Odd { count: 3, example: "..".to_owned() }));
        // Half an answer is the client's to complain of.
        for text in ["", "<L><Contents><Key>..", "nonsense &"] {
            assert_eq!(cleaned(text), (text.to_owned(), Odd::default()));
        }
    }
}
