//! The connections to everything that holds keys: to one server, or to all masters of a cluster.

use futures_util::future::try_join_all;
use nodes::{Cause, Error, Failover, NodeError};
use tracing::debug;

use crate::Options;
use crate::address::{FORMS, Login, Node, Place};
use crate::cluster::Layout;
use crate::connection::{Connection, no_reply, unless_forbidden};
use crate::failure::{Failure, NAME};
use crate::resp::{Reply, Request};
use crate::slot;

/// The port of a server, and that of a Sentinel.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// The number of a link and its failure.
pub(crate) type Failed = (usize, Failure);

/// Finds servers, and connects to them.
pub(crate) struct Finder {
    pub(crate) options: Options,
    nodes: Failover,
}

/// A server that is connected to.
pub(crate) struct Link {
    /// Its address for messages.
    pub(crate) shown: String,
    /// Its address, and who logs in.
    node: Node,
    login: Option<Login>,
    pub(crate) connection: Connection,
}

/// The connections to all servers that hold keys.
pub(crate) struct Links {
    pub(crate) all: Vec<Link>,
    /// Of a cluster: where its slots are. The link of a master has the master's number.
    layout: Option<Layout>,
    /// The number of the node of the user's list that led here.
    found_by: usize,
}

impl Finder {
    pub(crate) fn new(options: Options) -> Self {
        let not_given = options.nodes_are_default.then_some("-node");
        let nodes = Failover::new(NAME, options.nodes.clone()).of_default(not_given);
        Finder { options, nodes }
    }

    /// Connects to the first of the user's nodes that answers, or to the servers that it names.
    pub(crate) async fn connect(&self) -> Result<Links, Error> {
        let connect = async |index: usize| {
            let text = self.nodes.address(index);
            let address = nodes::address::shown(text);
            self.connect_by(index, text).await.map_err(|failure| match failure {
                Failure::Unreachable(cause) | Failure::Moved(cause) => {
                    NodeError::Unreachable(cause)
                }
                failure => NodeError::Final(failure.at(&address)),
            })
        };
        let (_, links) = self.nodes.ask(connect).await?;
        Ok(links)
    }

    /// Asks the next node first from now on.
    pub(crate) fn leave(&self, links: &Links) {
        self.nodes.leave(links.found_by);
    }

    /// Whether the keys are on other servers by now.
    pub(crate) async fn has_moved(&self, links: &mut Links) -> Result<bool, Failure> {
        let Some(link) = links.all.first_mut() else { return Ok(false) };
        if let Some(master) = &self.options.sentinel {
            let named = self.named_now(master).await;
            return Ok(named.is_some_and(|place| place != link.node.place));
        }
        match &links.layout {
            Some(layout) => {
                let now = Layout::of(&mut link.connection, &link.node.place).await?;
                Ok(now.as_ref() != Some(layout))
            }
            None => Ok(false),
        }
    }

    /// Opens one more connection to the server of a link.
    pub(crate) async fn again(&self, link: &Link) -> Result<Connection, Failure> {
        Connection::open(&link.node, link.login.as_ref(), &self.options).await
    }

    async fn connect_by(&self, index: usize, text: &str) -> Result<Links, Failure> {
        let port = if self.options.sentinel.is_some() { SENTINEL_PORT } else { PORT };
        let Some(mut node) = Node::parse(text, port) else {
            let advice = text.contains(',').then_some(nodes::address::SEVERAL);
            return Err(Failure::Unreachable(Cause::new(FORMS).advised(advice)));
        };
        node.tls |= self.options.tls_is_default && matches!(node.place, Place::Host(..));
        let mut shown = nodes::address::shown(text);
        let mut login = node.login.clone().or_else(|| self.options.login.clone());
        if let Some(master) = &self.options.sentinel {
            (node.place, login) = (self.master(&node, master).await?, self.options.login.clone());
            shown = format!("{} (master {master} of Sentinel {shown})", node.place);
        }
        let named = |failure| match failure {
            Failure::Unreachable(cause) if self.options.sentinel.is_some() => {
                Failure::Unreachable(Cause::new(format!("{shown}: {cause}")))
            }
            failure => failure,
        };
        let connection = Connection::open(&node, login.as_ref(), &self.options).await;
        let mut link =
            Link { shown: shown.clone(), node, login, connection: connection.map_err(named)? };
        if self.options.sentinel.is_some() {
            must_be_master(&mut link.connection).await.map_err(named)?;
        }
        match Layout::of(&mut link.connection, &link.node.place).await? {
            Some(layout) => self.cluster(index, link, layout).await,
            None => Ok(Links { all: vec![link], layout: None, found_by: index }),
        }
    }

    /// The address of the master that a Sentinel names.
    async fn master(&self, sentinel: &Node, master: &str) -> Result<Place, Failure> {
        // The database is that of the master.
        let sentinel = Node { database: None, ..sentinel.clone() };
        let mut connection =
            Connection::open(&sentinel, sentinel.login.as_ref(), &self.options).await?;
        match connection.ask_one(&["SENTINEL", "get-master-addr-by-name", master]).await? {
            // A list that does not exist.
            Reply::List(parts) if parts.is_empty() => {
                let text = format!("this Sentinel knows no master with the name {master:?}");
                Err(Failure::Unreachable(Cause::new(text)))
            }
            reply => Place::of_reply(&reply, None).ok_or_else(no_reply),
        }
    }

