//! Texts: cutting, wrapping, quoting, encoding and hashing.

use crate::funcs::data::base64_decode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gotmpl::{Failure, Rest, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::dates::nearest;
use super::values::{bounded, lossy};
use super::{Library, Machine, hex, text_of};

/// The alphabet of base 32.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(super) fn add(library: &mut Library<'_>) {
    library.add("abbrev", "width |text", |_: &Machine, width: i64, text: Bytes| {
        abbreviated(&text, 0, width)
    });
    library.add(
        "abbrevboth",
        "left right |text",
        |_: &Machine, left: i64, right: i64, text: Bytes| match right < 4 || left > 0 && right < 7 {
            true => text.to_vec(),
            false => abbreviated(&text, left, right),
        },
    );
    library.add("trunc", "count |text", |_: &Machine, count: i64, text: Bytes| {
        let len = text.len() as i64;
        match count {
            ..0 if len + count > 0 => text.slice((len + count) as usize..),
            0.. if len > count => text.slice(..count as usize),
            _ => text,
        }
    });
    library.add("substr", "start end |text", |_: &Machine, start: i64, end: i64, text: Bytes| {
        let len = text.len() as i64;
        let range = match (start, end) {
            (..0, end) => 0..end,
            (start, ..0) => start..len,
            (start, end) if end > len => start..len,
            (start, end) => start..end,
        };
        let (Ok(from), Ok(to)) = (usize::try_from(range.start), usize::try_from(range.end)) else {
            return Err(Failure::new("runtime error: slice bounds out of range"));
        };
        match from <= to {
            _ if to > text.len() => {
                let len = text.len();
                let text =
                    format!("runtime error: slice bounds out of range [:{to}] with length {len}");
                Err(Failure::new(text))
            }
            true => Ok(text.slice(from..to)),
            false => {
                let text = format!("runtime error: slice bounds out of range [{from}:{to}]");
                Err(Failure::new(text))
            }
        }
    });
    library.add("trim", "|text", |_: &Machine, text: Bytes| lossy(&text).trim().to_owned());
    library.add("trimAll", "chars |text", trim_all);
    library.add_sprig("trimall", trim_all);
    library.add_sprig("trimSuffix", |_: &Machine, suffix: Bytes, text: Bytes| {
        text.strip_suffix(&*suffix).unwrap_or(&text).to_vec()
    });
    // The order of confd's own `trimSuffix`.
    library.add_own("trimPrefix", "|text prefix", |_: &Machine, text: Bytes, prefix: Bytes| {
        text.strip_prefix(&*prefix).unwrap_or(&text).to_vec()
    });
    library.add_sprig("trimPrefix", |_: &Machine, prefix: Bytes, text: Bytes| {
        text.strip_prefix(&*prefix).unwrap_or(&text).to_vec()
    });
    library.add_sprig("contains", |_: &Machine, part: Bytes, text: Bytes| {
        lossy(&text).contains(&*lossy(&part))
    });
    library.add("hasPrefix", "prefix |text", |_: &Machine, start: Bytes, text: Bytes| {
        text.starts_with(&start)
    });
    library.add("hasSuffix", "suffix |text", |_: &Machine, end: Bytes, text: Bytes| {
        text.ends_with(&end)
    });
    library.add_sprig("replace", |_: &Machine, from: Bytes, to: Bytes, text: Bytes| {
        crate::funcs::text::replace(&text, &from, &to, -1)
            .map_err(|error| Failure::new(error.to_string()))
    });
    library.add("repeat", "count |text", |_: &Machine, count: i64, text: Bytes| {
        match usize::try_from(count) {
            Err(_) => Err(Failure::new("strings: negative Repeat count")),
            Ok(count) => {
                bounded(count.saturating_mul(text.len()))?;
                Ok(text.repeat(count))
            }
        }
    });
    library
        .add("indent", "width |text", |_: &Machine, width: i64, text: Bytes| indent(width, &text));
    library.add("nindent", "width |text", |_: &Machine, width: i64, text: Bytes| {
        Ok::<_, Failure>([b"\n", &*indent(width, &text)?].concat())
    });
    library.add("wrap", "width |text", |_: &Machine, width: i64, text: Bytes| {
        wrapped(&text, width, b"\n", false)
    });
    library.add(
        "wrapWith",
        "width end |text",
        |_: &Machine, width: i64, end: Bytes, text: Bytes| wrapped(&text, width, &end, true),
    );
    library.add("quote", "|values...", |_: &Machine, values: Rest<Value>| {
        joined(&values.0, |text| gotmpl::quote(text))
    });
    library.add_sprig("squote", |_: &Machine, values: Rest<Value>| {
        joined(&values.0, |text| format!("'{}'", lossy(text)))
    });
    // A quotation mark is doubled, which is how YAML writes one between single quotes.
    library.add_own("squote", "|values...", |_: &Machine, values: Rest<Value>| {
        joined(&values.0, |text| format!("'{}'", lossy(text).replace('\'', "''")))
    });
    library.add("cat", "|values...", |_: &Machine, values: Rest<Value>| joined(&values.0, lossy));
    library.add("toString", "|value", |_: &Machine, value: Value| text_of(&value));
    library.add(
        "plural",
        "one many |count",
        |_: &Machine, one: Bytes, many: Bytes, count: i64| {
            if count == 1 { one } else { many }
        },
    );
    library.add_sprig("atoi", |_: &Machine, text: Bytes| nearest(&lossy(&text)));

    library.add("b64enc", "|text", |_: &Machine, text: Bytes| STANDARD.encode(text));
    library.add_sprig("b64dec", |_: &Machine, text: Bytes| {
        base64_decode(&text).unwrap_or_else(|error| error.to_string().into())
    });
    library.add_own("b64dec", "|text", |_: &Machine, text: Bytes| {
        base64_decode(&text).map_err(Failure::from)
    });
    library.add("b32enc", "|text", |_: &Machine, text: Bytes| base32(&text));
    library.add_sprig("b32dec", |_: &Machine, text: Bytes| {
        unbase32(&text).unwrap_or_else(String::into_bytes)
    });
    library.add_own("b32dec", "|text", |_: &Machine, text: Bytes| {
        unbase32(&text).map_err(Failure::from)
    });
    library.add("sha1sum", "|text", |_: &Machine, text: Bytes| hex(&Sha1::digest(&text)));
    library.add("sha256sum", "|text", |_: &Machine, text: Bytes| hex(&Sha256::digest(&text)));
    library.add("sha512sum", "|text", |_: &Machine, text: Bytes| hex(&Sha512::digest(&text)));
    library.add("adler32sum", "|text", |_: &Machine, text: Bytes| adler32(&text).to_string());
}

