//! JSON values, which print as Go prints them.

use super::{fails, gives};

/// A key with an object, which most cases use.
const KEYS: &str = r#"
obj: '{"n":2592000,"s":"text","x":null,"t":true,"list":[1,2.5,null,{"k":"v"}],"a":{"z":2,"a":1}}'
"#;

#[test]
fn numbers_are_floats() {
    let cases = [
        ("1", "1"),
        ("-0", "-0"),
        ("999999", "999999"),
        ("1000000", "1e+06"),
        ("2592000", "2.592e+06"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("12345678901234567890", "1.2345678901234567e+19"),
        ("1234567.5", "1.2345675e+06"),
        ("12345.678", "12345.678"),
        ("1e3", "1000"),
    ];
    let templates: Vec<_> =
        cases.iter().map(|(json, _)| format!("{{{{(json `{{\"n\":{json}}}`).n}}}}")).collect();
    let cases: Vec<_> = templates
        .iter()
        .zip(cases)
        .map(|(template, (_, text))| (template.as_str(), text))
        .collect();
    gives("{}", &cases);
    gives(
        KEYS,
        &[
            (r#"{{printf "%.0f" (json (getv "/obj")).n}}"#, "2592000"),
            (r#"{{eq (json (getv "/obj")).n 2592000.0}}"#, "true"),
        ],
    );
    fails(
        KEYS,
        &[(
            r#"{{$j := json (getv "/obj")}}{{eq $j.n 1}}"#,
            "1:30 <eq $j.n 1>: error calling eq: incompatible types for comparison: float64 and int",
        )],
    );
}

#[test]
fn members_print_and_list_in_the_order_of_their_names() {
    gives(
        KEYS,
        &[
            (
                r#"{{$j := json (getv "/obj")}}{{$j.s}} {{$j.t}} {{$j.list}} {{$j.a}}"#,
                "text true [1 2.5 <nil> map[k:v]] map[a:1 z:2]",
            ),
            (r#"{{range $k, $v := (json (getv "/obj")).a}}{{$k}}={{$v}} {{end}}"#, "a=1 z=2 "),
            (r#"{{(json `{"a":1,"a":2}`).a}}"#, "2"),
            (r#"{{range jsonArray `["a","b"]`}}{{.}} {{end}}{{jsonArray `[1,"x"]`}}"#, "a b [1 x]"),
            (
                r#"{{index (jsonArray `[{"a":"x"}]`) 0}} {{(index (jsonArray `[{"a":"x"}]`) 0).a}}"#,
                "map[a:x] x",
            ),
            (r#"{{(json `{"a":"\ud800x\u00e9"}`).a}}"#, "\u{fffd}xé"),
        ],
    );
}

#[test]
fn null_prints_as_no_value_or_nil_and_missing_members_too() {
    gives(
        KEYS,
        &[
            (r#"{{(json (getv "/obj")).x}}"#, "<no value>"),
            (
                r#"{{json `{"x":null}`}} {{printf "%v" (json `{"x":null}`).x}}"#,
                "map[x:<nil>] <nil>",
            ),
            (r#"{{(json "{}").nope}} {{(json "{}").nope.sub}}"#, "<no value> <no value>"),
            (r#"{{json "null"}} {{jsonArray "null"}} {{len (json "null")}}"#, "map[] [] 0"),
        ],
    );
    fails(
        KEYS,
        &[(
            r#"{{$j := json (getv "/obj")}}{{$j.x.sub}}"#,
            "1:32 <$j.x.sub>: nil pointer evaluating interface {}.sub",
        )],
    );
}

#[test]
fn malformed_json_is_an_error_in_the_words_of_go() {
    fails(
        "{}",
        &[
            (
                "{{json `[1]`}}",
                "1:2 <json `[1]`>: error calling json: json: cannot unmarshal array into Go value of type map[string]interface {}",
            ),
            (
                "{{jsonArray `{}`}}",
                "1:2 <jsonArray `{}`>: error calling jsonArray: json: cannot unmarshal object into Go value of type []interface {}",
            ),
            ("{{json ``}}", "1:2 <json ``>: error calling json: unexpected end of JSON input"),
            (
                "{{json `{} x`}}",
                "1:2 <json `{} x`>: error calling json: invalid character 'x' after top-level value",
            ),
            (
                "{{json `{bad`}}",
                "1:2 <json `{bad`>: error calling json: invalid character 'b' looking for beginning of object key string",
            ),
        ],
    );
}
