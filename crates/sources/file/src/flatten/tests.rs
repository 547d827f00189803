//! The pairs of documents, one claim in each test.

use std::collections::BTreeMap;

use bytes::Bytes;
use yaml::{Top, read};

use crate::flatten;

/// The pairs of a document, one `path=value` a line.
fn pairs(document: &str) -> String {
    let mut pairs = BTreeMap::new();
    let tree = read(&Bytes::copy_from_slice(document.as_bytes()), Top::Mapping).unwrap();
    flatten::pairs(&tree, |path, value| {
        pairs.insert(path, value);
    })
    .unwrap();
    let line = |(path, value): (&Bytes, &Bytes)| {
        format!("{}={}", String::from_utf8_lossy(path), String::from_utf8_lossy(value))
    };
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn error(document: impl AsRef<[u8]>) -> String {
    let tree = match read(&Bytes::copy_from_slice(document.as_ref()), Top::Mapping) {
        Err(error) => return error.to_string(),
        Ok(tree) => tree,
    };
    flatten::pairs(&tree, |_, _| {}).unwrap_err().to_string()
}

#[test]
fn leaves_become_pairs_under_their_path() {
    let document = "app:\n  port: 80\n  hosts:\n    - a\n    - name: b\n      up: yes\n  none: ~\n  empty: []\n";
    assert_eq!(
        pairs(document),
        "/app/hosts/0=a\n/app/hosts/1/name=b\n/app/hosts/1/up=true\n/app/port=80"
    );
}

#[test]
fn json_is_read_as_it_is() {
    let document = "{\n\t\"a\": 1, \"b\": [true, null, 1.0, 1e5], \"c\": {\"d\": \"\\u00e9\\n\"}}";
    assert_eq!(pairs(document), "/a=1\n/b/0=true\n/b/2=1\n/b/3=100000\n/c/d=é\n");
}

#[test]
fn paths_are_joined_and_cleaned() {
    assert_eq!(pairs("a/b: 1\n../up: 2\nc//d/: 3"), "/a/b=1\n/c/d=3\n/up=2");
    assert_eq!(pairs("a: {../b: 1, '': 2, .: {x: 3}}"), "/a=2\n/a/x=3\n/b=1");
}

#[test]
fn of_two_leaves_with_one_path_the_key_that_sorts_last_counts() {
    assert_eq!(pairs("a/b: 1\na: {b: 2}"), "/a/b=1");
}

#[test]
fn of_equal_keys_the_last_one_counts_as_a_whole() {
    assert_eq!(pairs("a: {b: 1}\na: {c: 2}"), "/a/c=2");
}

#[test]
fn keys_that_are_no_strings_become_strings() {
    let document =
        "1: a\n0x10: b\n1.50: c\nyes: d\nn: e\n~: f\n2001-01-01: g\n18446744073709551615: h";
    assert_eq!(
        pairs(document),
        "/1=a\n/1.5=c\n/16=b\n/18446744073709551615=h\n/2001-01-01=g\n/false=e\n/null=f\n/true=d"
    );
}

#[test]
fn a_key_with_structure_is_refused() {
    for document in ["[a]: x", "{a: b}: x", "? [a]\n: x", "a: &a [1]\n? *a\n: 2"] {
        assert!(error(document).ends_with("invalid map key: not a single value"), "{document}");
    }
}

#[test]
fn anchors_name_the_last_node_that_has_them() {
    assert_eq!(pairs("a: &x 1\nb: *x\nc: &x [2]\nd: *x"), "/a=1\n/b=1\n/c/0=2\n/d/0=2");
    assert_eq!(pairs("&a x: 1\n*a : 2"), "/x=2");
}

#[test]
fn a_merge_takes_part_in_the_order_of_the_keys() {
    let base = "base: &m {a: 1, b: 1}\n";
    for (document, expected) in [
        ("z: {<<: *m, a: 2}", "/z/a=2\n/z/b=1"),
        ("z: {a: 2, <<: *m}", "/z/a=1\n/z/b=1"),
        ("z: {<<: [{a: 3}, *m]}", "/z/a=3\n/z/b=1"),
        ("z: {<<: []}", ""),
        ("z: {<<: {<<: {a: 4}, c: 5}}", "/z/a=4\n/z/c=5"),
        ("z: {'<<': x}", "/z/<<=x"),
        ("z: {!!merge <<: {c: 1}}", "/z/c=1"),
        ("z: {!!str <<: x}", "/z/<<=x"),
        ("z: <<", "/z=<<"),
    ] {
        let found = pairs(&format!("{base}{document}"));
        let found: Vec<_> = found.lines().filter(|line| line.starts_with("/z")).collect();
        assert_eq!(found.join("\n"), expected, "{document}");
    }
}

#[test]
fn only_mappings_can_be_merged() {
    for document in ["<<: 1", "a: {<<: ~}", "a: {<<: [{b: 1}, 2]}"] {
        assert!(
            error(document).ends_with("map merge requires map or sequence of maps as the value"),
            "{document}"
        );
    }
}

#[test]
fn only_the_first_document_is_read() {
    assert_eq!(pairs("a: 1\n---\nb: 2"), "/a=1");
    assert_eq!(pairs("--- {a: 1}\n--- ["), "/a=1");
    assert_eq!(pairs("---\n---\na: 1"), "");
}

#[test]
fn a_document_that_says_nothing_has_no_pairs() {
    for document in ["", " ", "\n", "# only a comment", "---", "--- ~", "null", "{}"] {
        assert_eq!(pairs(document), "", "{document:?}");
    }
}

#[test]
fn block_scalars_keep_their_line_breaks_but_get_none_of_their_own() {
    for (document, expected) in [
        ("a: |\n  x\n  y\n", "/a=x\ny\n"),
        ("a: |\n  x\n  y", "/a=x\ny"),
        ("a: |+\n  x\n\n", "/a=x\n\n"),
        ("a: |-\n  x\n", "/a=x"),
        ("a: >\n  x\n  y\n\n  z\n", "/a=x y\nz\n"),
        ("a: >\n  x\n  y", "/a=x y"),
        ("a: |\n  x\n# comment", "/a=x\n"),
        ("a: |\n  x\n  ", "/a=x\n"),
        ("a:\n- |\n  é", "/a/0=é"),
    ] {
        assert_eq!(pairs(document), expected, "{document:?}");
    }
}

#[test]
fn utf16_and_byte_order_marks_are_understood() {
    let units = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(bytes).collect()
    };
    assert_eq!(pairs("\u{feff}a: 1"), "/a=1");
    for document in [units("a: é", u16::to_le_bytes), units("a: é", u16::to_be_bytes)] {
        let tree = read(&document.into(), Top::Mapping).unwrap();
        let mut found = Vec::new();
        flatten::pairs(&tree, |_, value| found.push(value)).unwrap();
        assert_eq!(found, ["é"]);
    }
}

