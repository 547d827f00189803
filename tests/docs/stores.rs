//! The documents about backends: each of their examples is run and each of their messages provoked.

mod etcdv2;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use servers::{
    Certificates, Consul, Etcd, OpenSsl, Proxy, Redis, Release, Stub, Traffic, Vault, ZooKeeper,
    consul::MASTER,
};

use super::document;
use crate::support::{Run, Sandbox};

/// The key that every example must see.
const SEEN: &str = "/app/port=80 ";

/// A sandbox with a resource that prints this key.
fn asking() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", "{{range gets \"/app/port\"}}{{.Key}}={{.Value}} {{end}}");
    sandbox
        .write("conf.d/app.toml", "[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = ['/app']\n");
    sandbox
}

/// A document, and the replacements for the places that its examples name.
pub(super) struct Guide<'a> {
    pub(super) name: &'a str,
    pub(super) places: &'a [(&'a str, String)],
    /// The environment of commands other than confd.
    pub(super) admin: &'a [(&'a str, String)],
}

impl Guide<'_> {
    /// Runs all examples. Each confd in them must see the key.
    #[track_caller]
    pub(super) fn holds(&self) {
        let text = document(self.name);
        let mut confds = 0;
        for block in text.split("\n```").skip(1).step_by(2) {
            let (language, example) = block.split_once('\n').unwrap();
            confds += usize::from(self.run(language, &self.placed(example)));
        }
        assert!(confds > 0, "{} has no examples", self.name);
    }

    fn placed(&self, example: &str) -> String {
        let place = |text: String, (from, to): &(&str, String)| text.replace(from, to);
        self.places.iter().fold(example.to_owned(), place)
    }

    /// Runs an example. Returns whether it is an example of confd.
    #[track_caller]
    fn run(&self, language: &str, example: &str) -> bool {
        let sandbox = asking();
        sandbox.write("services.yaml", yaml(self.name));
        sandbox.write("more/empty.yaml", "");
        let confd = format!("{} -confdir .", env!("CARGO_BIN_EXE_confd"));
        let script = match language {
            "sh" => {
                let example = example.replace("confd -watch", "confd -onetime");
                example.replace("confd -onetime", &format!("{confd} -onetime"))
            }
            "toml" => {
                sandbox.write("confd.toml", example);
                format!("{confd} -onetime -config-file confd.toml")
            }
            "yaml" | "hcl" | "json" => return false,
            other => panic!("{}: what is an example in {other:?}?", self.name),
        };
        let mut run = Run::new("sh", sandbox.root()).arguments(&["-ec", &script]);
        let is_confd = script.contains(&confd);
        if !is_confd {
            for (name, value) in self.admin {
                run = run.env(name, value);
            }
        }
        run.ok();
        if is_confd {
            assert_eq!(sandbox.output(), SEEN, "{}: {script}", self.name);
        }
        is_confd
    }
}

/// The first YAML block of a document.
fn yaml(name: &str) -> String {
    let text = document(name);
    let block = text.split("\n```yaml\n").nth(1).unwrap_or_default();
    block.split("```").next().unwrap_or_default().to_owned()
}

/// The messages in the section on troubleshooting of a document.
pub(super) fn messages(name: &str) -> Vec<String> {
    let text = document(name);
    let (_, section) = text.split_once("## Troubleshooting").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once("` |").unwrap().0.to_owned()).collect()
}

