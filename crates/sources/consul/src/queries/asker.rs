//! Sends the requests of queries, and reads their answers.

mod rights;
mod target;

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use catalog::{Data, Filter, Instances, Pair, Place, Query, Service};
use client_consul::{Client, Consistency, Head, NAME, Options, path_of, words};
use nodes::{Attempt, Cause, Error, NodeError};
use reqwest::StatusCode;
use source::queries::QueryError;
use tracing::debug;

use self::target::{filter, named, spelled, target};
use super::plan;
use super::wire::{self, Listed};
use crate::decode::decoded;
use crate::guard::State;

/// A filter that no instance fulfils. The answer is then only its index.
const NOTHING: &str = "Node.Node == \"\"";

/// A filter that no service of a node fulfils.
const NO_SERVICE: &str = "ID == \"\"";

/// A filter that only checks with a warning fulfil.
const WARNING: &str = "Status == \"warning\"";

/// A filter that no node fulfils.
const NO_NODE: &str = "Node == \"\"";

/// Asks the nodes of a datacenter.
pub(super) struct Asker {
    client: Client,
    /// Whether an empty answer is a failure if the token hides something.
    refuse_hidden: bool,
    /// Whether there was a warning that Consul may want a token.
    warned_of_missing_token: AtomicBool,
}

/// What a request waits for: a change beyond an index, for a limited time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beyond {
    /// The known index.
    pub(super) index: u64,
    /// The longest time to wait.
    pub(super) wait: Duration,
    /// Whether an agent may answer from the events that its servers send.
    pub(super) from_events: bool,
}

/// What is known before a request is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Since {
    /// What the request waits for; `None` if it is answered at once.
    pub(super) beyond: Option<Beyond>,
    /// The index of the last answer. A stale answer with a lower index does not count: the server
    /// is behind, or the store has another history, and only the leader knows which.
    pub(super) known: Option<u64>,
    /// Whether the leader is asked, because the answer may be older than the last one.
    pub(super) from_leader: bool,
}

/// An answer and the index up to which it is true; `None` if the store gives no index.
#[derive(Debug)]
pub(super) struct Answered<T> {
    pub(super) content: T,
    pub(super) index: Option<u64>,
    /// Whether the agent answered from the events that its servers send. Such an answer always has
    /// a greater index than the one that the request waited to pass.
    pub(super) is_of_events: bool,
    /// Whether a blocking query failed, and this answer was given at once instead.
    pub(super) is_instead: bool,
    /// A warning for people: the token hides a part of the answer.
    pub(super) warning: Option<String>,
}

impl<T> Answered<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Answered<U> {
        let Answered { content, index, is_of_events, is_instead, warning } = self;
        Answered { content: change(content), index, is_of_events, is_instead, warning }
    }
}

/// A response with a result.
struct Fetched {
    /// Whether what was asked for exists.
    found: bool,
    index: Option<u64>,
    /// Whether the token hides a part of the answer.
    filtered: bool,
    is_of_events: bool,
    is_instead: bool,
    /// Whether Consul may hide everything from requests without a token, which it does not report.
    wants_token: bool,
    body: Bytes,
}

impl Fetched {
    fn answered<T>(&self, content: T) -> Answered<T> {
        let Fetched { index, is_of_events, is_instead, .. } = *self;
        Answered { content, index, is_of_events, is_instead, warning: None }
    }
}

/// The pairs of a listing.
#[derive(Debug)]
pub(super) struct Listing {
    /// The pairs, in the order of their keys.
    pub(super) pairs: Vec<Pair>,
    /// Whether the token hides pairs.
    pub(super) filtered: bool,
}

impl Asker {
    /// Asks the nodes of these options. With `refuse_hidden`, an empty answer is a failure if the token
    /// hides something.
    pub(super) fn new(options: Options, refuse_hidden: bool) -> Self {
        let warned_of_missing_token = AtomicBool::new(false);
        Asker { client: Client::new(options), refuse_hidden, warned_of_missing_token }
    }

    pub(super) fn options(&self) -> &Options {
        self.client.options()
    }

