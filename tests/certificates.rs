//! Certificates and keys of every kind that people use with etcd, as server's, CA's and client's.
//!
//! The judge is `etcdctl`, which uses Go's TLS: what it accepts, confd accepts, and what it refuses,
//! confd refuses. The expected results stand in the tables, so that both cannot be wrong together.

use servers::{Etcd, OpenSsl, Release};

use crate::support::{Sandbox, search_path};

/// The alternative names of a server's certificate.
const NAMES: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";

/// A kind of certificate.
struct Kind {
    name: &'static str,
    /// Arguments of `openssl`, one call in each line. They make `server.pem` and `server.key` (or
    /// `client.pem` and `client.key`), and `ca.pem`. [`CA`], [`KEY`] and [`NAMES`] stand for their
    /// values, `SIGN` for the signature of the CA, and `JOIN` joins files.
    made_by: &'static str,
    /// Whether it is accepted with `ca.pem`.
    verified: bool,
}

/// An authority.
const CA: &str = "req -x509 KEY -keyout ca.key -out ca.pem -subj /CN=ca -days 9";

/// A new key, which is made faster than an RSA key.
const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

const SERVERS: &[Kind] = &[
    Kind {
        name: "one self-signed certificate for server and CA, as `openssl req -x509` makes it",
        made_by: "req -x509 -newkey rsa:2048 -nodes -keyout server.key -out server.pem -subj /CN=me -days 9 -addext NAMES
                  x509 -in server.pem -out ca.pem",
        verified: true,
    },
    Kind {
        name: "a self-signed certificate that is no CA",
        made_by: "req -x509 KEY -keyout server.key -out server.pem -subj /CN=me -days 9 -addext NAMES -addext basicConstraints=critical,CA:FALSE
                  x509 -in server.pem -out ca.pem",
        verified: true,
    },
    Kind {
        name: "P-521 with SHA-512, as etcd's -auto-tls makes it",
        made_by: "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-521 -sha512 -nodes -keyout server.key -out server.pem -subj /O=etcd -days 9 -addext NAMES -addext basicConstraints=CA:FALSE
                  x509 -in server.pem -out ca.pem",
        verified: true,
    },
    Kind {
        name: "a CA of P-384 with SHA-512 for a server of P-256",
        made_by: "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -sha512 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 9
                  req KEY -keyout server.key -out server.csr -subj /CN=me -addext NAMES
                  SIGN -sha512",
        verified: true,
    },
    Kind {
        name: "a CA of P-256 with SHA-384 for a server of P-521",
        made_by: "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha384 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 9
                  req -newkey ec -pkeyopt ec_paramgen_curve:P-521 -nodes -keyout server.key -out server.csr -subj /CN=me -addext NAMES
                  SIGN -sha384",
        verified: true,
    },
    Kind {
        name: "Ed25519",
        made_by: "req -x509 -newkey ed25519 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 9
                  req -newkey ed25519 -nodes -keyout server.key -out server.csr -subj /CN=me -addext NAMES
                  SIGN",
        verified: true,
    },
    Kind {
        name: "RSA-PSS signatures with SHA-256, and a key of 4096 bits",
        made_by: "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 9
                  req -newkey rsa:4096 -nodes -keyout server.key -out server.csr -subj /CN=me -addext NAMES
                  SIGN -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sha256",
        verified: true,
    },
    Kind {
        name: "RSA with SHA-512, and a key in PKCS #1",
        made_by: "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 9
                  req -newkey rsa:3072 -nodes -keyout pkcs8.key -out server.csr -subj /CN=me -addext NAMES
                  rsa -traditional -in pkcs8.key -out server.key
                  SIGN -sha512",
        verified: true,
    },
    Kind {
        name: "a server's certificate that says that it is a CA",
        made_by: "CA
                  req KEY -keyout server.key -out server.csr -subj /CN=me -addext NAMES -addext basicConstraints=CA:TRUE
                  SIGN",
        verified: true,
    },
    Kind {
        name: "a server's certificate that says that it is a CA, below an intermediate CA",
        made_by: "CA
                  req KEY -keyout between.key -out between.csr -subj /CN=between -addext basicConstraints=CA:TRUE
                  x509 -req -in between.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out between.pem -days 9 -copy_extensions copy
                  req KEY -keyout server.key -out server.csr -subj /CN=me -addext NAMES -addext basicConstraints=CA:TRUE
                  x509 -req -in server.csr -CA between.pem -CAkey between.key -CAcreateserial -out leaf.pem -days 9 -copy_extensions copy
                  JOIN leaf.pem between.pem server.pem",
        verified: true,
    },
    Kind {
        name: "a server's certificate that says that it is a CA, below one that limits names",
        made_by: "CA
                  req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout between.key -out between.csr -subj /CN=between -addext basicConstraints=CA:TRUE -addext nameConstraints=permitted;IP:10.0.0.0/255.0.0.0
                  x509 -req -in between.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out between.pem -days 9 -copy_extensions copy
                  req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=me -addext NAMES -addext basicConstraints=CA:TRUE
                  x509 -req -in server.csr -CA between.pem -CAkey between.key -CAcreateserial -out leaf.pem -days 9 -copy_extensions copy
                  JOIN leaf.pem between.pem server.pem",
        verified: false,
    },
    Kind {
        name: "a server's certificate that says that it is a CA, below one that is none",
        made_by: "CA
                  req KEY -keyout between.key -out between.csr -subj /CN=between -addext basicConstraints=CA:FALSE
                  x509 -req -in between.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out between.pem -days 9 -copy_extensions copy
                  req KEY -keyout server.key -out server.csr -subj /CN=me -addext NAMES -addext basicConstraints=CA:TRUE
                  x509 -req -in server.csr -CA between.pem -CAkey between.key -CAcreateserial -out leaf.pem -days 9 -copy_extensions copy
                  JOIN leaf.pem between.pem server.pem",
        verified: false,
    },
    Kind {
        name: "a server's certificate that says that it is a CA, signed by another CA of the same name",
        made_by: "CA
                  req KEY -keyout server.key -out server.csr -subj /CN=me -addext NAMES -addext basicConstraints=CA:TRUE
                  SIGN
                  CA",
        verified: false,
    },
    Kind {
        name: "a server's certificate that says that it is a CA, for another host",
        made_by: "req -x509 KEY -keyout server.key -out server.pem -subj /CN=me -days 9 -addext subjectAltName=DNS:example.com
                  x509 -in server.pem -out ca.pem",
        verified: false,
    },
    Kind {
        name: "a server's certificate that says that it is a CA, and has expired",
        made_by: "req KEY -keyout server.key -out server.csr -subj /CN=me -addext NAMES -addext basicConstraints=CA:TRUE
                  x509 -req -in server.csr -signkey server.key -out server.pem -days -1 -copy_extensions copy
                  x509 -in server.pem -out ca.pem",
        verified: false,
    },
    Kind {
        name: "a server's certificate that says that it is a CA, for clients only",
        made_by: "req -x509 KEY -keyout server.key -out server.pem -subj /CN=me -days 9 -addext NAMES -addext extendedKeyUsage=clientAuth
                  x509 -in server.pem -out ca.pem",
        verified: false,
    },
    Kind {
        name: "the server's own certificate in the place of its CA's",
        made_by: "CA
                  req KEY -keyout server.key -out server.csr -subj /CN=me -addext NAMES
                  SIGN
                  x509 -in server.pem -out ca.pem",
        verified: true,
    },
    Kind {
        name: "version 1 of X.509, as `openssl x509 -req` makes it without extensions",
        made_by: "CA
                  req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost
                  x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 9",
        verified: false,
    },
    Kind {
        name: "version 1 of X.509 with a key of P-256",
        made_by: "CA
                  req KEY -keyout server.key -out server.csr -subj /CN=localhost
                  x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 9",
        verified: false,
    },
    Kind {
        name: "a CA of version 1 of X.509",
        made_by: "req KEY -keyout ca.key -out ca.csr -subj /CN=ca
                  x509 -req -in ca.csr -signkey ca.key -out ca.pem -days 9
                  req KEY -keyout server.key -out server.csr -subj /CN=me -addext NAMES
                  SIGN",
        verified: true,
    },
    Kind {
        name: "no alternative name, only a common name",
        made_by: "CA
                  req KEY -keyout server.key -out server.csr -subj /CN=localhost -addext basicConstraints=CA:FALSE
                  SIGN",
        verified: false,
    },
    Kind {
        name: "the CA of somebody else",
        made_by: "CA
                  req KEY -keyout server.key -out server.csr -subj /CN=me -addext NAMES
                  SIGN
                  req -x509 KEY -keyout ca.key -out ca.pem -subj /CN=other -days 9",
        verified: false,
    },
];

