//! Compiles a parsed template into a [`Program`].
//!
//! Work that is put off waits in a list on the heap, so that the compiler does not recurse.

mod expression;

use bytes::Bytes;
use foldhash::HashMap;

pub(crate) use self::expression::{check_count, parameter_type};
use crate::func::Table;
use crate::node::{Branch, Choice, Content, Name, NodeId, Span, Tree};
use crate::program::{Bind, Constant, Label, Op, Program};
use crate::quote::quote;
use crate::types::Type;

/// Compiles all templates of `tree`.
pub(crate) fn compile(tree: &Tree, functions: &Table) -> Program {
    let mut compiler = Compiler {
        tree,
        functions,
        program: Program::default(),
        starts: HashMap::default(),
        pending: Vec::new(),
        waiting: 0,
        open: Depth::default(),
        loops: Vec::new(),
        just_bound: true,
    };
    for (name, _) in &tree.templates {
        let start = compiler.label();
        compiler.starts.insert(*name, start);
        compiler.program.starts.push(start);
    }
    compiler.program.ops.reserve(tree.nodes().len());
    for (place, (_, list)) in tree.templates.iter().enumerate() {
        compiler.bind(compiler.program.starts[place]);
        compiler.template(*list);
    }
    compiler.program
}

struct Compiler<'t> {
    tree: &'t Tree,
    functions: &'t Table,
    program: Program,
    starts: HashMap<Name, Label>,
    /// The tasks to do. The first [`waiting`](Compiler::waiting) of them have been waiting since
    /// before the current task; of these the next one is last. Behind them are the tasks that the
    /// current task has put off; of these the next one is first.
    pending: Vec<Task>,
    /// How many of `pending` have been waiting since before the current task.
    waiting: usize,
    /// The blocks around this point that have something to restore when they are left.
    open: Depth,
    /// The loops, and the `else` lists of loops, around this point; the innermost is last.
    loops: Vec<Loop>,
    /// Whether a label leads to the end of the program as it is now.
    just_bound: bool,
}

/// A piece of work.
enum Task {
    /// The statements of a list, from this index on.
    List(Span, usize),
    /// A pipeline. `bare` if its consumer removes an interface type around the value.
    Pipe {
        node: NodeId,
        bare: bool,
    },
    /// A command of a pipeline. `piped` if the value of the command before it is its last argument.
    Command {
        node: NodeId,
        piped: bool,
    },
    /// An argument of a call.
    Argument {
        node: NodeId,
        parameter: Parameter,
    },
    Emit(Op),
    Bind(Label),
    Open(Block),
    Close(Block),
}

/// The parameter that an argument is for.
#[derive(Clone, Copy)]
enum Parameter {
    /// A parameter of this type.
    Typed(Type),
    /// A parameter of the method that was looked up last; its type is known only when the template
    /// is executed.
    Method { index: u16 },
}

/// A block that has something to restore when it is left.
#[derive(Clone, Copy)]
enum Block {
    /// Variables that were declared after a mark.
    Variables,
    /// A changed dot.
    With,
    /// A loop, or its `else` list.
    Range(Target),
}

/// The number of open blocks of each sort, apart from loops.
#[derive(Clone, Copy, Default)]
struct Depth {
    marks: u32,
    dots: u32,
}

/// What `break` and `continue` can leave.
#[derive(Clone, Copy)]
struct Loop {
    target: Target,
    /// The blocks around it.
    around: Depth,
    /// The index in `loops` of the loop that `continue` goes on with.
    continued: Option<usize>,
}

/// Where `break` and `continue` lead.
#[derive(Clone, Copy)]
enum Target {
    /// A loop: `continue` goes to its next step, `break` to its end.
    List { next: Label, end: Label },
    /// The `else` list of a loop. In Go it does not belong to the loop for `continue`, which
    /// concerns the loop around; yet `break` only leaves the list.
    Otherwise { end: Label },
}

impl<'t> Compiler<'t> {
    fn template(&mut self, list: Span) {
        self.pending.extend([Task::Emit(Op::Return), Task::List(list, 0)]);
        while let Some(task) = self.pending.pop() {
            self.waiting = self.pending.len();
            self.perform(task);
            // Reversed, so that the task that was put off first is the next one to be popped.
            self.pending[self.waiting..].reverse();
        }
    }

