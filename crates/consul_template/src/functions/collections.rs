//! Functions of lists and maps.

use std::cell::Cell;
use std::rc::Rc;

use gotmpl::types::{FuncType, Type};
use gotmpl::{Failure, Func, Functions, Map, Rest, Returned, Sequence, Value};

use super::Context;
use render::library::merge;
use render::library::values::{int64, integer, type_of};

pub(super) fn add(functions: &mut Functions<Context>) {
    functions.add("loop", |_: &Context, bounds: Rest<Value>| counted(&bounds.0));
    for (name, any, found) in [
        ("containsAll", false, true),
        ("containsAny", true, true),
        ("containsNone", false, false),
        ("containsNotAll", true, false),
    ] {
        functions.add(name, move |_: &Context, wanted: Wanted, list: Value| {
            for value in &wanted.0 {
                if (in_list(&list, value)? == found) == any {
                    return Ok(any);
                }
            }
            Ok::<_, Failure>(!any)
        });
    }
    functions.add("explodeMap", |_: &Context, map: Map| explode(&map));
    for (name, replace) in [("mergeMap", false), ("mergeMapWithOverride", true)] {
        functions.add(name, move |_: &Context, into: Map, from: Map| merge(into, &from, replace));
    }
}

/// An `[]interface {}`.
struct Wanted(Vec<Value>);

impl gotmpl::Argument for Wanted {
    const TYPE: gotmpl::types::Type = gotmpl::types::Type::Slice(&gotmpl::types::VALUES);

    fn from_value(value: Value) -> Option<Wanted> {
        Some(Wanted(value.as_slice()?.elements().to_vec()))
    }
}

/// `<-chan int64`, as an iterator. Each number is received once, by the loop that asks next.
static NUMBERS: FuncType = FuncType { name: "<-chan int64", params: &[], variadic: false };

/// The result of `loop`.
struct Numbers(Func);

impl Returned for Numbers {
    const TYPE: Type = Type::Func(&NUMBERS);

    fn into_value(self) -> Result<Value, Failure> {
        Ok(Value::Func(self.0))
    }
}

/// The numbers below the only bound, or between two bounds.
fn counted(bounds: &[Value]) -> Result<Numbers, Failure> {
    let (from, to) = match bounds {
        [to] => (0, bound(to)?),
        [from, to] => (bound(from)?, bound(to)?),
        more => {
            let text = "loop: wrong number of arguments, expected 1 or 2, but got";
            return Err(Failure::new(format!("{text} {}", more.len())));
        }
    };
    let next = Rc::new(Cell::new(from));
    let start = move || {
        let next = Rc::clone(&next);
        let numbers = std::iter::from_fn(move || {
            let number = next.get();
            (number < to).then(|| next.set(number + 1))?;
            Some(int64(number))
        });
        let numbered = (0..).zip(numbers).map(|(nth, number)| (Value::Int(nth), number));
        Box::new(numbered) as Sequence
    };
    Ok(Numbers(Func::iterator(&NUMBERS, 2, start)))
}

fn bound(value: &Value) -> Result<i64, Failure> {
    if let Some((signed, bits)) = integer(value) {
        let number = if signed { Some(bits.cast_signed()) } else { i64::try_from(bits).ok() };
        return number.ok_or_else(|| Failure::new("loop: number out of range"));
    }
    match value {
        Value::String(text) => super::text::parse(text, "parseInt", super::text::integer),
        value => Err(Failure::new(format!("loop: bad argument type: {}", type_of(value)))),
    }
}

/// Whether `value` is an element of a list, or a part of a text.
///
/// # Errors
/// The value is nil, and is compared with a text.
pub(super) fn in_list(list: &Value, value: &Value) -> Result<bool, Failure> {
    let compares_text = match list {
        Value::Slice(list) => list.elements().iter().any(|one| one.as_bytes().is_some()),
        list => list.as_bytes().is_some(),
    };
    if compares_text && matches!(value, Value::Nil) {
        return Err(Failure::new("reflect: call of reflect.Value.Type on zero Value"));
    }
    Ok(contains(list, value))
}

fn contains(list: &Value, value: &Value) -> bool {
    match (list, value) {
        (Value::Slice(list), value) => {
            list.elements().iter().any(|element| is_equal(element, value))
        }
        (Value::String(text), Value::String(part)) => {
            part.is_empty() || text.windows(part.len()).any(|window| window == &**part)
        }
        _ => false,
    }
}

/// Whether two texts or numbers are equal; other values never are. Integers of all types are compared by their numbers; an integer and
/// a float are never equal.
fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        _ => a.as_i64().is_some_and(|a| b.as_i64() == Some(a)),
    }
}

/// The nested maps that the slashes in the keys mean.
fn explode(map: &Map) -> Result<Map, Failure> {
    let (key, entries) = (map.ty().key, map.entries());
    let pairs = entries.iter().map(|(name, value)| (key.text(name), value.clone()));
    render::queries::explode("explodeMap", pairs)
}
