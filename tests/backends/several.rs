//! Several backends at once.

use std::time::Duration;

use servers::{Etcd, Redis, Release};

use crate::support::{Daemon, Sandbox, within};

/// How long a change may take to arrive, also after an outage.
const LIMIT: Duration = Duration::from_secs(20);

/// Writes a resource that renders `template` to `out/NAME`. `rest` is the rest of its file.
fn resource(sandbox: &Sandbox, name: &str, template: &str, rest: &str) {
    sandbox.write(&format!("templates/{name}"), template);
    let table = format!("[template]\nsrc = '{name}'\ndest = 'out/{name}'\n{rest}\n");
    sandbox.write(&format!("conf.d/{name}.toml"), table);
}

/// A sandbox whose confd.toml has etcd as the main backend, a mounted Redis and the environment.
fn with_three(etcd: &Etcd, redis: &Redis) -> Sandbox {
    let sandbox = Sandbox::new();
    let text = format!(
        "backend = 'etcd'\nnodes = ['{}']\n\n\
         [[backends]]\nname = 'secrets'\nbackend = 'redis'\nmount = '/secret'\nnodes = ['{}']\n\n\
         [[backends]]\nname = 'env'\n",
        etcd.url(),
        redis.address()
    );
    sandbox.write("confd.toml", text);
    resource(&sandbox, "plain", "{{getv \"/app\"}}", "keys = ['/app']");
    resource(
        &sandbox,
        "both",
        "{{getv \"/app\"}} {{getv \"/secret/db\"}}",
        "keys = ['/app', '/secret']",
    );
    resource(&sandbox, "named", "{{getv \"/db\"}}", "keys = ['/db']\nbackend = 'secrets'");
    let fallback = "keys = ['/app', '/confd/several']\nbackend = ['env', 'etcd']";
    resource(&sandbox, "fallback", "{{getv \"/app\"}} {{getv \"/confd/several\"}}", fallback);
    sandbox
}

fn outputs(sandbox: &Sandbox) -> [String; 4] {
    ["plain", "both", "named", "fallback"].map(|name| sandbox.read(&format!("out/{name}")))
}

#[test]
fn mounted_named_and_combined_backends_are_read_in_one_run() {
    let (etcd, redis) = (Etcd::start(Release::Debian), Redis::start());
    etcd.put("/app", "1");
    etcd.put("/confd/several", "etcd");
    etcd.put("/secret/db", "hidden");
    redis.set("/db", "2");
    let sandbox = with_three(&etcd, &redis);
    let run = || sandbox.confd(&["-onetime"]);
    run().ok().expect(&format!(
        "INFO Backend secrets set to redis at {}, mounted at /secret",
        redis.address()
    ));
    assert_eq!(outputs(&sandbox), ["1", "1 2", "2", "1 etcd"]);
    run().env("CONFD_SEVERAL", "env").ok();
    assert_eq!(sandbox.read("out/fallback"), "1 env");
    // Without the key in Redis, that of etcd is seen.
    redis.ask(&["DEL", "/db"]);
    run().fails().expect_no("hidden");
    assert_eq!(sandbox.read("out/both"), "1 hidden");
}

#[test]
fn without_a_main_backend_a_key_outside_of_the_mounts_is_no_missing_key() {
    let sandbox = Sandbox::new();
    sandbox.write("confd.toml", "[[backends]]\nname = 'env'\n");
    resource(&sandbox, "app", "{{range gets \"/*\"}}{{.Key}}{{end}}", "keys = ['/app']");
    sandbox.write("out/app", "as before");
    let why = "no backend has /app: none is mounted there, and there is no main backend";
    let ended = sandbox.confd(&["-onetime"]).env("APP", "1").fails();
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    assert_eq!(sandbox.read("out/app"), "as before");
}

#[test]
fn a_plan_shows_only_the_resources_that_ask_for_the_key() {
    let redis = Redis::start();
    redis.set("/x", "1");
    redis.set("/y", "1");
    let sandbox = Sandbox::new();
    for name in ["x", "y"] {
        let template = "{{range gets \"/*\"}}{{.Key}}={{.Value}} {{end}}";
        resource(&sandbox, name, template, &format!("keys = ['/{name}']"));
    }
    let flags = ["-backend", "redis", "-node", &redis.address()];
    sandbox.confd(&["-onetime"]).arguments(&flags).ok();
    let plan = |key: &str| {
        let run = sandbox.bare(&["plan", "-config-file", "confd.toml", "-confdir", "."]);
        run.arguments(&flags).arguments(&["-set", key]).run()
    };
    let ended = plan("/x=5");
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stdout.contains("out/x") && !ended.stdout.contains("out/y"), "{}", ended.stdout);
    let ended = plan("/other=5");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(ended.stderr.contains("no resource asks for /other"), "{}", ended.stderr);
}

