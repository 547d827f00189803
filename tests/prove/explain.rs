//! `confd explain`: which keys made each line.

use super::render::command;
use crate::support::Sandbox;

#[test]
fn each_line_has_the_keys_that_it_prints_and_those_that_decide_about_it() {
    let sandbox = Sandbox::rendering(
        "fixed\n{{if exists \"/tls\"}}listen {{getv \"/port\"}}\n{{end}}\
         {{range gets \"/servers/*\"}}{{.Value}}\n{{end}}p={{getv \"/password\"}}\n",
    );
    let data = "tls: on\nport: 8080\nservers: { a: one, b: two }\npassword: hunter22\n";
    sandbox.write("data.yaml", data);
    let dest = sandbox.path("out/app").display().to_string();
    let lines = "    1 | fixed\n    2 | listen 8080  <- /port, /tls\n    3 | one  <- /servers/a\n    \
                 4 | two  <- /servers/b\n    5 | p=••••  <- /password\n";
    let ended = command(&sandbox, &["explain", "app"]).ok();
    assert_eq!(ended.stdout, format!("{dest}\n{lines}"));
    let ended = command(&sandbox, &["explain", "app:3"]).ok();
    assert_eq!(ended.stdout, format!("{dest}\n    3 | one  <- /servers/a\n"));
    let ended = command(&sandbox, &["explain", "app:9"]).fails();
    assert_eq!(ended.stderr, format!("confd explain: {dest} has 5 lines\n"));
    assert!(sandbox.list("out").is_empty());
}
