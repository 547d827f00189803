//! Reads keys: strings, hashes, and all strings below a key.
//!
//! Only commands are used that Go confd uses too (`TYPE`, `GET`, `HSCAN`, `SCAN`), so that a user who
//! may do no more is enough. `MGET` gives the values of many strings at one moment; a user who may
//! not use it gets them by `GET`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use nodes::Error;
use store::Key;
use tracing::debug;

use crate::asked::{Asked, Spelling};
use crate::connection::{no_reply, ok};
use crate::failure::{Failure, Meaning};
use crate::links::{Failed, Links};
use crate::resp::{Reply, Request};
use crate::values::{TOGETHER, Value, each, unexpected, values};

/// The number of keys or fields that the server looks at for one answer of a scan, as in Go confd: less
/// than a millisecond.
const STEP: &str = "1000";

/// What a key of a scope stands for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string.
    Text,
    /// The fields of a hash.
    Hash,
    /// All strings below it.
    Below,
}

/// The pairs that a key of a scope stands for.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) kind: Kind,
    /// Each pair: its name in confd, its key in Redis, its value.
    pub(crate) pairs: Vec<(Bytes, Bytes, Bytes)>,
}

/// Reads what each of these keys stands for, or why the server refuses to show it. `None` for a key
/// that is marked and still stands for the strings below it: these are not read.
///
/// # Errors
///
/// A server did not answer.
pub(crate) async fn read(
    links: &mut Links,
    spelling: &Spelling,
    asked: &[(&Asked, bool)],
) -> Result<Vec<Result<Option<Content>, Error>>, Failed> {
    let mut contents: Vec<Result<Option<Content>, Error>> =
        asked.iter().map(|_| Ok(None)).collect();
    let all: BTreeSet<Bytes> = asked.iter().map(|(asked, _)| asked.own.clone()).collect();
    let mut strings = values(links, &all).await?;
    let others: Vec<&Bytes> = all.iter().filter(|key| is_none(strings.get(*key))).collect();
    let types = types(links, &others).await?;
    // What became a string since.
    let late =
        others.iter().zip(&types).filter(|(_, kind)| matches!(kind, Ok(kind) if kind == "string"));
    let late: BTreeSet<Bytes> = late.map(|(key, _)| (*key).clone()).collect();
    if !late.is_empty() {
        strings.append(&mut values(links, &late).await?);
    }
    let types: BTreeMap<&Bytes, Result<Bytes, String>> = others.into_iter().zip(types).collect();
    let mut below: Vec<usize> = Vec::new();
    for (index, ((asked, is_below), content)) in asked.iter().zip(&mut contents).enumerate() {
        let own = &asked.own;
        *content = match (strings.get(own), types.get(own)) {
            (Some(Value::Text(value)), _) => Ok(Some(Content {
                kind: Kind::Text,
                pairs: vec![(spelling.name(own), own.clone(), value.clone())],
            })),
            (Some(Value::Refused(reason)), _) | (_, Some(Err(reason))) => {
                Err(refused(links, own, reason))
            }
            (_, Some(Ok(kind))) if kind == "hash" => fields(links, spelling, own).await?.map(Some),
            _ if *is_below => continue,
            _ => {
                below.push(index);
                continue;
            }
        };
    }
    let patterns: Vec<&Bytes> = below.iter().map(|index| &asked[*index].0.below).collect();
    let found = scan(links, &patterns).await?;
    let all: BTreeSet<Bytes> = found.iter().flatten().cloned().collect();
    let strings = values(links, &all).await?;
    let skipped = all.iter().filter(|key| is_none(strings.get(*key))).count();
    if skipped > 0 {
        debug!(
            "redis: {skipped} keys that are no strings were skipped; a hash is read if `keys` names it"
        );
    }
    for (index, keys) in below.into_iter().zip(found) {
        contents[index] = content_below(links, spelling, keys, &strings).map(Some);
    }
    Ok(contents)
}

/// The strings among these keys.
fn content_below(
    links: &Links,
    spelling: &Spelling,
    keys: BTreeSet<Bytes>,
    strings: &BTreeMap<Bytes, Value>,
) -> Result<Content, Error> {
    let mut pairs = Vec::with_capacity(keys.len());
    for own in keys {
        match strings.get(&own) {
            Some(Value::Text(value)) => pairs.push((spelling.name(&own), own, value.clone())),
            Some(Value::Refused(reason)) => return Err(refused(links, &own, reason)),
            Some(Value::None) | None => {}
        }
    }
    Ok(Content { kind: Kind::Below, pairs })
}

fn is_none(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::None))
}

/// The error of a key that the user may not read.
pub(crate) fn refused(links: &Links, key: &[u8], reason: &str) -> Error {
    let link = links.place_of(key).map_or(0, |(link, _)| link);
    let key = String::from_utf8_lossy(key);
    let Failure::Refused(cause) = Failure::of_reply(reason) else {
        return links.error((link, Failure::of_reply(reason)));
    };
    let text = nodes::Cause::new(format!("{cause} (key {key})"));
    links.error((link, Failure::Refused(text)))
}

/// The types of these keys, or why the server refuses to tell.
async fn types(links: &mut Links, keys: &[&Bytes]) -> Result<Vec<Result<Bytes, String>>, Failed> {
    let replies = each(links, "TYPE", keys).await?;
    let kind = |(link, reply)| match reply {
        Reply::Text(Some(kind)) => Ok(Ok(kind)),
        Reply::Error(text) if Meaning::of(&text) == Meaning::Forbidden => Ok(Err(text)),
        reply => Err((link, unexpected(reply))),
    };
    replies.into_iter().map(kind).collect()
}

