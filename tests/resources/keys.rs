//! Prefixes and keys: what the backend is asked for, and what a template sees.

use crate::support::Sandbox;

/// Prints every pair, one level after the other.
const DUMP: &str = "{{range gets \"/*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/*/*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/*/*/*\"}}{{.Key}}={{.Value}} {{end}}";

const DATA: &str = "app: {x: 1, v: {z: 2}}\napple: 3\nother: {w: 4}\nx: 5\n";

/// A resource that prints every pair it can see.
fn dumping(prefix: &str, keys: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", DUMP);
    sandbox.write(
        "conf.d/app.toml",
        format!("[template]\nsrc = 'app'\ndest = 'out/app'\nprefix = '{prefix}'\nkeys = {keys}\n"),
    );
    sandbox
}

#[test]
fn keys_are_joined_to_the_prefix_and_cleaned() {
    for (prefix, keys, pairs) in [
        ("", "['/']", "/apple=3 /x=5 /app/x=1 /other/w=4 /app/v/z=2 "),
        ("", "['']", "/apple=3 /x=5 /app/x=1 /other/w=4 /app/v/z=2 "),
        ("/", "['/']", "/apple=3 /x=5 /app/x=1 /other/w=4 /app/v/z=2 "),
        ("", "['/other']", "/other/w=4 "),
        ("", "['other']", "/other/w=4 "),
        ("", "['/other/']", "/other/w=4 "),
        ("", "['//other//w']", "/other/w=4 "),
        ("", "['/other/../app/./v']", "/app/v/z=2 "),
        ("", "['/app/x', '/app/x', '/other']", "/app/x=1 /other/w=4 "),
        ("/app", "['/v']", "/v/z=2 "),
        ("app", "['v']", "/v/z=2 "),
        ("/app", "['../x']", "/x=5 "),
        ("/app", "['/nothing']", ""),
        ("", "[]", ""),
    ] {
        let sandbox = dumping(prefix, keys);
        sandbox.onetime_with(DATA).ok();
        assert_eq!(sandbox.output(), pairs, "{prefix:?} {keys}");
    }
}

#[test]
fn a_prefix_is_stripped_as_it_is_written_and_shown_so() {
    for (prefix, shown, pairs) in [
        ("/app", "/app", "/apple=3 /x=1 /v/z=2 "),
        ("app", "/app", "/apple=3 /x=1 /v/z=2 "),
        ("/app/", "/app/", "/apple=3 /x=1 /v/z=2 "),
        ("//app//", "//app//", "/apple=3 /app/x=1 /app/v/z=2 "),
        ("/app/v", "/app/v", "/z=2 "),
    ] {
        let sandbox = dumping(prefix, "['/']");
        let ended = sandbox.onetime_with(DATA).arguments(&["-log-level", "debug"]).ok();
        assert_eq!(sandbox.output(), pairs, "{prefix:?}");
        ended.expect(&format!("DEBUG Key prefix set to {shown}"));
    }
}

#[test]
fn a_prefix_is_stripped_only_where_a_segment_ends() {
    let sandbox = dumping("/app", "['/']");
    sandbox.onetime_with("apple: {pie: 1}\napp: {pie: 2}").ok();
    assert_eq!(sandbox.output(), "/pie=2 /apple/pie=1 ");
}

#[test]
fn the_key_that_is_the_prefix_itself_becomes_the_root_unless_a_slash_follows() {
    for (prefix, pairs) in [("/app", "/=leaf "), ("/app/", "/app=leaf ")] {
        let sandbox = dumping(prefix, "['/']");
        sandbox.onetime_with("app: leaf").ok();
        assert_eq!(sandbox.output(), pairs);
    }
}

#[test]
fn the_global_prefix_replaces_the_resources_own() {
    for global in ["/other", "other"] {
        let sandbox = dumping("/app", "['/']");
        let ended =
            sandbox.onetime_with(DATA).arguments(&["-prefix", global, "-log-level", "debug"]).ok();
        ended.expect("DEBUG Key prefix set to /other");
        assert_eq!(sandbox.output(), "/w=4 ");
        sandbox.write("confd.toml", format!("prefix = '{global}'"));
        sandbox.onetime_with(DATA).ok();
        assert_eq!(sandbox.output(), "/w=4 ");
    }
    let sandbox = dumping("/app", "['/v']");
    sandbox.onetime_with(DATA).arguments(&["-prefix", ""]).ok();
    assert_eq!(sandbox.output(), "/v/z=2 ");
}

#[test]
fn a_template_reaches_only_what_its_resource_asks_for() {
    let sandbox = Sandbox::new();
    for (name, keys, template) in [
        ("a", "['/app/x']", "{{getv \"/app/x\"}}"),
        ("b", "['/app/x']", "{{getv \"/other/w\"}}"),
        ("c", "['/other']", DUMP),
    ] {
        sandbox.write(&format!("templates/{name}"), template);
        sandbox.write(
            &format!("conf.d/{name}.toml"),
            format!("[template]\nsrc = '{name}'\ndest = 'out/{name}'\nkeys = {keys}\n"),
        );
    }
    let ended = sandbox.onetime_with(DATA).fails();
    assert!(
        ended.stderr.contains("error calling getv: key does not exist: /other/w"),
        "{}",
        ended.stderr
    );
    assert_eq!((sandbox.read("out/a"), sandbox.read("out/c")), ("1".into(), "/other/w=4 ".into()));
}

#[test]
fn of_two_keys_that_become_one_the_last_in_byte_order_counts() {
    for variables in [[("A__B", "first"), ("A_B", "last")], [("A_B", "last"), ("A__B", "first")]] {
        let sandbox = dumping("", "['/a']");
        let run =
            variables.iter().fold(sandbox.onetime(), |run, (name, value)| run.env(name, value));
        run.ok();
        assert_eq!(sandbox.output(), "/a/b=last ");
    }
}