    /// The address of the master, by the first Sentinel that answers.
    async fn named_now(&self, master: &str) -> Option<Place> {
        let first = self.nodes.current().unwrap_or_default();
        let nodes = &self.options.nodes;
        for text in nodes.iter().cycle().skip(first).take(nodes.len()) {
            let mut sentinel = Node::parse(text, SENTINEL_PORT)?;
            sentinel.tls |= self.options.tls_is_default;
            if let Ok(place) = self.master(&sentinel, master).await {
                return Some(place);
            }
        }
        None
    }

    /// Connects to all masters of the cluster that `first` belongs to.
    async fn cluster(&self, index: usize, first: Link, layout: Layout) -> Result<Links, Failure> {
        let open = layout.masters.iter().map(|place| {
            let node = Node { place: place.clone(), ..first.node.clone() };
            let login = first.login.clone();
            async move {
                let connection = Connection::open(&node, login.as_ref(), &self.options).await;
                let shown = node.place.to_string();
                match connection {
                    Ok(connection) => Ok(Link { shown, node, login, connection }),
                    Err(Failure::Unreachable(cause)) => {
                        let text = format!("the master {shown} of its cluster: {cause}");
                        Err(Failure::Unreachable(Cause::new(text)))
                    }
                    Err(failure) => Err(failure),
                }
            }
        });
        let all = try_join_all(open).await?;
        debug!("redis: {} is in a cluster of {} masters", first.shown, all.len());
        Ok(Links { all, layout: Some(layout), found_by: index })
    }
}

impl Link {
    /// The number of the database.
    pub(crate) fn database(&self) -> u32 {
        self.node.database.unwrap_or_default()
    }
}

impl Links {
    /// Which keys can be asked for together: the number of the link, and of the slot in a cluster.
    ///
    /// # Errors
    ///
    /// No server has the slot of the key.
    pub(crate) fn place_of(&self, key: &[u8]) -> Result<(usize, u16), Failure> {
        let Some(layout) = &self.layout else { return Ok((0, 0)) };
        let slot = slot::of(key);
        let none = || Cause::new(format!("no server of the cluster has slot {slot}"));
        let link = layout.master_of(slot).ok_or_else(|| Failure::Unreachable(none()))?;
        Ok((link, slot))
    }

    /// The link to the server that a key has moved to already, although its slot has not, as an error
    /// of the link `asked` says.
    pub(crate) fn moving_to(&self, error: &str, asked: usize) -> Option<usize> {
        self.layout.as_ref()?.master_in(error, asked).filter(|_| error.starts_with("ASK "))
    }

    /// Sends each server its request at the same time. Returns the replies of each.
    ///
    /// # Errors
    ///
    /// The number of the link that failed, with its failure.
    pub(crate) async fn ask(&mut self, requests: &[Request]) -> Result<Vec<Vec<Reply>>, Failed> {
        let ask = self.all.iter_mut().zip(requests).enumerate().map(
            |(index, (link, request))| async move {
                match request.commands() {
                    0 => Ok(Vec::new()),
                    _ => link.connection.ask(request).await.map_err(|failure| (index, failure)),
                }
            },
        );
        try_join_all(ask).await
    }

    /// Sends one server a request. Returns the last of its replies.
    pub(crate) async fn ask_link(
        &mut self,
        index: usize,
        request: &Request,
    ) -> Result<Reply, Failed> {
        let link = self.all.get_mut(index).ok_or_else(|| (index, no_reply()))?;
        let replies = link.connection.ask(request).await.map_err(|failure| (index, failure))?;
        replies.into_iter().next_back().ok_or_else(|| (index, no_reply()))
    }

    /// Sends one server a command about a key that has moved to it already, although its slot has not.
    pub(crate) async fn ask_moving(
        &mut self,
        index: usize,
        words: &[&[u8]],
    ) -> Result<Reply, Failed> {
        let mut request = Request::of(&["ASKING"]);
        request.add(words);
        self.ask_link(index, &request).await
    }

    /// The error for users: a failure of this link.
    pub(crate) fn error(&self, (index, failure): Failed) -> Error {
        failure.at(self.all.get(index).map_or("", |link| &link.shown))
    }
}

/// Checks that a server is a master. A Sentinel may name one that no longer is for a moment.
async fn must_be_master(connection: &mut Connection) -> Result<(), Failure> {
    let replies = connection.ask(&Request::of(&["ROLE"])).await?;
    let Some(reply) = replies.into_iter().next() else { return Err(no_reply()) };
    match unless_forbidden(reply)? {
        Some(Reply::List(parts))
            if parts.first().and_then(Reply::text).is_none_or(|role| role != "master") =>
        {
            Err(Failure::Unreachable(Cause::new("it is not the master any more, or not yet")))
        }
        _ => Ok(()),
    }
}