    /// Asks a query.
    pub(super) async fn ask(
        &self,
        query: &Query,
        since: Since,
    ) -> Result<Answered<Data>, QueryError> {
        let path = match query {
            Query::Node { name: None, place } => {
                let own = self.fetch("/v1/agent/self", "", Since::default()).await?;
                let name =
                    wire::name_of_agent(&own.body).map_err(|cause| self.malformed(&cause))?;
                self.path(&Query::Node { name: Some(name), place: place.clone() })
            }
            query => self.path(query),
        };
        let (path, mut parameters) = path;
        if let Query::Instances(Instances { near: None, .. }) = query
            && since.beyond.is_some_and(|beyond| !beyond.from_events)
        {
            // With a distance, the servers answer and not the agent. The order of the answer does
            // not matter.
            parameters += "&near=_agent";
        }
        let fetched = self.fetch(&path, &parameters, since).await?;
        let Fetched { is_of_events, is_instead, .. } = fetched;
        // The index of a prepared query is always 1, because it does not wait for changes.
        let is_polled = matches!(query, Query::Prepared { .. });
        let index = fetched.index.filter(|_| !is_polled);
        let Fetched { filtered, wants_token, .. } = fetched;
        let content = match fetched.found {
            true => {
                let asked = query.clone();
                self.read(fetched.body, move |body| wire::data(&asked, body)).await?
            }
            false => wire::nothing(query).unwrap_or(Data::Value(None)),
        };
        let content = match (query, content) {
            (Query::Datacenters { only_reachable: true }, Data::Datacenters(names)) => {
                self.reachable(&names).await
            }
            (_, content) => content,
        };
        let warning = self.hidden(query, plan::is_empty(&content), filtered, wants_token)?;
        Ok(Answered { content, index, is_of_events, is_instead, warning })
    }

    /// The index of a query's answer, without the answer. The leader is asked: another server may not
    /// know the change yet that is searched for.
    pub(super) async fn index(&self, query: &Query) -> Result<Option<u64>, QueryError> {
        let (path, mut parameters) = self.path(query);
        parameters += &filter(match query {
            Query::Node { .. } => NO_SERVICE,
            _ => NOTHING,
        });
        let since = Since { from_leader: true, ..Since::default() };
        Ok(self.fetch(&path, &parameters, since).await?.index)
    }

    /// All pairs whose keys begin with `head`, which has no slash at its beginning.
    pub(super) async fn list(
        &self,
        head: &[u8],
        place: &Place,
        since: Since,
    ) -> Result<Answered<Listing>, QueryError> {
        let path = format!("/v1/kv/{}", path_of(head));
        let parameters = format!("&recurse={}", self.place(place));
        let fetched = self.fetch(&path, &parameters, since).await?;
        let pairs = match fetched.found {
            true => self.read(fetched.body.clone(), wire::pairs).await?,
            false => Vec::new(),
        };
        Ok(fetched.answered(Listing { pairs, filtered: fetched.filtered }))
    }

    /// Whether a key exists, and the index of its last change.
    pub(super) async fn existence(
        &self,
        key: &[u8],
        place: &Place,
        since: Since,
    ) -> Result<State, QueryError> {
        let path = format!("/v1/kv/{}", path_of(key));
        let fetched = self.fetch(&path, &self.place(place), since).await?;
        Ok(match fetched.found {
            true => State::Exists(fetched.index.unwrap_or(0)),
            false => State::Missing,
        })
    }

    /// All critical checks, sorted.
    pub(super) async fn critical(
        &self,
        place: &Place,
        since: Since,
    ) -> Result<Answered<Vec<Listed>>, QueryError> {
        self.checks("/v1/health/state/critical", self.place(place), since).await
    }

    /// All checks with a warning, sorted. A blocking query ends at each change of any check: that
    /// for one state alone ends only at changes of checks that have or get this state.
    pub(super) async fn warning(
        &self,
        place: &Place,
        since: Since,
    ) -> Result<Answered<Vec<Listed>>, QueryError> {
        let parameters = self.place(place) + &filter(WARNING);
        self.checks("/v1/health/state/any", parameters, since).await
    }

    async fn checks(
        &self,
        path: &str,
        parameters: String,
        since: Since,
    ) -> Result<Answered<Vec<Listed>>, QueryError> {
        let fetched = self.fetch(path, &parameters, since).await?;
        let content = self.read(fetched.body.clone(), wire::checks).await?;
        Ok(fetched.answered(content))
    }

    /// All services, sorted by name. An answer with a warning may hide some.
    pub(super) async fn services(
        &self,
        place: &Place,
        since: Since,
    ) -> Result<Answered<std::sync::Arc<[Service]>>, QueryError> {
        let fetched = self.fetch("/v1/catalog/services", &self.place(place), since).await?;
        let content = self.read(fetched.body.clone(), wire::services).await?;
        let warning = fetched.filtered.then(String::new);
        Ok(Answered { warning, ..fetched.answered(content) })
    }

    /// The index of the list of nodes.
    pub(super) async fn nodes(
        &self,
        place: &Place,
        since: Since,
    ) -> Result<Answered<()>, QueryError> {
        let parameters = self.place(place) + &filter(NO_NODE);
        let fetched = self.fetch("/v1/catalog/nodes", &parameters, since).await?;
        Ok(fetched.answered(()))
    }

