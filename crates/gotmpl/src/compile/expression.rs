//! Compiles pipelines, commands and arguments.
//!
//! The order of the steps is the order in which Go evaluates, because an error is reported at the
//! node that was visited last.

use super::{Compiler, Parameter, Task};
use crate::builtins::Builtin;
use crate::literal;
use crate::node::{Content, Name, NodeId};
use crate::program::Op;
use crate::types::Type;

impl Compiler<'_> {
    pub(super) fn pipe(&mut self, id: NodeId, bare: bool) {
        self.emit(Op::At(id));
        let Content::Pipe(pipe) = self.tree.node(id).content else { return };
        let commands = self.tree.children(pipe.commands);
        let (variables, assigns) = self.variables(id);
        for (place, command) in commands.iter().enumerate() {
            self.then(Task::Command { node: *command, piped: place > 0 });
            // Go removes the interface type behind every command. The step is left out where it
            // changes nothing.
            let is_last = place + 1 == commands.len();
            if !(is_last && bare && variables.is_empty()) && self.may_be_wrapped(*command) {
                self.then_emit(Op::Unwrap);
            }
        }
        let give = if assigns { Op::Assign } else { Op::Declare };
        for variable in variables {
            self.then_emit(give(self.variable_name(*variable)));
        }
    }

    /// Whether the value of a command can be of interface type.
    fn may_be_wrapped(&self, command: NodeId) -> bool {
        let Content::Command(operands) = &self.tree.node(command).content else { return true };
        let first = self.tree.children(*operands).first();
        match first.map(|first| &self.tree.node(*first).content) {
            Some(Content::Function(_, place)) => {
                let known = self.functions.get(*place as usize);
                match known.builtin {
                    Some(builtin) => builtin.may_give_interface(),
                    None => known.signature.result == Type::Interface,
                }
            }
            Some(Content::Number(..) | Content::String(..) | Content::Bool(_)) => false,
            _ => true,
        }
    }

    pub(super) fn command(&mut self, id: NodeId, piped: bool) {
        let Content::Command(operands) = self.tree.node(id).content else { return };
        let [first, arguments @ ..] = self.tree.children(operands) else { return };
        let (first, called) = (*first, piped || !arguments.is_empty());
        match &self.tree.node(first).content {
            Content::Function(..) => self.function(first, id, arguments, piped),
            Content::Field(_) | Content::Chain(..) => self.fields(first, arguments, piped),
            Content::Variable(path) if self.tree.path(*path).len() > 1 => {
                self.fields(first, arguments, piped);
            }
            Content::Variable(path) => {
                self.emit(Op::At(first));
                self.variable(self.tree.path(*path));
                if called {
                    self.not_a_function(first);
                }
            }
            Content::Pipe(_) if called => self.not_a_function(first),
            Content::Pipe(_) => self.then(Task::Pipe { node: first, bare: true }),
            content => {
                self.emit(Op::At(first));
                match content {
                    _ if called => self.not_a_function(first),
                    Content::Dot => self.emit(Op::Dot),
                    Content::Nil => self.fail("nil is not a command"),
                    _ => match literal::ideal(self.tree, first) {
                        Ok(constant) => self.constant(constant),
                        Err(message) => self.fail(message),
                    },
                }
            }
        }
    }

    fn not_a_function(&mut self, node: NodeId) {
        let node = self.tree.print(node);
        self.fail([b"can't give argument to non-function ", &*node].concat());
    }

    fn variable(&mut self, path: &[Name]) {
        if let [name, ..] = path {
            self.emit(Op::Variable(*name));
        }
    }

    /// Compiles a field, a variable with fields, or a chain. The last field can be a method with
    /// arguments.
    fn fields(&mut self, id: NodeId, arguments: &[NodeId], piped: bool) {
        self.emit(Op::At(id));
        let called = piped || !arguments.is_empty();
        let path = match &self.tree.node(id).content {
            Content::Field(path) => match self.tree.path(*path) {
                // Two frequent cases have one step for the operand and its first field.
                [name, rest @ ..] if !called || !rest.is_empty() => {
                    self.emit(Op::DotField { name: *name, node: id });
                    rest
                }
                path => {
                    self.emit(Op::Dot);
                    path
                }
            },
            Content::Variable(path) => match self.tree.path(*path) {
                [variable, name, rest @ ..] if !called || !rest.is_empty() => {
                    self.emit(Op::VariableField { variable: *variable, name: *name, node: id });
                    rest
                }
                path => {
                    self.variable(path);
                    path.get(1..).unwrap_or_default()
                }
            },
            Content::Chain(inner, path) => {
                self.then(match &self.tree.node(*inner).content {
                    Content::Pipe(_) => Task::Pipe { node: *inner, bare: false },
                    // Only functions and pipelines can begin a chain.
                    _ => Task::Argument {
                        node: *inner,
                        parameter: Parameter::Typed(Type::Interface),
                    },
                });
                self.tree.path(*path)
            }
            _ => return,
        };
        let (method, fields) = match path.split_last() {
            Some((last, fields)) if called => (Some(*last), fields),
            _ => (None, path),
        };
        for name in fields {
            self.then_emit(Op::Field { name: *name, node: id });
        }
        let Some(name) = method else { return };
        // A nil receiver skips the arguments and the call.
        let nil = self.label();
        let count = arguments.len() as u16;
        self.then_emit(Op::Method { name, arguments: count, piped, nil });
        for (index, argument) in arguments.iter().enumerate() {
            let parameter = Parameter::Method { index: index as u16 };
            self.then(Task::Argument { node: *argument, parameter });
        }
        self.then_emit(Op::CallMethod { node: id, arguments: count, piped });
        self.then(Task::Bind(nil));
    }

    /// Compiles a call of the function `id`. Errors of the function itself are reported at
    /// `command`.
    fn function(&mut self, id: NodeId, command: NodeId, arguments: &[NodeId], piped: bool) {
        self.emit(Op::At(id));
        let Content::Function(_, place) = &self.tree.node(id).content else { return };
        let functions = self.functions;
        let known = functions.get(*place as usize);
        let given = arguments.len() + usize::from(piped);
        // Go reports a wrong number of arguments only when execution reaches the call.
        if let Err(message) = check_count(
            &known.name,
            known.signature.params.len(),
            known.signature.variadic,
            arguments.len(),
            given,
        ) {
            return self.fail(message);
        }
        // Steps hold the number of arguments in 16 bits.
        if given > usize::from(u16::MAX) {
            return self.fail(format!("too many arguments for {}", known.name));
        }
        match known.builtin {
            Some(Builtin::And) => return self.logic(false, arguments, piped),
            Some(Builtin::Or) => return self.logic(true, arguments, piped),
            _ => {}
        }
        for (index, argument) in arguments.iter().enumerate() {
            let parameter = Parameter::Typed(parameter_type(&known.signature.params, index));
            self.then(Task::Argument { node: *argument, parameter });
        }
        let count = arguments.len() as u16;
        let function = *place;
        if piped {
            let ty = parameter_type(&known.signature.params, arguments.len());
            self.check_piped(ty, count);
        }
        self.then_emit(Op::Call { node: command, function, arguments: count, piped });
    }

    /// Compiles `and` or `or`, which evaluate their arguments only until one decides.
    fn logic(&mut self, or: bool, arguments: &[NodeId], piped: bool) {
        let decided = self.label();
        let end = self.label();
        for (index, argument) in arguments.iter().enumerate() {
            let parameter = Parameter::Typed(Type::Interface);
            self.then(Task::Argument { node: *argument, parameter });
            // The last argument is the result, so it decides nothing.
            if piped || index + 1 < arguments.len() {
                self.then_emit(Op::Decide { or, label: decided });
            }
        }
        if piped {
            // The piped argument is already on the stack, below the argument that decided.
            self.then_emit(Op::Jump(end));
            self.then(Task::Bind(decided));
            self.then_emit(Op::Nip);
            self.then(Task::Bind(end));
        } else {
            self.then(Task::Bind(decided));
        }
    }

    pub(super) fn argument(&mut self, id: NodeId, parameter: Parameter) {
        self.emit(Op::At(id));
        match &self.tree.node(id).content {
            Content::Dot => self.emit(Op::Dot),
            Content::Variable(path) if self.tree.path(*path).len() == 1 => {
                self.variable(self.tree.path(*path));
            }
            Content::Variable(_) | Content::Field(_) | Content::Chain(..) => {
                self.fields(id, &[], false);
            }
            Content::Pipe(_) => self.then(Task::Pipe { node: id, bare: false }),
            Content::Function(..) => self.function(id, id, &[], false),
            _ => return self.literal(id, parameter),
        }
        // A literal was converted above; other operands are converted when the template is
        // executed.
        match parameter {
            Parameter::Typed(Type::Interface) => {}
            Parameter::Typed(ty) => {
                let ty = self.type_place(ty);
                self.then_emit(Op::Check(ty));
            }
            Parameter::Method { index } => self.then_emit(Op::CheckMethod { index }),
        }
    }

    /// Compiles a literal as an argument. If it does not fit the parameter, it compiles to a
    /// failure.
    fn literal(&mut self, id: NodeId, parameter: Parameter) {
        match parameter {
            Parameter::Typed(ty) => match literal::as_argument(self.tree, id, ty) {
                Ok(constant) => self.constant(constant),
                Err(message) => self.fail(message),
            },
            Parameter::Method { index } => self.emit(Op::MethodLiteral { node: id, index }),
        }
    }

    fn type_place(&mut self, ty: Type) -> u32 {
        let types = &mut self.program.types;
        let place = types.iter().position(|known| *known == ty).unwrap_or_else(|| {
            types.push(ty);
            types.len() - 1
        });
        place as u32
    }

    /// Checks the argument that came through the pipeline, which is below the others on the stack.
    fn check_piped(&mut self, ty: Type, arguments: u16) {
        if ty != Type::Interface {
            let ty = self.type_place(ty);
            self.then_emit(Op::CheckPiped { ty, arguments });
        }
    }
}

/// The type of the parameter that takes argument number `index`; extra arguments of a variadic
/// function go to the last one.
pub(crate) fn parameter_type(params: &[Type], index: usize) -> Type {
    params.get(index).or(params.last()).copied().unwrap_or(Type::Interface)
}

/// Checks the number of arguments: `written` in the command, `given` including the piped one.
pub(crate) fn check_count(
    name: &str,
    params: usize,
    variadic: bool,
    written: usize,
    given: usize,
) -> Result<(), String> {
    if variadic {
        let wanted = params - 1;
        if given < wanted {
            return Err(format!(
                "wrong number of args for {name}: want at least {wanted} got {written}"
            ));
        }
    } else if given != params {
        return Err(format!("wrong number of args for {name}: want {params} got {given}"));
    }
    Ok(())
}
