//! confd's own integration suite: five resources and one set of data, with the same result from
//! every backend.
//!
//! The tree is `integration/confdir`, the expected results are in `integration/expected`. The
//! results are written to the working folder, which is a sandbox.

use std::{fs, path::PathBuf};

use rustix::process::Signal;
use serde_json::json;
use servers::{Consul, Etcd, Moto, Redis, Release, Vault, ZooKeeper};

use crate::support::{Daemon, Ended, Run, Sandbox};

/// The suite's data as environment variables.
const VARIABLES: &[(&str, &str)] = &[
    ("HOSTNAME", "localhost"),
    ("KEY", "foobar"),
    ("DATABASE_HOST", "127.0.0.1"),
    ("DATABASE_PASSWORD", "p@sSw0rd"),
    ("DATABASE_PORT", "3306"),
    ("DATABASE_USERNAME", "confd"),
    ("UPSTREAM_APP1", "10.0.1.10:8080"),
    ("UPSTREAM_APP2", "10.0.1.11:8080"),
    ("NESTED_EAST_APP1", "10.0.1.10:8080"),
    ("NESTED_WEST_APP2", "10.0.1.11:8080"),
    ("PREFIX_DATABASE_HOST", "127.0.0.1"),
    ("PREFIX_DATABASE_PASSWORD", "p@sSw0rd"),
    ("PREFIX_DATABASE_PORT", "3306"),
    ("PREFIX_DATABASE_USERNAME", "confd"),
    ("PREFIX_UPSTREAM_APP1", "10.0.1.10:8080"),
    ("PREFIX_UPSTREAM_APP2", "10.0.1.11:8080"),
];

/// The path of a file of the suite.
fn suite(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/integration").join(name)
}

/// confd on the suite's tree, with the suite's flags.
fn confd(sandbox: &Sandbox, mode: &[&str]) -> Run {
    let confdir = suite("confdir");
    let run = sandbox.bare(mode).arguments(&[
        "--log-level",
        "debug",
        "--config-file",
        "confd.toml",
        "--confdir",
    ]);
    run.arguments(&[confdir]).env("HOSTNAME", "localhost")
}

fn from_env(sandbox: &Sandbox, mode: &[&str]) -> Run {
    let run = confd(sandbox, mode).arguments(&["--interval", "5", "--backend", "env"]);
    VARIABLES.iter().fold(run, |run, (name, value)| run.env(name, value))
}

fn from_files(sandbox: &Sandbox, mode: &[&str]) -> Run {
    let folder =
        |name: &str| suite("data").join(name).into_os_string().into_string().unwrap() + "/";
    let files = ["--file", &folder("backends1"), "--file", &folder("backends2")];
    confd(sandbox, mode).arguments(&["--backend", "file"]).arguments(&files).arguments(&["--watch"])
}

