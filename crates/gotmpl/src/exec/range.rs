//! Executes loops.

use bytes::Bytes;

use super::operand::{Element, Operand};
use super::{Executor, Variable};
use crate::fmt;
use crate::func::Failure;
use crate::message::Message;
use crate::program::{Bind, Label};
use crate::types::{IntegerType, MapType, Type};
use crate::value::memory::Held;
use crate::value::{Entries, Map, Sequence, Slice, Value};

/// A loop that is running.
pub(super) struct Loop {
    items: Items,
    /// The dot outside of the loop.
    dot: Operand,
    /// The number of variables at the beginning of each step.
    variables: usize,
}

impl Loop {
    /// Adds the values of the loop to those that are held.
    pub(super) fn hold(&self, held: &mut Held) {
        self.dot.hold(held);
        match &self.items {
            Items::Slice { slice, .. } => held.add(&Value::Slice(slice.clone())),
            Items::Map { ty, entries, .. } => held.add(&Value::Map(Map::sharing(ty, entries))),
            Items::Sequence { key, .. } => held.add(key),
            Items::Integers { .. } => {}
        }
    }
}

/// The elements that are left.
enum Items {
    Slice {
        slice: Slice,
        next: usize,
        len: usize,
    },
    /// The entries that the map had when the loop began.
    Map {
        ty: &'static MapType,
        entries: Entries,
        next: usize,
    },
    /// The integers from `next` up to `end`, of type `ty`, or `int` if that is `None`.
    Integers {
        ty: Option<&'static IntegerType>,
        next: u64,
        end: u64,
    },
    Sequence {
        first: Option<(Value, Value)>,
        rest: Sequence,
        /// The key of the current element.
        key: Value,
    },
}

impl Items {
    /// Makes the next element the dot. False if there is none.
    fn next(&mut self, dot: &mut Operand) -> bool {
        *dot = match self {
            Items::Slice { slice, next, len } => {
                let index = *next;
                if index >= *len {
                    return false;
                }
                *next += 1;
                match dot {
                    // The dot is an element of this slice already: only its index changes, without
                    // a new reference.
                    Operand::Element(before) if before.slice.is_same(slice) => {
                        before.index = index;
                        before.field = None;
                        return true;
                    }
                    _ => Operand::Element(Element { slice: slice.clone(), index, field: None }),
                }
            }
            Items::Map { ty, entries, next } => {
                let Some((_, value)) = entries.get(*next) else { return false };
                *next += 1;
                match ty.elem {
                    Type::Interface => Operand::Interface(value.clone()),
                    _ => Operand::Value(value.clone()),
                }
            }
            Items::Integers { ty, next, end } => {
                let number = *next;
                if number >= *end {
                    return false;
                }
                *next += 1;
                Operand::Value(match ty {
                    Some(ty) => Value::Integer(ty, number),
                    None => Value::Int(number.cast_signed()),
                })
            }
            Items::Sequence { first, rest, key } => {
                let Some(pair) = first.take().or_else(|| rest.next()) else { return false };
                *key = pair.0;
                Operand::Value(pair.1)
            }
        };
        true
    }

    /// The index or key of the current element.
    fn key(&self) -> Value {
        match self {
            Items::Slice { next, .. } => Value::Int(*next as i64 - 1),
            Items::Map { ty, entries, next } => match entries.get(*next - 1) {
                Some((key, _)) => ty.key.value(key),
                None => Value::Nil,
            },
            Items::Integers { .. } => Value::Nil,
            Items::Sequence { key, .. } => key.clone(),
        }
    }
}

/// The struct that a pointer points to. Nil and other values stay as they are.
fn followed(value: Value) -> Value {
    let inside = match &value {
        Value::Object(object) => object.inside(),
        value => value.clone(),
    };
    match inside {
        Value::Pointer(pointer) => match pointer.target() {
            Some(target) => Value::Struct(target.clone()),
            None => value,
        },
        _ => value,
    }
}

