//! The chain of many tutorials: services in Consul's catalogue, a program that follows them, and
//! nginx, which was started before.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::json;
use servers::{Consul, free_ports};

use super::{
    load::{Load, get},
    service::Service,
};
use crate::support::{Daemon, Follower, Rendered, Run, Sandbox, eventually, search_path};

/// The template of the tutorials, which listen at port 80.
const TEMPLATE: &str = r#"upstream app {
    least_conn;
    {{range service "web"}}server {{.Address}}:{{.Port}} max_fails=3 fail_timeout=60 weight=1;
    {{else}}server 127.0.0.1:65535; # force a 502{{end}}
}
server {
    listen LISTEN default_server;
    location / { proxy_pass http://app; }
}
"#;

const NGINX: &str = "daemon off; pid nginx.pid; error_log stderr; worker_processes 2;
worker_shutdown_timeout 20s;
events {}
http {
    access_log off;
    client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;
    uwsgi_temp_path temp; scgi_temp_path temp;
    include http.d/*.conf;
}
";

const RELOAD: &str = "nginx -p . -c nginx.conf -e stderr -s reload && echo done >> reloads";

/// nginx and the program that follows the services, in one folder.
struct Balancer {
    address: String,
    folder: Sandbox,
    _nginx: Daemon,
    follower: Daemon,
}

impl Balancer {
    fn start(follower: Follower, consul: &Consul) -> Self {
        let folder = Sandbox::new();
        let [port] = free_ports();
        let address = format!("127.0.0.1:{port}");
        folder.write("nginx.conf", NGINX);
        fs::create_dir(folder.path("http.d")).unwrap();
        let path = format!("{}:/usr/sbin:/sbin", search_path());
        let nginx = Run::new("nginx", folder.root()).env("PATH", &path);
        let nginx = nginx.arguments(&["-p", ".", "-c", "nginx.conf", "-e", "stderr"]);
        let nginx = Daemon::start(nginx, folder.path("nginx.log"));
        eventually("nginx runs", || {
            fs::read(folder.path("nginx.pid")).is_ok_and(|id| id.len() > 1)
        });
        let template = TEMPLATE.replace("LISTEN", &address);
        let file = Rendered { template: &template, dest: "http.d/app.conf", reload: RELOAD };
        let follower = follower.start(&folder, &[consul.address()], file);
        Self { address, folder, _nginx: nginx, follower }
    }

    /// Whether nginx's configuration has exactly these services. nginx may not have read it yet.
    fn has(&self, expected: &[(&str, &Service)]) -> bool {
        let servers = self.folder.read("http.d/app.conf");
        servers.matches("server 127.0.0.1:").count() == expected.len()
            && expected.iter().all(|(_, service)| servers.contains(&service.address))
    }

    /// Waits until requests reach exactly these services, and nginx has nothing else in its
    /// configuration.
    #[track_caller]
    fn reaches(&self, expected: &[(&str, &Service)]) {
        eventually("the configuration has the services", || self.has(expected));
        let mut names: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        eventually(&format!("requests reach {names:?}"), || {
            let mut answers: Vec<_> =
                (0..20).map(|_| get(&self.address).unwrap_or_default()).collect();
            answers.sort();
            answers.dedup();
            answers == names
        });
    }

    /// The number of reloads that have succeeded.
    fn reloads(&self) -> usize {
        self.folder.read("reloads").lines().count()
    }
}

/// Registers an instance of the service `web` at the agent. It has no check.
fn register(consul: &Consul, name: &str, service: &Service) {
    let port: u16 = service.address.rsplit(':').next().unwrap().parse().unwrap();
    let body = json!({"ID": name, "Name": "web", "Address": "127.0.0.1", "Port": port});
    consul.ask("PUT /v1/agent/service/register", body.to_string().as_bytes());
}

/// The service grows from one instance to five and shrinks to one. An instance that is deregistered
/// answers until nginx does not use it any more, as with every load balancer.
fn scale(follower: Follower) {
    let consul = Consul::start();
    let names = ["one", "two", "three", "four", "five"];
    let services = names.map(|name| (name, Service::unregistered(name)));
    let mut present = Vec::new();
    register(&consul, services[0].0, &services[0].1);
    present.push((services[0].0, &services[0].1));
    let balancer = Balancer::start(follower, &consul);
    balancer.reaches(&present);
    let load = Load::with_kept_connections(&balancer.address);
    for (name, service) in &services[1..] {
        register(&consul, name, service);
        present.push((name, service));
        balancer.reaches(&present);
        load.goes_on(20);
    }
    while present.len() > 1 {
        let (name, _) = present.remove(0);
        consul.ask(&format!("PUT /v1/agent/service/deregister/{name}"), b"");
        balancer.reaches(&present);
        load.goes_on(20);
    }
    let tally = load.end();
    tally.lost_nothing();
    assert_eq!(tally.answers.len(), names.len(), "{tally:?}");
    assert!(tally.kept > 0, "requests were sent on kept connections");
    eventually("the last reload has ended", || balancer.reloads() >= 9);
    let ended = follower.stop(balancer.follower);
    let reloads = balancer.folder.read("reloads").lines().count();
    assert_eq!(reloads, 9, "one reload for each change: {}", ended.stderr);
}

/// The check of an instance fails while the instance answers requests, and passes again.
fn turn_critical(follower: Follower) {
    let consul = Consul::start();
    let (one, two) = (Service::unregistered("one"), Service::unregistered("two"));
    for (name, service) in [("one", &one), ("two", &two)] {
        register(&consul, name, service);
        let check = json!({"ID": format!("up-{name}"), "Name": "up", "ServiceID": name,
            "TTL": "1h", "Status": "passing"});
        consul.ask("PUT /v1/agent/check/register", check.to_string().as_bytes());
    }
    let both = [("one", &one), ("two", &two)];
    let balancer = Balancer::start(follower, &consul);
    balancer.reaches(&both);
    let load = Load::with_kept_connections(&balancer.address);
    let times = [(); 3].map(|()| {
        let begun = Instant::now();
        consul.ask("PUT /v1/agent/check/fail/up-one", b"");
        eventually("the critical instance is not in the file", || balancer.has(&both[1..]));
        let time = begun.elapsed();
        balancer.reaches(&both[1..]);
        consul.ask("PUT /v1/agent/check/pass/up-one", b"");
        balancer.reaches(&both);
        time
    });
    // A busy machine can delay one of them.
    assert!(times.iter().any(|time| *time < Duration::from_secs(1)), "{times:?}");
    load.end().lost_nothing();
    follower.stop(balancer.follower);
}

/// The tests of a program.
macro_rules! tests {
    ($module:ident, $follower:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn an_upstream_grows_to_five_servers_and_shrinks_without_a_lost_request() {
                scale($follower);
            }

            #[test]
            fn an_instance_that_turns_critical_leaves_within_a_second() {
                turn_critical($follower);
            }
        }
    };
}

tests!(confd, Follower::Confd);
tests!(consul_template, Follower::ConsulTemplate);
