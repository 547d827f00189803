//! The metadata of an instance of EC2.
//!
//! A key is a path of the metadata: `/meta-data/instance-id`, or `/instance-id` for short;
//! `/dynamic/…`; `/user-data`. A key that is a folder stands for everything below it. What is a folder,
//! the slash behind its name in the list of its own folder says.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use client_aws::{Metadata, MetadataPlace, Options, Service, VARIABLES};
use nodes::Error;
use options::Invalid;
use source::{Changes, Configured, Description, Setup, Source};
use store::Key;
use tokio::time::Instant;

use crate::keys::{self, OfKey, Pairs, Polled, text};

/// The metadata, as users see them.
pub static DESCRIPTION: Description = Description {
    names: &["imds"],
    summary: "the metadata of this instance of AWS EC2",
    options: &[OPTIONS],
    variables: &[VARIABLES],
    changes: Changes::OnlyPolled,
    configure,
};

options::options! {
    /// The options that only this source has.
    const OPTIONS;
    const CACHE_TTL: Opt<Duration> = text(
        "imds-cache-ttl",
        "60s",
        "how long an answer of the instance metadata counts (0s: it is asked each time)",
    )
    .key("imds_cache_ttl");
}

#[derive(Debug, PartialEq)]
struct Chosen {
    place: MetadataPlace,
    lifetime: Duration,
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    // No service is asked: the options of each have the place of the metadata.
    let place = Options::of(setup.given, &Service::SSM)?.metadata;
    Ok(Box::new(Chosen { place, lifetime: setup.given.get(&CACHE_TTL)? }))
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        "imds"
    }

    fn places(&self) -> Vec<String> {
        vec![nodes::address::shown(&self.place.address)]
    }

    fn open(&self) -> Box<dyn Source> {
        let metadata = Metadata::new(self.place.clone());
        let known = Mutex::new(HashMap::new());
        Box::new(Polled(Box::new(Instance { metadata, lifetime: self.lifetime, known })))
    }
}

struct Instance {
    metadata: Metadata,
    lifetime: Duration,
    /// The answers so far, by path, each with its time.
    known: Mutex<HashMap<String, (Instant, Option<Bytes>)>>,
}

#[async_trait]
impl keys::Service for Instance {
    async fn read(&self, keys: &[Key]) -> Vec<OfKey> {
        let mut results = Vec::new();
        // One after the other: the instance answers at once, and keys share what is asked.
        for key in keys {
            let result = self.of_key(&text(key)).await;
            let has_failed = result.as_ref().is_err_and(|error| !error.is_refusal());
            results.push(result);
            if has_failed {
                break;
            }
        }
        results
    }
}

impl Instance {
    async fn of_key(&self, key: &str) -> OfKey {
        let path = path_of(key);
        let key = key.trim_end_matches('/');
        if path == "user-data" || !self.is_folder(&path).await? {
            let value = self.get(&path).await?;
            return Ok(value
                .map(|value| (Bytes::from(key.to_owned()), value))
                .into_iter()
                .collect());
        }
        let mut pairs = Pairs::new();
        let mut pending = vec![String::new()];
        while let Some(below) = pending.pop() {
            for entry in self.list(&format!("{path}/{below}")).await?.unwrap_or_default() {
                if entry.ends_with('/') {
                    pending.push(format!("{below}{entry}"));
                } else if let Some(value) = self.get(&format!("{path}/{below}{entry}")).await? {
                    pairs.push((format!("{key}/{below}{entry}").into(), value));
                }
            }
        }
        Ok(pairs)
    }

    /// Whether the list of the folder above says so. The folders at the top have no such list.
    async fn is_folder(&self, path: &str) -> Result<bool, Error> {
        let Some((above, name)) = path.rsplit_once('/') else { return Ok(true) };
        let list = self.list(&format!("{above}/")).await?.unwrap_or_default();
        Ok(list.iter().any(|entry| entry.strip_suffix('/') == Some(name)))
    }

    /// The names in a folder, those of folders with a slash behind them; `None` if there is no such folder.
    async fn list(&self, folder: &str) -> Result<Option<Vec<String>>, Error> {
        let Some(list) = self.get(folder).await? else { return Ok(None) };
        let list = String::from_utf8_lossy(&list);
        let entry = |line: &str| match line.split_once('=') {
            // A public key is listed as `0=name`, and is the folder `0/`.
            Some((number, _)) => format!("{number}/"),
            None => line.to_owned(),
        };
        let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(Some(lines.map(entry).collect()))
    }

    /// What is at a path, from the instance or from what it has answered before.
    async fn get(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let now = Instant::now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if let Some((_, answer)) = known.filter(|(at, _)| now < *at + self.lifetime) {
            return Ok(answer);
        }
        let answer = self.metadata.get(path).await?.map(Bytes::from);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (at, _)| now < *at + self.lifetime);
        known.insert(path.to_owned(), (now, answer.clone()));
        Ok(answer)
    }
}

/// The path of a key, without `latest/` and without a slash at its ends.
fn path_of(key: &str) -> String {
    let path = key.trim_matches('/');
    let path = path.strip_prefix("latest/").unwrap_or(path);
    let top = path.split('/').next().unwrap_or_default();
    match (top, path) {
        ("meta-data" | "dynamic" | "user-data", path) => path.to_owned(),
        (_, "" | "latest") => "meta-data".to_owned(),
        (_, path) => format!("meta-data/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_path_below_meta_data_unless_it_begins_with_another_folder() {
        for (key, path) in [
            ("/", "meta-data"),
            ("/latest", "meta-data"),
            ("/instance-id", "meta-data/instance-id"),
            ("/meta-data/placement/region", "meta-data/placement/region"),
            ("/latest/meta-data/tags", "meta-data/tags"),
            ("/dynamic/instance-identity/document", "dynamic/instance-identity/document"),
            ("/user-data", "user-data"),
        ] {
            assert_eq!(path_of(key), path, "{key}");
        }
    }
}
