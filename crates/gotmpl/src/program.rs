//! A template as the executor runs it: one flat list of steps.
//!
//! Flat, so that executing needs no native stack however deep templates, blocks and parentheses
//! nest. A program holds no [`Value`]s and can be shared between threads.

use bytes::Bytes;

use crate::lex::Extent;
use crate::node::{Name, NodeId};
use crate::types::{IntegerType, Type};
use crate::value::Value;

/// Where a jump goes: a place in the list of [`Program::targets`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label(pub(crate) u32);

/// One step. Operands are on a stack; "takes" and "gives" are about its top.
///
/// Errors are reported at the node *visited* last, which is not always the one that fails. So
/// visiting is a part of some steps, and the order of steps is the order in which Go visits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Outputs bytes of the source.
    Text(Extent),
    /// Takes the value of an action and outputs it.
    Print(NodeId),
    /// Takes a value that nobody wants.
    Discard,
    /// Remembers how many variables there are.
    Mark,
    /// Drops the variables since the last mark.
    Release,
    /// Goes on elsewhere.
    Jump(Label),
    /// Takes a value and goes on elsewhere if it is false.
    JumpUnless(Label),
    /// Takes a value and makes it the dot, or goes on elsewhere if it is false.
    With(Label),
    /// Puts back the dot from before [`Op::With`].
    EndWith,
    /// Takes what is to be ranged over, or goes on elsewhere if that is empty.
    Range { otherwise: Label, two_variables: bool },
    /// Begins the next step of the innermost loop, or leaves it for elsewhere.
    Next { done: Label, bind: Bind },
    /// Puts back the dot, and drops the variables, of blocks that are left by a jump.
    Unwind { marks: u32, dots: u32 },
    /// Leaves the innermost loop.
    EndRange(Label),
    /// Visits a template call and checks the depth.
    Enter(NodeId),
    /// Takes the dot and executes a template.
    Execute { template: Name, start: Label },
    /// Ends a template.
    Return,

    /// Visits a node.
    At(NodeId),
    /// Gives the dot.
    Dot,
    /// Gives the variable.
    Variable(Name),
    /// Gives the constant at this place of the program's list.
    Constant(u32),
    /// Gives nil.
    Nil,
    /// Takes a value and gives its field, or what the method of that name returns. The node is
    /// for the method's errors.
    Field { name: Name, node: NodeId },
    /// [`Op::Dot`], then [`Op::Field`].
    DotField { name: Name, node: NodeId },
    /// [`Op::Variable`], then [`Op::Field`].
    VariableField { variable: Name, name: Name, node: NodeId },
    /// Takes a value and looks up its method for a call with arguments. A value without method
    /// cannot be called and ends in an error, except nil, which stays and goes on elsewhere.
    Method { name: Name, arguments: u16, piped: bool, nil: Label },
    /// Takes the value as argument number `index` of the method.
    CheckMethod { index: u16 },
    /// Gives a literal as argument number `index` of the method.
    MethodLiteral { node: NodeId, index: u16 },
    /// Takes the arguments and calls the method.
    CallMethod { node: NodeId, arguments: u16, piped: bool },
    /// Checks that the value can be of the type at this place of the program's list.
    Check(u32),
    /// The same for the value below the arguments, which came through the pipeline.
    CheckPiped { ty: u32, arguments: u16 },
    /// Takes the arguments and calls the function at this place of the table.
    Call { node: NodeId, function: u32, arguments: u16, piped: bool },
    /// Goes on elsewhere if the value decides `or` (or else `and`); takes it if not.
    Decide { or: bool, label: Label },
    /// Takes the value below the top.
    Nip,
    /// Frees a value from its slot of interface type.
    Unwrap,
    /// Gives the value to a new variable.
    Declare(Name),
    /// Gives the value to the variable.
    Assign(Name),
    /// Ends in the error with the message at this place of the program's list.
    Fail(u32),
}

/// Which variables get the index and the element of each step of a loop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bind {
    Nothing,
    /// The newest variable gets the element.
    Element,
    /// The newest variable gets the element, the one before it the index.
    Both,
    /// An old variable gets the element.
    AssignElement(Name),
    /// Two old variables get the index and the element.
    AssignBoth(Name, Name),
}

/// A literal, of the type that its place asks for.
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

/// All templates of one source, ready to be executed.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) ops: Vec<Op>,
    /// Where each label is in `ops`.
    pub(crate) targets: Vec<u32>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) types: Vec<Type>,
    pub(crate) messages: Vec<Bytes>,
    /// Where each template begins, in the order of the tree's templates.
    pub(crate) starts: Vec<Label>,
}
