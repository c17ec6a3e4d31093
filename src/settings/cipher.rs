//! Encryption of the stored settings: AES-256-GCM, base64 of `nonce(12) ‖ ciphertext ‖ tag`
//! (`docs/wire/services.md` §4.5).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    error::{Error, Result},
    random,
};

/// Encrypts and decrypts with one key.
pub struct Cipher(LessSafeKey);

impl Cipher {
    /// `key`: exactly 32 bytes.
    pub fn new(key: &str) -> Result<Self> {
        let unbound = UnboundKey::new(&AES_256_GCM, key.as_bytes()).map_err(|_| {
            Error::invalid(format!(
                "The encryption key has {} bytes, it has to have exactly 32 (--encryption-key, CONCH_ENCRYPTION_KEY).",
                key.len()
            ))
        })?;
        Ok(Self(LessSafeKey::new(unbound)))
    }

    pub fn encrypt(&self, text: &str) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce);
        let mut sealed = text.as_bytes().to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| Error::internal(anyhow::anyhow!("the settings cannot be encrypted")))?;
        Ok(BASE64_STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// `None` when the text was not encrypted with this key.
    pub fn decrypt(&self, text: &str) -> Option<String> {
        let bytes = BASE64_STANDARD.decode(text.trim()).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let plain = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut sealed).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_opens() {
        let cipher = Cipher::new(&"k".repeat(32)).unwrap();
        let sealed = cipher.encrypt(r#"{"a":"ü"}"#).unwrap();
        assert!(!sealed.contains('{'));
        assert_ne!(sealed, cipher.encrypt(r#"{"a":"ü"}"#).unwrap());
        assert_eq!(cipher.decrypt(&sealed).as_deref(), Some(r#"{"a":"ü"}"#));
        assert_eq!(Cipher::new(&"x".repeat(32)).unwrap().decrypt(&sealed), None);
        for broken in ["", "a", "AAAA", &sealed[..20]] {
            assert_eq!(cipher.decrypt(broken), None, "{broken}");
        }
        assert!(Cipher::new("short").is_err());
    }
}
