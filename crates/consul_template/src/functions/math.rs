//! Arithmetic. The second argument is the left operand, so that a piped value is.

use gotmpl::types::UINT64;
use gotmpl::{Failure, Functions, Value};

use super::Context;
use render::library::values::{int64, integer, type_of};

/// The operation on two numbers of each type.
struct Operation {
    name: &'static str,
    signed: fn(i64, i64) -> Option<i64>,
    unsigned: fn(u64, u64) -> Option<u64>,
    /// `None` if the operation has no meaning for floats.
    float: Option<fn(f64, f64) -> f64>,
}

const OPERATIONS: [Operation; 7] = [
    Operation {
        name: "add",
        signed: |a, b| Some(a.wrapping_add(b)),
        unsigned: |a, b| Some(a.wrapping_add(b)),
        float: Some(|a, b| a + b),
    },
    Operation {
        name: "subtract",
        signed: |a, b| Some(a.wrapping_sub(b)),
        unsigned: |a, b| Some(a.wrapping_sub(b)),
        float: Some(|a, b| a - b),
    },
    Operation {
        name: "multiply",
        signed: |a, b| Some(a.wrapping_mul(b)),
        unsigned: |a, b| Some(a.wrapping_mul(b)),
        float: Some(|a, b| a * b),
    },
    Operation {
        name: "divide",
        signed: |a, b| (b != 0).then(|| a.wrapping_div(b)),
        unsigned: |a, b| a.checked_div(b),
        float: Some(|a, b| a / b),
    },
    Operation {
        name: "modulo",
        signed: |a, b| (b != 0).then(|| a.wrapping_rem(b)),
        unsigned: |a, b| a.checked_rem(b),
        float: None,
    },
    Operation {
        name: "minimum",
        signed: |a, b| Some(a.min(b)),
        unsigned: |a, b| Some(a.min(b)),
        float: Some(f64::min),
    },
    Operation {
        name: "maximum",
        signed: |a, b| Some(a.max(b)),
        unsigned: |a, b| Some(a.max(b)),
        float: Some(f64::max),
    },
];

pub(super) fn add(functions: &mut Functions<Context>) {
    for operation in &OPERATIONS {
        functions.add(operation.name, |_: &Context, b: Value, a: Value| apply(operation, &a, &b));
    }
}

/// The result for two numbers: an integer if both are integers, and unsigned if both are unsigned.
fn apply(operation: &Operation, a: &Value, b: &Value) -> Result<Value, Failure> {
    let zero = || Failure::new("runtime error: integer divide by zero");
    if let (Some((a_signed, a)), Some((b_signed, b))) = (integer(a), integer(b)) {
        // The smaller and the larger of two numbers keep their type.
        let chooses = matches!(operation.name, "minimum" | "maximum");
        if chooses && a_signed != b_signed {
            let chosen = (operation.signed)(a.cast_signed(), b.cast_signed());
            let is_a = chosen == Some(a.cast_signed());
            let (signed, bits) = if is_a { (a_signed, a) } else { (b_signed, b) };
            return Ok(if signed {
                int64(bits.cast_signed())
            } else {
                Value::Integer(&UINT64, bits)
            });
        }
        if a_signed || b_signed {
            let result = (operation.signed)(a.cast_signed(), b.cast_signed());
            return result.map(int64).ok_or_else(zero);
        }
        return (operation.unsigned)(a, b)
            .map(|bits| Value::Integer(&UINT64, bits))
            .ok_or_else(zero);
    }
    let unknown = |value: &Value| {
        let text = format!("{}: unknown type for {}", operation.name, quoted(value));
        Failure::new(text)
    };
    if operation.float.is_none() && matches!(a, Value::Float(_)) {
        return Err(unknown(a));
    }
    let a_number = float(a).ok_or_else(|| unknown(a))?;
    let b_number = float(b).ok_or_else(|| unknown(b))?;
    // The smaller and the larger of two numbers keep their type.
    if matches!(operation.name, "minimum" | "maximum") {
        let is_a = operation.float.is_some_and(|float| float(a_number, b_number) == a_number);
        return Ok(match if is_a { a } else { b } {
            Value::Int(number) => int64(*number),
            chosen => chosen.clone(),
        });
    }
    let a = a_number;
    operation.float.map(|float| Value::Float(float(a, b_number))).ok_or_else(|| unknown(b))
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        value => integer(value).map(|(signed, bits)| match signed {
            true => bits.cast_signed() as f64,
            false => bits as f64,
        }),
    }
}

/// A value and its type, as the errors of consul-template show them.
fn quoted(value: &Value) -> String {
    let text = match value {
        Value::Nil => return "<invalid reflect.Value> (<nil>)".to_owned(),
        value => gotmpl::printf(b"%q", std::slice::from_ref(value)),
    };
    format!("{} ({})", String::from_utf8_lossy(&text), type_of(value))
}
