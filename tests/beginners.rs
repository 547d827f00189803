//! The mistakes that people make in their first hours, each with the hint that ends them.

mod command_line;
mod resource_files;
mod stores;
mod templates;

use crate::support::{Run, Sandbox};

/// A onetime run of one resource with these keys of its table, and a template in Go's language.
fn run_of(table: &str, template: &str) -> String {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", template);
    sandbox.write("conf.d/app.toml", format!("[template]\nsrc = 'app'\n{table}\n"));
    sandbox.onetime().env("APP_PORT", "80").run().stderr
}

const DEST: &str = "dest = 'out/app'\n";

/// Fails unless each of the texts is in the log.
#[track_caller]
fn says(log: &str, texts: &[&str]) {
    for text in texts {
        assert!(log.contains(text), "not in the log: {text}\n{log}");
    }
}

#[test]
fn a_key_that_keys_does_not_ask_for_is_not_just_missing() {
    let template = "{{getv \"/app/port\"}}";
    let log = run_of(&format!("{DEST}keys = ['/other']"), template);
    says(&log, &["key does not exist: /app/port", "= `keys` does not ask for \"/app/port\""]);
    let log = run_of(DEST, template);
    says(&log, &["= the resource has no `keys`, so it gets no key"]);
    let tera = "[template]\nsrc = 'app.tera'\ndest = 'out/app'\nkeys = ['/other']\n";
    let sandbox = Sandbox::new();
    sandbox.write("templates/app.tera", "{{ getv(key=\"/app/port\") }}");
    sandbox.write("conf.d/app.toml", tera);
    let log = sandbox.onetime().env("APP_PORT", "80").run().stderr;
    says(&log, &["= `keys` does not ask for \"/app/port\""]);
}

#[test]
fn a_resource_without_dest_is_refused() {
    let log = run_of("dst = 'out/app'\nkeys = ['/']", "x");
    says(
        &log,
        &["app.toml - empty dest", "= `dst` is not a key of a resource, did you mean \"dest\"?"],
    );
    assert!(!log.contains("rename"), "{log}");
    says(&run_of("keys = ['/']", "x"), &["app.toml - empty dest"]);
}

#[test]
fn a_missing_folder_is_not_made() {
    let log = run_of("dest = 'nofolder/app'\nkeys = ['/']", "x");
    says(&log, &["no such file or directory", "= confd makes no folders: create nofolder"]);
    let log = run_of("dest = '$HOME/app'\nkeys = ['/']", "x");
    says(&log, &["= dest is taken as it is: ~ and $NAME are not replaced"]);
}

#[test]
fn a_template_in_a_command_has_only_src() {
    let log = run_of(&format!("{DEST}keys = ['/']\ncheck_cmd = 'test -e {{{{.dest}}}}'"), "x");
    says(&log, &["check_cmd knows only {{.src}}: without it, the command is test -e <no value>"]);
    let log = run_of(&format!("{DEST}keys = ['/']\nreload_cmd = 'true {{{{.src}}}}'"), "x");
    says(&log, &["reload_cmd contains {{: it is no template, and the shell gets it as it is"]);
}

#[test]
fn a_mode_a_uid_and_a_gid_are_numbers() {
    let log = run_of(&format!("{DEST}keys = ['/']\nmode = '0999'"), "x");
    says(
        &log,
        &["parsing \"0999\": invalid syntax", "= a mode has digits from 0 to 7, such as \"0644\""],
    );
    let log = run_of(&format!("{DEST}keys = ['/']\nuid = 'nginx'"), "x");
    says(&log, &["incompatible types", "= uid is a number; a name is written owner = \"nginx\""]);
    let log = run_of(&format!("{DEST}keys = ['/']\ngid = 'www'"), "x");
    says(&log, &["= gid is a number; a name is written group_owner = \"www\""]);
}

