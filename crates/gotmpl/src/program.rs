//! A compiled template: one flat list of steps for a stack machine.
//!
//! The list is flat so that execution needs no native stack, however deeply blocks, parentheses and
//! template calls nest. A program holds literals as [`Constant`]s and no [`Value`]s, so that
//! threads can share it.

use bytes::Bytes;

use crate::lex::Extent;
use crate::node::{Name, NodeId};
use crate::types::{IntegerType, Type};
use crate::value::Value;

/// The destination of a jump: an index into [`Program::targets`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label(pub(crate) u32);

/// One step of the machine. A step pops its operands from the stack and pushes its result; "the
/// value" is the operand on top.
///
/// An execution error is reported at the node that was *visited* last, which is not always the node
/// that failed: Go does so. Some steps therefore visit a node, and the order of the steps is the
/// order in which Go visits the nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Outputs a piece of the source.
    Text(Extent),
    /// Pops the value of an action and outputs it.
    Print(NodeId),
    /// Pops a value that is not used.
    Discard,
    /// Pushes a mark: the number of variables now.
    Mark,
    /// Pops the last mark and drops the variables declared since.
    Release,
    /// Jumps.
    Jump(Label),
    /// Pops a value and jumps if it is false.
    JumpUnless(Label),
    /// Pops a value. If it is true it becomes the dot; if not, jumps.
    With(Label),
    /// Restores the dot from before [`Op::With`].
    EndWith,
    /// Pops the value to iterate over and starts a loop. Jumps to `otherwise` if the value has no
    /// elements.
    Range { otherwise: Label, two_variables: bool },
    /// Starts the next step of the innermost loop. Ends the loop and jumps to `done` if there is no
    /// element left.
    Next { done: Label, bind: Bind },
    /// Before a jump out of blocks: restores the dot and drops the variables of that many blocks.
    Unwind { marks: u32, dots: u32 },
    /// Ends the innermost loop and jumps.
    EndRange(Label),
    /// Visits a template call and checks the depth of calls.
    Enter(NodeId),
    /// Pops the new dot and calls a template.
    Execute { template: Name, start: Label },
    /// Returns from a template.
    Return,

    /// Visits a node.
    At(NodeId),
    /// Pushes the dot.
    Dot,
    /// Pushes the value of a variable.
    Variable(Name),
    /// Pushes the constant with this index in [`Program::constants`].
    Constant(u32),
    /// Pushes nil.
    Nil,
    /// Pops a value and pushes its field, or the result of its method of that name. Errors of the
    /// method are reported at `node`.
    Field { name: Name, node: NodeId },
    /// [`Op::Dot`] and [`Op::Field`] in one step.
    DotField { name: Name, node: NodeId },
    /// [`Op::Variable`] and [`Op::Field`] in one step.
    VariableField { variable: Name, name: Name, node: NodeId },
    /// Pops a value and looks up its method, which is then called with arguments. A value without
    /// that method is an error. Nil is not: it stays as the result, and the step jumps to `nil`.
    Method { name: Name, arguments: u16, piped: bool, nil: Label },
    /// Converts the value to the type of parameter `index` of the method that was looked up.
    CheckMethod { index: u16 },
    /// Pushes a literal, in the type of parameter `index` of the method that was looked up.
    MethodLiteral { node: NodeId, index: u16 },
    /// Pops the arguments, calls the method and pushes its result.
    CallMethod { node: NodeId, arguments: u16, piped: bool },
    /// Converts the value to the type with this index in [`Program::types`], or fails.
    Check(u32),
    /// Like [`Op::Check`], for the value that came through the pipeline. It is below the other
    /// `arguments` on the stack.
    CheckPiped { ty: u32, arguments: u16 },
    /// Pops the arguments, calls the function with this index in the table and pushes its result.
    Call { node: NodeId, function: u32, arguments: u16, piped: bool },
    /// Jumps if the value decides `or` (true) or, with `or` false, `and` (false). Pops the value if
    /// it does not.
    Decide { or: bool, label: Label },
    /// Removes the value below the top of the stack.
    Nip,
    /// Removes the interface type around the value: the executor's `Operand::Interface`.
    Unwrap,
    /// Declares a variable with the value, which stays on the stack.
    Declare(Name),
    /// Assigns the value, which stays on the stack, to a variable.
    Assign(Name),
    /// Fails with the message of this index in [`Program::messages`].
    Fail(u32),
}

/// The variables that each step of a loop sets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bind {
    Nothing,
    /// The variable declared last gets the element.
    Element,
    /// The variable declared last gets the element, the one before it the index or key.
    Both,
    /// A variable declared before the loop gets the element.
    AssignElement(Name),
    /// Two variables declared before the loop get the index or key, and the element.
    AssignBoth(Name, Name),
}

/// A literal, in the type that the place where it is written asks for.
#[derive(Clone, Debug)]
pub(crate) enum Constant {
    Bool(bool),
    Int(i64),
    Integer(&'static IntegerType, u64),
    Float(f64),
    Complex(f64, f64),
    String(Bytes),
    /// The zero value of a type.
    Zero(Type),
}

impl Constant {
    pub(crate) fn value(&self) -> Value {
        match self {
            Constant::Bool(value) => Value::Bool(*value),
            Constant::Int(value) => Value::Int(*value),
            Constant::Integer(ty, bits) => Value::Integer(ty, *bits),
            Constant::Float(value) => Value::Float(*value),
            Constant::Complex(real, imaginary) => Value::Complex(*real, *imaginary),
            Constant::String(text) => Value::String(text.clone()),
            Constant::Zero(ty) => Value::zero(*ty),
        }
    }
}

/// All templates of one source, compiled.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) ops: Vec<Op>,
    /// For each label, the index in `ops` where it leads.
    pub(crate) targets: Vec<u32>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) types: Vec<Type>,
    pub(crate) messages: Vec<Bytes>,
    /// For each template, in the order of the tree's templates, the label where it begins.
    pub(crate) starts: Vec<Label>,
}
