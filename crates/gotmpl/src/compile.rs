//! Turns a parsed template into a [`Program`].
//!
//! What waits to be compiled is in a list, not on the stack: nothing here recurses.

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
        open: Depth::default(),
        loops: Vec::new(),
        just_bound: true,
    };
    for (name, _) in &tree.templates {
        let start = compiler.label();
        compiler.starts.insert(*name, start);
        compiler.program.starts.push(start);
    }
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
    /// What is to be compiled, first thing last.
    pending: Vec<Task>,
    /// The blocks that are open at this point and keep something to be put back.
    open: Depth,
    /// The loops and `else` lists of loops around this point, innermost last.
    loops: Vec<Loop>,
    /// Whether a jump can lead to the end of the program as it is.
    just_bound: bool,
}

/// Something to be compiled.
enum Task {
    /// The rest of a list of statements, from this one.
    List(Span, usize),
    /// A pipeline. `bare` if whatever takes its value unwraps it.
    Pipe {
        node: NodeId,
        bare: bool,
    },
    /// A command of a pipeline, and whether the value of the one before is its last argument.
    Command {
        node: NodeId,
        piped: bool,
    },
    /// An argument.
    Argument {
        node: NodeId,
        parameter: Parameter,
    },
    Emit(Op),
    Bind(Label),
    Open(Block),
    Close(Block),
}

/// What an argument is for.
#[derive(Clone, Copy)]
enum Parameter {
    /// A parameter of this type.
    Typed(Type),
    /// A parameter of the method that was looked up last.
    Method { index: u16 },
}

/// A block that keeps something to be put back when it is left.
#[derive(Clone, Copy)]
enum Block {
    /// The variables since a mark.
    Variables,
    /// A changed dot.
    With,
    /// A loop, or its `else` list.
    Range(Target),
}

/// How many blocks are open, apart from loops.
#[derive(Clone, Copy, Default)]
struct Depth {
    marks: u32,
    dots: u32,
}

/// Something that `break` and `continue` can leave.
#[derive(Clone, Copy)]
struct Loop {
    target: Target,
    /// The blocks around it.
    around: Depth,
    /// The place among the loops of the one that `continue` concerns.
    continued: Option<usize>,
}

/// Where `break` and `continue` lead.
#[derive(Clone, Copy)]
enum Target {
    /// A loop: its next step, and what follows it.
    List { next: Label, end: Label },
    /// The `else` list of a loop. It is no part of the loop, but in Go `break` leaves just it,
    /// whereas `continue` concerns the loop around.
    Otherwise { end: Label },
}

