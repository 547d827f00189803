//! A template over all services of a Consul, in the program called consul-template: ours and the
//! one that the variable `CONSUL_TEMPLATE` names.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use servers::Consul;

use crate::{
    PATIENCE,
    contender::Daemon,
    renames::Renames,
    site::Site,
    store::{Store, consul},
    table::{Table, median, ms, p99},
    usage::Usage,
};

/// The instances of each service, one on each node.
const INSTANCES: usize = 10;

/// The number of first renderings, and of changes in each block.
const STARTS: usize = 5;
const CHANGES: usize = 60;
const BLOCKS: usize = 2;

/// The pause between two changes. consul-template asks about a service at most every 100 ms.
const PAUSE: Duration = Duration::from_millis(120);

const TEMPLATE: &str = "{{range services}}{{range service (print .Name \"|any\")}}{{.ID}} \
    {{.Address}}:{{.Port}} {{.Status}}\n{{end}}{{end}}";

/// A program called consul-template.
struct Program {
    name: &'static str,
    path: PathBuf,
    first: Option<&'static str>,
}

/// A running program and its file.
struct Running {
    daemon: Daemon,
    renames: Renames,
    begun: Instant,
    _site: Site,
}

/// The figures of a program.
#[derive(Default)]
struct Figures {
    first: Vec<f64>,
    change: Vec<f64>,
    cpu: Vec<f64>,
    resident: Vec<f64>,
    connections: Vec<f64>,
}

/// 1, 100 and 1,000 services of ten instances: the first rendering, and an instance that fails or
/// recovers. Only one program runs at a time.
pub(crate) fn upstreams(store: &mut dyn Store) {
    if store.target().backend != consul::BACKEND {
        return;
    }
    let own = Program {
        name: "confd",
        path: env!("CARGO_BIN_EXE_confd").into(),
        first: Some("consul-template"),
    };
    let other = env::var_os("CONSUL_TEMPLATE");
    let other =
        other.map(|path| Program { name: "consul-template", path: path.into(), first: None });
    let programs: Vec<Program> = [own].into_iter().chain(other).collect();
    for services in [1, 100, 1000] {
        measure(&programs, services);
    }
}

fn measure(programs: &[Program], services: usize) {
    // consul-template needs a connection for each service.
    let server = Consul::start_with("limits { http_max_conns_per_client = 5000 }");
    for service in 0..services {
        (0..INSTANCES).for_each(|instance| register(&server, service, instance, "passing"));
    }
    let mut figures: Vec<Figures> = programs.iter().map(|_| Figures::default()).collect();
    for _ in 0..STARTS {
        for (program, figures) in programs.iter().zip(&mut figures) {
            let running = start(program, &server);
            figures.first.push(ms(complete(&running, services)));
        }
    }
    let mut number = 0;
    for _ in 0..BLOCKS {
        for (program, figures) in programs.iter().zip(&mut figures) {
            let running = start(program, &server);
            complete(&running, services);
            let before = Usage::settled(running.daemon.pid());
            for _ in 0..CHANGES {
                // Each instance fails, and recovers with the next change.
                let (nth, status) = (number / 2, ["critical", "passing"][number % 2]);
                let (service, instance) = (nth * 7 % services, nth % INSTANCES);
                number += 1;
                let line = line(service, instance, status);
                running.renames.forget();
                let begun = Instant::now();
                register(&server, service, instance, status);
                let is =
                    |found: &[u8]| found.windows(line.len()).any(|found| found == line.as_bytes());
                let seen = running.renames.until_is(is, PATIENCE);
                figures.change.extend(seen.map(|moment| ms(moment - begun)));
                sleep(PAUSE);
            }
            let after = Usage::settled(running.daemon.pid());
            figures.cpu.push(ms(after.cpu_since(&before)) / CHANGES as f64);
            figures.resident.push(after.resident);
            let connections = Usage::connections(running.daemon.pid(), port(&server));
            figures.connections.push(connections as f64);
        }
    }
    let title = format!("8. {services} services of {INSTANCES} instances in one file");
    let columns = [
        ("first ms", 1),
        ("change ms", 2),
        ("99th ms", 2),
        ("CPU ms each", 2),
        ("MiB", 1),
        ("connections", 0),
        ("lost", 0),
    ];
    let mut table = Table::new(&title, &columns);
    let rows: Vec<[f64; 7]> = figures
        .iter()
        .map(|Figures { first, change, cpu, resident, connections }| {
            let lost = (BLOCKS * CHANGES - change.len()) as f64;
            let [cpu, resident, connections] = [cpu, resident, connections].map(|all| median(all));
            [median(first), median(change), p99(change), cpu, resident, connections, lost]
        })
        .collect();
    for (program, row) in programs.iter().zip(&rows) {
        table.row(program.name, row);
    }
    if let [own, other] = &rows[..] {
        let ratios: Vec<f64> = own.iter().zip(other).map(|(own, other)| own / other).collect();
        table.ratios("  ratio", &ratios[..6]);
    }
    table.print();
    assert!(rows[0][6] == 0.0, "confd lost a change");
}

/// Starts a program with a fresh folder.
fn start(program: &Program, server: &Consul) -> Running {
    let site = Site::new();
    let (source, dest) = (site.path("templates").join("all.tpl"), site.dest(0));
    std::fs::write(&source, TEMPLATE).expect("a template");
    let renames = Renames::of(&dest);
    let mut command = Command::new(&program.path);
    command.args(program.first);
    command.args(["-consul-addr", &server.address(), "-log-level", "err", "-template"]);
    command.arg(format!("{}:{}", source.display(), dest.display()));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    Running { daemon: Daemon::start(&mut command), renames, begun, _site: site }
}

/// Waits until the file has all instances. Returns the time since the start.
fn complete(running: &Running, services: usize) -> Duration {
    // Consul is a service too.
    let lines = services * INSTANCES + 1;
    let is = |found: &[u8]| found.iter().filter(|byte| **byte == b'\n').count() == lines;
    let moment = running.renames.until_is(is, 10 * PATIENCE).expect("the first rendering");
    moment - running.begun
}

fn line(service: usize, instance: usize, status: &str) -> String {
    format!("web-{service:04}-{instance} 10.0.0.{instance}:{} {status}\n", 8000 + instance)
}

fn register(server: &Consul, service: usize, instance: usize, status: &str) {
    let (node, name) = (format!("node-{instance}"), format!("web-{service:04}"));
    let id = format!("{name}-{instance}");
    let body = format!(
        r#"{{"Node": "{node}", "Address": "10.0.0.{instance}", "SkipNodeUpdate": true,
            "Service": {{"ID": "{id}", "Service": "{name}", "Port": {}}},
            "Check": {{"Node": "{node}", "CheckID": "service:{id}", "Name": "c",
                       "ServiceID": "{id}", "Status": "{status}"}}}}"#,
        8000 + instance
    );
    server.ask("PUT /v1/catalog/register", body.as_bytes());
}

fn port(server: &Consul) -> u16 {
    let address = server.address();
    address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address with a port")
}
