//! URLs, by the rules of Go's `net/url`.

use bytes::Bytes;
use gotmpl::{Failure, Map, Value};

use super::logic::kind;
use super::values::{lossy, quoting};
use super::{Library, Machine};

pub(super) fn add(library: &mut Library<'_>) {
    library.add("urlParse", "|url", |_: &Machine, text: Bytes| {
        let url = Url::parse(&text).map_err(|why| {
            let shown = gotmpl::quote(&text);
            quoting(&format!("unable to parse url: parse {shown}: {why}"), &text)
        })?;
        let host = url.hostname();
        let parts = [
            ("scheme", url.scheme.clone()),
            ("host", url.host.clone()),
            ("hostname", host),
            ("path", url.path.clone()),
            ("query", url.query.clone()),
            ("opaque", url.opaque.clone()),
            ("fragment", url.fragment.clone()),
            ("userinfo", url.user.as_ref().map(User::text).unwrap_or_default()),
        ];
        let entries = parts.map(|(name, value)| (Bytes::from(name), Value::String(value.into())));
        Ok::<_, Failure>(Map::values(entries.to_vec()))
    });
    library.add("urlJoin", "|parts", |_: &Machine, parts: Map| {
        let part = |name: &str| match parts.get(name.as_bytes()) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(text.to_vec()),
            Some(Value::Nil) => Err(Failure::new(
                "runtime error: invalid memory address or nil pointer dereference",
            )),
            Some(value) => Err(Failure::new(format!(
                "unable to parse {name} key, must be of type string, but {} found",
                kind(&value)
            ))),
        };
        let mut url = Url {
            scheme: part("scheme")?,
            host: part("host")?,
            path: part("path")?,
            query: part("query")?,
            opaque: part("opaque")?,
            fragment: part("fragment")?,
            user: None,
        };
        let user = part("userinfo")?;
        if !user.is_empty() {
            let text = [b"proto://", &user[..], b"@host"].concat();
            url.user = Url::parse(&text).map(|url| url.user).map_err(|why| {
                let shown = gotmpl::quote(&text);
                quoting(
                    &format!("unable to parse userinfo in dict: parse {shown}: {why}"),
                    &user.into(),
                )
            })?;
        }
        Ok::<_, Failure>(url.text())
    });
}

/// A URL, with its parts decoded.
#[derive(Default)]
struct Url {
    scheme: Vec<u8>,
    opaque: Vec<u8>,
    user: Option<User>,
    host: Vec<u8>,
    path: Vec<u8>,
    /// Not decoded.
    query: Vec<u8>,
    fragment: Vec<u8>,
}

struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

/// A part of a URL, which decides what is escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    Zone,
    User,
    Fragment,
}

impl Url {
    /// Cuts a URL.
    ///
    /// # Errors
    /// Go's words for what is wrong.
    fn parse(text: &[u8]) -> Result<Url, String> {
        let (text, fragment) = split(text, b'#').unwrap_or((text, b""));
        if text.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let mut url = Url::default();
        if text == b"*" {
            url.path = text.to_vec();
        } else {
            url.parse_behind_fragment(text)?;
        }
        url.fragment = unescape(fragment, Part::Fragment)?;
        Ok(url)
    }

    fn parse_behind_fragment(&mut self, text: &[u8]) -> Result<(), String> {
        let (scheme, rest) = scheme(text)?;
        self.scheme = scheme.to_ascii_lowercase();
        let (mut rest, query) = split(rest, b'?').unwrap_or((rest, b""));
        self.query = query.to_vec();
        if !rest.starts_with(b"/") {
            if !self.scheme.is_empty() {
                self.opaque = rest.to_vec();
                return Ok(());
            }
            let first = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
            if first.contains(&b':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        let has_authority = !self.scheme.is_empty() || !rest.starts_with(b"///");
        if has_authority && let Some(behind) = rest.strip_prefix(b"//") {
            let end = behind.iter().position(|byte| *byte == b'/').unwrap_or(behind.len());
            let (authority, path) = behind.split_at(end);
            rest = path;
            self.parse_authority(authority)?;
        }
        self.path = unescape(rest, Part::Path)?;
        Ok(())
    }

    fn parse_authority(&mut self, text: &[u8]) -> Result<(), String> {
        let at = text.iter().rposition(|byte| *byte == b'@');
        let host = at.map_or(text, |at| &text[at + 1..]);
        self.host = host_of(host)?;
        let Some(at) = at else { return Ok(()) };
        let user = &text[..at];
        let is_valid =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
        if !user.iter().all(is_valid) {
            return Err("net/url: invalid userinfo".to_owned());
        }
        let (name, password) = match split(user, b':') {
            Some((name, password)) => (name, Some(unescape(password, Part::User)?)),
            None => (user, None),
        };
        self.user = Some(User { name: unescape(name, Part::User)?, password });
        Ok(())
    }

    /// The host without its port, and without the brackets of an address.
    fn hostname(&self) -> Vec<u8> {
        let host = &self.host;
        if let Some(rest) = host.strip_prefix(b"[") {
            let end = rest.iter().position(|byte| *byte == b']').unwrap_or(rest.len());
            return rest[..end].to_vec();
        }
        let colon = host.iter().rposition(|byte| *byte == b':');
        match colon.filter(|colon| is_port(&host[*colon..])) {
            Some(colon) => host[..colon].to_vec(),
            None => host.clone(),
        }
    }

    /// The URL as a text.
    fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if !self.opaque.is_empty() {
            out.extend_from_slice(&self.opaque);
        } else {
            let has_authority =
                !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some();
            if has_authority {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    out.extend_from_slice(b"//");
                }
                if let Some(user) = &self.user {
                    out.extend_from_slice(&user.text());
                    out.push(b'@');
                }
                out.extend_from_slice(&escape(&self.host, Part::Host));
            }
            let path = match &*self.path {
                b"*" => b"*".to_vec(),
                path => escape(path, Part::Path),
            };
            if path.first().is_some_and(|first| *first != b'/') && !self.host.is_empty() {
                out.push(b'/');
            }
            if out.is_empty() {
                let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
                if first.contains(&b':') {
                    out.extend_from_slice(b"./");
                }
            }
            out.extend_from_slice(&path);
        }
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend_from_slice(&escape(&self.fragment, Part::Fragment));
        }
        out
    }
}

