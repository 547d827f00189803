//! The lines of templates and resource files that the log shows below an error.

use crate::support::{Ended, Sandbox};

/// The lines of the log from the first message of this level up to the next message.
fn event(ended: &Ended, level: &str) -> Vec<String> {
    let header = format!("]: {level} ");
    let lines = ended.stderr.lines().skip_while(|line| !line.contains(&header));
    let mut lines: Vec<_> = lines.map(ToOwned::to_owned).collect();
    let next = lines.iter().skip(1).position(|line| line.contains("]: "));
    lines.truncate(next.map_or(lines.len(), |next| next + 1));
    lines
}

/// The hint below the error of a run in which one template fails.
fn hint(template: &str) -> String {
    let ended = Sandbox::rendering(template).onetime().env("APP_NAME", "x").fails();
    let lines = event(&ended, "ERROR");
    let hint = lines.last().unwrap().trim_start().strip_prefix("= ");
    hint.unwrap_or_else(|| panic!("no hint in:\n{}", ended.stderr)).to_owned()
}

#[test]
fn a_failed_template_shows_its_line_below_the_error() {
    let sandbox = Sandbox::rendering("# é\n\tname = {{getv \"/app/nmae\"}};\n");
    let ended = sandbox.onetime().env("APP_NAME", "x").fails();
    let [error, excerpt @ ..] = &event(&ended, "ERROR")[..] else { panic!("{}", ended.stderr) };
    assert!(error.ends_with(
        "]: ERROR template: app.tmpl:2:10: executing \"app.tmpl\" at <getv \"/app/nmae\">: \
         error calling getv: key does not exist: /app/nmae"
    ));
    let place = format!("   --> {}:2:11", sandbox.path("templates/app.tmpl").display());
    let expected = [
        place.as_str(),
        "    |",
        "  2 |     name = {{getv \"/app/nmae\"}};",
        "    |              ^",
        "    = did you mean \"/app/name\"?",
    ];
    assert_eq!(excerpt, expected);
    // The last failure is logged again when the process ends, without its place.
    assert_eq!(event(&ended, "FATAL").len(), 1);
}

#[test]
fn a_malformed_template_shows_its_line_below_the_error() {
    let sandbox = Sandbox::rendering("one\ntwo {{if}} three\n{{end}}\n");
    let ended = sandbox.onetime().fails();
    assert_eq!(ended.excerpts()[2..], ["  2 | two {{if}} three", "    |         ^"]);
    ended.expect(&format!(
        "ERROR Unable to process template {}, template: app.tmpl:2: missing value for if",
        sandbox.path("templates/app.tmpl").display()
    ));
}

#[test]
fn an_unknown_name_comes_with_the_nearest_that_there_are() {
    assert_eq!(hint("{{toupper \"x\"}}"), "did you mean \"toUpper\"?");
    assert_eq!(hint("{{getx \"x\"}}"), "did you mean \"get\", \"gets\" or \"getv\"?");
    assert_eq!(hint("{{getv \"app/name\"}}"), "did you mean \"/app/name\"?");
    assert_eq!(hint("{{range gets \"/*/*\"}}{{.Vaule}}{{end}}"), "did you mean \"Value\"?");
    assert_eq!(hint("{{$name := 1}}{{$nmae}}"), "did you mean \"$name\"?");
    assert_eq!(hint("{{define \"head\"}}{{end}}{{template \"haed\"}}"), "did you mean \"head\"?");
}

#[test]
fn keys_that_are_offered_are_those_the_template_sees() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/nmae\"}}", "prefix = '/app'");
    let ended = sandbox.onetime().env("APP_NAME", "x").env("NAME", "y").fails();
    assert_eq!(ended.excerpts().last(), Some(&"    = did you mean \"/name\"?"));
}

#[test]
fn an_excerpt_is_shown_where_its_error_is() {
    for (level, shown) in [("panic", 0), ("fatal", 0), ("error", 5), ("info", 5), ("debug", 5)] {
        let sandbox = Sandbox::rendering("{{getv \"/a\"}}");
        let ended = sandbox.onetime().arguments(&["-log-level", level]).fails();
        assert_eq!(ended.excerpts().len(), shown, "{level}: {}", ended.stderr);
    }
}

