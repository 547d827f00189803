//! Removes entries of this host whose containers are gone.

use std::collections::BTreeSet;

use client_docker::State;
use tokio::time::Instant;

use super::{AGAIN, Keeper};
use crate::registry::Entry;

impl Keeper {
    /// Removes the services of containers that do not exist any more, and the entries of this host
    /// that belong to no container.
    pub(super) async fn clean_up(&mut self) {
        self.log.line("Listing non-exited containers");
        let engine = self.engine();
        let listed = match self.waits(engine.list(State::NotExited)).await {
            Ok(listed) => listed,
            Err(error) => {
                let text = "error listing nonExitedContainers, skipping sync";
                self.log.line(format_args!("{text} {error}"));
                return;
            }
        };
        let existing: BTreeSet<_> = listed.into_iter().map(|listed| listed.id).collect();
        for id in
            self.known.keys().filter(|id| !existing.contains(*id)).cloned().collect::<Vec<_>>()
        {
            let text = "because it does not exist";
            self.log.line(format_args!("stale: Removing service {id} {text}"));
            self.died(&id, None).await;
        }
        self.log.line("Cleaning up dangling services");
        if !(self.registry.is_cleaned() || self.flags.prune) {
            return;
        }
        let entries = match self.registry.entries().await {
            Ok(entries) => entries,
            Err(error) => {
                self.log.line(format_args!("cleanup failed: {error}"));
                self.compare_at = Some(Instant::now() + AGAIN);
                return;
            }
        };
        let dangling = entries.into_iter().filter(|entry| self.is_dangling(entry));
        for entry in dangling.collect::<Vec<_>>() {
            let key = &entry.key;
            self.log.line(format_args!("dangling: {key}"));
            match self.registry.remove(&entry).await {
                // What would be removed is in the log already.
                Ok(()) if self.registry.is_noop() => {}
                Ok(()) => self.log.line(format_args!("{key} removed")),
                Err(error) => {
                    self.log.line(format_args!("deregister failed: {key} {error}"));
                    self.compare_at = Some(Instant::now() + AGAIN);
                }
            }
        }
    }

    /// Whether an entry was made for a container of this host that is gone.
    fn is_dangling(&self, entry: &Entry) -> bool {
        let Some((host, container)) = parts(&entry.id) else { return false };
        if host != self.host {
            return false;
        }
        let all = || {
            self.known.values().flat_map(|known| {
                known.services.iter().map(move |service| (&known.name[..], service))
            })
        };
        let is_kept = match self.flags.prune {
            true => all().any(|(_, service)| service.id == entry.id && service.name == entry.name),
            // So it is in registrator: a container that has changed its ports keeps old entries.
            false => all().any(|(name, service)| name == container && service.name == entry.name),
        };
        !is_kept
    }
}

/// The host and the container of an id that registrator has made: `HOST:CONTAINER:PORT`, with
/// `:udp` at the end of some.
fn parts(id: &str) -> Option<(&str, &str)> {
    let id = id.strip_suffix(":udp").unwrap_or(id);
    let (rest, port) = id.rsplit_once(':')?;
    let (host, container) = rest.rsplit_once(':')?;
    let is_name = |name: &str| {
        let is_middle = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        name.len() > 1 && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(is_middle)
    };
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (!host.is_empty() && is_name(container) && is_port).then_some((host, container))
}

#[cfg(test)]
mod tests {
    use super::parts;
    use crate::announce::file::Described;

    #[test]
    fn the_id_of_a_process_is_not_one_of_registrators_form() {
        for host in ["h1", "h1.example.org"] {
            let name = "db".to_owned();
            let described = Described { name, port: 5432, ..Described::default() };
            let id = described.announced(host, "10.0.0.5").unwrap().service.id;
            assert!(id.contains(host) && parts(&id).is_none(), "{id}");
        }
    }

    #[test]
    fn only_ids_of_registrators_form_are_taken_apart() {
        assert_eq!(parts("h1:web-1:80"), Some(("h1", "web-1")));
        assert_eq!(parts("h1:web_1.x:53:udp"), Some(("h1", "web_1.x")));
        assert_eq!(parts("a:b:web1:80"), Some(("a:b", "web1")));
        for id in
            ["my-id", "h1:web1", "h1:web1:x", "h1::80", "h1:-w:80", "h1:a:b:80", "h1:web1:80:tcp"]
        {
            assert_eq!(parts(id), None, "{id}");
        }
    }
}
