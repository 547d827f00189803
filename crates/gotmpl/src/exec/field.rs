//! What `.Name` finds in a value.

use super::operand::{Element, Operand};
use crate::error::Unknown;
use crate::func::Failure;
use crate::types::{Method, Type};
use crate::value::{Struct, Value};

/// What a name leads to.
pub(super) enum Place {
    Operand(Operand),
    /// A method of the receiver, to be called.
    Method(&'static Method),
}

/// What was found, before it is known how the receiver is held.
enum Found {
    Nothing,
    Method(&'static Method),
    Field(usize),
    Value(Operand),
}

/// The field, method or map entry called `name` of `receiver`. Of nothing there is nothing.
pub(super) fn find(receiver: &Operand, name: &[u8], has_arguments: bool) -> Result<Place, Failure> {
    let found = receiver.with(|value| find_in(receiver, value, name, has_arguments))?;
    Ok(match (found, receiver) {
        (Found::Nothing, _) => Place::Operand(Operand::default()),
        (Found::Method(method), _) => Place::Method(method),
        (Found::Value(operand), _) => Place::Operand(operand),
        (Found::Field(field), Operand::Element(Element { slice, index, field: None }))
            if matches!(slice.ty().elem, Type::Struct(_)) =>
        {
            let field = Some(field as u32);
            let slice = slice.clone();
            Place::Operand(Operand::Element(Element { slice, index: *index, field }))
        }
        (Found::Field(field), _) => Place::Operand(receiver.with(|value| match value {
            Value::Struct(value) => field_of(value, field),
            Value::Pointer(pointer) => {
                pointer.target().map(|value| field_of(value, field)).unwrap_or_default()
            }
            _ => Operand::default(),
        })),
    })
}

fn find_in(
    receiver: &Operand,
    value: &Value,
    name: &[u8],
    has_arguments: bool,
) -> Result<Found, Failure> {
    let fail = |message: &dyn Fn(&str, &str) -> String| {
        Err(message(&String::from_utf8_lossy(name), &receiver.type_text()).into())
    };
    let nil_pointer = |name: &str, ty: &str| format!("nil pointer evaluating {ty}.{name}");
    let unexported =
        |name: &str, ty: &str| format!("{name} is an unexported field of struct type {ty}");
    let Some(ty) = value.ty() else {
        return if receiver.is_interface() { fail(&nil_pointer) } else { Ok(Found::Nothing) };
    };
    if let Some(method) = ty.methods().iter().find(|method| method.name.as_bytes() == name) {
        return Ok(Found::Method(method));
    }
    let fields = match value {
        Value::Map(_) if has_arguments => {
            return fail(&|name, _| format!("{name} is not a method but has arguments"));
        }
        Value::Map(map) => {
            return Ok(match map.get(name) {
                None => Found::Nothing,
                Some(value) if map.ty().elem == Type::Interface => {
                    Found::Value(Operand::Interface(value.clone()))
                }
                Some(value) => Found::Value(Operand::Value(value.clone())),
            });
        }
        Value::Struct(value) => Some(value.ty()),
        Value::Pointer(pointer) => Some(pointer.ty().elem),
        _ => None,
    };
    if let Some(fields) = fields
        && let Some(field) = fields.field(name)
    {
        return match () {
            () if value.is_nil() => fail(&nil_pointer),
            () if !fields.fields[field].is_exported() => fail(&unexported),
            () if has_arguments => {
                fail(&|name, _| format!("{name} has arguments but cannot be invoked as function"))
            }
            () => Ok(Found::Field(field)),
        };
    }
    if let Value::Object(object) = value
        && object.ty().fields.iter().any(|field| field.as_bytes() == name)
    {
        return fail(&unexported);
    }
    let methods = ty.methods().iter().map(|method| method.name);
    let fields = fields.map_or(&[][..], |fields| fields.fields).iter();
    let known = methods.chain(fields.filter(|field| field.is_exported()).map(|field| field.name));
    let (text, ty) = (String::from_utf8_lossy(name), receiver.type_text());
    let message = format!("can't evaluate field {text} in type {ty}");
    Err(Failure::unknown(message, Unknown::new(name, known)))
}

fn field_of(value: &Struct, field: usize) -> Operand {
    let content = value.fields().get(field).cloned().unwrap_or_default();
    match value.ty().fields.get(field).map(|field| field.ty) {
        Some(Type::Interface) => Operand::Interface(content),
        _ => Operand::Value(content),
    }
}
