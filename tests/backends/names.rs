//! Nodes and proxies whose names only the test's hosts file and name server know.

use std::time::Duration;

use rustix::process::Signal;
use servers::names::Manner;
use servers::{Certificates, Consul, Etcd, ForwardProxy, Release};

use crate::support::{Daemon, Network, Sandbox, World, eventually, within};

const TEMPLATE: &str = "{{range gets \"/app/*\"}}{{.Key}}={{.Value}}{{end}}";

const NETWORK: Network<'static> = Network {
    hosts: "127.0.0.1 in-hosts\n",
    zone: "store_1. A 127.0.0.1\nstore_1.example.test. A 127.0.0.1\nproxy. A 127.0.0.1\n\
           two.example.test. A 127.0.0.2\ntwo.example.test. A 127.0.0.1",
    is_bare: false,
};

/// A store with the key `/app/a`.
enum Store {
    Etcd(Etcd),
    Consul(Consul),
}

impl Store {
    fn start(backend: &str) -> Self {
        if backend == "consul" {
            let server = Consul::start();
            server.put("app/a", "1");
            return Store::Consul(server);
        }
        let server = Etcd::start(Release::Debian);
        server.put("/app/a", "1");
        Store::Etcd(server)
    }

    fn address(&self) -> String {
        match self {
            Store::Etcd(server) => server.address(),
            Store::Consul(server) => server.address(),
        }
    }

    fn port(&self) -> String {
        self.address().split_once(':').unwrap().1.to_owned()
    }
}

#[test]
fn a_node_is_reached_by_a_name_in_the_hosts_file_or_in_the_dns() {
    for backend in ["etcdv3", "consul"] {
        for host in ["in-hosts", "store_1", "STORE_1.example.test", "two.example.test."] {
            let sandbox = Sandbox::rendering(TEMPLATE);
            let prepare = |_: &World| {
                let store = Store::start(backend);
                sandbox.write("confd.toml", format!("nodes = ['http://{host}:{}']", store.port()));
                store
            };
            let run = sandbox.confd(&["-onetime", "-backend", backend]);
            let (ended, _store) = run.run_in_after(&sandbox, NETWORK, prepare);
            assert_eq!(sandbox.output(), "/app/a=1", "{backend} {host}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_node_with_tls_is_reached_by_a_name_in_the_dns() {
    let files = Certificates::for_names(&["store_1.example.test", "localhost", "127.0.0.1"]);
    let path = |name| files.path(name).display().to_string();
    let sandbox = Sandbox::rendering(TEMPLATE);
    let prepare = |_: &World| {
        let (certificate, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
        let arguments = ["--cert-file", &certificate, "--key-file", &key];
        let server = Etcd::start_with(Release::Debian, &arguments);
        server.ctl(&["--cacert", &ca, "put", "/app/a", "1"]);
        let port = server.address().split_once(':').unwrap().1.to_owned();
        let node = format!("https://store_1.example.test:{port}");
        sandbox.write("confd.toml", format!("nodes = ['{node}']\nclient_cakeys = '{ca}'\n"));
        server
    };
    let run = sandbox.confd(&["-onetime", "-backend", "etcdv3"]);
    let (ended, _server) = run.run_in_after(&sandbox, NETWORK, prepare);
    assert_eq!(sandbox.output(), "/app/a=1", "{}", ended.stderr);
}

#[test]
fn a_proxy_is_reached_by_a_name_in_the_dns() {
    for (backend, scheme) in
        [("etcdv3", "http"), ("etcdv3", "socks5"), ("consul", "http"), ("consul", "socks5")]
    {
        let sandbox = Sandbox::rendering(TEMPLATE);
        sandbox.write("confd.toml", "nodes = ['http://store.invalid:80']");
        let prepare = |_: &World| {
            let store = Store::start(backend);
            let proxy = ForwardProxy::before(&store.address());
            let port = proxy.address().rsplit_once(':').unwrap().1.to_owned();
            sandbox.write("proxy", format!("{scheme}://proxy:{port}"));
            (store, proxy)
        };
        // The port of the proxy is known only when the command starts.
        let script = "export HTTP_PROXY=$(cat proxy) HTTPS_PROXY=$(cat proxy); exec \"$@\"";
        let run = sandbox.confd(&["-onetime", "-backend", backend]);
        let run = run.through(&["sh", "-ec", script, "sh"]);
        let (ended, (_store, proxy)) = run.run_in_after(&sandbox, NETWORK, prepare);
        assert_eq!(sandbox.output(), "/app/a=1", "{backend} {scheme}: {}", ended.stderr);
        assert!(proxy.heads()[0].contains("store.invalid"), "{:?}", proxy.heads());
    }
}

#[test]
fn a_node_is_found_when_the_name_server_answers_again() {
    for backend in ["etcdv3", "consul"] {
        let sandbox = Sandbox::rendering(TEMPLATE);
        sandbox.write("confd.toml", "nodes = ['http://store_1:1']");
        let run = sandbox.confd(&["-watch", "-backend", backend]);
        let (daemon, world) = Daemon::start_in(run, &sandbox, NETWORK);
        daemon.wait_for("http://store_1:1: connection refused");
        world.within(|| {
            let store = Store::start(backend);
            let node = format!("http://store_1:{}", store.port());
            world.names().set_manner(Manner::Silent);
            sandbox.write("confd.toml", format!("nodes = ['{node}']"));
            daemon.signal(Signal::HUP);
            // `resolv.conf` allows one attempt of one second.
            let line = format!("{node}: lookup store_1 on 127.0.0.1:53: i/o timeout");
            within(Duration::from_secs(15), "the failed lookup is reported", || {
                daemon.stderr().contains(&line)
            });
            world.names().set_manner(Manner::Answers);
            eventually("the node is found", || sandbox.output() == "/app/a=1");
        });
        daemon.stop(Signal::TERM);
    }
}

#[test]
fn a_name_that_does_not_exist_is_reported_with_the_name_server() {
    for backend in ["etcdv3", "consul"] {
        let sandbox = Sandbox::rendering(TEMPLATE);
        let node = "http://nosuch.example.test:80";
        let run = sandbox.confd(&["-onetime", "-backend", backend, "-node", node]);
        let ended = run.run_in(&sandbox, NETWORK);
        let line = format!("{node}: lookup nosuch.example.test on 127.0.0.1:53: no such host");
        assert!(ended.stderr.contains(&line), "{}", ended.stderr);
    }
}
