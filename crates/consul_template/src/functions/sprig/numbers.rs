//! Numbers.

use gotmpl::{Failure, Rest, Slice, Value};

use super::super::Context;
use super::super::values::{Int64, lossy};
use super::{Library, text_of, to_float, to_int};

/// The most numbers of a list.
const LONGEST: usize = 10_000_000;

pub(super) fn add(library: &mut Library<'_>) {
    library.add("int64", |_: &Context, value: Value| Int64(to_int(&value)));
    library.add("int", |_: &Context, value: Value| to_int(&value));
    library.add("float64", |_: &Context, value: Value| to_float(&value));
    library.add("toDecimal", |_: &Context, value: Value| {
        Int64(i64::from_str_radix(&lossy(&text_of(&value)), 8).unwrap_or(0))
    });
    library.add("add1", |_: &Context, value: Value| Int64(to_int(&value).wrapping_add(1)));
    library.add("add", |_: &Context, values: Rest<Value>| {
        Int64(values.0.iter().fold(0, |sum, value| sum.wrapping_add(to_int(value))))
    });
    library
        .add("sub", |_: &Context, a: Value, b: Value| Int64(to_int(&a).wrapping_sub(to_int(&b))));
    library.add("mul", |_: &Context, first: Value, others: Rest<Value>| {
        Int64(
            others
                .0
                .iter()
                .fold(to_int(&first), |product, value| product.wrapping_mul(to_int(value))),
        )
    });
    library.add("div", |_: &Context, a: Value, b: Value| divide(&a, &b, i64::wrapping_div));
    library.add("mod", |_: &Context, a: Value, b: Value| divide(&a, &b, i64::wrapping_rem));
    for (name, choose) in
        [("max", i64::max as fn(i64, i64) -> i64), ("biggest", i64::max), ("min", i64::min)]
    {
        library.add(name, move |_: &Context, first: Value, others: Rest<Value>| {
            Int64(others.0.iter().map(to_int).fold(to_int(&first), choose))
        });
    }
    for (name, choose) in [("maxf", f64::max as fn(f64, f64) -> f64), ("minf", f64::min)] {
        library.add(name, move |_: &Context, first: Value, others: Rest<Value>| {
            others.0.iter().map(to_float).fold(to_float(&first), choose)
        });
    }
    library.add("add1f", |_: &Context, value: Value| decimal(to_float(&value) + 1.0));
    library.add("addf", |_: &Context, values: Rest<Value>| {
        decimal(values.0.iter().map(to_float).sum::<f64>())
    });
    for (name, apply) in [("subf", (|a, b| a - b) as fn(f64, f64) -> f64), ("mulf", |a, b| a * b)] {
        library.add(name, move |_: &Context, first: Value, others: Rest<Value>| {
            others.0.iter().map(to_float).fold(to_float(&first), |a, b| decimal(apply(a, b)))
        });
    }
    library.add("divf", |_: &Context, first: Value, others: Rest<Value>| {
        // sprig divides to sixteen decimal places.
        let divide = |a: f64, b: f64| format!("{:.16}", a / b).parse().unwrap_or(a / b);
        others.0.iter().map(to_float).fold(to_float(&first), divide)
    });
    library.add("ceil", |_: &Context, value: Value| to_float(&value).ceil());
    library.add("floor", |_: &Context, value: Value| to_float(&value).floor());
    library.add("round", |_: &Context, value: Value, digits: i64, limit: Rest<f64>| {
        let limit = limit.0.first().copied().unwrap_or(0.5);
        let scale = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
        let scaled = to_float(&value) * scale;
        let rounded = if scaled.fract() >= limit { scaled.ceil() } else { scaled.floor() };
        rounded / scale
    });
    library.add("randInt", |_: &Context, from: i64, to: i64| match from < to {
        true => Ok(fastrand::i64(from..to)),
        false => Err(Failure::new("invalid argument to Intn")),
    });
    library.add("until", |_: &Context, count: i64| steps(0, count, if count < 0 { -1 } else { 1 }));
    library.add("untilStep", |_: &Context, from: i64, to: i64, step: i64| steps(from, to, step));
    library.add("seq", |_: &Context, bounds: Rest<i64>| {
        let direction = |from: i64, to: i64| if to < from { -1 } else { 1 };
        let numbers = match *bounds.0 {
            [] => return Ok(String::new()),
            [to] => steps(1, to.saturating_add(direction(1, to)), direction(1, to)),
            [from, to] => steps(from, to.saturating_add(direction(from, to)), direction(from, to)),
            [from, step, to] if to < from && step > 0 => {
                let _ = (from, step, to);
                return Ok(String::new());
            }
            [from, step, to] => steps(from, to.saturating_add(direction(from, to)), step),
            _ => return Ok(String::new()),
        };
        let numbers = numbers?;
        let numbers = numbers
            .elements()
            .iter()
            .filter_map(Value::as_i64)
            .map(|number| number.to_string())
            .collect::<Vec<_>>();
        Ok::<_, Failure>(numbers.join(" "))
    });
}

fn divide(a: &Value, b: &Value, apply: fn(i64, i64) -> i64) -> Result<Int64, Failure> {
    match to_int(b) {
        0 => Err(Failure::new("runtime error: integer divide by zero")),
        b => Ok(Int64(apply(to_int(a), b))),
    }
}

/// The number without the error of binary fractions: sprig computes with decimal digits.
fn decimal(number: f64) -> f64 {
    /// The decimal digits that every `f64` holds exactly.
    const DIGITS: usize = 14;
    format!("{number:.DIGITS$e}").parse().unwrap_or(number)
}

/// The numbers from `from` up to `to`, which is not reached.
fn steps(from: i64, to: i64, step: i64) -> Result<Slice, Failure> {
    let mut numbers = Vec::new();
    let mut number = from;
    while step > 0 && number < to || step < 0 && number > to {
        if numbers.len() == LONGEST {
            return Err(Failure::new(format!("more than {LONGEST} numbers")));
        }
        numbers.push(number);
        match number.checked_add(step) {
            Some(next) => number = next,
            None => break,
        }
    }
    Ok(Slice::ints(numbers))
}
