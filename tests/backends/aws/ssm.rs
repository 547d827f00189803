//! The Parameter Store.

use servers::Moto;

use super::{asking_for, at, onetime, read};
use crate::support::Sandbox;

#[test]
fn a_key_stands_for_the_parameters_below_it_and_otherwise_for_that_of_its_name() {
    let server = Moto::start();
    for (name, value, kind) in [
        ("/app/port", "80", "String"),
        ("/app/db/password", "p@sSw0rd", "SecureString"),
        ("/app/hosts", "a,b", "StringList"),
        ("/apple", "no", "String"),
        ("/both", "hidden", "String"),
        ("/both/below", "1", "String"),
        ("plain", "2", "String"),
    ] {
        server.put_parameter(name, value, kind);
    }
    for (keys, expected) in [
        ("['/app']", "/app/hosts=a,b /app/port=80 /app/db/password=p@sSw0rd "),
        ("['/app/port', '/app/db']", "/app/port=80 /app/db/password=p@sSw0rd "),
        ("['/apple']", "/apple=no "),
        ("['/both']", "/both/below=1 "),
        ("['/none']", ""),
        (
            "['/']",
            "/apple=no /both=hidden /plain=2 /app/hosts=a,b /app/port=80 /both/below=1 /app/db/password=p@sSw0rd ",
        ),
    ] {
        assert_eq!(read(&server, "ssm", keys, &[]), expected, "{keys}");
    }
    assert_eq!(read(&server, "ssm", "['/db']", &["-prefix", "/app"]), "/db/password=p@sSw0rd ");
}

#[test]
fn all_pages_are_read() {
    let server = Moto::start();
    for number in 0..35 {
        server.put_parameter(&format!("/app/{number}"), "x", "String");
    }
    let sandbox = asking_for("['/app']");
    sandbox.write("templates/app", "{{len (gets \"/app/*\")}}");
    onetime(&sandbox, &server, "ssm").ok();
    assert_eq!(sandbox.output(), "35");
}

#[test]
fn a_key_that_is_refused_costs_no_other_resource() {
    let server = Moto::start();
    server.put_parameter("/app/a", "1", "String");
    let sandbox = asking_for("['/app']");
    sandbox.write("templates/wrong", "x");
    sandbox.write(
        "conf.d/wrong.toml",
        "[template]\nsrc='wrong'\ndest='out/wrong'\nkeys=['/app/a:99']\n",
    );
    let ended = onetime(&sandbox, &server, "ssm").fails();
    assert_eq!(sandbox.list("out"), ["app"]);
    let error = "Cannot read /app/a:99: ssm at http://";
    assert!(ended.stderr.contains(error), "{}", ended.stderr);
    assert!(ended.stderr.contains(" refused: ParameterVersionNotFound: "), "{}", ended.stderr);
}

#[test]
fn the_variables_of_go_confd_and_of_its_fork_name_a_server_on_this_machine() {
    let server = Moto::start();
    server.put_parameter("/app/a", "1", "String");
    let sandbox = Sandbox::rendering("{{getv \"/app/a\"}}");
    let local = |run| {
        let run = at("127.0.0.1:1", run).env("SSM_LOCAL", "1");
        run.env("SSM_ENDPOINT_URL", format!("http://{}", server.address()))
    };
    local(sandbox.confd(&["-onetime", "-backend", "ssm", "-table", "confd"])).ok();
    assert_eq!(sandbox.output(), "1");
    server.put_parameter("/app/a", "2", "String");
    let confdir = sandbox.root().to_str().unwrap();
    let fork = ["ssm", "--onetime", "--confdir", confdir, "--config-file", "confd.toml"];
    local(sandbox.bare(&fork)).ok();
    assert_eq!(sandbox.output(), "2");
}
