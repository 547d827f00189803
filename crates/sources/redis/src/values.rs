//! Reads the values of strings whose keys are known, many at a time.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::connection::{no_reply, ok};
use crate::failure::{Failure, Meaning};
use crate::links::{Failed, Links};
use crate::resp::{Reply, Request};

/// The most keys whose values are asked for by one command. The server does nothing else meanwhile:
/// for about two milliseconds.
pub(crate) const TOGETHER: usize = 5_000;

/// The number of commands that are sent before their replies are read.
const PIPELINE: usize = 1_000;

/// The value of a key.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A string.
    Text(Bytes),
    /// There is no such string: the key does not exist, or has another type.
    None,
    /// The user may not read it.
    Refused(String),
}

/// The values of these keys. Those that one server has, or that are in one slot of a cluster, are
/// read at one moment, if there are no more than [`TOGETHER`].
pub(crate) async fn values(
    links: &mut Links,
    keys: &BTreeSet<Bytes>,
) -> Result<BTreeMap<Bytes, Value>, Failed> {
    let mut groups: BTreeMap<(usize, u16), Vec<&Bytes>> = BTreeMap::new();
    for key in keys {
        let place = links.place_of(key).map_err(|failure| (0, failure))?;
        groups.entry(place).or_default().push(key);
    }
    let mut batches: Vec<Vec<Batch<'_>>> = links.all.iter().map(|_| Vec::new()).collect();
    for ((link, _), keys) in &groups {
        for keys in keys.chunks(TOGETHER) {
            match batches[*link].last_mut() {
                Some(batch) if batch.size + keys.len() <= TOGETHER => {
                    batch.size += keys.len();
                    batch.groups.push(keys);
                }
                _ => batches[*link].push(Batch { groups: vec![keys], size: keys.len() }),
            }
        }
    }
    let mut values = BTreeMap::new();
    let mut singly = Vec::new();
    // The server keeps the replies of a request in its memory, so that it gets one batch at a time.
    for round in 0..batches.iter().map(Vec::len).max().unwrap_or_default() {
        let now: Vec<Option<&Batch>> = batches.iter().map(|all| all.get(round)).collect();
        let requests: Vec<Request> =
            now.iter().map(|batch| batch.map(Batch::request).unwrap_or_default()).collect();
        let replies = links.ask(&requests).await?;
        for (link, (batch, replies)) in now.iter().zip(replies).enumerate() {
            let groups = batch.iter().flat_map(|batch| &batch.groups);
            for (keys, reply) in groups.zip(replies) {
                match reply {
                    // One key, all, or the command itself is forbidden, or some keys are moving.
                    Reply::Error(text)
                        if matches!(Meaning::of(&text), Meaning::Forbidden | Meaning::Moving) =>
                    {
                        singly.extend(keys.iter().copied());
                    }
                    Reply::List(replies) if replies.len() == keys.len() => {
                        let value = |reply| match reply {
                            Reply::Text(Some(text)) => Value::Text(text),
                            _ => Value::None,
                        };
                        let pairs = keys.iter().zip(replies);
                        values.extend(pairs.map(|(key, reply)| ((*key).clone(), value(reply))));
                    }
                    reply => return Err((link, unexpected(reply))),
                }
            }
        }
    }
    let replies = each(links, "GET", &singly).await?;
    for (key, (link, reply)) in singly.into_iter().zip(replies) {
        let value = match reply {
            Reply::Text(Some(text)) => Value::Text(text),
            Reply::Text(None) => Value::None,
            Reply::Error(text) => match Meaning::of(&text) {
                Meaning::WrongType => Value::None,
                Meaning::Forbidden => Value::Refused(text),
                _ => return Err((link, Failure::of_reply(&text))),
            },
            reply => return Err((link, unexpected(reply))),
        };
        values.insert(key.clone(), value);
    }
    Ok(values)
}

/// Groups of keys that one server is asked for in one request. The keys of a group are read together.
struct Batch<'a> {
    groups: Vec<&'a [&'a Bytes]>,
    /// The number of keys.
    size: usize,
}

impl Batch<'_> {
    fn request(&self) -> Request {
        let mut request = Request::default();
        for keys in &self.groups {
            let mut words: Vec<&[u8]> = vec![b"MGET"];
            words.extend(keys.iter().map(|key| &***key));
            request.add(&words);
        }
        request
    }
}

/// The replies to one command for each of these keys, with the number of the link.
pub(crate) async fn each(
    links: &mut Links,
    command: &str,
    keys: &[&Bytes],
) -> Result<Vec<(usize, Reply)>, Failed> {
    let mut all = Vec::with_capacity(keys.len());
    for keys in keys.chunks(PIPELINE) {
        let mut requests = vec![Request::default(); links.all.len()];
        let mut places = Vec::with_capacity(keys.len());
        for key in keys {
            let (link, _) = links.place_of(key).map_err(|failure| (0, failure))?;
            requests[link].add(&[command.as_bytes(), key]);
            places.push(link);
        }
        let mut replies: Vec<_> =
            links.ask(&requests).await?.into_iter().map(Vec::into_iter).collect();
        all.extend(places.into_iter().filter_map(|link| Some((link, replies[link].next()?))));
    }
    // What has moved already is asked for where it is now.
    for (key, (asked, reply)) in keys.iter().zip(&mut all) {
        let Reply::Error(text) = &reply else { continue };
        let Some(link) = links.moving_to(text, *asked) else { continue };
        let replies = links.ask_moving(link, &[command.as_bytes(), key]).await?;
        (*asked, *reply) = (link, replies);
    }
    Ok(all)
}

/// The failure of a reply that is an error, or of a kind that does not fit.
pub(crate) fn unexpected(reply: Reply) -> Failure {
    match ok(reply) {
        Err(failure) => failure,
        Ok(_) => no_reply(),
    }
}