fn trim_all(_: &Machine, set: Bytes, text: Bytes) -> String {
    let set = lossy(&set);
    lossy(&text).trim_matches(|c| set.contains(c)).to_owned()
}

/// The text without what exceeds the width, from the byte `offset` on.
fn abbreviated(text: &[u8], offset: i64, width: i64) -> Vec<u8> {
    let len = text.len() as i64;
    if width < 4 || len <= width {
        return text.to_vec();
    }
    let mut offset = offset.min(len);
    if len.saturating_sub(offset) <= width - 3 {
        offset = len - (width - 3);
    }
    if offset <= 4 {
        return [&text[..(width - 3) as usize], b"..."].concat();
    }
    match offset + width - 3 < len {
        true => [b"...", &*abbreviated(&text[offset as usize..], 0, width - 3)].concat(),
        false => [b"...", &text[(len - (width - 3)) as usize..]].concat(),
    }
}

fn indent(width: i64, text: &[u8]) -> Result<Vec<u8>, Failure> {
    let width =
        usize::try_from(width).map_err(|_| Failure::new("strings: negative Repeat count"))?;
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    bounded(lines.saturating_mul(width).saturating_add(text.len()))?;
    let mut out = vec![b' '; width];
    for byte in text {
        out.push(*byte);
        if *byte == b'\n' {
            out.resize(out.len() + width, b' ');
        }
    }
    Ok(out)
}

/// The text in lines of at most `width` bytes. A longer word is cut if `cuts_words`.
fn wrapped(
    text: &[u8],
    width: i64,
    end_of_line: &[u8],
    cuts_words: bool,
) -> Result<Vec<u8>, Failure> {
    let end_of_line = if end_of_line.is_empty() { b"\n" } else { end_of_line };
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while rest.len() > width {
        if rest[0] == b' ' {
            rest = &rest[1..];
            continue;
        }
        let blank = rest[..=width].iter().rposition(|byte| *byte == b' ');
        let later =
            || rest[width..].iter().position(|byte| *byte == b' ').map(|place| place + width);
        let (line, next) = match blank {
            Some(blank) => (blank, blank + 1),
            None if cuts_words => (width, width),
            None => match later() {
                Some(blank) => (blank, blank + 1),
                None => break,
            },
        };
        out.extend_from_slice(&rest[..line]);
        out.extend_from_slice(end_of_line);
        bounded(out.len())?;
        rest = &rest[next..];
    }
    out.extend_from_slice(rest);
    Ok(out)
}

/// The values that are not nil, each in the form `show`, with blanks between them.
fn joined(values: &[Value], show: impl Fn(&Bytes) -> String) -> String {
    let values = values.iter().filter(|value| !value.is_nil());
    values.map(|value| show(&text_of(value))).collect::<Vec<_>>().join(" ")
}

fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let digits = (chunk.len() * 8).div_ceil(5);
        for nth in 0..8 {
            let digit = BASE32[(bits >> (35 - 5 * nth)) as usize & 31];
            out.push(if nth < digits { char::from(digit) } else { '=' });
        }
    }
    out
}

/// What a text in base 32 means. Line ends do not count.
///
/// # Errors
/// The text of Go's error.
fn unbase32(text: &[u8]) -> Result<Vec<u8>, String> {
    let text: Vec<u8> =
        text.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    decoded(&text).ok_or_else(|| {
        let is_digit = |byte: &u8| BASE32.contains(byte) || *byte == b'=';
        let at = text.iter().position(|byte| !is_digit(byte)).unwrap_or(text.len());
        format!("illegal base32 data at input byte {at}")
    })
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for chunk in text.chunks(8) {
        let digits = chunk.iter().take_while(|byte| **byte != b'=').count();
        if chunk.len() != 8 || !matches!(digits, 2 | 4 | 5 | 7 | 8) {
            return None;
        }
        let mut bits = 0_u64;
        for byte in chunk {
            let digit = BASE32.iter().position(|known| known == byte);
            let digit = if *byte == b'=' { Some(0) } else { digit };
            bits = bits << 5 | digit? as u64;
        }
        out.extend_from_slice(&bits.to_be_bytes()[3..3 + digits * 5 / 8]);
    }
    Some(out)
}

fn adler32(bytes: &[u8]) -> u32 {
    /// The largest prime below 2^16.
    const PRIME: u32 = 65_521;
    let (mut a, mut b) = (1, 0);
    for byte in bytes {
        a = (a + u32::from(*byte)) % PRIME;
        b = (b + a) % PRIME;
    }
    b << 16 | a
}
