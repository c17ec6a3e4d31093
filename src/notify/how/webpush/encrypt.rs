//! A message that only its browser can read: `aes128gcm` (RFC 8188) under keys agreed on as RFC 8291 has it.

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};

use super::subscription::Keys;
use crate::random;

/// The most bytes that every push service takes (RFC 8030 §7.2): those of the body.
const MAX_BODY: usize = 4096;
/// Salt, record size, length of the key, key.
const HEADER: usize = SALT + 4 + 1 + PUBLIC;
const SALT: usize = 16;
/// An uncompressed point of P-256.
const PUBLIC: usize = 65;
const TAG: usize = 16;
/// Ends the last record (RFC 8188 §2).
const LAST_RECORD: u8 = 2;
/// The most bytes of a message.
pub const MAX_MESSAGE: usize = MAX_BODY - HEADER - 1 - TAG;

/// The body for the browser with these keys. Fails if the message is longer than [`MAX_MESSAGE`].
pub fn encrypt(message: &[u8], to: &Keys) -> Result<Vec<u8>, String> {
    let ours = PrivateKey::generate(&ECDH_P256).map_err(|_| "no key could be made".to_owned())?;
    let mut salt = [0; SALT];
    random::fill(&mut salt);
    encrypt_with(message, to, &ours, &salt)
}

fn encrypt_with(message: &[u8], to: &Keys, ours: &PrivateKey, salt: &[u8; SALT]) -> Result<Vec<u8>, String> {
    if message.len() > MAX_MESSAGE {
        return Err(format!("the message has more than {MAX_MESSAGE} bytes"));
    }
    let failed = || "the keys of the subscription are not usable".to_owned();
    let public = ours.compute_public_key().map_err(|_| failed())?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, &to.public);
    let shared = agree(ours, theirs, failed(), |secret| {
        let info = [b"WebPush: info\0".as_slice(), &to.public, public.as_ref()];
        derive::<32>(&Salt::new(HKDF_SHA256, &to.auth).extract(secret), &info).ok_or_else(failed)
    })?;
    let prk = Salt::new(HKDF_SHA256, salt).extract(&shared);
    let key: [u8; 16] = derive(&prk, &[b"Content-Encoding: aes128gcm\0"]).ok_or_else(failed)?;
    let nonce: [u8; 12] = derive(&prk, &[b"Content-Encoding: nonce\0"]).ok_or_else(failed)?;

    let mut sealed = Vec::with_capacity(message.len() + 1 + TAG);
    sealed.extend_from_slice(message);
    sealed.push(LAST_RECORD);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(|_| failed())?);
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).map_err(|_| failed())?;

    let mut body = Vec::with_capacity(HEADER + sealed.len());
    body.extend_from_slice(salt);
    body.extend_from_slice(&(MAX_BODY as u32).to_be_bytes());
    body.push(PUBLIC as u8);
    body.extend_from_slice(public.as_ref());
    body.append(&mut sealed);
    Ok(body)
}

/// So many bytes of HKDF-Expand.
fn derive<const N: usize>(prk: &Prk, info: &[&[u8]]) -> Option<[u8; N]> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut bytes = [0; N];
    prk.expand(info, Length(N)).ok()?.fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn keys() -> Keys {
        let public = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
        Keys::parse(public, "BTBZMqHH6r4Tts7J_aSIgg").unwrap()
    }

    /// RFC 8291 §5 and appendix A.
    #[test]
    fn the_example_of_the_rfc() {
        let private = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let private = PrivateKey::from_private_key(&ECDH_P256, &private).unwrap();
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let body = encrypt_with(b"When I grow up, I want to be a watermelon", &keys(), &private, &salt).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w\
                        EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(URL_SAFE_NO_PAD.encode(body), expected);
    }

    #[test]
    fn the_longest_message_fills_the_body_and_none_is_like_another() {
        let longest = vec![b'x'; MAX_MESSAGE];
        let body = encrypt(&longest, &keys()).unwrap();
        assert_eq!(body.len(), MAX_BODY);
        assert_ne!(encrypt(&longest, &keys()).unwrap()[..HEADER], body[..HEADER], "another salt and another key");
        assert!(encrypt(&vec![b'x'; MAX_MESSAGE + 1], &keys()).is_err());
    }
}
