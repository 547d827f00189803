//! The language, one claim in each test. The crate `render` compares whole templates with Go's
//! results.

mod support;

use std::sync::Arc;

use bytes::Bytes;
use gotmpl::types::{FuncType, Type};
use gotmpl::{
    Dialect, ErrorKind, Failure, Func, Functions, Limits, Map, MissingKey, Template, Value,
};

#[track_caller]
fn check(template: &str, expect: &str) {
    let (stage, out, error) = support::run(template.as_bytes(), &support::functions());
    assert_eq!((stage, &*error), ("ok", ""), "{template}");
    assert_eq!(String::from_utf8_lossy(&out), expect, "{template}");
}

#[track_caller]
fn fails(template: &str, expect: &str) {
    let (stage, _, error) = support::run(template.as_bytes(), &support::functions());
    assert_ne!(stage, "ok", "{template}");
    assert_eq!(error, expect, "{template}");
}

#[test]
fn the_element_of_a_loop_is_the_slot_of_the_slice() {
    check(
        r#"{{$l := split "a,b" ","}}{{range $l}}{{.}}{{$_ := reverse $l}}{{.}};{{end}}"#,
        "ab;ab;",
    );
}

#[test]
fn what_index_gives_changes_with_the_slice() {
    check(r#"{{$l := split "a,b" ","}}{{$e := index $l 0}}{{$_ := reverse $l}}{{$e}}"#, "b");
    check("{{$l := plain (kvs 2)}}{{$k := (index $l 0).Key}}{{$_ := reverse $l}}{{$k}}", "/k1");
}

#[test]
fn arguments_are_taken_when_all_have_been_evaluated() {
    check(r#"{{$l := split "a,b" ","}}{{print (index $l 0) (reverse $l)}}"#, "b[b a]");
}

#[test]
fn a_value_in_a_map_is_a_copy() {
    check(
        r#"{{$l := split "a,b" ","}}{{$m := map "e" (index $l 0)}}{{$_ := reverse $l}}{{$m}}"#,
        "map[e:a]",
    );
}

#[test]
fn slice_refuses_an_index_in_a_slot_of_interface_type_and_index_does_not() {
    check(r#"{{range list 1}}{{index "abc" .}}{{end}}"#, "98");
    fails(
        r#"{{range list 1}}{{slice "abc" .}}{{end}}"#,
        r#"template: t.tmpl:1:18: executing "t.tmpl" at <slice "abc" .>: error calling slice: cannot index slice/array with type interface {}"#,
    );
}

#[test]
fn a_variable_never_holds_a_nil_interface() {
    fails(
        "{{with $x := none}}{{else}}{{yes $x}}{{end}}",
        r#"template: t.tmpl:1:33: executing "t.tmpl" at <$x>: invalid value; expected bool"#,
    );
}

#[test]
fn break_in_the_else_list_of_a_loop_leaves_that_list_only() {
    check("{{range 2}}{{range 0}}{{else}}a{{break}}b{{end}}c{{end}}", "acac");
    check("{{range 2}}{{range 0}}{{else}}a{{continue}}b{{end}}c{{end}}", "aa");
}

#[test]
fn leaving_a_loop_restores_dots_and_variables() {
    check(
        "{{$x := 0}}{{range 3}}{{with $x := 5}}{{if $y := 6}}{{break}}{{end}}{{end}}{{end}}{{.}}{{$x}}",
        "<no value>0",
    );
}

#[test]
fn a_declaration_that_was_not_evaluated_did_not_happen() {
    check("{{$y := 9}}{{or 1 ($y := 2)}}{{$y}}", "19");
    check("{{$y := 9}}{{or 0 ($y := 2)}}{{$y}}", "22");
    fails(
        "{{or 1 ($y := 2)}}{{$y}}",
        r#"template: t.tmpl:1:20: executing "t.tmpl" at <$y>: undefined variable: $y"#,
    );
}

#[test]
fn a_function_is_not_called_once_and_or_or_is_decided() {
    check("{{and 0 fail}}{{or 1 fail}}", "01");
}

#[test]
fn ranging_over_a_function_takes_what_it_yields() {
    static SEQ: FuncType =
        FuncType { name: "func(func(int) bool)", params: &[Type::Int], variadic: false };
    static SEQ2: FuncType =
        FuncType { name: "func(func(string, int) bool)", params: &[Type::Int], variadic: false };
    let mut functions: Functions<()> = Functions::new();
    functions.add("up", |_: &(), end: i64| {
        let steps = move || (0..end).map(|n| (Value::Nil, Value::Int(n * n)));
        Value::Func(Func::iterator(&SEQ, 1, move || Box::new(steps())))
    });
    functions.add("named", |_: &()| {
        let steps = || [("a", 1), ("b", 2)].map(|(key, n)| (key.into(), Value::Int(n)));
        Value::Func(Func::iterator(&SEQ2, 2, move || Box::new(steps().into_iter())))
    });
    let functions = Arc::new(functions);
    for (template, expect) in [
        ("{{range up 4}}{{if eq . 4}}{{break}}{{end}}{{.}},{{end}}", "0,1,"),
        ("{{range $n := up 0}}{{$n}}{{else}}none{{end}}", "none"),
        ("{{range $k, $n := named}}{{$k}}={{$n}};{{end}}", "a=1;b=2;"),
        ("{{range named}}{{.}}{{end}}", "12"),
    ] {
        let (_, out, error) = support::run(template.as_bytes(), &functions);
        assert_eq!((&*String::from_utf8_lossy(&out), &*error), (expect, ""), "{template}");
    }
}

#[test]
fn call_calls_function_values_with_checked_arguments() {
    static ADD: FuncType =
        FuncType { name: "func(int, int) int", params: &[Type::Int, Type::Int], variadic: false };
    let mut functions: Functions<()> = Functions::new();
    functions.add("adder", |_: &()| {
        Value::Func(Func::new(&ADD, |arguments| {
            Ok(Value::Int(arguments.iter().filter_map(Value::as_i64).sum()))
        }))
    });
    let functions = Arc::new(functions);
    let (_, out, error) = support::run(b"{{call adder 1 2}}", &functions);
    assert_eq!((&*out, &*error), (&b"3"[..], ""));
    for (template, expect) in [
        ("{{call adder 1}}", "wrong number of args for adder: got 1 want 2"),
        ("{{call adder 1 true}}", "arg 1: value has type bool; should be int"),
        ("{{call adder 1 nil}}", "arg 1: value is nil; should be of type int"),
    ] {
        let (_, _, error) = support::run(template.as_bytes(), &functions);
        assert!(error.ends_with(&format!("error calling call: {expect}")), "{error}");
    }
    let (_, _, error) = support::run(b"{{adder}}", &functions);
    assert!(error.ends_with("can't print {{adder}} of type func(int, int) int"), "{error}");
}

#[test]
fn a_function_named_break_is_no_keyword() {
    let mut functions: Functions<()> = Functions::new();
    functions.add("break", |_: &()| 7_i64);
    let (_, out, error) = support::run(b"{{break}}", &Arc::new(functions));
    assert_eq!((&*out, &*error), (&b"7"[..], ""));
}

#[test]
fn output_before_an_error_stays() {
    let (stage, out, _) = support::run(b"a{{1}}{{fail}}b", &support::functions());
    assert_eq!((stage, &*out), ("exec", &b"a1"[..]));
}

#[test]
fn bytes_that_are_not_utf8_pass_through() {
    let (stage, out, _) = support::run(b"\xff{{`\xfe`}}{{\"\\xfd\"}}", &support::functions());
    assert_eq!((stage, &*out), ("ok", &b"\xff\xfe\xfd"[..]));
}

#[test]
fn an_error_knows_its_place() {
    let template = Template::parse("a.tmpl", "x\n {{fail}}", &support::functions()).unwrap();
    let error = template.execute(&(), Value::Nil, &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Execute);
    assert_eq!((error.name(), error.line(), error.column()), ("a.tmpl", 2, Some(3)));
    assert_eq!((error.offset(), error.node()), (5, Some(&b"fail"[..])));
    assert_eq!(error.executing(), Some(&b"a.tmpl"[..]));
    assert_eq!(error.message().exact(), b"error calling fail: failed on purpose");

    let error = Template::parse("a.tmpl", "x\n {{nope}}", &support::functions()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Parse);
    assert_eq!((error.line(), error.column()), (2, None));
}

#[test]
fn a_template_knows_which_functions_it_calls() {
    let source = r#"{{define "a"}}{{print (zero)}}{{end}}{{/* fail */}}fail"#;
    let template = Template::parse("t", source, &support::functions()).unwrap();
    assert!(template.uses("zero") && template.uses("print"));
    assert!(!template.uses("fail") && !template.uses("html"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is about threads")]
fn one_template_serves_many_threads() {
    let functions = support::functions();
    let template = Template::parse("t", "{{range 3}}{{.}}{{end}}", &functions).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut out = Vec::new();
                template.execute(&(), Value::Nil, &mut out).unwrap();
                assert_eq!(out, b"012");
            });
        }
    });
}

#[test]
fn output_and_values_are_limited() {
    let functions = support::functions();
    let limits = Limits { output: 10, value: 20, ..Limits::default() };
    for (source, expect) in [
        ("{{range 5}}abc{{end}}", "the output is larger than 10 bytes"),
        ("{{range 5}}{{`abc`}}{{end}}", "the output is larger than 10 bytes"),
        (
            "{{$x := `0123456789`}}{{range 2}}{{$x = print $x $x}}{{end}}",
            "error calling print: the text is larger than 20 bytes",
        ),
        ("{{len (html `<<<<<<`)}}", "error calling html: the text is larger than 20 bytes"),
        ("{{len (printf `%100d` 1)}}", "error calling printf: the text is larger than 20 bytes"),
    ] {
        let template = Template::parse("t", source, &functions).unwrap();
        let mut out = Vec::new();
        let error = template.execute_within(limits, &(), Value::Nil, &mut out).unwrap_err();
        assert_eq!(error.message().exact(), expect.as_bytes(), "{source}");
        assert!(out.len() <= 10);
    }
}

#[test]
fn appending_leaves_what_was_there() {
    let functions = support::functions();
    let template = Template::parse("t", Bytes::from_static(b"{{.}}"), &functions).unwrap();
    let mut out = b"before ".to_vec();
    template.execute(&(), "x".into(), &mut out).unwrap();
    assert_eq!(out, b"before x");
}

/// The output of `source` in `dialect`, or the error.
fn in_dialect(dialect: &Dialect, source: &str) -> String {
    let functions = Arc::new(Functions::<()>::new());
    let executed =
        Template::parse_dialect("", source.to_owned(), dialect, &functions).and_then(|template| {
            let entries =
                vec![("a".into(), Value::from(1)), ("text".into(), Map::strings([]).into())];
            let mut out = Vec::new();
            template.execute(&(), Map::values(entries).into(), &mut out).map(|()| out)
        });
    executed
        .map_or_else(|error| error.to_string(), |out| String::from_utf8_lossy(&out).into_owned())
}

#[test]
fn delimiters_of_the_dialect_take_the_place_of_gos() {
    let brackets = Dialect::new("[[", "]]");
    assert_eq!(in_dialect(&brackets, "{{.a}} [[.a]] [[- .a -]] [[/* [[ */]]x"), "{{.a}} 11x");
    assert_eq!(in_dialect(&Dialect::new("<", ">"), "<.a><(.a)|print>"), "11");
    assert_eq!(in_dialect(&Dialect::new("<<", ""), "{{ << .a }}"), "{{ 1");
    assert_eq!(in_dialect(&Dialect::new("(", ")"), "(if .a)yes(end)"), "yes");
    assert_eq!(in_dialect(&brackets, "[[ .a }}"), "template: :1: unexpected \"}\" in operand");
    assert_eq!(
        in_dialect(&brackets, "[[template `x`]]"),
        "template: :1:11: executing \"\" at <{{template \"x\"}}>: template \"x\" not defined"
    );
}

#[test]
fn the_dialect_says_what_a_missing_key_gives() {
    let with = |missing_key| Dialect::default().missing_key(missing_key);
    let zero = with(MissingKey::Zero);
    assert_eq!(in_dialect(&zero, "[{{.b}}] [{{.text.b}}]"), "[<no value>] []");
    assert_eq!(
        in_dialect(&zero, "{{.b.c}}"),
        "template: :1:4: executing \"\" at <.b.c>: nil pointer evaluating interface {}.c"
    );
    assert_eq!(
        in_dialect(&with(MissingKey::NoValue), "{{.b.c}}{{.text.b}}"),
        "<no value><no value>"
    );
    for key in ["{{.b}}", "{{if .b}}{{end}}"] {
        let text = in_dialect(&with(MissingKey::Error), key);
        assert!(text.ends_with("<.b>: map has no entry for key \"b\""), "{text}");
    }
}

#[test]
fn a_function_can_execute_a_template_that_the_source_defines() {
    type Defining = std::cell::OnceCell<Template<Context>>;
    struct Context(std::rc::Rc<Defining>);
    let mut functions = Functions::<Context>::new();
    functions.add("execute", |context: &Context, name: Bytes, dot: Value| {
        let template = context.0.get().unwrap();
        let mut out = Vec::new();
        let executed = template.execute_defined(&name, Limits::default(), context, dot, &mut out);
        executed
            .ok_or_else(|| Failure::new("no such template"))?
            .map(|()| out)
            .map_err(|error| error.to_string().into())
    });
    let source = "{{define `x`}}<{{.}}>{{end}}{{execute `x` 1 | len}} {{execute `y` 2}}";
    let template = Template::parse("t", source, &Arc::new(functions)).unwrap();
    let context = Context(std::rc::Rc::new(Defining::new()));
    let template = context.0.get_or_init(|| template);
    let mut out = Vec::new();
    let error = template.execute(&context, Value::Nil, &mut out).unwrap_err();
    assert_eq!(out, b"3 ");
    assert!(error.to_string().ends_with("error calling execute: no such template"), "{error}");
}
