//! AES in CBC mode. The text begins with the initialization vector; all of it is in base64.

use aws_lc_rs::cipher::{
    AES_256, AES_256_KEY_LEN, AES_CBC_IV_LEN, DecryptingKey, DecryptionContext,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gotmpl::Failure;
use render::funcs::data::base64_decode;

/// The key of a password: its first bytes, with zeros behind them.
fn key(password: &[u8]) -> Result<UnboundCipherKey, Unspecified> {
    let mut key = [0; AES_256_KEY_LEN];
    let len = password.len().min(key.len());
    key[..len].copy_from_slice(&password[..len]);
    UnboundCipherKey::new(&AES_256, &key)
}

fn failed(_: Unspecified) -> Failure {
    Failure::new("the cipher failed")
}

/// Encrypts a text. An empty text stays empty.
///
/// # Errors
/// The machine has no random numbers.
pub(super) fn encrypt(password: &[u8], text: &[u8]) -> Result<String, Failure> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let key =
        PaddedBlockEncryptingKey::cbc_pkcs7(key(password).map_err(failed)?).map_err(failed)?;
    let mut content = text.to_vec();
    let DecryptionContext::Iv128(vector) = key.encrypt(&mut content).map_err(failed)? else {
        return Err(failed(Unspecified));
    };
    Ok(STANDARD.encode([&vector.as_ref()[..], &content].concat()))
}

/// Decrypts what [`encrypt`] has made. An empty text stays empty.
///
/// # Errors
/// It was not made by it.
pub(super) fn decrypt(password: &[u8], text: &Bytes) -> Result<Vec<u8>, Failure> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut content =
        base64_decode(text).map_err(|error| Failure::new(error.to_string()))?.to_vec();
    if content.len() < AES_CBC_IV_LEN {
        let capacity = text.len() / 4 * 3;
        let text = "runtime error: slice bounds out of range [:16] with capacity";
        return Err(Failure::new(format!("{text} {capacity}")));
    }
    let mut encrypted = content.split_off(AES_CBC_IV_LEN);
    if encrypted.is_empty() {
        return Err(Failure::new("runtime error: index out of range [-1]"));
    }
    if !encrypted.len().is_multiple_of(AES_CBC_IV_LEN) {
        return Err(Failure::new("crypto/cipher: input not full blocks"));
    }
    let vector: [u8; AES_CBC_IV_LEN] = content.try_into().map_err(|_| failed(Unspecified))?;
    let vector = DecryptionContext::Iv128(FixedLength::from(vector));
    let key = DecryptingKey::cbc(key(password).map_err(failed)?).map_err(failed)?;
    let text = key.decrypt(&mut encrypted, vector).map_err(failed)?.to_vec();
    // The last byte says how many bytes were added. It is not checked, as in sprig.
    let added = text.last().map_or(0, |byte| usize::from(*byte));
    match text.len().checked_sub(added) {
        Some(len) => Ok(text[..len].to_vec()),
        None => {
            let over = added - text.len();
            let text = format!("runtime error: slice bounds out of range [:-{over}]");
            Err(Failure::new(text))
        }
    }
}
