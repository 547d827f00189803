//! Consul: one server or several, with tokens, certificates and data that stay, where asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::http::{Answer, escape, exchange};
use crate::{Certificates, Process, folder, free_ports, installed};

/// The token that may do everything, on a server started [`with_tokens`](Consul::with_tokens).
pub const MASTER: &str = "3ef4cb10-5c1f-4a4b-9a5c-6b3a4b2d1c0e";

/// How many operations one transaction may have.
const OPERATIONS: usize = 64;

/// One Consul server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Consul {
    /// Ends before its folder is removed, into which it would write again.
    process: Option<Process>,
    program: PathBuf,
    folder: tempfile::TempDir,
    ports: Ports,
    storage: Storage,
}

/// Where a server has its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Storage {
    /// In its memory: it is ready at once, and a restart loses everything.
    Memory,
    /// In its folder, and in those of the other members.
    Folder { members: usize },
    /// Elsewhere: it passes on what it is asked.
    Elsewhere,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    http: u16,
    https: u16,
    server: u16,
    gossip: u16,
}

impl Ports {
    fn free() -> Self {
        let [http, https, server, gossip] = free_ports();
        Ports { http, https, server, gossip }
    }
}

/// A token that somebody may ask with.
#[derive(Debug, Clone)]
pub struct Token {
    /// What is sent.
    pub secret: String,
    accessor: String,
}

impl Consul {
    /// Starts a server that has its data in memory alone.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a server that has its data in memory alone, with more settings, in HCL.
    #[track_caller]
    pub fn start_with(more: &str) -> Self {
        Self::start_on(Storage::Memory, |_| more.to_owned())
    }

    /// Starts a server whose data are still there after a restart.
    #[track_caller]
    pub fn durable() -> Self {
        Self::start_on(Storage::Folder { members: 1 }, |_| String::new())
    }

    /// Starts a server on which nobody may do anything without a token. [`MASTER`] may do
    /// everything; this type itself asks with it.
    #[track_caller]
    pub fn with_tokens() -> Self {
        Self::start_with(&acl())
    }

    /// Starts a server that speaks TLS too, with clients whose certificate is of the same
    /// authority: at [`secure_address`](Self::secure_address).
    #[track_caller]
    pub fn with_certificates(certificates: &Certificates) -> Self {
        Self::start_on(Storage::Memory, |ports| tls(ports, certificates))
    }

    /// Starts a server that is both [`with_tokens`](Self::with_tokens) and
    /// [`with_certificates`](Self::with_certificates).
    #[track_caller]
    pub fn with_tokens_and_certificates(certificates: &Certificates) -> Self {
        Self::start_on(Storage::Memory, |ports| acl() + &tls(ports, certificates))
    }

    /// Starts several servers with the same data; returns when each of them can write.
    #[track_caller]
    pub fn cluster<const N: usize>() -> [Self; N] {
        let ports = [(); N].map(|()| Ports::free());
        let more = joining(ports);
        let storage = Storage::Folder { members: N };
        let mut members = ports.map(|ports| Self::member(ports, storage, &more));
        members.iter_mut().for_each(Self::spawn);
        for member in &mut members {
            assert!(member.becomes_ready(), "a member of the cluster does not start");
        }
        members
    }

    /// Starts an agent that is no server, and passes on to these servers what it is asked.
    #[track_caller]
    pub fn agent_of(servers: &[Self]) -> Self {
        let more = joining(servers.iter().map(|server| server.ports));
        Self::start_on(Storage::Elsewhere, |_| more.clone())
    }

    #[track_caller]
    fn start_on(storage: Storage, more: impl Fn(Ports) -> String) -> Self {
        // Somebody may have taken a port since it was looked at.
        for _ in 0..3 {
            let ports = Ports::free();
            let mut server = Self::member(ports, storage, &more(ports));
            server.spawn();
            if server.becomes_ready() {
                return server;
            }
        }
        panic!("Consul does not start: see the output above");
    }

