//! Decides how the source finds out that it has all events up to a revision.
//!
//! etcd sends the events of one revision in one message for each range. A state between two of
//! these messages would show a part of a transaction. So a state is reported only when all messages
//! up to its revision have arrived.

use etcd_client::Client;

use client_etcd::within;

/// The method for one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    /// There is one range, and a message contains whole revisions.
    Message,
    /// The source asks the server for its progress. The answer comes after all messages up to that
    /// revision.
    Progress,
    /// The server's answer about progress is not reliable, so all ranges are read at one revision.
    Reading,
}

impl Completeness {
    /// The method for a server, and for this number of ranges in one stream.
    ///
    /// Servers before 3.4.31 and 3.5.13 answer a request for progress although earlier messages are
    /// still unsent or watches are behind. Such a server can only be recognised by its version: it
    /// accepts the request, and its answer looks the same.
    pub(super) async fn of(client: &Client, ranges: usize) -> Self {
        if ranges <= 1 {
            return Completeness::Message;
        }
        let mut client = client.maintenance_client();
        match within(client.status()).await {
            Ok(status) if reports_progress(status.version()) => Completeness::Progress,
            // Users who may not ask for the version may still read keys.
            Ok(_) | Err(_) => Completeness::Reading,
        }
    }
}

/// Whether a server of this version answers a request for progress after all earlier messages.
fn reports_progress(version: &str) -> bool {
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
    fn only_versions_with_reliable_progress_are_asked() {
        for version in ["3.4.31", "3.5.13", "3.5.21", "3.6.0", "3.6.0-rc.1", "3.10.2", "4.0.0"] {
            assert!(reports_progress(version), "{version}");
        }
        for version in ["3.3.27", "3.4.23", "3.4.30", "3.5.0", "3.5.12", "3.5", "", "unknown"] {
            assert!(!reports_progress(version), "{version}");
        }
    }
}
