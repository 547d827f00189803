//! Keys from Redis.

mod access;
mod following;

use servers::Redis;

use crate::support::{Daemon, Run, Sandbox};

/// A resource that prints the pairs below `/`, in three levels.
const DUMP: &str = "{{range gets \"/*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/*/*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/*/*/*\"}}{{.Key}}={{.Value}} {{end}}";

/// A sandbox with one resource that asks for these keys, written in TOML.
fn asking_for(keys: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", DUMP);
    let table = format!("[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = {keys}\n");
    sandbox.write("conf.d/app.toml", table);
    sandbox
}

/// A sandbox with one resource that asks for the key `/app`.
fn asking() -> Sandbox {
    asking_for("['/app']")
}

/// Timeouts for a busy machine, where a server can be silent for longer than the default.
const PATIENT: [&str; 4] = ["-dial-timeout", "10s", "-read-timeout", "10s"];

fn onetime(sandbox: &Sandbox, node: &str) -> Run {
    sandbox.confd(&["-onetime", "-backend", "redis", "-node", node]).arguments(&PATIENT)
}

fn watching(sandbox: &Sandbox, node: &str, more: &[&str]) -> Daemon {
    let run = sandbox.confd(&["-watch", "-backend", "redis", "-node", node]);
    Daemon::start(run.arguments(&PATIENT).arguments(more), sandbox.path("log"))
}

/// What a onetime run prints for these keys.
#[track_caller]
fn read(server: &Redis, keys: &str, more: &[&str]) -> String {
    let sandbox = asking_for(keys);
    onetime(&sandbox, &server.address()).arguments(more).ok();
    sandbox.output()
}

#[test]
fn a_string_stands_for_itself_a_hash_for_its_fields_and_another_key_for_the_strings_below_it() {
    let server = Redis::start();
    server.set("/text", "1");
    server.set("/text/below", "2");
    server.ask(&["HSET", "/hash", "a", "3", "b/c", "4"]);
    server.set("/hash/below", "5");
    server.set("/app/a", "6");
    server.set("/app/b/c", "7");
    server.set("/apple", "8");
    for (keys, expected) in [
        ("['/text']", "/text=1 "),
        ("['/hash']", "/hash/a=3 /hash/b/c=4 "),
        ("['/app']", "/app/a=6 /app/b/c=7 "),
        ("['/app/*']", "/app/a=6 /app/b/c=7 "),
        ("['/text', '/app/a']", "/text=1 /app/a=6 "),
        ("['/none']", ""),
        // Not even by its own name is a field of a hash found.
        ("['/hash/a']", ""),
    ] {
        assert_eq!(read(&server, keys, &[]), expected, "{keys}");
    }
}

#[test]
fn below_a_key_only_strings_are_read() {
    let server = Redis::start();
    server.set("/app/text", "1");
    server.ask(&["HSET", "/app/hash", "a", "2"]);
    server.ask(&["RPUSH", "/app/list", "3"]);
    server.ask(&["SADD", "/app/set", "4"]);
    server.ask(&["ZADD", "/app/sorted", "5", "x"]);
    server.set("/list/below", "6");
    server.ask(&["RPUSH", "/list", "7"]);
    assert_eq!(read(&server, "['/app']", &[]), "/app/text=1 ");
    assert_eq!(read(&server, "['/']", &[]), "/app/text=1 /list/below=6 ");
    assert_eq!(read(&server, "['/list']", &[]), "/list/below=6 ");
}

#[test]
fn characters_of_patterns_mean_in_keys_what_they_mean_in_redis() {
    let server = Redis::start();
    for key in ["/app/web1/a", "/app/web2/a", "/app/db/a", "/app/web*"] {
        server.set(key, "1");
    }
    assert_eq!(read(&server, "['/app/web?']", &[]), "/app/web1/a=1 /app/web2/a=1 ");
    assert_eq!(read(&server, "['/app/w[e]b1']", &[]), "/app/web1/a=1 ");
    // A key of this name is taken first.
    assert_eq!(read(&server, "['/app/web*']", &[]), "/app/web*=1 ");
}

