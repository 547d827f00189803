//! The expected results were printed by a program built with Go 1.27.3.

use super::*;

/// Builds text instead of values.
struct Text;

impl Build for Text {
    type Value = String;

    fn null(&self) -> String {
        "null".to_owned()
    }
    fn boolean(&self, value: bool) -> String {
        value.to_string()
    }
    fn number(&self, _: &str, value: f64) -> String {
        value.to_string()
    }
    fn string(&self, value: Bytes) -> String {
        String::from_utf8(value.to_vec()).expect("strings are UTF-8")
    }
    fn array(&self, elements: Vec<String>) -> String {
        format!("[{}]", elements.join(" "))
    }
    fn object(&self, members: Vec<(Bytes, String)>) -> String {
        let members: Vec<_> =
            members.into_iter().map(|(k, v)| format!("{}:{v}", self.string(k))).collect();
        format!("{{{}}}", members.join(" "))
    }
}

fn object(input: &[u8]) -> Result<Option<String>, Error> {
    decode(&Bytes::copy_from_slice(input), Root::Object, &Text)
}

fn array(input: &[u8]) -> Result<Option<String>, Error> {
    decode(&Bytes::copy_from_slice(input), Root::Array, &Text)
}

#[track_caller]
fn reads(input: impl AsRef<[u8]>, want: &str) {
    assert_eq!(array(input.as_ref()), Ok(Some(want.to_owned())));
}

#[track_caller]
fn fails(input: impl AsRef<[u8]>, want: &str) {
    let input = input.as_ref();
    match array(input) {
        Ok(value) => panic!("{:?} gave {value:?}", String::from_utf8_lossy(input)),
        Err(error) => assert_eq!(error.to_string(), want, "{:?}", String::from_utf8_lossy(input)),
    }
}

#[test]
fn values_of_every_kind() {
    reads(
        r#" [1, "two" ,true,false , null, [ ], { }, {"a":[1]}]"#,
        "[1 two true false null [] {} {a:[1]}]",
    );
    assert_eq!(
        object(b"{\"z\":1,\n\t\"a\" : {\"b\":2}}\r\n"),
        Ok(Some("{a:{b:2} z:1}".to_owned()))
    );
}

#[test]
fn null_is_accepted_for_both_kinds_of_root() {
    assert_eq!(object(b"null"), Ok(None));
    assert_eq!(array(b" null "), Ok(None));
}

#[test]
fn numbers_are_the_nearest_float64() {
    reads("[0,-0,8080,-12.5,1E5,1e+2,1.0e-2]", "[0 -0 8080 -12.5 100000 100 0.01]");
    reads("[12345678901234567890,9007199254740993]", "[12345678901234567000 9007199254740992]");
    reads(
        "[4e-324,2e-324,1.7976931348623158e308]",
        &format!("[{} 0 {}]", f64::from_bits(1), f64::MAX),
    );
}

