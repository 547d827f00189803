//! Functions of texts.

use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use gotmpl::{Failure, Functions, Map, Value};
use md5::Md5;
use render::funcs::{
    self,
    data::{base64_decode, base64_url_decode},
};
use sha2::{Digest, Sha256};

use super::Context;
use render::library::expression as regexp;
use render::library::values::{Int64, Uint64, bounded, lossy};
use render::library::{float, hex};

pub(super) fn add(functions: &mut Functions<Context>) {
    functions.add("base64Encode", |_: &Context, text: Bytes| STANDARD.encode(text));
    functions.add("base64Decode", |_: &Context, text: Bytes| {
        named("base64Decode", base64_decode(&text))
    });
    functions.add("base64URLEncode", |_: &Context, text: Bytes| URL_SAFE.encode(text));
    functions.add("base64URLDecode", |_: &Context, text: Bytes| {
        named("base64URLDecode", base64_url_decode(&text))
    });
    functions.add("sha256Hex", |_: &Context, text: Bytes| hex(&Sha256::digest(&text)));
    functions.add("md5sum", |_: &Context, text: Bytes| hex(&Md5::digest(&text)));
    functions
        .add("hmacSHA256Hex", |_: &Context, message: Bytes, key: Bytes| hex(&hmac(&key, &message)));

    functions.add("indent", |_: &Context, width: i64, text: Bytes| indent(width, &text));
    functions
        .add("join", |_: &Context, separator: Bytes, list: Vec<Bytes>| list.join(&separator[..]));
    functions.add("split", |_: &Context, separator: Bytes, text: Bytes| {
        let text = lossy(&text);
        match text.trim() {
            "" => Vec::new(),
            text if separator.is_empty() => {
                text.chars().map(|c| Bytes::from(c.to_string())).collect()
            }
            text => {
                let separator = lossy(&separator);
                text.split(&*separator)
                    .map(|part| Bytes::copy_from_slice(part.as_bytes()))
                    .collect()
            }
        }
    });
    functions.add("splitToMap", |_: &Context, outer: Bytes, inner: Bytes, text: Bytes| {
        let (text, outer, inner) = (lossy(&text), lossy(&outer), lossy(&inner));
        let items = text.trim().split(&*outer).map(str::to_owned).collect::<Vec<_>>();
        let pairs = items.iter().filter_map(|item| item.split_once(&*inner));
        let own = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Value::Map(Map::strings(
            pairs.map(|(key, value)| (own(key), own(value))).collect::<Vec<_>>(),
        ))
    });
    functions.add("trim", |_: &Context, set: Bytes, text: Bytes| {
        let set = lossy(&set);
        lossy(&text).trim_matches(|c| set.contains(c)).to_owned()
    });
    functions.add("trimPrefix", |_: &Context, prefix: Bytes, text: Bytes| {
        match text.strip_prefix(&*prefix) {
            Some(rest) => text.slice_ref(rest),
            None => text,
        }
    });
    functions.add("trimSuffix", |_: &Context, suffix: Bytes, text: Bytes| {
        match text.strip_suffix(&*suffix) {
            Some(rest) => text.slice_ref(rest),
            None => text,
        }
    });
    functions.add("trimSpace", |_: &Context, text: Bytes| lossy(&text).trim().to_owned());
    functions.add("toLower", |_: &Context, text: Bytes| render::funcs::text::to_lower(&text));
    functions.add("toUpper", |_: &Context, text: Bytes| render::funcs::text::to_upper(&text));
    functions.add("toTitle", |_: &Context, text: Bytes| title(&text));
    functions.add("replaceAll", |_: &Context, from: Bytes, to: Bytes, text: Bytes| {
        render::funcs::text::replace(&text, &from, &to, -1)
            .map_err(|error| Failure::new(error.to_string()))
    });
    functions.add("regexMatch", |_: &Context, expression: Bytes, text: Bytes| {
        Ok::<_, Failure>(regexp::compile(&expression)?.is_match(&text))
    });
    functions.add("regexReplaceAll", |_: &Context, expression: Bytes, with: Bytes, text: Bytes| {
        regexp::replace(&regexp::compile(&expression)?, &text, &with)
    });

    functions.add("parseBool", |_: &Context, text: Bytes| {
        parse(&text, "parseBool", |text| options::gobool::parse(text).ok_or(SYNTAX))
    });
    functions.add("parseFloat", |_: &Context, text: Bytes| parse(&text, "parseFloat", float));
    functions
        .add("parseInt", |_: &Context, text: Bytes| parse(&text, "parseInt", integer).map(Int64));
    functions.add("parseUint", |_: &Context, text: Bytes| {
        let number = parse(&text, "parseUint", |text| match text.starts_with('+') {
            true => Err(SYNTAX),
            false => integer(text),
        });
        number.map(Uint64)
    });
    functions.add("in", |_: &Context, list: Value, value: Value| {
        super::collections::in_list(&list, &value)
    });
    functions.add("contains", |_: &Context, value: Value, list: Value| {
        super::collections::in_list(&list, &value)
    });
}

