//! Finds what `.Name` means for a value.

use super::operand::{Element, Operand};
use crate::dialect::MissingKey;
use crate::error::Unknown;
use crate::func::Failure;
use crate::quote::quote;
use crate::types::{KeyType, Method, Type};
use crate::value::Value;

/// What a name means.
pub(super) enum Place {
    Operand(Operand),
    /// A method of the receiver, to be called.
    Method(&'static Method),
}

/// The field, method or map entry called `name` of `receiver`. For nil the result is nil.
/// `missing` says what a map without that entry gives.
pub(super) fn find(
    receiver: &Operand,
    name: &[u8],
    has_arguments: bool,
    missing: MissingKey,
) -> Result<Place, Failure> {
    if !has_arguments && let Some(element) = slot_of(receiver, name) {
        return Ok(Place::Operand(Operand::Element(element)));
    }
    receiver.with(|value| find_in(receiver, value, name, has_arguments, missing))
}

/// The slot of the field called `name`, if `receiver` is an element of a slice of structs, or of
/// pointers that are not nil, without methods. The type of the slice decides that, so the element itself is not read.
#[inline]
pub(super) fn slot_of(receiver: &Operand, name: &[u8]) -> Option<Element> {
    let Operand::Element(element) = receiver else { return None };
    let ty = element.struct_type()?;
    let field = ty.field(name)?;
    let plain = ty.methods.is_empty() && element.is_plain() && ty.fields[field].is_exported();
    plain.then(|| element.of_field(field))
}

fn find_in(
    receiver: &Operand,
    value: &Value,
    name: &[u8],
    has_arguments: bool,
    missing: MissingKey,
) -> Result<Place, Failure> {
    let fail = |message: &dyn Fn(&str, &str) -> String| {
        Err(message(&String::from_utf8_lossy(name), &receiver.type_text()).into())
    };
    let nil_pointer = |name: &str, ty: &str| format!("nil pointer evaluating {ty}.{name}");
    let unexported =
        |name: &str, ty: &str| format!("{name} is an unexported field of struct type {ty}");
    // A field of a nil interface is an error. A field of no value is no value.
    let Some(ty) = value.ty() else {
        return if receiver.is_interface() {
            fail(&nil_pointer)
        } else if missing == MissingKey::Error {
            Err(no_entry("nil data; no entry for key ", name))
        } else {
            Ok(Place::Operand(Operand::default()))
        };
    };
    // Go looks for methods first.
    if let Some(method) = ty.methods().iter().find(|method| method.name.as_bytes() == name) {
        return Ok(Place::Method(method));
    }
    let fields = match value {
        Value::Map(map) if has_arguments && map.ty().key == KeyType::String => {
            return fail(&|name, _| format!("{name} is not a method but has arguments"));
        }
        Value::Map(map) if map.ty().key == KeyType::String => {
            let elem = map.ty().elem;
            return Ok(Place::Operand(match map.get(name) {
                None if missing == MissingKey::NoValue => Operand::default(),
                None if missing == MissingKey::Error => {
                    return Err(no_entry("map has no entry for key ", name));
                }
                None if elem == Type::Interface => Operand::Interface(Value::Nil),
                None => Operand::Value(Value::zero(elem)),
                Some(value) if elem == Type::Interface => Operand::Interface(value),
                Some(value) => Operand::Value(value),
            }));
        }
        Value::Struct(value) => Some(value.ty()),
        Value::Pointer(pointer) => Some(pointer.ty().elem),
        _ => None,
    };
    if let Some(fields) = fields
        && let Some(field) = fields.field(name)
    {
        // The order of these checks is Go's and decides which error is reported.
        return match () {
            () if value.is_nil() => fail(&nil_pointer),
            () if !fields.fields[field].is_exported() => fail(&unexported),
            () if has_arguments => {
                fail(&|name, _| format!("{name} has arguments but cannot be invoked as function"))
            }
            () => Ok(Place::Operand(slot(receiver, value, field))),
        };
    }
    // All fields of an object are unexported.
    if let Value::Object(object) = value
        && object.ty().fields.iter().any(|field| field.as_bytes() == name)
    {
        return fail(&unexported);
    }
    // The names that exist are for the hint below the error.
    let methods = ty.methods().iter().map(|method| method.name);
    let fields = fields.map_or(&[][..], |fields| fields.fields).iter();
    let known = methods.chain(fields.filter(|field| field.is_exported()).map(|field| field.name));
    let (text, ty) = (String::from_utf8_lossy(name), receiver.type_text());
    let message = format!("can't evaluate field {text} in type {ty}");
    Err(Failure::unknown(message, Unknown::new(name, known)))
}

/// The failure about the key `name`, which stands in the template.
fn no_entry(text: &str, name: &[u8]) -> Failure {
    format!("{text}{}", quote(name)).into()
}

/// The field number `field` of the struct `value`, which `receiver` holds or points to. If the
/// struct is an element of a slice, the result is the slot, not its value.
fn slot(receiver: &Operand, value: &Value, field: usize) -> Operand {
    let target = match (receiver, value) {
        (Operand::Element(element), Value::Struct(_)) if element.struct_type().is_some() => {
            return Operand::Element(element.of_field(field));
        }
        (_, Value::Struct(target)) => Some(target),
        (_, Value::Pointer(pointer)) => pointer.target(),
        _ => None,
    };
    let Some(target) = target else { return Operand::default() };
    let content = target.fields().get(field).cloned().unwrap_or_default();
    match target.ty().fields.get(field).map(|field| field.ty) {
        Some(Type::Interface) => Operand::Interface(content),
        _ => Operand::Value(content),
    }
}
