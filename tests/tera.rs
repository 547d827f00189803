//! Tera templates: how a resource chooses the language, what Tera and Go templates have in common,
//! what a template can take from other files, and errors.

mod files;
mod functions;
mod hostile;
mod release;

use crate::support::{Ended, Sandbox};

/// A tree with these files in `templates`, and a resource for each file named in `resources`:
/// `a.conf.tera` becomes `out/a.conf.tera`.
fn tree(files: &[(&str, &str)], resources: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, text) in files {
        sandbox.write(&format!("templates/{name}"), text);
    }
    for name in resources {
        resource(&sandbox, name, "");
    }
    sandbox
}

/// Adds the resource of the template `src`, whose destination is `out/SRC`. `more` is added to its
/// table.
fn resource(sandbox: &Sandbox, src: &str, more: &str) {
    let dest = sandbox.path(&format!("out/{src}"));
    sandbox.write(
        &format!("conf.d/{src}.toml"),
        format!("[template]\nsrc = '{src}'\ndest = '{}'\nkeys = ['/']\n{more}\n", dest.display()),
    );
}

/// The log line that says why a Tera template could not be compiled.
fn not_compiled(sandbox: &Sandbox, src: &str, error: &str) -> String {
    let path = sandbox.path(&format!("templates/{src}"));
    format!("ERROR Unable to process template {}, template: {error}", path.display())
}

const KEYS: &str = "app: { name: shop, ports: { http: '80', https: '443' } }\n";

fn run(sandbox: &Sandbox) -> Ended {
    sandbox.onetime_with(KEYS).run()
}

#[test]
fn the_name_of_the_file_or_the_key_engine_chooses_the_language() {
    let tera = "{{ getv(key='/app/name') }} {{ '{{' }}";
    let go = "{{getv \"/app/name\"}} {% {{\"{{\"}}";
    let sandbox = tree(&[("a.tera", tera), ("b.conf", tera), ("c.tera", go), ("d.tmpl", go)], &[]);
    for (src, more) in
        [("a.tera", ""), ("b.conf", "engine = 'tera'"), ("c.tera", "engine = 'go'"), ("d.tmpl", "")]
    {
        resource(&sandbox, src, more);
    }
    let ended = run(&sandbox);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.expect_no("WARN");
    for src in ["a.tera", "b.conf"] {
        assert_eq!(sandbox.read(&format!("out/{src}")), "shop {{", "{src}");
    }
    for src in ["c.tera", "d.tmpl"] {
        assert_eq!(sandbox.read(&format!("out/{src}")), "shop {% {{", "{src}");
    }
}

#[test]
fn an_engine_that_there_is_not_is_a_bad_resource_with_the_known_ones() {
    let sandbox = tree(&[("a.tera", "a"), ("b.tera", "b")], &["b.tera"]);
    resource(&sandbox, "a.tera", "engine = 'jinja'");
    let ended = run(&sandbox);
    assert_eq!(ended.code, Some(1));
    let path = sandbox.path("conf.d/a.tera.toml");
    ended.expect(&format!(
        "ERROR Cannot process template resource {} - unknown engine \"jinja\"; the known ones are \
         \"go\", \"tera\"",
        path.display()
    ));
    assert_eq!(sandbox.list("out"), ["b.tera"]);
}

#[test]
fn both_languages_make_the_same_file_of_the_same_keys() {
    let go = "{{range gets \"/app/ports/*\"}}{{base .Key}} {{.Value}} <&>\n{{end}}";
    let tera = "{% for port in gets(pattern='/app/ports/*') %}{{ port.key | base }} {{ port.value }} \
                <&>\n{% endfor %}";
    let sandbox = tree(&[("a.tmpl", go), ("a.html.tera", tera)], &["a.tmpl", "a.html.tera"]);
    assert_eq!(run(&sandbox).code, Some(0));
    assert_eq!(sandbox.read("out/a.tmpl"), "http 80 <&>\nhttps 443 <&>\n");
    assert_eq!(sandbox.read("out/a.html.tera"), sandbox.read("out/a.tmpl"));
}

#[test]
fn the_store_is_an_object_in_which_a_folder_with_a_value_has_both() {
    let template = "{{ store.app.name }} {{ store.app.ports[''] }} {{ store.app.ports.http }}\n\
                    {% for name, port in store.app.ports %}{{ name }}={{ port }};{% endfor %}";
    let sandbox = tree(&[("a.tera", template)], &["a.tera"]);
    let run = sandbox.onetime().env("APP_NAME", "shop").env("APP_PORTS", "both");
    run.env("APP_PORTS_HTTPS", "443").env("APP_PORTS_HTTP", "80").ok();
    assert_eq!(sandbox.read("out/a.tera"), "shop both 80\n=both;http=80;https=443;");
}