    #[inline(always)]
    fn perform(&mut self, task: Task) {
        match task {
            Task::List(span, place) => self.list(span, place),
            Task::Pipe { node, bare } => self.pipe(node, bare),
            Task::Command { node, piped } => self.command(node, piped),
            Task::Argument { node, parameter } => self.argument(node, parameter),
            Task::Emit(op) => self.emit(op),
            Task::Bind(label) => self.bind(label),
            Task::Open(block) => self.open(block),
            Task::Close(block) => self.close(block),
        }
    }

    /// Does `task` after everything that the current task has put off; at once if that is nothing.
    /// Lists and pipelines are always put off, because they can contain lists and pipelines.
    #[inline(always)]
    fn then(&mut self, task: Task) {
        if self.is_behind() || matches!(task, Task::List(..) | Task::Pipe { .. }) {
            self.pending.push(task);
        } else {
            self.perform(task);
        }
    }

    /// Like [`then`](Compiler::then), for a single step.
    #[inline]
    fn then_emit(&mut self, op: Op) {
        if self.is_behind() {
            self.pending.push(Task::Emit(op));
        } else {
            self.emit(op);
        }
    }

    /// Whether the current task has put something off.
    fn is_behind(&self) -> bool {
        self.pending.len() > self.waiting
    }

    /// Compiles the statements of a list from index `place` on.
    fn list(&mut self, span: Span, place: usize) {
        let tree = self.tree;
        for (place, node) in tree.children(span).iter().enumerate().skip(place) {
            self.statement(*node);
            // A statement must be complete before the next one is compiled.
            if self.is_behind() {
                self.pending.push(Task::List(span, place + 1));
                return;
            }
        }
    }

    fn statement(&mut self, id: NodeId) {
        match &self.tree.node(id).content {
            Content::Text(extent) => self.emit(Op::Text(*extent)),
            Content::Action(pipe) => {
                let declares = !self.variables(*pipe).0.is_empty();
                self.pipe(*pipe, !declares);
                // A declaration has a value but outputs nothing.
                self.then_emit(if declares { Op::Discard } else { Op::Print(id) });
            }
            Content::Branch(branch) => self.branch(branch),
            Content::Break => self.leave(true),
            Content::Continue => self.leave(false),
            Content::Template(name, pipe) => self.call_template(id, *name, *pipe),
            _ => {}
        }
    }

    fn branch(&mut self, branch: &Branch) {
        let Branch { choice, pipe, list, otherwise: other_list, declares } = *branch;
        let otherwise = self.label();
        let end = self.label();
        if declares {
            self.then_emit(Op::Mark);
            self.then(Task::Open(Block::Variables));
        }
        // `bare`, because each of the three steps removes the interface type itself.
        self.pipe(pipe, true);
        match choice {
            Choice::If => {
                self.then_emit(Op::JumpUnless(otherwise));
                self.then(Task::List(list, 0));
                self.then_emit(Op::Jump(end));
            }
            Choice::With => {
                self.then_emit(Op::With(otherwise));
                self.then(Task::Open(Block::With));
                self.then(Task::List(list, 0));
                // Closed before `EndWith`: a jump out of the block after this point must not
                // restore the dot again.
                self.then(Task::Close(Block::With));
                self.then_emit(Op::EndWith);
                self.then_emit(Op::Jump(end));
            }
            Choice::Range => {
                let next = self.label();
                let (variables, assigns) = self.variables(pipe);
                let bind = match (variables, assigns) {
                    ([element], true) => Bind::AssignElement(self.variable_name(*element)),
                    ([index, element], true) => {
                        Bind::AssignBoth(self.variable_name(*index), self.variable_name(*element))
                    }
                    ([_], false) => Bind::Element,
                    ([_, _], false) => Bind::Both,
                    _ => Bind::Nothing,
                };
                let block = Block::Range(Target::List { next, end });
                // The block is opened behind this step, because its pipeline is not inside of the
                // loop.
                self.then_emit(Op::Range { otherwise, two_variables: variables.len() > 1 });
                self.then(Task::Open(block));
                self.then(Task::Bind(next));
                self.then_emit(Op::Next { done: end, bind });
                self.then(Task::List(list, 0));
                self.then(Task::Close(block));
                self.then_emit(Op::Jump(next));
            }
        }
        self.then(Task::Bind(otherwise));
        // A `break` in this list must find the list and not the loop around it.
        if choice == Choice::Range {
            let block = Block::Range(Target::Otherwise { end });
            self.then(Task::Open(block));
            self.then(Task::List(other_list, 0));
            self.then(Task::Close(block));
        } else {
            self.then(Task::List(other_list, 0));
        }
        self.then(Task::Bind(end));
        if declares {
            self.then(Task::Close(Block::Variables));
            self.then_emit(Op::Release);
        }
    }

