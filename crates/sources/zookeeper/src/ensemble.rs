//! The servers, of which one is asked.

use nodes::{Cause, Error, Failover, NodeError};

use crate::address::{FORMS, Places, Server};
use crate::connection::Connection;
use crate::failure::{Failure, NAME};
use crate::{Options, address};

/// The servers, and how they are connected to.
#[derive(Debug)]
pub(crate) struct Ensemble {
    pub(crate) options: Options,
    servers: Vec<Server>,
    /// The path of the node that is the root for users; empty for that of the servers.
    pub(crate) chroot: String,
    nodes: Failover,
}

impl Ensemble {
    pub(crate) fn new(options: Options) -> Self {
        // Addresses that were given have one root, and those of an SRV record have none.
        let places = Places::parse(&options.nodes, options.tls_is_default);
        let places = places.unwrap_or_else(|address::TwoRoots| Places {
            servers: Vec::new(),
            chroot: String::new(),
        });
        let not_given = options.nodes_are_default.then_some("-node");
        let addresses = places.servers.iter().map(|server| server.shown.clone()).collect();
        let nodes = Failover::new(NAME, addresses).of_default(not_given);
        Ensemble { options, servers: places.servers, chroot: places.chroot, nodes }
    }

    /// Opens a session on the first server that answers. Returns the server's number with it.
    pub(crate) async fn connect(&self) -> Result<(usize, Connection), Error> {
        let connect = async |index: usize| {
            self.connect_to(index).await.map_err(|failure| match failure {
                Failure::Unreachable(cause) => NodeError::Unreachable(cause),
                failure => NodeError::Final(failure.at(self.address(index))),
            })
        };
        self.nodes.ask(connect).await
    }

    /// Asks the server after this one first from now on.
    pub(crate) fn leave(&self, index: usize) {
        self.nodes.leave(index);
    }

    /// The address of a server, for messages.
    pub(crate) fn address(&self, index: usize) -> &str {
        self.nodes.address(index)
    }

    async fn connect_to(&self, index: usize) -> Result<Connection, Failure> {
        let server = self.servers.get(index);
        match server.and_then(|server| Some((server.place.as_ref()?, server.tls))) {
            Some(((host, port), tls)) => Connection::open(host, *port, tls, &self.options).await,
            None => Err(Failure::Unreachable(Cause::new(FORMS))),
        }
    }
}
