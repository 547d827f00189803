//! Vault servers: unsealed, with their data in memory or in a folder, and optionally with certificates.

use std::fs;
use std::io;

use serde_json::{Value, json};

use crate::http::{Answer, escape, exchange};
use crate::{Certificates, Process, folder, free_ports, installed};

/// One Vault. It is killed when this is dropped.
#[derive(Debug)]
pub struct Vault {
    /// Dropped before `folder`: a running server would write into the removed folder again.
    process: Option<Process>,
    folder: tempfile::TempDir,
    port: u16,
    secure_port: u16,
    /// The token that may do everything.
    root: String,
    /// The key that unseals it.
    key: String,
}

impl Vault {
    /// Starts a server with its data in memory. A secrets engine with versions is at `secret`, one
    /// without at `kv`.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_as("storage \"inmem\" {}", None)
    }

    /// Like [`start`](Self::start), with data that survive a restart.
    #[track_caller]
    pub fn durable() -> Self {
        Self::start_as("storage \"raft\" {\n path = \"FOLDER\"\n node_id = \"one\"\n}", None)
    }

    /// Like [`start`](Self::start). It also speaks TLS, at [`secure_address`](Self::secure_address),
    /// and asks clients for a certificate of the same authority.
    #[track_caller]
    pub fn with_certificates(certificates: &Certificates) -> Self {
        Self::start_as("storage \"inmem\" {}", Some(certificates))
    }

    #[track_caller]
    fn start_as(storage: &str, certificates: Option<&Certificates>) -> Self {
        // Another process can have taken a port since it was found free.
        for _ in 0..3 {
            let [port, cluster, secure_port, secure_cluster] = free_ports();
            let folder = folder();
            let here = folder.path().display().to_string();
            let mut settings = format!(
                "{storage}\ndisable_mlock = true\napi_addr = \"http://127.0.0.1:{port}\"\n\
                 cluster_addr = \"https://127.0.0.1:{cluster}\"\n\
                 listener \"tcp\" {{\n address = \"127.0.0.1:{port}\"\n\
                 cluster_address = \"127.0.0.1:{cluster}\"\n tls_disable = true\n}}\n"
            );
            if let Some(certificates) = certificates {
                let file = |name| certificates.path(name).display().to_string();
                let (certificate, key, ca) =
                    (file("server.pem"), file("server.key"), file("ca.pem"));
                settings += &format!(
                    "listener \"tcp\" {{\n address = \"127.0.0.1:{secure_port}\"\n\
                     cluster_address = \"127.0.0.1:{secure_cluster}\"\n\
                     tls_cert_file = \"{certificate}\"\n tls_key_file = \"{key}\"\n\
                     tls_client_ca_file = \"{ca}\"\n\
                     tls_require_and_verify_client_cert = true\n}}\n"
                );
            }
            fs::write(folder.path().join("vault.hcl"), settings.replace("FOLDER", &here)).unwrap();
            let (root, key) = (String::new(), String::new());
            let mut server = Vault { process: None, folder, port, secure_port, root, key };
            server.spawn();
            if server.answers() {
                server.initialize();
                return server;
            }
        }
        panic!("Vault does not start: see the output above");
    }

    fn spawn(&mut self) {
        let settings = self.folder.path().join("vault.hcl").display().to_string();
        let arguments = ["server", "-config", &settings].map(str::to_owned);
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(&installed("vault"), &arguments, &log));
    }

    /// Waits until it answers, sealed or not. Returns false if it ends instead.
    #[track_caller]
    fn answers(&mut self) -> bool {
        let address = self.address();
        Process::becomes_ready(&mut self.process, "Vault", || {
            exchange(&address, "GET /v1/sys/seal-status", &[], b"")
                .is_ok_and(|answer| answer.status == 200)
        })
    }

    #[track_caller]
    fn initialize(&mut self) {
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let made = self.ask("PUT /v1/sys/init", &shares);
        self.root = made["root_token"].as_str().unwrap().to_owned();
        self.key = made["keys"][0].as_str().unwrap().to_owned();
        self.unseal();
        self.mount("secret", &json!({ "type": "kv", "options": { "version": "2" } }));
        self.mount("kv", &json!({ "type": "kv", "options": { "version": "1" } }));
    }

    /// Unseals it, and waits until it answers requests.
    #[track_caller]
    pub fn unseal(&self) {
        self.ask("PUT /v1/sys/unseal", &json!({ "key": self.key }));
        crate::eventually("Vault is unsealed and active", || {
            self.try_ask("GET /v1/sys/health", &Value::Null)
                .is_ok_and(|answer| answer.status == 200)
        });
    }

    /// Seals it: it refuses every request with the status 503.
    #[track_caller]
    pub fn seal(&self) {
        self.ask("PUT /v1/sys/seal", &Value::Null);
    }

    /// Mounts a secrets engine, and waits until it can be used.
    #[track_caller]
    pub fn mount(&self, path: &str, engine: &Value) {
        self.ask(&format!("POST /v1/sys/mounts/{path}"), engine);
        if engine["type"] != "kv" {
            return;
        }
        // A new engine with versions refuses writes for a moment.
        crate::eventually("the engine can be used", || {
            let request = match engine["options"]["version"].as_str() {
                Some("2") => format!("GET /v1/{path}/config"),
                _ => format!("GET /v1/{path}/nothing"),
            };
            self.try_ask(&request, &Value::Null)
                .is_ok_and(|answer| answer.status < 405 && answer.status != 400)
        });
    }

    /// Sends a request to the HTTP API (`PUT /v1/kv/a`), with the token that may do everything.
    ///
    /// # Errors
    /// There is no answer.
    pub fn try_ask(&self, request: &str, body: &Value) -> io::Result<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        exchange(&self.address(), request, &[("X-Vault-Token", &self.root)], body.as_bytes())
    }

    /// Like [`try_ask`](Self::try_ask). Panics if it fails. Returns the answer as JSON, or null.
    #[track_caller]
    pub fn ask(&self, request: &str, body: &Value) -> Value {
        let answer = self.try_ask(request, body).unwrap_or_else(|why| panic!("{request}: {why}"));
        assert!(answer.status < 300, "{request}: {} {}", answer.status, answer.text());
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    /// Writes a secret of an engine without versions.
    #[track_caller]
    pub fn write(&self, path: &str, data: &Value) {
        self.ask(&format!("PUT /v1/{}", escape(path)), data);
    }

    /// Writes a new version of a secret of the engine `secret`.
    #[track_caller]
    pub fn put(&self, path: &str, data: &Value) {
        let path = escape(path);
        self.ask(&format!("PUT /v1/secret/data/{path}"), &json!({ "data": data }));
    }

    /// Deletes what is at a path.
    #[track_caller]
    pub fn delete(&self, path: &str) {
        self.ask(&format!("DELETE /v1/{}", escape(path)), &Value::Null);
    }

    /// Makes a policy with these rules.
    #[track_caller]
    pub fn policy(&self, name: &str, rules: &str) {
        self.ask(&format!("PUT /v1/sys/policies/acl/{name}"), &json!({ "policy": rules }));
    }

    /// Makes a token, with what the request for it says. Returns it.
    #[track_caller]
    pub fn make_token(&self, request: &Value) -> String {
        let made = self.ask("POST /v1/auth/token/create", request);
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// Makes a role of the login method `approle`, mounted at `mount`, with these settings. Returns its
    /// role-id and a secret-id.
    #[track_caller]
    pub fn make_role(&self, mount: &str, settings: &Value) -> [String; 2] {
        self.ask(&format!("POST /v1/sys/auth/{mount}"), &json!({ "type": "approle" }));
        let role = format!("/v1/auth/{mount}/role/app");
        self.ask(&format!("POST {role}"), settings);
        let id = self.ask(&format!("GET {role}/role-id"), &Value::Null);
        let secret = self.ask(&format!("POST {role}/secret-id"), &json!({}));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        [text(&id["data"]["role_id"]), text(&secret["data"]["secret_id"])]
    }

    /// The token that may do everything.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The address for clients: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The address for clients, with the scheme.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address for clients with a certificate: `127.0.0.1:PORT`.
    pub fn secure_address(&self) -> String {
        format!("127.0.0.1:{}", self.secure_port)
    }

    /// Kills the server at once.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it after [`kill`](Self::kill), on the same ports, and unseals it. It must be
    /// [`durable`](Self::durable).
    #[track_caller]
    pub fn restart(&mut self) {
        self.spawn();
        assert!(self.answers(), "Vault ended");
        self.unseal();
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap()).into_owned()
    }

    /// The running process.
    #[track_caller]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("Vault is running")
    }
}