#[test]
fn of_equal_names_the_last_wins() {
    reads(r#"[{"a":1,"b":2,"a":{"c":3},"a\u0062":4,"ab":5}]"#, "[{a:{c:3} ab:5 b:2}]");
    reads(r#"[{"a":[1,2],"a":null}]"#, "[{a:null}]");
    reads(b"[{\"\xff\":1,\"\\ud800\":2}]", "[{\u{fffd}:2}]");
}

#[test]
fn escapes_stand_for_their_characters() {
    reads(r#"["\"\\\/\b\f\n\r\tA\u00e9"]"#, "[\"\\/\u{8}\u{c}\n\r\tA\u{e9}]");
    reads(r#"["\ud83d\ude00 \uD83D\uDE00\ud83d"]"#, "[😀 😀\u{fffd}]");
    reads(
        r#"["\ud800\ud800x","\ude00\ud83d","\ud800\u0041","\ud8000"]"#,
        "[\u{fffd}\u{fffd}x \u{fffd}\u{fffd} \u{fffd}A \u{fffd}0]",
    );
}

#[test]
fn each_byte_that_is_not_utf8_becomes_a_replacement_character() {
    reads(b"[\"\xe2\x82a\xf0\x9f\x98\"]", "[\u{fffd}\u{fffd}a\u{fffd}\u{fffd}\u{fffd}]");
    reads(b"[\"\xed\xa0\x80\\n\xc0\"]", "[\u{fffd}\u{fffd}\u{fffd}\n\u{fffd}]");
    reads("[\"é\u{7f}日\"]", "[é\u{7f}日]");
}

#[test]
fn strings_without_escapes_share_the_storage_of_the_input() {
    struct Strings;
    impl Build for Strings {
        type Value = Bytes;
        fn null(&self) -> Bytes {
            Bytes::new()
        }
        fn boolean(&self, _: bool) -> Bytes {
            Bytes::new()
        }
        fn number(&self, _: &str, _: f64) -> Bytes {
            Bytes::new()
        }
        fn string(&self, value: Bytes) -> Bytes {
            value
        }
        fn array(&self, mut elements: Vec<Bytes>) -> Bytes {
            elements.remove(0)
        }
        fn object(&self, _: Vec<(Bytes, Bytes)>) -> Bytes {
            Bytes::new()
        }
    }
    let input = Bytes::from_static("[\"größe\"]".as_bytes());
    let value = decode(&input, Root::Array, &Strings).expect("valid").expect("not null");
    assert_eq!(value.as_ptr(), input[2..].as_ptr());
}

#[test]
fn a_text_that_ends_early_says_so() {
    for input in [
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "\"",
        "[\"abc",
        "[\"\\",
        "[\"\\u",
        "[\"\\u12",
        "[\"\\ud800\\u12",
        "-",
        "[1.",
        "[1e",
        "[1e+",
        "t",
        "tru",
        "[nul",
    ] {
        fails(input, "unexpected end of JSON input");
    }
}

#[test]
fn a_character_out_of_place_is_named_with_the_place() {
    for (input, want) in [
        (&b"x"[..], "'x' looking for beginning of value"),
        (b"[,1]", "',' looking for beginning of value"),
        (b"[1,]", "']' looking for beginning of value"),
        (b"'a'", r"'\'' looking for beginning of value"),
        (b"[\\]", r"'\\' looking for beginning of value"),
        (b"\x0b[]", r"'\v' looking for beginning of value"),
        (b"[\x00]", r"'\x00' looking for beginning of value"),
        (b"[\xff]", r"'\xff' looking for beginning of value"),
        (b"[\xe2\x82]", r"'\xe2' looking for beginning of value"),
        (b"\xef\xbb\xbf[]", r"'\ufeff' looking for beginning of value"),
        ("[é]".as_bytes(), "'é' looking for beginning of value"),
        ("[\u{e0001}]".as_bytes(), r"'\U000e0001' looking for beginning of value"),
        (b"[+1]", "'+' looking for beginning of value"),
        (b"{bad", "'b' looking for beginning of object key string"),
        (b"{\"a\":1,}", "'}' looking for beginning of object key string"),
        (b"{\"a\" 1}", "'1' after object key"),
        (b"{\"a\":1 \"b\"}", "'\"' after object key:value pair"),
        (b"{\"a\":1]", "']' after object key:value pair"),
        (b"[1 2]", "'2' after array element"),
        (b"[01]", "'1' after array element"),
        (b"[1.5.5]", "'.' after array element"),
        (b"[1}", "'}' after array element"),
        (b"[1] x", "'x' after top-level value"),
        (b"nullx", "'x' after top-level value"),
        (b"[\"a\nb\"]", r"'\n' in string"),
        (b"[\"\x01\"]", r"'\x01' in string"),
        (b"[-]", "']' in numeric literal"),
        (b"[1.e]", "'e' in numeric literal"),
        (b"[1e+]", "']' in numeric literal"),
        (b"[tru]", "']' in literal true (expecting 'e')"),
        (b"[nulL]", "'L' in literal null (expecting 'l')"),
        (b"[f\xff", r"'\xff' in literal false (expecting 'a')"),
    ] {
        fails(input, &format!("invalid character {want}"));
    }
}

#[test]
fn an_unknown_escape_is_quoted() {
    for (input, want) in [
        (&b"[\"\\x\"]"[..], r"`\x`"),
        (b"[\"\\u12g4\"]", r"`\u12g4`"),
        (b"[\"\\u12\"]", "`\\u12\"]`"),
        (b"[\"\\u\"", "`\\u\"`"),
        (b"[\"\\ud800\\u12g\"]", "`\\u12g\"`"),
        (b"[\"\\u1\xc3\xa934\"]", r"`\u1é3`"),
        (b"[\"\\\xc3\xa9\"]", r#""\\\xc3""#),
        (b"[\"\\u1\x01", r#""\\u1\x01""#),
        (b"[\"\\`\"]", r#""\\`""#),
        (b"[\"\\ \"]", r#""\\ ""#),
        (b"[\"\\u1\"  ]", r#""\\u1\"  ""#),
        (b"[\"\\u\xef\xbf\xbdf \"]", "\"\\\\u\u{fffd}f\""),
    ] {
        fails(input, &format!("invalid escape sequence {want} in string"));
    }
}

#[test]
fn the_wrong_kind_of_root_is_reported_after_the_syntax() {
    let wrong = |found: &str, want: &str| {
        format!("json: cannot unmarshal {found} into Go value of type {want}")
    };
    for (input, found) in
        [("[1e999]", "array"), ("\"x\"", "string"), ("-1e999", "number"), ("false", "bool")]
    {
        let error = object(input.as_bytes()).expect_err(input);
        assert_eq!(error.to_string(), wrong(found, "map[string]interface {}"));
    }
    fails("{}", &wrong("object", "[]interface {}"));
    fails("{}}", "invalid character '}' after top-level value");
}

#[test]
fn a_number_beyond_float64_is_reported_last_and_with_its_place() {
    let place = |input: &str| match object(input.as_bytes()) {
        Err(Error::Number { target, .. }) => target,
        other => panic!("{input}: {other:?}"),
    };
    assert_eq!(place(r#"{"a":1e999,"b":[1e998]}"#), "Go struct field .a");
    assert_eq!(place(r#"{"a":[[1,2,[-1e999]]]}"#), ".a.0.2.0");
    assert_eq!(place(r#"{"a":{"":[1,{"z/~":1e999}]}}"#), "Go struct field .a..1.z~1~0");
    assert_eq!(place(r#"{"":1e999}"#), "Go value");
    assert_eq!(place(r#"{"":{"":1e999}}"#), "Go struct field ..");
    fails("[1e309]", "json: cannot unmarshal number 1e309 into .0 of type float64");
    fails("[1e999,1e998", "unexpected end of JSON input");
    fails("[1.7976931348623159e308,]", "invalid character ']' looking for beginning of value");
}

#[test]
fn depth_is_limited_and_costs_no_stack() {
    let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert!(array(nested(10_000).as_bytes()).is_ok());
    fails(nested(10_001), "exceeded max depth");
    fails("[".repeat(1_000_000), "exceeded max depth");
    fails("{\"a\":".repeat(10_001), "exceeded max depth");
    fails("[".repeat(10_000) + "}", "invalid character '}' looking for beginning of value");
}
