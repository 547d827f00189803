//! Watch mode: changes reach the files, failures are tried again, and no resource blocks the
//! others.

mod empty;
mod follows;
mod healing;
mod interest;
mod loading;
mod reloads;
mod shared;

use std::{fs, time::Duration};

use rustix::process::Signal;

use crate::support::{Daemon, Sandbox, eventually};

/// confd in watch mode on `data.yaml`.
fn watching(sandbox: &Sandbox, more: &[&str]) -> Daemon {
    let run = sandbox
        .confd(&["-watch", "-interval", "1", "-backend", "file", "-file", "data.yaml"])
        .arguments(more);
    Daemon::start(run, sandbox.path("log"))
}

/// Replaces the data in one step, as an editor does.
fn data(sandbox: &Sandbox, yaml: &str) {
    fs::rename(sandbox.write("data.new", yaml), sandbox.path("data.yaml")).unwrap();
}

/// A resource that renders `/NAME/v` and adds a line to `NAME.reloads` with each reload.
fn counted(sandbox: &Sandbox, name: &str, more: &str) {
    let dest = sandbox.path(&format!("out/{name}"));
    sandbox.write(&format!("templates/{name}.tmpl"), format!("{{{{getv \"/{name}/v\"}}}}"));
    let table = format!(
        "[template]\nsrc = '{name}.tmpl'\ndest = '{}'\nkeys = ['/{name}']\n\
         reload_cmd = 'cat out/{name} >> {name}.reloads; echo >> {name}.reloads'\n{more}\n",
        dest.display()
    );
    sandbox.write(&format!("conf.d/{name}.toml"), table);
}

#[track_caller]
fn becomes(sandbox: &Sandbox, name: &str, content: &str) {
    eventually(&format!("{name} is {content:?}"), || sandbox.read(name) == content);
}

#[test]
fn the_first_pass_is_at_once_and_every_change_reaches_the_file() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0");
    for value in ["1", "2", "3"] {
        data(&sandbox, &format!("v: {value}"));
        becomes(&sandbox, "out/app", value);
    }
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.log().last().unwrap(), "INFO Captured terminated. Exiting...");
}

#[test]
fn only_resources_whose_own_values_change_are_woken() {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        counted(&sandbox, name, "");
    }
    data(&sandbox, "{a: {v: 1}, b: {v: 1}}");
    let daemon = watching(&sandbox, &["-log-level", "debug"]);
    becomes(&sandbox, "a.reloads", "1\n");
    becomes(&sandbox, "b.reloads", "1\n");
    let passes_of_a = |log: &str| log.matches("Comparing candidate config to").count();
    let before = passes_of_a(&daemon.stderr());
    data(&sandbox, "{a: {v: 1}, b: {v: 2}, c: 7}");
    becomes(&sandbox, "b.reloads", "1\n2\n");
    data(&sandbox, "{a: {v: 1}, b: {v: 3}, c: 8}");
    becomes(&sandbox, "b.reloads", "1\n2\n3\n");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(passes_of_a(&ended.stderr) - before, 2, "only b had a pass: {}", ended.stderr);
    assert_eq!(sandbox.read("a.reloads"), "1\n");
}

/// The number of times that the resource `name` was compared with its file.
fn passes(daemon: &Daemon, sandbox: &Sandbox, name: &str) -> usize {
    let dest = sandbox.path(&format!("out/{name}"));
    let line = format!("Comparing candidate config to {}\n", dest.display());
    daemon.stderr().matches(&line).count()
}

