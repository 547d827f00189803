//! The differences of Tera 2 from Tera 1.

use super::{run, tree};

/// Renders each template and expects the text beside it, or the error behind `error: `.
#[track_caller]
fn renders(cases: &[(&str, &str)]) {
    let names: Vec<_> = (0..cases.len()).map(|nth| format!("{nth:02}.tera")).collect();
    let files: Vec<_> =
        names.iter().zip(cases).map(|(name, (template, _))| (name.as_str(), *template)).collect();
    let sandbox = tree(&files, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let ended = run(&sandbox);
    for (name, (template, want)) in names.iter().zip(cases) {
        match want.strip_prefix("error: ") {
            Some(error) => {
                let said = ended.log().into_iter().find(|line| line.contains(&format!(" {name}:")));
                let said = said.unwrap_or_else(|| panic!("no error of {template}"));
                assert!(said.ends_with(error), "{template}: {said}");
            }
            None => {
                let out = sandbox.read(&format!("out/{name}"));
                assert_eq!(out, *want, "{template}\n{}", ended.stderr);
            }
        }
    }
}

#[test]
fn components_stand_in_for_macros() {
    renders(&[
        ("{% macro x() %}{% endmacro x %}", "error: Unknown tag"),
        ("{% import 'x' as y %}", "error: Unknown tag"),
        (
            "{% component x(n: integer, of=2) %}{{ n }}/{{ of }}{% endcomponent %}{{ <x n={1} /> }}",
            "1/2",
        ),
    ]);
}

#[test]
fn an_index_stands_in_brackets_and_a_question_mark_asks_for_what_may_be_missing() {
    renders(&[
        ("{% set l = [1, 2] %}{{ l.0 }}", "error: Found integer but expected identifier."),
        ("{% set l = [1, 2] %}{{ l[0] }}{{ l[-1] }}", "12"),
        ("{{ store.no.where }}", "error: Field `no` is not defined. Available fields: app"),
        ("{{ store.no?.where or 'nowhere' }}", "nowhere"),
    ]);
}

#[test]
fn a_division_gives_a_float_and_two_slashes_an_integer() {
    renders(&[("{{ 6 / 2 }} {{ 7 // 2 }} {{ 6 | div(b=2) }}", "3.0 3 3")]);
}

#[test]
fn an_include_has_to_be_there() {
    renders(&[
        ("{% include 'x' ignore missing %}", "error: Found identifier but expected %}."),
        ("{% include ['x', 'y'] %}", "error: Found `[` but expected string."),
    ]);
}

#[test]
fn some_filters_functions_and_tests_are_gone_or_have_other_names() {
    for name in [
        "addslashes",
        "as_str",
        "filesizeformat",
        "filter",
        "json_encode",
        "linebreaksbr",
        "map",
        "slice",
        "slugify",
        "spaceless",
        "striptags",
        "trim_end_matches",
        "trim_start_matches",
        "urlencode",
        "urlencode_strict",
    ] {
        renders(&[(&format!("{{{{ 1 | {name} }}}}"), &format!("error: Unknown filter `{name}`"))]);
    }
    for name in ["get_env", "get_random"] {
        renders(&[(&format!("{{{{ {name}() }}}}"), &format!("error: Unknown function `{name}`"))]);
    }
    for name in ["divisibleby", "matching", "object"] {
        renders(&[(&format!("{{{{ 1 is {name} }}}}"), &format!("error: Unknown test `{name}`"))]);
    }
    renders(&[
        ("{{ 1 | str }} {{ 'xax' | trim_start(pat='x') | trim_end(pat='x') }}", "1 a"),
        ("{{ 'a\nb' | newlines_to_br }} {{ 4 is divisible_by(divisor=2) }}", "a<br>b true"),
        (
            "{{ 'abc'[1:] }} {{ [n * 2 for n in [1, 2] if n > 1] }} {{ store is map }}",
            "bc [4] true",
        ),
    ]);
}
