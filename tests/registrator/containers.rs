//! The containers of a case, the images that they are made of, and the networks between them.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;

use serde_json::{Map, Value, json};
use servers::{Engine, docker::busybox, eventually};

/// The program of every container. Its arguments are the exit code after SIGTERM, the exit code
/// with which it ends by itself, and the port that it serves, each `-` if there is none. It ends by
/// itself when it gets SIGUSR2, so that a case can wait before it.
const APP: &str = r#"#!/bin/sh
[ "$1" = - ] || trap "exit $1" TERM
[ "$2" = - ] || trap "exit $2" USR2
[ "$3" = - ] || httpd -p "$3" -h /www
echo ready
while :; do
  sleep 1000 &
  wait $!
done
"#;

/// The image of a container that names none, and what an image exposes if the case does not say it.
const DEFAULT_IMAGE: &str = "nginx";
const DEFAULT_PORT: &str = "80/tcp";

/// The images that were made so far. Images that differ only in their names share an id.
pub(crate) struct Images {
    /// The folder with the files of every image.
    root: PathBuf,
    /// By the instructions that made the image.
    ids: HashMap<Vec<String>, String>,
    /// By the name, which can move from image to image.
    names: HashMap<String, String>,
}

impl Images {
    pub(crate) fn new(engine: &Engine) -> Images {
        let root = engine.folder().join("image");
        busybox(&root);
        fs::create_dir(root.join("www")).unwrap();
        fs::write(root.join("www/index.html"), "served\n").unwrap();
        fs::write(root.join("bin/app"), APP).unwrap();
        fs::set_permissions(root.join("bin/app"), fs::Permissions::from_mode(0o755)).unwrap();
        Images { root, ids: HashMap::new(), names: HashMap::new() }
    }

    /// Makes an image of this description, which is null for an image that no case describes.
    pub(crate) fn make(&mut self, engine: &Engine, name: &str, description: &Value) {
        let mut changes = vec![r#"ENTRYPOINT ["/bin/app"]"#.to_owned()];
        let default = json!({"expose": [DEFAULT_PORT]});
        let description = if description.is_null() { &default } else { description };
        changes.extend(texts(&description["expose"]).map(|port| format!("EXPOSE {port}")));
        for (label, value) in description["labels"].as_object().into_iter().flatten() {
            changes.push(format!("LABEL {}={}", json!(label), quoted(value.as_str().unwrap())));
        }
        for entry in texts(&description["env"]) {
            let (name, value) = entry.split_once('=').unwrap_or((&entry, ""));
            changes.push(format!("ENV {name}={}", quoted(value)));
        }
        let id = match self.ids.get(&changes) {
            Some(id) => id.clone(),
            None => engine.import("made-by-tests", &self.root, &changes),
        };
        self.ids.insert(changes, id.clone());
        if self.names.get(name) != Some(&id) {
            engine.tag(&id, name);
            self.names.insert(name.to_owned(), id);
        }
    }

    pub(crate) fn id(&self, name: &str) -> Option<&str> {
        self.names.get(name).map(String::as_str)
    }
}

/// A value of an instruction of a Dockerfile, in which `$` and quotes have no meaning.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$"))
}

/// The texts of a list, or the text that stands alone.
pub(crate) fn texts(value: &Value) -> impl Iterator<Item = String> + use<> {
    let list = match value {
        Value::Array(list) => list.clone(),
        Value::Null => Vec::new(),
        alone => vec![alone.clone()],
    };
    list.into_iter().map(|text| text.as_str().unwrap().to_owned())
}

/// The containers and networks of a case.
pub(crate) struct Containers<'a> {
    engine: &'a Engine,
    known: HashMap<String, Known>,
    networks: HashMap<String, String>,
}

/// A container, and all earlier ones of the same name.
#[derive(Clone, Default)]
struct Known {
    id: String,
    /// The number of starts since the container was created.
    starts: usize,
    /// The host's port for each port of the container, by start.
    ports: Vec<HashMap<String, u16>>,
    /// The address in each network, after the last start.
    addresses: HashMap<String, String>,
}