#[test]
fn a_resource_that_asks_for_a_key_and_does_not_use_it_has_no_pass() {
    let sandbox = Sandbox::new();
    for (name, template) in [
        ("a", "{{getv \"/a\"}}"),
        ("b", "{{getv \"/b\"}}"),
        ("all", "{{range gets \"/*\"}}{{.Value}}{{end}}"),
        ("b.tera", "{{ getv(key=\"/b\") }}"),
        ("all.tera", "{{ store.a }}"),
        ("clock", "{{if datetime}}{{getv \"/b\"}}{{end}}"),
    ] {
        sandbox.resource(
            name,
            template,
            if name.ends_with("tera") { "engine = 'tera'" } else { "" },
        );
    }
    data(&sandbox, "{a: 0, b: 0}");
    let daemon = watching(&sandbox, &["-log-level", "debug"]);
    let all = ["a", "b", "all", "b.tera", "all.tera", "clock"];
    eventually("all have had a pass", || {
        all.iter().all(|name| !sandbox.read(&format!("out/{name}")).is_empty())
    });
    let counts = || all.map(|name| passes(&daemon, &sandbox, name));
    let mut number = 0;
    let mut change = || {
        let before = counts();
        number += 1;
        data(&sandbox, &format!("{{a: {number}, b: 0}}"));
        for (name, content) in [
            ("a", format!("{number}")),
            ("all", format!("{number}0")),
            ("all.tera", format!("{number}")),
        ] {
            becomes(&sandbox, &format!("out/{name}"), &content);
        }
        eventually("the one that looks at the clock", || counts()[5] > before[5]);
        let after = counts();
        all.iter().enumerate().map(|(nth, _)| after[nth] - before[nth]).collect::<Vec<_>>()
    };
    // The first passes can still be running.
    eventually("a change wakes only who uses its key", || change() == [1, 0, 1, 0, 1, 1]);
    for _ in 0..5 {
        assert_eq!(change(), [1, 0, 1, 0, 1, 1], "{}", daemon.stderr());
    }
    data(&sandbox, "{a: 0, b: 1}");
    for name in ["b", "b.tera", "clock"] {
        becomes(&sandbox, &format!("out/{name}"), "1");
    }
    daemon.stop(Signal::TERM);
}

#[test]
fn any_change_loads_a_new_template_and_restores_a_changed_file() {
    let sandbox = Sandbox::new();
    sandbox.resource("a", "{{getv \"/a\"}}", "");
    sandbox.resource("b", "{{getv \"/b\"}}", "reload_cmd = 'echo >> reloads'");
    sandbox.resource("c", "{% include \"part.tera\" %}", "engine = 'tera'");
    sandbox.write("templates/part.tera", "part");
    data(&sandbox, "{a: 0, b: x}");
    let daemon = watching(&sandbox, &["-log-level", "debug"]);
    becomes(&sandbox, "out/b", "x");
    becomes(&sandbox, "out/c", "part");
    let mut number = 0;
    let mut change = || {
        number += 1;
        data(&sandbox, &format!("{{a: {number}, b: x}}"));
        becomes(&sandbox, "out/a", &number.to_string());
    };
    let mut spoil = |name: &str, path: &str, spoiled: Option<&str>, content: &str| {
        eventually("a change makes no pass", || {
            let before = passes(&daemon, &sandbox, name);
            change();
            passes(&daemon, &sandbox, name) == before
        });
        match spoiled {
            Some(spoiled) => _ = sandbox.write(path, spoiled),
            None => fs::remove_file(sandbox.path(path)).unwrap(),
        }
        change();
        becomes(&sandbox, &format!("out/{name}"), content);
    };
    spoil("b", "out/b", Some("y"), "x");
    spoil("b", "out/b", None, "x");
    spoil("b", "templates/b.tmpl", Some("new {{getv \"/b\"}}"), "new x");
    spoil("c", "templates/part.tera", Some("new part"), "new part");
    daemon.stop(Signal::TERM);
    assert_eq!(sandbox.read("reloads").lines().count(), 4, "one for each of its files");
}

#[test]
fn a_failure_is_tried_again_although_another_key_has_changed() {
    let sandbox = Sandbox::new();
    sandbox.resource("a", "{{getv \"/a\"}}", "");
    sandbox.resource("b", "{{getv \"/b\"}}", "reload_cmd = 'test -e ready && touch reloaded'");
    data(&sandbox, "{a: 0, b: x}");
    let daemon = watching(&sandbox, &[]);
    daemon.wait_for("its reload is pending");
    data(&sandbox, "{a: 1, b: x}");
    becomes(&sandbox, "out/a", "1");
    sandbox.write("ready", "");
    eventually("the reload succeeds", || sandbox.path("reloaded").exists());
    daemon.stop(Signal::TERM);
}

