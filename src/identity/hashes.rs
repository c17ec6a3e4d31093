//! What is stored of a password: Argon2id of what is new, bcrypt of what PocketBase left (`docs/wire/auth.md` §7).

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use base64::{
    Engine,
    alphabet::BCRYPT,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};

use crate::{
    error::{Error, Result},
    random,
};

/// bcrypt sees this many bytes of a password and no more.
const BCRYPT_LIMIT: usize = 72;

/// An imported hash that asks for more than this (KiB, passes, lanes) is an attack, not a password.
const MAX_ARGON2: (u32, u32, u32) = (1 << 20, 64, 16);

/// A bcrypt hash that costs more than 2 to this power would keep a thread busy for a minute and longer: it never matches.
const MAX_BCRYPT: u32 = 18;

/// Salts of some old writers have stray bits behind their last character; every bcrypt ignores them.
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// How expensive a new hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cost {
    /// The OWASP minimum for Argon2id: 19 MiB, two passes, one lane.
    #[default]
    Standard,
    /// Next to nothing: for temporary directories, whose passwords protect nothing.
    Cheap,
    /// What [`Cost::chosen`] has let pass.
    Chosen { kib: u32, passes: u32 },
}

/// What OWASP takes for equally strong: (MiB, passes), one lane.
const OWASP: [(u32, u32); 5] = [(46, 1), (19, 2), (12, 3), (9, 4), (7, 5)];
/// What a login may cost at most: more would be an attack on oneself.
const MAX_CHOSEN: (u32, u32) = (1024, 20);

impl Cost {
    /// So many MiB and passes, unless that is weaker than OWASP recommends or more than a server can bear.
    pub fn chosen(mib: u32, passes: u32) -> Result<Self> {
        let (most, most_passes) = MAX_CHOSEN;
        if mib > most || passes > most_passes {
            return Err(Error::invalid(format!(
                "Passwords cannot be hashed with {mib} MiB and {passes} passes: the most is {most} MiB and \
                 {most_passes} passes."
            )));
        }
        if !OWASP.iter().any(|&(least, least_passes)| mib >= least && passes >= least_passes) {
            let strong = OWASP.map(|(mib, passes)| format!("{mib} MiB × {passes}")).join(", ");
            return Err(Error::invalid(format!(
                "Passwords hashed with {mib} MiB and {passes} passes would be too easy to guess. Any of these is the \
                 least: {strong}."
            )));
        }
        Ok(Cost::Chosen { kib: mib * 1024, passes })
    }

    /// (KiB, passes)
    fn parameters(self) -> (u32, u32) {
        match self {
            Cost::Standard => (19 * 1024, 2),
            Cost::Cheap => (32, 1),
            Cost::Chosen { kib, passes } => (kib, passes),
        }
    }

    fn argon2(self) -> Argon2<'static> {
        let (memory, passes) = self.parameters();
        let params = Params::new(memory, passes, 1, None).expect("every cost is within Argon2's bounds");
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    }
}

/// Argon2id under a new salt.
pub(super) fn hash(cost: Cost, plain: &str) -> Result<String> {
    let mut salt = [0u8; 16];
    random::fill(&mut salt);
    let hash: PasswordHash = cost
        .argon2()
        .hash_password_with_salt(plain.as_bytes(), &salt)
        .map_err(|error| Error::internal(anyhow::anyhow!("Argon2id failed: {error}")))?;
    Ok(hash.to_string())
}

/// Whether this is the password; takes as long as a new hash when `hash` is none.
pub(super) fn verify(cost: Cost, plain: &str, hash: &str) -> bool {
    if is_bcrypt(hash) {
        if let Some(matches) = verify_bcrypt(plain, hash) {
            return matches;
        }
    } else if hash.starts_with("$2") {
        tracing::warn!(max_cost = MAX_BCRYPT, "a stored bcrypt hash is broken or too costly and never matches");
    } else if argon2_params(hash).is_some()
        && let Ok(parsed) = PasswordHash::new(hash)
    {
        // The parameters are those of the hash, not of this instance.
        return Argon2::default().verify_password(plain.as_bytes(), &parsed).is_ok();
    }
    // No hash at all: the same work is done, so that time does not tell.
    let mut output = [0u8; 32];
    let _ = cost.argon2().hash_password_into(plain.as_bytes(), &[0u8; 16], &mut output);
    false
}

