//! Go templates that include files of the templates folder, or execute texts.

use std::{fs, os::unix::fs::symlink};

use rustix::process::Signal;

use crate::support::{Daemon, Sandbox, eventually};

/// The data of most tests.
const DATA: &str = "name: shop\nsecret: 'hunter22 {{oops}}'\n";

/// confd in watch mode on `data.yaml`.
fn watching(sandbox: &Sandbox, more: &[&str]) -> Daemon {
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]).arguments(more);
    Daemon::start(run, sandbox.path("log"))
}

#[track_caller]
fn becomes(sandbox: &Sandbox, name: &str, content: &str) {
    eventually(&format!("{name} is {content:?}"), || sandbox.read(name) == content);
}

#[test]
fn a_file_below_templates_is_included_with_its_value() {
    let sandbox = Sandbox::rendering(
        "{{define \"own\"}}own{{end}}{{include \"own\"}} {{include \"parts/a.tmpl\" \"x\" | upper}} \
         {{include (printf \"parts/%s\" (getv \"/name\"))}}",
    );
    sandbox.write("templates/parts/a.tmpl", "{{.}}-{{getv \"/name\"}}");
    sandbox.write("templates/parts/shop", "{{include \"/parts/a.tmpl\" 2}}");
    sandbox.onetime_with(DATA).ok();
    assert_eq!(sandbox.output(), "own X-SHOP 2-shop");
}

#[test]
fn nothing_outside_of_templates_is_included() {
    let sandbox = Sandbox::new();
    let secret = sandbox.write("secret", "the secret");
    symlink("../secret", sandbox.path("templates/link")).unwrap();
    let names = ["../secret", "link", "a/../../secret"];
    for (nth, name) in names.iter().enumerate() {
        sandbox.resource(&nth.to_string(), format!("{{{{include \"{name}\"}}}}"), "");
    }
    let absolute = secret.display().to_string();
    sandbox.resource("absolute", format!("{{{{include \"{absolute}\"}}}}"), "");
    let ended = sandbox.onetime_with(DATA).fails();
    for (nth, name) in names.iter().enumerate() {
        ended.expect(&format!(
            "ERROR template: {nth}.tmpl:1:2: executing \"{nth}.tmpl\" at <include \"{name}\">: error \
             calling include: include path \"{name}\" is outside of the templates folder"
        ));
    }
    ended.expect_no("the secret");
    assert!(ended.stderr.contains("secret\" does not exist in the templates folder"));
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn a_change_of_an_included_file_makes_a_new_pass_in_watch_mode() {
    let sandbox =
        Sandbox::rendering("{{include \"a\"}} {{include (printf \"of/%s\" (getv \"/name\"))}}");
    sandbox.write("data.yaml", "name: shop");
    sandbox.write("templates/a", "1");
    sandbox.write("templates/of/shop", "2");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "1 2");
    sandbox.write("templates/a", "3");
    becomes(&sandbox, "out/app", "3 2");
    sandbox.write("templates/of/shop", "4");
    becomes(&sandbox, "out/app", "3 4");
    fs::rename(sandbox.write("new", "5"), sandbox.path("templates/of/shop")).unwrap();
    becomes(&sandbox, "out/app", "3 5");
    // A file that is missing is waited for, too.
    fs::rename(sandbox.write("new", "name: other"), sandbox.path("data.yaml")).unwrap();
    daemon.wait_for("does not exist in the templates folder");
    sandbox.write("templates/of/other", "6");
    becomes(&sandbox, "out/app", "3 6");
    daemon.stop(Signal::TERM);
}

#[test]
fn two_resources_with_one_template_follow_what_each_of_them_includes() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/shared", "{{include (getv \"/file\")}}");
    for name in ["a", "b"] {
        let dest = sandbox.path(&format!("out/{name}"));
        let table = format!(
            "[template]\nsrc = 'shared'\ndest = '{}'\nprefix = '/{name}'\nkeys = ['/']\n",
            dest.display()
        );
        sandbox.write(&format!("conf.d/{name}.toml"), table);
        sandbox.write(&format!("templates/of-{name}"), name);
    }
    sandbox.write("data.yaml", "a: { file: of-a }\nb: { file: of-b }\n");
    let daemon = watching(&sandbox, &[]);
    for name in ["a", "b"] {
        becomes(&sandbox, &format!("out/{name}"), name);
    }
    for name in ["a", "b"] {
        sandbox.write(&format!("templates/of-{name}"), "new");
        becomes(&sandbox, &format!("out/{name}"), "new");
    }
    daemon.stop(Signal::TERM);
}

#[test]
fn a_key_that_is_missing_in_an_included_file_is_a_missing_key() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{include \"part\"}}", "on_missing = 'keep'");
    sandbox.write("templates/part", "x\n{{getv \"/nmae\"}}");
    sandbox.write("out/app", "kept");
    let ended = sandbox.onetime_with(DATA).run();
    assert_eq!((ended.code, sandbox.output().as_str()), (Some(0), "kept"), "{}", ended.stderr);
    let sandbox = Sandbox::rendering("{{include \"part\"}}");
    sandbox.write("templates/part", "x\n{{getv \"/nmae\"}}");
    let ended = sandbox.onetime_with(DATA).fails();
    let excerpts = ended.excerpts().join("\n");
    assert!(excerpts.contains("templates/part:2:"), "{excerpts}");
    assert!(excerpts.contains("did you mean \"/name\"?"), "{excerpts}");
}

#[test]
fn a_text_of_a_key_is_executed_and_its_errors_show_nothing_of_it() {
    let sandbox = Sandbox::rendering("{{tpl (getv \"/text\") (getv \"/name\")}}");
    sandbox.onetime_with("name: shop\ntext: '<{{.}} {{getv \"/name\"}}>'\n").ok();
    assert_eq!(sandbox.output(), "<shop shop>");
    sandbox.write("templates/app.tmpl", "{{tpl (getv \"/secret\")}}");
    let ended = sandbox.onetime_with(DATA).fails();
    ended.expect_no("hunter").expect_no("oops");
    assert!(
        ended.stderr.contains("error calling tpl: parse tpl: … (the value of /secret)"),
        "{}",
        ended.stderr
    );
}