#[test]
fn a_failed_reload_is_tried_again_without_a_change() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    sandbox.resource("app", "{{getv \"/v\"}}", "reload_cmd = 'test -e ready && touch reloaded'");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    daemon.wait_for("its reload is pending");
    sandbox.write("ready", "");
    eventually("the reload succeeds", || sandbox.path("reloaded").exists());
    daemon.stop(Signal::TERM);
}

#[test]
fn a_failed_check_is_tried_again_without_a_change() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/v\"}}", "check_cmd = 'test -e ready'");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    daemon.wait_for("Config check failed");
    assert_eq!(sandbox.output(), "");
    sandbox.write("ready", "");
    becomes(&sandbox, "out/app", "0");
    daemon.stop(Signal::TERM);
}

#[test]
fn bad_and_slow_resources_block_no_other() {
    let sandbox = Sandbox::new();
    sandbox.write("conf.d/1.toml", "no toml");
    sandbox.resource("2", "{{getv \"/nokey\"}}", "");
    sandbox.resource("3", "x", "check_cmd = 'until test -e go; do sleep 0.01; done'");
    sandbox.resource("4", "{{getv \"/v\"}}", "");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/4", "0");
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/4", "1");
    assert!(!sandbox.path("out/3").exists());
    sandbox.write("go", "");
    becomes(&sandbox, "out/3", "x");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("conf.d/1.toml - toml: line 1"), "{}", ended.stderr);
}

#[test]
fn a_change_during_a_pass_gets_a_pass_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.resource(
        "app",
        "{{getv \"/v\"}}",
        "check_cmd = 'touch started; until test -e go; do sleep 0.01; done'",
    );
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &["-log-level", "debug"]);
    eventually("the check has begun", || sandbox.path("started").exists());
    data(&sandbox, "v: 1");
    sandbox.write("go", "");
    becomes(&sandbox, "out/app", "1");
    daemon.stop(Signal::TERM);
}

#[test]
fn watch_mode_waits_for_a_source_that_is_down() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    let daemon = watching(&sandbox, &[]);
    daemon.wait_for("ERROR stat data.yaml: no such file or directory");
    data(&sandbox, "v: 0");
    becomes(&sandbox, "out/app", "0");
    daemon.wait_for("INFO The backend answers again");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.stderr.matches("no such file or directory").count(), 1, "{}", ended.stderr);
}