const CLIENTS: &[Kind] = &[
    Kind {
        name: "RSA",
        made_by: "CA
                  req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=me -addext basicConstraints=CA:FALSE
                  SIGN",
        verified: true,
    },
    Kind {
        name: "version 1 of X.509, as `openssl x509 -req` makes it without extensions",
        made_by: "CA
                  req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=me
                  x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out client.pem -days 9",
        verified: true,
    },
    Kind {
        name: "version 1 of X.509 with a key of P-384",
        made_by: "CA
                  req -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout client.key -out client.csr -subj /CN=me
                  x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out client.pem -days 9",
        verified: true,
    },
    Kind {
        name: "P-521, and a key in the form of SEC 1 after its parameters",
        made_by: "CA
                  ecparam -name secp521r1 -genkey -out client.key
                  req -new -key client.key -out client.csr -subj /CN=me -addext basicConstraints=CA:FALSE
                  SIGN -sha512",
        verified: true,
    },
    Kind {
        name: "Ed25519",
        made_by: "CA
                  req -newkey ed25519 -nodes -keyout client.key -out client.csr -subj /CN=me -addext basicConstraints=CA:FALSE
                  SIGN",
        verified: true,
    },
    Kind {
        name: "RSA, and a key in PKCS #1",
        made_by: "CA
                  req -newkey rsa:2048 -nodes -keyout pkcs8.key -out client.csr -subj /CN=me -addext basicConstraints=CA:FALSE
                  rsa -traditional -in pkcs8.key -out client.key
                  SIGN",
        verified: true,
    },
    Kind {
        name: "a self-signed certificate that the server trusts as a CA",
        made_by: "req -x509 KEY -keyout client.key -out client.pem -subj /CN=me -days 9
                  x509 -in client.pem -out ca.pem",
        verified: true,
    },
    Kind {
        name: "the CA of somebody else",
        made_by: "CA
                  req KEY -keyout client.key -out client.csr -subj /CN=me -addext basicConstraints=CA:FALSE
                  SIGN
                  req -x509 KEY -keyout ca.key -out ca.pem -subj /CN=other -days 9",
        verified: false,
    },
];