    /// The variables of a pipeline, as nodes.
    fn variables(&self, pipe: NodeId) -> (&'t [NodeId], bool) {
        match &self.tree.node(pipe).content {
            Content::Pipe(pipe) => (self.tree.children(pipe.variables), pipe.assigns),
            _ => (&[], false),
        }
    }

    /// The name of the variable that a pipeline declares or assigns.
    fn variable_name(&self, node: NodeId) -> Name {
        match &self.tree.node(node).content {
            Content::Variable(path) => self.tree.path(*path).first().copied().unwrap_or(Name::ROOT),
            _ => Name::ROOT,
        }
    }

    fn open(&mut self, block: Block) {
        match block {
            Block::Variables => self.open.marks += 1,
            Block::With => self.open.dots += 1,
            Block::Range(target) => {
                let continued = match target {
                    Target::List { .. } => Some(self.loops.len()),
                    Target::Otherwise { .. } => self.loops.last().and_then(|last| last.continued),
                };
                self.loops.push(Loop { target, around: self.open, continued });
            }
        }
    }

    fn close(&mut self, block: Block) {
        match block {
            Block::Variables => self.open.marks -= 1,
            Block::With => self.open.dots -= 1,
            Block::Range(_) => drop(self.loops.pop()),
        }
    }

    /// Compiles `break` (`for_good`) or `continue`: restores what the blocks inside of the loop
    /// changed, then jumps.
    fn leave(&mut self, for_good: bool) {
        let innermost = self.loops.last();
        let left = match for_good {
            true => innermost,
            false => innermost.and_then(|last| self.loops.get(last.continued?)),
        };
        // Cannot happen: the parser rejects `break` and `continue` outside of a loop.
        let Some(&Loop { target, around, .. }) = left else { return };
        // A loop restores its own dot and variables; only blocks inside of it need a step here.
        let (marks, dots) = (self.open.marks - around.marks, self.open.dots - around.dots);
        if marks + dots > 0 {
            self.emit(Op::Unwind { marks, dots });
        }
        self.emit(match target {
            Target::List { end, .. } if for_good => Op::EndRange(end),
            Target::List { next, .. } => Op::Jump(next),
            Target::Otherwise { end } => Op::Jump(end),
        });
    }

    fn call_template(&mut self, id: NodeId, name: Name, pipe: Option<NodeId>) {
        // Go notices a missing template only when execution reaches the call.
        let Some(start) = self.starts.get(&name).copied() else {
            self.emit(Op::At(id));
            self.fail(format!("template {} not defined", quote(self.tree.name(name))));
            return;
        };
        self.emit(Op::Enter(id));
        match pipe {
            Some(node) => self.pipe(node, false),
            None => self.emit(Op::Nil),
        }
        self.then_emit(Op::Execute { template: name, start });
    }

    fn emit(&mut self, op: Op) {
        // If two visits follow each other directly, no error can be reported at the first.
        if let (Op::At(_), Some(last @ Op::At(_)), false) =
            (op, self.program.ops.last_mut(), self.just_bound)
        {
            *last = op;
            return;
        }
        self.program.ops.push(op);
        self.just_bound = false;
    }

    fn fail(&mut self, message: impl Into<Bytes>) {
        let place = self.program.messages.len() as u32;
        self.program.messages.push(message.into());
        self.emit(Op::Fail(place));
    }

    fn constant(&mut self, constant: Constant) {
        let place = self.program.constants.len() as u32;
        self.program.constants.push(constant);
        self.emit(Op::Constant(place));
    }

    fn label(&mut self) -> Label {
        self.program.targets.push(0);
        Label(self.program.targets.len() as u32 - 1)
    }

    /// Makes `label` lead to the end of the program as it is now.
    fn bind(&mut self, label: Label) {
        self.program.targets[label.0 as usize] = self.program.ops.len() as u32;
        self.just_bound = true;
    }
}