#[test]
fn a_source_that_cannot_be_followed_is_read_at_once_and_every_interval() {
    let sandbox = Sandbox::rendering("x");
    let run = sandbox.confd(&["-backend", "env", "-watch", "-interval", "1"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    becomes(&sandbox, "out/app", "x");
    assert_eq!(daemon.stop(Signal::INT).code, Some(0));
}

#[test]
fn a_debounce_makes_one_pass_of_a_burst() {
    let sandbox = Sandbox::new();
    counted(&sandbox, "a", "debounce = '2s'");
    data(&sandbox, "{a: {v: 0}}");
    let daemon = watching(&sandbox, &["-debounce", "1ms"]);
    becomes(&sandbox, "a.reloads", "0\n");
    for value in 1..=5 {
        data(&sandbox, &format!("{{a: {{v: {value}}}}}"));
    }
    becomes(&sandbox, "a.reloads", "0\n5\n");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_reload_that_fails_counts_for_min_reload_interval() {
    let sandbox = Sandbox::new();
    let more = "min_reload_interval = '3s'\non_reload_failure = 'rollback'\n\
                reload_cmd = 'date +%s%N >> reloads; ! grep bad out/a'";
    sandbox.resource("a", "{{getv \"/v\"}}", more);
    data(&sandbox, "v: one");
    let daemon = watching(&sandbox, &[]);
    let times = || -> Vec<u64> {
        sandbox.read("reloads").lines().map(|line| line.parse().unwrap()).collect()
    };
    eventually("the first reload", || times().len() == 1);
    data(&sandbox, "v: bad");
    daemon.wait_for("was rolled back");
    data(&sandbox, "v: two");
    // One for the bad content, one for the former file, and one for the new content.
    eventually("three more reloads", || times().len() == 4);
    let pause = Duration::from_nanos(times()[3] - times()[2]);
    assert!(pause > Duration::from_millis(2500), "{pause:?}");
    daemon.stop(Signal::TERM);
}

#[test]
fn min_reload_interval_defers_and_never_drops() {
    let sandbox = Sandbox::new();
    counted(&sandbox, "a", "min_reload_interval = '3s'");
    data(&sandbox, "{a: {v: 0}}");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "a.reloads", "0\n");
    let first = std::time::Instant::now();
    data(&sandbox, "{a: {v: 1}}");
    becomes(&sandbox, "a.reloads", "0\n1\n");
    assert!(first.elapsed() > Duration::from_millis(2500), "after {:?}", first.elapsed());
    daemon.stop(Signal::TERM);
}

#[test]
fn a_stop_lets_running_passes_end() {
    let sandbox = Sandbox::new();
    sandbox.resource(
        "app",
        "x",
        "check_cmd = 'touch started; until test -e go; do sleep 0.01; done'\n\
         reload_cmd = 'touch reloaded'",
    );
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    eventually("the check has begun", || sandbox.path("started").exists());
    daemon.signal(Signal::TERM);
    sandbox.write("go", "");
    let ended = daemon.wait();
    assert_eq!((ended.code, sandbox.output().as_str()), (Some(0), "x"));
    assert!(sandbox.path("reloaded").exists());
    assert_eq!(ended.log().last().unwrap(), "INFO Captured terminated. Exiting...");
    assert_eq!(sandbox.list("out"), ["app"]);
}

#[test]
fn a_second_stop_or_the_timeout_aborts_running_passes_and_no_file_is_torn() {
    for timeout in ["1m", "50ms"] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "new", "check_cmd = 'touch started; sleep 60'");
        sandbox.write("out/app", "old");
        data(&sandbox, "v: 0");
        let daemon = watching(&sandbox, &["-shutdown-timeout", timeout]);
        eventually("the check has begun", || sandbox.path("started").exists());
        daemon.signal(Signal::TERM);
        let ended = match timeout {
            "1m" => {
                // Two signals that arrive together count as one.
                eventually("it ends", || {
                    daemon.signal(Signal::TERM);
                    daemon.has_ended()
                });
                daemon.wait()
            }
            _ => daemon.wait(),
        };
        assert_eq!(ended.signal, Some(Signal::TERM.as_raw()), "{}", ended.stderr);
        assert_eq!((sandbox.output().as_str(), sandbox.list("out").len()), ("old", 1));
    }
}

#[test]
fn a_hangup_loads_new_changed_and_removed_resources() {
    let sandbox = Sandbox::new();
    for name in ["gone", "kept"] {
        counted(&sandbox, name, "");
    }
    data(&sandbox, "{gone: {v: 1}, kept: {v: 1}, new: {v: 1}}");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "gone.reloads", "1\n");
    becomes(&sandbox, "kept.reloads", "1\n");
    fs::remove_file(sandbox.path("conf.d/gone.toml")).unwrap();
    counted(&sandbox, "new", "");
    daemon.signal(Signal::HUP);
    becomes(&sandbox, "new.reloads", "1\n");
    data(&sandbox, "{gone: {v: 2}, kept: {v: 2}, new: {v: 2}}");
    becomes(&sandbox, "new.reloads", "1\n2\n");
    becomes(&sandbox, "kept.reloads", "1\n2\n");
    sandbox.write("templates/kept.tmpl", "changed {{getv \"/kept/v\"}}");
    daemon.signal(Signal::HUP);
    becomes(&sandbox, "out/kept", "changed 2");
    daemon.stop(Signal::TERM);
    assert_eq!(sandbox.read("gone.reloads"), "1\n");
}

