//! Byte ranges (RFC 9110 §14): which were asked for, and how several of them are sent.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use crate::{error::Result, files::Object, random};

/// Who asks for more ranges at once gets the whole file.
const MAX_RANGES: usize = 100;

/// What of a file is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    All,
    One(Range<u64>),
    Many(Vec<Range<u64>>),
}

/// Why no range can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Malformed,
    /// No range has a byte of the file.
    Outside,
}

/// Reads a `Range` header for a file of `size` bytes; a blank one asks for all. So does one that asks for more than the
/// file has, in sum: nobody gains from that. Of several ranges those outside are left out.
pub fn select(header: &str, size: u64) -> Result<Selection, Refusal> {
    if header.is_empty() {
        return Ok(Selection::All);
    }
    let list = header.strip_prefix("bytes=").ok_or(Refusal::Malformed)?;
    let mut found = Vec::new();
    let mut outside = false;
    for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        match range(text, size)? {
            Some(range) if found.len() < MAX_RANGES => found.push(range),
            Some(_) => return Ok(Selection::All),
            None => outside = true,
        }
    }
    if found.is_empty() && outside && size > 0 {
        return Err(Refusal::Outside);
    }
    let total = found.iter().fold(0u64, |total, range| total.saturating_add(range.end - range.start));
    if total > size {
        return Ok(Selection::All);
    }
    Ok(match <[_; 1]>::try_from(found) {
        Ok([only]) => Selection::One(only),
        Err(none) if none.is_empty() => Selection::All,
        Err(many) => Selection::Many(many),
    })
}

/// `first-last`, `first-` or `-count`; `None` when it has no byte of the file.
fn range(text: &str, size: u64) -> Result<Option<Range<u64>>, Refusal> {
    let (first, last) = text.split_once('-').ok_or(Refusal::Malformed)?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let count = number(last)?.min(size);
        return Ok((count > 0).then(|| size - count..size));
    }
    let first = number(first)?;
    if first >= size {
        return Ok(None);
    }
    let end = match last {
        "" => size,
        last => {
            let last = number(last)?;
            if last < first {
                return Err(Refusal::Malformed);
            }
            size.min(last + 1)
        }
    };
    Ok(Some(first..end))
}

/// Up to 63 bits, as the reference has it.
fn number(text: &str) -> Result<u64, Refusal> {
    let parsed = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    parsed.and_then(|number| u64::try_from(number).ok()).ok_or(Refusal::Malformed)
}

/// The value of `Content-Range` for a non-empty range.
pub fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

/// A `multipart/byteranges` body.
#[derive(Debug)]
pub struct Parts {
    boundary: String,
    /// What goes before each range, and the range.
    parts: Vec<(String, Range<u64>)>,
    end: String,
}

impl Parts {
    /// Of a file of this type and size.
    pub fn new(ranges: Vec<Range<u64>>, content_type: &str, size: u64) -> Self {
        let boundary = random::string(random::LOWER_ALPHANUMERIC, 60);
        let part = |(at, range): (usize, Range<u64>)| {
            let line = if at == 0 { "" } else { "\r\n" };
            let told = content_range(&range, size);
            let head = format!("{line}--{boundary}\r\nContent-Range: {told}\r\nContent-Type: {content_type}\r\n\r\n");
            (head, range)
        };
        let parts = ranges.into_iter().enumerate().map(part).collect();
        Self { end: format!("\r\n--{boundary}--\r\n"), parts, boundary }
    }

    pub fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Bytes of the whole body.
    pub fn length(&self) -> u64 {
        let part = |(head, range): &(String, Range<u64>)| head.len() as u64 + (range.end - range.start);
        self.parts.iter().map(part).sum::<u64>() + self.end.len() as u64
    }

    pub fn stream(self, object: &Object) -> impl Stream<Item = Result<Bytes>> + 'static {
        let object = object.clone();
        let part = move |(head, range): (String, Range<u64>)| {
            stream::once(async move { Ok(Bytes::from(head)) }).chain(object.read(range))
        };
        let end = stream::once(async move { Ok(Bytes::from(self.end)) });
        stream::iter(self.parts).flat_map(part).chain(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        use Refusal::{Malformed, Outside};
        use Selection::{All, Many, One};
        let hundred = format!("bytes={}", "0-0,".repeat(MAX_RANGES));
        let more = format!("bytes={}", "0-0,".repeat(MAX_RANGES + 1));
        for (header, size, expected) in [
            ("", 10, Ok(All)),
            ("bytes=0-4", 10, Ok(One(0..5))),
            ("bytes= 1 - 2 ", 10, Ok(One(1..3))),
            ("bytes=5-", 10, Ok(One(5..10))),
            ("bytes=9-9", 10, Ok(One(9..10))),
            ("bytes=9-99", 10, Ok(One(9..10))),
            ("bytes=-3", 10, Ok(One(7..10))),
            ("bytes=-30", 10, Ok(One(0..10))),
            ("bytes=0-1,4-5", 10, Ok(Many(vec![0..2, 4..6]))),
            ("bytes=4-5, ,0-1,", 10, Ok(Many(vec![4..6, 0..2]))),
            ("bytes=0-1,20-30", 10, Ok(One(0..2))),
            ("bytes=0-9,0-0", 10, Ok(All)),
            ("bytes=", 10, Ok(All)),
            ("bytes=,", 10, Ok(All)),
            ("bytes=10-", 10, Err(Outside)),
            ("bytes=10-11,12-", 10, Err(Outside)),
            ("bytes=-0", 10, Err(Outside)),
            ("bytes=0-", 0, Ok(All)),
            ("bytes=-5", 0, Ok(All)),
            ("bytes=5-2", 0, Ok(All)),
            ("bytes=50-2", 10, Err(Outside)),
            ("bytes=0-9223372036854775807", 10, Ok(One(0..10))),
            ("bytes=0-9223372036854775808", 10, Err(Malformed)),
            ("bytes=9223372036854775807-", 10, Err(Outside)),
            ("bytes=5-2", 10, Err(Malformed)),
            ("bytes=--5", 10, Err(Malformed)),
            ("bytes=-", 10, Err(Malformed)),
            ("bytes=+1-2", 10, Err(Malformed)),
            ("bytes=0-x", 10, Err(Malformed)),
            ("bytes=0-1,x", 10, Err(Malformed)),
            ("bytes=é-", 10, Err(Malformed)),
            ("lines=0-1", 10, Err(Malformed)),
            ("x", 10, Err(Malformed)),
            (&hundred, 1000, Ok(Many(vec![0..1; MAX_RANGES]))),
            (&more, 1000, Ok(All)),
        ] {
            assert_eq!(select(header, size), expected, "{header} of {size}");
        }
    }

    proptest::proptest! {
        #[test]
        fn selections_lie_within_the_file(header in "(bytes=)?[-0-9, x]{0,20}", size in 0u64..30) {
            let within = |range: &Range<u64>| range.start < range.end && range.end <= size;
            match select(&header, size) {
                Ok(Selection::One(range)) => assert!(within(&range)),
                Ok(Selection::Many(ranges)) => assert!(ranges.len() > 1 && ranges.iter().all(within)),
                Ok(Selection::All) | Err(_) => {}
            }
        }
    }
}
