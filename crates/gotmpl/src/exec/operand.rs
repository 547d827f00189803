//! Operands of the executor: values with what Go also knows about them.

use crate::func::Failure;
use crate::types::{Kind, StructType, Type};
use crate::value::memory::Held;
use crate::value::{Slice, Value};

/// A value, and two facts that Go's `reflect` keeps with it: whether its static type is `interface
/// {}`, and whether it *is* a slot of a slice, so that later changes of the slice are seen.
#[derive(Clone)]
pub(super) enum Operand {
    /// A value with its own concrete type as static type, or no value at all.
    Value(Value),
    /// A value of static type `interface {}`. Nil here is a nil interface, which Go treats
    /// differently from no value.
    Interface(Value),
    /// A slot of a slice, read when the value is needed.
    Element(Element),
}

/// A slot of a slice, or a field of the struct in that slot.
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

    /// The type of the struct, if this is a whole element that is a struct or points to one.
    pub(super) fn struct_type(&self) -> Option<&'static StructType> {
        match self.field {
            None => self.slice.struct_type(),
            Some(_) => None,
        }
    }

    /// Whether the type of the elements has no methods.
    pub(super) fn is_plain(&self) -> bool {
        self.slice.ty().elem.methods().is_empty()
    }

    /// The slot of field number `field` of this element, which is a struct or points to one.
    pub(super) fn of_field(&self, field: usize) -> Element {
        // The cast cannot cut: no struct type has 2^32 fields.
        Element { slice: self.slice.clone(), index: self.index, field: Some(field as u32) }
    }

    /// The static type of the slot.
    fn ty(&self) -> Type {
        match (self.field, self.slice.struct_type()) {
            (Some(field), Some(ty)) => {
                ty.fields.get(field as usize).map_or(Type::Interface, |field| field.ty)
            }
            _ => self.slice.ty().elem,
        }
    }
}

impl Default for Operand {
    fn default() -> Operand {
        Operand::Value(Value::Nil)
    }
}

impl Operand {
    /// Passes the value to `look`.
    #[inline]
    pub(super) fn with<R>(&self, look: impl FnOnce(&Value) -> R) -> R {
        match self {
            Operand::Value(value) | Operand::Interface(value) => look(value),
            Operand::Element(element) => element.with(look),
        }
    }

    /// Adds the value to those that are held; for a slot, its whole slice.
    pub(super) fn hold(&self, held: &mut Held) {
        match self {
            Operand::Value(value) | Operand::Interface(value) => held.add(value),
            Operand::Element(element) => held.add(&Value::Slice(element.slice.clone())),
        }
    }

    /// The value as it is at this moment.
    #[inline]
    pub(super) fn into_value(self) -> Value {
        match self {
            Operand::Value(value) | Operand::Interface(value) => value,
            Operand::Element(element) => element.with(Value::clone),
        }
    }

    /// The value as it is at this moment. The operand must not be used afterwards.
    #[inline]
    pub(super) fn take_value(&mut self) -> Value {
        match self {
            Operand::Value(value) | Operand::Interface(value) => std::mem::take(value),
            Operand::Element(element) => element.with(Value::clone),
        }
    }

    /// Whether the static type of the operand is `interface {}`.
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

    /// The operand with its concrete type as static type.
    pub(super) fn unwrapped(self) -> Operand {
        if self.is_interface() { Operand::Value(self.into_value()) } else { self }
    }

    /// Go's text of the static type; `<nil>` if there is no value.
    pub(super) fn type_text(&self) -> String {
        if self.is_interface() {
            return Type::Interface.to_string();
        }
        self.with(|value| value.ty().map_or_else(|| "<nil>".to_owned(), |ty| ty.to_string()))
    }

    /// The operand converted to an argument for a parameter of type `target`.
    pub(super) fn checked(self, target: Type) -> Result<Operand, Failure> {
        // Nil has no type of its own: the parameter's type decides what it becomes.
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
            // Where a parameter takes the struct itself, Go passes the target of a pointer.
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
            _ => match self.with(pointed) {
                Some(content) if content.ty() == Some(target) => Ok(Operand::Value(content)),
                _ => Err(mismatch(target, ty)),
            },
        }
    }

    /// Whether the operand is a nil pointer or a nil interface.
    pub(super) fn is_nil_pointer(&self) -> bool {
        let interface = self.is_interface();
        self.with(|value| match value {
            Value::Nil => interface,
            value => value.ty().is_some_and(|ty| ty.kind() == Kind::Pointer) && value.is_nil(),
        })
    }
}

/// What an object points to, if it is a pointer.
fn pointed(value: &Value) -> Option<Value> {
    match value {
        Value::Object(object) => object.target(),
        _ => None,
    }
}

fn mismatch(expected: Type, got: Type) -> Failure {
    format!("wrong type for value; expected {expected}; got {got}").into()
}
