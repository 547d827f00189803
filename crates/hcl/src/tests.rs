//! The language, one claim in each test.

use proptest::prelude::*;

use super::*;

/// The value of `a` in `text`.
#[track_caller]
fn value(text: &str) -> Value {
    read(text).unwrap().get("a").unwrap().value.clone()
}

#[track_caller]
fn fails(text: &str, expect: &str) {
    assert_eq!(read(text).unwrap_err().to_string(), expect, "{text}");
}

#[test]
fn numbers_are_decimal_octal_or_hexadecimal() {
    for (text, number) in
        [("0", 0), ("600", 600), ("0644", 0o644), ("0xfF", 255), ("-12", -12), ("-010", -8)]
    {
        assert_eq!(value(&format!("a = {text}")), Value::Int(number), "{text}");
    }
    for (text, number) in [
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-2.5E-1", -0.25),
        ("0.9", 0.9),
        ("09.5", 9.5),
    ] {
        assert_eq!(value(&format!("a = {text}")), Value::Float(number), "{text}");
    }
    fails("a = 089", "At 1:8: illegal octal number");
    fails("a = 0x", "At 1:7: illegal hexadecimal number");
    fails("a = 99999999999999999999", "At 1:5: number out of range");
}

#[test]
fn strings_have_escapes_and_keep_what_looks_like_an_expression() {
    let text = r#"a = "tab\t nl\n q\" b\\ é \u00e9 \x41 \101""#;
    assert_eq!(value(text), Value::String("tab\t nl\n q\" b\\ é é A A".into()));
    let text = "a = \"x ${ f(\"y\", {\n 1 }) } z\"";
    assert_eq!(value(text), Value::String("x ${ f(\"y\", {\n 1 }) } z".into()));
    assert_eq!(value(r#"a = "{{ key }} $x""#), Value::String("{{ key }} $x".into()));
    fails("a = \"x\ny\"", "At 1:7: literal not terminated");
    fails(r#"a = "\q""#, "At 1:7: illegal char escape");
}

#[test]
fn a_heredoc_is_whole_lines() {
    assert_eq!(value("a = <<EOF\n x \"${y}\"\n\nEOF\n"), Value::String(" x \"${y}\"\n\n".into()));
    assert_eq!(value("a = <<-EOF\n    x\n      y\n    EOF\n"), Value::String("x\n  y\n".into()));
    assert_eq!(value("a = <<EOF\r\nx\r\nEOF\r\nb = 1"), Value::String("x\r\n".into()));
    assert_eq!(value("a = <<EOF\nEOF"), Value::String(String::new()));
    fails("a = <<EOF\nx\n", "At 3:1: heredoc not terminated");
    fails("a = <EOF\nx\nEOF", "At 1:5: heredoc expected second '<', didn't see it");
    fails("a = <<E F\nx\nE F", "At 1:5: invalid characters in heredoc anchor");
}

#[test]
fn comments_stand_anywhere_between_tokens() {
    let text = "# one\n// two\na /* three */ = /* \n */ 1 # four\n/**/";
    assert_eq!(value(text), Value::Int(1));
    fails("a = 1 / 2", "At 1:7: expected '/' for comment");
    fails("/* x", "At 1:5: comment not terminated");
}

#[test]
fn entries_need_no_separator() {
    let body = read("t { a = 1 b = \"x\", c = true d { } e = [1, 2,] }").unwrap();
    let block = &body.get("t").unwrap().value.as_blocks().unwrap()[0];
    let keys: Vec<_> = block.entries().iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "c", "d", "e"]);
    assert_eq!(block.get("e").unwrap().value, Value::List(vec![Value::Int(1), Value::Int(2)]));
}

#[test]
fn of_a_repeated_key_blocks_are_added_and_the_last_scalar_counts() {
    assert_eq!(value("a = 1\nb = 0\na = \"x\""), Value::String("x".into()));
    assert_eq!(value("a = [1]\na = [2]"), Value::List(vec![Value::Int(1), Value::Int(2)]));
    assert_eq!(value("a { x = 1 }\na { }\na = { y = 2 }").as_blocks().map(<[Body]>::len), Some(3));
}

#[test]
fn labels_are_objects_in_the_block() {
    assert_eq!(value("a \"x\" y { z = 1 }"), value("a { x { y { z = 1 } } }"));
    assert_eq!(value("\"a\" = [{ x = 1 }, { x = 2 }]"), value("a { x = 1 }\na { x = 2 }"));
}

#[test]
fn a_fault_is_reported_in_the_words_of_the_library() {
    fails("t {\n  source = \n}\n", "At 3:1: Unknown token: 3:1 RBRACE }");
    fails("t {\n  source = \"x\"\n", "At 3:1: object expected closing RBRACE got: EOF");
    fails("a = warn", "At 1:5: Unknown token: 1:5 IDENT warn");
    fails(
        "plain words here\n",
        "At 2:1: key 'plain words here' expected start of object ('{') or assignment ('=')",
    );
    fails("a", "At 1:3: key 'a' expected start of object ('{') or assignment ('=')");
    fails("a = [1,", "At 1:9: unexpected token while parsing list: EOF");
    fails("a b = 1", "At 1:5: nested object expected: LBRACE got: ASSIGN");
    fails("a ]", "At 1:3: key 'a' expected start of object ('{') or assignment ('=')");
    fails("a = [1 2]", "At 1:8: error parsing list, expected comma or list end, got: NUMBER");
    fails("a = 1\n}", "At 2:1: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE");
    fails("a = ;", "At 1:5: illegal char");
}

#[test]
fn nesting_has_a_limit() {
    for open in ["a = [", "a {"] {
        let text = open.to_owned() + &open.trim_start_matches("a = ").repeat(100_000);
        assert!(read(&text).unwrap_err().to_string().contains("nested more than 256 deep"));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn any_string_survives_quoting(content in "[^$]*") {
        let quoted: String = content.chars().map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            '\n' => "\\n".to_owned(),
            c => c.to_string(),
        }).collect();
        prop_assert_eq!(value(&format!("a = \"{quoted}\"")), Value::String(content));
    }

    #[test]
    fn tokens_in_any_order_are_read_or_refused(
        words in proptest::collection::vec(
            prop::sample::select(vec!["a", "=", "{", "}", "[", "]", ",", "\"s\"", "1", "0x", "<<E\n", "\nE\n", "${", "/*", "*/", "#", "\n", ".5", "-", "\\"]),
            0..40,
        )
    ) {
        let _ = read(&words.concat());
    }
}
