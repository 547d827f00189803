//! Functions for the tests: at least one for each kind of type.

use std::sync::Arc;

use bytes::Bytes;
use gotmpl::types::{
    Field, INT64, INTS, IntegerType, Method, PointerType, STRINGS, SliceType, StructType, Type,
    UINT16, VALUE_MAP, VALUES,
};
use gotmpl::{
    Argument, Failure, Functions, Map, Pointer, Rest, Signature, Slice, Struct, Template, Value,
};

static PAIR: StructType = StructType {
    name: "memkv.KVPair",
    fields: &[
        Field { name: "Key", ty: Type::String },
        Field { name: "Value", ty: Type::String },
        Field { name: "hidden", ty: Type::Int },
    ],
    methods: &[],
};

static PAIRS: SliceType = SliceType {
    name: Some("memkv.KVPairs"),
    elem: Type::Struct(&PAIR),
    methods: &[
        Method { name: "Len", params: &[], variadic: false, results: 1, call: pairs_len },
        Method {
            name: "Less",
            params: &[Type::Int, Type::Int],
            variadic: false,
            results: 1,
            call: pairs_less,
        },
        Method {
            name: "Swap",
            params: &[Type::Int, Type::Int],
            variadic: false,
            results: 0,
            call: |_, _| Ok(Value::Nil),
        },
    ],
};

/// The same element type as [`PAIRS`], but without a name and therefore without methods.
static PLAIN_PAIRS: SliceType = SliceType { name: None, elem: Type::Struct(&PAIR), methods: &[] };

static SRV: StructType = StructType {
    name: "memkv.SRV",
    fields: &[
        Field { name: "Target", ty: Type::String },
        Field { name: "Port", ty: Type::Integer(&UINT16) },
        Field { name: "Any", ty: Type::Interface },
    ],
    methods: &[],
};

static SRV_POINTER: PointerType = PointerType {
    elem: &SRV,
    methods: &[Method {
        name: "Name",
        params: &[Type::Int],
        variadic: false,
        results: 1,
        call: srv_name,
    }],
};

static SRV_POINTERS: SliceType =
    SliceType { name: None, elem: Type::Pointer(&SRV_POINTER), methods: &[] };

static MONTH: IntegerType = IntegerType {
    name: "memkv.Month",
    signed: true,
    bits: 64,
    stringer: Some(|_| "M".to_owned()),
    methods: &[
        Method {
            name: "Plus",
            params: &[Type::Int],
            variadic: true,
            results: 1,
            call: |month, numbers| {
                let sum = |sum: i64, value: &Value| sum.wrapping_add(int(value));
                Ok(Value::Int(numbers.iter().fold(int(month), sum)))
            },
        },
        Method {
            name: "String",
            params: &[],
            variadic: false,
            results: 1,
            call: |_, _| Ok("M".into()),
        },
    ],
};

fn int(value: &Value) -> i64 {
    value.as_i64().expect("an integer")
}

fn pairs_len(pairs: &Value, _: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Int(pairs.as_slice().expect("pairs").len() as i64))
}

fn pairs_less(pairs: &Value, places: &mut [Value]) -> Result<Value, Failure> {
    let pairs = pairs.as_slice().expect("pairs");
    let key = |place: i64| match usize::try_from(place).ok().and_then(|place| pairs.get(place)) {
        Some(Value::Struct(pair)) => Ok(pair.fields()[0].as_bytes().expect("a key").clone()),
        _ if place < 0 => {
            Err(Failure::from(format!("runtime error: index out of range [{place}]")))
        }
        _ => {
            let len = pairs.len();
            Err(format!("runtime error: index out of range [{place}] with length {len}").into())
        }
    };
    Ok(Value::Bool(key(int(&places[0]))? < key(int(&places[1]))?))
}

fn srv_name(srv: &Value, _: &mut [Value]) -> Result<Value, Failure> {
    match srv {
        Value::Pointer(srv) if let Some(srv) = srv.target() => Ok(srv.fields()[0].clone()),
        _ => Err("runtime error: invalid memory address or nil pointer dereference".into()),
    }
}

fn pair(key: Bytes, value: Bytes) -> Value {
    Struct::new(&PAIR, vec![key.into(), value.into(), Value::Int(0)]).into()
}

fn srv(target: &str, port: u64, any: Value) -> Value {
    let fields = vec![target.into(), Value::Integer(&UINT16, port), any];
    Pointer::to(&SRV_POINTER, Struct::new(&SRV, fields)).into()
}

/// A parameter of type `[]memkv.KVPair`.
struct PlainPairs(Slice);

impl Argument for PlainPairs {
    const TYPE: Type = Type::Slice(&PLAIN_PAIRS);

    fn from_value(value: Value) -> Option<PlainPairs> {
        value.as_slice().cloned().map(PlainPairs)
    }
}

