//! Calls of functions, methods and builtins.

use std::mem;

use bytes::Bytes;

use super::field::{self, Place};
use super::operand::{Element, Operand};
use super::{CALL_WORK, Executor, Pending};
use crate::builtins::{self, Builtin};
use crate::compile::{check_count, parameter_type};
use crate::escape::Escape;
use crate::fmt::{self, TooLarge};
use crate::func::Failure;
use crate::literal;
use crate::message::Message;
use crate::node::{Content, Name, NodeId};
use crate::program::Label;
use crate::types::{Method, Type};
use crate::value::Value;
use crate::value::memory::{hold, make_text};

/// The longest text that is copied out of the buffer, so that the buffer can be used again.
const MOST_COPIED: usize = 4096;

/// Checks that `method` can be called with `written` arguments, or `given` including the piped one.
fn check_method(method: &Method, written: usize, given: usize) -> Result<(), Failure> {
    let Method { name, params, variadic, results, .. } = method;
    check_count(name, params.len(), *variadic, written, given)?;
    if *results != 1 {
        let message = format!("function {name} has {results} return values; should be 1 or 2");
        return Err(message.into());
    }
    Ok(())
}

impl Executor<'_> {
    /// Pushes what was found at `place` of `receiver`. A method is called without arguments.
    pub(super) fn give(
        &mut self,
        place: Place,
        receiver: Operand,
        node: NodeId,
    ) -> Result<(), Failure> {
        let operand = match place {
            Place::Operand(operand) => operand,
            Place::Method(method) => {
                check_method(method, 0, 0)?;
                self.arguments.clear();
                self.run_method(method, &receiver.into_value(), node)?
            }
        };
        self.operands.push(operand);
        Ok(())
    }

    /// Looks up a method that is to be called with arguments.
    pub(super) fn method(
        &mut self,
        name: Name,
        arguments: u16,
        piped: bool,
        nil: Label,
    ) -> Result<(), Failure> {
        let receiver = self.take();
        match field::find(&receiver, self.code.tree.name(name), true, self.code.missing_key)? {
            Place::Method(method) => {
                let written = usize::from(arguments);
                check_method(method, written, written + usize::from(piped))?;
                self.methods.push(Pending { method, receiver: receiver.into_value() });
            }
            // A field, instead of a method, is an error except where the receiver is nil: then the
            // result is nil.
            Place::Operand(operand) => {
                if piped {
                    self.operands.pop();
                }
                self.operands.push(operand);
                self.jump(nil);
            }
        }
        Ok(())
    }

    /// The type of parameter `index` of the method that was looked up last.
    fn method_parameter(&self, index: u16) -> Type {
        let params = self.methods.last().map_or(&[][..], |pending| pending.method.params);
        parameter_type(params, usize::from(index))
    }

    pub(super) fn check_method_argument(&mut self, index: u16) -> Result<(), Failure> {
        self.check(0, self.method_parameter(index))
    }

    pub(super) fn method_literal(&mut self, node: NodeId, index: u16) -> Result<(), Failure> {
        let tree = self.code.tree;
        let ty = self.method_parameter(index);
        let constant = literal::as_argument(tree, node, ty).map_err(Failure::new)?;
        self.operands.push(Operand::Value(constant.value()));
        Ok(())
    }

    pub(super) fn call_method(
        &mut self,
        node: NodeId,
        arguments: u16,
        piped: bool,
    ) -> Result<(), Failure> {
        if piped {
            let ty = self.method_parameter(arguments);
            self.check(usize::from(arguments), ty)?;
        }
        self.gather(arguments, piped);
        let Some(Pending { method, receiver }) = self.methods.pop() else { return Ok(()) };
        let operand = self.run_method(method, &receiver, node)?;
        self.operands.push(operand);
        Ok(())
    }

    /// Calls a method with `self.arguments`.
    fn run_method(
        &mut self,
        method: &Method,
        receiver: &Value,
        node: NodeId,
    ) -> Result<Operand, Failure> {
        match (method.call)(receiver, &mut self.arguments) {
            Ok(value) => Ok(Operand::Value(value)),
            Err(failure) => Err(self.failed(method.name, node, &failure)),
        }
    }

    /// Converts the operand below the top `above` operands to type `ty`, or fails.
    pub(super) fn check(&mut self, above: usize, ty: Type) -> Result<(), Failure> {
        let place = self.operands.len().checked_sub(1 + above);
        match place.and_then(|place| self.operands.get_mut(place)) {
            // Two slice types can be equal by name and still be different descriptors; the
            // parameter's own descriptor is needed.
            Some(operand)
                if matches!(ty, Type::Slice(_)) || operand.with(Value::ty) != Some(ty) =>
            {
                *operand = mem::take(operand).checked(ty)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The index of a call's first argument among the operands. Moves the piped argument to the
    /// end.
    fn arguments_start(&mut self, arguments: u16, piped: bool) -> usize {
        let count = usize::from(arguments) + usize::from(piped);
        let start = self.operands.len().saturating_sub(count);
        if piped && arguments > 0 {
            // The piped value was pushed first, but it is the last argument.
            self.operands[start..].rotate_left(1);
        }
        start
    }

    /// Pops the arguments of a call into `self.arguments`.
    fn gather(&mut self, arguments: u16, piped: bool) {
        let start = self.arguments_start(arguments, piped);
        self.arguments.clear();
        self.arguments.extend(self.operands[start..].iter_mut().map(Operand::take_value));
        self.operands.truncate(start);
    }

    /// Pops the arguments, calls the function at `place` of the table and pushes its result.
    pub(super) fn call(
        &mut self,
        node: NodeId,
        place: usize,
        arguments: u16,
        piped: bool,
    ) -> Result<(), Failure> {
        let known = self.code.functions.get(place);
        let failure = match known.builtin {
            None => {
                self.count(CALL_WORK)?;
                self.gather(arguments, piped);
                hold(self.held.saturating_add(self.output()));
                match self.library.call(place, &mut self.arguments) {
                    Ok(value) => {
                        if let Value::String(text) = &value {
                            make_text(text.len());
                        }
                        self.operands.push(match known.signature.result {
                            Type::Interface => Operand::Interface(value),
                            _ => Operand::Value(value),
                        });
                        match self.check_memory() {
                            Ok(()) => return Ok(()),
                            Err(failure) => failure,
                        }
                    }
                    Err(failure) => failure,
                }
            }
            Some(builtin) => match self.builtin(builtin, node, arguments, piped) {
                Ok(operand) => {
                    self.operands.push(operand);
                    match self.check_memory() {
                        Ok(()) => return Ok(()),
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            },
        };
        Err(self.failed(&known.name, node, &failure))
    }

    /// The failure of a function or method, reported at `node`.
    fn failed(&mut self, name: &str, node: NodeId, failure: &Failure) -> Failure {
        self.at = Some(node);
        let prefix = Message::new(format!("error calling {name}: "));
        Failure::quoting(prefix.and(&failure.message()))
    }

    fn builtin(
        &mut self,
        builtin: Builtin,
        node: NodeId,
        arguments: u16,
        piped: bool,
    ) -> Result<Operand, Failure> {
        match builtin {
            Builtin::Index => return self.index(arguments, piped),
            Builtin::Len if self.operands.last().is_some_and(Operand::is_nil_pointer) => {
                return Err("len of nil pointer".into());
            }
            Builtin::Slice => {
                // Taken before the arguments become values, which no longer have a static type.
                let boxed = self.boxed_indexes(arguments);
                self.gather(arguments, piped);
                return builtins::slice(&self.arguments, boxed).map(Operand::Value);
            }
            _ => self.gather(arguments, piped),
        }
        let limit = self.limits.value;
        let text = &mut self.text;
        text.clear();
        let made = match (builtin, &mut self.arguments[..]) {
            (Builtin::Print, arguments) => fmt::print(text, arguments, limit),
            (Builtin::Println, arguments) => fmt::println(text, arguments, limit),
            (Builtin::Printf, [Value::String(format), arguments @ ..]) => {
                fmt::printf(text, format, arguments, limit)
            }
            (Builtin::Html, arguments) => Escape::Html.append_arguments(text, arguments, limit),
            (Builtin::Js, arguments) => Escape::Js.append_arguments(text, arguments, limit),
            (Builtin::Urlquery, arguments) => {
                Escape::UrlQuery.append_arguments(text, arguments, limit)
            }
            (Builtin::Call, _) => {
                let callee = self.callee(node);
                return builtins::call(callee, &mut self.arguments).map(Operand::Value);
            }
            (builtin, arguments) => return builtins::run(builtin, arguments).map(Operand::Value),
        };
        make_text(text.len());
        match made {
            // A long text is handed over with its buffer. A short one is copied to its exact
            // length.
            Ok(()) if text.len() > MOST_COPIED => Ok(Operand::Value(mem::take(text).into())),
            Ok(()) => Ok(Operand::Value(Value::String(Bytes::copy_from_slice(text)))),
            Err(TooLarge) => Err(format!("the text is larger than {limit} bytes").into()),
        }
    }

    /// Which of the first three indexes of `slice` have the static type `interface {}`. The piped
    /// argument never has.
    fn boxed_indexes(&self, arguments: u16) -> [bool; 3] {
        let start = self.operands.len().saturating_sub(usize::from(arguments));
        let indexes = self.operands[start..].iter().skip(1);
        let mut boxed = [false; 3];
        for (boxed, index) in boxed.iter_mut().zip(indexes) {
            *boxed = index.is_interface();
        }
        boxed
    }

    /// The name of the called function in errors of `call`: as it is written, or the value that
    /// came through the pipeline.
    fn callee(&self, node: NodeId) -> Message {
        let tree = self.code.tree;
        if let Content::Command(operands) = tree.node(node).content
            && let [_, callee, ..] = tree.children(operands)
        {
            return Message::new(tree.print(*callee));
        }
        match self.arguments.first() {
            Some(Value::String(text)) => {
                Message::default().value(String::from_utf8_lossy(text).as_bytes(), text.clone())
            }
            Some(value) => match value.ty() {
                Some(ty) => Message::new(format!("<{ty} Value>")),
                None => Message::new("<invalid Value>"),
            },
            None => Message::default(),
        }
    }

    /// The builtin `index`. The result is the slot of a slice where there is one, and not its
    /// value, so that later changes of the slice are seen.
    fn index(&mut self, arguments: u16, piped: bool) -> Result<Operand, Failure> {
        let start = self.arguments_start(arguments, piped);
        let Some((item, indexes)) = self.operands[start..].split_first() else {
            return Ok(Operand::default());
        };
        if item.with(|value| matches!(value, Value::Nil)) {
            return Err("index of untyped nil".into());
        }
        let found = match indexes {
            [] => item.clone().unwrapped(),
            [first, others @ ..] => {
                let mut found = entry(item, first)?;
                for index in others {
                    found = entry(&found, index)?;
                }
                found
            }
        };
        self.operands.truncate(start);
        Ok(found)
    }
}

/// One step of `index` into `item`, which is not nil.
fn entry(item: &Operand, index: &Operand) -> Result<Operand, Failure> {
    if item.is_nil_pointer() {
        return Err("index of nil pointer".into());
    }
    index.with(|index| {
        item.with(|item| match item {
            Value::Slice(slice) => {
                let place = builtins::position(index, slice.len())?;
                // `position` accepts the length as an index, which is valid for `slice` but not for
                // `index`.
                if place == slice.len() {
                    return Err("reflect: slice index out of range".into());
                }
                let slice = slice.clone();
                Ok(Operand::Element(Element { slice, index: place, field: None }))
            }
            Value::Map(map) => {
                let value = builtins::map_entry(map, index)?;
                Ok(match map.ty().elem {
                    Type::Interface => Operand::Interface(value),
                    _ => Operand::Value(value),
                })
            }
            item => Ok(Operand::Value(builtins::index(item, index)?)),
        })
    })
}
