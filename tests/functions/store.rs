//! Keys and values: get, gets, getv, getvs, exists, ls and lsdir.

use super::{KEYS, fails, gives};
use crate::support::Sandbox;

#[test]
fn get_gives_the_pair_and_getv_its_value() {
    gives(
        KEYS,
        &[
            (r#"{{with get "/a"}}{{.Key}}={{.Value}}{{end}}"#, "/a=1"),
            (r#"{{get "/app/a"}}"#, "{/app/a 2}"),
            (r#"{{(get "/app/b/c").Value}}"#, "3"),
            (r#"{{getv "/a"}}"#, "1"),
        ],
    );
}

#[test]
fn a_default_replaces_a_missing_key_and_no_empty_value() {
    gives(
        "empty: ''",
        &[
            (r#"{{getv "/nokey" "default"}}"#, "default"),
            (r#"{{getv "/nokey" "default" "ignored"}}"#, "default"),
            (r#"{{getv "/nokey" ""}}"#, ""),
            (r#"[{{getv "/empty" "default"}}]"#, "[]"),
            (r#"{{getv "/empty" | len}}"#, "0"),
        ],
    );
}

#[test]
fn a_missing_key_is_an_error_that_names_it() {
    fails(
        KEYS,
        &[
            (
                r#"{{getv "/nokey"}}"#,
                r#"1:2 <getv "/nokey">: error calling getv: key does not exist: /nokey"#,
            ),
            (
                r#"{{get "/nokey"}}"#,
                r#"1:2 <get "/nokey">: error calling get: key does not exist: /nokey"#,
            ),
            (
                "\n\n x {{(get \"/nokey\").Value}}",
                r#"3:6 <get "/nokey">: error calling get: key does not exist: /nokey"#,
            ),
            (
                r#"{{printf "/%s" "no key" | getv}}"#,
                "1:26 <getv>: error calling getv: key does not exist: /no key",
            ),
            // A folder of keys is not a key.
            (
                r#"{{getv "/app"}}"#,
                r#"1:2 <getv "/app">: error calling getv: key does not exist: /app"#,
            ),
        ],
    );
}

#[test]
fn a_key_is_looked_up_as_it_is_spelled() {
    fails(
        KEYS,
        &[
            (
                r#"{{getv "/app/a/"}}"#,
                r#"1:2 <getv "/app/a/">: error calling getv: key does not exist: /app/a/"#,
            ),
            (
                r#"{{getv "app/a"}}"#,
                r#"1:2 <getv "app/a">: error calling getv: key does not exist: app/a"#,
            ),
            (
                r#"{{getv "/app//a"}}"#,
                r#"1:2 <getv "/app//a">: error calling getv: key does not exist: /app//a"#,
            ),
            (r#"{{getv ""}}"#, r#"1:2 <getv "">: error calling getv: key does not exist: "#),
        ],
    );
    gives(
        KEYS,
        &[(
            r#"{{exists "/app/a"}} {{exists "/app/a/"}} {{exists "app/a"}} {{exists "/app"}}"#,
            "true false false false",
        )],
    );
}

/// Expects for each pattern the keys that `gets` finds.
fn finds(yaml: &str, cases: &[(&str, &str)]) {
    let templates: Vec<_> = cases
        .iter()
        .map(|(pattern, keys)| {
            (format!("{{{{range gets {pattern}}}}}{{{{.Key}}}} {{{{end}}}}"), format!("{keys} "))
        })
        .collect();
    let templates: Vec<_> = templates
        .iter()
        .map(|(template, keys)| (template.as_str(), if keys == " " { "" } else { keys.as_str() }))
        .collect();
    gives(yaml, &templates);
}

#[test]
fn gets_matches_whole_keys_by_the_rules_of_path_match() {
    finds(
        "{a: '', é: '', ab: '', 'b*': '', '!': '', app: {a: '', b: {c: ''}}, 'x-': ''}",
        &[
            (r#""/app/*""#, "/app/a"),
            (r#""/*/*""#, "/app/a"),
            (r#""/*/*/*""#, "/app/b/c"),
            (r#""/app/**""#, "/app/a"),
            (r#""/app""#, ""),
            (r#""/app/a""#, "/app/a"),
            (r#""/app/""#, ""),
            (r#""*""#, ""),
            (r#""""#, ""),
            // `?` matches one code point, not one byte.
            (r#""/?""#, "/! /a /é"),
            (r#""/[ab]""#, "/a"),
            (r#""/[a-c]b""#, "/ab"),
            (r#""/[^a]""#, "/! /é"),
            // A class can match a slash, and `!` does not negate it.
            (r#""/app[/]a""#, "/app/a"),
            (r#""/[!x]""#, "/!"),
            (r#""/[b-a]""#, ""),
            (r#""/\\a""#, "/a"),
            (r#""/b\\*""#, "/b*"),
            (r#""/[a\\-z]b""#, "/ab"),
            (r#""/a*""#, "/a /ab"),
            (r#""/*b""#, "/ab"),
        ],
    );
}

#[test]
fn a_pattern_with_a_fault_is_an_error() {
    let cases: Vec<_> = ["/[", "/[a", "/[]k]", "/[k-]", "/[-k]", "/app/[a"]
        .iter()
        .map(|pattern| {
            let template = format!("{{{{gets \"{pattern}\"}}}}");
            let error =
                format!("1:2 <gets \"{pattern}\">: error calling gets: syntax error in pattern");
            (template, error)
        })
        .collect();
    let mut cases: Vec<_> =
        cases.iter().map(|(template, error)| (template.as_str(), error.as_str())).collect();
    cases.push((
        r#"{{getvs "/\\"}}"#,
        r#"1:2 <getvs "/\\">: error calling getvs: syntax error in pattern"#,
    ));
    fails(KEYS, &cases);
}

#[test]
fn where_there_are_no_keys_no_pattern_is_looked_at() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app.tmpl", r#"{{len (gets "/[")}}{{len (getvs "[")}}"#);
    sandbox.write("conf.d/app.toml", "[template]\nsrc = 'app.tmpl'\ndest = 'out/app'\n");
    sandbox.onetime().ok();
    assert_eq!(sandbox.output(), "00");
}

#[test]
fn pairs_come_by_key_and_values_by_value_in_byte_order() {
    gives(
        "{k: {z: 10, b: 9, Z: alpha, a: Mid, '10': zeta, '9': 9}}",
        &[
            (
                r#"{{range gets "/k/*"}}{{base .Key}}={{.Value}} {{end}}"#,
                "10=zeta 9=9 Z=alpha a=Mid b=9 z=10 ",
            ),
            (r#"{{range getvs "/k/*"}}{{.}} {{end}}"#, "10 9 9 Mid alpha zeta "),
            (r#"{{getvs "/k/*"}}"#, "[10 9 9 Mid alpha zeta]"),
        ],
    );
}

#[test]
fn finding_nothing_is_an_empty_list() {
    gives(
        KEYS,
        &[
            (
                r#"{{len (gets "/no/*")}} {{len (getvs "/no/*")}} {{len (ls "/no")}} {{len (lsdir "/no")}}"#,
                "0 0 0 0",
            ),
            (r#"{{range gets "/no/*"}}x{{else}}none{{end}}"#, "none"),
            (r#"{{gets "/no/*"}}{{getvs "/no/*"}}{{ls "/no"}}"#, "[][][]"),
        ],
    );
}

#[test]
fn ls_lists_keys_and_folders() {
    gives(
        KEYS,
        &[
            (r#"{{ls "/app"}}"#, "[a b]"),
            (r#"{{ls "/app/"}}"#, "[a b]"),
            (r#"{{ls "/app/b"}}"#, "[c]"),
            (r#"{{ls "/app/a"}}"#, "[a]"),
            // For the root, `ls` lists only keys and no folders.
            (r#"{{ls "/"}}"#, "[a apple]"),
            (r#"{{ls ""}}{{ls "app"}}{{ls "/ap"}}{{ls "/app/*"}}"#, "[][][][]"),
            (r#"{{ls "//app"}}"#, "[app]"),
        ],
    );
}

#[test]
fn a_key_that_is_also_a_folder_lists_itself() {
    gives(
        "{app: own, app/a: 2, app/b/c: 3}",
        &[
            (r#"{{ls "/app"}}"#, "[a app b]"),
            (r#"{{ls "/app/"}}"#, "[a b]"),
            (r#"{{lsdir "/app"}}"#, "[b]"),
        ],
    );
}

#[test]
fn lsdir_lists_folders_only_and_none_of_the_root() {
    gives(
        KEYS,
        &[
            (r#"{{lsdir "/app"}}{{lsdir "/app/"}}"#, "[b][b]"),
            (r#"{{lsdir "/"}}{{lsdir ""}}{{lsdir "app"}}"#, "[][][]"),
            (
                r#"{{lsdir "//app"}}{{lsdir "/app//"}}{{lsdir "/app/b"}}{{lsdir "/app/a"}}"#,
                "[][][][]",
            ),
        ],
    );
}

#[test]
fn functions_that_only_forks_have_are_not_there() {
    super::cannot_be_parsed(&[
        (r#"{{getallkvs}}"#, r#"1: function "getallkvs" not defined"#),
        (r#"{{cgetv "/a"}}"#, r#"1: function "cgetv" not defined"#),
        (r#"{{cgets "/a/*"}}"#, r#"1: function "cgets" not defined"#),
    ]);
}