#[test]
fn every_excerpt_is_directly_below_its_own_error() {
    let sandbox = Sandbox::new();
    for number in 0..20 {
        sandbox.resource(&format!("bad{number}"), format!("{{{{getv \"/{number}\"}}}}"), "");
        sandbox.resource(&format!("good{number}"), "x", "");
    }
    let ended = sandbox.onetime().fails();
    let lines: Vec<_> = ended.stderr.lines().collect();
    let errors: Vec<_> = (0..lines.len()).filter(|at| lines[*at].contains("]: ERROR ")).collect();
    assert_eq!(errors.len(), 20);
    for at in errors {
        let key = lines[at].rsplit(' ').next().unwrap();
        assert!(lines[at + 1].contains("--> "), "{}", lines[at + 1]);
        assert!(
            lines[at + 3].ends_with(&format!(" | {{{{getv \"{key}\"}}}}")),
            "{}",
            lines[at + 3]
        );
    }
}

#[test]
fn an_excerpt_shows_no_values_and_nothing_that_a_terminal_obeys() {
    let sandbox = Sandbox::rendering(
        b"\x1b[2J\x07\xff{{range gets \"/*\"}}{{.Nothing .Value}}{{end}}\r\n".as_slice(),
    );
    let ended = sandbox.onetime().env("SECRET", "opensesame").fails();
    ended.expect_no("opensesame").expect_no("\x1b").expect_no("\x07").expect_no("\r");
    let line = "  1 | ␛[2J␇\u{fffd}{{range gets \"/*\"}}{{.Nothing .Value}}{{end}}";
    assert_eq!(ended.excerpts()[2], line);
}

#[test]
fn a_long_line_is_cut_around_the_fault() {
    let filler = "x".repeat(5000);
    let ended =
        Sandbox::rendering(format!("{filler}{{{{getv \"/a\"}}}}{filler}")).onetime().fails();
    let [line, caret, _] = ended.excerpts()[2..] else { panic!("{}", ended.stderr) };
    assert!(line.chars().count() < 120, "{line}");
    let fault = caret.chars().position(|character| character == '^').unwrap();
    assert!(line.chars().skip(fault).collect::<String>().starts_with("getv \"/a\"}}xxx"), "{line}");
}

#[test]
fn a_resource_file_that_is_wrong_shows_its_line() {
    for (toml, line, caret) in [
        ("[template]\nsrc = 'x'\nmode = 0644\n", "  3 | mode = 0644", 7),
        ("[template]\nsrc = 'x'\ndest = 'y'\nuid = 'root'\n", "  4 | uid = 'root'", 6),
        ("[template]\nsrc = 'x'\nkeys = ['/', 5]\n", "  3 | keys = ['/', 5]", 13),
        ("[template]\nsrc = 'x'\nmode = 'rw'\n", "  3 | mode = 'rw'", 7),
        ("template = [1]\n", "  1 | template = [1]", 0),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("conf.d/app.toml", toml);
        let ended = sandbox.onetime().fails();
        let [place, _, shown, below, ..] = ended.excerpts()[..] else { panic!("{}", ended.stderr) };
        assert!(place.contains("conf.d/app.toml:"), "{place}");
        assert_eq!((shown, below), (line, format!("    | {:caret$}^", "").as_str()));
    }
}

#[test]
fn a_key_that_a_resource_does_not_have_is_shown_once() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", "reload = 'true'");
    let ended = sandbox.onetime().ok();
    assert_eq!(ended.excerpts()[2..], ["  5 | reload = 'true'", "    | ^"]);
}

#[test]
fn confd_toml_is_never_shown() {
    for toml in ["password = [\n", "password = 12345678\n", "passwort = 'opensesame'\n"] {
        let sandbox = Sandbox::rendering("x");
        sandbox.write("confd.toml", toml);
        let ended = sandbox.onetime().run();
        ended.expect_no("12345678").expect_no("opensesame");
        // There can be a place and a hint, and no line of the file.
        let is_shown = |line: &&str| !line.starts_with("   --> ") && !line.starts_with("    = ");
        let shown: Vec<_> = ended.excerpts().into_iter().filter(is_shown).collect();
        assert!(shown.is_empty(), "{}", ended.stderr);
        assert!(ended.stderr.contains("toml"), "{}", ended.stderr);
    }
}
