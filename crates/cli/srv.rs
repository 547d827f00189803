//! Nodes from an SRV record.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use source::{Configured, Discovery};
use tokio::{
    task,
    time::{Instant, sleep_until},
};
use tracing::info;
use world::{Host, Service};

/// The first and the longest delay before a record is looked up again.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(1);

/// Looks up the nodes of `source`, if an SRV record names them. `before` are the nodes in use; if
/// the record has the same nodes, their order stays.
///
/// # Errors
/// There are no nodes; the text is confd's.
pub(crate) async fn discover(
    source: &mut dyn Configured,
    host: &Arc<dyn Host>,
    before: &[String],
) -> anyhow::Result<()> {
    if let Some((discovery, nodes)) = source.discovery() {
        *nodes = lookup(discovery, host, before).await?;
    }
    Ok(())
}

/// Like [`discover`] at the start of a run that waits for its data, for at most `wait`. Returns how much
/// of that time is left, in whole seconds if the record had to be waited for.
///
/// # Errors
/// As for [`discover`].
pub(crate) async fn discover_within(
    source: &mut dyn Configured,
    host: &Arc<dyn Host>,
    wait: Duration,
) -> anyhow::Result<Duration> {
    let Some((discovery, nodes)) = source.discovery() else { return Ok(wait) };
    let (begun, mut delay, mut said) = (Instant::now(), FIRST_DELAY, String::new());
    let mut found = lookup(discovery, host, &[]).await;
    let mut has_waited = false;
    while let Err(error) = &found {
        let left = wait.saturating_sub(begun.elapsed());
        if left.is_zero() {
            break;
        }
        let text = format!("{error:#}");
        if text != said {
            info!("waiting for data, at most {wait:?}: {text}");
            said = text;
        }
        sleep_until(Instant::now() + delay.min(left)).await;
        delay = (2 * delay).min(LAST_DELAY);
        has_waited = true;
        found = nodes_of(discovery, host, &[]).await;
    }
    *nodes = found?;
    let left = wait.saturating_sub(begun.elapsed());
    Ok(if has_waited { Duration::from_secs(left.as_secs()) } else { wait })
}

/// The nodes that the record names, in the order in which they are tried: by priority and, within
/// one priority, at random by weight.
pub(crate) async fn lookup(
    discovery: &Discovery,
    host: &Arc<dyn Host>,
    before: &[String],
) -> anyhow::Result<Vec<String>> {
    info!("SRV record set to {}", discovery.record);
    nodes_of(discovery, host, before).await
}

/// Like [`lookup`], without a line of the log.
async fn nodes_of(
    discovery: &Discovery,
    host: &Arc<dyn Host>,
    before: &[String],
) -> anyhow::Result<Vec<String>> {
    let (host, record) = (Arc::clone(host), discovery.record.clone());
    // The lookup waits for a name server.
    let services = task::spawn_blocking(move || host.services(record.as_bytes()))
        .await
        .context("cannot look up names")?
        .map_err(|error| anyhow::anyhow!("Cannot get nodes from SRV records {error}"))?;
    let services = in_order(services, |limit| fastrand::u64(..limit));
    let scheme = discovery.scheme.as_deref();
    let nodes: Vec<_> = services.iter().map(|service| node(service, scheme)).collect();
    Ok(if same(&nodes, before) { before.to_vec() } else { nodes })
}

/// The address of a node, with the scheme if there is one.
fn node(service: &Service, scheme: Option<&str>) -> String {
    let target = service.target.strip_suffix('.').unwrap_or(&service.target);
    let scheme = scheme.map(|scheme| format!("{scheme}://")).unwrap_or_default();
    if target.contains(':') {
        format!("{scheme}[{target}]:{}", service.port)
    } else {
        format!("{scheme}{target}:{}", service.port)
    }
}

/// Whether both lists have the same nodes, in any order.
fn same(one: &[String], two: &[String]) -> bool {
    let sorted = |nodes: &[String]| {
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable();
        nodes
    };
    sorted(one) == sorted(two)
}

