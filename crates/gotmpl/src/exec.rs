//! Executes a [`Program`]: one loop over its steps.
//!
//! What Go's executor keeps on its stack is in lists here: operands, variables, dots, loops and
//! template calls. So a deep template costs memory and never overflows the stack.

mod call;
mod field;
mod operand;
mod range;

use self::field::Place;
use self::operand::Operand;
use self::range::Loop;
use crate::dialect::MissingKey;
use crate::error::{Error, Unknown};
use crate::fmt;
use crate::func::{Failure, Library, Table};
use crate::lex::Extent;
use crate::node::{Content, Name, NodeId, Tree};
use crate::program::{Label, Op, Program};
use crate::types::Method;
use crate::value::Value;
use crate::value::memory::{self, Held};

/// How deeply template calls may nest, as in Go.
const MAX_DEPTH: usize = 100_000;

/// The work after which the library is asked whether the execution may go on. A step of a loop and
/// a call of a template count 1.
const WORK: u32 = 256;
/// The values are measured when more than this part of the limit on memory was made.
const UNMEASURED: usize = 16;
/// The work that a call of a registered function counts.
const CALL_WORK: u32 = 16;

/// Limits on the memory that one execution can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes that one execution can output.
    pub output: usize,
    /// The most bytes that one call of `print`, `printf`, `println`, `html`, `js` or `urlquery` can
    /// return.
    pub value: usize,
    /// The most bytes that the output and the values that the execution holds can take together.
    pub memory: usize,
}

impl Default for Limits {
    /// 1 GiB of output, 256 MiB for one text, 1 GiB for everything.
    fn default() -> Limits {
        Limits { output: 1 << 30, value: 256 << 20, memory: 1 << 30 }
    }
}

/// The code to execute: a program, the tree it was compiled from, and the functions it calls.
#[derive(Clone, Copy)]
pub(crate) struct Code<'a> {
    pub(crate) name: &'a str,
    pub(crate) tree: &'a Tree,
    pub(crate) program: &'a Program,
    pub(crate) functions: &'a Table,
    pub(crate) missing_key: MissingKey,
}

/// Executes the template number `entry` of `code` with `dot` as its dot and appends the output to
/// `out`. After an error, `out` holds the output up to that point.
pub(crate) fn execute(
    code: Code<'_>,
    entry: usize,
    library: &dyn Library,
    dot: Value,
    limits: Limits,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let Some((template, _)) = code.tree.templates.get(entry) else { return Ok(()) };
    let start = out.len();
    let running = memory::Running::begin();
    let mut executor = Executor {
        code,
        library,
        limits,
        start,
        out,
        next: 0,
        at: None,
        template: *template,
        root: Name::ROOT,
        dot: Operand::Value(Value::Nil),
        operands: Vec::new(),
        variables: Vec::new(),
        base: 0,
        dots: Vec::new(),
        marks: Vec::new(),
        loops: Vec::new(),
        frames: Vec::new(),
        methods: Vec::new(),
        arguments: Vec::new(),
        text: Vec::new(),
        work: WORK,
        held: 0,
        outside: running.outside(),
    };
    executor.begin(*template, code.program.starts[entry], Operand::Value(dot));
    executor.run().map_err(|failure| executor.error(&failure))
}

struct Executor<'a> {
    code: Code<'a>,
    library: &'a dyn Library,
    limits: Limits,
    /// The length of `out` before the execution.
    start: usize,
    out: &'a mut Vec<u8>,
    /// The next step.
    next: usize,
    /// The node visited last, where an error is reported.
    at: Option<NodeId>,
    /// The template that is executing.
    template: Name,
    /// The name `$`.
    root: Name,
    dot: Operand,
    operands: Vec<Operand>,
    variables: Vec<Variable>,
    /// The index in `variables` of the first variable of this template call.
    base: usize,
    /// The dots outside of each open `with`, innermost last.
    dots: Vec<Operand>,
    /// The marks set by [`Op::Mark`].
    marks: Vec<usize>,
    loops: Vec<Loop>,
    /// The template calls that wait for the current one, innermost last.
    frames: Vec<Frame>,
    /// Methods that are looked up and whose arguments are being evaluated.
    methods: Vec<Pending>,
    /// The arguments of the current call. Kept, so that each call can use the allocation.
    arguments: Vec<Value>,
    /// The text that a builtin is making. Kept, so that each call can use the allocation.
    text: Vec<u8>,
    /// The work that is left until the library is asked whether the execution may go on.
    work: u32,
    /// The bytes of the values that were held when they were last measured.
    held: usize,
    /// The bytes that the executions hold that wait for this one.
    outside: usize,
}

