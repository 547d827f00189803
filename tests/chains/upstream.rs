//! The chain of many tutorials: services in Consul's catalogue, consul-template, and nginx, which
//! was started before.
//!
//! If the variable `CONSUL_TEMPLATE` names a program, it runs in place of ours.

use std::fs;
use std::os::unix::process::CommandExt as _;

use rustix::process::Signal;
use serde_json::json;
use servers::{Consul, free_ports};

use super::{
    load::{Load, get},
    service::Service,
};
use crate::support::{Daemon, Run, Sandbox, eventually, search_path};

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

/// nginx and consul-template, which run in one folder.
struct Balancer {
    address: String,
    folder: Sandbox,
    _nginx: Daemon,
    template: Daemon,
}

impl Balancer {
    fn start(consul: &Consul) -> Self {
        let folder = Sandbox::new();
        let [port] = free_ports();
        let address = format!("127.0.0.1:{port}");
        folder.write("nginx.conf", NGINX);
        folder.write("app.ctmpl", TEMPLATE.replace("LISTEN", &address));
        fs::create_dir(folder.path("http.d")).unwrap();
        let path = format!("{}:/usr/sbin:/sbin", search_path());
        let nginx = Run::new("nginx", folder.root()).env("PATH", &path);
        let nginx = nginx.arguments(&["-p", ".", "-c", "nginx.conf", "-e", "stderr"]);
        let nginx = Daemon::start(nginx, folder.path("nginx.log"));
        eventually("nginx runs", || {
            fs::read(folder.path("nginx.pid")).is_ok_and(|id| id.len() > 1)
        });
        let reload = "nginx -p . -c nginx.conf -e stderr -s reload && echo done >> reloads";
        let template = format!("app.ctmpl:http.d/app.conf:{reload}");
        let run = Run::new(program(), folder.root()).env("PATH", &path);
        let run = run.with(|command| _ = command.arg0("consul-template"));
        let run = run.arguments(&["-consul-addr", &consul.address(), "-template", &template]);
        let template = Daemon::start(run, folder.path("log"));
        Self { address, folder, _nginx: nginx, template }
    }

    /// Waits until requests reach exactly these services, and nginx has nothing else in its
    /// configuration.
    #[track_caller]
    fn reaches(&self, expected: &[(&str, &Service)]) {
        eventually("the configuration has the services", || {
            let servers = fs::read_to_string(self.folder.path("http.d/app.conf"));
            let servers = servers.unwrap_or_default();
            servers.matches("server 127.0.0.1:").count() == expected.len()
                && expected.iter().all(|(_, service)| servers.contains(&service.address))
        });
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
}

/// The program consul-template.
#[expect(clippy::disallowed_methods, reason = "the environment says which program is run")]
fn program() -> std::ffi::OsString {
    let given = std::env::var_os("CONSUL_TEMPLATE").filter(|program| !program.is_empty());
    given.unwrap_or_else(|| env!("CARGO_BIN_EXE_confd").into())
}

#[test]
fn an_upstream_of_consul_template_grows_to_five_servers_and_shrinks_without_a_lost_request() {
    let consul = Consul::start();
    let names = ["one", "two", "three", "four", "five"];
    let services = names.map(|name| (name, Service::unregistered(name)));
    let register = |(name, service): &(&str, Service)| {
        let port: u16 = service.address.rsplit(':').next().unwrap().parse().unwrap();
        let body = json!({"ID": name, "Name": "web", "Address": "127.0.0.1", "Port": port});
        consul.ask("PUT /v1/agent/service/register", body.to_string().as_bytes());
    };
    let mut present = Vec::new();
    register(&services[0]);
    present.push((services[0].0, &services[0].1));
    let balancer = Balancer::start(&consul);
    balancer.reaches(&present);
    let load = Load::on(&balancer.address);
    for service in &services[1..] {
        register(service);
        present.push((service.0, &service.1));
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
    assert_eq!(balancer.folder.read("reloads").lines().count(), 9, "one reload for each change");
    let ended = balancer.template.stop(Signal::INT);
    assert_eq!(
        (ended.code, ended.stderr.contains("Cleaning up...")),
        (Some(12), true),
        "{ended:?}"
    );
}
