//! Consul's catalogue: services of an agent, with their checks.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use client_consul::write::{self, Check};
use client_consul::{Client, Options};
use nodes::Error;
use tokio::time::{Instant, sleep_until};

use super::{Entry, Health, LONGEST_NAME, Manner, Registry};
use crate::container::short;
use crate::service::Service;

/// The longest time that the agent is asked to wait for an event.
const WAIT: Duration = Duration::from_secs(300);

/// The time between two questions whether an agent answers again, and the shortest time between two
/// questions for its events.
const PAUSE: Duration = Duration::from_millis(500);

/// The time between two checks where the service has none of its own.
const INTERVAL: &str = "10s";

/// The agent's own events. They say nothing about services, but a request that waits for one ends
/// when the agent ends. Their index is no number that grows.
const EVENTS: &str = "/v1/event/list?";

/// The time after which Consul removes a service whose process is gone for good.
const GONE: Duration = Duration::from_secs(24 * 3600);

/// The life of a check whose result comes from the container's own health check.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Services of an agent of Consul.
pub(super) struct Consul {
    client: Client,
    manner: Manner,
    /// For [`Manner::Living`].
    ttl: Duration,
}

impl Consul {
    pub(super) fn new(options: Options, manner: Manner, ttl: Duration) -> Consul {
        Consul { client: Client::new(options), manner, ttl }
    }

    /// The service as the agent gets it.
    fn wanted(&self, service: &Service) -> write::Service {
        let (mut meta, mut check, mut checks) = (service.attributes.clone(), None, Vec::new());
        match self.manner {
            _ if let Some(is_healthy) = service.is_healthy => {
                check = Some(Check {
                    ttl: format!("{}s", FOREVER.as_secs()),
                    status: (if is_healthy { PASSING } else { CRITICAL }).to_owned(),
                    ..Check::default()
                });
            }
            Manner::Original => check = asked(service).into_iter().next(),
            Manner::Plain => {
                meta.retain(|name, _| !name.starts_with("check_") && name != "ignore");
                checks = asked(service);
                // A shell understands the arguments of a script.
                for script in checks.iter_mut().map(|check| &mut check.script) {
                    if let [text] = &script[..] {
                        *script = vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()];
                    }
                }
            }
            Manner::Living => {
                check = Some(Check {
                    ttl: format!("{}ms", self.ttl.as_millis()),
                    status: PASSING.to_owned(),
                    deregister_after: format!("{}s", GONE.as_secs()),
                    ..Check::default()
                });
            }
        }
        write::Service {
            id: service.id.clone(),
            name: service.name.clone(),
            address: service.address.clone(),
            port: service.port,
            tags: service.tags.clone(),
            meta,
            check,
            checks,
        }
    }
}

/// The states of checks.
const PASSING: &str = "passing";
const CRITICAL: &str = "critical";

/// Asks whether Consul answers, and returns the line of the log. `name` is that of the registry.
pub(super) async fn leader(client: &Client, name: &str) -> Result<Option<String>, Error> {
    let (_, body) = client.read("/v1/status/leader", Duration::ZERO).await?;
    let leader: String = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(format!("{name}: current leader  {leader}")))
}

/// Waits until Consul does not answer a request that waits for a change, and answers again.
/// `target` is the request, without its index and time.
pub(super) async fn outage(client: &Client, target: &str) {
    let (mut index, seconds) = (0, WAIT.as_secs());
    loop {
        let whole = format!("{target}index={index}&wait={seconds}s");
        let Ok((head, _)) = client.read(&whole, WAIT + WAIT / 16).await else { break };
        let now = head.number("x-consul-index").unwrap_or(0);
        // An index that goes back is that of another store.
        if now < index && target != EVENTS {
            return;
        }
        index = now;
        sleep_until(Instant::now() + PAUSE).await;
    }
    while leader(client, "").await.is_err() {
        sleep_until(Instant::now() + PAUSE).await;
    }
}

