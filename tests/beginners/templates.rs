//! Mistakes in templates, in their keys, and in what happens to their result.

use super::{DEST, run_of, says};
use crate::support::Sandbox;

const ALL: &str = "dest = 'out/app'\nkeys = ['/']\n";

#[test]
fn a_missing_key_names_the_environment_variable_that_would_be_it() {
    let log = run_of(ALL, "{{getv \"/database/host\"}}");
    says(&log, &["= the environment variable DATABASE_HOST would be this key\n"]);
    let log = run_of(ALL, "{{getv \"/app/prt\"}}");
    says(&log, &["= did you mean \"/app/port\"?\n"]);
    let with_prefix = format!("{ALL}prefix = '/app'\n");
    let log = run_of(&with_prefix, "{{getv \"/host\"}}");
    says(&log, &["= the environment variable APP_HOST would be this key\n"]);
    let sandbox = Sandbox::rendering("{{getv \"/database/host\"}}");
    let log = sandbox.onetime_with("a: b").run().stderr;
    assert!(!log.contains("environment variable"), "{log}");
}

#[test]
fn a_prefix_is_not_repeated() {
    let with_prefix = format!("{ALL}prefix = '/app'\n");
    let log = run_of(&with_prefix, "{{getv \"/app/port\"}}");
    says(&log, &["= templates leave out the prefix /app: did you mean \"/port\"?\n"]);
    let table = format!("{DEST}keys = ['/app/port']\nprefix = '/app'\n");
    let log = run_of(&table, "{{getv \"/app/port\"}}");
    says(
        &log,
        &[
            "= the source has no key at /app/app/port: `keys` is relative to the prefix /app; the env",
        ],
    );
    let log = run_of(&format!("{DEST}keys = ['/nothing', '/none']\n"), "{{getv \"/nothing\"}}");
    says(&log, &["= the source has no key at /none, /nothing; the environment variable NOTHING"]);
}

#[test]
fn a_go_template_in_the_syntax_of_another_language_says_how_it_is_written() {
    for (template, hint) in [
        ("{{getv /app/port}}", "text stands in quotes: \"/app/port\""),
        ("{{getv '/app/port'}}", "text stands in double quotes: \"/app/port\""),
        ("{{getv “/app/port”}}", "text stands between straight quotes: \"/app/port\""),
        (
            "{{getv(\"/app/port\")}}",
            "arguments follow a function without parentheses: getv \"/app/port\"",
        ),
        ("{{printf \"%s\", 1}}", "arguments are separated by spaces"),
        ("{{if getv \"/app/port\" == \"80\"}}{{end}}", "comparisons are functions: eq a b"),
        ("{{if 1 != 2}}{{end}}", "comparisons are functions: ne a b"),
        ("{{if 1 > 2}}{{end}}", "comparisons are functions: gt a b"),
        ("{{if true && true}}{{end}}", "conditions are joined by functions: and a b"),
        ("{{if true || true}}{{end}}", "conditions are joined by functions: or a b"),
        ("{{getv \"/app/port\" + 1}}", "arithmetic is done by functions: add a b"),
        ("{{4 * 2}}", "arithmetic is done by functions: mul a b"),
        ("{{for x in y}}", "a loop is {{range …}} … {{end}}"),
        ("{{if true}}{{endif}}", "a block ends with {{end}}"),
        ("{{if true}}{{elif false}}{{end}}", "another case is {{else if …}}"),
        ("{{set x 1}}", "a variable is set by {{$name := …}}"),
        ("{{include \"one\"}}", "include NAME gives what {{define NAME}} defines in the same file"),
        ("{{key \"/app/port\"}}", "did you mean \"getv\"?"),
        ("{{env \"HOME\"}}", "did you mean \"getenv\"?"),
        ("{{getv \"/app/port\" | toupper}}", "did you mean \"toUpper\"?"),
        ("{{getv \"/app/port\" | parseYAML}}", "did you mean \"fromYaml\"?"),
        ("{{getv \"/app/port\" | kebabCase}}", "did you mean \"kebabcase\"?"),
        ("{{add (getv \"/app/port\") 1}}", "values of keys are text: atoi makes a number of it"),
        (
            "{{if eq (getv \"/app/port\") 80}}{{end}}",
            "values of keys are text: atoi makes a number",
        ),
    ] {
        says(&run_of(ALL, template), &["ERROR ", &format!("= {hint}")]);
    }
}

#[test]
fn a_folder_is_no_destination() {
    for dest in ["out", "out/"] {
        let log = run_of(&format!("dest = '{dest}'\nkeys = ['/']"), "x");
        says(&log, &["ERROR rename ", "= out is a folder: dest names a file, such as out/NAME\n"]);
    }
}

#[test]
fn a_check_without_the_dot_says_where_it_belongs() {
    let check = |command: &str| run_of(&format!("{ALL}check_cmd = 'test {command}'"), "x");
    says(&check("{{src}}"), &["function \"src\" not defined", "= write {{.src}}, with a dot\n"]);
    says(&check("{{dest}}"), &["= check_cmd knows only {{.src}}, the file to be checked\n"]);
}

