//! Turns a parsed template into a [`Program`].
//!
//! What waits to be compiled is in a list, not on the stack: nothing here recurses.

mod expression;

use std::collections::HashMap;

use bytes::Bytes;

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
        starts: HashMap::new(),
        pending: Vec::new(),
        blocks: Vec::new(),
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
    /// The blocks that are open at this point.
    blocks: Vec<Block>,
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
    Close,
}

/// What an argument is for.
#[derive(Clone, Copy)]
enum Parameter {
    /// A parameter of this type.
    Typed(Type),
    /// A parameter of the method that was looked up last.
    Method { index: u16 },
}

/// A block that `break` and `continue` may have to leave.
#[derive(Clone, Copy)]
enum Block {
    /// The variables since a mark.
    Variables,
    /// A changed dot.
    With,
    /// A loop: its next step, and what follows it.
    Range { next: Label, end: Label },
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
                Task::Open(block) => self.blocks.push(block),
                Task::Close => {
                    self.blocks.pop();
                }
            }
        }
    }

    /// Has `tasks` done next, in their order.
    fn then(&mut self, tasks: impl IntoIterator<Item = Task>) {
        let start = self.pending.len();
        self.pending.extend(tasks);
        self.pending[start..].reverse();
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
        let mut tasks = Vec::new();
        if declares {
            tasks.extend([Task::Emit(Op::Mark), Task::Open(Block::Variables)]);
        }
        tasks.push(Task::Pipe { node: pipe, bare: true });
        match choice {
            Choice::If => tasks.extend([
                Task::Emit(Op::JumpUnless(otherwise)),
                Task::List(list, 0),
                Task::Emit(Op::Jump(end)),
            ]),
            Choice::With => tasks.extend([
                Task::Emit(Op::With(otherwise)),
                Task::Open(Block::With),
                Task::List(list, 0),
                Task::Close,
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
                tasks.extend([
                    Task::Emit(Op::Range { otherwise, two_variables: names.len() > 1 }),
                    Task::Open(Block::Range { next, end }),
                    Task::Bind(next),
                    Task::Emit(Op::Next { done: end, bind }),
                    Task::List(list, 0),
                    Task::Close,
                    Task::Emit(Op::Jump(next)),
                ]);
            }
        }
        tasks.push(Task::Bind(otherwise));
        if choice == Choice::Range {
            tasks.push(Task::Open(Block::Otherwise { end }));
        }
        tasks.push(Task::List(other_list, 0));
        if choice == Choice::Range {
            tasks.push(Task::Close);
        }
        tasks.push(Task::Bind(end));
        if declares {
            tasks.extend([Task::Close, Task::Emit(Op::Release)]);
        }
        self.then(tasks);
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

    /// `break`, or else `continue`: leaves the blocks inside of the loop first.
    fn leave(&mut self, for_good: bool) {
        let (mut marks, mut dots) = (0, 0);
        // The parser lets neither stand outside a loop.
        let mut target = None;
        for block in self.blocks.iter().rev() {
            match *block {
                Block::Variables => marks += 1,
                Block::With => dots += 1,
                Block::Otherwise { .. } if !for_good => {}
                Block::Otherwise { end } => target = Some(Op::Jump(end)),
                Block::Range { end, .. } if for_good => target = Some(Op::EndRange(end)),
                Block::Range { next, .. } => target = Some(Op::Jump(next)),
            }
            if target.is_some() {
                break;
            }
        }
        if marks + dots > 0 {
            self.emit(Op::Unwind { marks, dots });
        }
        if let Some(jump) = target {
            self.emit(jump);
        }
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