#[async_trait(?Send)]
impl Registry for Consul {
    async fn ping(&self) -> Result<Option<String>, Error> {
        leader(&self.client, "consul").await
    }

    async fn register(&self, service: &Service) -> Result<(), Error> {
        self.client.register(&self.wanted(service)).await?;
        match service.is_healthy {
            None => Ok(()),
            Some(is_healthy) => {
                let output = "the health check of the container";
                let status = if is_healthy { PASSING } else { CRITICAL };
                let check = format!("service:{}", service.id);
                self.client.update_check(&check, status, output).await
            }
        }
    }

    async fn refresh(&self, _: &Service) -> Result<(), Error> {
        Ok(())
    }

    async fn report(&self, service: &Service, health: &Health) -> Result<(), Error> {
        let (status, output) = match health {
            Health::Passing(output) => (PASSING, output),
            Health::Failing(output) => (CRITICAL, output),
        };
        let check = format!("service:{}", service.id);
        match self.client.update_check(&check, status, output).await {
            // The agent has lost its services.
            Err(error) if error.is_missing() => {
                self.register(service).await?;
                self.client.update_check(&check, status, output).await
            }
            done => done,
        }
    }

    async fn deregister(&self, service: &Service) -> Result<(), Error> {
        deregister(&self.client, &service.id).await
    }

    fn refuses(&self, service: &Service) -> Option<String> {
        let is_step = |part: &str| matches!(part, "." | "..");
        let id = &service.id;
        let is_wrong = id.len() > LONGEST_NAME
            || id.chars().any(char::is_control)
            || id.split('/').any(is_step);
        is_wrong.then(|| "it has an id by which Consul could not remove it again".to_owned())
    }

    fn key(&self, service: &Service) -> String {
        service.id.clone()
    }

    async fn entries(&self) -> Result<Vec<Entry>, Error> {
        let (_, body) = self.client.read("/v1/agent/services", Duration::ZERO).await?;
        let services: BTreeMap<String, serde_json::Value> = self.client.parsed(&body)?;
        let entry = |(id, service): (String, serde_json::Value)| {
            let name = service.get("Service").and_then(|name| name.as_str()).unwrap_or_default();
            Entry { name: name.to_owned(), key: id.clone(), id }
        };
        Ok(services.into_iter().map(entry).collect())
    }

    async fn remove(&self, entry: &Entry) -> Result<(), Error> {
        deregister(&self.client, &entry.key).await
    }

    async fn lost(&self) {
        outage(&self.client, EVENTS).await;
    }

    fn has_states(&self) -> bool {
        true
    }

    fn is_cleaned(&self) -> bool {
        true
    }
}

async fn deregister(client: &Client, id: &str) -> Result<(), Error> {
    match client.deregister(id).await {
        Err(error) if error.is_missing() => Ok(()),
        done => done,
    }
}

