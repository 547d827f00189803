//! `confd render`: the bytes of a file, with keys of the store or of a file.

use crate::support::{Run, Sandbox};

/// A command on this tree, with the keys of `data.yaml`.
pub(super) fn command(sandbox: &Sandbox, words: &[&str]) -> Run {
    sandbox.write("confd.toml", "backend = 'file'\nfile = ['data.yaml']\n");
    let run = sandbox.bare(words).arguments(&["-config-file", "confd.toml", "-confdir"]);
    run.arguments(&[sandbox.root()])
}

#[test]
fn the_bytes_of_the_file_go_to_standard_output_and_nothing_else_is_touched() {
    let sandbox = Sandbox::rendering("name={{getv \"/name\"}}");
    sandbox.write("data.yaml", "name: of the store\n");
    let ended = command(&sandbox, &["render", "app"]).ok();
    assert_eq!((&*ended.stdout, &*ended.stderr), ("name=of the store", ""));
    sandbox.write("other.json", "{\"name\": \"of a file\"}");
    let ended = command(&sandbox, &["render", "app.toml", "-data", "other.json"]).ok();
    assert_eq!((&*ended.stdout, &*ended.stderr), ("name=of a file", ""));
    assert!(sandbox.list("out").is_empty());
}

#[test]
fn each_of_several_files_has_a_heading_unless_one_is_chosen() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "{{.name}}\n");
    let out = sandbox.path("out").display().to_string();
    let table = format!(
        "[template]\nsrc='a'\nfor_each='/x/*'\ndest='{out}/{{{{.name}}}}.conf'\nkeys=['/x']\n"
    );
    sandbox.write("conf.d/items.toml", table);
    sandbox.write("data.yaml", "x: { one: 1, two: 2 }\n");
    let all = format!("==> {out}/one.conf <==\none\n\n==> {out}/two.conf <==\ntwo\n");
    assert_eq!(command(&sandbox, &["render", "items"]).ok().stdout, all);
    let one = command(&sandbox, &["render", "items", "-item", "two"]).ok();
    assert_eq!(one.stdout, "two\n");
    let dest = format!("-dest={out}/one.conf");
    assert_eq!(command(&sandbox, &["render", "items", &dest]).ok().stdout, "one\n");
    let none = command(&sandbox, &["render", "items", "-item", "three"]).fails();
    assert!(none.stderr.starts_with("confd render: items has no such file; its files are "));
}

#[test]
fn a_render_that_fails_says_why() {
    let sandbox = Sandbox::rendering("{{getv \"/missing\"}}");
    sandbox.write("data.yaml", "name: x\n");
    let ended = command(&sandbox, &["render", "app"]).fails();
    assert!(ended.stderr.contains("key does not exist: /missing"), "{}", ended.stderr);
    let ended = command(&sandbox, &["render", "ap"]).fails();
    let hint = "did you mean \"app\"?\n";
    assert!(ended.stderr.contains("there is no resource \"ap\" in"), "{}", ended.stderr);
    assert!(ended.stderr.ends_with(hint), "{}", ended.stderr);
    let ended = command(&sandbox, &["render", "app", "-data", "nowhere"]).fails();
    assert!(ended.stderr.starts_with("confd render: -data: open nowhere"), "{}", ended.stderr);
}