impl Compiler<'_> {
    fn template(&mut self, list: Span) {
        self.then([Task::List(list, 0), Task::Emit(Op::Return)]);
        while let Some(task) = self.pending.pop() {
            match task {
                Task::List(span, place) => {
                    if let Some(node) = self.tree.children(span).get(place) {
                        self.pending.push(Task::List(span, place + 1));
                        self.statement(*node);
                    }
                }
                Task::Pipe { node, bare } => self.pipe(node, bare),
                Task::Command { node, piped } => self.command(node, piped),
                Task::Argument { node, parameter } => self.argument(node, parameter),
                Task::Emit(op) => self.emit(op),
                Task::Bind(label) => self.bind(label),
                Task::Open(block) => self.open(block),
                Task::Close(block) => self.close(block),
            }
        }
    }

    /// Has `tasks` done next, in their order.
    fn then(&mut self, tasks: impl IntoIterator<Item = Task>) {
        let first = self.pending.len();
        self.pending.extend(tasks);
        self.in_order(first);
    }

    /// Has the tasks that were added as number `first` and later done in the order of adding.
    fn in_order(&mut self, first: usize) {
        self.pending[first..].reverse();
    }

    fn statement(&mut self, id: NodeId) {
        match &self.tree.node(id).content {
            Content::Text(extent) => self.emit(Op::Text(*extent)),
            Content::Action(pipe) => {
                let declares = !self.variables(*pipe).0.is_empty();
                let end = if declares { Op::Discard } else { Op::Print(id) };
                self.then([Task::Pipe { node: *pipe, bare: !declares }, Task::Emit(end)]);
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
        let first = self.pending.len();
        if declares {
            self.pending.extend([Task::Emit(Op::Mark), Task::Open(Block::Variables)]);
        }
        self.pending.push(Task::Pipe { node: pipe, bare: true });
        match choice {
            Choice::If => self.pending.extend([
                Task::Emit(Op::JumpUnless(otherwise)),
                Task::List(list, 0),
                Task::Emit(Op::Jump(end)),
            ]),
            Choice::With => self.pending.extend([
                Task::Emit(Op::With(otherwise)),
                Task::Open(Block::With),
                Task::List(list, 0),
                Task::Close(Block::With),
                Task::Emit(Op::EndWith),
                Task::Emit(Op::Jump(end)),
            ]),
            Choice::Range => {
                let next = self.label();
                let (names, assigns) = self.variables(pipe);
                let bind = match (&*names, assigns) {
                    ([element], true) => Bind::AssignElement(*element),
                    ([index, element], true) => Bind::AssignBoth(*index, *element),
                    ([_], false) => Bind::Element,
                    ([_, _], false) => Bind::Both,
                    _ => Bind::Nothing,
                };
                let block = Block::Range(Target::List { next, end });
                self.pending.extend([
                    Task::Emit(Op::Range { otherwise, two_variables: names.len() > 1 }),
                    Task::Open(block),
                    Task::Bind(next),
                    Task::Emit(Op::Next { done: end, bind }),
                    Task::List(list, 0),
                    Task::Close(block),
                    Task::Emit(Op::Jump(next)),
                ]);
            }
        }
        self.pending.push(Task::Bind(otherwise));
        if choice == Choice::Range {
            let block = Block::Range(Target::Otherwise { end });
            self.pending.extend([Task::Open(block), Task::List(other_list, 0), Task::Close(block)]);
        } else {
            self.pending.push(Task::List(other_list, 0));
        }
        self.pending.push(Task::Bind(end));
        if declares {
            self.pending.extend([Task::Close(Block::Variables), Task::Emit(Op::Release)]);
        }
        self.in_order(first);
    }

    /// The names of the variables of a pipeline, and whether they are assigned to.
    fn variables(&self, pipe: NodeId) -> (Vec<Name>, bool) {
        let Content::Pipe(pipe) = &self.tree.node(pipe).content else { return Default::default() };
        let variables = self.tree.children(pipe.variables).iter();
        let names = variables.filter_map(|node| match &self.tree.node(*node).content {
            Content::Variable(path) => self.tree.path(*path).first().copied(),
            _ => None,
        });
        (names.collect(), pipe.assigns)
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

    /// `break`, or else `continue`: leaves the blocks inside of the loop first.
    fn leave(&mut self, for_good: bool) {
        let innermost = self.loops.last();
        let left = match for_good {
            true => innermost,
            false => innermost.and_then(|last| self.loops.get(last.continued?)),
        };
        // The parser lets neither stand outside a loop.
        let Some(&Loop { target, around, .. }) = left else { return };
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
        let Some(start) = self.starts.get(&name).copied() else {
            self.emit(Op::At(id));
            self.fail(format!("template {} not defined", quote(self.tree.name(name))));
            return;
        };
        self.emit(Op::Enter(id));
        let argument = match pipe {
            Some(node) => Task::Pipe { node, bare: false },
            None => Task::Emit(Op::Nil),
        };
        self.then([argument, Task::Emit(Op::Execute { template: name, start })]);
    }

    fn emit(&mut self, op: Op) {
        // Of two visits in a row the first cannot be seen.
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

    /// Makes `label` lead to the end of the program as it is.
    fn bind(&mut self, label: Label) {
        self.program.targets[label.0 as usize] = self.program.ops.len() as u32;
        self.just_bound = true;
    }
}
