//! Numbers.

use gotmpl::{Failure, Rest, Slice, Value};

use super::decimal::Decimal;
use super::values::{Int64, lossy};
use super::{Library, Machine, text_of, to_float, to_int};

/// One of two numbers.
type Choice = fn(f64, f64) -> f64;
/// The result for two numbers, if there is one.
type Operation = fn(&Decimal, &Decimal) -> Option<Decimal>;

/// The most numbers of a list.
const LONGEST: usize = 10_000_000;

pub(super) fn add(library: &mut Library<'_>) {
    library.add("int64", "|value", |_: &Machine, value: Value| Int64(to_int(&value)));
    library.add("int", "|value", |_: &Machine, value: Value| to_int(&value));
    library.add("float64", "|value", |_: &Machine, value: Value| to_float(&value));
    library.add("toDecimal", "|value", |_: &Machine, value: Value| {
        Int64(i64::from_str_radix(&lossy(&text_of(&value)), 8).unwrap_or(0))
    });
    library
        .add("add1", "|value", |_: &Machine, value: Value| Int64(to_int(&value).wrapping_add(1)));
    library.add_sprig("add", |_: &Machine, values: Rest<Value>| {
        Int64(values.0.iter().fold(0, |sum, value| sum.wrapping_add(to_int(value))))
    });
    library.add_sprig("sub", |_: &Machine, a: Value, b: Value| {
        Int64(to_int(&a).wrapping_sub(to_int(&b)))
    });
    library.add_sprig("mul", |_: &Machine, first: Value, others: Rest<Value>| {
        Int64(
            others
                .0
                .iter()
                .fold(to_int(&first), |product, value| product.wrapping_mul(to_int(value))),
        )
    });
    library.add_sprig("div", |_: &Machine, a: Value, b: Value| divide(&a, &b, i64::wrapping_div));
    library.add_sprig("mod", |_: &Machine, a: Value, b: Value| divide(&a, &b, i64::wrapping_rem));
    library.add("max", "|values...", |_: &Machine, first: Value, others: Rest<Value>| {
        chosen(&first, &others, i64::max)
    });
    library.add_sprig("biggest", |_: &Machine, first: Value, others: Rest<Value>| {
        chosen(&first, &others, i64::max)
    });
    library.add("min", "|values...", |_: &Machine, first: Value, others: Rest<Value>| {
        chosen(&first, &others, i64::min)
    });
    // As in Go, what is no number wins.
    let choices: [(_, Choice); 2] = [
        ("maxf", |a, b| {
            if a.is_nan() {
                a
            } else if b.is_nan() {
                b
            } else {
                a.max(b)
            }
        }),
        ("minf", |a, b| {
            if a.is_nan() {
                a
            } else if b.is_nan() {
                b
            } else {
                a.min(b)
            }
        }),
    ];
    for (name, choose) in choices {
        library.add(name, "|values...", move |_: &Machine, first: Value, others: Rest<Value>| {
            others.0.iter().map(to_float).fold(to_float(&first), choose)
        });
    }
    library.add("add1f", "|value", |_: &Machine, value: Value| {
        Ok::<_, Failure>(Decimal::of(&value)?.add(&Decimal::ONE).float())
    });
    library.add("addf", "|values...", |_: &Machine, values: Rest<Value>| {
        let mut sum = Decimal::ZERO;
        for value in &values.0 {
            sum = sum.add(&Decimal::of(value)?);
        }
        Ok::<_, Failure>(sum.float())
    });
    let operations: [(_, Operation); 3] = [
        ("subf", |a, b| Some(a.subtract(b))),
        ("mulf", |a, b| Some(a.multiply(b))),
        ("divf", Decimal::divide),
    ];
    for (name, apply) in operations {
        library.add(
            name,
            "|first others...",
            move |_: &Machine, first: Value, others: Rest<Value>| {
                let mut result = Decimal::of(&first)?;
                for other in &others.0 {
                    result = apply(&result, &Decimal::of(other)?)
                        .ok_or_else(|| Failure::new("decimal division by 0"))?;
                }
                Ok::<_, Failure>(result.float())
            },
        );
    }
    library.add("ceil", "|value", |_: &Machine, value: Value| to_float(&value).ceil());
    library.add("floor", "|value", |_: &Machine, value: Value| to_float(&value).floor());
    library.add(
        "round",
        "|value digits limit?",
        |_: &Machine, value: Value, digits: i64, limit: Rest<f64>| {
            let limit = limit.0.first().copied().unwrap_or(0.5);
            let scale = 10_f64.powf(digits as f64);
            let scaled = to_float(&value) * scale;
            let rounded = if scaled.fract() >= limit { scaled.ceil() } else { scaled.floor() };
            rounded / scale
        },
    );
    library.add("until", "|count", |_: &Machine, count: i64| {
        steps(0, count, if count < 0 { -1 } else { 1 })
    });
    library.add("untilStep", "|start end step", |_: &Machine, from: i64, to: i64, step: i64| {
        steps(from, to, step)
    });
    library.add_sprig("seq", |_: &Machine, bounds: Rest<i64>| {
        let direction = |from: i64, to: i64| if to < from { -1 } else { 1 };
        let numbers = match *bounds.0 {
            [] => return Ok(String::new()),
            [to] => steps(1, to.wrapping_add(direction(1, to)), direction(1, to)),
            [from, to] => steps(from, to.wrapping_add(direction(from, to)), direction(from, to)),
            [from, step, to] if to < from && step > 0 => {
                let _ = (from, step, to);
                return Ok(String::new());
            }
            [from, step, to] => steps(from, to.wrapping_add(direction(from, to)), step),
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

/// One of several numbers, which `choose` chooses of two.
fn chosen(first: &Value, others: &Rest<Value>, choose: fn(i64, i64) -> i64) -> Int64 {
    Int64(others.0.iter().map(to_int).fold(to_int(first), choose))
}

fn divide(a: &Value, b: &Value, apply: fn(i64, i64) -> i64) -> Result<Int64, Failure> {
    match to_int(b) {
        0 => Err(Failure::new("runtime error: integer divide by zero")),
        b => Ok(Int64(apply(to_int(a), b))),
    }
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