    /// The datacenters whose catalogue can be read.
    async fn reachable(&self, names: &[Bytes]) -> Data {
        let mut reachable = Vec::new();
        for name in names {
            let place = Place {
                datacenter: Some(String::from_utf8_lossy(name).into_owned()),
                ..Place::default()
            };
            match self.fetch("/v1/catalog/services", &self.place(&place), Since::default()).await {
                Ok(_) => reachable.push(name.clone()),
                Err(error) => debug!("consul: a datacenter is left out: {error}"),
            }
        }
        Data::Datacenters(reachable.into())
    }

    /// The path of a query's URL, and its parameters, each behind `&`.
    fn path(&self, query: &Query) -> (String, String) {
        let mut parameters = String::new();
        let path = match query {
            Query::Key { key, place, .. } => {
                parameters += &self.place(place);
                format!("/v1/kv/{}", path_of(spelled(key).as_bytes()))
            }
            Query::Pairs { prefix, place } => {
                parameters += "&recurse=";
                parameters += &self.place(place);
                format!("/v1/kv/{}", path_of(spelled(prefix).as_bytes()))
            }
            Query::Instances(asked) => {
                parameters += &self.place(&asked.place);
                parameters += &named("near", asked.near.as_deref());
                parameters += &named("tag", asked.tag.as_deref());
                if asked.filters.iter().eq([&Filter::Passing]) {
                    parameters += "&passing=1";
                }
                let kind = if asked.mesh { "connect" } else { "service" };
                format!("/v1/health/{kind}/{}", path_of(asked.service.as_bytes()))
            }
            Query::Prepared { name, place, near } => {
                parameters += &self.place(place);
                parameters += &named("near", near.as_deref());
                format!("/v1/query/{}/execute", path_of(name.as_bytes()))
            }
            Query::Services { place } => {
                parameters += &self.place(place);
                "/v1/catalog/services".to_owned()
            }
            Query::Node { name, place } => {
                parameters += &self.place(place);
                let name = name.as_deref().unwrap_or_default();
                format!("/v1/catalog/node/{}", path_of(name.as_bytes()))
            }
            Query::Nodes { place, near } => {
                parameters += &self.place(place);
                parameters += &named("near", near.as_deref());
                "/v1/catalog/nodes".to_owned()
            }
            Query::Datacenters { .. } => "/v1/catalog/datacenters".to_owned(),
            Query::CaRoots => "/v1/agent/connect/ca/roots".to_owned(),
            Query::CaLeaf { service } => {
                parameters += &self.place(&Place::default());
                format!("/v1/agent/connect/ca/leaf/{}", path_of(service.as_bytes()))
            }
            Query::Partitions => "/v1/partitions".to_owned(),
            Query::Peerings { partition } => {
                parameters += &named("partition", partition.as_deref());
                "/v1/peerings".to_owned()
            }
            Query::ExportedServices { partition } => {
                let partition = Some(&**partition).filter(|partition| !partition.is_empty());
                parameters += &named("partition", partition);
                "/v1/exported-services".to_owned()
            }
            Query::ImportedServices { partition } => {
                parameters += &named("partition", Some(partition));
                "/v1/imported-services".to_owned()
            }
        };
        (path, parameters)
    }

    /// A place as parameters. What it does not say is said by the options.
    fn place(&self, place: &Place) -> String {
        let options = self.options();
        let mut parameters = String::new();
        for (name, own, general) in [
            ("dc", &place.datacenter, &options.datacenter),
            ("partition", &place.partition, &options.partition),
            ("ns", &place.namespace, &options.namespace),
            ("peer", &place.peer, &None),
            ("sameness-group", &place.sameness_group, &None),
        ] {
            parameters += &named(name, own.as_deref().or(general.as_deref()));
        }
        parameters
    }

    /// Gets a result from a node. A blocking query that fails is repeated at the other nodes
    /// without its index: they may have another history.
    async fn fetch(
        &self,
        path: &str,
        parameters: &str,
        since: Since,
    ) -> Result<Fetched, QueryError> {
        let chosen = match self.options().consistency {
            Consistency::Stale(_) if since.from_leader => Consistency::Default,
            consistency => consistency,
        };
        // The status that the last node answered with, if all nodes fail.
        let status = Mutex::new(None);
        let nodes = self.client.nodes();
        if let (Some(_), Some(node)) = (since.beyond, nodes.current()) {
            let fetched = self.fetch_at(node, path, parameters, since, chosen, &status).await;
            match fetched {
                Ok(fetched) => return fetched,
                Err(NodeError::Final(error)) => return Err(failed(error)),
                Err(NodeError::Unreachable(cause)) => {
                    debug!("consul: a blocking query at {} ended: {cause}", nodes.address(node));
                    nodes.leave(node);
                }
            }
        }
        let is_instead = since.beyond.is_some();
        let since = Since { beyond: None, ..since };
        let ask = |node| self.fetch_at(node, path, parameters, since, chosen, &status);
        match nodes.ask(ask).await {
            Ok((_, fetched)) => fetched.map(|fetched| Fetched { is_instead, ..fetched }),
            Err(error) => {
                let status = status.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(status.unwrap_or_else(|| failed(error)))
            }
        }
    }

