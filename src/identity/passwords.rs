//! Password hashing: Argon2id for what is new, bcrypt for what PocketBase left (`docs/wire/auth.md` §7).
//!
//! Hashing is slow on purpose, so it runs on the blocking pool, on fewer threads than there are cores, behind a bounded
//! queue: a flood of logins delays logins, never reads.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use base64::{
    Engine,
    alphabet::BCRYPT,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use tokio::sync::Semaphore;

use crate::{
    error::{Error, Result},
    random,
};

/// How many may wait for a hashing thread; one more is answered [`crate::error::Kind::Busy`].
const QUEUE: usize = 128;

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
}

impl Cost {
    /// (KiB, passes)
    fn parameters(self) -> (u32, u32) {
        match self {
            Cost::Standard => (19 * 1024, 2),
            Cost::Cheap => (32, 1),
        }
    }

    fn argon2(self) -> Argon2<'static> {
        let (memory, passes) = self.parameters();
        let params = Params::new(memory, passes, 1, None).expect("both costs are within Argon2's bounds");
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    }
}

/// Password hashing on its own bounded number of threads, so that it never delays a read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    cost: Cost,
    /// One permit for each password that may be hashed at the same time.
    threads: Arc<Semaphore>,
    /// Callers that wait for a permit.
    waiting: Arc<AtomicUsize>,
}

impl Passwords {
    /// Leaves one core to everybody else.
    pub fn new(cost: Cost) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(cost, cores.saturating_sub(1).max(1))
    }

    fn with_threads(cost: Cost, threads: usize) -> Self {
        Self { cost, threads: Arc::new(Semaphore::new(threads)), waiting: Arc::default() }
    }

    /// Argon2id of a new password. `Busy` when too many are waiting.
    pub async fn hash(&self, plain: String) -> Result<String> {
        let cost = self.cost;
        self.run(move || hash(cost, &plain)).await?
    }

    /// Checks a password against an Argon2id or bcrypt hash; anything else never matches, and takes as long.
    /// `Busy` when too many are waiting.
    pub async fn verify(&self, plain: String, hash: String) -> Result<bool> {
        let cost = self.cost;
        self.run(move || verify(cost, &plain, &hash)).await
    }

    /// Whether a password that was just verified against `hash` should be stored anew. Never for a password that bcrypt
    /// cut off: what was verified is then not what was set.
    pub fn needs_upgrade(&self, plain: &str, hash: &str) -> bool {
        if is_bcrypt(hash) {
            return plain.len() <= BCRYPT_LIMIT;
        }
        let (memory, passes) = self.cost.parameters();
        argon2_params(hash).is_some_and(|params| params.m_cost() < memory || params.t_cost() < passes)
    }

    /// Runs `work` on a hashing thread once one is free. A caller that goes away leaves the queue.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let permit = {
            let _place = Place::take(&self.waiting)?;
            let permit = self.threads.clone().acquire_owned().await;
            permit.expect("nobody closes the semaphore")
        };
        let work = move || {
            let _permit = permit;
            let done = work();
            give_back_memory();
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)
    }
}

/// A hash fills 19 MiB, which the allocator would keep for a process that may not hash again for days.
fn give_back_memory() {
    // SAFETY: may be called at any time from any thread; frees only what nobody uses.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// A place in the queue, given back on drop.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self> {
        let place = Place(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            return Err(Error::busy(std::time::Duration::from_secs(1)));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn hash(cost: Cost, plain: &str) -> Result<String> {
    let mut salt = [0u8; 16];
    random::fill(&mut salt);
    let hash: PasswordHash = cost
        .argon2()
        .hash_password_with_salt(plain.as_bytes(), &salt)
        .map_err(|error| Error::internal(anyhow::anyhow!("Argon2id failed: {error}")))?;
    Ok(hash.to_string())
}

fn verify(cost: Cost, plain: &str, hash: &str) -> bool {
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
    use crate::error::Kind;

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
        let passwords = Passwords::new(Cost::Standard);
        for (plain, stored, expected) in [
            ("x", LONGENOUGH1, true),
            (&"x".repeat(73), LONGENOUGH1, false),
            ("x", &cheap, true),
            ("x", &standard, false),
            ("x", "", false),
        ] {
            assert_eq!(passwords.needs_upgrade(plain, stored), expected, "{stored}");
        }
        assert!(!Passwords::new(Cost::Cheap).needs_upgrade("x", &standard));
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_and_recovers() {
        let passwords = Passwords::with_threads(Cost::Cheap, 1);
        let running = passwords.threads.clone().acquire_owned().await.unwrap();
        let waiting: Vec<_> = (0..QUEUE)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.hash("x".into()).await })
            })
            .collect();
        while passwords.waiting.load(Ordering::Relaxed) < QUEUE {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.hash("y".into()).await.unwrap_err().kind, Kind::Busy);
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), QUEUE);
        drop(running);
        for task in waiting {
            task.await.unwrap().unwrap();
        }
        assert!(passwords.hash("y".into()).await.is_ok());
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), 0);
    }
}