impl Kind {
    /// Makes the files of `role` in a new folder.
    fn make(&self, role: &str) -> OpenSsl {
        let files = OpenSsl::new();
        for line in self.made_by.lines().map(str::trim) {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["JOIN", ref parts @ .., into] => files.join(parts, into),
                ["CA"] => files.run(&CA.replace("KEY", KEY)),
                ["SIGN", ..] => files.run(&format!(
                    "x509 -req -in {role}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 \
                     -copy_extensions copy -out {role}.pem {}",
                    line.trim_start_matches("SIGN")
                )),
                _ => files.run(&line.replace("NAMES", NAMES).replace("KEY", KEY)),
            }
        }
        files
    }
}

/// Whether etcdctl, and confd, can read from `server` with these options: pairs of etcdctl's name
/// of an option and confd's, with the file. `expected` is whether etcdctl will.
fn accepted(
    server: &Etcd,
    expected: bool,
    options: &[(&str, &str, Option<String>)],
) -> (bool, bool, String) {
    // etcdctl tries again until its time is over.
    let time = if expected { "10s" } else { "1s" };
    let mut judge = std::process::Command::new("etcdctl");
    judge.env_clear().env("PATH", search_path()).env("ETCDCTL_API", "3");
    judge.args(["--dial-timeout", time, "--command-timeout", time]);
    judge.args(["--insecure-transport=false", "--endpoints"]);
    let node = format!("https://{}", server.address());
    judge.arg(&node);
    let sandbox = Sandbox::rendering("{{range gets \"/*\"}}{{.Key}}{{end}}");
    let mut run = sandbox.confd(&["-onetime", "-backend", "etcdv3", "-node", &node]);
    for (of_judge, ours, file) in options {
        judge.arg(of_judge).args(file);
        run = run.arguments(&[ours]).arguments(file.as_slice());
    }
    let judged = judge.args(["get", "/app"]).output().unwrap().status.success();
    let ended = run.run();
    (judged, ended.code == Some(0), ended.stderr)
}

fn server_with(files: &OpenSsl, more: &[&str]) -> Etcd {
    let path = |name| files.path(name).display().to_string();
    let own = ["--cert-file", &path("server.pem"), "--key-file", &path("server.key")];
    Etcd::start_with(Release::Debian, &[&own, more].concat())
}

/// A line about results of etcdctl and confd that are not the expected ones.
fn unexpected(kind: &Kind, expected: (bool, bool), is: (bool, bool), log: &str) -> Option<String> {
    let name = kind.name;
    (is != expected).then(|| format!("{name}: etcdctl and confd {is:?}, not {expected:?}\n{log}"))
}