/// Whether a log contains a message, in which `…` stands for any text.
pub(super) fn has(log: &str, message: &str) -> bool {
    log.lines().any(|line| {
        let mut rest = line;
        message.split('…').all(|part| match rest.split_once(part) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
    })
}

/// Runs confd with each of these lists of arguments, all at the same time. Every message of the
/// document must be in one of the logs, and each log must have one of the messages.
#[track_caller]
fn provoke(name: &str, runs: &[&[&str]]) {
    let runs: Vec<_> = runs.iter().map(|arguments| (&[][..], *arguments)).collect();
    provoke_in(name, &runs);
}

/// Variables of the environment of a run.
type Variables<'a> = &'a [(&'a str, &'a str)];

/// Like [`provoke`], each run with variables of its environment.
#[track_caller]
pub(super) fn provoke_in(name: &str, runs: &[(Variables<'_>, &[&str])]) {
    let logs: Vec<String> = std::thread::scope(|scope| {
        let run = |(variables, arguments): &(Variables<'_>, &[&str])| {
            let sandbox = asking();
            sandbox.write("broken.yaml", "app: {\n");
            sandbox.write("templates/nope", "{{getv \"/app/nope\"}}");
            sandbox.write(
                "conf.d/nope.toml",
                "[template]\nsrc = 'nope'\ndest = 'out/nope'\nkeys = ['/app']\n",
            );
            let run = sandbox.confd(&["-onetime"]).arguments(arguments);
            let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
            run.run().stderr
        };
        let running: Vec<_> =
            runs.iter().map(|arguments| scope.spawn(move || run(arguments))).collect();
        running.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let messages = messages(name);
    for message in &messages {
        assert!(logs.iter().any(|log| has(log, message)), "{name}: {message}: {logs:#?}");
    }
    for log in &logs {
        assert!(messages.iter().any(|message| has(log, message)), "{name}: not told: {log}");
    }
}

fn shown(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}

/// The folder of certificates in the documents.
const TLS: &str = "/etc/confd/tls/";

fn folder(certificates: &Certificates) -> PathBuf {
    certificates.path("")
}

/// An etcd that asks for a certificate and a user. `root` (password `root`) is a user.
fn guarded_etcd(certificates: &Certificates) -> (Etcd, Vec<(&'static str, String)>) {
    let file = |name| shown(certificates.path(name));
    let (certificate, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let server = Etcd::start_with(
        Release::Debian,
        &[
            "--cert-file",
            &certificate,
            "--key-file",
            &key,
            "--trusted-ca-file",
            &ca,
            "--client-cert-auth",
            "--bcrypt-cost",
            "4",
        ],
    );
    let (client, client_key) = (file("client.pem"), file("client.key"));
    for line in
        ["put /app/port 80", "user add root:root", "user grant-role root root", "auth enable"]
    {
        let tls = ["--cacert", &ca, "--cert", &client, "--key", &client_key];
        server.ctl(&tls.into_iter().chain(line.split(' ')).collect::<Vec<_>>());
    }
    let admin = vec![
        ("ETCDCTL_API", "3".to_owned()),
        ("ETCDCTL_ENDPOINTS", format!("https://{}", server.address())),
        ("ETCDCTL_CACERT", ca),
        ("ETCDCTL_CERT", client),
        ("ETCDCTL_KEY", client_key),
        ("ETCDCTL_USER", "root:root".to_owned()),
    ];
    (server, admin)
}

#[test]
fn every_example_of_the_backends_gives_what_it_says() {
    Guide { name: "docs/backends/env.md", places: &[], admin: &[] }.holds();
    Guide { name: "docs/backends/file.md", places: &[], admin: &[] }.holds();
}

#[test]
fn every_example_of_etcd_gives_what_it_says() {
    let certificates = Certificates::new();
    let (guarded, admin) = guarded_etcd(&certificates);
    let open = Etcd::start(Release::Newest);
    open.put("/app/port", "80");
    let places = [
        (TLS, shown(folder(&certificates))),
        ("etcd1.example:2379", "127.0.0.1:1".to_owned()),
        ("etcd2.example:2379", guarded.address()),
        ("127.0.0.1:2379", open.address()),
    ];
    Guide { name: "docs/backends/etcd.md", places: &places, admin: &admin }.holds();
}

#[test]
fn every_example_of_consul_gives_what_it_says() {
    let certificates = Certificates::new();
    let guarded = Consul::with_tokens_and_certificates(&certificates);
    let open = Consul::start();
    let token = "0e1f5c3a-7d1b-4f0e-9b1a-2f6f0d9c1a11";
    std::fs::write(certificates.path("token"), format!("{token}\n")).unwrap();
    for server in [&guarded, &open] {
        server.put("app/port", "80");
    }
    let places = [
        (TLS, shown(folder(&certificates))),
        ("consul1.example:8501", guarded.secure_address()),
        ("consul2.example:8501", "127.0.0.1:1".to_owned()),
        ("127.0.0.1:8500", open.address()),
        ("consul acl", format!("{} acl", shown(servers::installed("consul")))),
    ];
    let admin = [("CONSUL_HTTP_ADDR", guarded.address()), ("CONSUL_HTTP_TOKEN", MASTER.to_owned())];
    Guide { name: "docs/backends/consul.md", places: &places, admin: &admin }.holds();
}

#[test]
fn every_example_of_redis_gives_what_it_says() {
    let certificates = Certificates::new();
    let (guarded, cluster) = (Redis::with_certificates(&certificates), Redis::cluster::<3>());
    let open = Redis::start();
    let sentinel = open.sentinel("mymaster");
    for server in [&guarded, &open] {
        server.set("/app/port", "80");
    }
    servers::redis::ask_cluster(&cluster, &["SET", "/app/port", "80"]);
    let port = guarded.address().replace("127.0.0.1:", "");
    let places = [
        (TLS, shown(folder(&certificates))),
        ("redis1.example:6379", guarded.secure_address()),
        ("redis2.example:6379", "127.0.0.1:1".to_owned()),
        ("sentinel1.example:26379", "127.0.0.1:1".to_owned()),
        ("sentinel2.example:26379", sentinel.address()),
        ("cluster1.example:6379", cluster[0].address()),
        ("cluster2.example:6379", cluster[1].address()),
        ("127.0.0.1:6379", open.address()),
        ("redis-cli", format!("redis-cli -e -p {port}")),
    ];
    Guide { name: "docs/backends/redis.md", places: &places, admin: &[] }.holds();
}

/// Vault with the secret that every example must see, and a role that may read it. The document's keys are below
/// `/secret`, those of the examples' resource below `/app`, where an engine is mounted for that.
fn vault_of(certificates: &Certificates) -> Vault {
    let server = Vault::with_certificates(certificates);
    server.mount("app", &json!({ "type": "kv", "options": { "version": "2" } }));
    server.ask("PUT /v1/app/data/port", &json!({ "data": { "value": "80" } }));
    server.policy("app", "path \"app/*\" { capabilities = [\"read\", \"list\"] }");
    server
}

#[test]
fn every_example_of_vault_gives_what_it_says() {
    let certificates = Certificates::new();
    let server = vault_of(&certificates);
    let [role, secret] = server.make_role("approle", &json!({ "token_policies": "app" }));
    std::fs::write(certificates.path("secret-id"), secret).unwrap();
    let places = [
        (TLS, shown(folder(&certificates))),
        ("vault1.example:8200", "127.0.0.1:1".to_owned()),
        ("vault2.example:8200", server.secure_address()),
        ("127.0.0.1:8200", server.address()),
        ("s.root", server.root().to_owned()),
        ("ROLE-ID", role),
    ];
    Guide { name: "docs/backends/vault.md", places: &places, admin: &[] }.holds();
}

#[test]
fn the_messages_of_vault_are_those_of_its_document() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let server = vault_of(&ours);
    server.ask("PUT /v1/app/data/n", &json!({ "data": { "n": 1 } }));
    server.make_role("approle", &json!({ "token_policies": "app" }));
    server.ask("POST /v1/sys/auth/userpass", &json!({ "type": "userpass" }));
    let sealed = Vault::start();
    sealed.seal();
    let silent = Proxy::before(&server.address());
    silent.set(Traffic::Held);
    let other = Stub::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_vec());
    let file = |certificates: &Certificates, name| shown(certificates.path(name));
    let (ca, wrong_ca) = (file(&ours, "ca.pem"), file(&others, "ca.pem"));
    let (secure, open) = (format!("https://{}", server.secure_address()), server.url());
    let vault = ["-backend", "vault", "-node"];
    let with =
        |more: &[&str]| vault.iter().chain(more).map(ToString::to_string).collect::<Vec<_>>();
    let token = ["-auth-token", server.root()];
    let rules = "path \"app/metadata/*\" { capabilities = [\"list\"] }";
    server.policy("narrow", rules);
    let narrow = server.make_token(&json!({ "policies": ["narrow"] }));
    let user = ["-auth-type", "userpass", "-username", "joe", "-password", "x"];
    let role = ["-auth-type", "app-role", "-role-id", "x"];
    let runs = [
        with(&[&["127.0.0.1:1"], &token[..]].concat()),
        with(&[&[&*silent.address()], &token[..]].concat()),
        with(&[&[&*sealed.url()], &token[..]].concat()),
        with(&[&["127.0.0.1:1,127.0.0.1:2"], &token[..]].concat()),
        with(&[&open, "-auth-token", "wrong"]),
        with(&[&open, "-auth-token", &narrow, "-prefix", "/app"]),
        with(&[&[&*open], &role[..], &["-secret-id", "y"]].concat()),
        with(&[&[&*open], &user[..]].concat()),
        with(&[&[&*server.secure_address()], &token[..]].concat()),
        with(&[&[&*secure, "-client-ca-keys", &wrong_ca], &token[..]].concat()),
        with(&[&[&*open.replace("http:", "https:"), "-client-ca-keys", &ca], &token[..]].concat()),
        with(&[&[&*other.address()], &token[..]].concat()),
        with(&[&open]),
        with(&[&[&*open], &role[..]].concat()),
        with(&[&open, "-auth-type", "approl"]),
        with(&[&[&*open], &token[..]].concat()),
    ];
    let runs: Vec<Vec<&str>> =
        runs.iter().map(|run| run.iter().map(String::as_str).collect()).collect();
    provoke("docs/backends/vault.md", &runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn the_messages_of_env_are_those_of_its_document() {
    provoke("docs/backends/env.md", &[&["-backend", "env"]]);
}

#[test]
fn the_messages_of_file_are_those_of_its_document() {
    provoke(
        "docs/backends/file.md",
        &[
            &["-backend", "file", "-file", "none.yaml"],
            &["-backend", "file", "-file", "broken.yaml"],
            &["-backend", "file", "-file", ".", "-filter", "["],
        ],
    );
}

#[test]
fn the_messages_of_etcd_are_those_of_its_document() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let (guarded, _) = guarded_etcd(&ours);
    let open = Etcd::start(Release::Newest);
    let silent = Proxy::before(&open.address());
    silent.set(Traffic::Held);
    let users = Etcd::start_with(Release::Debian, &["--bcrypt-cost", "4"]);
    for line in
        ["user add root:root", "user grant-role root root", "user add app:app", "auth enable"]
    {
        users.ctl(&line.split(' ').collect::<Vec<_>>());
    }
    let (ca, wrong_ca) = (shown(ours.path("ca.pem")), shown(others.path("ca.pem")));
    let key = OpenSsl::new();
    key.run("genpkey -algorithm ED25519 -aes256 -pass pass:x -out client.key");
    let (certificate, encrypted) = (shown(ours.path("client.pem")), shown(key.path("client.key")));
    let (guarded, open, users) =
        (format!("https://{}", guarded.address()), open.address(), users.address());
    let etcd = ["-backend", "etcdv3", "-node"];
    let with = |more: &[&str]| etcd.iter().chain(more).map(ToString::to_string).collect::<Vec<_>>();
    let user = |name, password| ["-basic-auth", "-username", name, "-password", password];
    let runs = [
        with(&["127.0.0.1:1"]),
        with(&[&silent.address()]),
        with(&["127.0.0.1:1,127.0.0.1:2"]),
        with(&[&users]),
        with(&[&[&*users][..], &user("root", "wrong")].concat()),
        with(&[&[&*users][..], &user("app", "app")].concat()),
        with(&[&guarded, "-client-ca-keys", &wrong_ca]),
        with(&[&guarded, "-client-ca-keys", &ca]),
        with(&[&guarded, "-client-ca-keys", &ca, "-tls-server-name", "other.example"]),
        with(&[&open, "-client-ca-keys", &ca]),
        with(&[&guarded, "-client-ca-keys", "/nope"]),
        with(&[&guarded.replace("https", "http")]),
        with(&[&guarded, "-client-cert", &certificate, "-client-key", &encrypted]),
    ];
    let runs: Vec<Vec<&str>> =
        runs.iter().map(|run| run.iter().map(String::as_str).collect()).collect();
    provoke("docs/backends/etcd.md", &runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn the_messages_of_consul_are_those_of_its_document() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let guarded = Consul::with_tokens_and_certificates(&ours);
    for key in ["app/port", "app/public/x", "other"] {
        guarded.put(key, "1");
    }
    let reader = |head: &str| {
        guarded.token(&format!("key_prefix \"{head}\" {{ policy = \"read\" }}")).secret
    };
    let (of_other, of_some) = (reader("other"), reader("app/public/"));
    let open = Consul::start();
    let silent = Proxy::before(&open.address());
    silent.set(Traffic::Held);
    let answering = |answer: &'static str| Stub::answering(move |_| answer.as_bytes().to_vec());
    let alone = answering(
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 17\r\n\r\nNo cluster leader",
    );
    let crowded = answering("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 7\r\n\r\nslower!");
    let other = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let (ca, wrong_ca) = (shown(ours.path("ca.pem")), shown(others.path("ca.pem")));
    let (plain, secure) = (guarded.address(), format!("https://{}", guarded.secure_address()));
    let consul = ["-backend", "consul", "-node"];
    let with =
        |more: &[&str]| consul.iter().chain(more).map(ToString::to_string).collect::<Vec<_>>();
    let runs = [
        with(&["127.0.0.1:1"]),
        with(&[&silent.address()]),
        with(&[&alone.address()]),
        with(&[&crowded.address()]),
        with(&["127.0.0.1:1,127.0.0.1:2"]),
        with(&[&plain, "-auth-token", "00000000-1111-2222-3333-444444444444"]),
        with(&[&plain, "-auth-token", &of_other]),
        with(&[&plain, "-auth-token", &of_some]),
        with(&[&plain]),
        with(&[&guarded.secure_address()]),
        with(&[&secure, "-client-ca-keys", &wrong_ca]),
        with(&[&secure, "-client-ca-keys", &ca]),
        with(&[&secure, "-client-ca-keys", &ca, "-tls-server-name", "other.example"]),
        with(&[&other.address()]),
        with(&[&open.address(), "-datacenter", "elsewhere"]),
        with(&[&open.address(), "-namespace", "team"]),
        with(&[&open.address(), "-prefix", "a%20b"]),
    ];
    let runs: Vec<Vec<&str>> =
        runs.iter().map(|run| run.iter().map(String::as_str).collect()).collect();
    provoke("docs/backends/consul.md", &runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

/// The address of a server that greets each client with these bytes, as those of mail do.
fn greeting(bytes: &'static [u8]) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut client in listener.incoming().flatten() {
            // A client that has gone is no concern of this server.
            let _ = client.write_all(bytes);
            open.push(client);
        }
    });
    address
}

#[test]
fn every_example_of_zookeeper_gives_what_it_says() {
    let certificates = Certificates::new();
    let (open, guarded) = (ZooKeeper::start(), ZooKeeper::with_certificates(&certificates));
    open.set("/app/port", "80");
    guarded.set("/prod/app/port", "80");
    guarded.client().allow_only("confd:correct horse", "/prod/app/port");
    let places = [
        (TLS, shown(folder(&certificates))),
        ("zk1.example:2281", "127.0.0.1:1".to_owned()),
        ("zk2.example:2281", guarded.secure_address()),
        ("127.0.0.1:2181", open.address()),
    ];
    Guide { name: "docs/backends/zookeeper.md", places: &places, admin: &[] }.holds();
}

#[test]
fn the_messages_of_zookeeper_are_those_of_its_document() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let server = ZooKeeper::with_certificates(&ours);
    server.set("/app/port", "80");
    server.client().allow_only("joe:pw", "/app/port");
    let silent = Proxy::before(&server.address());
    silent.set(Traffic::Held);
    let other = greeting(b"220 mail.example ESMTP\r\n");
    let (open, secure) = (server.address(), server.secure_address());
    let encrypted = format!("zookeepers://{secure}");
    let file = |certificates: &Certificates, name| shown(certificates.path(name));
    let (ca, wrong_ca) = (file(&ours, "ca.pem"), file(&others, "ca.pem"));
    let zookeeper = ["-backend", "zookeeper", "-session-timeout", "20s", "-node"];
    let with =
        |more: &[&str]| zookeeper.iter().chain(more).map(ToString::to_string).collect::<Vec<_>>();
    let runs = [
        with(&["127.0.0.1:1"]),
        with(&[&silent.address()]),
        with(&[&secure]),
        with(&["http://127.0.0.1:1"]),
        with(&["a/x", "-node", "b"]),
        with(&[&open]),
        with(&[&open, "-username", "joe", "-password", "wrong"]),
        with(&[&open, "-username", "joe"]),
        with(&[&encrypted, "-client-ca-keys", &wrong_ca]),
        with(&[&encrypted, "-client-ca-keys", &ca, "-tls-server-name", "other.example"]),
        with(&[&other]),
        with(&[&open, "-client-ca-keys", &ca]),
    ];
    let runs: Vec<Vec<&str>> =
        runs.iter().map(|run| run.iter().map(String::as_str).collect()).collect();
    provoke("docs/backends/zookeeper.md", &runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn the_messages_of_redis_are_those_of_its_document() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let secure = Redis::with_certificates(&ours);
    let (open, guarded) = (Redis::start(), Redis::with_password("pw"));
    let sentinel = open.sentinel("mymaster");
    guarded.set("/app/port", "80");
    let user = ["ACL", "SETUSER", "joe", "on", ">pw", "~/other*", "+@read"];
    guarded.ask(&user);
    let silent = Proxy::before(&open.address());
    silent.set(Traffic::Held);
    let other = greeting(b"220 mail.example ESMTP\r\n");
    let (ca, wrong_ca) = (shown(ours.path("ca.pem")), shown(others.path("ca.pem")));
    let (certificate, key) = (shown(ours.path("client.pem")), shown(ours.path("client.key")));
    let encrypted = format!("rediss://{}", secure.secure_address());
    let redis = ["-backend", "redis", "-node"];
    let with =
        |more: &[&str]| redis.iter().chain(more).map(ToString::to_string).collect::<Vec<_>>();
    let runs = [
        with(&["127.0.0.1:1"]),
        with(&[&silent.address()]),
        with(&["/nope.sock"]),
        with(&["127.0.0.1:1,127.0.0.1:2"]),
        with(&[&guarded.address()]),
        with(&[&guarded.address(), "-password", "wrong"]),
        with(&[&open.address(), "-password", "pw"]),
        with(&[&guarded.address(), "-username", "joe", "-password", "pw"]),
        with(&[&format!("{}/99", open.address())]),
        with(&[&sentinel.address()]),
        with(&[&sentinel.address(), "-sentinel-master", "other"]),
        with(&[&encrypted, "-client-ca-keys", &wrong_ca]),
        with(&[
            &encrypted,
            "-client-ca-keys",
            &ca,
            "-client-cert",
            &certificate,
            "-client-key",
            &key,
            "-tls-server-name",
            "other.example",
        ]),
        with(&[&encrypted.replace("rediss", "redis")]),
        with(&[&other]),
        with(&[&format!("rediss://{other}")]),
        with(&[&format!("rediss://{}", open.address())]),
        with(&[&open.address(), "-client-ca-keys", &ca]),
    ];
    let runs: Vec<Vec<&str>> =
        runs.iter().map(|run| run.iter().map(String::as_str).collect()).collect();
    provoke("docs/backends/redis.md", &runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}
