//! Consul.

use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use servers::Proxy;
use tokio::runtime::{Builder, Runtime};

use super::{Asked, Store, Target};

/// The name of the backend for `-backend`.
pub(crate) const BACKEND: &str = "consul";

/// A Consul of one server with its data in memory, and a proxy that counts.
pub(crate) struct Consul {
    server: servers::Consul,
    proxy: Proxy,
    runtime: Runtime,
    client: Client,
}

impl Consul {
    pub(crate) fn start() -> Self {
        let server = servers::Consul::start();
        let proxy = Proxy::before(&server.address());
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Consul { server, proxy, runtime, client: client() }
    }
}

impl Store for Consul {
    fn target(&self) -> Target {
        Target { backend: BACKEND, url: self.server.url() }
    }

    fn counted(&self) -> Target {
        Target { backend: BACKEND, url: format!("http://{}", self.proxy.address()) }
    }

    fn put(&mut self, key: &str, value: &str) -> (Instant, Duration) {
        let url = format!("{}/v1/kv{key}", self.server.url());
        let begun = Instant::now();
        let put = self.client.request(Method::PUT, url).body(value.to_owned()).send();
        let answer = self.runtime.block_on(put).expect("Consul answers");
        assert!(answer.status().is_success(), "Consul takes a value");
        (begun, begun.elapsed())
    }

    fn put_all(&mut self, pairs: &[(String, String)]) {
        let spelled = |(key, value): &(String, String)| (key[1..].to_owned(), value.clone());
        let spelled: Vec<_> = pairs.iter().map(spelled).collect();
        self.server.put_all(spelled.iter().map(|(key, value)| (&**key, &**value)));
    }

    fn asked(&self) -> Asked {
        Asked { requests: self.proxy.requests().len() as f64, bytes: self.proxy.bytes() as f64 }
    }

    fn requests_a_change(&self) -> f64 {
        // The blocking query that waits for the next change.
        1.0
    }
}

/// A client without TLS, which does not load the system's certificates.
pub(crate) fn client() -> Client {
    let tls = rustls::ClientConfig::builder_with_provider(
        rustls::crypto::aws_lc_rs::default_provider().into(),
    );
    let tls = tls.with_safe_default_protocol_versions().expect("TLS 1.2 and 1.3");
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let client = Client::builder().tls_backend_preconfigured(tls).no_proxy().tcp_nodelay(true);
    client.build().expect("a client")
}