#[test]
fn a_hangup_keeps_the_working_version_of_malformed_files() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0");
    let resource = sandbox.read("conf.d/app.toml");
    sandbox.write("conf.d/app.toml", "no toml");
    daemon.signal(Signal::HUP);
    daemon.wait_for("conf.d/app.toml: the version in use stays");
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/app", "1");
    sandbox.write("conf.d/app.toml", resource);
    sandbox.write("templates/app.tmpl", "{{broken");
    daemon.signal(Signal::HUP);
    daemon.wait_for("templates/app.tmpl: the version in use stays");
    data(&sandbox, "v: 2");
    becomes(&sandbox, "out/app", "2");
    sandbox.write("templates/app.tmpl", "new {{getv \"/v\"}}");
    daemon.signal(Signal::HUP);
    becomes(&sandbox, "out/app", "new 2");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_hangup_reads_confd_toml_again_and_keeps_it_if_it_is_bad() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    sandbox.write("confd.toml", "prefix = '/one'");
    data(&sandbox, "{one: {v: 1}, two: {v: 2}}");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "1");
    sandbox.write("confd.toml", "prefix = ");
    daemon.signal(Signal::HUP);
    daemon.wait_for("WARNING the configuration in use stays");
    sandbox.write("confd.toml", "prefix = '/two'");
    daemon.signal(Signal::HUP);
    becomes(&sandbox, "out/app", "2");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_hangup_loads_a_new_log_level_and_warns_about_a_new_mode() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    sandbox.write("confd.toml", "watch = true\nlog-level = 'error'");
    data(&sandbox, "v: 0");
    let run = sandbox.confd(&["-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    becomes(&sandbox, "out/app", "0");
    sandbox.write("confd.toml", "watch = false\nlog-level = 'debug'");
    daemon.signal(Signal::HUP);
    daemon.wait_for(
        "WARNING onetime and watch count only from a restart on: confd goes on in watch mode, \
         not in interval mode",
    );
    daemon.wait_for("DEBUG Target config");
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/app", "1");
    sandbox.write("confd.toml", "watch = true\nlog-level = 'error'");
    daemon.signal(Signal::HUP);
    daemon.wait_for("INFO Captured hangup");
    data(&sandbox, "v: 2");
    becomes(&sandbox, "out/app", "2");
    let before = daemon.stderr();
    data(&sandbox, "v: 3");
    becomes(&sandbox, "out/app", "3");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.stderr, before, "nothing but errors is logged any more");
    assert!(!before.contains("INFO Starting confd"), "{before}");
}

#[test]
fn a_hangup_loads_another_confdir_with_its_templates() {
    let sandbox = Sandbox::new();
    for (folder, part) in [("one", "1"), ("two", "2")] {
        let dest = sandbox.path("out/app");
        let table =
            format!("[template]\nsrc = 'app.tera'\ndest = '{}'\nkeys = ['/']\n", dest.display());
        sandbox.write(&format!("{folder}/conf.d/app.toml"), table);
        sandbox.write(&format!("{folder}/templates/part.tera"), part);
        let template = "{% include \"part.tera\" %} {{ getv(key=\"/v\") }}";
        sandbox.write(&format!("{folder}/templates/app.tera"), template);
    }
    data(&sandbox, "v: 0");
    sandbox.write("confd.toml", "confdir = 'one'");
    let run = sandbox.bare(&["-config-file", "confd.toml", "-watch", "-backend", "file"]);
    let daemon = Daemon::start(run.arguments(&["-file", "data.yaml"]), sandbox.path("log"));
    becomes(&sandbox, "out/app", "1 0");
    sandbox.write("confd.toml", "confdir = 'nope'");
    daemon.signal(Signal::HUP);
    daemon.wait_for("WARNING the resources in use stay");
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/app", "1 1");
    sandbox.write("confd.toml", "confdir = 'two'");
    daemon.signal(Signal::HUP);
    becomes(&sandbox, "out/app", "2 1");
    data(&sandbox, "v: 2");
    becomes(&sandbox, "out/app", "2 2");
    daemon.stop(Signal::TERM);
}

#[test]
fn after_a_resource_file_is_renamed_the_new_file_wins() {
    let sandbox = Sandbox::new();
    let check = "check_cmd = 'touch started; until test -e go; do sleep 0.01; done'";
    sandbox.resource("app", "old {{getv \"/v\"}}", check);
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &["-log-level", "debug"]);
    eventually("the check has begun", || sandbox.path("started").exists());
    let table = sandbox.read("conf.d/app.toml").replace(check, "").replace("app.tmpl", "new.tmpl");
    sandbox.write("templates/new.tmpl", "new {{getv \"/v\"}}");
    sandbox.write("conf.d/renamed.toml", table);
    fs::remove_file(sandbox.path("conf.d/app.toml")).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for("conf.d/app.toml is gone");
    sandbox.write("go", "");
    becomes(&sandbox, "out/app", "new 0");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(sandbox.output(), "new 0", "{}", ended.stderr);
}
