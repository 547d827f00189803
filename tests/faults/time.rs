//! Templates that take too long.

use crate::support::{Daemon, Sandbox, eventually};

/// Loops that need years, in both languages.
const ENDLESS: [(&str, &str); 2] = [
    (
        "app.tmpl",
        "{{$n := seq 1 10000}}{{range $n}}{{range $n}}{{range $n}}{{range $n}}\
         {{end}}{{end}}{{end}}{{end}}",
    ),
    (
        "app.tera",
        "{% set n = seq(first=1, last=10000) %}{% for a in n %}{% for b in n %}{% for c in n %}\
         {{ add(a=b, b=c) }}{% endfor %}{% endfor %}{% endfor %}",
    ),
];

/// Adds a resource `app` with this template, and a later one that is always made.
fn endless(name: &str, template: &str, more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "", &format!("{more}\n# endless"));
    sandbox.write(&format!("templates/{name}"), template);
    let table = sandbox.read("conf.d/app.toml").replace("app.tmpl", name);
    sandbox.write("conf.d/app.toml", table);
    sandbox.resource("later", "made", "");
    sandbox
}

#[test]
fn a_template_that_does_not_end_is_stopped_at_the_time_limit_of_the_run_or_of_the_resource() {
    for (name, template) in ENDLESS {
        let cases = [(&["-render-timeout", "300ms"][..], ""), (&[], "render_timeout = '300ms'")];
        for (flags, more) in cases {
            let sandbox = endless(name, template, more);
            let ended = sandbox.onetime().arguments(flags).fails();
            let said = |line: &&String| {
                line.starts_with(&format!("FATAL template: {name}:"))
                    && line.ends_with("rendering takes longer than 300ms, its time limit")
            };
            assert_eq!(ended.log().iter().filter(said).count(), 1, "{}", ended.stderr);
            assert_eq!(sandbox.read("out/later"), "made");
            assert_eq!(sandbox.list("out"), ["later"]);
        }
    }
}

#[test]
fn in_watch_mode_the_error_names_the_resource_and_the_template() {
    for (name, template) in ENDLESS {
        let sandbox = endless(name, template, "");
        sandbox.write("confd.toml", "render_timeout = '300ms'\n");
        sandbox.write("data.yaml", "app: 1\n");
        let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
        let daemon = Daemon::start(run, sandbox.path("log"));
        daemon.wait_for("rendering takes longer than 300ms, its time limit (resource app)");
        daemon.wait_for(&format!("ERROR template: {name}:"));
    }
}

#[test]
fn a_pass_that_was_light_stops_no_other_when_its_data_grow() {
    let sandbox = Sandbox::new();
    let loops = "{{$n := seq 1 (atoi (getv \"/size\"))}}{{range $n}}{{range $n}}{{range $n}}\
                 {{range $n}}{{end}}{{end}}{{end}}{{end}}{{getv \"/size\"}}";
    sandbox.resource("app", loops, "");
    sandbox.resource("other", "{{getv \"/other\"}}", "");
    let narrow = |name: &str, key: &str| {
        let file = format!("conf.d/{name}.toml");
        let table = sandbox.read(&file).replace("keys = ['/']", &format!("keys = ['{key}']"));
        sandbox.write(&file, table);
    };
    narrow("app", "/size");
    narrow("other", "/other");
    let write =
        |n: u32, other: u32| sandbox.write("data.yaml", format!("size: {n}\nother: {other}\n"));
    write(1, 1);
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let _daemon = Daemon::start(run, sandbox.path("log"));
    let is = |name: &str, content: u32| {
        let path = sandbox.path(&format!("out/{name}"));
        eventually(&format!("{name} is {content}"), || {
            std::fs::read_to_string(&path).is_ok_and(|held| held == content.to_string())
        });
    };
    is("other", 1);
    for n in 2..5 {
        write(n, 1);
        is("app", n);
    }
    write(10_000, 1);
    for other in 2..5 {
        write(10_000, other);
        is("other", other);
    }
}
