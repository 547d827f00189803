//! Chooses the node that lists a group.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use store::Key;
use tracing::{debug, warn};

use client_consul::{Client, Consistency, NAME, Options};
use nodes::{Attempt, Cause, Error, NodeError};
use reqwest::StatusCode;

use super::decode::decoded;
use super::group::Group;
use super::guard::State;
use super::query::{self, Failure, Listing};

pub(super) struct Cluster {
    client: Client,
    warned_of_hidden_keys: AtomicBool,
    warned_of_missing_token: AtomicBool,
}

/// The content of a group.
pub(super) struct Listed {
    /// The index up to which the group has this content.
    pub(super) index: u64,
    /// The pairs that are asked for and not refused, sorted by key.
    pub(super) pairs: Vec<(Bytes, Bytes)>,
    /// The prefixes that Consul refuses to show, with the reasons.
    pub(super) refused: Vec<(Key, Error)>,
}

impl Listed {
    /// The answer for a group of one prefix that is refused.
    fn refused(group: &Group, error: Error) -> Self {
        let refused = group.asked().first().cloned().map(|key| (key, error));
        Listed { index: 0, pairs: Vec::new(), refused: refused.into_iter().collect() }
    }
}

impl Cluster {
    pub(super) fn new(options: Options) -> Self {
        Cluster {
            client: Client::new(options),
            warned_of_hidden_keys: AtomicBool::new(false),
            warned_of_missing_token: AtomicBool::new(false),
        }
    }

    pub(super) fn options(&self) -> &Options {
        self.client.options()
    }

    /// Returns the present content of a group. `known` is the index of its last answer.
    ///
    /// # Errors
    ///
    /// No node answers.
    pub(super) async fn list(&self, group: &Group, known: Option<u64>) -> Result<Listed, Error> {
        let list = |node| self.list_at(node, group, known, None);
        let (_, listed) = self.client.nodes().ask(list).await?;
        Ok(listed)
    }

    /// Returns the content of a group when it has changed after `index`, or when the wait is over.
    ///
    /// If the node fails in the meantime, the next node may have a different history. Its answer is
    /// then the present content of the group, whatever the index.
    ///
    /// # Errors
    ///
    /// No node answers.
    pub(super) async fn list_beyond(&self, group: &Group, index: u64) -> Result<Listed, Error> {
        if let Some(node) = self.client.nodes().current() {
            match self.list_at(node, group, Some(index), Some(index)).await {
                Ok(listed) => return Ok(listed),
                Err(NodeError::Final(error)) => return Err(error),
                Err(NodeError::Unreachable(cause)) => {
                    let address = self.client.nodes().address(node);
                    debug!("consul: a blocking query at {address} ended: {cause}");
                    self.client.nodes().leave(node);
                }
            }
        }
        self.list(group, Some(index)).await
    }

    /// Waits until a key has changed after `index`, or the wait is over. Returns what is known of the
    /// key then.
    ///
    /// # Errors
    ///
    /// The node that is asked now does not answer, or refuses.
    pub(super) async fn wait_for_key(&self, key: &[u8], index: u64) -> Result<State, Error> {
        let (options, nodes) = (self.client.options(), self.client.nodes());
        let Some(node) = nodes.current() else {
            return Err(Error::Unreachable { store: NAME, attempts: Vec::new() });
        };
        let wait = options.wait;
        let target = query::target_of_key(options, options.consistency, key, (index, wait));
        let cause = match self.client.get(node, &target, wait + wait / 16).await {
            Ok((head, body)) => match (head.status, head.number("x-consul-index")) {
                (StatusCode::OK, Some(index)) => return Ok(State::Exists(index)),
                (StatusCode::NOT_FOUND, Some(_)) => return Ok(State::Missing),
                _ => head.cause(&body),
            },
            Err(NodeError::Unreachable(cause)) => cause,
            Err(NodeError::Final(error)) => return Err(error),
        };
        let node = nodes.address(node).to_owned();
        Err(Error::Unreachable { store: NAME, attempts: vec![Attempt { node, cause }] })
    }

