//! How metadata say what is not ASCII: percent-encoded as a segment of a path, as PocketBase writes it.

/// The text in the characters of metadata.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_.~$&+=:@".contains(&byte);
        if is_plain {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The text that was escaped. What is no escape is itself.
pub fn undo(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for (text, expected) in [
            ("plain.txt", "plain.txt"),
            // As PocketBase 0.40.6 writes it.
            ("Grüße & (1).txt", "Gr%C3%BC%C3%9Fe%20&%20%281%29.txt"),
            ("100%.txt", "100%25.txt"),
            ("a/b\r\nx: y", "a%2Fb%0D%0Ax:%20y"),
            ("", ""),
        ] {
            assert_eq!(escaped(text), expected);
            assert_eq!(undo(expected), text);
        }
        for (odd, expected) in [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%41%", "A%"), ("%FF", "\u{fffd}")] {
            assert_eq!(undo(odd), expected);
        }
    }
}