    #[track_caller]
    fn member(ports: Ports, storage: Storage, more: &str) -> Self {
        let (program, folder) = (installed("consul"), folder());
        let server = Consul { program, folder, ports, storage, process: None };
        let Ports { http, server: raft, gossip, .. } = ports;
        let common = format!(
            r#"
            node_name = "n{http}"
            log_level = "warn"
            bind_addr = "127.0.0.1"
            client_addr = "127.0.0.1"
            advertise_addr = "127.0.0.1"
            disable_update_check = true
            connect {{ enabled = false }}
            limits {{
              # A value may be as large as in etcd.
              kv_max_value_size = 1572864
              txn_max_req_len = 1572864
            }}
            ports {{
              http = {http}
              server = {raft}
              serf_lan = {gossip}
              serf_wan = -1
              dns = -1
              grpc = -1
              grpc_tls = -1
            }}
            "#
        );
        let data = server.data().display().to_string();
        let own = match storage {
            Storage::Memory => String::new(),
            Storage::Folder { members } => format!(
                r#"
                server = true
                bootstrap_expect = {members}
                data_dir = "{data}"
                performance {{ raft_multiplier = 1 }}
                "#
            ),
            Storage::Elsewhere => format!("server = false\ndata_dir = \"{data}\"\n"),
        };
        // What several files say of one table is put together.
        fs::create_dir(server.settings()).unwrap();
        for (name, text) in [("1.hcl", &*common), ("2.hcl", &own), ("3.hcl", more)] {
            fs::write(server.settings().join(name), text).unwrap();
        }
        server
    }

    fn spawn(&mut self) {
        let settings = self.settings().display().to_string();
        let mut arguments = vec!["agent".to_owned(), "-config-dir".to_owned(), settings];
        if self.storage == Storage::Memory {
            arguments.push("-dev".to_owned());
        }
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(&self.program, &arguments, &log));
    }

    #[track_caller]
    fn becomes_ready(&mut self) -> bool {
        let Consul { process, ports, .. } = self;
        Process::becomes_ready(process, "Consul", || can_write(ports.http))
    }

    /// Whether it can write, and with it the store that it is a member of.
    pub fn is_ready(&self) -> bool {
        can_write(self.ports.http)
    }

    /// Whether it leads the servers of its store, as far as it knows.
    pub fn is_leader(&self) -> bool {
        let own = format!("\"127.0.0.1:{}\"", self.ports.server);
        self.try_ask("GET /v1/status/leader", b"").is_ok_and(|answer| answer.text() == own)
    }

    /// Where clients connect, as `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.http)
    }

    /// Where clients connect, with the scheme.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where clients with a certificate connect, as `127.0.0.1:PORT`.
    pub fn secure_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.https)
    }

    /// Kills the server at once.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Throws away the data of a server that was killed.
    pub fn wipe(&mut self) {
        assert!(self.process.is_none(), "a running server cannot be wiped");
        if self.storage != Storage::Memory {
            fs::remove_dir_all(self.data()).unwrap();
        }
    }

    /// Starts it after [`kill`](Self::kill), on the same ports; does not wait.
    pub fn restart(&mut self) {
        self.spawn();
    }

    /// Waits until it is ready.
    #[track_caller]
    pub fn wait(&mut self) {
        assert!(self.becomes_ready(), "Consul ended");
    }

    /// Whether it was not killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The running process.
    #[track_caller]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("Consul is running")
    }

    /// The files that it wrote its log and data to.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("settings")
    }

    /// Asks the HTTP API (`PUT /v1/kv/a`), in the name of [`MASTER`].
    ///
    /// # Errors
    ///
    /// No answer.
    pub fn try_ask(&self, request: &str, body: &[u8]) -> std::io::Result<Answer> {
        ask(self.ports.http, request, body)
    }

    /// Asks the HTTP API (`PUT /v1/kv/a`), in the name of [`MASTER`], and expects success.
    #[track_caller]
    pub fn ask(&self, request: &str, body: &[u8]) -> Answer {
        let answer = self.try_ask(request, body).unwrap_or_else(|why| panic!("{request}: {why}"));
        assert!(answer.status < 300, "{request}: {} {}", answer.status, answer.text());
        answer
    }

    /// Sets a key. Consul's keys have no slash at their beginning.
    #[track_caller]
    pub fn put(&self, key: &str, value: impl AsRef<[u8]>) {
        let answer = self.ask(&format!("PUT /v1/kv/{}", escape(key)), value.as_ref());
        assert_eq!(answer.text().trim(), "true", "{key} is not set");
    }

    /// Sets many keys, in few requests.
    #[track_caller]
    pub fn put_all<'a>(&self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let set = |(key, value): (&str, &str)| json!({"KV": {"Verb": "set", "Key": key, "Value": STANDARD.encode(value)}});
        let operations: Vec<Value> = pairs.into_iter().map(set).collect();
        for operations in operations.chunks(OPERATIONS) {
            self.ask("PUT /v1/txn", &json_bytes(&operations.into()));
        }
    }

    /// Removes a key, if it is there.
    #[track_caller]
    pub fn delete(&self, key: &str) {
        self.ask(&format!("DELETE /v1/kv/{}", escape(key)), b"");
    }

    /// Removes every key that begins with `head`.
    #[track_caller]
    pub fn delete_all(&self, head: &str) {
        self.ask(&format!("DELETE /v1/kv/{}?recurse", escape(head)), b"");
    }

    /// A key's value.
    #[track_caller]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        Some(self.find(&format!("{}?raw", escape(key)))?.body)
    }

    /// The keys that begin with `head`, sorted.
    #[track_caller]
    pub fn list(&self, head: &str) -> Vec<String> {
        let answer = self.find(&format!("{}?keys", escape(head)));
        answer.map_or_else(Vec::new, |answer| serde_json::from_slice(&answer.body).unwrap())
    }

    /// The index as of which all keys that begin with `head` are read: what a blocking query on
    /// them begins from.
    #[track_caller]
    pub fn index(&self, head: &str) -> u64 {
        let request = format!("GET /v1/kv/{}?recurse", escape(head));
        let answer = self.try_ask(&request, b"").unwrap_or_else(|why| panic!("{request}: {why}"));
        let index = answer.header("X-Consul-Index").and_then(|index| index.parse().ok());
        index.unwrap_or_else(|| panic!("{request}: no index in {}", answer.head))
    }

    /// Makes a token that may do what these rules allow, in Consul's language: `key_prefix "app/"
    /// { policy = "read" }`.
    #[track_caller]
    pub fn token(&self, rules: &str) -> Token {
        let made = self.ask("PUT /v1/acl/token", &json_bytes(&self.policy(rules)));
        let made: Value = serde_json::from_slice(&made.body).unwrap();
        let field = |name| made[name].as_str().unwrap().to_owned();
        Token { secret: field("SecretID"), accessor: field("AccessorID") }
    }

    /// Makes a token again that was [revoked](Self::revoke).
    #[track_caller]
    pub fn restore(&self, token: &Token, rules: &str) {
        let mut wanted = self.policy(rules);
        wanted["SecretID"] = token.secret.clone().into();
        wanted["AccessorID"] = token.accessor.clone().into();
        self.ask("PUT /v1/acl/token", &json_bytes(&wanted));
    }

    /// Deletes a token.
    #[track_caller]
    pub fn revoke(&self, token: &Token) {
        self.ask(&format!("DELETE /v1/acl/token/{}", token.accessor), b"");
    }

    /// Makes a policy, and gives the request for a token that has it.
    #[track_caller]
    fn policy(&self, rules: &str) -> Value {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("policy-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.ask("PUT /v1/acl/policy", &json_bytes(&json!({"Name": name, "Rules": rules})));
        json!({"Policies": [{"Name": name}]})
    }

    #[track_caller]
    fn find(&self, rest: &str) -> Option<Answer> {
        let request = format!("GET /v1/kv/{rest}");
        let answer = self.try_ask(&request, b"").unwrap_or_else(|why| panic!("{request}: {why}"));
        match answer.status {
            200 => Some(answer),
            404 => None,
            status => panic!("{request}: {status} {}", answer.text()),
        }
    }
}

