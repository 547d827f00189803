//! How it is known that every range has told what happened up to a revision.
//!
//! etcd tells what happened in one revision in one message for each range. A state between two of
//! these messages would show a part of a transaction, so a state is given only when all messages up
//! to its revision are there.

use etcd_client::Client;

use client_etcd::within;

/// How it is known, for one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    /// There is one range, and a message holds whole revisions.
    Message,
    /// The server is asked for its progress, and answers behind all messages up to that revision.
    Progress,
    /// The server cannot be asked, so all ranges are read, as of one revision.
    Reading,
}

impl Completeness {
    /// What holds at a server that follows so many ranges in one stream.
    ///
    /// Servers before 3.4.31 and 3.5.13 answer a request for progress without regard to messages
    /// that wait to be sent, or to watches that are behind. Only the version tells such a server: it
    /// takes the request, and its answer looks the same.
    pub(super) async fn of(client: &Client, ranges: usize) -> Self {
        if ranges <= 1 {
            return Completeness::Message;
        }
        let mut client = client.maintenance_client();
        match within(client.status()).await {
            Ok(status) if tells_progress(status.version()) => Completeness::Progress,
            // Whoever may not ask for the version can read.
            Ok(_) | Err(_) => Completeness::Reading,
        }
    }
}

/// Whether an answer of this version about progress comes behind the messages before it.
fn tells_progress(version: &str) -> bool {
    let mut numbers = version.split(['.', '-', '+']).map_while(|part| part.parse::<u64>().ok());
    let mut next = || numbers.next();
    match (next(), next(), next()) {
        (Some(3), Some(4), Some(patch)) => patch >= 31,
        (Some(3), Some(5), Some(patch)) => patch >= 13,
        (Some(major), Some(minor), Some(_)) => (major, minor) >= (3, 6),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_that_is_known_to_tell_progress_is_asked() {
        for version in ["3.4.31", "3.5.13", "3.5.21", "3.6.0", "3.6.0-rc.1", "3.10.2", "4.0.0"] {
            assert!(tells_progress(version), "{version}");
        }
        for version in ["3.3.27", "3.4.23", "3.4.30", "3.5.0", "3.5.12", "3.5", "", "unknown"] {
            assert!(!tells_progress(version), "{version}");
        }
    }
}
