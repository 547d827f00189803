//! etcd.

use std::time::{Duration, Instant};

use etcd_client::{Client, KvClient, Txn, TxnOp};
use servers::Release;
use tokio::runtime::{Builder, Runtime};

use super::{Asked, Store, Target};

/// The name of the backend for `-backend`.
pub(crate) const BACKEND: &str = "etcdv3";

/// The most puts in one transaction, by etcd's default.
const OPERATIONS: usize = 128;

/// An etcd of one member with its data in memory.
pub(crate) struct Etcd {
    server: servers::Etcd,
    runtime: Runtime,
    client: KvClient,
}

impl Etcd {
    pub(crate) fn start() -> Self {
        let server = servers::Etcd::start(Release::Newest);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(Client::connect([server.url()], None)).expect("a client");
        Etcd { server, runtime, client: client.kv_client() }
    }
}

impl Store for Etcd {
    fn target(&self) -> Target {
        Target { backend: BACKEND, url: self.server.url() }
    }

    /// The same address: etcd itself counts requests.
    fn counted(&self) -> Target {
        self.target()
    }

    fn put(&mut self, key: &str, value: &str) -> (Instant, Duration) {
        let begun = Instant::now();
        self.runtime.block_on(self.client.put(key, value, None)).expect("etcd takes a value");
        (begun, begun.elapsed())
    }

    fn put_all(&mut self, pairs: &[(String, String)]) {
        for part in pairs.chunks(OPERATIONS) {
            let put = |(key, value): &(String, String)| TxnOp::put(&**key, &**value, None);
            let puts: Vec<_> = part.iter().map(put).collect();
            let done = self.runtime.block_on(self.client.txn(Txn::new().and_then(puts)));
            done.expect("etcd takes many values");
        }
    }

    /// From etcd's metrics: ranges and transactions, and all bytes sent, including events of
    /// watches and answers to puts.
    fn asked(&self) -> Asked {
        let handled = |method| {
            let name =
                format!("grpc_server_handled_total{{grpc_code=\"OK\",grpc_method=\"{method}\"");
            self.server.metric(&name)
        };
        Asked {
            requests: handled("Range") + handled("Txn"),
            bytes: self.server.metric("etcd_network_client_grpc_sent_bytes_total"),
        }
    }

    fn requests_a_change(&self) -> f64 {
        0.0
    }
}