struct Variable {
    name: Name,
    operand: Operand,
}

/// What a template call restores when it returns.
struct Frame {
    next: usize,
    at: Option<NodeId>,
    template: Name,
    base: usize,
    dot: Operand,
}

/// A method that was looked up, and its receiver.
struct Pending {
    method: &'static Method,
    receiver: Value,
}

impl Executor<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let program = self.code.program;
        while let Some(op) = program.ops.get(self.next) {
            self.next += 1;
            match *op {
                Op::Text(extent) => self.text(extent)?,
                Op::Print(node) => self.print(node)?,
                Op::Discard => self.drop_top(),
                Op::Mark => self.marks.push(self.variables.len()),
                Op::Release => {
                    if let Some(mark) = self.marks.pop() {
                        self.variables.truncate(mark);
                    }
                }
                Op::Jump(label) => self.jump(label),
                Op::JumpUnless(label) => {
                    if !self.take().is_true() {
                        self.jump(label);
                    }
                }
                Op::With(label) => {
                    let operand = self.take().unwrapped();
                    if operand.is_true() {
                        self.dots.push(std::mem::replace(&mut self.dot, operand));
                    } else {
                        self.jump(label);
                    }
                }
                Op::EndWith => self.unwind(0, 1),
                Op::Range { otherwise, two_variables } => self.range(otherwise, two_variables)?,
                Op::Next { done, bind } => {
                    self.count(1)?;
                    self.next_step(done, bind)?;
                }
                Op::Unwind { marks, dots } => self.unwind(marks as usize, dots as usize),
                Op::EndRange(label) => {
                    self.end_loop();
                    self.jump(label);
                }
                // Go visits the call and checks the depth before it evaluates the pipeline.
                Op::Enter(node) => {
                    self.at = Some(node);
                    if self.frames.len() == MAX_DEPTH {
                        let message = format!("exceeded maximum template depth ({MAX_DEPTH})");
                        return Err(message.into());
                    }
                }
                Op::Execute { template, start } => {
                    self.count(1)?;
                    self.call_template(template, start);
                }
                Op::Return => {
                    if !self.return_from_template() {
                        break;
                    }
                }

                Op::At(node) => self.at = Some(node),
                Op::Dot => self.operands.push(self.dot.clone()),
                Op::Variable(name) => self.operands.push(self.variable(name)?.clone()),
                Op::Constant(place) => {
                    let value = program.constants[place as usize].value();
                    self.operands.push(Operand::Value(value));
                }
                Op::Nil => self.operands.push(Operand::Value(Value::Nil)),
                Op::Field { name, node } => {
                    let receiver = self.take();
                    let place = self.find_field(&receiver, name)?;
                    self.give(place, receiver, node)?;
                }
                Op::DotField { name, node } => {
                    // The usual case in a loop. Pushing directly avoids a copy of the operand
                    // through `Place`.
                    if let Some(element) = field::slot_of(&self.dot, self.code.tree.name(name)) {
                        self.operands.push(Operand::Element(element));
                    } else {
                        match self.find_field(&self.dot, name)? {
                            Place::Operand(operand) => self.operands.push(operand),
                            place => self.give(place, self.dot.clone(), node)?,
                        }
                    }
                }
                // Looks at the variable in place: a clone is only needed to call a method.
                Op::VariableField { variable, name, node } => {
                    let receiver = self.variable(variable)?;
                    match self.find_field(receiver, name)? {
                        Place::Operand(operand) => self.operands.push(operand),
                        place => {
                            let receiver = receiver.clone();
                            self.give(place, receiver, node)?;
                        }
                    }
                }
                Op::Method { name, arguments, piped, nil } => {
                    self.method(name, arguments, piped, nil)?;
                }
                Op::CheckMethod { index } => self.check_method_argument(index)?,
                Op::MethodLiteral { node, index } => self.method_literal(node, index)?,
                Op::CallMethod { node, arguments, piped } => {
                    self.call_method(node, arguments, piped)?;
                }
                Op::Check(ty) => self.check(0, program.types[ty as usize])?,
                Op::CheckPiped { ty, arguments } => {
                    self.check(usize::from(arguments), program.types[ty as usize])?;
                }
                Op::Call { node, function, arguments, piped } => {
                    self.call(node, function as usize, arguments, piped)?;
                }
                Op::Decide { or, label } => {
                    if self.operands.last().is_some_and(Operand::is_true) == or {
                        self.jump(label);
                    } else {
                        self.operands.pop();
                    }
                }
                Op::Nip => {
                    if let Some(operand) = self.operands.pop()
                        && let Some(below) = self.operands.last_mut()
                    {
                        *below = operand;
                    }
                }
                Op::Unwrap => {
                    if let Some(operand) = self.operands.last_mut()
                        && operand.is_interface()
                    {
                        *operand = Operand::Value(operand.take_value());
                    }
                }
                Op::Declare(name) => {
                    let operand = self.top();
                    self.variables.push(Variable { name, operand });
                }
                Op::Assign(name) => {
                    let operand = self.top();
                    *self.variable_mut(name)? = operand;
                }
                Op::Fail(place) => {
                    return Err(Failure::new(program.messages[place as usize].clone()));
                }
            }
        }
        Ok(())
    }

    /// The field, method or map entry called `name` of `receiver`, without arguments.
    #[inline]
    fn find_field(&self, receiver: &Operand, name: Name) -> Result<Place, Failure> {
        field::find(receiver, self.code.tree.name(name), false, self.code.missing_key)
    }

    /// Counts work, and from time to time asks whether the execution may go on.
    fn count(&mut self, work: u32) -> Result<(), Failure> {
        match self.work.checked_sub(work) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => {
                self.work = WORK;
                self.library.interrupt()
            }
        }
    }

    fn jump(&mut self, label: Label) {
        self.next = self.code.program.targets[label.0 as usize] as usize;
    }

    /// Pops the top operand. The compiler makes sure that there is one.
    fn take(&mut self) -> Operand {
        self.operands.pop().unwrap_or_default()
    }

    /// Drops the top operand.
    fn drop_top(&mut self) {
        self.operands.truncate(self.operands.len().saturating_sub(1));
    }

    /// A clone of the top operand.
    fn top(&self) -> Operand {
        self.operands.last().cloned().unwrap_or_default()
    }

    fn variable(&self, name: Name) -> Result<&Operand, Failure> {
        Ok(&self.variables[self.variable_place(name)?].operand)
    }

    fn variable_mut(&mut self, name: Name) -> Result<&mut Operand, Failure> {
        let place = self.variable_place(name)?;
        Ok(&mut self.variables[place].operand)
    }

    /// The index of the variable called `name` that was declared last.
    fn variable_place(&self, name: Name) -> Result<usize, Failure> {
        let mut variables = self.variables[self.base..].iter();
        match variables.rposition(|variable| variable.name == name) {
            Some(place) => Ok(self.base + place),
            None => {
                let name = self.code.tree.name(name);
                Err(Failure::new([b"undefined variable: ", name.as_ref()].concat()))
            }
        }
    }

    fn text(&mut self, extent: Extent) -> Result<(), Failure> {
        if extent.len() > self.room() {
            return Err(self.too_large());
        }
        self.out.extend_from_slice(self.code.tree.written(extent));
        Ok(())
    }

    /// Outputs the top operand, the value of the action `node`.
    fn print(&mut self, node: NodeId) -> Result<(), Failure> {
        let room = self.room();
        let out = &mut *self.out;
        let Some(operand) = self.operands.last() else { return Ok(()) };
        let printed = operand.with(|value| match value {
            // Go cannot print a function; the type is for the error.
            Value::Func(func) => Err(Some(func.ty())),
            // The method of a pointer: Go takes the address of the value, and only here.
            Value::Integer(ty, _)
                if ty.stringer.is_none()
                    && let Some(method) =
                        ty.methods.iter().find(|method| method.name == "String")
                    && let Ok(text) = (method.call)(value, &mut []) =>
            {
                fmt::print_value(out, &text, room).map_err(|fmt::TooLarge| None)
            }
            value => fmt::print_value(out, value, room).map_err(|fmt::TooLarge| None),
        });
        self.drop_top();
        if printed.is_ok() {
            return self.check_memory();
        }
        printed.map_err(|unprintable| {
            self.at = Some(node);
            match unprintable {
                Some(ty) => {
                    let node = self.code.tree.print(node);
                    let of = [b" of type ", ty.name.as_bytes()].concat();
                    Failure::new([b"can't print ", &*node, &*of].concat())
                }
                None => self.too_large(),
            }
        })
    }

    /// The number of bytes that can still be output.
    fn room(&self) -> usize {
        let left = self.limits.memory.saturating_sub(self.outside).min(self.limits.output);
        left.saturating_sub(self.out.len() - self.start)
    }

    fn too_large(&self) -> Failure {
        match self.limits.memory.saturating_sub(self.outside) < self.limits.output {
            true => self.out_of_memory(),
            false => format!("the output is larger than {} bytes", self.limits.output).into(),
        }
    }

    fn out_of_memory(&self) -> Failure {
        format!("the template holds more than {} bytes, its memory limit", self.limits.memory)
            .into()
    }

    /// Checks that the output and the values fit into the limit on memory.
    fn check_memory(&mut self) -> Result<(), Failure> {
        let output = self.output();
        let made = memory::made();
        let most = self.held.saturating_add(made).saturating_add(output);
        // What was made and not measured counts in full for an execution inside of this one.
        let is_known = made <= self.limits.memory / UNMEASURED;
        if is_known && most <= self.limits.memory { Ok(()) } else { self.measure(output) }
    }

    /// The bytes of the output, and of what the executions hold that wait for this one.
    fn output(&self) -> usize {
        self.outside.saturating_add(self.out.len() - self.start)
    }

    /// Measures the values that are held: those that were made since the last time may be dropped.
    #[cold]
    fn measure(&mut self, output: usize) -> Result<(), Failure> {
        let mut held = Held::default();
        let variables = self.variables.iter().map(|variable| &variable.operand);
        let dots = self.dots.iter().chain(self.frames.iter().map(|frame| &frame.dot));
        for operand in self.operands.iter().chain(variables).chain(dots).chain([&self.dot]) {
            operand.hold(&mut held);
        }
        self.loops.iter().for_each(|running| running.hold(&mut held));
        self.arguments.iter().for_each(|value| held.add(value));
        self.methods.iter().for_each(|pending| held.add(&pending.receiver));
        self.held = held.bytes() + self.text.capacity();
        memory::forget_made();
        match self.held.saturating_add(output) <= self.limits.memory {
            true => Ok(()),
            false => Err(self.out_of_memory()),
        }
    }

    /// Leaves that many blocks: drops the variables since their marks and restores the dot.
    fn unwind(&mut self, marks: usize, dots: usize) {
        // The outermost mark and dot of the blocks restore the state; those inside were set later.
        self.marks.truncate(self.marks.len() - marks.saturating_sub(1).min(self.marks.len()));
        if marks > 0
            && let Some(mark) = self.marks.pop()
        {
            self.variables.truncate(mark);
        }
        self.dots.truncate(self.dots.len() - dots.saturating_sub(1).min(self.dots.len()));
        if dots > 0
            && let Some(dot) = self.dots.pop()
        {
            self.dot = dot;
        }
    }

    fn call_template(&mut self, template: Name, start: Label) {
        let argument = self.take();
        let frame = Frame {
            next: self.next,
            at: self.at,
            template: self.template,
            base: self.base,
            dot: std::mem::take(&mut self.dot),
        };
        self.frames.push(frame);
        self.begin(template, start, argument);
    }

    /// Starts a template with its dot.
    fn begin(&mut self, template: Name, start: Label, dot: Operand) {
        self.template = template;
        self.base = self.variables.len();
        // `$` is the first variable of every template, and not visible in the templates that it
        // calls.
        self.variables.push(Variable { name: self.root, operand: dot.clone() });
        self.dot = dot;
        self.jump(start);
    }

    /// Returns to the caller of the template. False if the caller is not a template.
    fn return_from_template(&mut self) -> bool {
        let Some(frame) = self.frames.pop() else { return false };
        self.variables.truncate(self.base);
        self.next = frame.next;
        self.at = frame.at;
        self.template = frame.template;
        self.base = frame.base;
        self.dot = frame.dot;
        true
    }

    fn error(&self, failure: &Failure) -> Error {
        let Code { name, tree, .. } = self.code;
        let (offset, node) = match self.at {
            Some(at) => (tree.node(at).position(), tree.print(at)),
            // Nothing has been visited yet.
            None => (0, Vec::new()),
        };
        let message = failure.message();
        let unknown = failure.about().cloned().or_else(|| self.unknown_template());
        Error::execute(name, tree.source(), offset, tree.name(self.template), node, message)
            .about(unknown)
    }

    /// The unknown template, if the execution stopped at a call of one.
    fn unknown_template(&self) -> Option<Unknown> {
        let tree = self.code.tree;
        let Content::Template(name, _) = tree.node(self.at?).content else { return None };
        let name = tree.name(name);
        let known = tree.templates.iter().map(|(name, _)| tree.name(*name));
        tree.find(name).is_none().then(|| Unknown::new(name, known))
    }
}
