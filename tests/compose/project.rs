//! A folder of `examples/compose/`, started by `docker-compose` with an engine of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use servers::{Engine, eventually, pause, present};

use crate::images;

/// The address of the host that the balancers' ports are published at.
pub(crate) const HOST_ADDRESS: &str = "10.77.0.5";

/// How long a chain may take to heal. After a restart of the engine all containers start, and the
/// store elects a leader.
const HEALING: Duration = Duration::from_secs(60);

/// What was started from one `compose.yaml`.
pub(crate) struct Project {
    /// The name of the folder, which begins the names of all containers.
    name: &'static str,
    /// A copy of what the folder needs of the repository.
    tree: PathBuf,
    pub(crate) engine: Engine,
}

/// A service that balances.
pub(crate) struct Balancer {
    pub(crate) service: &'static str,
    /// The file that confd or consul-template writes.
    pub(crate) file: &'static str,
}

impl Project {
    /// Makes the images and starts everything.
    #[track_caller]
    pub(crate) fn start(name: &'static str, images: &[&str]) -> Project {
        let engine = Engine::start(HOST_ADDRESS);
        images::make(&engine, &["test/small"]);
        images::make(&engine, images);
        let tree = engine.folder().join("tree");
        copy(&tree);
        let project = Project { name, tree, engine };
        project.compose(&["up", "--detach", "--build"]);
        project
    }

