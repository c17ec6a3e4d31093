//! Randomness from the operating system, for ids, tokens and secrets.

/// `[a-z0-9]`
pub const LOWER_ALPHANUMERIC: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// `[a-zA-Z0-9]`
pub const ALPHANUMERIC: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Fills `bytes` from the operating system.
pub fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system always has randomness after boot");
}

/// `length` characters of `alphabet` (ASCII, at most 256), each equally likely.
pub fn string(alphabet: &[u8], length: usize) -> String {
    // Bytes at or over the largest multiple of the alphabet's size are thrown away: no bias.
    let usable = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(length);
    let mut pool = [0u8; 64];
    while text.len() < length {
        fill(&mut pool);
        for byte in pool.iter().map(|&byte| usize::from(byte)).filter(|&byte| byte < usable) {
            if text.len() == length {
                break;
            }
            text.push(char::from(alphabet[byte % alphabet.len()]));
        }
    }
    text
}

/// A default record id: 15 characters of `[a-z0-9]`.
pub fn record_id() -> String {
    string(LOWER_ALPHANUMERIC, 15)
}

/// A uniformly chosen number below `bound` (> 0).
pub fn below(bound: u32) -> u32 {
    let usable = u32::MAX - u32::MAX % bound;
    loop {
        let mut bytes = [0u8; 4];
        fill(&mut bytes);
        let number = u32::from_le_bytes(bytes);
        if number < usable {
            return number % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_have_the_asked_length_and_alphabet() {
        for length in [0, 1, 15, 50, 300] {
            let text = string(LOWER_ALPHANUMERIC, length);
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|byte| LOWER_ALPHANUMERIC.contains(&byte)));
        }
        assert_ne!(record_id(), record_id());
    }
}