#[test]
fn an_outage_of_one_backend_leaves_the_resources_of_the_others_alone() {
    let etcd = Etcd::start(Release::Debian);
    let mut redis = Redis::start();
    redis.ask(&["CONFIG", "SET", "notify-keyspace-events", "KA"]);
    etcd.put("/app", "1");
    etcd.put("/confd/several", "etcd");
    redis.set("/db", "1");
    let sandbox = with_three(&etcd, &redis);
    let run = sandbox.confd(&["-watch"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    let is = |expected: [&str; 4]| {
        within(LIMIT, &format!("{expected:?}\n{}", daemon.stderr()), || {
            outputs(&sandbox) == expected
        });
    };
    is(["1", "1 1", "1", "1 etcd"]);
    redis.set("/db", "2");
    is(["1", "1 2", "2", "1 etcd"]);
    etcd.put("/app", "2");
    is(["2", "2 2", "2", "2 etcd"]);

    redis.kill();
    daemon.wait_for("Cannot read /db: cannot reach redis");
    etcd.put("/app", "3");
    is(["3", "2 2", "2", "3 etcd"]);
    redis.restart();
    redis.wait();
    redis.ask(&["CONFIG", "SET", "notify-keyspace-events", "KA"]);
    redis.set("/db", "3");
    is(["3", "3 3", "3", "3 etcd"]);

    let run = || sandbox.confd(&["-onetime"]);
    redis.kill();
    etcd.put("/app", "4");
    run().fails().expect_no("(resource plain)");
    is(["4", "3 3", "3", "4 etcd"]);
}

#[test]
fn a_resource_file_describes_a_backend_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.write("data.yaml", "app: from a file\n");
    resource(
        &sandbox,
        "own",
        "{{getv \"/app\"}}",
        "keys = ['/app']\n[backend]\nbackend = 'file'\nfile = ['data.yaml']",
    );
    resource(&sandbox, "run", "{{getv \"/app\"}}", "keys = ['/app']");
    for command in [&["env", "--onetime"][..], &["-backend", "env", "-onetime"]] {
        sandbox
            .bare(command)
            .arguments(&["--confdir", "."])
            .env("APP", "from the environment")
            .ok();
        assert_eq!(sandbox.read("out/own"), "from a file");
        assert_eq!(sandbox.read("out/run"), "from the environment");
        std::fs::remove_dir_all(sandbox.path("out")).unwrap();
        std::fs::create_dir(sandbox.path("out")).unwrap();
    }
    // In watch mode the file is followed beside the environment, which cannot be.
    let run = sandbox.bare(&["-backend", "env", "-watch", "-confdir", "."]).env("APP", "env");
    let daemon = Daemon::start(run, sandbox.path("log"));
    let is = |expected: &str| {
        within(LIMIT, &daemon.stderr(), || {
            sandbox.path("out/own").exists() && sandbox.read("out/own") == expected
        });
    };
    is("from a file");
    sandbox.write("data.yaml", "app: changed\n");
    is("changed");
}

#[test]
fn mistakes_name_the_place_and_what_was_probably_meant_and_show_no_value() {
    let sandbox = Sandbox::new();
    let with = |config: &str, rest: &str| {
        sandbox.write("confd.toml", config);
        resource(&sandbox, "app", "x", rest);
        sandbox.confd(&["-onetime", "-backend", "env"]).fails()
    };
    let vault = "[[backends]]\nname = 'secrets'\nbackend = 'redis'\npassword = 'hunter2'\n";
    for (config, rest, expected) in [
        ("[[backends]]\nbackend = 'env'\n", "", "confd.toml:1: one of [[backends]] has no name"),
        (
            "[[backends]]\nname = 'a'\nbackend = 'env'\n[[backends]]\nname = 'a'\nbackend = 'env'\n",
            "",
            "confd.toml:5: two of [[backends]] have the name \"a\"",
        ),
        (
            "[[backends]]\nname = 'a'\nbackend = 'rediss'\n",
            "",
            "confd.toml:3: Invalid backend \"rediss\"",
        ),
        (
            "[[backends]]\nname = 'env'\nmount = 'secret'\n",
            "",
            "confd.toml:3: mount \"secret\" does not begin with /",
        ),
        (
            "[[backends]]\nname = 'env'\nbackend = 'redis'\n",
            "",
            "has the name of the main backend, env",
        ),
        (
            "",
            "backend = 'env'\n[backend]\nbackend = 'env'",
            "backend names other backends than the table [backend] of the file",
        ),
        (
            "[[backends]]\nname = 'env'\nexpand_env = true\npassword = 'a${hunter2'\n",
            "",
            "confd.toml:4: password: a text that begins with ${ is not ${NAME}",
        ),
        (vault, "backend = 'secret'", "there is no backend \"secret\""),
        (vault, "backend = 'secret'", "did you mean \"secrets\"?"),
        (
            "",
            "backend = 'x'",
            "the backend of this run is env; [[backends]] of confd.toml give names to more",
        ),
        ("", "[backend]\nbackend = 'redi'\npassword = 'hunter2'", "Invalid backend \"redi\""),
        ("", "[backend]\nbackend = 'redis'\npassword = hunter2", "app.toml"),
    ] {
        let ended = with(config, rest);
        ended.expect_no("hunter2");
        assert!(ended.stderr.contains(expected), "{expected}\n{}", ended.stderr);
    }
}

#[test]
fn a_secret_of_a_table_can_be_in_a_file() {
    let redis = Redis::with_password("hunter2");
    redis.set("/db", "1");
    let sandbox = Sandbox::new();
    let nodes = format!("nodes = ['{}']", redis.address());
    let named = |more: &str| {
        let text = format!("[[backends]]\nname = 'secrets'\nbackend = 'redis'\n{nodes}\n{more}\n");
        sandbox.write("confd.toml", text);
    };
    resource(&sandbox, "named", "{{getv \"/db\"}}", "keys = ['/db']\nbackend = 'secrets'");
    let own =
        format!("keys = ['/db']\n[backend]\nbackend = 'redis'\n{nodes}\npassword_file = 'pw'");
    resource(&sandbox, "own", "{{getv \"/db\"}}", &own);
    let run = || sandbox.confd(&["-onetime"]);
    named("password_file = 'pw'");
    let ended = run().fails();
    let why = "(last key \"backends.password_file\"): open pw: no such file or directory";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    sandbox.write("pw", "hunter2\n");
    run().ok().expect_no("unknown key");
    assert_eq!([sandbox.read("out/named"), sandbox.read("out/own")], ["1", "1"]);
    named("password_file = 'pw'\npassword = 'hunter2'");
    let ended = run().fails();
    let why = "password_file and password are both set: only one can count";
    assert!(ended.stderr.contains(why) && !ended.stderr.contains("hunter2"), "{}", ended.stderr);
    // The main backend has it too.
    sandbox.write("confd.toml", format!("backend = 'redis'\n{nodes}\npassword_file = 'pw'\n"));
    resource(&sandbox, "named", "{{getv \"/db\"}}!", "keys = ['/db']");
    run().ok();
    assert_eq!(sandbox.read("out/named"), "1!");
}

#[test]
fn what_asks_no_store_needs_neither_variables_nor_secrets_of_backends() {
    let sandbox = Sandbox::new();
    let of_backend = "nodes = ['${REDIS_NODE}']\npassword = '${REDIS_PASSWORD}'\nexpand_env = true";
    let text = format!(
        "[[backends]]\nname = 'secrets'\nbackend = 'redis'\n{of_backend}\n\n\
         [[backends]]\nname = 'other'\nbackend = 'consul'\nauth_token_file = '/no/such/file'\n"
    );
    sandbox.write("confd.toml", text);
    resource(&sandbox, "named", "{{getv \"/db\"}}", "keys = ['/db']\nbackend = 'secrets'");
    let own = format!("keys = ['/db']\n[backend]\nbackend = 'redis'\n{of_backend}");
    resource(&sandbox, "own", "{{getv \"/db\"}}", &own);
    sandbox.write("out/keep", "");
    sandbox.write("keys.yaml", "db: x\n");
    sandbox.write("cases/one/data.yaml", "db: x\n");
    sandbox.write("cases/one/expected/named", "x");
    let files = ["-confdir", ".", "-config-file", "confd.toml"];
    let run = |words: &[&str]| sandbox.bare(words).arguments(&files);
    run(&["check", "-strict"]).ok();
    for name in ["named", "own"] {
        assert_eq!(run(&["render", name, "-data", "keys.yaml"]).ok().stdout, "x");
    }
    let tested = run(&["test", "cases"]).run();
    assert!(!tested.stderr.contains("REDIS_"), "{}", tested.stderr);
    run(&["env", "--check-config"]).ok();
    run(&["env", "--validate"]).ok();
    for words in [&["-onetime"][..], &["render", "named"]] {
        let ended = run(words).fails();
        assert!(ended.stderr.contains("the variable REDIS_NODE is not set"), "{}", ended.stderr);
    }
}
