//! Tables of cases whose answers Go wrote, and cases that a table cannot express.
//!
//! In a table, arguments such as `i:-5` and `s:6162` give a type and its content; all other names
//! stand for the values of [`named`].

use bytes::Bytes;

use super::*;
use crate::escape::Escape;
use crate::golden;
use crate::quote::{Charset, append_quoted, unquote};
use crate::types::{
    Field, INT64, IntegerType, PointerType, STRINGS, SliceType, StructType, Type, UINT8, UINT16,
    VALUE_MAP, VALUES,
};
use crate::value::{Map, Pointer, Slice, Struct};

const fn field(name: &'static str, ty: Type) -> Field {
    Field { name, ty }
}

static PAIR: StructType = StructType {
    name: "memkv.KVPair",
    fields: &[field("Key", Type::String), field("Value", Type::String)],
    methods: &[],
};
static PAIRS: SliceType =
    SliceType { name: Some("memkv.KVPairs"), elem: Type::Struct(&PAIR), methods: &[] };
static PLAIN_PAIRS: SliceType = SliceType { name: None, elem: Type::Struct(&PAIR), methods: &[] };
static PAIR_POINTER: PointerType = PointerType { elem: &PAIR, methods: &[] };
static RECORD: StructType = StructType {
    name: "memkv.Record",
    fields: &[
        field("Name", Type::String),
        field("Port", Type::Integer(&UINT16)),
        field("Tags", Type::Slice(&STRINGS)),
        field("Meta", Type::Map(&VALUE_MAP)),
        field("Up", Type::Bool),
        field("Load", Type::Float),
        field("Next", Type::Pointer(&PAIR_POINTER)),
    ],
    methods: &[],
};
static MONTH: IntegerType = IntegerType {
    name: "time.Month",
    signed: true,
    bits: 64,
    stringer: Some(|month| match month {
        1 => "January".to_owned(),
        5 => "May".to_owned(),
        12 => "December".to_owned(),
        _ => format!("%!Month({month})"),
    }),
    methods: &[],
};
static MONTHS: SliceType = SliceType { name: None, elem: Type::Integer(&MONTH), methods: &[] };
static BYTES: SliceType = SliceType { name: None, elem: Type::Integer(&UINT8), methods: &[] };
static BYTE_LISTS: SliceType = SliceType { name: None, elem: Type::Slice(&BYTES), methods: &[] };
static STRING_LISTS: SliceType =
    SliceType { name: None, elem: Type::Slice(&STRINGS), methods: &[] };

