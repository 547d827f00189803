//! The address of this host, which its name has in the hosts file or the DNS.

use std::collections::BTreeSet;
use std::time::Duration;

use names::Resolver;
use tokio::time::Instant;

use super::{AGAIN, Fatal, Keeper, Sync};
use crate::container::Container;

/// How long an address counts after it was looked up.
const VALID: Duration = Duration::from_secs(60);

/// What is known of the address of this host.
#[derive(Debug, Default)]
pub(super) struct HostAddress {
    /// The address, and when it was looked up.
    known: Option<(String, Instant)>,
    /// The ids of the containers whose services need the address and do not have it.
    missing: BTreeSet<String>,
    /// When it is looked up again; `None` if the last attempt was successful.
    pub(super) again_at: Option<Instant>,
}

impl Keeper {
    /// The address of this host, for the services of this container.
    pub(super) async fn host_address(&mut self, container: &Container) -> Option<String> {
        if let Some((address, since)) = &self.host_address.known
            && since.elapsed() < VALID
        {
            return Some(address.clone());
        }
        // A name server that does not answer would be waited for with each container.
        let found = match self.host_address.again_at {
            Some(at) if Instant::now() < at => None,
            _ => self.look_up().await,
        };
        if found.is_none() {
            self.host_address.missing.insert(container.id().to_owned());
        }
        found
    }

    async fn look_up(&mut self) -> Option<String> {
        let host = self.host.clone();
        let found = self.waits(address_of(&host)).await;
        let now = Instant::now();
        let failed_before = self.host_address.again_at.is_some();
        self.host_address.again_at = found.is_none().then(|| now + AGAIN);
        self.host_address.known = found.clone().map(|address| (address, now));
        if found.is_none() && !failed_before {
            self.log.line(format_args!(
                "no address is found for the name of this host, {host}; trying again"
            ));
        }
        found
    }

    /// Looks up the address again, and finds the services again that need it.
    pub(super) async fn look_up_again(&mut self) -> Result<(), Fatal> {
        let known = &self.known;
        self.host_address.missing.retain(|id| known.contains_key(id));
        if self.host_address.missing.is_empty() {
            self.host_address.again_at = None;
            return Ok(());
        }
        let Some(address) = self.look_up().await else { return Ok(()) };
        self.log
            .line(format_args!("the name of this host, {}, has the address {address}", self.host));
        for id in std::mem::take(&mut self.host_address.missing) {
            if let Some(container) = self.inspect(&id).await
                && container.is_running()
            {
                self.replace(container, Sync::Blind).await?;
            }
        }
        Ok(())
    }
}

/// The address of a host: an IPv4 address, if its name has one.
pub(crate) async fn address_of(host: &str) -> Option<String> {
    let found = Resolver::system().sockets(host, 0).await.ok()?;
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first())?;
    Some(first.ip().to_string())
}