/// The services in the order of RFC 2782. `below` returns a random number below its argument.
fn in_order(mut services: Vec<Service>, below: impl Fn(u64) -> u64) -> Vec<Service> {
    // Services without weight first, so that they have a small chance.
    services.sort_by_key(|service| (service.priority, service.weight));
    let mut order = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let group = services.partition_point(|service| service.priority == first.priority);
        let total: u64 = services[..group].iter().map(|service| u64::from(service.weight)).sum();
        let chosen = below(total + 1);
        let mut sum = 0;
        let next = services[..group].iter().position(|service| {
            sum += u64::from(service.weight);
            sum >= chosen
        });
        order.push(services.remove(next.unwrap_or_default()));
    }
    order
}

#[cfg(test)]
mod tests {
    use std::{io, net::IpAddr};

    use super::*;

    fn service(target: &str, priority: u16, weight: u16) -> Service {
        Service { target: target.to_owned(), port: 2379, priority, weight }
    }

    /// A host that finds these services.
    struct World(Vec<Service>);

    impl Host for World {
        fn variable(&self, _: &[u8]) -> Option<bytes::Bytes> {
            None
        }
        fn now(&self) -> world::time::Time {
            world::System::new().now()
        }
        fn file_exists(&self, _: &[u8]) -> bool {
            false
        }
        fn addresses(&self, _: &[u8]) -> io::Result<Vec<IpAddr>> {
            Ok(Vec::new())
        }
        fn services(&self, name: &[u8]) -> io::Result<Vec<Service>> {
            match name {
                b"_etcd._tcp.example." => Ok(self.0.clone()),
                _ => Err(io::Error::other("lookup x: no such host")),
            }
        }
    }

    fn discovery(scheme: Option<&str>) -> Discovery {
        let scheme = scheme.map(str::to_owned);
        Discovery { record: "_etcd._tcp.example.".to_owned(), scheme }
    }

    #[test]
    fn services_are_in_order_of_priority_and_by_weight_within() {
        let services = || {
            vec![service("d", 2, 9), service("c", 1, 30), service("a", 1, 0), service("b", 1, 10)]
        };
        let order = |below: fn(u64) -> u64| {
            in_order(services(), below).into_iter().map(|s| s.target).collect::<String>()
        };
        assert_eq!(order(|_| 0), "abcd");
        assert_eq!(order(|limit| limit - 1), "cbad");
        assert_eq!(order(|limit| 1.min(limit - 1)), "bcad");
    }

    #[test]
    fn the_heavier_come_first_more_often() {
        let first = |_| {
            let services = vec![service("light", 1, 1), service("heavy", 1, 9)];
            in_order(services, |limit| fastrand::u64(..limit)).remove(0).target
        };
        let heavy = (0..1000).map(first).filter(|target| target == "heavy").count();
        assert!((700..950).contains(&heavy), "{heavy}");
    }

    #[tokio::test]
    async fn nodes_are_written_as_the_backend_takes_them() {
        let services = vec![service("a.example.", 1, 0), service("fd00::1", 2, 0)];
        let host: Arc<dyn Host> = Arc::new(World(services));
        let plain = lookup(&discovery(None), &host, &[]).await.unwrap();
        assert_eq!(plain, ["a.example:2379", "[fd00::1]:2379"]);
        let with_scheme = lookup(&discovery(Some("https")), &host, &[]).await.unwrap();
        assert_eq!(with_scheme, ["https://a.example:2379", "https://[fd00::1]:2379"]);
    }

    #[tokio::test]
    async fn nodes_in_use_keep_their_order_unless_there_are_others() {
        let host: Arc<dyn Host> = Arc::new(World(vec![service("a.", 1, 0), service("b.", 2, 0)]));
        let before = ["b:2379".to_owned(), "a:2379".to_owned()];
        let discovery = discovery(None);
        assert_eq!(lookup(&discovery, &host, &before).await.unwrap(), before);
        assert_eq!(lookup(&discovery, &host, &before[1..]).await.unwrap(), ["a:2379", "b:2379"]);
    }

    #[tokio::test]
    async fn a_record_that_is_not_there_is_an_error_in_the_words_of_confd() {
        let host: Arc<dyn Host> = Arc::new(World(Vec::new()));
        let discovery = Discovery { record: "_x._tcp.example.".to_owned(), scheme: None };
        assert_eq!(
            lookup(&discovery, &host, &[]).await.unwrap_err().to_string(),
            "Cannot get nodes from SRV records lookup x: no such host"
        );
    }
}
