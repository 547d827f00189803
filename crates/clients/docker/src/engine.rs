//! The engine: requests and their answers.

use std::time::Duration;

use std::error::Error as _;
use std::io;

use client_http::{body, builder, chain, words};
use nodes::body::Bounds;
use nodes::{Attempt, Cause, Error};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;

use crate::events::{Events, FILTERS, Moment};
use crate::{Address, NAME, Options};

/// The timeout of a new connection.
const CONNECTING: Duration = Duration::from_secs(3);

/// The timeout of the head of an answer.
const SILENCE: Duration = Duration::from_secs(10);

/// A container engine.
pub struct Engine {
    options: Options,
    client: Client,
}

/// Which containers are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Those that run.
    Running,
    /// Those that have not exited: they run, are paused, restart, or were not started yet.
    NotExited,
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Listed {
    /// The id.
    #[serde(rename = "Id")]
    pub id: String,
    /// Its networks, in the form that they have in an inspected container.
    #[serde(rename = "NetworkSettings", default)]
    pub network_settings: serde_json::Value,
    /// Its state, in a word of the engine.
    #[serde(rename = "State", default)]
    state: serde_json::Value,
}

impl Listed {
    /// Whether it has ended. A word that is not known says no: then its services stay registered.
    fn has_exited(&self) -> bool {
        matches!(self.state.as_str(), Some("exited" | "dead" | "removing" | "stopped"))
    }
}

impl Engine {
    /// A client with these options. It connects to nothing before the first request.
    ///
    /// # Errors
    /// A file of the TLS options cannot be used.
    pub fn new(options: Options) -> Result<Self, Error> {
        let tls = options.tls.as_ref().filter(|_| matches!(options.address, Address::Tcp { .. }));
        let mut builder = builder(tls)?.connect_timeout(CONNECTING);
        if let Address::Unix(path) = &options.address {
            builder = builder.unix_socket(path.as_path());
        }
        let client = builder.build();
        let client = client.map_err(|error| unreachable(&options.address, chain(&error)))?;
        Ok(Engine { options, client })
    }

    /// The containers in this state.
    ///
    /// # Errors
    /// The engine does not answer, or refuses.
    pub async fn list(&self, state: State) -> Result<Vec<Listed>, Error> {
        let target = match state {
            State::Running => "/containers/json",
            State::NotExited => "/containers/json?all=1",
        };
        let answer = self.whole(target).await?;
        let listed = serde_json::from_slice(&answer.1);
        let mut listed: Vec<Listed> = listed.map_err(|cause| self.malformed(&cause))?;
        // The states cannot be asked for: Podman refuses a filter with a word that it does not know,
        // and it does not know `restarting`.
        listed.retain(|listed| !listed.has_exited());
        Ok(listed)
    }

    /// The container `id` (or the container of this name) with all that the engine knows of it;
    /// `None` if there is no such container.
    ///
    /// # Errors
    /// The engine does not answer, or refuses.
    pub async fn inspect(&self, id: &str) -> Result<Option<serde_json::Value>, Error> {
        let target = format!("/containers/{}/json", escaped(id));
        match self.whole(&target).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (_, body) => {
                serde_json::from_slice(&body).map(Some).map_err(|cause| self.malformed(&cause))
            }
        }
    }

    /// Begins to follow the events of containers, from the event at `since` on; without `since`,
    /// from now on. The events of one moment can be more than one, so that at `since` comes again.
    ///
    /// # Errors
    /// The engine does not answer, or refuses.
    pub async fn events(&self, since: Option<Moment>) -> Result<Events, Error> {
        let since = since.map_or(String::new(), |since| format!("&since={since}"));
        let target = format!("/events?filters={}{since}", escaped(FILTERS));
        let response = self.begin(&target).await?;
        match response.status() {
            StatusCode::OK => Ok(Events::new(response, self.options.address.clone())),
            _ => Err(self.refused(response).await?),
        }
    }

    /// Sends a request. The answer's status is 200 or 404.
    async fn whole(&self, target: &str) -> Result<(StatusCode, Vec<u8>), Error> {
        let response = self.begin(target).await?;
        let status = response.status();
        if !matches!(status, StatusCode::OK | StatusCode::NOT_FOUND) {
            return Err(self.refused(response).await?);
        }
        Ok((status, self.body(response).await?))
    }

    async fn begin(&self, target: &str) -> Result<Response, Error> {
        let address = &self.options.address;
        let url = address.base(self.options.tls.is_some()) + target;
        match timeout(SILENCE, self.client.get(url).send()).await {
            Ok(answer) => answer.map_err(|error| {
                unreachable(address, chain(&error).advised(advice(address, &error)))
            }),
            Err(_) => {
                let text = format!("no answer within {} seconds", SILENCE.as_secs());
                Err(unreachable(address, Cause::new(text)))
            }
        }
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, Error> {
        let body = body(response, Bounds::default(), chain).await;
        body.map_err(|cause| unreachable(&self.options.address, cause))
    }

    /// The error of an answer that refuses.
    async fn refused(&self, response: Response) -> Result<Error, Error> {
        let status = response.status();
        let body = self.body(response).await?;
        // The engine explains itself in JSON; a proxy in front of it does not.
        let message = serde_json::from_slice::<serde_json::Value>(&body).ok();
        let message = message.as_ref().and_then(|body| body.get("message")?.as_str());
        let said = message.map_or_else(|| words(&body), str::to_owned);
        Ok(Error::Refused {
            store: NAME,
            node: self.options.address.to_string(),
            reason: Cause::new(format!("{said} ({})", status.as_u16())),
        })
    }

    fn malformed(&self, cause: &serde_json::Error) -> Error {
        let text = format!("answered with something that is no list of containers: {cause}");
        unreachable(&self.options.address, Cause::new(text))
    }
}