/// Whether a password that was just verified against `hash` should be stored anew. Never for a password that bcrypt cut
/// off: what was verified is then not what was set.
pub(super) fn needs_upgrade(cost: Cost, plain: &str, hash: &str) -> bool {
    if is_bcrypt(hash) {
        return plain.len() <= BCRYPT_LIMIT;
    }
    let (memory, passes) = cost.parameters();
    argon2_params(hash).is_some_and(|params| params.m_cost() < memory || params.t_cost() < passes)
}

/// The parameters of an Argon2id hash with bearable costs.
fn argon2_params(hash: &str) -> Option<Params> {
    let parsed = PasswordHash::new(hash).ok()?;
    if parsed.algorithm.as_str() != "argon2id" || parsed.hash.is_none() {
        return None;
    }
    let params = Params::try_from(&parsed).ok()?;
    let bearable =
        params.m_cost() <= MAX_ARGON2.0 && params.t_cost() <= MAX_ARGON2.1 && params.p_cost() <= MAX_ARGON2.2;
    bearable.then_some(params)
}

/// `$2$`, `$2a$`, `$2b$`, `$2x$` and `$2y$` are one algorithm here, as they are in the reference.
fn is_bcrypt(hash: &str) -> bool {
    bcrypt_parts(hash).is_some()
}

/// (cost, salt, encoded digest) of a bcrypt hash with bearable costs.
fn bcrypt_parts(hash: &str) -> Option<(u32, &str, &str)> {
    let rest = hash.strip_prefix("$2")?;
    let rest = rest.strip_prefix(['a', 'b', 'x', 'y']).unwrap_or(rest).strip_prefix('$')?;
    let (cost, rest) = rest.split_once('$')?;
    if cost.len() != 2 || rest.len() != 53 || !rest.is_ascii() {
        return None;
    }
    let cost = cost.parse().ok().filter(|cost| (4..=MAX_BCRYPT).contains(cost))?;
    let (salt, digest) = rest.split_at(22);
    Some((cost, salt, digest))
}

