//! The server, and the client that changes its keys.

use std::time::{Duration, Instant};

use etcd_client::{Client, KvClient, Txn, TxnOp};
use servers::{Etcd, Release};
use tokio::runtime::{Builder, Runtime};

/// How many puts one transaction may hold by etcd's default.
const OPERATIONS: usize = 128;

/// An etcd of one member, with its data in memory.
pub(crate) struct Store {
    server: Etcd,
    runtime: Runtime,
    client: KvClient,
}

/// What etcd was asked since it started, by its metrics.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Reads: requests for a range, and transactions.
    pub(crate) reads: f64,
    /// Bytes sent to all clients, events of watches and answers to puts included.
    pub(crate) bytes: f64,
}

impl Store {
    pub(crate) fn start() -> Self {
        let server = Etcd::start(Release::Newest);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(Client::connect([server.url()], None)).expect("a client");
        Store { server, runtime, client: client.kv_client() }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Sets a key; gives when this was begun and how long the answer took.
    pub(crate) fn put(&mut self, key: &str, value: &str) -> (Instant, Duration) {
        let begun = Instant::now();
        self.runtime.block_on(self.client.put(key, value, None)).expect("etcd takes a value");
        (begun, begun.elapsed())
    }

    /// Sets many keys.
    pub(crate) fn put_all(&mut self, pairs: &[(String, String)]) {
        for part in pairs.chunks(OPERATIONS) {
            let put = |(key, value): &(String, String)| TxnOp::put(&**key, &**value, None);
            let puts: Vec<_> = part.iter().map(put).collect();
            let done = self.runtime.block_on(self.client.txn(Txn::new().and_then(puts)));
            done.expect("etcd takes many values");
        }
    }

    pub(crate) fn asked(&self) -> Asked {
        let handled = |method| {
            let name =
                format!("grpc_server_handled_total{{grpc_code=\"OK\",grpc_method=\"{method}\"");
            self.server.metric(&name)
        };
        Asked {
            reads: handled("Range") + handled("Txn"),
            bytes: self.server.metric("etcd_network_client_grpc_sent_bytes_total"),
        }
    }
}
