//! Randomness from the operating system, for ids, tokens and secrets.

use crate::clock::Timestamp;

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

/// A record id of the same form that follows the time, in tenths of a second, with 8 random characters behind it: rows
/// that are written together lie together in the index of their ids, where random ones would have a page written for
/// each. Only for rows whose age is no secret.
pub fn ordered_id(now: Timestamp) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut tenths = u64::try_from(now.millis() / 100).unwrap_or(0);
    let mut prefix = [b'0'; 7];
    for place in prefix.iter_mut().rev() {
        *place = DIGITS[(tenths % 36) as usize];
        tenths /= 36;
    }
    let mut id: String = prefix.into_iter().map(char::from).collect();
    id.push_str(&string(LOWER_ALPHANUMERIC, 15 - prefix.len()));
    id
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

    #[test]
    fn ordered_ids_follow_the_time_and_are_ids_like_others() {
        let times = [-5, 0, 99, 100, 1_790_000_000_000, 1_790_000_000_100, 5_000_000_000_000, 7_000_000_000_000];
        let ids = times.map(|millis| ordered_id(Timestamp(millis)));
        for id in &ids {
            assert_eq!(id.len(), 15, "{id}");
            assert!(id.bytes().all(|byte| LOWER_ALPHANUMERIC.contains(&byte)), "{id}");
        }
        assert!(ids[2..].is_sorted_by(|one, next| one[..7] < next[..7]), "{ids:?}");
        let now = Timestamp(times[4]);
        assert_ne!(ordered_id(now), ordered_id(now));
    }
}
