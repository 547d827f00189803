//! Mistakes about the store: where it is, and how its keys are written.

use servers::{Consul, Etcd, Release};

use super::says;
use crate::support::Sandbox;

/// The log of a onetime run with these arguments, of a template that needs `/services/x`.
fn log_of(arguments: &[&str]) -> String {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", "{{getv \"/services/x\"}}");
    let table = "[template]\nsrc = 'app'\ndest = 'app'\nkeys = ['/services']\n";
    sandbox.write("conf.d/app.toml", table);
    sandbox.confd(&["-onetime"]).arguments(arguments).run().stderr
}

#[test]
fn the_default_address_is_named_as_such() {
    const DEFAULT: &str = "; this is the default address, because no -node is given)";
    let sandbox = Sandbox::rendering("x");
    // A network of its own, in which nothing listens.
    let log = |arguments: &[&str]| {
        let run = sandbox.confd(&["-onetime"]).arguments(arguments);
        run.unshared("-n", "ip link set lo up; exec \"$@\"").run().stderr
    };
    says(&log(&["-backend", "etcd"]), &["http://127.0.0.1:4001: connection refused (", DEFAULT]);
    says(&log(&["-backend", "consul"]), &["http://127.0.0.1:8500: connection refused (", DEFAULT]);
    let given = log(&["-backend", "etcd", "-node", "http://127.0.0.1:4001"]);
    assert!(!given.contains("default address"), "{given}");
}

#[test]
fn a_key_of_etcd_without_a_slash_is_no_key_of_confd() {
    let server = Etcd::start(Release::Debian);
    server.put("services/x", "1");
    let log = log_of(&["-backend", "etcdv3", "-node", &server.address()]);
    let hint =
        "the source has no key at /services; confd reads only keys of etcd that begin with /\n";
    says(&log, &[&format!("= {hint}")]);
}

#[test]
fn a_server_that_is_not_etcd_is_not_just_one_that_wants_https() {
    let server = Consul::start();
    let log = log_of(&["-backend", "etcdv3", "-node", &server.address()]);
    says(&log, &["(perhaps the server wants https, or is not etcd)"]);
}

#[test]
fn the_path_of_consuls_keys_is_no_part_of_a_node() {
    let server = Consul::start();
    server.put_all([("services/x", "1")]);
    for path in ["/v1/kv", "/v1/kv/", "/v1"] {
        let node = format!("http://{}{path}", server.address());
        let log = log_of(&["-backend", "consul", "-node", &node]);
        let hint = "is followed by the paths of Consul's API, which begin with /v1: leave out ";
        says(&log, &["WARNING ", &format!("{hint}{}", path.trim_end_matches('/'))]);
    }
}

#[test]
fn several_nodes_and_several_files_have_a_flag_each() {
    for backend in ["etcd", "consul"] {
        let log = log_of(&["-backend", backend, "-node", "127.0.0.1:1,127.0.0.1:2"]);
        says(
            &log,
            &[
                "not an address of the form HOST:PORT",
                "each node has a -node, or an element of the list nodes, of its own",
            ],
        );
    }
    let sandbox = Sandbox::rendering("x");
    sandbox.write("a.yaml", "a: b");
    let run = |files| sandbox.confd(&["-onetime", "-backend", "file", "-file", files]).run().stderr;
    let log = run("a.yaml,b.yaml");
    says(
        &log,
        &["stat a.yaml,b.yaml: no such file or directory\n   = each file has a -file of its own\n"],
    );
    assert!(!run("b.yaml").contains("-file of its own"));
}

#[test]
fn a_scheme_that_does_not_exist_is_reported_for_etcd_too() {
    let log = log_of(&["-backend", "etcdv3", "-node", "127.0.0.1:1", "-scheme", "htps"]);
    says(&log, &["WARNING scheme is \"http\" or \"https\", not \"htps\": http is used"]);
}
