//! Hashes of passwords, and passwords made from a master password.

use aws_lc_rs::hmac;
use gotmpl::Failure;

/// The number of rounds of bcrypt, as a power of two.
const COST: u32 = 10;
/// The longest password of bcrypt, in bytes.
const LONGEST: usize = 72;

/// The bcrypt hash of a password, or a text that says why there is none.
pub(super) fn bcrypt(password: &[u8]) -> String {
    let failed =
        |why: &dyn std::fmt::Display| format!("failed to encrypt string with bcrypt: {why}");
    if password.len() > LONGEST {
        return failed(&"bcrypt: password length exceeds 72 bytes");
    }
    let mut salt = [0; 16];
    if let Err(error) = aws_lc_rs::rand::fill(&mut salt) {
        return failed(&error);
    }
    match bcrypt::hash_with_salt(password, COST, salt) {
        Ok(hash) => hash.format_for_version(bcrypt::Version::TwoA),
        Err(error) => failed(&error),
    }
}

/// The forms of a password: each letter stands for a set of characters.
fn forms(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

/// The characters that a letter of a form stands for.
fn characters(letter: u8) -> &'static [u8] {
    match letter {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// The password of a site, by the algorithm of Master Password.
///
/// # Errors
/// The machine has too little memory.
pub(super) fn derive(
    counter: u32,
    form: &str,
    password: &[u8],
    user: &[u8],
    site: &[u8],
) -> Result<String, Failure> {
    const SCOPE: &[u8] = b"com.lyndir.masterpassword";
    let Some(forms) = forms(form) else {
        return Ok(format!("cannot find password template {form}"));
    };
    let with_length = |text: &[u8]| [&(text.len() as u32).to_be_bytes()[..], text].concat();
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(format!("failed to derive password: {error}"));
    let parameters = scrypt::Params::new(15, 8, 2).map_err(|error| failed(&error))?;
    let mut key = [0; 64];
    scrypt::scrypt(password, &[SCOPE, &with_length(user)].concat(), &parameters, &mut key)
        .map_err(|error| failed(&error))?;
    let message = [SCOPE, &with_length(site), &counter.to_be_bytes()].concat();
    let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &message);
    let (first, rest) = seed.as_ref().split_first().unwrap_or((&0, &[]));
    let form = forms[usize::from(*first) % forms.len()];
    let characters = form.bytes().zip(rest).map(|(letter, byte)| {
        let characters = characters(letter);
        char::from(characters[usize::from(*byte) % characters.len()])
    });
    Ok(characters.collect())
}