#[test]
fn a_top_that_is_no_mapping_is_refused_in_the_words_of_confd() {
    for (document, line, found) in [
        ("- a", 1, "!!seq"),
        ("\n\n[a]", 3, "!!seq"),
        ("word", 1, "!!str"),
        ("12", 1, "!!int"),
        ("1.5", 1, "!!float"),
        ("yes", 1, "!!bool"),
    ] {
        let expected = format!(
            "yaml: unmarshal errors:\n  line {line}: cannot unmarshal {found} into map[interface {{}}]interface {{}}"
        );
        assert_eq!(error(document), expected);
    }
}

#[test]
fn an_error_names_its_line() {
    for (document, line) in [
        ("a: b: c", 1),
        ("a: 1\nb: [", 2),
        ("a: 1\nb: @x", 2),
        ("a: 1\nb: *nope", 2),
        ("a: 1\n\nb: !!int x", 3),
        ("a:\n  - b\n c: d", 3),
    ] {
        let found = error(document);
        assert!(found.starts_with(&format!("yaml: line {line}: ")), "{document:?}: {found}");
    }
    assert_eq!(error(b"a: 1\nb: \xff"), "yaml: line 2: invalid UTF-8");
}

#[test]
fn an_error_does_not_show_values() {
    for document in ["password: !!int hunter2", "hunter2", "password: !!binary hunter2"] {
        assert!(!error(document).contains("hunter2"), "{document}");
    }
}

#[test]
fn an_anchor_that_contains_itself_is_refused() {
    for document in ["a: &x [*x]", "a: &x {b: *x}", "a: &x {<<: *x}"] {
        assert!(error(document).contains("contains itself"), "{document}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    for opening in ["[", "{a: ", "- ", "? "] {
        let document = format!("a: {}", opening.repeat(100_000));
        assert!(error(&document).starts_with("yaml: line 1: "), "{opening:?}");
    }
    let deep: String = (0..900).map(|depth| format!("{}k:\n", " ".repeat(depth))).collect();
    assert_eq!(pairs(&format!("{deep}{}k: 1", " ".repeat(900))).matches("/k").count(), 901);
}

#[test]
fn aliases_that_repeat_each_other_are_bounded() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    let mut merges = "a0: &a0 {x: 1}\n".to_owned();
    for level in 1..60 {
        let before = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", "));
        merges += &format!("a{level}: &a{level} {{<<: [{before}, {before}], k{level}: 1}}\n");
    }
    assert_eq!(error(&bomb), "yaml: document contains excessive aliasing");
    // Merging the same keys again and again makes nothing larger.
    assert_eq!(pairs(&merges).lines().count(), 60 * 61 / 2);

    let many_keys: String = (0..2_000).map(|key| format!("k{key}: 1, ")).collect();
    let copies: String = (0..2_000).map(|n| format!("c{n}: {{<<: *m}}\n")).collect();
    assert_eq!(
        error(format!("m: &m {{{many_keys}}}\n{copies}")),
        "yaml: document contains excessive aliasing"
    );
}

#[test]
fn honest_aliases_are_not_bounded() {
    let uses: String = (0..10_000).map(|n| format!("u{n}: *m\n")).collect();
    let document = format!("m: &m {{host: h, port: 1}}\n{uses}");
    assert_eq!(pairs(&document).lines().count(), 20_002);
}

#[test]
fn no_text_makes_it_panic() {
    let pieces = [
        "a",
        "b:",
        "- ",
        "? ",
        ": ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&x ",
        "*x",
        "<<: ",
        "!!int ",
        "!!binary ",
        "!t ",
        "|",
        ">-",
        "'",
        "\"",
        "\\",
        "#",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "0x",
        "1_",
        "é",
        "\u{feff}",
        "\0",
        "../",
        "~",
    ];
    // Any sequence is suitable if it is always the same: Knuth's linear congruences.
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let mut read_well = 0;
    for _ in 0..20_000 {
        let document: String = (0..1 + next(24)).map(|_| pieces[next(pieces.len())]).collect();
        if let Ok(tree) = read(&Bytes::copy_from_slice(document.as_bytes()), Top::Mapping) {
            read_well += usize::from(flatten::pairs(&tree, |_, _| {}).is_ok());
        }
    }
    assert!(read_well > 100, "only {read_well} of the documents could be read");
}