fn strings(texts: &[&'static [u8]]) -> Value {
    Slice::strings(texts.iter().map(|text| Bytes::from_static(text))).into()
}

fn pair(key: &'static str, value: &'static [u8]) -> Struct {
    Struct::new(&PAIR, vec![key.into(), Value::String(Bytes::from_static(value))])
}

fn pairs(ty: &'static SliceType, pairs: &[Struct]) -> Value {
    Slice::of(ty, pairs.iter().cloned().map(Value::Struct).collect()).into()
}

fn map(entries: Vec<(&'static str, Value)>) -> Value {
    let entries = entries.into_iter().map(|(key, value)| (Bytes::from(key), value));
    Map::values(entries.collect()).into()
}

fn byte_list(bytes: &[u8]) -> Value {
    let elements = bytes.iter().map(|&byte| Value::Integer(&UINT8, byte.into()));
    Slice::of(&BYTES, elements.collect()).into()
}

fn named(name: &str) -> Value {
    match name {
        "nil" => Value::Nil,
        "true" => true.into(),
        "false" => false.into(),
        "strings" => strings(&[b"a", b"b c", b"\xc3\xa9\xff"]),
        "nostrings" => strings(&[]),
        "nilstrings" => Slice::nil(&STRINGS).into(),
        "ints" => Slice::ints([1, -2, 300]).into(),
        "nilints" => Slice::nil(&crate::types::INTS).into(),
        "values" => Slice::of(
            &VALUES,
            vec![
                1.into(),
                "x".into(),
                Value::Nil,
                1.5.into(),
                true.into(),
                strings(&[b"y"]),
                Value::Integer(&UINT8, 7),
            ],
        )
        .into(),
        "nilvalues" => Slice::nil(&VALUES).into(),
        "map" => map(vec![
            ("a", 1.into()),
            ("b", Value::Nil),
            ("c", "x".into()),
            ("d", map(vec![("e", Slice::ints([1]).into())])),
        ]),
        "nomap" => map(vec![]),
        "nilmap" => Map::nil(&VALUE_MAP).into(),
        "strmap" => {
            let entries = [("src", "/tmp/x"), ("dest", "")];
            Map::strings(entries.map(|(key, value)| (key.into(), value.into()))).into()
        }
        "pair" => pair("/a", b"1").into(),
        "pairs" => pairs(&PAIRS, &[pair("/a", b"1"), pair("/b", b"\xff")]),
        "nilpairs" => Slice::nil(&PAIRS).into(),
        "plainpairs" => pairs(&PLAIN_PAIRS, &[pair("k", b"v")]),
        "record" => Struct::new(
            &RECORD,
            vec![
                "r".into(),
                Value::Integer(&UINT16, 8080),
                strings(&[b"t", b"u"]),
                map(vec![("k", Value::Nil)]),
                true.into(),
                0.25.into(),
                Pointer::nil(&PAIR_POINTER).into(),
            ],
        )
        .into(),
        "ptr" => Pointer::to(&PAIR_POINTER, pair("/p", b"2")).into(),
        "nilptr" => Pointer::nil(&PAIR_POINTER).into(),
        "month" => Value::Integer(&MONTH, 5),
        "badmonth" => Value::Integer(&MONTH, 13),
        "months" => {
            Slice::of(&MONTHS, [1, 12].map(|month| Value::Integer(&MONTH, month)).into()).into()
        }
        "bytes" => byte_list(b"hi\xff"),
        "nilbytes" => Slice::nil(&BYTES).into(),
        "nobytes" => byte_list(b""),
        "bytelists" => {
            Slice::of(&BYTE_LISTS, vec![byte_list(b"\x01"), Slice::nil(&BYTES).into()]).into()
        }
        "lists" => Slice::of(
            &STRING_LISTS,
            vec![strings(&[b"a"]), Slice::nil(&STRINGS).into(), strings(&[])],
        )
        .into(),
        _ => panic!("no value is called {name}"),
    }
}

fn argument(text: &str) -> Value {
    let Some((kind, text)) = text.split_once(':') else { return named(text) };
    let integer = || text.parse::<i64>().expect("an integer");
    let float = |bits| f64::from_bits(u64::from_str_radix(bits, 16).expect("the bits of a float"));
    match kind {
        "i" => integer().into(),
        "u8" => Value::Integer(&UINT8, integer().cast_unsigned()),
        "u16" => Value::Integer(&UINT16, integer().cast_unsigned()),
        "i64" => Value::Integer(&INT64, integer().cast_unsigned()),
        "f" => float(text).into(),
        "c" => {
            let (real, imaginary) = text.split_once(',').expect("two parts");
            Value::Complex(float(real), float(imaginary))
        }
        "s" => golden::bytes(text).into(),
        _ => panic!("no kind is called {kind}"),
    }
}

fn arguments(field: &str) -> Vec<Value> {
    field.split(' ').filter(|text| !text.is_empty()).map(argument).collect()
}

fn quoted(text: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    append_quoted(&mut out, text, Charset::Ascii);
    vec![String::from_utf8(out).expect("ASCII")]
}

fn printed(fields: &[&str]) -> Vec<String> {
    let format = unquote(fields[0].as_bytes()).expect("a quoted format");
    let mut out = Vec::new();
    printf(&mut out, &format, &arguments(fields[1]), usize::MAX).expect("no limit");
    quoted(&out)
}

#[test]
fn one_directive_prints_as_in_go() {
    golden::check("printf_one.tsv", printed);
}

#[test]
fn formats_print_as_in_go() {
    golden::check("printf.tsv", printed);
}

#[test]
fn every_way_to_show_values_is_gos() {
    golden::check("print.tsv", |fields| {
        let arguments = arguments(fields[1]);
        let mut out = Vec::new();
        let all = usize::MAX;
        match fields[0] {
            "print" => print(&mut out, &arguments, all),
            "println" => println(&mut out, &arguments, all),
            "action" => print_value(&mut out, &arguments[0], all),
            "html" => Escape::Html.append_arguments(&mut out, &arguments, all),
            "js" => Escape::Js.append_arguments(&mut out, &arguments, all),
            "urlquery" => Escape::UrlQuery.append_arguments(&mut out, &arguments, all),
            way => panic!("no way is called {way}"),
        }
        .expect("no limit");
        quoted(&out)
    });
}

#[test]
fn a_million_levels_print_without_recursion() {
    let mut value = Value::Nil;
    for _ in 0..1_000_000 {
        value = Slice::of(&VALUES, vec![value]).into();
    }
    let mut out = Vec::new();
    print_value(&mut out, &value, usize::MAX).expect("no limit");
    let brackets = 1_000_000;
    assert_eq!(out.len(), 2 * brackets + "<nil>".len());
    assert!(out[..brackets].iter().all(|&byte| byte == b'['));
    assert!(out[brackets..].starts_with(b"<nil>]"));
}

#[test]
fn a_value_that_doubles_at_each_level_stops_at_the_limit() {
    let mut value = Value::from("x");
    for _ in 0..200 {
        value = Slice::of(&VALUES, vec![value.clone(), value]).into();
    }
    let mut out = Vec::new();
    assert_eq!(print(&mut out, &[value], 10_000), Err(TooLarge));
    assert!(out.len() <= 10_000);
}

#[test]
fn the_limit_is_the_last_length_allowed() {
    let text = Value::from("12345");
    for (limit, fits) in [(4, false), (5, true)] {
        let mut out = b"before".to_vec();
        assert_eq!(print(&mut out, std::slice::from_ref(&text), limit).is_ok(), fits);
        assert_eq!(print_value(&mut out, &text, limit).is_ok(), fits);
        assert_eq!(printf(&mut out, b"%v", std::slice::from_ref(&text), limit).is_ok(), fits);
        assert_eq!(printf(&mut out, b"%5d", &[Value::Int(1)], limit).is_ok(), fits);
        assert_eq!(printf(&mut out, b"12345", &[], limit).is_ok(), fits);
        let html = Escape::Html.append(&mut out, b"a&", limit + 1);
        assert_eq!(html.is_ok(), fits, "`a&amp;` has one byte more");
    }
}

#[test]
fn a_precision_beyond_all_digits_gives_zeros() {
    for (format, length, tail) in
        [("%.5000f", 5002, ""), ("%.5000e", 5006, "e-01"), ("%.5000x", 5008, "p-04")]
    {
        let mut out = Vec::new();
        printf(&mut out, format.as_bytes(), &[Value::Float(0.1)], usize::MAX).expect("no limit");
        assert_eq!(out.len(), length, "{format}");
        let digits = out.strip_suffix(tail.as_bytes()).expect(tail);
        assert!(digits.ends_with(&[b'0'; 3900]), "{format}");
    }
}

#[test]
fn addresses_are_hexadecimal() {
    let values = Slice::of(&VALUES, vec![named("ptr")]);
    let mut out = Vec::new();
    printf(&mut out, b"%p %v %#p", &[named("ints"), values.into(), named("map")], usize::MAX)
        .expect("no limit");
    let text = String::from_utf8(out).expect("UTF-8");
    let parts: Vec<&str> = text.split(' ').collect();
    assert!(parts[0].starts_with("0x") && parts[1].starts_with("[0x"), "{text}");
    assert!(u64::from_str_radix(parts[2], 16).is_ok(), "{text}");
    let mut out = Vec::new();
    printf(&mut out, b"%p", &[Value::Int(3)], usize::MAX).expect("no limit");
    assert_eq!(out, b"%!p(int=3)");
}