/// `None` when it is no bcrypt hash after all.
fn verify_bcrypt(plain: &str, hash: &str) -> Option<bool> {
    let (cost, salt, digest) = bcrypt_parts(hash)?;
    let salt: [u8; 16] = BCRYPT_BASE64.decode(salt).ok()?.try_into().ok()?;
    // The terminating zero belongs to the key, unless it falls behind the 72nd byte.
    let mut key = [plain.as_bytes(), &[0]].concat();
    key.truncate(BCRYPT_LIMIT);
    let output = bcrypt::bcrypt(cost, salt, &key);
    let encoded = BCRYPT_BASE64.encode(&output[..23]);
    Some(aws_lc_rs::constant_time::verify_slices_are_equal(encoded.as_bytes(), digest.as_bytes()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/wire/auth.md` §11.
    const LONGENOUGH1: &str = "$2a$10$xnt0LZOREFV2Figno.U43OkQgazIb521j/xYpI5dt6k.wBRJ884US";
    const E_ACUTE_36: &str = "$2a$10$i1k6KoaUG2AZn8mOg3nQJuaZ2FB.NW8YIeIMEqhVKWTm/xD45S.si";

    #[test]
    fn bcrypt_hashes_of_every_minor_version_are_verified() {
        let e72 = "é".repeat(36);
        let variant = |minor: &str| LONGENOUGH1.replacen("2a", minor, 1);
        for (plain, hash, expected) in [
            ("longenough1", LONGENOUGH1.to_owned(), true),
            ("longenough2", LONGENOUGH1.to_owned(), false),
            ("", LONGENOUGH1.to_owned(), false),
            ("longenough1", variant("2b"), true),
            ("longenough1", variant("2y"), true),
            ("longenough1", variant("2x"), true),
            ("longenough1", variant("2"), true),
            ("longenough1", variant("2c"), false),
            ("longenough1", variant("3a"), false),
            (e72.as_str(), E_ACUTE_36.to_owned(), true),
            (&format!("{e72}zzz"), E_ACUTE_36.to_owned(), true),
            (&e72[..70], E_ACUTE_36.to_owned(), false),
        ] {
            assert_eq!(verify(Cost::Cheap, plain, &hash), expected, "{plain} {hash}");
        }
    }

    #[test]
    fn what_is_no_hash_never_matches_and_never_panics() {
        let truncated = &LONGENOUGH1[..59];
        let accented = format!("{}é{}", &LONGENOUGH1[..20], &LONGENOUGH1[22..]);
        let greedy =
            "$argon2id$v=19$m=4294967295,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let [dear, dearest] = ["19", "31"].map(|cost| LONGENOUGH1.replacen("10", cost, 1));
        assert!(is_bcrypt(&LONGENOUGH1.replacen("10", "18", 1)));
        for hash in [
            "",
            "x",
            "longenough1",
            truncated,
            &accented,
            "$2a$99$",
            &dear,
            &dearest,
            "$argon2id$",
            greedy,
            "$argon2i$v=19$m=8",
        ] {
            assert!(!is_bcrypt(hash), "{hash}");
            assert!(!verify(Cost::Cheap, "longenough1", hash), "{hash}");
            assert!(!verify(Cost::Cheap, hash, hash), "{hash}");
        }
    }

    #[test]
    fn new_hashes_are_argon2id_with_the_asked_cost() {
        for (cost, prefix) in
            [(Cost::Standard, "$argon2id$v=19$m=19456,t=2,p=1$"), (Cost::Cheap, "$argon2id$v=19$m=32,t=1,p=1$")]
        {
            let first = hash(cost, "pässwörd").unwrap();
            assert!(first.starts_with(prefix), "{first}");
            assert_ne!(first, hash(cost, "pässwörd").unwrap());
            assert!(verify(cost, "pässwörd", &first));
            assert!(!verify(cost, "pässwörd ", &first));
        }
    }

    #[test]
    fn weaker_hashes_are_upgraded_and_equal_ones_are_not() {
        let cheap = hash(Cost::Cheap, "x").unwrap();
        let standard = hash(Cost::Standard, "x").unwrap();
        let [more_memory, more_passes] = [(20, 2), (19, 3)].map(|(mib, passes)| Cost::chosen(mib, passes).unwrap());
        for (cost, plain, stored, expected) in [
            (Cost::Standard, "x", LONGENOUGH1, true),
            (Cost::Standard, &*"x".repeat(73), LONGENOUGH1, false),
            (Cost::Standard, "x", &*cheap, true),
            (Cost::Standard, "x", &*standard, false),
            (Cost::Standard, "x", "", false),
            (Cost::Cheap, "x", &*standard, false),
            (more_memory, "x", &*standard, true),
            (more_passes, "x", &*standard, true),
            (more_memory, "x", LONGENOUGH1, true),
        ] {
            assert_eq!(needs_upgrade(cost, plain, stored), expected, "{cost:?} {stored}");
        }
    }

    #[test]
    fn a_chosen_cost_is_neither_weak_nor_unbearable() {
        for (mib, passes, is_good) in [
            (19, 2, true),
            (46, 1, true),
            (64, 3, true),
            (7, 5, true),
            (1024, 20, true),
            (18, 2, false),
            (45, 1, false),
            (6, 20, false),
            (64, 0, false),
            (0, 0, false),
            (1025, 1, false),
            (64, 21, false),
            (u32::MAX, u32::MAX, false),
        ] {
            let chosen = Cost::chosen(mib, passes);
            assert_eq!(chosen.is_ok(), is_good, "{mib} MiB, {passes} passes");
            if let Ok(cost) = chosen {
                let prefix = format!("$argon2id$v=19$m={},t={passes},p=1$", mib * 1024);
                assert!(mib > 64 || hash(cost, "x").unwrap().starts_with(&prefix));
            }
        }
    }
}
