//! Literals take the type that the place where they are written asks for.

use bytes::Bytes;

use crate::node::{Content, NodeId, Tree};
use crate::number::Number;
use crate::program::Constant;
use crate::types::{Kind, Type};

/// The literal `id` as an argument for a parameter of type `ty`, or the text of the error.
pub(crate) fn as_argument(tree: &Tree, id: NodeId, ty: Type) -> Result<Constant, Bytes> {
    let content = tree.node(id).content;
    let number = match content {
        Content::Number(_, place) => Some(tree.number(place)),
        _ => None,
    };
    let expected =
        |what: &str| Err(message(&[b"expected ", what.as_bytes(), b"; found ", &tree.print(id)]));
    match (content, ty.kind()) {
        (Content::Nil, _) if ty.can_be_nil() => Ok(Constant::Zero(ty)),
        (Content::Nil, _) => Err(format!("cannot assign nil to {ty}").into()),
        (_, Kind::Interface) => ideal(tree, id),
        (Content::Bool(value), Kind::Bool) => Ok(Constant::Bool(value)),
        (_, Kind::Bool) => expected("bool"),
        (Content::String(_, place), Kind::String) => {
            Ok(Constant::String(tree.string(place).clone()))
        }
        (_, Kind::String) => expected("string"),
        (_, Kind::Int) => match number.and_then(|number| number.int) {
            Some(value) => Ok(integer(ty, value.cast_unsigned())),
            None => expected("integer"),
        },
        (_, Kind::Uint) => match number.and_then(|number| number.uint) {
            Some(value) => Ok(integer(ty, value)),
            None => expected("unsigned integer"),
        },
        (_, Kind::Float) => match number.and_then(|number| number.float) {
            Some(value) => Ok(Constant::Float(value)),
            None => expected("float"),
        },
        (_, Kind::Complex) => match number.and_then(|number| number.complex) {
            Some((real, imaginary)) => Ok(Constant::Complex(real, imaginary)),
            None => expected("complex"),
        },
        (_, Kind::Slice | Kind::Map | Kind::Struct | Kind::Pointer | Kind::Func) => {
            let ty = ty.to_string();
            Err(message(&[b"can't handle ", &tree.print(id), b" for arg of type ", ty.as_bytes()]))
        }
    }
}

/// The literal `id` where no type is asked for, or the text of the error.
pub(crate) fn ideal(tree: &Tree, id: NodeId) -> Result<Constant, Bytes> {
    match tree.node(id).content {
        Content::Bool(value) => Ok(Constant::Bool(value)),
        Content::String(_, place) => Ok(Constant::String(tree.string(place).clone())),
        Content::Number(written, place) => {
            let text = tree.written(written);
            match *tree.number(place) {
                // A literal with an `i` is complex, even if it could be read as another number.
                Number { complex: Some((real, imaginary)), .. } => {
                    Ok(Constant::Complex(real, imaginary))
                }
                Number { float: Some(value), .. } if looks_like_float(text) => {
                    Ok(Constant::Float(value))
                }
                Number { int: Some(value), .. } => Ok(Constant::Int(value)),
                _ => Err(message(&[text, b" overflows int"])),
            }
        }
        _ => Ok(Constant::Zero(Type::Interface)),
    }
}

/// Whether a number is written like a float. Go does not notice that a number is hexadecimal if a
/// sign stands before `0x`; so it takes `-0x1E` for a float.
fn looks_like_float(text: &[u8]) -> bool {
    let has = |bytes: &[u8]| text.iter().any(|byte| bytes.contains(byte));
    let hex_integer = text.len() > 2 && matches!(text, [b'0', b'x' | b'X', ..]) && !has(b"pP");
    has(b".eEpP") && !hex_integer && !text.starts_with(b"'")
}

/// `bits` as a value of the integer type `ty`, cut to its width.
fn integer(ty: Type, bits: u64) -> Constant {
    let Type::Integer(ty) = ty else { return Constant::Int(bits.cast_signed()) };
    let spare = 64_u32.saturating_sub(ty.bits);
    // Shifting up and down cuts the number to its width and extends the sign.
    let bits = match ty.signed {
        true => ((bits << spare).cast_signed() >> spare).cast_unsigned(),
        false => (bits << spare) >> spare,
    };
    Constant::Integer(ty, bits)
}

fn message(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}