    async fn list_at(
        &self,
        node: usize,
        group: &Group,
        known: Option<u64>,
        beyond: Option<u64>,
    ) -> Result<Listed, NodeError> {
        let chosen = self.client.options().consistency;
        let answer = self.ask(node, group, chosen, beyond).await?;
        let is_behind = match &answer {
            // In this mode a lower index may only mean that the server is behind. The leader knows.
            Ok(listing) => may_fall_behind(chosen) && known > Some(listing.index),
            Err(failure) => *failure == Failure::TooStale,
        };
        let taken = match is_behind {
            true => {
                debug!(
                    "consul: {} is behind, so the leader is asked",
                    self.client.nodes().address(node)
                );
                self.list_now(node, group).await?
            }
            false => self.taken(node, group, answer)?,
        };
        let listing = match taken {
            Ok(listing) => listing,
            // Perhaps only some of the prefixes are refused.
            Err(_) if !group.is_one() => return self.list_each(node, group).await,
            Err(error) => return Ok(Listed::refused(group, error)),
        };
        let mut listed = Listed { index: listing.index, pairs: listing.pairs, refused: Vec::new() };
        if listing.filtered {
            // The hidden keys may be the missing keys, or keys that no scope asks for.
            let missing: Vec<Group> = group.missing(&listed.pairs).collect();
            for alone in missing {
                if let Err(error) = self.list_now(node, &alone).await? {
                    listed.refused.extend(Listed::refused(&alone, error).refused);
                }
            }
        }
        Ok(listed)
    }

    /// Returns the present content of a group, with one request for each prefix.
    async fn list_each(&self, node: usize, group: &Group) -> Result<Listed, NodeError> {
        let mut listed = Listed { index: u64::MAX, pairs: Vec::new(), refused: Vec::new() };
        for alone in group.each() {
            match self.list_now(node, &alone).await? {
                Ok(listing) => {
                    listed.index = listed.index.min(listing.index);
                    listed.pairs.extend(listing.pairs);
                }
                Err(error) => listed.refused.extend(Listed::refused(&alone, error).refused),
            }
        }
        if listed.index == u64::MAX {
            listed.index = 0;
        }
        Ok(listed)
    }

    /// Returns the leader's present content of a group, or the reason for a refusal.
    async fn list_now(
        &self,
        node: usize,
        group: &Group,
    ) -> Result<Result<Listing, Error>, NodeError> {
        let answer = self.ask(node, group, Consistency::Default, None).await?;
        self.taken(node, group, answer)
    }

    async fn ask(
        &self,
        node: usize,
        group: &Group,
        consistency: Consistency,
        beyond: Option<u64>,
    ) -> Result<Result<Listing, Failure>, NodeError> {
        let wait = self.client.options().wait;
        let target = query::target(
            self.client.options(),
            consistency,
            group,
            beyond.map(|index| (index, wait)),
        );
        // Consul adds up to a sixteenth of the wait, so that not all queries end at the same time.
        let patience = if beyond.is_some() { wait + wait / 16 } else { Duration::ZERO };
        let (head, body) = self.client.get(node, &target, patience).await?;
        let group = group.clone();
        let size = body.len();
        Ok(decoded(size, move || query::read(&head, &body, consistency, &group)).await)
    }

    /// Converts an answer to a listing or a refusal.
    fn taken(
        &self,
        node: usize,
        group: &Group,
        answer: Result<Listing, Failure>,
    ) -> Result<Result<Listing, Error>, NodeError> {
        let address = self.client.nodes().address(node);
        let refused = |reason: Cause| {
            Ok(Err(Error::Refused { store: NAME, node: address.to_owned(), reason }))
        };
        match answer {
            Ok(listing) if listing.filtered && listing.pairs.is_empty() && group.is_one() => {
                // If this counted as empty, files would lose their content.
                let name = group.name();
                refused(Cause::new(format!("the token may not read what is below {name}")))
            }
            Ok(listing) => {
                // Without a token, Consul does not report that it hides keys.
                let nothing = listing.pairs.is_empty() && self.client.options().token.is_none();
                let warned = &self.warned_of_missing_token;
                if nothing && listing.wants_token && !warned.swap(true, Ordering::Relaxed) {
                    let name = group.name();
                    warn!(
                        "consul at {address} shows nothing below {name}: it may want a token, and \
                         none is given"
                    );
                }
                if listing.filtered && !self.warned_of_hidden_keys.swap(true, Ordering::Relaxed) {
                    let name = group.name();
                    warn!(
                        "consul at {address} hides keys below {name} that the token may not read"
                    );
                }
                Ok(Ok(listing))
            }
            Err(Failure::Refused(reason)) => refused(reason),
            Err(Failure::Unavailable(reason)) => Err(NodeError::Unreachable(reason)),
            Err(Failure::TooStale) => {
                Err(NodeError::Unreachable(Cause::new("it is behind the leader")))
            }
        }
    }
}

/// Whether an answer may be older than the previous one.
fn may_fall_behind(consistency: Consistency) -> bool {
    matches!(consistency, Consistency::Stale(_))
}
