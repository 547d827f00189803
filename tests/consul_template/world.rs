//! The Consul of a case, filled as its world describes.

use std::{path::Path, sync::OnceLock};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use servers::{Certificates, Consul, consul::Setup, eventually, http::escape};

/// The dimensions of a network coordinate.
const DIMENSIONS: usize = 8;

/// A Consul that was started and filled.
pub(crate) struct World {
    pub(crate) consul: Consul,
    folder: Folder,
}

/// The folder of a world, which texts call `{{CONSUL_DIR}}`.
enum Folder {
    Empty(tempfile::TempDir),
    Certificates(Certificates),
}

/// A world whose cases only read. They share one Consul, which is started for the first of them.
///
/// It ends when this is dropped: with the last case that has it.
pub(crate) struct Shared {
    description: Value,
    started: OnceLock<World>,
}

impl Shared {
    pub(crate) fn new(description: &Value) -> Shared {
        Shared { description: description.clone(), started: OnceLock::new() }
    }

    /// The world that all cases share.
    pub(crate) fn get(&self) -> &World {
        self.started.get_or_init(|| World::start(&self.description))
    }

    /// A world of its own, for a case that changes it.
    pub(crate) fn own(&self) -> World {
        World::start(&self.description)
    }
}

impl World {
    /// Starts a Consul and fills it.
    fn start(description: &Value) -> World {
        let text = |key: &str, default: &'static str| {
            description[key].as_str().unwrap_or(default).to_owned()
        };
        let folder = match description["tls"].is_null() {
            true => Folder::Empty(tempfile::tempdir().unwrap()),
            false => Folder::Certificates(Certificates::for_names(&[
                "localhost",
                "127.0.0.1",
                "server.dc1.consul",
            ])),
        };
        let mut settings = format!(
            "node_name = {:?}\ndatacenter = {:?}\n",
            text("node", "n0"),
            text("datacenter", "dc1")
        );
        settings += &text("config", "").replace("{{CONSUL_DIR}}", folder.path().to_str().unwrap());
        let durable = description["keep_data"] == true;
        if !durable {
            // A server of `consul agent -dev` has a mesh.
            settings += "\nconnect { enabled = true }\n";
        }
        let consul = Consul::start_as(&Setup {
            settings: &settings,
            durable,
            token: &text("token", ""),
            certificates: match &folder {
                Folder::Empty(_) => None,
                Folder::Certificates(certificates) => Some(certificates),
            },
            anonymous: description["tls"] == "server",
            port: None,
        });
        let world = World { consul, folder };
        world.fill(description);
        world
    }

    /// The texts that stand for placeholders, except those of a case.
    pub(crate) fn placeholders(&self) -> Vec<(&'static str, String)> {
        vec![
            ("{{CONSUL}}", self.consul.address()),
            ("{{CONSUL_TLS}}", self.consul.secure_address()),
            ("{{CONSUL_DIR}}", self.folder.path().to_str().unwrap().to_owned()),
            ("{{CONSUL_SERVER_PORT}}", self.consul.server_port().to_string()),
        ]
    }

    fn fill(&self, description: &Value) {
        let list = |key: &str| description[key].as_array().cloned().unwrap_or_default();
        // The server registers itself some time after it can write.
        self.await_text("/v1/health/service/consul?passing", "serfHealth");
        for pair in list("kv") {
            self.set(&pair);
        }
        for body in list("catalog") {
            self.send("/v1/catalog/register", &body);
        }
        for body in list("local") {
            self.send("/v1/agent/service/register", &body);
        }
        for request in list("requests") {
            self.send(request["path"].as_str().unwrap(), &request["body"]);
        }
        for (node, place) in description["coordinates"].as_object().into_iter().flatten() {
            let mut vector: Vec<f64> =
                place.as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect();
            vector.resize(DIMENSIONS, 0.0);
            let coordinate = json!({"Vec": vector, "Error": 0.1, "Adjustment": 0, "Height": 1e-5});
            let body = json!({"Node": node, "Segment": "", "Coord": coordinate});
            self.send("/v1/coordinate/update", &body);
        }
        // The server stores coordinates some time after it has received them.
        for (node, _) in description["coordinates"].as_object().into_iter().flatten() {
            self.await_text(&format!("/v1/coordinate/node/{node}"), "Vec");
        }
        for wanted in list("until") {
            self.await_text(wanted["path"].as_str().unwrap(), wanted["has"].as_str().unwrap());
        }
    }

    /// Sets a key as the pair describes it.
    fn set(&self, pair: &Value) {
        let value = match pair["value_b64"].as_str() {
            Some(text) => BASE64_STANDARD.decode(text).unwrap(),
            None => pair["value"].as_str().unwrap().into(),
        };
        let mut request = format!("PUT /v1/kv/{}", escape(pair["key"].as_str().unwrap()));
        request += &format!("?flags={}", pair["flags"].as_u64().unwrap_or(0));
        if pair["locked"] == true {
            let session = self.consul.ask("PUT /v1/session/create", b"{}");
            let session: Value = serde_json::from_slice(&session.body).unwrap();
            request += &format!("&acquire={}", session["ID"].as_str().unwrap());
        }
        assert_eq!(self.consul.ask(&request, &value).text().trim(), "true", "{request}");
    }

    /// Takes a step of a case that changes the world.
    pub(crate) fn take(&mut self, action: &str, step: &Value) {
        let text = |key: &str| step[key].as_str().unwrap();
        match action {
            "put" => self.consul.put(text("key"), text("value")),
            "delete" if step["recurse"] == true => self.consul.delete_all(text("key")),
            "delete" => self.consul.delete(text("key")),
            "register" => self.send("/v1/catalog/register", &step["body"]),
            "deregister" => self.send("/v1/catalog/deregister", &step["body"]),
            "request" => self.send(text("path"), &step["body"]),
            "consul" => match text("action") {
                "stop" => self.consul.stop(),
                "kill" => self.consul.kill(),
                "start" => {
                    self.consul.restart();
                    self.consul.wait();
                }
                other => panic!("unknown action {other}"),
            },
            other => panic!("unknown step {other}"),
        }
    }

    /// Sends a request with a body.
    fn send(&self, path: &str, body: &Value) {
        self.consul.ask(&format!("PUT {path}"), body.to_string().as_bytes());
    }

    /// Waits until the answer to a request contains the text.
    fn await_text(&self, path: &str, text: &str) {
        let request = format!("GET {path}");
        eventually(&format!("{path} contains {text}"), || {
            self.consul.try_ask(&request, b"").is_ok_and(|answer| answer.text().contains(text))
        });
    }
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Folder::Empty(folder) => folder.path(),
            Folder::Certificates(certificates) => certificates.folder(),
        }
    }
}