impl User {
    fn text(&self) -> Vec<u8> {
        let mut out = escape(&self.name, Part::User);
        if let Some(password) = &self.password {
            out.push(b':');
            out.extend_from_slice(&escape(password, Part::User));
        }
        out
    }
}

/// The texts before and behind the first `separator`.
fn split(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == separator)?;
    Some((&text[..place], &text[place + 1..]))
}

/// The scheme and what is behind its colon.
fn scheme(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    for (place, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if place > 0 => {}
            b':' if place == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..place], &text[place + 1..])),
            _ => break,
        }
    }
    Ok((b"", text))
}

/// The host and port of an authority, decoded.
fn host_of(text: &[u8]) -> Result<Vec<u8>, String> {
    let bad_port = |port: &[u8]| format!("invalid port {} after host", gotmpl::quote(port));
    if text.starts_with(b"[") {
        let Some(end) = text.iter().rposition(|byte| *byte == b']') else {
            return Err("missing ']' in host".to_owned());
        };
        if !is_port(&text[end + 1..]) {
            return Err(bad_port(&text[end + 1..]));
        }
        // An address can have a zone behind an escaped percent sign.
        if let Some(zone) = text[..end].windows(3).position(|window| window == b"%25") {
            let host = unescape(&text[..zone], Part::Host)?;
            let zone = unescape(&text[zone..end], Part::Zone)?;
            return Ok([host, zone, unescape(&text[end..], Part::Host)?].concat());
        }
    } else if let Some(colon) = text.iter().rposition(|byte| *byte == b':')
        && !is_port(&text[colon..])
    {
        return Err(bad_port(&text[colon..]));
    }
    unescape(text, Part::Host)
}

/// Whether a text is nothing, or a colon with digits.
fn is_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Decodes a part of a URL.
fn unescape(text: &[u8], part: Part) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            let is_host = matches!(part, Part::Host | Part::Zone);
            if is_host && *first < 0x80 && should_escape(*first, part) {
                let shown = lossy(&Bytes::copy_from_slice(&[*first]));
                return Err(format!("invalid character {shown:?} in host name"));
            }
            out.push(*first);
            continue;
        }
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let escape = &text[text.len() - behind.len() - 1..];
        let escape = &escape[..escape.len().min(3)];
        let invalid = || format!("invalid URL escape {}", gotmpl::quote(escape));
        let byte = byte.ok_or_else(invalid)?;
        // In a host, only bytes beyond ASCII are escaped; in its zone, also some others.
        match part {
            Part::Host if byte < 0x80 && escape != b"%25" => return Err(invalid()),
            Part::Zone if escape != b"%25" && byte != b' ' && should_escape(byte, Part::Host) => {
                return Err(invalid());
            }
            _ => {}
        }
        out.push(byte);
        rest = &behind[2..];
    }
    Ok(out)
}

fn escape(text: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match should_escape(*byte, part) {
            true => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            false => out.push(*byte),
        }
    }
    out
}

fn should_escape(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return false;
    }
    let plain: &[u8] = match part {
        Part::Path => b"$&+,/:;=@",
        Part::User => b"$&+,;=",
        Part::Fragment => b"$&+,/:;=?@!()*",
        Part::Host | Part::Zone => b"!$&'()*+,;=:[]<>\"",
    };
    !plain.contains(&byte)
}