#[test]
fn what_is_iterated_comes_out_in_the_same_order_in_every_run() {
    let template = "{% set m = json(text=getv(key='/json')) %}{% for k, v in m %}{{ k }}{% endfor %} \
                    {{ m }} {% for k, v in store.many %}{{ k }}{% endfor %}";
    let sandbox = tree(&[("a.tera", template)], &["a.tera"]);
    let many: Vec<_> = ('a'..='z').map(|name| format!("'{name}': x")).collect();
    let members: Vec<_> = ('a'..='z').rev().map(|name| format!("\"{name}\":1")).collect();
    let keys = format!("many: {{ {} }}\njson: '{{{}}}'\n", many.join(", "), members.join(","));
    sandbox.onetime_with(&keys).ok();
    let alphabet: String = ('a'..='z').collect();
    let out = sandbox.read("out/a.tera");
    assert!(out.starts_with(&alphabet) && out.ends_with(&alphabet), "{out}");
    for _ in 0..5 {
        sandbox.onetime_with(&keys).ok().expect_no("has been updated");
    }
}

#[test]
fn a_value_that_is_no_text_fails_where_it_is_asked_for_and_names_its_key() {
    let files = [
        ("a.tera", "{{ getv(key='/bin') }}"),
        ("b.tera", "{{ store.text }}"),
        ("c.tera", "{{ getv(key='/text') }}"),
    ];
    let sandbox = tree(&files, &["a.tera", "b.tera", "c.tera"]);
    let bin = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xffsecret");
    let ended = sandbox.onetime().env("TEXT", "text").env("BIN", bin).fails();
    let says = "the value of /bin is not valid UTF-8";
    ended.expect(&format!("ERROR template: a.tera:1:3: error calling getv: {says}"));
    ended.expect(&format!("ERROR template: b.tera: store: {says}")).expect_no("secret");
    assert_eq!(sandbox.list("out"), ["c.tera"]);
    assert_eq!(sandbox.read("out/c.tera"), "text");
}

#[test]
fn an_error_is_one_line_of_the_log_with_file_line_and_column_as_in_go_templates() {
    let files = [
        ("a.tera", "a\n{% if %}"),
        ("b.tera", "b\n é {{ getv(key='/app/nmae') }}"),
        ("c.tera", "{{ 1 | never }}"),
        ("d.tera", "{{ throw(message='two\nlines') }}"),
        ("e.tmpl", "e\n é {{getv \"/app/nmae\"}}"),
    ];
    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    let sandbox = tree(&files, &names);
    for name in &names {
        sandbox.write(&format!("out/{name}"), "old");
    }
    let ended = run(&sandbox);
    assert_eq!(ended.code, Some(1));
    ended.expect(&not_compiled(
        &sandbox,
        "a.tera",
        "a.tera:2:6: Found `%}` but expected one of: integer, float, string, bool, ident, `-`, \
         `not`, `<`, `{`, `[` or `(`",
    ));
    ended.expect(&not_compiled(&sandbox, "c.tera", "c.tera:1:7: Unknown filter `never`"));
    ended.expect("ERROR template: d.tera:1:3: two\\nlines");
    let missing = "error calling getv: key does not exist: /app/nmae";
    ended.expect(&format!("ERROR template: b.tera:2:7: {missing}"));
    ended.expect(&format!(
        "ERROR template: e.tmpl:2:6: executing \"e.tmpl\" at <getv \"/app/nmae\">: {missing}"
    ));
    for name in names {
        assert_eq!(sandbox.read(&format!("out/{name}")), "old");
    }
}

#[test]
fn a_template_that_is_not_utf8_is_reported_with_its_place() {
    let sandbox = tree(&[], &["a.tera"]);
    sandbox.write("templates/a.tera", b"one\ntw\xff");
    let ended = run(&sandbox);
    ended.expect(&not_compiled(&sandbox, "a.tera", "a.tera:2:2: not valid UTF-8"));
}

#[test]
fn a_template_that_asks_for_files_sees_those_of_resources_before_it() {
    let sandbox = tree(&[("a.tera", "a")], &["a.tera"]);
    for nth in 0..20 {
        sandbox.write(&format!("templates/b{nth:02}.tera"), "b");
        resource(&sandbox, &format!("b{nth:02}.tera"), "");
    }
    let exists = "{{ fileExists(path='out/a.tera') }} {{ 'out/b19.tera' | fileExists }}";
    sandbox.write("templates/z.tera", exists);
    resource(&sandbox, "z.tera", "");
    assert_eq!(run(&sandbox).code, Some(0));
    assert_eq!(sandbox.read("out/z.tera"), "true true");
}