#[test]
fn a_server_certificate_that_go_accepts_is_accepted() {
    let mut wrong = Vec::new();
    for kind in SERVERS {
        let files = kind.make("server");
        let server = server_with(&files, &[]);
        let ca = Some(files.path("ca.pem").display().to_string());
        let (judge, ours, log) =
            accepted(&server, kind.verified, &[("--cacert", "-client-ca-keys", ca)]);
        let expected = (kind.verified, kind.verified);
        wrong.extend(unexpected(kind, expected, (judge, ours), &log));

        let insecure = [("--insecure-skip-tls-verify", "-client-insecure", None)];
        let (judge, ours, log) = accepted(&server, true, &insecure);
        wrong.extend(unexpected(kind, (true, true), (judge, ours), &log));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_client_certificate_that_go_can_use_can_be_used() {
    let of_server = SERVERS[1].make("server");
    let mut wrong = Vec::new();
    for kind in CLIENTS {
        let files = kind.make("client");
        let path = |name| files.path(name).display().to_string();
        let server =
            server_with(&of_server, &["--client-cert-auth", "--trusted-ca-file", &path("ca.pem")]);
        let options = [
            ("--cacert", "-client-ca-keys", Some(of_server.path("ca.pem").display().to_string())),
            ("--cert", "-client-cert", Some(path("client.pem"))),
            ("--key", "-client-key", Some(path("client.key"))),
        ];
        let (judge, ours, log) = accepted(&server, kind.verified, &options);
        let expected = (kind.verified, kind.verified);
        wrong.extend(unexpected(kind, expected, (judge, ours), &log));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_key_that_cannot_be_used_is_named_with_the_reason() {
    let files = CLIENTS[0].make("client");
    files.run("pkcs8 -topk8 -in client.key -passout pass:x -out pkcs8.key");
    files.run("genrsa -traditional -aes256 -passout pass:x -out traditional.key 2048");
    files.run("ecparam -name secp256k1 -genkey -noout -out strange.key");
    files.run("genpkey -algorithm ED25519 -out other.key");
    let path = |name| files.path(name).display().to_string();
    let encrypted = "the private key in it is encrypted";
    let of_another = format!("the private key in it does not belong to {}", path("client.pem"));
    for (key, reason) in [
        ("pkcs8.key", encrypted),
        ("traditional.key", encrypted),
        ("strange.key", "the private key in it cannot be used"),
        ("other.key", &of_another),
        ("ca.pem", "no private key in PEM is in it"),
    ] {
        let sandbox = Sandbox::rendering("x");
        let run =
            sandbox.confd(&["-onetime", "-backend", "etcdv3", "-node", "https://127.0.0.1:1"]);
        let run = run.arguments(&["-client-cert", &path("client.pem")]);
        let ended = run.arguments(&["-client-key", &path(key)]).fails();
        let line = format!("{}: {reason}", path(key));
        assert!(ended.stderr.contains(&line), "{line}:\n{}", ended.stderr);
    }
}

#[test]
fn plain_http_to_a_server_with_tls_asks_whether_https_was_meant() {
    let server = server_with(&SERVERS[1].make("server"), &[]);
    let sandbox = Sandbox::rendering("x");
    let node = format!("http://{}", server.address());
    let ended = sandbox.confd(&["-onetime", "-backend", "etcdv3", "-node", &node]).fails();
    assert!(ended.stderr.contains("perhaps the server wants https"), "{}", ended.stderr);
}

#[test]
fn a_pipe_in_the_place_of_a_certificate_is_an_error_and_does_not_stop_the_program() {
    let sandbox = Sandbox::rendering("x");
    let pipe = sandbox.path("pipe").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let run = |node: &str, backend: &str, more: &[&str]| {
        sandbox.confd(&["-onetime", "-backend", backend, "-node", node]).arguments(more)
    };
    for backend in ["etcdv3", "consul"] {
        let run = |more: &[&str]| run("https://127.0.0.1:1", backend, more).fails();
        let ended = run(&["-client-ca-keys", &pipe]);
        assert!(ended.stderr.contains("not a regular file"), "{}", ended.stderr);
        let ended = run(&["-client-cert", &pipe, "-client-key", &pipe]);
        assert!(ended.stderr.contains("not a regular file"), "{}", ended.stderr);
    }
    let ended = run("127.0.0.1:1", "consul", &[]).env("CONSUL_HTTP_TOKEN_FILE", &pipe).fails();
    assert!(ended.stderr.contains("not a regular file"), "{}", ended.stderr);
    let ended = run("127.0.0.1:1", "consul", &[]).env("CONFD_AUTH_TOKEN_FILE", &pipe).fails();
    assert!(ended.stderr.contains("not a regular file"), "{}", ended.stderr);
    // These files are left out where they cannot be used.
    run("https://127.0.0.1:1", "etcdv3", &[]).env("SSL_CERT_FILE", &pipe).fails();
    sandbox.onetime().env("TZ", format!(":{pipe}")).ok();
}