/// Compares all five results byte by byte.
#[track_caller]
fn expect_results(sandbox: &Sandbox, nested: &str) {
    for (name, expected) in [
        ("basic", "basic.conf"),
        ("exists", "exists.conf"),
        ("iteration", "iteration.conf"),
        ("manykeys", "basic.conf"),
        ("nested", nested),
    ] {
        let name = format!("confd-{name}-test.conf");
        let result =
            fs::read(sandbox.path(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = fs::read(suite("expected").join(expected)).unwrap();
        assert_eq!(String::from_utf8_lossy(&result), String::from_utf8_lossy(&expected), "{name}");
        assert_eq!(result, expected, "{name}");
        assert_eq!(sandbox.mode(&name), 0o644, "{name}");
    }
}

/// Expects that nothing was written.
#[track_caller]
fn expect_in_sync(ended: &Ended) {
    for name in ["basic", "exists", "iteration", "manykeys", "nested"] {
        ended.expect(&format!("DEBUG Target config confd-{name}-test.conf in sync"));
    }
    ended.expect_no("out of sync");
}

#[test]
fn env_gives_the_suites_files() {
    let sandbox = Sandbox::new();
    from_env(&sandbox, &["--onetime"]).ok();
    expect_results(&sandbox, "nested-tree.conf");
    expect_in_sync(&from_env(&sandbox, &["--onetime"]).ok());
}

#[test]
fn files_give_the_suites_files() {
    let sandbox = Sandbox::new();
    from_files(&sandbox, &["--onetime"]).ok();
    expect_results(&sandbox, "nested-file.conf");
    expect_in_sync(&from_files(&sandbox, &["--onetime"]).ok());
}

#[test]
fn etcd_gives_the_suites_files() {
    for (release, backend) in [(Release::Debian, "etcd"), (Release::Newest, "etcdv3")] {
        let server = Etcd::start(release);
        for (name, value) in VARIABLES {
            server.put(&format!("/{}", name.to_lowercase().replace('_', "/")), value);
        }
        let sandbox = Sandbox::new();
        let node = format!("http://{}", server.address());
        let run = || {
            confd(&sandbox, &["--onetime"])
                .arguments(&["--backend", backend, "--node", &node, "--watch"])
                .ok()
        };
        run();
        expect_results(&sandbox, "nested-tree.conf");
        expect_in_sync(&run());
    }
}

#[test]
fn etcd_gives_the_suites_files_by_version_2_of_its_api() {
    let server = Etcd::start_with(Release::Debian, &["--enable-v2=true"]);
    for (name, value) in VARIABLES {
        let key = format!("/{}", name.to_lowercase().replace('_', "/"));
        server.put_of_version_2(&key, value.as_bytes(), None);
    }
    let sandbox = Sandbox::new();
    let node = server.url();
    let run = || {
        confd(&sandbox, &["--onetime"])
            .arguments(&["--backend", "etcdv2", "--node", &node, "--watch"])
            .ok()
    };
    run();
    expect_results(&sandbox, "nested-tree.conf");
    expect_in_sync(&run());
}

#[test]
fn consul_gives_the_suites_files() {
    let server = Consul::start();
    for (name, value) in VARIABLES {
        server.put(&name.to_lowercase().replace('_', "/"), value);
    }
    let sandbox = Sandbox::new();
    let node = server.address();
    let run = || {
        confd(&sandbox, &["--onetime"]).arguments(&["--backend", "consul", "--node", &node]).ok()
    };
    run();
    expect_results(&sandbox, "nested-tree.conf");
    expect_in_sync(&run());
}

#[test]
fn redis_gives_the_suites_files() {
    let server = Redis::start();
    for (name, value) in VARIABLES {
        let key = format!("/{}", name.to_lowercase().replace('_', "/"));
        match key.rsplit_once('/') {
            // As in the suite, these are the fields of hashes.
            Some((hash, field)) if key.starts_with("/prefix/") => {
                server.ask(&["HSET", hash, field, value]);
            }
            _ => server.set(&key, value),
        }
    }
    for node in [server.address(), format!("{}/0", server.address())] {
        let sandbox = Sandbox::new();
        let run = || {
            confd(&sandbox, &["--onetime"])
                .arguments(&["--interval", "5", "--backend", "redis", "--node", &node])
                .ok()
        };
        run();
        expect_results(&sandbox, "nested-tree.conf");
        expect_in_sync(&run());
    }
}

/// A Vault with the suite's data, where `upstream` is one secret with two fields, as in the suite. The suite
/// mounts an engine for each of the first parts of the keys, and writes secrets at the mounts themselves, which
/// present releases of Vault refuse: here all are below `kv`.
fn vault() -> Vault {
    let server = Vault::start();
    for (name, value) in VARIABLES {
        let path = name.to_lowercase().replace('_', "/");
        if !path.contains("upstream/") {
            server.write(&format!("kv/{path}"), &json!({ "value": value }));
        }
    }
    let upstream = json!({ "app1": "10.0.1.10:8080", "app2": "10.0.1.11:8080" });
    server.write("kv/upstream", &upstream);
    server
}

#[test]
fn vault_gives_the_suites_files() {
    let server = vault();
    let sandbox = Sandbox::new();
    let node = server.url();
    let backend = ["--backend", "vault", "--auth-type", "token", "--auth-token", server.root()];
    let place = ["--node", &node, "--prefix", "/kv"];
    let run = || confd(&sandbox, &["--onetime"]).arguments(&backend).arguments(&place).ok();
    run();
    expect_results(&sandbox, "nested-tree.conf");
    expect_in_sync(&run());
}

#[test]
fn vault_gives_the_suites_files_to_a_role_that_may_read_and_not_list() {
    let server = vault();
    server.policy("my-policy", "path \"*\" { capabilities = [\"read\"] }");
    let [role, secret] = server.make_role("test", &json!({ "token_policies": "my-policy" }));
    let sandbox = Sandbox::new();
    let node = server.url();
    let backend = ["--backend", "vault", "--auth-type", "app-role", "--path=test"];
    let ids = ["--role-id", &role, "--secret-id", &secret, "--node", &node, "--prefix", "/kv"];
    let run = || confd(&sandbox, &["--onetime"]).arguments(&backend).arguments(&ids).ok();
    run();
    expect_results(&sandbox, "nested-tree.conf");
    expect_in_sync(&run());
}

/// confd with the suite's flags for a service of AWS, at this server.
fn from_aws(sandbox: &Sandbox, server: &Moto, backend: &str) -> Run {
    let name = backend.to_uppercase();
    let run = confd(sandbox, &["--onetime"]).arguments(&["--interval", "5", "--backend", backend]);
    run.arguments(&["--table", "confd"])
        .env(format!("{name}_LOCAL"), "1")
        .env(format!("{name}_ENDPOINT_URL"), format!("http://{}", server.address()))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

#[test]
fn ssm_and_dynamodb_give_the_suites_files() {
    let server = Moto::start();
    server.create_table("confd");
    for (name, value) in VARIABLES {
        let key = format!("/{}", name.to_lowercase().replace('_', "/"));
        server.put_parameter(&key, value, "String");
        server.put_item("confd", &key, &json!({"S": value}));
    }
    server.put_item("confd", "/upstream/broken", &json!({"N": "4711"}));
    for backend in ["ssm", "dynamodb"] {
        let sandbox = Sandbox::new();
        let from_aws = || from_aws(&sandbox, &server, backend);
        from_aws().fails();
        let with_key = || {
            let run = from_aws().env("AWS_ACCESS_KEY_ID", "foo");
            run.env("AWS_SECRET_ACCESS_KEY", "bar")
        };
        with_key().arguments(&["--watch"]).fails();
        with_key().ok();
        expect_results(&sandbox, "nested-tree.conf");
        expect_in_sync(&with_key().ok());
    }
}

#[test]
fn zookeeper_gives_the_suites_files() {
    let server = ZooKeeper::start();
    for (name, value) in VARIABLES {
        server.set(&format!("/{}", name.to_lowercase().replace('_', "/")), value);
    }
    let sandbox = Sandbox::new();
    let node = server.address();
    let run = || {
        let more = ["--interval", "5", "--backend", "zookeeper", "--node", &node, "--watch"];
        confd(&sandbox, &["--onetime"]).arguments(&more).ok()
    };
    run();
    expect_results(&sandbox, "nested-tree.conf");
    expect_in_sync(&run());
}

#[test]
fn the_interval_mode_gives_the_same_files() {
    let sandbox = Sandbox::new();
    let daemon = Daemon::start(from_env(&sandbox, &[]), sandbox.path("log"));
    daemon.wait_for("INFO Target config confd-nested-test.conf has been updated");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    expect_results(&sandbox, "nested-tree.conf");
}

/// The MD5 sums of the files that Go confd writes.
#[test]
fn the_results_have_the_sums_of_those_of_go_confd() {
    let sandbox = Sandbox::new();
    for name in ["basic", "exists", "manykeys"] {
        sandbox.write(&format!("confd-{name}-test.conf"), "");
    }
    let ended = from_env(&sandbox, &["--onetime"]).ok();
    for (name, sum) in [
        ("basic", "9df5c4da8b1047c06c57e6fc5f964c1a"),
        ("exists", "02f37d4896e5021df530e506aca6f99e"),
        ("manykeys", "9df5c4da8b1047c06c57e6fc5f964c1a"),
    ] {
        ended.expect(&format!(
            "INFO confd-{name}-test.conf has md5sum d41d8cd98f00b204e9800998ecf8427e should be {sum}"
        ));
    }
    let lengths =
        ["basic", "exists"].map(|name| sandbox.read(&format!("confd-{name}-test.conf")).len());
    assert_eq!(lengths, [89, 14]);
}

#[test]
fn one_resource_asks_for_192_keys() {
    let text = fs::read_to_string(suite("confdir/conf.d/manykeys.toml")).unwrap();
    let resource: toml::Table = text.parse().unwrap();
    assert_eq!(resource["template"]["keys"].as_array().unwrap().len(), 192);
}
