//! Templates that need much memory.

use super::says;
use crate::support::Sandbox;

/// The error about the limit of 1 MiB.
const ERROR: &str = "the template holds more than 1048576 bytes, its memory limit";

/// A tree with this template and a resource behind it.
fn with(name: &str, template: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "", "");
    sandbox.write(&format!("templates/{name}"), template);
    let table = sandbox.read("conf.d/app.toml").replace("app.tmpl", name);
    sandbox.write("conf.d/app.toml", table);
    sandbox.resource("later", "made", "");
    sandbox
}

const TOO_LARGE: [(&str, &str); 7] = [
    // Variables, a list, a nested value, and the output.
    ("t.tmpl", "{{$a := printf \"%900000s\" \"x\"}}{{$b := printf \"%900000s\" \"x\"}}"),
    ("t.tmpl", "{{$a := seq 1 100000}}"),
    (
        "t.tmpl",
        "{{$l := printf \"%200000d\" 0}}{{$a := split $l \"0\"}}{{$b := split (printf \"%0100000d\" 0) \"0\"}}",
    ),
    ("t.tmpl", "{{range seq 1 20}}{{printf \"%100000s\" \"x\"}}{{end}}"),
    (
        "t.tmpl",
        "{{define \"d\"}}{{$a := printf \"%100000s\" \"x\"}}{{template \"d\"}}{{end}}{{template \"d\"}}",
    ),
    ("t.tera", "{% set a = seq(first=1, last=100000) %}"),
    ("t.tera", "{% for i in range(end=50000) %}012345678901234567890123456789{% endfor %}"),
];

#[test]
fn a_template_that_holds_too_much_fails_with_its_place_and_the_limit() {
    for (name, template) in TOO_LARGE {
        for by_file in [false, true] {
            let sandbox = with(name, template);
            let flags: &[&str] = if by_file { &[] } else { &["-max-memory", "1MiB"] };
            if by_file {
                sandbox.write("confd.toml", "max_memory = '1048576'\n");
            }
            let ended = sandbox.onetime().arguments(flags).fails();
            says(&ended, &[&format!("ERROR template: {name}:"), ERROR]);
            assert_eq!(sandbox.list("out"), ["later"], "{template}");
            // The default is far above that.
            let fits = !template.contains("define");
            if !by_file && fits {
                sandbox.onetime().ok();
            }
        }
    }
}

#[test]
fn what_a_template_has_let_go_of_does_not_count() {
    let template =
        "{{range seq 1 100}}{{$a := printf \"%900000s\" \"x\"}}{{$b := seq 1 1000}}{{end}}";
    let sandbox = with("t.tmpl", template);
    sandbox.onetime().arguments(&["-max-memory", "2MiB"]).ok();
}

#[test]
fn a_size_that_is_none_is_refused() {
    let sandbox = Sandbox::rendering("x");
    for size in ["much", "-1", "1 TB of it", "99999999999999999999"] {
        let ended = sandbox.onetime().arguments(&[format!("-max-memory={size}")]).fails();
        ended.expect(&format!(
            "FATAL invalid value {size:?} for -max-memory: not a size: write a number of bytes, or one \
             with a unit (KiB, MiB, GiB), such as \"512MiB\""
        ));
    }
    sandbox.onetime().arguments(&["-max-memory=0"]).ok();
}