impl<'a> Containers<'a> {
    pub(crate) fn new(engine: &'a Engine) -> Containers<'a> {
        Containers { engine, known: HashMap::new(), networks: HashMap::new() }
    }

    pub(crate) fn create_network(&mut self, name: &str) {
        let answer = self.engine.ask("POST /networks/create", &json!({"Name": name}));
        self.networks.insert(name.to_owned(), answer["Id"].as_str().unwrap().to_owned());
    }

    /// Creates a container of this description, whose placeholders are filled.
    pub(crate) fn create(&mut self, name: &str, description: &Value) {
        let argument = |key: &str, default: &str| match &description[key] {
            Value::Null => default.to_owned(),
            number => number.to_string(),
        };
        let mut bindings = Map::new();
        for published in texts(&description["publish"]) {
            let (port, binding) = binding(&published);
            let of_port = bindings.entry(port).or_insert_with(|| json!([]));
            of_port.as_array_mut().unwrap().push(binding);
        }
        let exposed = texts(&description["expose"]).chain(bindings.keys().cloned());
        let exposed: Map<_, _> = exposed.map(|port| (with_protocol(&port), json!({}))).collect();
        let mut body = json!({
            "Image": description["image"].as_str().unwrap_or(DEFAULT_IMAGE),
            "Cmd": [argument("on_term", "0"), argument("exit", "-"), argument("http", "-")],
            "Env": description["env"],
            "Labels": description["labels"],
            "ExposedPorts": exposed,
            "HostConfig": {
                "PortBindings": bindings,
                "PublishAllPorts": description["publish_all"] == true,
            },
        });
        if let Some(network) = description["network"].as_str() {
            let network = match network.strip_prefix("container:") {
                Some(name) => format!("container:{}", self.id(name).unwrap_or(name)),
                None => network.to_owned(),
            };
            body["HostConfig"]["NetworkMode"] = network.into();
        }
        if !description["healthcheck"].is_null() {
            body["Healthcheck"] = description["healthcheck"].clone();
        }
        let answer = self.engine.ask(&format!("POST /containers/create?name={name}"), &body);
        let known = self.known.entry(name.to_owned()).or_default();
        answer["Id"].as_str().unwrap().clone_into(&mut known.id);
        known.starts = 0;
        for network in texts(&description["connect"]) {
            self.connect(&network, name);
        }
    }

    /// The image that a description names.
    pub(crate) fn image(description: &Value) -> &str {
        description["image"].as_str().unwrap_or(DEFAULT_IMAGE)
    }

    /// Starts a container, or restarts it.
    pub(crate) fn start(&mut self, name: &str, how: &str) {
        self.post(name, how);
        let known = self.known.get_mut(name).unwrap();
        known.starts += 1;
        let logs = format!("GET /containers/{}/logs?stdout=1", known.id);
        eventually("the program of the container is ready", || {
            let printed = self.engine.try_ask(&logs, &Value::Null).unwrap().text();
            printed.matches("ready").count() >= known.starts
        });
        let inspected =
            self.engine.ask(&format!("GET /containers/{}/json", known.id), &Value::Null);
        let settings = &inspected["NetworkSettings"];
        let ports = settings["Ports"].as_object().into_iter().flatten();
        let ports = ports.filter_map(|(port, bindings)| {
            let number = bindings[0]["HostPort"].as_str()?.parse().ok()?;
            Some((port.clone(), number))
        });
        known.ports.push(ports.collect());
        let networks = settings["Networks"].as_object().into_iter().flatten();
        let address = |(network, settings): (&String, &Value)| {
            (network.clone(), settings["IPAddress"].as_str().unwrap_or_default().to_owned())
        };
        known.addresses = networks.map(address).collect();
    }

    /// Sends a request about a container: `stop?t=5`.
    pub(crate) fn post(&self, name: &str, request: &str) {
        let id = &self.known[name].id;
        self.engine.ask(&format!("POST /containers/{id}/{request}"), &Value::Null);
    }

    pub(crate) fn remove(&self, name: &str) {
        remove(self.engine, &self.known[name].id);
    }

    pub(crate) fn rename(&mut self, name: &str, new: &str) {
        self.post(name, &format!("rename?name={new}"));
        self.known.insert(new.to_owned(), self.known[name].clone());
    }

    pub(crate) fn connect(&self, network: &str, name: &str) {
        let network = self.networks.get(network).map_or(network, String::as_str);
        let body = json!({"Container": self.known[name].id});
        self.engine.ask(&format!("POST /networks/{network}/connect"), &body);
    }

    /// Runs a command in a container, to its end.
    pub(crate) fn execute(&self, name: &str, command: &Value) {
        let command = match command.as_str() {
            Some(text) => json!(["sh", "-c", text]),
            None => command.clone(),
        };
        let id = &self.known[name].id;
        let body = json!({"Cmd": command, "AttachStdout": true});
        let made = self.engine.ask(&format!("POST /containers/{id}/exec"), &body);
        let request = format!("POST /exec/{}/start", made["Id"].as_str().unwrap());
        self.engine.ask(&request, &json!({}));
    }

    /// Lets a container end by itself, and waits until it has ended.
    pub(crate) fn let_end(&self, name: &str) {
        let request = format!("POST /containers/{}/kill?signal=USR2", self.known[name].id);
        // It is an error if the container has ended, and that is what is waited for.
        self.engine.try_ask(&request, &Value::Null).unwrap();
        let request = format!("GET /containers/{}/json", self.known[name].id);
        eventually("the container has ended", || {
            self.engine.ask(&request, &Value::Null)["State"]["Running"] == false
        });
    }

    /// The id of a container.
    pub(crate) fn id(&self, name: &str) -> Option<&str> {
        Some(&self.known.get(name)?.id)
    }

    /// The id of a network.
    pub(crate) fn network(&self, name: &str) -> Option<&str> {
        self.networks.get(name).map(String::as_str)
    }

    /// The host's port for a port of a container (`80/tcp`) after its `nth` start, counted from 1.
    pub(crate) fn port(&self, name: &str, port: &str, nth: usize) -> Option<u16> {
        self.known.get(name)?.ports.get(nth.checked_sub(1)?)?.get(port).copied()
    }

    /// The address of a container in a network.
    pub(crate) fn address(&self, name: &str, network: &str) -> Option<&str> {
        self.known.get(name)?.addresses.get(network).map(String::as_str)
    }

    /// The ids of the containers that run.
    pub(crate) fn running(&self) -> Vec<String> {
        ids(self.engine, "GET /containers/json")
    }
}

fn ids(engine: &Engine, request: &str) -> Vec<String> {
    let listed = engine.ask(request, &Value::Null);
    let listed = listed.as_array().unwrap().iter();
    listed.map(|listed| listed["Id"].as_str().unwrap().to_owned()).collect()
}

/// Removes all containers, then all networks of users.
pub(crate) fn clear(engine: &Engine) {
    thread::scope(|scope| {
        for id in ids(engine, "GET /containers/json?all=1") {
            scope.spawn(move || remove(engine, &id));
        }
    });
    engine.ask("POST /networks/prune", &Value::Null);
}

fn remove(engine: &Engine, id: &str) {
    engine.ask(&format!("DELETE /containers/{id}?force=1&v=1"), &Value::Null);
}

fn with_protocol(port: &str) -> String {
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

/// The port and the binding of `[ADDRESS:[PORT]:]PORT[/PROTOCOL]`, as in `docker run --publish`.
fn binding(published: &str) -> (String, Value) {
    let (host, port) = published.rsplit_once(':').unwrap_or(("", published));
    let (address, host_port) = host.rsplit_once(':').unwrap_or(("", host));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    (with_protocol(port), json!({"HostIp": address, "HostPort": host_port}))
}