/// Of these keys of scopes, those of which a key in Redis is gone. `None` if the user may not ask.
pub(crate) async fn missing<'a>(
    links: &mut Links,
    known: impl Iterator<Item = (&'a Key, Vec<&'a Bytes>)>,
) -> Result<Option<Vec<Key>>, Failed> {
    let mut requests = vec![Request::default(); links.all.len()];
    // For each command of each link: the key of a scope, and the number of keys that must exist.
    let mut expected: Vec<Vec<(&Key, usize)>> = links.all.iter().map(|_| Vec::new()).collect();
    for (key, keys) in known {
        let mut groups: BTreeMap<(usize, u16), Vec<&[u8]>> = BTreeMap::new();
        for own in keys {
            let place = links.place_of(own).map_err(|failure| (0, failure))?;
            groups.entry(place).or_default().push(own);
        }
        for ((link, _), keys) in groups {
            for keys in keys.chunks(TOGETHER) {
                requests[link].add(&[&[b"EXISTS".as_slice()], keys].concat());
                expected[link].push((key, keys.len()));
            }
        }
    }
    let replies = links.ask(&requests).await?;
    let mut missing = Vec::new();
    for (link, (replies, expected)) in replies.into_iter().zip(expected).enumerate() {
        for (reply, (key, count)) in replies.into_iter().zip(expected) {
            match reply {
                Reply::Number(number) if usize::try_from(number) == Ok(count) => {}
                Reply::Number(_) => missing.push(key.clone()),
                // Some are elsewhere already.
                Reply::Error(text) if Meaning::of(&text) == Meaning::Moving => {}
                Reply::Error(text) if Meaning::of(&text) == Meaning::Forbidden => return Ok(None),
                reply => return Err((link, unexpected(reply))),
            }
        }
    }
    Ok(Some(missing))
}

/// The fields of a hash.
async fn fields(
    links: &mut Links,
    spelling: &Spelling,
    own: &Bytes,
) -> Result<Result<Content, Error>, Failed> {
    let (mut link, _) = links.place_of(own).map_err(|failure| (0, failure))?;
    let mut is_moving = false;
    let mut pairs: BTreeMap<Bytes, Bytes> = BTreeMap::new();
    let mut cursor = Bytes::from_static(b"0");
    loop {
        let words: [&[u8]; 5] = [b"HSCAN", own, &cursor, b"COUNT", STEP.as_bytes()];
        let reply = match is_moving {
            true => links.ask_moving(link, &words).await?,
            false => links.ask_link(link, &Request::of(&words)).await?,
        };
        let (next, found) = match reply {
            Reply::Error(text) if Meaning::of(&text) == Meaning::Forbidden => {
                return Ok(Err(refused(links, own, &text)));
            }
            Reply::Error(text) if !is_moving && links.moving_to(&text, link).is_some() => {
                (link, is_moving) = (links.moving_to(&text, link).unwrap_or(link), true);
                (pairs, cursor) = (BTreeMap::new(), Bytes::from_static(b"0"));
                continue;
            }
            Reply::Error(text) if Meaning::of(&text) == Meaning::WrongType => {
                let key = String::from_utf8_lossy(own);
                let text = format!("key {key} has got another type while it was read");
                return Err((link, Failure::Unreachable(nodes::Cause::new(text))));
            }
            reply => page(Some(reply)).map_err(|failure| (link, failure))?,
        };
        let mut found = found.into_iter();
        while let (Some(field), Some(value)) = (found.next(), found.next()) {
            pairs.insert(field, value);
        }
        if &*next == b"0" {
            break;
        }
        cursor = next;
    }
    let pair = |(field, value): (Bytes, Bytes)| (spelling.name_of_field(own, &field), field, value);
    Ok(Ok(Content { kind: Kind::Hash, pairs: pairs.into_iter().map(pair).collect() }))
}

/// The keys that match each of these patterns, on all servers.
async fn scan(links: &mut Links, patterns: &[&Bytes]) -> Result<Vec<BTreeSet<Bytes>>, Failed> {
    let mut found = vec![BTreeSet::new(); patterns.len()];
    // The scans that have not ended: server, pattern, cursor. One step of all of them is one request.
    let links_of = |pattern| (0..links.all.len()).map(move |link| (link, pattern));
    let mut scans: Vec<(usize, usize, Bytes)> = (0..patterns.len())
        .flat_map(links_of)
        .map(|(link, pattern)| (link, pattern, Bytes::from_static(b"0")))
        .collect();
    while !scans.is_empty() {
        let mut requests = vec![Request::default(); links.all.len()];
        for (link, pattern, cursor) in &scans {
            let words: [&[u8]; 6] =
                [b"SCAN", cursor, b"MATCH", patterns[*pattern], b"COUNT", STEP.as_bytes()];
            requests[*link].add(&words);
        }
        let mut replies: Vec<_> =
            links.ask(&requests).await?.into_iter().map(Vec::into_iter).collect();
        let mut left = Vec::new();
        for (link, pattern, _) in scans {
            let (next, keys) = page(replies[link].next()).map_err(|failure| (link, failure))?;
            found[pattern].extend(keys);
            if &*next != b"0" {
                left.push((link, pattern, next));
            }
        }
        scans = left;
    }
    Ok(found)
}

/// The next cursor of a scan, and what it found.
fn page(reply: Option<Reply>) -> Result<(Bytes, Vec<Bytes>), Failure> {
    let reply = reply.ok_or_else(no_reply)?;
    let Reply::List(parts) = ok(reply)? else { return Err(no_reply()) };
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next()) {
        (Some(Reply::Text(Some(cursor))), Some(Reply::List(found))) => {
            let text = |reply| if let Reply::Text(text) = reply { text } else { None };
            Ok((cursor, found.into_iter().filter_map(text).collect()))
        }
        _ => Err(no_reply()),
    }
}