#[test]
fn a_tera_template_in_the_syntax_of_another_language_says_how_it_is_written() {
    const GO: &str = "this is Go's language, and a src that ends in .tera is Tera: engine = \"go\"";
    for (template, hint) in [
        ("{{ range gets \"/*\" }}{{ end }}", GO),
        ("{{ end }}", GO),
        ("{{ $x }}", GO),
        ("{{ .Key }}", GO),
        ("{{ getv \"/app/port\" }}", "arguments stand in parentheses and have names: getv(key=…)"),
        ("{% if true && true %}{% endif %}", "conditions are joined by and, or, not"),
        ("{% if true || true %}{% endif %}", "conditions are joined by and, or, not"),
        ("{% if 1 = 2 %}{% endif %}", "values are compared by =="),
        ("{{ “a” }}", "text stands between straight quotes"),
        ("{% macro x() %}{% endmacro %}", "Tera 2 has components in place of macros"),
        ("{{ store.app | default(\"5\") }}", "arguments have names: default(value=…)"),
        ("{{ env(name=\"HOME\") }}", "did you mean \"getenv\"?"),
        ("{{ \"5\" | toInt }}", "did you mean \"int\"?"),
        ("{{ \"x\" | datetime }}", "datetime is a function and no filter"),
        ("{{ capitalize(text=\"x\") }}", "capitalize is a filter and no function: … | capitalize"),
        ("{{ app.port }}", "keys are below store: store.app"),
        ("{{ store.app.port + 1 }}", "values of keys are text: | int makes a number of it"),
        ("{{ \"a\" + \"b\" }}", "texts are joined by ~"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("templates/app.tera", template);
        let table = "[template]\nsrc = 'app.tera'\ndest = 'out/app'\nkeys = ['/']\n";
        sandbox.write("conf.d/app.toml", table);
        let log = sandbox.onetime().env("APP_PORT", "80").run().stderr;
        says(&log, &["ERROR ", &format!("= {hint}\n")]);
    }
}

#[test]
fn a_relative_destination_says_where_it_is() {
    let log = run_of("dest = 'nofolder/app'\nkeys = ['/']", "x");
    says(
        &log,
        &[
            "= confd makes no folders: create nofolder, in the folder where confd was started, or set \
           make_directories = true\n",
        ],
    );
    let log = run_of("dest = '/nonexistent/app'\nkeys = ['/']", "x");
    says(&log, &["= confd makes no folders: create /nonexistent, or set make_directories"]);
}

#[test]
fn an_action_that_is_not_closed_is_shown_in_the_last_line_with_text() {
    let log = run_of(ALL, "port = {{getv \"/app/port\"\n");
    says(&log, &["app:1:", "\n  1 | port = {{getv \"/app/port\"\n"]);
    let log = run_of(ALL, "a\n\n{{if true}}\n\n");
    says(&log, &["  3 | {{if true}}\n", "= this block has no {{end}}\n"]);
}

#[test]
fn names_have_no_key_and_no_value() {
    for (template, field) in [
        ("{{range ls \"/app\"}}{{.Value}}{{end}}", "Value"),
        ("{{range getvs \"/app/*\"}}{{.Key}}{{end}}", "Key"),
    ] {
        let error = format!("can't evaluate field {field} in type string");
        let hint = "= ls, lsdir and getvs give texts, each in {{.}}: gets gives .Key and .Value\n";
        says(&run_of(ALL, template), &[&error, hint]);
    }
}

#[test]
fn a_template_in_the_syntax_of_tera_says_how_its_language_is_chosen() {
    const TERA: &str = "{% … %} is Tera's: engine = \"tera\", or a src that ends in .tera";
    let log = run_of(ALL, "{% if store %}\nyes\n{% endif %}\n");
    says(&log, &["WARNING ", "templates/app: ", TERA]);
    let log = run_of(ALL, "{% for x in store.app %}{{ store.app.port }}{% endfor %}");
    says(&log, &["ERROR ", &format!("= {TERA}\n")]);
    for template in ["{% other %}", "50{%", "{% if x %}{{getv \"/app/port\"}}{% endif %}"] {
        let log = run_of(ALL, template);
        assert!(!log.contains("Tera"), "{log}");
    }
}

#[test]
fn at_debug_the_keys_that_are_not_in_the_store_are_named() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", "x");
    let table = "[template]\nsrc = 'app'\ndest = 'app'\nkeys = ['/app', '/nothing']\n";
    sandbox.write("conf.d/app.toml", table);
    let log = |level| {
        let run = sandbox.onetime_with("app: {port: 80}").arguments(&["-log-level", level]);
        run.ok().stderr
    };
    says(&log("debug"), &["DEBUG The store has no key at /nothing\n"]);
    assert!(!log("info").contains("/nothing"));
}

#[test]
fn a_failed_reload_names_its_resource_and_its_command() {
    let log = run_of(&format!("{ALL}reload_cmd = 'echo no; exit 3'"), "x");
    says(
        &log,
        &[
            "ERROR exit status 3\n   = the reload_cmd of the resource app failed: echo no; exit 3\n",
            "FATAL exit status 3",
        ],
    );
}
