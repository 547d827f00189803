//! Templates that no one should write: none of them ends the process, and the other resources get
//! their passes.

use super::{resource, run, tree};
use crate::support::{Daemon, Sandbox, eventually};

/// A chain of this many `elif`.
fn elif_chain(links: usize) -> String {
    format!("{{% if false %}}{}{{% else %}}end{{% endif %}}", "{% elif false %}x".repeat(links))
}

/// A list that a loop puts into itself this many times.
fn nested_in_a_loop(times: usize, then: &str) -> String {
    format!(
        "{{% set x = [1] %}}{{% for a in range(end=200) %}}{{% for b in range(end={}) %}}\
         {{% set_global x = [x] %}}{{% endfor %}}{{% endfor %}}{then}",
        times / 200
    )
}

/// Renders `files`, of which `a.tera` is that of a resource, beside a resource without fault.
fn beside_a_plain_resource(files: &[(&str, &str)]) -> (Sandbox, crate::support::Ended) {
    let sandbox = tree(files, &["a.tera"]);
    sandbox.write("templates/plain.tmpl", "{{getv \"/app/name\"}}");
    resource(&sandbox, "plain.tmpl", "");
    let ended = run(&sandbox);
    assert_eq!(ended.signal, None, "{files:.200?}\n{}", ended.stderr);
    assert_eq!(sandbox.read("out/plain.tmpl"), "shop", "{files:.200?}\n{}", ended.stderr);
    (sandbox, ended)
}

#[test]
fn a_long_chain_of_elif_is_rendered() {
    let (sandbox, ended) = beside_a_plain_resource(&[("a.tera", &elif_chain(1_000))]);
    assert_eq!((ended.code, &*sandbox.read("out/a.tera")), (Some(0), "end"), "{}", ended.stderr);
}

#[test]
fn an_endless_chain_of_elif_is_an_error_with_its_place() {
    let (_, ended) = beside_a_plain_resource(&[("a.tera", &elif_chain(100_000))]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("a.tera:1:"), "{}", ended.stderr);
}

#[test]
fn a_value_that_nests_without_end_is_an_error() {
    let in_components = "{% component c() %}{% set x = [1] %}{% for a in range(end=50000) %}\
                         {% set_global x = {'k': x} %}{% endfor %}{{ x }}{% endcomponent %}{{ <c /> }}";
    let straight = format!("{{% set x = 1 %}}{}", "{% set x = [x] %}".repeat(20_000));
    let hidden = "{% set x = [1] %}{% set y = 1 %}{% for i in range(end=50000) %}\
                  {% set_global y = x %}{% for x in [1] %}{% set_global x = [y] %}{% endfor %}\
                  {% endfor %}";
    let captured = "{% set x = 1 %}{% for i in range(end=50000) %}\
                    {% set_global x | default(value=[x], boolean=true) %}{% endset %}{% endfor %}";
    for source in [
        &nested_in_a_loop(20_000, ""),
        &nested_in_a_loop(200_000, "{{ x }}"),
        &nested_in_a_loop(20_000, "{{ x == [x] }}"),
        &nested_in_a_loop(20_000, "").replace("[x]", "map(a=x)"),
        &nested_in_a_loop(20_000, "").replace("[x]", "__tera_context"),
        in_components,
        &straight,
        hidden,
        captured,
    ] {
        let (_, ended) = beside_a_plain_resource(&[("a.tera", source)]);
        assert_eq!(ended.code, Some(1), "{source:.200}\n{}", ended.stderr);
        assert!(ended.stderr.contains("nested deeper than"), "{source:.200}\n{}", ended.stderr);
    }
}

#[test]
fn blocks_that_contain_each_other_are_an_error() {
    let (_, ended) = beside_a_plain_resource(&[
        (
            "a.tera",
            "{% extends 'p.tera' %}\
             {% block a %}{% block b %}{{ super() }}{% endblock %}{% endblock %}",
        ),
        ("p.tera", "{% block b %}{% block a %}{% endblock %}{% endblock %}"),
    ]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("are nested too deep"), "{}", ended.stderr);
}

#[test]
fn includes_and_components_in_each_other_end_in_an_error() {
    let name = |nth: usize| if nth == 0 { "a.tera".to_owned() } else { format!("{nth}.tera") };
    let mut files: Vec<_> =
        (0..90).map(|nth| (name(nth), format!("{{% include '{}' %}}", name(nth + 1)))).collect();
    files.push((name(90), "{{ <again /> }}".to_owned()));
    let again = "{% component again() %}{% include '2.tera' %}{% endcomponent %}";
    files.push(("again.tera".to_owned(), again.to_owned()));
    let files: Vec<_> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
    let (_, ended) = beside_a_plain_resource(&files);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn a_daemon_survives_the_edit_of_a_template() {
    let sandbox = tree(&[("a.tera", "first")], &["a.tera"]);
    sandbox.write("data.yaml", "app: { name: shop }\n");
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("the first content", || sandbox.read("out/a.tera") == "first");
    sandbox.write("templates/a.tera", elif_chain(100_000));
    daemon.wait_for("ERROR Unable to process template");
    sandbox.write("templates/a.tera", nested_in_a_loop(20_000, ""));
    daemon.wait_for("nested deeper than");
    sandbox.write("templates/a.tera", "last");
    eventually("the last content", || sandbox.read("out/a.tera") == "last");
}
