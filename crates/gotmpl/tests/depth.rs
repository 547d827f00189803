//! Depth costs memory, never stack: all tests run on the 2 MiB stack of a test thread.

mod support;

#[track_caller]
fn run(source: &str) -> (&'static str, Vec<u8>, String) {
    support::run(source.as_bytes(), &support::functions())
}

fn nested(open: &str, times: usize, inner: &str, close: &str) -> String {
    [open.repeat(times), inner.to_owned(), close.repeat(times)].concat()
}

#[test]
fn template_calls_nest_100000_deep_and_then_end_in_gos_error() {
    let deep = |depth: usize| {
        format!(
            r#"{{{{define "a"}}}}{{{{if lt . {depth}}}}}{{{{template "a" (add . 1)}}}}{{{{else}}}}end{{{{end}}}}{{{{end}}}}{{{{template "a" 1}}}}"#
        )
    };
    assert_eq!(run(&deep(100_000)), ("ok", b"end".to_vec(), String::new()));
    let (stage, _, error) = run(&deep(100_001));
    assert_eq!(stage, "exec");
    assert!(error.ends_with(": exceeded maximum template depth (100000)"), "{error}");
}

#[test]
fn two_hundred_thousand_nested_blocks_are_read_and_executed() {
    let source = nested("{{if 1}}", 200_000, "x", "{{end}}");
    assert_eq!(run(&source), ("ok", b"x".to_vec(), String::new()));
}

#[test]
fn with_and_range_nest_as_deeply_as_if() {
    let source = nested("{{with 1}}{{range 1}}", 100_000, "x", "{{end}}{{end}}");
    assert_eq!(run(&source), ("ok", b"x".to_vec(), String::new()));
}

#[test]
fn an_else_if_chain_may_be_long() {
    let source = format!("{{{{if 0}}}}{}{{{{else}}}}x{{{{end}}}}", "{{else if 0}}".repeat(300_000));
    assert_eq!(run(&source), ("ok", b"x".to_vec(), String::new()));
}

#[test]
fn blocks_that_are_never_closed_are_an_error_at_any_depth() {
    let (_, _, error) = run(&"{{range 1}}".repeat(300_000));
    assert_eq!(error, "template: t.tmpl:1: unexpected EOF");
}

#[test]
fn parentheses_nest_10000_deep_and_no_deeper() {
    let source = |depth| format!("{{{{{}}}}}", nested("(", depth, "1", ")"));
    assert_eq!(run(&source(10_000)), ("ok", b"1".to_vec(), String::new()));
    let (_, _, error) = run(&source(10_001));
    assert_eq!(error, "template: t.tmpl:1: max expression depth exceeded");
}

#[test]
fn nested_calls_report_an_error_at_the_innermost() {
    let source = format!("{{{{{}}}}}", nested("(print (or 0 ", 4_999, "(fail)", "))"));
    let (_, _, error) = run(&source);
    assert!(error.ends_with("at <fail>: error calling fail: failed on purpose"));
}

#[test]
fn the_node_of_an_error_is_printed_however_deep_it_is() {
    let source = format!("{{{{(true {}) 1}}}}", nested("(", 9_000, "1", ")"));
    let (_, _, error) = run(&source);
    assert!(error.contains("can't give argument to non-function true"), "{error:.200}");
    assert!(error.len() > 18_000);
}

#[test]
fn values_nest_as_deeply_as_a_loop_makes_them() {
    let source = "{{$x := 1}}{{range 300000}}{{$x = map `a` $x}}{{end}}{{len $x}}";
    assert_eq!(run(source), ("ok", b"1".to_vec(), String::new()));
}

#[test]
fn leaving_deep_blocks_by_a_jump_is_quick() {
    let body = nested("{{with $x := 1}}", 20_000, "{{break}}", "{{break}}{{end}}");
    let source = format!("{{{{range 1}}}}{body}{{{{end}}}}x");
    assert_eq!(run(&source), ("ok", b"x".to_vec(), String::new()));
}
