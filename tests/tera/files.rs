//! What a template can take from other files of the templates folder, and what it cannot.

use std::{fs, os::unix::fs::symlink};

use crate::support::{Daemon, eventually};

use super::{not_compiled, resource, run, tree};

#[test]
fn templates_include_and_extend_others_and_use_their_components() {
    let sandbox = tree(
        &[
            (
                "site.conf.tera",
                "{% extends 'base/server.tera' %}{% block body %}{{ super() }}\
                 {% for port in ls(path='/app/ports') %}{{ <listen port={port} /> }}{% endfor %}\
                 {% endblock %}",
            ),
            (
                "base/server.tera",
                "{% include 'parts/header.conf' %}{% block body %}name {{ store.app.name }};\n\
                 {% endblock %}}\n",
            ),
            ("parts/header.conf", "# {{ 'made by confd' | toUpper }}\nserver {\n"),
            (
                "lib/ports.tera",
                "{% component listen(port: string) %}listen {{ port }} {{ getv(key='/app/ports/' ~ port) }};\n\
                 {% endcomponent listen %}",
            ),
        ],
        &["site.conf.tera"],
    );
    assert_eq!(run(&sandbox).code, Some(0));
    assert_eq!(
        sandbox.read("out/site.conf.tera"),
        "# MADE BY CONFD\nserver {\nname shop;\nlisten http 80;\nlisten https 443;\n}\n"
    );
}

#[test]
fn a_broken_file_breaks_only_those_that_need_it() {
    let sandbox = tree(
        &[
            ("a.tera", "{% include 'part.tera' %}"),
            ("b.tera", "{% include 'broken.tera' %}"),
            ("part.tera", "part"),
            ("broken.tera", "{% component x() %}\n{% if %}"),
        ],
        &["a.tera", "b.tera"],
    );
    let ended = run(&sandbox);
    assert_eq!(ended.code, Some(1));
    assert_eq!(sandbox.list("out"), ["a.tera"]);
    let error = "broken.tera:2:6: Found `%}` but expected one of: integer, float, string, bool, \
                 ident, `-`, `not`, `<`, `{`, `[` or `(`";
    ended.expect(&not_compiled(&sandbox, "b.tera", error));
}

#[test]
fn nothing_outside_of_the_templates_folder_can_be_taken() {
    let sandbox = tree(&[("good.tera", "good")], &["good.tera"]);
    let secret = sandbox.write("secret", "the secret");
    symlink("../secret", sandbox.path("templates/link")).unwrap();
    symlink("..", sandbox.path("templates/up")).unwrap();
    let absolute = secret.display().to_string();
    let names =
        ["../secret", "x/../../secret", &absolute, "link", "up/secret", "../templates/good.tera"];
    let mut expected = Vec::new();
    for (nth, name) in names.iter().enumerate() {
        for (kind, column) in [("include", 11), ("extends", 11)] {
            let src = format!("{kind}{nth}.tera");
            sandbox.write(&format!("templates/{src}"), format!("{{% {kind} '{name}' %}}"));
            resource(&sandbox, &src, "");
            let why =
                format!("{src}:1:{column}: template \"{name}\" is outside of the templates folder");
            expected.push(not_compiled(&sandbox, &src, &why));
        }
    }
    let ended = run(&sandbox);
    assert_eq!(ended.code, Some(1));
    for line in expected {
        ended.expect(&line);
    }
    ended.expect_no("the secret");
    assert_eq!(sandbox.list("out"), ["good.tera"]);
}

#[test]
fn a_missing_file_is_reported_with_the_place_that_includes_it() {
    let sandbox = tree(
        &[
            ("a.tera", "\n {% include 'sub/b' %}"),
            ("sub/b", "é {% include 'nowhere' %}"),
            ("c.tera", "{% include './a.tera' %}"),
            ("d.tera", "{% include 'sub' %}"),
            ("e.tera", "{% include 'f.tera' %}"),
            ("f.tera", "{% include 'e.tera' %}"),
            ("g.tera", "{{ <nobody /> }}"),
        ],
        &["a.tera", "c.tera", "d.tera", "e.tera", "g.tera"],
    );
    let ended = run(&sandbox);
    for (src, error) in [
        ("a.tera", "sub/b:1:14: template \"nowhere\" does not exist in the templates folder"),
        (
            "c.tera",
            "c.tera:1:11: template \"./a.tera\" is not a plain path in the templates folder",
        ),
        ("d.tera", "d.tera:1:11: template \"sub\" is not a file"),
        ("e.tera", "e.tera: includes itself: e.tera -> f.tera -> e.tera"),
        ("g.tera", "g.tera:1:3: Unknown component `nobody`"),
    ] {
        ended.expect(&not_compiled(&sandbox, src, error));
    }
}

#[test]
fn a_mounted_config_map_is_a_templates_folder() {
    let sandbox = tree(
        &[
            ("..2026/a.tera", "{% include 'part.tera' %}{{ <x /> }}"),
            ("..2026/part.tera", "part "),
            ("..2026/lib.tera", "{% component x() %}component{% endcomponent %}"),
        ],
        &["a.tera"],
    );
    let templates = sandbox.path("templates");
    symlink("..2026", templates.join("..data")).unwrap();
    for name in ["a.tera", "part.tera", "lib.tera"] {
        symlink(format!("..data/{name}"), templates.join(name)).unwrap();
    }
    let ended = run(&sandbox);
    assert_eq!(sandbox.read("out/a.tera"), "part component", "{}", ended.stderr);
}

#[test]
fn a_change_in_another_file_is_seen_in_the_next_pass() {
    let sandbox = tree(
        &[
            ("a.tera", "{% include 'part.tera' %}{{ <x /> }}"),
            ("part.tera", "part1 "),
            ("x.tera", "{% component x() %}x1{% endcomponent %}"),
        ],
        &["a.tera"],
    );
    let run = sandbox.confd(&["-interval", "1", "-backend", "env"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    let becomes = |want: &str| eventually(want, || sandbox.read("out/a.tera") == want);
    becomes("part1 x1");
    sandbox.write("templates/part.tera", "part2 ");
    becomes("part2 x1");
    fs::remove_file(sandbox.path("templates/x.tera")).unwrap();
    sandbox.write("templates/y.tera", "{% component x() %}x2{% endcomponent %}");
    becomes("part2 x2");
    daemon.stop(rustix::process::Signal::TERM);
}