    /// Runs `docker-compose` with these arguments. Returns what it printed.
    #[track_caller]
    pub(crate) fn compose(&self, arguments: &[&str]) -> String {
        let socket = self.engine.socket();
        let done = Command::new(present(PathBuf::from("/usr/bin/docker-compose")))
            .current_dir(self.tree.join("examples/compose").join(self.name))
            .env("DOCKER_HOST", format!("unix://{}", socket.display()))
            .env("DOCKER_SOCKET", socket)
            .env("DOCKER_CONFIG", &self.tree)
            // Images are built by the engine and not by a program of the machine.
            .env("COMPOSE_DOCKER_CLI_BUILD", "0")
            .env("COMPOSE_PROFILES", "consul-template")
            .env("PROGRAM", "target/dist/confd")
            .envs(images::VARIABLES)
            .args(arguments)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&done.stdout).into_owned();
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "docker-compose {arguments:?}:\n{printed}\n{errors}");
        printed
    }

    /// The last lines of each container, with their times.
    pub(crate) fn log(&self) -> String {
        self.compose(&["logs", "--no-color", "--timestamps", "--tail=40"])
    }

    /// Changes the number of containers of the service, as the documents say.
    #[track_caller]
    pub(crate) fn scale(&self, number: usize) {
        self.compose(&["up", "--detach", "--scale", &format!("web={number}")]);
        assert_eq!(self.addresses("web").len(), number);
    }

    /// Waits until the file of this balancer has exactly the containers of the service that run.
    #[track_caller]
    pub(crate) fn settles(&self, balancer: &Balancer) {
        let end = Instant::now() + HEALING;
        let mut is_settled = false;
        while !is_settled && Instant::now() < end {
            let running = self.addresses("web");
            is_settled = !running.is_empty() && self.servers(balancer) == running;
            pause(Duration::from_millis(50));
        }
        assert!(
            is_settled,
            "{} has {:?} in place of {:?}\n{}",
            balancer.service,
            self.servers(balancer),
            self.addresses("web"),
            self.log(),
        );
    }

    /// The addresses of the running containers of a service.
    pub(crate) fn addresses(&self, service: &str) -> BTreeSet<String> {
        let listed = self.list(service, "running");
        let addresses = listed.iter().filter_map(|container| {
            let networks = container["NetworkSettings"]["Networks"].as_object()?;
            let address = networks.values().next()?["IPAddress"].as_str()?;
            Some(address.to_owned())
        });
        addresses.collect()
    }

    /// The ids of the running containers of a service.
    pub(crate) fn ids(&self, service: &str) -> Vec<String> {
        let id = |container: &Value| container["Id"].as_str().unwrap().to_owned();
        self.list(service, "running").iter().map(id).collect()
    }

    /// The exit code of the only container of a service, which has ended.
    #[track_caller]
    pub(crate) fn exit_code(&self, service: &str) -> i64 {
        let listed = self.list(service, "exited");
        let request = format!("GET /containers/{}/json", listed[0]["Id"].as_str().unwrap());
        self.engine.ask(&request, &Value::Null)["State"]["ExitCode"].as_i64().unwrap()
    }

    /// The containers of a service with this status.
    fn list(&self, service: &str, status: &str) -> Vec<Value> {
        let filters = json!({
            "label": [format!("com.docker.compose.service={service}")],
            "status": [status],
        })
        .to_string();
        let request = format!("GET /containers/json?filters={}", servers::http::escape(&filters));
        self.engine.ask(&request, &Value::Null).as_array().unwrap().clone()
    }

    /// Whether the interface of a container has this address too.
    pub(crate) fn holds(&self, service: &str, address: &str) -> bool {
        let id = self.ids(service).pop();
        id.is_some_and(|id| self.execute(&id, &["ip", "address"]).contains(address))
    }

    /// The addresses behind the word `server` in the file of a balancer.
    fn servers(&self, balancer: &Balancer) -> BTreeSet<String> {
        let Some(id) = self.ids(balancer.service).pop() else { return BTreeSet::new() };
        let text = self.execute(&id, &["cat", balancer.file]);
        let addresses = text.lines().filter_map(|line| {
            let words = line.trim_start().strip_prefix("server ")?.split_whitespace();
            words
                .map(|word| word.split(':').next().unwrap().to_owned())
                .find(|word| word.parse::<std::net::Ipv4Addr>().is_ok())
        });
        addresses.collect()
    }

    /// Runs a program of an image with one argument, in a container of its own. Returns what it
    /// prints.
    #[track_caller]
    pub(crate) fn run(&self, image: &str, program: &str, argument: &str) -> String {
        let body = json!({"Image": image, "Entrypoint": [program], "Cmd": [argument], "Tty": true});
        let made = self.engine.ask("POST /containers/create", &body);
        let container = format!("/containers/{}", made["Id"].as_str().unwrap());
        self.engine.ask(&format!("POST {container}/start"), &Value::Null);
        self.engine.ask(&format!("POST {container}/wait"), &Value::Null);
        let logs = format!("GET {container}/logs?stdout=1&stderr=1");
        self.engine.try_ask(&logs, &Value::Null).unwrap().text()
    }

    /// Runs a command in a container. Returns what it prints.
    pub(crate) fn execute(&self, id: &str, command: &[&str]) -> String {
        let body = json!({"Cmd": command, "AttachStdout": true, "AttachStderr": true, "Tty": true});
        // A container that has just ended runs no command.
        let made = self.engine.try_ask(&format!("POST /containers/{id}/exec"), &body).unwrap();
        let made: Value = serde_json::from_slice(&made.body).unwrap_or_default();
        let Some(command) = made["Id"].as_str() else { return String::new() };
        let request = format!("POST /exec/{command}/start");
        self.engine.try_ask(&request, &json!({"Tty": true})).unwrap().text()
    }

    /// Kills confd in the container of a balancer, which starts it again.
    #[track_caller]
    pub(crate) fn kill_confd(&self, balancer: &Balancer) {
        for id in self.ids(balancer.service) {
            let number = || self.execute(&id, &["pidof", "confd"]).trim().to_owned();
            let before = number();
            assert_ne!(before, "", "confd runs");
            self.execute(&id, &["kill", "-KILL", &before]);
            eventually("confd runs again", || !number().is_empty() && number() != before);
        }
    }

    /// Kills the container of a service, and waits until it runs again.
    #[track_caller]
    pub(crate) fn crash(&self, service: &str) {
        let id = self.ids(service).pop().unwrap();
        let request = format!("GET /containers/{id}/json");
        let number = || self.engine.ask(&request, &Value::Null)["State"]["Pid"].as_u64();
        let before = number();
        self.engine.crash(&id);
        eventually("the container runs again", || {
            number().is_some_and(|number| number != 0) && number() != before
        });
    }
}

/// Copies what the files name to a folder: the program under test is the one that is built already.
fn copy(tree: &Path) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    images::write_program(&tree.join("target/dist/confd"));
    for name in ["Dockerfile", ".dockerignore", "examples"] {
        let done =
            Command::new("cp").arg("-R").arg(repository.join(name)).arg(tree).status().unwrap();
        assert!(done.success(), "{name}");
    }
}
