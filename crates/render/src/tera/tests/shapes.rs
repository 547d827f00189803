//! Templates of every shape: none overflows the stack of a test thread, and checks change nothing
//! that can be seen.

use proptest::prelude::*;

use super::{made_of, render};

/// Nested and repeated constructs: what opens, what is inside, what closes, and what is around.
const SHAPES: [(&str, &str, &str, [&str; 2]); 30] = [
    ("{% if true %}", "x", "{% endif %}", ["", ""]),
    ("{% if false %}{% else %}", "x", "{% endif %}", ["", ""]),
    ("{% for a in [1] %}", "x", "{% endfor %}", ["", ""]),
    ("{% for a in [] %}{% else %}", "x", "{% endfor %}", ["", ""]),
    ("{% filter upper %}", "x", "{% endfilter %}", ["", ""]),
    ("{% set a %}", "x", "{% endset %}", ["", ""]),
    ("{% set a %}{% if true %}", "x", "{% endif %}{% endset %}", ["", ""]),
    ("{% block NTH %}", "x", "{% endblock %}", ["", ""]),
    ("{% elif false %}", "x", "", ["{% if false %}", "{% endif %}"]),
    (
        "{% elif false %}",
        "x",
        "",
        ["{% component c() %}{% if false %}", "{% endif %}{% endcomponent %}"],
    ),
    ("{% if false %}{% elif false %}{% elif true %}", "x", "{% endif %}", ["", ""]),
    ("(", "1", ")", ["{{ ", " }}"]),
    ("[", "1", "]", ["{{ ", " }}"]),
    ("{'a': ", "1", "}", ["{{ ", " }}"]),
    ("-", "1", "", ["{{ ", " }}"]),
    ("not ", "1", "", ["{{ ", " }}"]),
    ("1 + ", "1", "", ["{{ ", " }}"]),
    ("1 ** ", "1", "", ["{{ ", " }}"]),
    ("1 if true else ", "1", "", ["{{ ", " }}"]),
    ("", "1", " if true else 1", ["{{ ", " }}"]),
    ("", "1", " | str", ["{{ ", " }}"]),
    ("", "1", " is string", ["{{ ", " }}"]),
    ("", "1", " not in [1]", ["{{ ", " }}"]),
    ("", "store", ".a?.b?['c']", ["{{ ", " }}"]),
    ("store[", "1", "]", ["{{ ", " }}"]),
    ("map(a=", "1", ")", ["{{ ", " }}"]),
    ("1 | default(value=", "1", ")", ["{{ ", " }}"]),
    ("[a for a in ", "[1]", "]", ["{{ ", " }}"]),
    ("[a] + [1 for a in [1] if ", "true", "]", ["{{ ", " }}"]),
    ("{% <c> %}", "x", "{% </c> %}", ["{% component c() %}{{ body }}{% endcomponent %}", ""]),
];

#[test]
fn nesting_of_every_kind_ends_in_a_text_or_an_error() {
    for (open, inner, close, [before, behind]) in SHAPES {
        for times in [1, 30, 39, 40, 41, 250, 5_000] {
            let part = |text: &str| -> String {
                (0..times).map(|nth| text.replace("NTH", &format!("b{nth}"))).collect()
            };
            let source = [before, &part(open), inner, &part(close), behind].concat();
            // That it returns is the claim. Tera refuses what is nested more than 40 times.
            let _ = render(&source);
        }
    }
}

#[test]
fn super_in_blocks_of_many_files_ends_in_a_text_or_an_error() {
    for files in [2, 10, 99] {
        let name = |nth: usize| if nth == 0 { "a.tera".to_owned() } else { format!("{nth}") };
        let blocks = |inner: &str| {
            let open: String = (0..30).map(|nth| format!("{{% block b{nth} %}}")).collect();
            format!("{open}{inner}{}", "{% endblock %}".repeat(30))
        };
        let text = |nth: usize| match nth + 1 {
            next if next < files => format!("{{% extends '{next}' %}}{}", blocks("{{ super() }}")),
            _ => blocks("end"),
        };
        let files: Vec<_> = (0..files).map(|nth| (name(nth), text(nth))).collect();
        let files: Vec<_> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        assert_eq!(made_of(&files), "end", "{}", files.len());
    }
}

/// Pieces of templates. Most sequences of them are faulty.
const PIECES: [&str; 30] = [
    "{%- set x = [x] -%}",
    "{% set x=1 %}",
    "{% set_global y = {'a': x} %}",
    "{% set_global y = 'a%}' ~ (\"}}\") -%}",
    "{% set y | upper %}",
    "{% endset %}",
    "{% if x %}",
    "{% elif y %}",
    "{%- else -%}",
    "{% endif %}",
    "{% for i in [1, 2] -%}",
    "{% for x in range(end=3) %}",
    "{%- endfor %}",
    "{{ x }}",
    "{{- y }}",
    "{{ y.z }}",
    "{{ nope }}",
    "{{ [1] | nope }}",
    "{{ throw(message='m') }}",
    "{{ <c /> }}",
    "{% include 'b' %}",
    "{%- include 'b' -%}",
    "{% block a %}",
    "{% block b -%}",
    "{% endblock -%}",
    "{# {% set x = [ %} -#}",
    "{%- raw -%} {% set x = [ {% endraw %}",
    " \n é ",
    "  ",
    "{",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn checks_change_no_text_and_no_error(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12)
    ) {
        // The word in the comment and the list in the loop make all checks necessary.
        let text = |word, list| {
            let end = "{% for q in [] %}{% set q = LIST %}{% endfor %}".replace("LIST", list);
            format!("{}\n{{# {word} #}}{end}", pieces.concat())
        };
        let others = [
            ("b", "[{{ x }}]{% set y = 3 %}"),
            ("c.tera", "{% component c() %}{% set x = [1] -%} c{{ x }}{% endcomponent %}"),
        ];
        let result = |text: &str| made_of(&[&[("a.tera", text)], &others[..]].concat());
        prop_assert_eq!(result(&text("plain", " q ")), result(&text("super", "[q]")));
    }
}