#[test]
fn a_separator_stands_in_place_of_the_slashes() {
    let server = Redis::start();
    server.set("app:a", "1");
    server.set("app:b:c", "2");
    server.set("/app/x", "3");
    server.ask(&["HSET", "hash", "f:g", "4"]);
    let separated = ["-separator", ":"];
    assert_eq!(read(&server, "['/app']", &separated), "/app/a=1 /app/b/c=2 ");
    assert_eq!(read(&server, "['/app/a']", &separated), "/app/a=1 ");
    assert_eq!(read(&server, "['/app/b']", &separated), "/app/b/c=2 ");
    assert_eq!(read(&server, "['/hash']", &separated), "/hash/f/g=4 ");
    assert_eq!(read(&server, "['/']", &separated), "/app/a=1 /app/x=3 /app/b/c=2 ");
    assert_eq!(read(&server, "['/app']", &[]), "/app/x=3 ");
    // Keys without a slash at their beginning are read only by `/`.
    server.set("port", "5");
    assert_eq!(read(&server, "['/port']", &[]), "");
    assert_eq!(read(&server, "['/']", &[]), "/app:a=1 /app:b:c=2 /port=5 /app/x=3 ");
}

#[test]
fn of_two_keys_that_become_one_the_last_by_its_bytes_counts() {
    let server = Redis::start();
    server.set("port", "1");
    server.set("/port", "2");
    assert_eq!(read(&server, "['/']", &[]), "/port=1 ");
}

#[test]
fn a_prefix_comes_before_the_keys() {
    let server = Redis::start();
    server.set("/prod/app/a", "1");
    server.set("/app/a", "2");
    assert_eq!(read(&server, "['/app']", &["-prefix", "prod"]), "/app/a=1 ");
}

#[test]
fn values_are_bytes() {
    let server = Redis::start();
    let bytes = b"\0\xff\r\n\"<\xe2\x82\xac";
    server.set("/app/a", bytes);
    let sandbox = Sandbox::rendering("{{getv \"/app/a\"}}");
    onetime(&sandbox, &server.address()).ok();
    assert_eq!(std::fs::read(sandbox.path("out/app")).unwrap(), bytes);
}

#[test]
fn many_keys_and_a_large_hash_are_read_whole() {
    let server = Redis::start();
    for fields in (0..20_000).collect::<Vec<_>>().chunks(1_000) {
        let words = fields.iter().flat_map(|number| [format!("f{number}"), number.to_string()]);
        let words: Vec<String> =
            ["HSET", "/hash"].map(str::to_owned).into_iter().chain(words).collect();
        server.ask(&words);
        let sets: Vec<[String; 3]> = fields
            .iter()
            .map(|number| ["SET".into(), format!("/app/{number}"), "x".into()])
            .collect();
        server.ask_all(&sets.iter().map(<[String; 3]>::as_slice).collect::<Vec<_>>());
    }
    let sandbox = asking_for("['/hash', '/app']");
    sandbox.write("templates/app", "{{len (gets \"/hash/*\")}} {{len (gets \"/app/*\")}}");
    onetime(&sandbox, &server.address()).ok();
    assert_eq!(sandbox.output(), "20000 20000");
}

#[test]
fn the_command_line_of_the_fork_reads_redis_too() {
    let server = Redis::start();
    server.set("app:a", "1");
    let sandbox = asking();
    let confdir = sandbox.root().to_str().unwrap().to_owned();
    let node = server.address();
    let run = sandbox.bare(&["redis", "--confdir", &confdir, "--config-file", "confd.toml"]);
    let timeouts = ["--dial-timeout", "2s", "--read-timeout=2s", "--write-timeout", "500ms"];
    let run = run.arguments(&["--onetime", "-n", &node, "--separator", ":"]);
    run.arguments(&timeouts).arguments(&["--retry-max-attempts", "3"]).ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
}

#[test]
fn a_password_in_an_address_is_in_no_message() {
    for node in [
        "redis://joe:hunter2@127.0.0.1:1",
        "rediss://joe:hunter2@127.0.0.1:1",
        "redis://joe:hunter2@nowhere.invalid:1",
        "redis://joe:hunter2@host/xyz",
        "redis://127.0.0.1:1?password=hunter2",
    ] {
        for more in [&[][..], &["-sentinel-master", "main"]] {
            let ended = onetime(&asking(), node).arguments(more).fails();
            ended.expect_no("hunter2");
        }
    }
}
