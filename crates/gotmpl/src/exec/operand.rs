//! What the executor computes with.

use crate::func::Failure;
use crate::types::{Kind, StructType, Type};
use crate::value::{Slice, Value};

/// A value, and what Go knows beside it: whether it stands in a slot of type `interface {}`, and
/// whether it *is* the slot of a slice, so that later changes of the slice show.
#[derive(Clone)]
pub(super) enum Operand {
    /// A value of its own concrete type, or no value at all.
    Value(Value),
    /// What a slot of interface type holds. Nil in it is a nil interface, which in Go is not the
    /// same as no value.
    Interface(Value),
    /// A slot of a slice.
    Element(Element),
}

/// A slot of a slice, or a field of the struct in it.
#[derive(Clone)]
pub(super) struct Element {
    pub(super) slice: Slice,
    pub(super) index: usize,
    pub(super) field: Option<u32>,
}

impl Element {
    fn with<R>(&self, look: impl FnOnce(&Value) -> R) -> R {
        self.slice.show(self.index, self.field.map(|field| field as usize), look)
    }

    /// The type of the whole element, if that is a struct.
    pub(super) fn struct_type(&self) -> Option<&'static StructType> {
        match (self.field, self.slice.ty().elem) {
            (None, Type::Struct(ty)) => Some(ty),
            _ => None,
        }
    }

    /// The slot of a field of the element, which is a struct.
    pub(super) fn of_field(&self, field: usize) -> Element {
        // No type of a program has that many fields.
        Element { slice: self.slice.clone(), index: self.index, field: Some(field as u32) }
    }

    /// The type of the slot.
    fn ty(&self) -> Type {
        match (self.field, self.slice.ty().elem) {
            (Some(field), Type::Struct(ty)) => {
                ty.fields.get(field as usize).map_or(Type::Interface, |field| field.ty)
            }
            (_, ty) => ty,
        }
    }
}

impl Default for Operand {
    fn default() -> Operand {
        Operand::Value(Value::Nil)
    }
}

impl Operand {
    /// Shows the value to `look`.
    #[inline]
    pub(super) fn with<R>(&self, look: impl FnOnce(&Value) -> R) -> R {
        match self {
            Operand::Value(value) | Operand::Interface(value) => look(value),
            Operand::Element(element) => element.with(look),
        }
    }

    /// The value as it is now.
    #[inline]
    pub(super) fn into_value(self) -> Value {
        match self {
            Operand::Value(value) | Operand::Interface(value) => value,
            Operand::Element(element) => element.with(Value::clone),
        }
    }

    /// The value as it is now; what is left is of no use.
    #[inline]
    pub(super) fn take_value(&mut self) -> Value {
        match self {
            Operand::Value(value) | Operand::Interface(value) => std::mem::take(value),
            Operand::Element(element) => element.with(Value::clone),
        }
    }

    /// Whether the operand's static type is an interface type.
    pub(super) fn is_interface(&self) -> bool {
        match self {
            Operand::Value(_) => false,
            Operand::Interface(_) => true,
            Operand::Element(element) => element.ty() == Type::Interface,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        self.with(Value::is_true)
    }

    /// The operand without the slot of interface type it may be in.
    pub(super) fn unwrapped(self) -> Operand {
        if self.is_interface() { Operand::Value(self.into_value()) } else { self }
    }

    /// Go's text of the static type of a value that is there.
    pub(super) fn type_text(&self) -> String {
        if self.is_interface() {
            return Type::Interface.to_string();
        }
        self.with(|value| value.ty().map_or_else(|| "<nil>".to_owned(), |ty| ty.to_string()))
    }

    /// The operand as an argument for a parameter of type `target`.
    pub(super) fn checked(self, target: Type) -> Result<Operand, Failure> {
        let Some(ty) = self.with(Value::ty) else {
            return match self.is_interface() {
                _ if target == Type::Interface => Ok(self),
                true => Err(mismatch(target, Type::Interface)),
                false if target.can_be_nil() => Ok(Operand::Value(Value::zero(target))),
                false => Err(format!("invalid value; expected {target}").into()),
            };
        };
        match (ty, target) {
            (Type::Slice(from), Type::Slice(to))
                if ty.is_assignable_to(target) && !std::ptr::eq(from, to) =>
            {
                Ok(Operand::Value(match self.into_value() {
                    Value::Slice(slice) => Value::Slice(slice.with_type(to)),
                    value => value,
                }))
            }
            _ if ty.is_assignable_to(target) => Ok(self),
            (Type::Pointer(pointer), _) if Type::Struct(pointer.elem) == target => {
                let content = self.with(|value| match value {
                    Value::Pointer(pointer) => pointer.target().cloned(),
                    _ => None,
                });
                match content {
                    Some(content) => Ok(Operand::Value(Value::Struct(content))),
                    None => Err(format!("dereference of nil pointer of type {target}").into()),
                }
            }
            _ => Err(mismatch(target, ty)),
        }
    }

    /// Whether following pointers ends at nil, be it a nil pointer or a nil interface.
    pub(super) fn is_nil_pointer(&self) -> bool {
        let interface = self.is_interface();
        self.with(|value| match value {
            Value::Nil => interface,
            value => value.ty().is_some_and(|ty| ty.kind() == Kind::Pointer) && value.is_nil(),
        })
    }
}

fn mismatch(expected: Type, got: Type) -> Failure {
    format!("wrong type for value; expected {expected}; got {got}").into()
}