/// Nobody may do anything without a token.
fn acl() -> String {
    format!(
        r#"
        acl {{
          enabled = true
          default_policy = "deny"
          tokens {{
            initial_management = "{MASTER}"
            agent = "{MASTER}"
          }}
        }}
        "#
    )
}

/// TLS with these certificates, which clients have to have too.
fn tls(ports: Ports, certificates: &Certificates) -> String {
    let file = |name| certificates.path(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    format!(
        r#"
        ports {{ https = {https} }}
        tls {{
          https {{
            ca_file = "{ca}"
            cert_file = "{certificate}"
            key_file = "{key}"
            verify_incoming = true
          }}
        }}
        "#,
        https = ports.https
    )
}

/// To whom it belongs.
fn joining(members: impl IntoIterator<Item = Ports>) -> String {
    let address = |member: Ports| format!("\"127.0.0.1:{}\"", member.gossip);
    let members = members.into_iter().map(address).collect::<Vec<_>>().join(", ");
    format!("retry_join = [{members}]\nretry_interval = \"100ms\"\n")
}

fn json_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn ask(port: u16, request: &str, body: &[u8]) -> std::io::Result<Answer> {
    exchange(&format!("127.0.0.1:{port}"), request, &[("X-Consul-Token", MASTER)], body)
}

/// Whether a server can write. What is tried writes nothing: there is no such key.
fn can_write(port: u16) -> bool {
    let answer = ask(port, "DELETE /v1/kv/confd-test-is-ready?cas=1", b"");
    answer.is_ok_and(|answer| answer.status == 200)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::eventually;

    #[test]
    fn keys_are_set_read_listed_and_deleted() {
        let server = Consul::start();
        assert_eq!(server.list(""), [""; 0]);
        server.put("app/a b", [0, 255]);
        server.put_all([("app/b", "1"), ("apple", ""), ("other", "2")]);
        assert_eq!(server.get("app/a b"), Some(vec![0, 255]));
        assert_eq!(server.get("apple"), Some(Vec::new()));
        assert_eq!(server.list("app"), ["app/a b", "app/b", "apple"]);
        server.delete("apple");
        server.delete("none");
        assert_eq!(server.get("apple"), None);
        server.delete_all("app/");
        assert_eq!(server.list(""), ["other"]);
    }

    #[test]
    fn the_index_of_a_prefix_grows_with_its_keys() {
        let server = Consul::start();
        server.put("app/a", "1");
        let before = server.index("app/");
        server.put("other", "1");
        assert_eq!(server.index("app/"), before);
        server.put("app/a", "2");
        assert!(server.index("app/") > before);
    }

    #[test]
    fn data_outlive_a_kill_only_on_disk_and_unless_wiped() {
        for (mut server, durable) in [(Consul::start(), false), (Consul::durable(), true)] {
            server.put("a", "1");
            for number in 0..50 {
                server.put("b", number.to_string());
            }
            let before = server.index("");
            server.kill();
            server.restart();
            server.wait();
            assert_eq!(server.get("a").is_some(), durable);
            server.kill();
            server.wipe();
            server.restart();
            server.wait();
            assert_eq!(server.list(""), [""; 0]);
            server.put("a", "1");
            let after = server.index("");
            assert!(after < before, "{after} after {before}");
        }
    }

    #[test]
    fn a_frozen_server_answers_when_it_is_thawed() {
        let server = Consul::start();
        server.process().freeze();
        let address = server.address();
        let asking = std::thread::spawn(move || exchange(&address, "GET /v1/kv/a", &[], b""));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!asking.is_finished());
        server.process().thaw();
        assert_eq!(asking.join().unwrap().unwrap().status, 404);
    }

    #[test]
    fn a_killed_leader_is_replaced() {
        let mut members: [Consul; 3] = Consul::cluster();
        members[0].put("a", "1");
        let leaders = members.iter().filter(|member| member.is_leader());
        assert_eq!(leaders.count(), 1);
        let leader = members.iter().position(Consul::is_leader).unwrap();
        members[leader].kill();
        let others = || members.iter().filter(|member| member.is_running());
        eventually("there is another leader", || others().any(Consul::is_leader));
        eventually("the others can write", || others().all(Consul::is_ready));
        assert!(others().all(|member| member.get("a").is_some()));
    }

    #[test]
    fn a_token_may_do_what_its_rules_allow_until_it_is_revoked() {
        let server = Consul::with_tokens();
        server.put("app/a", "1");
        server.put("other", "1");
        let status = |key: &str, headers: &[_]| {
            let request = format!("GET /v1/kv/{key}");
            exchange(&server.address(), &request, headers, b"").unwrap().status
        };
        let rules = "key_prefix \"app/\" { policy = \"read\" }";
        let token = server.token(rules);
        let header = [("X-Consul-Token", &*token.secret)];
        assert_eq!(status("app/a", &header), 200);
        assert_eq!(status("other", &header), 403);
        assert_eq!(status("app/a", &[]), 403);
        server.revoke(&token);
        assert_eq!(status("app/a", &header), 403);
        server.restore(&token, rules);
        assert_eq!(status("app/a", &header), 200);
    }

    #[test]
    fn a_client_needs_a_certificate_where_there_is_tls() {
        let certificates = Certificates::new();
        let server = Consul::with_certificates(&certificates);
        let file = |name| certificates.path(name).display().to_string();
        let connects = |more: &[&str]| {
            let address = server.secure_address();
            let done = std::process::Command::new("openssl")
                .args(["s_client", "-quiet", "-no_ign_eof", "-connect", &address, "-CAfile"])
                .args([&file("ca.pem"), "-verify_return_error", "-tls1_2"])
                .args(more)
                .output()
                .unwrap();
            done.status.success()
        };
        assert!(!connects(&[]));
        assert!(connects(&["-cert", &file("client.pem"), "-key", &file("client.key")]));
    }
}