#[test]
fn a_file_that_is_no_resource_says_what_it_probably_is() {
    for (text, hint) in [
        ("[templates]\nsrc = 'app'\n", "= the table is called [template]"),
        ("src = 'app'\ndest = 'out/app'\n", "= the keys of a resource stand below [template]"),
        ("[confd]\nbackend = 'env'\n", "= this looks like confd.toml, which belongs one folder up"),
        ("backend = 'env'\n", "= this looks like confd.toml, which belongs one folder up"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("conf.d/app.toml", text);
        says(&sandbox.onetime().run().stderr, &["app.toml - empty src template", hint]);
    }
}

#[test]
fn a_silent_command_is_named_with_its_exit_status() {
    let log = run_of(&format!("{DEST}keys = ['/']\ncheck_cmd = 'exit 3'"), "x");
    says(&log, &["ERROR the command printed nothing (exit status 3): exit 3"]);
    assert!(!log.contains("ERROR \"\""), "{log}");
}

#[test]
fn a_wrong_backend_is_named_with_those_that_there_are() {
    let sandbox = Sandbox::new();
    let ended = sandbox.confd(&["-onetime", "-backend", "etcd3"]).fails();
    ended.expect(
        "FATAL Invalid backend \"etcd3\": this confd reads keys from \"acm\", \"consul\", \
         \"dynamodb\", \"env\", \"etcd\", \"etcdv2\", \"file\", \"imds\", \"redis\", \
         \"secretsmanager\", \"ssm\", \"vault\" and \"zookeeper\"; did you mean \"etcd\" or \"etcdv3\"?",
    );
}

#[test]
fn a_number_with_a_unit_is_explained() {
    let ended = Sandbox::new().bare(&["-interval", "10s"]).run();
    says(
        &ended.stderr,
        &[
            "invalid value \"10s\" for flag -interval: parse error (a number without a unit, such as 600)",
        ],
    );
    assert_eq!(ended.code, Some(2));
}

#[test]
fn words_that_are_no_flags_are_not_passed_over() {
    for (word, flag) in [("version", "-version"), ("help", "-help"), ("onetime", "-onetime")] {
        let ended = Sandbox::new().bare(&[word]).run();
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        says(&ended.stderr, &[&format!("confd has no commands: did you mean {flag}?")]);
    }
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.onetime().arguments(&["now", "-noop"]).ok();
    ended.expect("WARNING \"now\" and what follows it on the command line are ignored");
}

#[test]
fn a_file_that_was_asked_for_and_is_not_there_is_reported() {
    let sandbox = Sandbox::rendering("x");
    let run = |more: &[&str]| -> Run { sandbox.onetime().arguments(more) };
    let ended = run(&["-config-file", "/nonexistent.toml"]).ok();
    ended.expect("WARNING -config-file /nonexistent.toml does not exist");
    let ended = sandbox.confd(&["-onetime", "-backend", "file"]).run();
    ended.expect("WARNING backend \"file\" has no -file to read keys from: there are no keys");
}

#[test]
fn a_tera_template_with_a_mistake_says_what_is_wrong_and_where() {
    for (template, texts) in [
        (
            "a\n{% for x in [1] %}\n{{ x }}\n",
            ["app.tera:2:0: Unexpected end of input", "= this `for` has no {% endfor %}"],
        ),
        (
            "{% if true %}\na\n{% endfor %}\n",
            ["app.tera:3:3: Unknown tag", "= the `if` in line 1 is open: it ends with {% endif %}"],
        ),
        (
            "{% if true %}a{% endfi %}",
            ["Unknown tag", "= the `if` in line 1 is open: it ends with {% endif %}"],
        ),
        ("a{% endif %}", ["Unknown tag", "= no `if` is open here"]),
        ("{% iff true %}", ["Unknown tag", "= did you mean \"if\"?"]),
        (
            "{{ getv(\"/app/port\") }}",
            ["Found string but expected identifier", "= arguments have names: getv(key=…)"],
        ),
        ("{{ \"a\" | uper }}", ["Unknown filter `uper`", "= did you mean \"upper\"?"]),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("templates/app.tera", template);
        let table = "[template]\nsrc = 'app.tera'\ndest = 'out/app'\nkeys = ['/']\n";
        sandbox.write("conf.d/app.toml", table);
        says(&sandbox.onetime().run().stderr, &texts);
    }
}