/// RFC 2104 with SHA-256.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    /// The size of a block of SHA-256.
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    match key.len() {
        0..=BLOCK => block[..key.len()].copy_from_slice(key),
        _ => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let with = |pad: u8, content: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(block.map(|byte| byte ^ pad));
        hash.update(content);
        hash.finalize()
    };
    with(0x5c, &with(0x36, message)).to_vec()
}

/// The result of a function, with the function's name before its error.
fn named<T>(name: &str, result: Result<T, funcs::Error>) -> Result<T, Failure> {
    result.map_err(|error| Failure::new(format!("{name}: {error}")))
}

/// The lines of a text, each with `width` blanks before it unless it is empty.
fn indent(width: i64, text: &[u8]) -> Result<Vec<u8>, Failure> {
    let width = usize::try_from(width)
        .map_err(|_| Failure::new("indent value must be a positive integer"))?;
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let count = lines.clone().count();
    bounded(count.saturating_mul(width).saturating_add(text.len()))?;
    let mut out = Vec::with_capacity(text.len() + count * width);
    for line in lines {
        if line != b"\n" {
            out.resize(out.len() + width, b' ');
        }
        out.extend_from_slice(line);
    }
    Ok(out)
}

/// The text with the first letter of each word in upper case. A word can contain an apostrophe or a
/// point between letters, as in Unicode's rules about words.
fn title(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.extend(title_of_words(chunk.valid()).into_bytes());
        out.extend(chunk.invalid());
    }
    out
}

fn title_of_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut previous = ' ';
    let mut is_titled = false;
    while let Some(c) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        let joins = match c {
            '\'' | '.' | '\u{2019}' => {
                previous.is_alphabetic() && next.is_alphabetic()
                    || previous.is_numeric() && next.is_numeric()
            }
            ':' | '\u{b7}' => previous.is_alphabetic() && next.is_alphabetic(),
            ',' | ';' => previous.is_numeric() && next.is_numeric(),
            c => c.is_alphanumeric() || c == '_',
        };
        is_titled = is_titled && joins;
        let is_titlecase = c.is_alphabetic() && title_letter(c) == Some(c);
        if !is_titled && (c.is_lowercase() || c.is_uppercase() || is_titlecase) {
            push_title(&mut out, c);
            is_titled = true;
        } else {
            out.push(c);
        }
        previous = c;
    }
    out
}

/// Adds a letter as the first one of a word.
fn push_title(out: &mut String, c: char) {
    if let Some(letter) = title_letter(c) {
        out.push(letter);
        return;
    }
    // A ligature has several letters; only the first becomes large. The iota below a Greek letter stays
    // there.
    let is_greek = ('\u{1f00}'..='\u{1fff}').contains(&c);
    let mut has_large = false;
    for upper in c.to_uppercase() {
        match upper {
            '\u{399}' if is_greek && has_large => out.push('\u{345}'),
            upper if has_large => out.extend(upper.to_lowercase()),
            upper => out.push(upper),
        }
        has_large |= upper.is_uppercase();
    }
}

/// The letter that Unicode has for the beginning of a word, if it is not the capital one.
fn title_letter(c: char) -> Option<char> {
    let of = |code: u32| char::from_u32(code);
    let code = u32::from(c);
    match code {
        0x1c4..=0x1cc => of((code - 0x1c4) / 3 * 3 + 0x1c5),
        0x1f1..=0x1f3 => of(0x1f2),
        // Georgian has no letters for the beginning of a word.
        0x10d0..=0x10fa | 0x10fd..=0x10ff => Some(c),
        0x1f80..=0x1faf => of(code | 8),
        0x1fb3 | 0x1fbc => of(0x1fbc),
        0x1fc3 | 0x1fcc => of(0x1fcc),
        0x1ff3 | 0x1ffc => of(0x1ffc),
        _ => None,
    }
}

/// Reads a number or a boolean for the function `name`. An empty text is zero.
pub(super) fn parse<T: Default>(
    text: &Bytes,
    name: &str,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<T, Failure> {
    let text = lossy(text);
    if text.is_empty() {
        return Ok(T::default());
    }
    read(&text).map_err(|why| {
        let function = name.replacen('p', "P", 1);
        Failure::new(format!("{name}: strconv.{function}: parsing {text:?}: {why}"))
    })
}

const SYNTAX: &str = "invalid syntax";

/// An integer in decimal digits.
pub(super) fn integer<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => SYNTAX,
    })
}