/// The checks that the container asks for, in the order in which registrator looks for them.
fn asked(service: &Service) -> Vec<Check> {
    let Service { address, port, .. } = service;
    let get = |name: &str| service.attributes.get(name).filter(|value| !value.is_empty()).cloned();
    let text = |name: &str| get(name).unwrap_or_default();
    let url = |scheme: &str, path: &str| format!("{scheme}://{address}:{port}{path}");
    let place = || format!("{address}:{port}");
    let timeout = || text("check_timeout");
    let uses_tls = get("check_grpc_use_tls").is_some();
    let kinds = [
        get("check_http").map(|path| Check {
            http: url("http", &path),
            method: text("check_http_method"),
            timeout: timeout(),
            ..Check::default()
        }),
        get("check_https").map(|path| Check {
            http: url("https", &path),
            method: text("check_https_method"),
            timeout: timeout(),
            ..Check::default()
        }),
        get("check_cmd").map(|command| {
            let container = short(&service.container).to_owned();
            let script = vec!["check-cmd".to_owned(), container, service.exposed.clone(), command];
            Check { script, ..Check::default() }
        }),
        get("check_script").map(|script| {
            let script = script.replace("$SERVICE_IP", address);
            let script = vec![script.replace("$SERVICE_PORT", &port.to_string())];
            Check { script, ..Check::default() }
        }),
        get("check_ttl").map(|ttl| Check { ttl, ..Check::default() }),
        get("check_tcp").map(|_| Check { tcp: place(), timeout: timeout(), ..Check::default() }),
        get("check_grpc").map(|_| Check {
            grpc: place(),
            grpc_uses_tls: uses_tls,
            tls_skip_verify: uses_tls && get("check_tls_skip_verify").is_some(),
            timeout: timeout(),
            ..Check::default()
        }),
    ];
    let mut checks: Vec<_> = kinds.into_iter().flatten().collect();
    for check in &mut checks {
        if check.ttl.is_empty() {
            check.interval = get("check_interval").unwrap_or_else(|| INTERVAL.to_owned());
        }
        check.status = text("check_initial_status");
        check.deregister_after = text("check_deregister_after");
    }
    checks
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use servers::Stub;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_no_list_of_services_is_an_error() {
        for body in ["<html>welcome</html>", "[]", ""] {
            let stub = Stub::answering(move |_| {
                let length = body.len();
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
            });
            let nodes = vec![stub.address()];
            let options = Options { nodes, ..Options::default() };
            let consul = Consul::new(options, Manner::Original, Duration::ZERO);
            assert!(consul.entries().await.is_err(), "{body}");
        }
    }

    fn of(attributes: &[(&str, &str)]) -> Option<serde_json::Value> {
        let named = |&(name, value): &(&str, &str)| (format!("check_{name}"), value.to_owned());
        let service = Service {
            id: "h1:web1:80".into(),
            name: "web".into(),
            address: "10.0.0.5".into(),
            port: 8080,
            tags: Vec::new(),
            attributes: attributes.iter().map(named).collect(),
            exposed: "80".into(),
            container: "0123456789abcdef".into(),
            is_healthy: None,
        };
        asked(&service).first().map(|check| json!(check))
    }

    #[test]
    fn the_first_kind_of_check_counts() {
        let http = json!({"HTTP": "http://10.0.0.5:8080/h", "Interval": "10s"});
        assert_eq!(of(&[("http", "/h"), ("tcp", "true")]), Some(http));
        let ttl = json!({"TTL": "30s", "Status": "passing"});
        assert_eq!(of(&[("ttl", "30s"), ("initial_status", "passing")]), Some(ttl));
        let tcp = json!({"TCP": "10.0.0.5:8080", "Interval": "1m", "Timeout": "1s"});
        assert_eq!(of(&[("tcp", "false"), ("interval", "1m"), ("timeout", "1s")]), Some(tcp));
        assert_eq!(of(&[("http", ""), ("initial_status", "passing")]), None);
    }

    #[test]
    fn scripts_get_address_and_port() {
        let script = json!({"ScriptArgs": ["x 10.0.0.5 8080"], "Interval": "10s"});
        let asked = [("script", "x $SERVICE_IP $SERVICE_PORT"), ("timeout", "1s")];
        assert_eq!(of(&asked), Some(script));
        let words = ["check-cmd", "0123456789ab", "80", "x"];
        assert_eq!(of(&[("cmd", "x")]), Some(json!({"ScriptArgs": words, "Interval": "10s"})));
    }

    #[test]
    fn verification_is_skipped_only_with_tls() {
        let skipped = |asked: &[(&str, &str)]| of(asked).unwrap().get("TLSSkipVerify").is_some();
        assert!(!skipped(&[("grpc", "x"), ("tls_skip_verify", "x")]));
        assert!(skipped(&[("grpc", "x"), ("tls_skip_verify", "x"), ("grpc_use_tls", "x")]));
    }
}
