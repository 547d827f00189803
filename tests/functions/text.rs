//! Strings, paths, lists and maps.

use super::{KEYS, fails, gives};

#[test]
fn strings_are_split_joined_and_replaced_as_by_go() {
    gives(
        "{}",
        &[
            (r#"{{range split "a,b,,c" ","}}[{{.}}]{{end}}"#, "[a][b][][c]"),
            (r#"{{len (split "" ":")}} {{split "aéb" ""}} {{len (split "" "")}}"#, "1 [a é b] 0"),
            (r#"{{index (split "a:b" ":") 1}}"#, "b"),
            (r#"{{join (split "a b c" " ") ", "}}"#, "a, b, c"),
            (
                r#"{{replace "aaa" "a" "b" 2}} {{replace "aaa" "a" "b" -1}} {{replace "aaa" "a" "b" 0}}"#,
                "bba bbb aaa",
            ),
            (r#"{{replace "aé" "" "-" -1}} {{replace "aé" "" "-" 1}}"#, "-a-é- -aé"),
            (
                r#"{{contains "abc" "b"}} {{contains "abc" "x"}} {{contains "abc" ""}}"#,
                "true false true",
            ),
            (r#"{{trimSuffix "a.com.com" ".com"}} {{trimSuffix "a" "b"}}"#, "a.com a"),
        ],
    );
}

#[test]
fn letter_case_changes_code_point_by_code_point() {
    gives(
        "{}",
        &[
            (r#"{{toUpper "abc é"}} {{toLower "ABC É"}}"#, "ABC É abc é"),
            (r#"{{toUpper "ß"}} {{toLower "İ"}} {{toUpper "ǆ"}}"#, "ß i Ǆ"),
        ],
    );
}

#[test]
fn base_and_dir_take_paths_apart() {
    gives(
        "{}",
        &[
            (
                r#"{{base "/a/b"}} {{base "/a/b/"}} {{base ""}} {{base "/"}} {{base "a"}}"#,
                "b b . / a",
            ),
            (
                r#"{{dir "/a/b"}} {{dir "/a/b/"}} {{dir ""}} {{dir "/a/../b/c"}} {{dir "/"}} {{dir "a"}}"#,
                "/a /a/b . /b / .",
            ),
        ],
    );
}

#[test]
fn base64_goes_both_ways() {
    gives(
        "{}",
        &[
            (r#"{{base64Encode "hello"}} {{base64Decode "aGVsbG8="}}"#, "aGVsbG8= hello"),
            ("{{base64Decode \"aGVs\\r\\nbG8=\"}}{{base64Encode \"\"}}", "hello"),
        ],
    );
    fails(
        "{}",
        &[
            (
                r#"{{base64Decode "YSsvw6k_"}}"#,
                r#"1:2 <base64Decode "YSsvw6k_">: error calling base64Decode: illegal base64 data at input byte 7"#,
            ),
            (
                r#"{{base64Decode "YQ"}}"#,
                r#"1:2 <base64Decode "YQ">: error calling base64Decode: illegal base64 data at input byte 0"#,
            ),
        ],
    );
}

#[test]
fn lists_of_strings_and_sorted_pairs_are_reversed_in_place() {
    gives(
        KEYS,
        &[
            (r#"{{$l := split "a b c" " "}}{{reverse $l}}{{$l}}"#, "[c b a][c b a]"),
            (r#"{{reverse (ls "/app")}}{{reverse (getvs "/app/*")}}"#, "[b a][2]"),
            (r#"{{range reverse (sortKVByLength (gets "/*"))}}{{.Key}} {{end}}"#, "/apple /a "),
        ],
    );
}

#[test]
fn nothing_else_is_reversed() {
    gives(
        KEYS,
        &[
            (r#"{{range reverse (gets "/*")}}{{.Key}} {{end}}"#, "/a /apple "),
            (
                r#"{{reverse (seq 1 3)}} {{reverse "abc"}} {{reverse (jsonArray "[1,2]")}}"#,
                "[1 2 3] abc [1 2]",
            ),
        ],
    );
}

#[test]
fn sorting_by_length_keeps_equals_in_order_and_sorts_in_place() {
    gives(
        "{k: {ccc: 1, bb: 2, a: 3, aa: 4}}",
        &[
            (
                r#"{{$l := split "ccc b aa a é" " "}}{{sortByLength $l}}{{$l}}"#,
                "[b a aa é ccc][b a aa é ccc]",
            ),
            // Beyond twelve elements Go confd does not keep the order.
            (
                r#"{{join (sortByLength (split "z n aa y m l x k j w i h v g ff" " ")) " "}}"#,
                "z n y m l x k j w i h v g aa ff",
            ),
            (
                r#"{{range sortKVByLength (gets "/k/*")}}{{base .Key}}{{.Value}} {{end}}"#,
                "a3 aa4 bb2 ccc1 ",
            ),
        ],
    );
}

#[test]
fn map_makes_a_map_of_names_and_values() {
    gives(
        "{}",
        &[
            (
                r#"{{$m := map "b" "x" "a" 1}}{{$m}} {{$m.a}}{{$m.b}} {{$m.c}} {{len $m}}"#,
                "map[a:1 b:x] 1x <no value> 2",
            ),
            (r#"{{map}}"#, "map[]"),
            (
                r#"{{define "t"}}{{.host}}:{{.port}}{{end}}{{template "t" map "host" "h" "port" 80}}"#,
                "h:80",
            ),
            (r#"{{range $k, $v := map "z" 1 "a" 2}}{{$k}}={{$v}} {{end}}"#, "a=2 z=1 "),
        ],
    );
    fails(
        "{}",
        &[
            (r#"{{map "a"}}"#, r#"1:2 <map "a">: error calling map: invalid map call"#),
            (r#"{{map 1 2}}"#, "1:2 <map 1 2>: error calling map: map keys must be strings"),
        ],
    );
}

#[test]
fn a_wrong_type_or_count_of_arguments_is_an_error_at_the_argument() {
    fails(
        KEYS,
        &[
            ("{{add 1.5 2}}", "1:6 <1.5>: expected integer; found 1.5"),
            (r#"{{add 1 "1"}}"#, r#"1:8 <"1">: expected integer; found "1""#),
            (
                "{{add 9223372036854775808 1}}",
                "1:6 <9223372036854775808>: expected integer; found 9223372036854775808",
            ),
            (r#"{{getv "/nokey" 5}}"#, "1:16 <5>: expected string; found 5"),
            ("{{getv nil}}", "1:7 <nil>: cannot assign nil to string"),
            (
                r#"{{add (json "{\"n\":1}").n 1}}"#,
                r#"1:12 <"{\"n\":1}">: wrong type for value; expected int; got float64"#,
            ),
            (
                r#"{{toUpper (get "/a")}}"#,
                r#"1:15 <"/a">: wrong type for value; expected string; got memkv.KVPair"#,
            ),
            (
                r#"{{join (gets "/app/*") ","}}"#,
                r#"1:13 <"/app/*">: wrong type for value; expected []string; got memkv.KVPairs"#,
            ),
            (
                r#"{{join (jsonArray "[1]") ","}}"#,
                r#"1:18 <"[1]">: wrong type for value; expected []string; got []interface {}"#,
            ),
            (
                r#"{{sortByLength (gets "/a")}}"#,
                r#"1:21 <"/a">: wrong type for value; expected []string; got memkv.KVPairs"#,
            ),
            (r#"{{split "a"}}"#, "1:2 <split>: wrong number of args for split: want 2 got 1"),
            ("{{getv}}", "1:2 <getv>: wrong number of args for getv: want at least 1 got 0"),
            ("{{reverse 1 2}}", "1:2 <reverse>: wrong number of args for reverse: want 1 got 2"),
            ("{{.x | getv}}", "1:7 <getv>: invalid value; expected string"),
            (
                r#"{{(get "/a").Nope}}"#,
                r#"1:7 <"/a">: can't evaluate field Nope in type memkv.KVPair"#,
            ),
            (
                r#"{{range gets "/*"}}{{.Nope}}{{end}}"#,
                "1:21 <.Nope>: can't evaluate field Nope in type memkv.KVPair",
            ),
            ("{{datetime.Nope}}", "1:2 <datetime>: can't evaluate field Nope in type time.Time"),
            (
                "{{datetime.Format}}",
                "1:2 <datetime>: wrong number of args for Format: want 1 got 0",
            ),
        ],
    );
}
