//! The language: actions, variables, builtins, and parse errors.

use super::{KEYS, cannot_be_parsed, fails, gives};
use crate::support::Sandbox;

#[test]
fn the_root_is_nothing() {
    gives(KEYS, &[("{{.}}|{{.Foo}}|{{.Foo.Bar}}", "<no value>|<no value>|<no value>")]);
}

#[test]
fn the_whole_language_is_there() {
    gives(
        KEYS,
        &[
            (r#"{{if exists "/x"}}1{{else if exists "/a"}}2{{else}}3{{end}}"#, "2"),
            (r#"{{with exists "/x"}}1{{else with 5}}{{.}}{{end}}"#, "5"),
            (
                "{{range $i, $e := seq 1 5}}{{if eq $i 1}}{{continue}}{{end}}{{if eq $i 3}}{{break}}{{end}}{{$e}}{{end}}",
                "13",
            ),
            (r#"{{range 3}}{{.}}{{end}}"#, "012"),
            ("{{$x := 1}}{{range seq 1 3}}{{$x = add $x .}}{{end}}{{$x}}", "7"),
            (
                r#"{{define "t"}}<{{.}}>{{end}}{{template "t" 5}}{{block "u" 6}}[{{.}}]{{end}}"#,
                "<5>[6]",
            ),
            ("a {{- 1 -}}  b{{/* gone */}} {{- /* and trimmed */ -}} c", "a1bc"),
            ("{{\n  getv\n  \"/a\"\n}}", "1"),
            (r#"{{"/a" | getv}}{{getv "/a" | printf "%s-%s" "x"}}"#, "1x-1"),
            ("{{1.5}} {{0x10}} {{'a'}} {{true}} {{`raw`}}", "1.5 16 97 true raw"),
            ("{{\"{{\"}} }} }}}", "{{ }} }}}"),
        ],
    );
}

#[test]
fn and_and_or_stop_where_they_are_decided() {
    gives(
        KEYS,
        &[
            (r#"{{and (exists "/x") (getv "/x")}} {{and 1 0 (getv "/x")}}"#, "false 0"),
            (r#"{{or (exists "/a") (getv "/x")}} {{or 0 "x"}}"#, "true x"),
        ],
    );
}

#[test]
fn every_builtin_is_there() {
    gives(
        KEYS,
        &[
            (
                "{{not 1}} {{eq 1 1}} {{eq 1 2 1}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1 2}}",
                "false true true true true true false false",
            ),
            (r#"{{len "abc"}} {{index (split "a b" " ") 1}} {{slice "abcdef" 1 3}}"#, "3 b bc"),
            (
                r#"{{print 1 2 "x"}} {{println 1}}{{printf "%05d %q %x %v" 3 "a" "hi" true}}"#,
                "1 2x 1\n00003 \"a\" 6869 true",
            ),
            (
                r#"{{html "<a href='x'>"}} {{js "it's"}} {{urlquery "a b&c"}}"#,
                r"&lt;a href=&#39;x&#39;&gt; it\'s a+b%26c",
            ),
        ],
    );
    fails(
        KEYS,
        &[
            (
                r#"{{index (split "a" " ") 3}}"#,
                r#"1:2 <index (split "a" " ") 3>: error calling index: index out of range: 3"#,
            ),
            (
                r#"{{lt 1 "a"}}"#,
                r#"1:2 <lt 1 "a">: error calling lt: incompatible types for comparison: int and string"#,
            ),
            (r#"{{range getv "/a"}}{{end}}"#, r#"1:13 <"/a">: range can't iterate over 1"#),
            (
                r#"{{template "nope"}}"#,
                r#"1:11 <{{template "nope"}}>: template "nope" not defined"#,
            ),
            ("{{nil}}", "1:2 <nil>: nil is not a command"),
        ],
    );
}

#[test]
fn a_malformed_template_is_an_error_with_its_name_and_line() {
    cannot_be_parsed(&[
        ("x\n{{if}}x{{end}}", "2: missing value for if"),
        ("{{nofunc}}", r#"1: function "nofunc" not defined"#),
        ("\n{{getv \"/a\"\n\n", "4: unclosed action started at t002.tmpl:2"),
        ("{{getv \"/a}}", "1: unterminated quoted string"),
        ("{{end}}", "1: unexpected {{end}}"),
        ("{{if 1}}", "1: unexpected EOF"),
        ("{{break}}", "1: {{break}} outside {{range}}"),
        ("{{$x}}", r#"1: undefined variable "$x""#),
    ]);
}

#[test]
fn a_template_is_named_after_the_file_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/sub/x.tmpl", r#"{{getv "/no"}}"#);
    sandbox.write(
        "conf.d/app.toml",
        "[template]\nsrc = 'sub/x.tmpl'\ndest = 'out/app'\nkeys = ['/']\n",
    );
    let ended = sandbox.onetime().fails();
    ended.expect(r#"ERROR template: x.tmpl:1:2: executing "x.tmpl" at <getv "/no">: error calling getv: key does not exist: /no"#);
}

#[test]
fn each_resource_has_its_own_templates() {
    let sandbox = Sandbox::new();
    sandbox.resource("a", r#"{{define "shared"}}x{{end}}{{template "shared"}}"#, "");
    sandbox.resource("b", r#"{{template "shared"}}"#, "");
    let ended = sandbox.onetime().fails();
    assert_eq!(sandbox.read("out/a"), "x");
    ended.expect(r#"ERROR template: b.tmpl:1:11: executing "b.tmpl" at <{{template "shared"}}>: template "shared" not defined"#);
}

#[test]
fn text_around_actions_passes_through_byte_for_byte() {
    let sandbox =
        Sandbox::rendering(b"\xef\xbb\xbfline\r\n\xff\0{{getv \"/key\"}}no end".as_slice());
    sandbox.onetime().env("KEY", "value").ok();
    let result = std::fs::read(sandbox.path("out/app")).unwrap();
    assert_eq!(result, b"\xef\xbb\xbfline\r\n\xff\0valueno end");
}