/// The error of an engine that gives no answer.
pub(crate) fn unreachable(address: &Address, cause: Cause) -> Error {
    let attempts = vec![Attempt { node: address.to_string(), cause }];
    Error::Unreachable { store: NAME, attempts }
}

/// What to do about a request that failed.
fn advice(address: &Address, error: &reqwest::Error) -> Option<&'static str> {
    if matches!(address, Address::Tcp { .. }) {
        return tls::advice(error);
    }
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let kind = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match kind.last()? {
        io::ErrorKind::PermissionDenied => Some("Docker's socket is for root and the group docker"),
        io::ErrorKind::NotFound => {
            Some("does the engine run? DOCKER_HOST says where another socket is")
        }
        io::ErrorKind::ConnectionRefused => Some("does the engine run?"),
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use servers::Stub;

    use super::*;

    #[tokio::test]
    async fn a_socket_that_nothing_serves_is_reported_with_what_to_look_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let failure = async || {
            let options = Options { address: Address::Unix(path.clone()), tls: None };
            Engine::new(options).unwrap().list(State::Running).await.unwrap_err().to_string()
        };
        let missing = failure().await;
        drop(UnixListener::bind(&path).unwrap());
        let refused = failure().await;
        assert!(missing.contains("(does the engine run? DOCKER_HOST says"), "{missing}");
        assert!(refused.contains("(does the engine run?)"), "{refused}");
    }

    /// As Podman 4.3: the word `restarting` in a filter is an error.
    #[tokio::test]
    async fn an_engine_without_restarting_containers_lists_those_that_have_not_exited() {
        let stub = Stub::answering(|head| {
            let target = head.split(' ').nth(1).unwrap();
            let (status, body) = match target.contains("restarting") {
                true => ("500 Internal Server Error", r#"{"message":"unknown container state"}"#),
                false => (
                    "200 OK",
                    r#"[{"Id":"a","State":"running"},{"Id":"b","State":"exited"},
                        {"Id":"c","State":"created"},{"Id":"d"},{"Id":"e","State":"dead"}]"#,
                ),
            };
            let length = body.len();
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
        });
        let address = Address::parse(&stub.address()).unwrap();
        let engine = Engine::new(Options { address, tls: None }).unwrap();
        let listed = engine.list(State::NotExited).await.unwrap();
        let ids: Vec<_> = listed.iter().map(|listed| listed.id.as_str()).collect();
        assert_eq!(ids, ["a", "c", "d"]);
    }

    #[tokio::test]
    async fn an_event_that_is_too_long_is_skipped() {
        let event = |id: &str, label: &str| {
            let attributes = serde_json::json!({ "ID": id, "Attributes": { "label": label } });
            serde_json::json!({ "Type": "container", "Action": "start", "Actor": attributes })
        };
        let long = "x".repeat(9 << 20);
        let events = [event("first", ""), event("long", &long), event("last", "")];
        let body: String = events.map(|event| format!("{event}\n")).concat();
        let stub = Stub::answering(move |_| {
            let length = body.len();
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
        });
        let address = Address::parse(&stub.address()).unwrap();
        let engine = Engine::new(Options { address, tls: None }).unwrap();
        let mut events = engine.events(None).await.unwrap();
        for id in ["first", "last"] {
            assert_eq!(events.next().await.unwrap().unwrap().container, id);
        }
        assert_eq!(events.next().await.unwrap(), None);
    }
}
