//! Watch mode loads new templates, included files and resource files without SIGHUP.
//!
//! `-reconcile` keeps its default of ten minutes, so a change that is loaded within the time limit
//! of a test was noticed by following the files.

use std::{fs, os::unix::fs::symlink, time::Duration};

use rustix::process::Signal;

use super::{becomes, counted, data, watching};
use crate::support::{Sandbox, throughout};

/// Replaces a file atomically, as an editor does.
fn replace(sandbox: &Sandbox, name: &str, content: &str) {
    fs::rename(sandbox.write("replacement", content), sandbox.path(name)).unwrap();
}

/// Publishes a version of a ConfigMap that is mounted at `folder`, as a kubelet does: a folder for
/// each version, a link to the newest that is swapped, and a link through it for each file.
fn publish(sandbox: &Sandbox, folder: &str, version: &str, files: &[(&str, &str)]) {
    let path = |name: &str| sandbox.path(&format!("{folder}/{name}"));
    for (name, content) in files {
        sandbox.write(&format!("{folder}/..{version}/{name}"), content);
    }
    let before = fs::read_link(path("..data"));
    symlink(format!("..{version}"), path("..data_tmp")).unwrap();
    fs::rename(path("..data_tmp"), path("..data")).unwrap();
    for (name, _) in files {
        // A link that exists already leads to the new version by now.
        let _ = symlink(format!("..data/{name}"), path(name));
    }
    for entry in fs::read_dir(sandbox.path(folder)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_symlink() && !entry.path().exists() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    if let Ok(before) = before {
        fs::remove_dir_all(sandbox.path(folder).join(before)).unwrap();
    }
}

#[test]
fn a_template_that_is_replaced_in_any_way_is_loaded() {
    let sandbox = Sandbox::rendering("0 {{getv \"/v\"}}");
    data(&sandbox, "v: x");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0 x");
    let template = sandbox.path("templates/app.tmpl");
    sandbox.write("templates/app.tmpl", "in place {{getv \"/v\"}}");
    becomes(&sandbox, "out/app", "in place x");
    replace(&sandbox, "templates/app.tmpl", "renamed over {{getv \"/v\"}}");
    becomes(&sandbox, "out/app", "renamed over x");
    fs::remove_file(&template).unwrap();
    sandbox.write("templates/app.tmpl", "removed and made anew");
    becomes(&sandbox, "out/app", "removed and made anew");
    sandbox.write("elsewhere/a", "linked");
    symlink("../elsewhere/a", sandbox.path("link")).unwrap();
    fs::rename(sandbox.path("link"), &template).unwrap();
    becomes(&sandbox, "out/app", "linked");
    sandbox.write("elsewhere/a", "behind the link");
    becomes(&sandbox, "out/app", "behind the link");
    fs::rename(sandbox.path("elsewhere"), sandbox.path("away")).unwrap();
    sandbox.write("elsewhere/a", "another folder");
    becomes(&sandbox, "out/app", "another folder");
    fs::rename(sandbox.path("templates"), sandbox.path("old")).unwrap();
    sandbox.write("templates/app.tmpl", "all templates are others {{getv \"/v\"}}");
    becomes(&sandbox, "out/app", "all templates are others x");
    data(&sandbox, "v: z");
    becomes(&sandbox, "out/app", "all templates are others z");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_template_of_a_mounted_config_map_is_followed_from_version_to_version() {
    let sandbox = Sandbox::new();
    let table = format!(
        "[template]\nsrc = 'app.tmpl'\ndest = '{}'\nkeys = ['/']\n",
        sandbox.path("out/app").display()
    );
    sandbox.write("conf.d/app.toml", table);
    data(&sandbox, "v: x");
    publish(&sandbox, "templates", "1", &[("app.tmpl", "1 {{getv \"/v\"}}")]);
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "1 x");
    for version in ["2", "3", "4"] {
        let template = format!("{version} {{{{getv \"/v\"}}}}");
        publish(&sandbox, "templates", version, &[("app.tmpl", &template)]);
        becomes(&sandbox, "out/app", &format!("{version} x"));
    }
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    ended.expect_no("ERROR");
}

#[test]
fn a_mounted_config_map_of_resources_is_followed_from_version_to_version() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app.tmpl", "{{getv \"/v\"}}");
    data(&sandbox, "v: x");
    let resource = |dest: &str| {
        let dest = sandbox.path(dest);
        format!("[template]\nsrc = 'app.tmpl'\ndest = '{}'\nkeys = ['/']\n", dest.display())
    };
    publish(&sandbox, "conf.d", "1", &[("a.toml", &resource("out/1"))]);
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/1", "x");
    let files = [("a.toml", resource("out/2")), ("b.toml", resource("out/b"))];
    publish(&sandbox, "conf.d", "2", &files.each_ref().map(|(name, text)| (*name, text.as_str())));
    becomes(&sandbox, "out/2", "x");
    becomes(&sandbox, "out/b", "x");
    publish(&sandbox, "conf.d", "3", &[("b.toml", &resource("out/3"))]);
    becomes(&sandbox, "out/3", "x");
    daemon.wait_for("conf.d/a.toml is gone");
    data(&sandbox, "v: z");
    becomes(&sandbox, "out/3", "z");
    assert_eq!(sandbox.read("out/2"), "x");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_file_that_a_tera_template_takes_is_followed() {
    let sandbox = Sandbox::new();
    for (name, template) in [
        ("a", "{% include \"part.tera\" %}"),
        ("b", "{% extends \"base.tera\" %}{% block middle %}b{% endblock %}"),
        ("c", "{% include \"between.tera\" %}"),
    ] {
        sandbox.resource(name, template, "engine = 'tera'");
    }
    sandbox.write("templates/part.tera", "part 0");
    sandbox.write("templates/between.tera", "{% include \"sub/deep.tera\" %}");
    sandbox.write("templates/sub/deep.tera", "deep 0");
    sandbox.write("templates/base.tera", "base 0 {% block middle %}{% endblock %}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    for version in ["0", "1", "2"] {
        replace(&sandbox, "templates/part.tera", &format!("part {version}"));
        becomes(&sandbox, "out/a", &format!("part {version}"));
        sandbox.write("templates/sub/deep.tera", format!("deep {version}"));
        becomes(&sandbox, "out/c", &format!("deep {version}"));
        let base = format!("base {version} {{% block middle %}}{{% endblock %}}");
        sandbox.write("templates/base.tera", base);
        becomes(&sandbox, "out/b", &format!("base {version} b"));
    }
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_template_that_becomes_malformed_is_reported_and_its_repair_is_loaded() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0");
    sandbox.write("templates/app.tmpl", "{{broken");
    daemon.wait_for("templates/app.tmpl: the version in use stays");
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/app", "1");
    sandbox.write("templates/app.tmpl", "repaired {{getv \"/v\"}}");
    becomes(&sandbox, "out/app", "repaired 1");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_template_that_fails_is_reported_and_its_repair_is_loaded_at_once() {
    let sandbox = Sandbox::rendering("{{getv \"/nokey\"}}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    daemon.wait_for("key does not exist: /nokey");
    sandbox.write("templates/app.tmpl", "{{getv \"/v\"}}");
    becomes(&sandbox, "out/app", "0");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_resource_file_that_appears_changes_and_vanishes_is_loaded() {
    let sandbox = Sandbox::new();
    counted(&sandbox, "kept", "");
    data(&sandbox, "{kept: {v: 1}, new: {v: 1}}");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "kept.reloads", "1\n");
    counted(&sandbox, "new", "");
    becomes(&sandbox, "new.reloads", "1\n");
    data(&sandbox, "{kept: {v: 2}, new: {v: 2}}");
    becomes(&sandbox, "new.reloads", "1\n2\n");
    becomes(&sandbox, "kept.reloads", "1\n2\n");
    // A different destination, a different template, different keys.
    let table = sandbox.read("conf.d/new.toml");
    let dest = sandbox.path("out/new").display().to_string();
    let moved = table.replace(&dest, &sandbox.path("out/moved").display().to_string());
    replace(&sandbox, "conf.d/new.toml", &moved.replace("cat out/new", "cat out/moved"));
    becomes(&sandbox, "out/moved", "2");
    sandbox.write("templates/other.tmpl", "{{getv \"/kept/v\"}} other");
    let other = moved.replace("new.tmpl", "other.tmpl").replace("['/new']", "['/kept']");
    replace(&sandbox, "conf.d/new.toml", &other);
    becomes(&sandbox, "out/moved", "2 other");
    fs::remove_file(sandbox.path("conf.d/new.toml")).unwrap();
    daemon.wait_for("conf.d/new.toml is gone");
    data(&sandbox, "{kept: {v: 3}, new: {v: 3}}");
    becomes(&sandbox, "kept.reloads", "1\n2\n3\n");
    sandbox.write("out/moved", "nobody's");
    sandbox.write("out/kept", "edited");
    becomes(&sandbox, "out/kept", "3");
    assert_eq!(sandbox.read("out/moved"), "nobody's", "it is no longer followed");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    assert_eq!(sandbox.read("kept.reloads"), "1\n2\n3\n3\n", "no reload but for changes");
}

#[test]
fn a_resource_in_a_new_folder_of_conf_d_is_loaded() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0");
    let resource = |dest: &str| {
        let dest = sandbox.path(dest);
        format!("[template]\nsrc = 'app.tmpl'\ndest = '{}'\nkeys = ['/']\n", dest.display())
    };
    // Created step by step, moved to its place, and nested deeper.
    fs::create_dir(sandbox.path("conf.d/sub")).unwrap();
    sandbox.write("conf.d/sub/one.toml", resource("out/one"));
    becomes(&sandbox, "out/one", "0");
    sandbox.write("elsewhere/two.toml", resource("out/two"));
    fs::rename(sandbox.path("elsewhere"), sandbox.path("conf.d/moved")).unwrap();
    becomes(&sandbox, "out/two", "0");
    sandbox.write("conf.d/sub/deep/deeper/three.toml", resource("out/three"));
    becomes(&sandbox, "out/three", "0");
    fs::remove_dir_all(sandbox.path("conf.d/sub")).unwrap();
    for name in ["sub/one", "sub/deep/deeper/three"] {
        daemon.wait_for(&format!("conf.d/{name}.toml is gone"));
    }
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/two", "1");
    assert_eq!((sandbox.read("out/one"), sandbox.read("out/three")), ("0".into(), "0".into()));
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_resource_file_that_becomes_invalid_is_reported_and_its_repair_is_loaded() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0");
    let table = sandbox.read("conf.d/app.toml");
    sandbox.write("conf.d/app.toml", "no toml");
    daemon.wait_for("conf.d/app.toml: the version in use stays");
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/app", "1");
    sandbox.write("conf.d/app.toml", table.replace("out/app", "out/repaired"));
    becomes(&sandbox, "out/repaired", "1");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn many_resource_files_that_come_together_are_all_loaded_and_disturb_no_other() {
    let sandbox = Sandbox::new();
    counted(&sandbox, "old", "");
    let names: Vec<_> = (0..100).map(|nth| format!("new{nth:02}")).collect();
    let yaml = |value: u32| {
        let new: Vec<_> = names.iter().map(|name| format!("{name}: {{v: {value}}}")).collect();
        format!("{{old: {{v: 1}}, {}}}", new.join(", "))
    };
    data(&sandbox, &yaml(1));
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "old.reloads", "1\n");
    for name in &names {
        counted(&sandbox, name, "");
    }
    for name in &names {
        becomes(&sandbox, &format!("{name}.reloads"), "1\n");
    }
    data(&sandbox, &yaml(2));
    for name in &names {
        becomes(&sandbox, &format!("{name}.reloads"), "1\n2\n");
    }
    let ended = daemon.stop(Signal::TERM);
    assert_eq!((ended.code, sandbox.read("old.reloads").as_str()), (Some(0), "1\n"));
}

#[test]
fn files_that_editors_leave_beside_resources_and_templates_are_ignored() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0");
    for name in ["conf.d/.app.toml.swp", "conf.d/app.toml~", "conf.d/4913", "templates/app.tmpl~"] {
        sandbox.write(name, "no toml {{");
    }
    sandbox.write("templates/app.tmpl", "new {{getv \"/v\"}}");
    becomes(&sandbox, "out/app", "new 0");
    for name in ["conf.d/.app.toml.swp", "conf.d/app.toml~", "conf.d/4913", "templates/app.tmpl~"] {
        fs::remove_file(sandbox.path(name)).unwrap();
    }
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/app", "new 1");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    ended.expect_no("ERROR").expect_no("WARNING");
}

#[test]
fn a_template_that_another_resource_writes_is_followed() {
    let sandbox = Sandbox::new();
    // Each resource writes the template of the next.
    for (name, src, dest) in [
        ("a", "first.tmpl", "templates/second.tmpl"),
        ("b", "second.tmpl", "templates/third.tmpl"),
        ("c", "third.tmpl", "out/app"),
    ] {
        let dest = sandbox.path(dest);
        sandbox.write(
            &format!("conf.d/{name}.toml"),
            format!("[template]\nsrc = '{src}'\ndest = '{}'\nkeys = ['/']\n", dest.display()),
        );
    }
    sandbox.write("templates/first.tmpl", "{{getv \"/v\"}}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    for value in ["0", "1", "2"] {
        data(&sandbox, &format!("v: {value}"));
        becomes(&sandbox, "out/app", value);
    }
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_resource_file_that_another_resource_writes_is_loaded() {
    let sandbox = Sandbox::new();
    let made = sandbox.path("conf.d/made.toml").display().to_string();
    let dest = sandbox.path("out").display().to_string();
    sandbox.write(
        "conf.d/maker.toml",
        format!("[template]\nsrc = 'maker'\ndest = '{made}'\nkeys = ['/']\n"),
    );
    sandbox.write(
        "templates/maker",
        format!("[template]\nsrc = 'text'\ndest = '{dest}/{{{{getv \"/name\"}}}}'\nkeys = ['/']\n"),
    );
    sandbox.write("templates/text", "{{getv \"/name\"}}");
    data(&sandbox, "name: one");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/one", "one");
    data(&sandbox, "name: two");
    becomes(&sandbox, "out/two", "two");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_resource_that_was_replaced_while_the_store_is_down_does_not_act_as_before() {
    let sandbox = Sandbox::new();
    let guarded = "check_cmd = 'test -e allowed'";
    sandbox.resource("app", "{{range gets \"/*\"}}{{.Value}}{{end}}", guarded);
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    daemon.wait_for("Config check failed");
    fs::remove_file(sandbox.path("data.yaml")).unwrap();
    daemon.wait_for("data.yaml: no such file");
    let table = sandbox.read("conf.d/app.toml");
    replace(
        &sandbox,
        "conf.d/app.toml",
        &table.replace("'/'", "'/q'").replace("out/app", "out/new"),
    );
    // Both folders are followed, and this file is looked at after the one before.
    sandbox.resource("mark", "x", "");
    sandbox.write("conf.d/broken.toml", "broken");
    daemon.wait_for("broken.toml");
    sandbox.write("allowed", "");
    throughout(Duration::from_secs(5), "the old resource does not act", || {
        !sandbox.path("out/app").exists()
    });
    data(&sandbox, "q: 1");
    becomes(&sandbox, "out/new", "1");
    assert!(!sandbox.path("out/app").exists());
    daemon.stop(Signal::TERM);
}