    async fn fetch_at(
        &self,
        node: usize,
        path: &str,
        parameters: &str,
        since: Since,
        consistency: Consistency,
        status: &Mutex<Option<QueryError>>,
    ) -> Result<Result<Fetched, QueryError>, NodeError> {
        let Since { beyond, known, .. } = since;
        let target = target(path, parameters, beyond, consistency);
        // Consul adds up to a sixteenth of the wait, so that not all queries end at the same time.
        let patience = beyond.map_or(Duration::ZERO, |beyond| beyond.wait + beyond.wait / 16);
        let (head, body) = self.client.get(node, &target, patience).await?;
        let is_answer = head.status.is_success() || head.status == StatusCode::NOT_FOUND;
        let must_be_asked_again = match (consistency, beyond) {
            // The agent has seen no event for the whole time. If its servers have another history
            // by now, it stays silent until they have passed the known index.
            (_, Some(Beyond { index, .. })) if is_of_events(&head) => {
                head.number("x-consul-index").is_none_or(|now| now <= index)
            }
            (Consistency::Stale(bound), _) => {
                is_older_than(&head, bound) || is_before(&head, known)
            }
            _ => false,
        };
        if is_answer && must_be_asked_again {
            let target = self::target::target(path, parameters, None, Consistency::Default);
            let (head, body) = self.client.get(node, &target, Duration::ZERO).await?;
            return taken(path, &head, body, status);
        }
        taken(path, &head, body, status)
    }

    /// Decodes a body.
    async fn read<T: Send + 'static>(
        &self,
        body: Bytes,
        decode: impl FnOnce(&Bytes) -> Result<T, serde_json::Error> + Send + 'static,
    ) -> Result<T, QueryError> {
        let decoded = decoded(body.len(), move || decode(&body)).await;
        decoded.map_err(|cause| self.malformed(&cause))
    }

    /// The address of the node that is asked now.
    fn node(&self) -> String {
        let nodes = self.client.nodes();
        nodes.current().map_or("", |node| nodes.address(node)).to_owned()
    }

    fn malformed(&self, cause: &serde_json::Error) -> QueryError {
        let node = self.node();
        let cause = Cause::new(format!("answered with something else: {cause}"));
        failed(Error::Unreachable { store: NAME, attempts: vec![Attempt { node, cause }] })
    }
}

fn failed(error: Error) -> QueryError {
    QueryError::Store(error.into())
}

/// Whether an agent answered from the events that its servers send.
fn is_of_events(head: &Head) -> bool {
    head.text("x-consul-query-backend") == Some("streaming")
}

fn is_older_than(head: &Head, bound: Duration) -> bool {
    let age = head.number("x-consul-lastcontact").map(Duration::from_millis);
    head.text("x-consul-knownleader") == Some("false") || age.is_some_and(|age| age > bound)
}

/// Whether an answer has a lower index than the known one.
fn is_before(head: &Head, known: Option<u64>) -> bool {
    let index = head.number("x-consul-index");
    known.zip(index).is_some_and(|(known, index)| index < known)
}

/// The result in a response.
///
/// # Errors
///
/// The node cannot answer now. `status` then gets what it said.
fn taken(
    path: &str,
    head: &Head,
    body: Vec<u8>,
    status: &Mutex<Option<QueryError>>,
) -> Result<Result<Fetched, QueryError>, NodeError> {
    let is_of_keys = path.starts_with("/v1/kv/");
    let found = match head.status {
        StatusCode::OK => true,
        StatusCode::NOT_FOUND if is_of_keys => false,
        refused => {
            let error = QueryError::Status { code: refused.as_u16(), body: words(&body) };
            if refused.is_client_error() && refused != StatusCode::TOO_MANY_REQUESTS {
                return Ok(Err(error));
            }
            *status.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return Err(NodeError::Unreachable(head.cause(&body)));
        }
    };
    let index = head.number("x-consul-index");
    let is_of_catalog = path.starts_with("/v1/health/")
        || path.starts_with("/v1/catalog/") && path != "/v1/catalog/datacenters";
    if index.is_none() && (is_of_keys || is_of_catalog) {
        let code = head.status.as_u16();
        let cause = format!("answered {code} without an index, as Consul never does");
        return Err(NodeError::Unreachable(Cause::new(cause)));
    }
    let filtered = head.text("x-consul-results-filtered-by-acls") == Some("true");
    let is_of_events = is_of_events(head);
    let wants_token = head.text("x-consul-default-acl-policy") == Some("deny");
    let body = body.into();
    let fetched =
        Fetched { found, index, filtered, is_of_events, is_instead: false, wants_token, body };
    Ok(Ok(fetched))
}
