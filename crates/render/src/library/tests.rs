//! Every function with arguments that are at a limit, or are none of what is meant.

use std::sync::Arc;

use gotmpl::types::{STRINGS, Type, VALUE_MAP, VALUES};
use gotmpl::{Map, Slice, Value};

use super::*;
use crate::testing::World;

/// A list that nests so deeply that looking into it by recursion would overflow the stack.
fn deep() -> Value {
    (0..50_000).fold(Value::Nil, |inner, _| Value::Slice(Slice::of(&VALUES, vec![inner])))
}

/// Values of a type that come close to a limit, or are none of what is meant.
fn odd(ty: Type, deep: &Value) -> Vec<Value> {
    let texts = [
        "",
        "a",
        "-1",
        "9223372036854775807",
        "1e400",
        "0x",
        "\u{e9}\n\u{2028}",
        "(",
        "[",
        "{",
        "10.0.0.0/8",
        "::/0",
        "2020-02-30",
        "1.2.3",
        "http://[::1",
        "%zz",
        "Europe/Berlin",
        "/etc/passwd",
        "...",
        "a: &a [*a]",
        "=",
        "9999999h",
        "$1${2}",
        "x*",
    ];
    let text = |text: &str| Value::from(text);
    let long = || Value::from(vec![b'a'; 4 << 10]);
    let bytes = || Value::String(Bytes::from_static(b"\xff\xfe\0"));
    let numbers = [0, 1, -1, 2, 3, 33, 129, i64::MAX, i64::MIN];
    match ty {
        Type::String => texts.map(text).into_iter().chain([long(), bytes()]).collect(),
        Type::Int => numbers.map(Value::Int).to_vec(),
        Type::Bool => vec![Value::Bool(true), Value::Bool(false)],
        Type::Float => {
            [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, f64::MIN].map(Value::Float).to_vec()
        }
        Type::Map(ty) => {
            let entry = |value: Value| Value::Map(Map::of(ty, vec![("a".into(), value)]));
            let nested = entry(Value::Map(Map::of(&VALUE_MAP, vec![("b".into(), deep.clone())])));
            vec![Value::Map(Map::nil(ty)), entry(Value::from("x")), entry(deep.clone()), nested]
        }
        Type::Slice(_) => vec![Value::Slice(Slice::nil(&VALUES)), deep.clone()],
        Type::Object(_) => {
            vec![crate::go::time_of(b"2020-02-03T04:05:06Z"), crate::go::time_of(b"")]
        }
        _ => {
            let mut values = odd(Type::String, deep);
            values.extend(odd(Type::Int, deep));
            values.extend(odd(Type::Float, deep));
            values.extend(odd(Type::Map(&VALUE_MAP), deep));
            values.extend([Value::Nil, Value::Bool(true), deep.clone()]);
            values.push(Value::Slice(Slice::ints(0..1000)));
            values.push(Value::Slice(Slice::nil(&STRINGS)));
            values
        }
    }
}

#[test]
fn no_function_panics_and_no_text_is_without_bound() {
    let host: Arc<Machine> = Arc::new(World);
    let deep = deep();
    let mut random = 7_u64;
    let mut choose = |values: &[Value]| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        values[(random >> 33) as usize % values.len()].clone()
    };
    each(&mut |entry| {
        let name = entry.name;
        let function = entry.make();
        let signature = function.signature().clone();
        let pools: Vec<_> = signature.params.iter().map(|ty| odd(*ty, &deep)).collect();
        for nth in 0..30 {
            let mut arguments: Vec<_> = pools.iter().map(|pool| choose(pool)).collect();
            if let (true, Some(last)) = (signature.variadic, pools.last()) {
                arguments.pop();
                arguments.extend((0..nth % 4).map(|_| choose(last)));
            }
            if let Ok(Value::String(text)) = function.call(&*host, &mut arguments) {
                assert!(
                    text.len() <= crate::funcs::MAX_TEXT + (64 << 20),
                    "{name}: {}",
                    text.len()
                );
            }
        }
    });
}

#[test]
fn a_result_that_would_be_too_long_is_an_error() {
    let long = Value::from(vec![b'x'; 32 << 10]);
    let many = Value::from("x ".repeat(16 << 10));
    for (name, arguments) in [
        ("repeat", vec![Value::Int(1 << 40), Value::from("x")]),
        ("indent", vec![Value::Int(1 << 40), Value::from("x")]),
        ("wrapWith", vec![Value::Int(1), long.clone(), many]),
        ("regexReplaceAll", vec![Value::from("x"), long.clone(), long.clone()]),
        ("regexReplaceAllLiteral", vec![Value::from("x"), long.clone(), long]),
    ] {
        let (_, function) = find(name).expect(name);
        let mut arguments = arguments;
        let failure = function.call(&World, &mut arguments).expect_err(name).to_string();
        assert_eq!(failure, "the result is larger than 268435456 bytes", "{name}");
    }
}