/// All functions of the tests.
pub(crate) fn functions() -> Arc<Functions<()>> {
    let mut functions: Functions<()> = Functions::new();
    add_text(&mut functions);
    add_typed(&mut functions);
    functions.add("seq", |_: &(), first: i64, last: i64| match last < first {
        true => Slice::nil(&INTS),
        false => Slice::ints(first..=last),
    });
    functions.add("map", |_: &(), rest: Rest<Value>| -> Result<Map, Failure> {
        if !rest.0.len().is_multiple_of(2) {
            return Err("invalid map call".into());
        }
        let entries = rest.0.chunks(2).map(|entry| match entry {
            [Value::String(key), value] => Ok((key.clone(), value.clone())),
            _ => Err("map keys must be strings".into()),
        });
        Ok(Map::values(entries.collect::<Result<_, Failure>>()?))
    });
    functions.add("list", |_: &(), rest: Rest<Value>| Slice::of(&VALUES, rest.0));
    functions.add("kvs", |_: &(), count: i64| {
        let pairs = (0..count).map(|n| pair(format!("/k{n}").into(), format!("v{n}").into()));
        Slice::of(&PAIRS, pairs.collect())
    });
    functions.add("plain", |_: &(), pairs: PlainPairs| pairs.0);
    functions.add("reverse", |_: &(), value: Value| {
        if let Value::Slice(slice) = &value {
            let ty = Type::Slice(slice.ty());
            if ty == Type::Slice(&STRINGS) || ty == Type::Slice(&PLAIN_PAIRS) {
                slice.modify(<[Value]>::reverse);
            }
        }
        value
    });
    functions.add("ident", |_: &(), value: Value| value);
    functions.add("none", |_: &()| Value::Nil);
    functions.add("things", |_: &()| Value::from(Map::values(vec![("a".into(), 1.into())])));
    functions.add("zero", |_: &()| 0_i64);
    functions.add("smap", |_: &(), key: Bytes, value: Bytes| Map::strings([(key, value)]));
    functions.add("nilstrings", |_: &()| Slice::nil(&STRINGS));
    functions.add("nilmap", |_: &()| Map::nil(&VALUE_MAP));
    functions.add("srvs", |_: &()| {
        let pointers = vec![srv("a", 1, Value::Nil), Pointer::nil(&SRV_POINTER).into()];
        Slice::of(&SRV_POINTERS, pointers)
    });
    Arc::new(functions)
}

fn add_text(functions: &mut Functions<()>) {
    functions.add("split", |_: &(), text: Bytes, separator: Bytes| -> Vec<Bytes> {
        let (text, separator) =
            (String::from_utf8_lossy(&text), String::from_utf8_lossy(&separator));
        text.split(&*separator).map(|part| Bytes::from(part.to_owned())).collect()
    });
    functions.add("join", |_: &(), texts: Vec<Bytes>, separator: Bytes| texts.join(&separator[..]));
    functions.add("toUpper", |_: &(), text: Bytes| text.to_ascii_uppercase());
    functions.add("add", |_: &(), a: i64, b: i64| a.wrapping_add(b));
    functions.add("div", |_: &(), a: i64, b: i64| match b {
        0 => Err(Failure::from("runtime error: integer divide by zero")),
        _ => Ok(a.wrapping_div(b)),
    });
    functions.add("getv", |_: &(), key: Bytes, default: Rest<Bytes>| {
        let missing = || Failure::new([b"key does not exist: ", key.as_ref()].concat());
        if key == "/x" {
            return Ok(Bytes::from_static(b"ex"));
        }
        default.0.into_iter().next().ok_or_else(missing)
    });
    functions.add("fail", |_: &(), _: Rest<Value>| -> Result<Bytes, Failure> {
        Err("failed on purpose".into())
    });
    functions.add("half", |_: &(), number: f64| number / 2.0);
    functions.add("yes", |_: &(), value: bool| value);
}

/// Adds functions with Go types for which no Rust type stands.
fn add_typed(functions: &mut Functions<()>) {
    let mut add = |name: &str, params: &[Type], result: Type, body: fn(&mut [Value]) -> Value| {
        let signature = Signature { params: params.to_vec(), variadic: false, result };
        functions.add_raw(name, signature, move |(), arguments| Ok(body(arguments)));
    };
    let same: fn(&mut [Value]) -> Value = |arguments| arguments[0].clone();
    let (uint16, int64) = (Type::Integer(&UINT16), Type::Integer(&INT64));
    add("u16", &[uint16], uint16, same);
    add("i64", &[int64], int64, same);
    add("cplx", &[Type::Complex], Type::Complex, same);
    add("month", &[Type::Int], Type::Integer(&MONTH), |arguments| {
        Value::Integer(&MONTH, int(&arguments[0]).cast_unsigned())
    });
    add("kv", &[Type::String, Type::String], Type::Struct(&PAIR), |arguments| {
        let text = |place: usize| arguments[place].as_bytes().expect("a string").clone();
        pair(text(0), text(1))
    });
    add("srv", &[Type::Int], Type::Pointer(&SRV_POINTER), |arguments| {
        match u16::try_from(int(&arguments[0])) {
            Ok(port) => srv("host", port.into(), Value::Int(1)),
            Err(_) => Pointer::nil(&SRV_POINTER).into(),
        }
    });
    add("deref", &[Type::Struct(&SRV)], Type::String, |arguments| match &arguments[0] {
        Value::Struct(srv) => srv.fields()[0].clone(),
        _ => Value::Nil,
    });
}

/// The result of a template: `ok`, `parse` or `exec`; the output; and the error text.
pub(crate) fn run(
    source: &[u8],
    functions: &Arc<Functions<()>>,
) -> (&'static str, Vec<u8>, String) {
    let mut out = Vec::new();
    match Template::parse("t.tmpl", source.to_vec(), functions) {
        Err(error) => ("parse", out, error.to_string()),
        Ok(template) => match template.execute(&(), Value::Nil, &mut out) {
            Ok(()) => ("ok", out, String::new()),
            Err(error) => ("exec", out, error.to_string()),
        },
    }
}