impl Executor<'_> {
    /// Pops a value and starts a loop over it. Jumps if it has no elements.
    pub(super) fn range(&mut self, otherwise: Label, two_variables: bool) -> Result<(), Failure> {
        let value = self.take().into_value();
        match self.items(followed(value), two_variables)? {
            Some(items) => {
                let dot = self.dot.clone();
                self.loops.push(Loop { items, dot, variables: self.variables.len() });
            }
            None => self.jump(otherwise),
        }
        Ok(())
    }

    /// The elements of `value`; `None` if there are none.
    fn items(&self, value: Value, two_variables: bool) -> Result<Option<Items>, Failure> {
        let failure = |before: &str, value: Value, after: &str| {
            let mut shown = Vec::new();
            // If the value's text exceeds the limit, the error shows the text up to it.
            let _ = fmt::printf(&mut shown, b"%v", &[value], self.limits.value);
            let shown = Bytes::from(shown);
            let message = Message::new(before).value(shown.clone(), shown).text(after);
            Err(Failure::quoting(message))
        };
        let too_many = " to iterate over more than one variable";
        let items = match value {
            Value::Nil => None,
            Value::Slice(slice) => {
                let len = slice.len();
                (len > 0).then_some(Items::Slice { slice, next: 0, len })
            }
            Value::Map(map) => {
                let (ty, entries) = (map.ty(), map.entries());
                (!entries.is_empty()).then_some(Items::Map { ty, entries, next: 0 })
            }
            Value::Int(_) | Value::Integer(..) if two_variables => {
                return failure("can't use ", value, too_many);
            }
            Value::Int(end) => {
                // A negative number has no numbers below it.
                let end = u64::try_from(end).unwrap_or(0);
                (end > 0).then_some(Items::Integers { ty: None, next: 0, end })
            }
            Value::Integer(ty, bits) => {
                let end = if ty.signed && bits.cast_signed() < 0 { 0 } else { bits };
                (end > 0).then_some(Items::Integers { ty: Some(ty), next: 0, end })
            }
            Value::Func(ref func) if func.yields() == 1 && two_variables => {
                return failure("can't use ", value, too_many);
            }
            // The first element decides between the list and `else`, so it is fetched now.
            Value::Func(func) if func.yields() > 0 => func.iterate().and_then(|mut rest| {
                let first = rest.next()?;
                Some(Items::Sequence { first: Some(first), rest, key: Value::Nil })
            }),
            _ => return failure("range can't iterate over ", value, ""),
        };
        Ok(items)
    }

    /// Begins the next step of the innermost loop, or ends the loop and jumps.
    pub(super) fn next_step(&mut self, done: Label, bind: Bind) -> Result<(), Failure> {
        let Some(running) = self.loops.last_mut() else { return Ok(()) };
        // Drops the variables of the previous step.
        self.variables.truncate(running.variables);
        if !running.items.next(&mut self.dot) {
            self.end_loop();
            self.jump(done);
            return Ok(());
        }
        match bind {
            Bind::Nothing => {}
            Bind::Element => self.set_newest(1, self.dot.clone()),
            Bind::Both => {
                let key = running.items.key();
                self.set_newest(1, self.dot.clone());
                self.set_newest(2, Operand::Value(key));
            }
            Bind::AssignElement(name) => *self.variable_mut(name)? = self.dot.clone(),
            Bind::AssignBoth(index, name) => {
                let key = running.items.key();
                *self.variable_mut(index)? = Operand::Value(key);
                *self.variable_mut(name)? = self.dot.clone();
            }
        }
        Ok(())
    }

    /// Sets the variable number `place`, counted from the one declared last, which is 1.
    fn set_newest(&mut self, place: usize, value: Operand) {
        let place = self.variables.len().checked_sub(place);
        if let Some(Variable { operand, .. }) = place.and_then(|at| self.variables.get_mut(at)) {
            *operand = value;
        }
    }

    /// Ends the innermost loop.
    pub(super) fn end_loop(&mut self) {
        if let Some(Loop { dot, variables, .. }) = self.loops.pop() {
            self.variables.truncate(variables);
            self.dot = dot;
        }
    }
}
