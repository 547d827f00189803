//! Generates templates: text, actions and blocks, in the grammar of the language.

use super::choices::Choices;
use super::functions::{BUILTINS, CONFD, Function};
use super::words::{KINDS, Kind, ODD, TOKENS};

mod expression;
mod format;

/// The names of variables, so few that they shadow each other.
const VARIABLES: &[&str] = &["$x", "$y", "$z", "$long_name1", "$é"];

/// The names of templates.
const TEMPLATES: &[&str] = &["a", "b", "x y", "é\\n", "test.tmpl"];

/// Pieces of text around actions.
const PIECES: &[&str] = &[
    "a",
    " ",
    "\n",
    "text ",
    "\r\n\t ",
    "}}",
    "{",
    "é",
    "",
    " x\n  ",
    "\u{0}",
    "\u{a0}",
    "// ",
    "-",
    "\n\n\n",
    "\u{b}\u{c} ",
    " \u{2028} ",
    "{ {",
    "*/",
    "\u{feff}",
    "'\"`",
];

/// The template for these `numbers`, as a list of tokens. `confd` allows confd's functions.
pub(crate) fn template(numbers: &[u16], confd: bool) -> Vec<Vec<u8>> {
    let mut choices = Choices::new(numbers);
    let wild = choices.one_of(&[0, 0, 2, 5, 25]);
    let mutations = choices.one_of(&[0, 0, 0, 1, 1, 2, 4]);
    let mut generator = Generator {
        choices,
        wild,
        confd,
        tokens: Vec::new(),
        variables: Vec::new(),
        dot: if confd { Kind::Nil } else { Kind::Map },
        root: if confd { Kind::Nil } else { Kind::Map },
        loops: 0,
        depth: 0,
        templates: Vec::new(),
    };
    generator.whole();
    for _ in 0..mutations {
        generator.mutate();
    }
    generator.tokens
}

struct Generator<'a> {
    choices: Choices<'a>,
    /// The percentage of cases in which something wrong is generated.
    wild: usize,
    confd: bool,
    tokens: Vec<Vec<u8>>,
    /// The variables in scope, innermost last.
    variables: Vec<(&'static str, Kind)>,
    dot: Kind,
    /// The kind of `$`.
    root: Kind,
    /// The number of loops around this point.
    loops: usize,
    /// The number of blocks and parentheses around this point.
    depth: usize,
    /// The templates that can be called, with the kind of their dot.
    templates: Vec<(&'static str, Kind)>,
}

impl Generator<'_> {
    /// Generates a whole template, of one of several sorts.
    fn whole(&mut self) {
        match self.choices.below(12) {
            // One formatted value: most differences in the printing of values show here.
            0 | 1 => self.action(Self::formatted),
            2 => {
                let kind = self.choices.one_of(&KINDS);
                self.action(|this| this.call_any(kind));
            }
            3 => self.soup(),
            _ => {
                for _ in 0..self.choices.one_of(&[0, 0, 0, 1, 2]) {
                    self.define();
                }
                self.list();
                if self.choices.percent(5) {
                    self.define();
                }
            }
        }
    }

    fn push(&mut self, token: impl AsRef<[u8]>) {
        self.tokens.push(token.as_ref().to_vec());
    }

    fn is_wild(&mut self) -> bool {
        let wild = self.wild;
        wild > 0 && self.choices.percent(wild)
    }

    /// Whether nothing more should be begun.
    fn is_full(&self) -> bool {
        self.choices.is_spent() || self.depth > 5 || self.tokens.len() > 400
    }

    /// White space between two words.
    fn space(&mut self) {
        let space = if self.choices.percent(6) {
            self.choices.one_of(&["  ", "\t", "\n", "\r\n", " \n "])
        } else {
            " "
        };
        self.push(space);
    }

    /// An action, with the output of `inside` between its delimiters.
    fn action(&mut self, inside: impl FnOnce(&mut Self)) {
        let opening = match self.choices.below(24) {
            0 | 1 => "{{- ",
            2 | 3 => "{{ ",
            4 | 5 => "{{-\n",
            6 | 7 => "{{-\t ",
            // This is a trim marker before white space, a sign before a number, and an error
            // elsewhere.
            8 if self.is_wild() => "{{-",
            9 if self.is_wild() => "{{- -",
            _ => "{{",
        };
        self.push(opening);
        inside(self);
        let closing = match self.choices.below(24) {
            0 | 1 => " -}}",
            2 | 3 => " }}",
            4 | 5 => "\t-}}",
            6 | 7 => "\n}}",
            8 if self.is_wild() => "-}}",
            9 if self.is_wild() => " - }}",
            _ => "}}",
        };
        self.push(closing);
    }

    fn word(&mut self, word: &str) {
        self.action(|this| this.push(word));
    }

    /// A list of statements.
    fn list(&mut self) {
        self.depth += 1;
        let length = if self.is_full() { 1 } else { 1 + self.choices.below(4) };
        for _ in 0..length {
            self.statement();
        }
        self.depth -= 1;
    }

    fn statement(&mut self) {
        if self.is_full() {
            return self.text();
        }
        match self.choices.below(20) {
            0..=2 => self.text(),
            3..=7 => {
                let kind = self.kind();
                self.action(|this| this.pipeline(kind));
            }
            8..=9 => self.declaration(),
            10 => self.assignment(),
            11..=12 => self.condition(),
            13 => self.with(),
            14..=16 => self.range(),
            17 => self.call_template(),
            18 => self.comment(),
            _ if self.loops > 0 || self.is_wild() => {
                let word = self.choices.one_of(&["break", "continue"]);
                if self.choices.percent(50) {
                    self.action(|this| {
                        this.push("if ");
                        this.operand(Kind::Bool);
                    });
                    self.word(word);
                    self.word("end");
                } else {
                    self.word(word);
                }
            }
            _ => self.block(),
        }
    }

    fn text(&mut self) {
        let piece = self.choices.one_of(PIECES);
        self.push(piece);
        if self.choices.percent(2) {
            self.push(b"\xff\xc3");
        }
    }

    fn comment(&mut self) {
        let body = self.choices.one_of(&["x", "", " a }} b ", "\n\n", "*", " {{ ", "/*", "é\u{0}"]);
        let behind = if self.is_wild() { self.choices.one_of(&[" ", "x", "/**/"]) } else { "" };
        self.action(|this| this.push(format!("/*{body}*/{behind}")));
    }

    /// A kind for a value that can be of any kind.
    fn kind(&mut self) -> Kind {
        self.choices.one_of(&KINDS)
    }

    fn declaration(&mut self) {
        let (name, kind) = (self.choices.one_of(VARIABLES), self.kind());
        self.action(|this| {
            this.push(name);
            this.define_sign(":=");
            this.pipeline(kind);
        });
        self.variables.push((name, kind));
    }

    /// The sign of a declaration or assignment, with or without spaces.
    fn define_sign(&mut self, sign: &str) {
        let form = if self.choices.percent(10) { sign.to_owned() } else { format!(" {sign} ") };
        self.push(form);
    }

    fn assignment(&mut self) {
        let Some((name, kind)) = self.some_variable() else { return self.declaration() };
        let kind = if self.is_wild() { self.kind() } else { kind };
        self.action(|this| {
            this.push(name);
            this.define_sign("=");
            this.pipeline(kind);
        });
    }

    fn some_variable(&mut self) -> Option<(&'static str, Kind)> {
        if self.is_wild() {
            return Some((self.choices.one_of(VARIABLES), Kind::Any));
        }
        let count = self.variables.len();
        if count == 0 { None } else { Some(self.variables[count - 1 - self.choices.below(count)]) }
    }

    /// The pipeline of a block, sometimes with a variable.
    fn clause(&mut self, word: &str, kind: Kind) {
        let name = self.choices.percent(25).then(|| self.choices.one_of(VARIABLES));
        self.action(|this| {
            this.push(word);
            this.space();
            if let Some(name) = name {
                this.push(name);
                let sign = if this.is_wild() { "=" } else { ":=" };
                this.define_sign(sign);
            }
            this.pipeline(kind);
        });
        self.variables.extend(name.map(|name| (name, kind)));
    }

    fn condition_kind(&mut self) -> Kind {
        if self.choices.percent(40) { self.kind() } else { Kind::Bool }
    }

    fn condition(&mut self) {
        let outside = self.variables.len();
        let kind = self.condition_kind();
        self.clause("if", kind);
        self.list();
        while self.choices.percent(20) {
            let kind = self.condition_kind();
            self.clause("else if", kind);
            self.list();
        }
        self.otherwise();
        self.end(outside);
    }

    fn otherwise(&mut self) {
        if self.choices.percent(35) {
            self.word("else");
            self.list();
        }
    }

    /// Ends a block. `outside` is the number of variables before it.
    fn end(&mut self, outside: usize) {
        self.word("end");
        // Sometimes a variable that was declared inside is used outside.
        if !self.is_wild() {
            self.variables.truncate(outside);
        }
    }

    fn with(&mut self) {
        let (outside, dot) = (self.variables.len(), self.dot);
        let kind = self.kind();
        self.clause("with", kind);
        self.dot = kind;
        self.list();
        self.dot = dot;
        if self.choices.percent(15) {
            let kind = self.kind();
            self.clause("else with", kind);
            self.dot = kind;
            self.list();
            self.dot = dot;
        }
        self.otherwise();
        self.end(outside);
    }

    fn range(&mut self) {
        let (outside, dot) = (self.variables.len(), self.dot);
        let kind = match self.choices.below(9) {
            0 | 1 => Kind::Texts,
            2 => Kind::Pairs,
            3 => Kind::Values,
            4 => Kind::Map,
            5 => Kind::Small,
            6 => Kind::Ints,
            7 => Kind::PlainPairs,
            _ => self.kind(),
        };
        // Not every integer is small enough for a loop.
        let kind = if matches!(kind, Kind::Int | Kind::Float) { Kind::Small } else { kind };
        let (element, index) = match kind {
            Kind::Texts => (Kind::Text, Kind::Small),
            Kind::Pairs | Kind::PlainPairs => (Kind::Pair, Kind::Small),
            Kind::Map => (Kind::Any, Kind::Text),
            Kind::Ints | Kind::Small => (Kind::Small, Kind::Small),
            Kind::Records => (Kind::Record, Kind::Small),
            _ => (Kind::Any, Kind::Small),
        };
        let count = if kind == Kind::Small && !self.is_wild() {
            self.choices.below(2)
        } else {
            self.choices.below(3)
        };
        let names: Vec<_> = (0..count).map(|_| self.choices.one_of(VARIABLES)).collect();
        let assigns = self.is_wild() || self.choices.percent(5);
        self.action(|this| {
            this.push("range");
            this.space();
            for (place, name) in names.iter().enumerate() {
                if place > 0 {
                    let comma = this.choices.one_of(&[", ", ",", " ,\n"]);
                    this.push(comma);
                }
                this.push(name);
            }
            if count > 0 {
                this.define_sign(if assigns { "=" } else { ":=" });
            }
            this.pipeline(kind);
        });
        match names[..] {
            [one] => self.variables.push((one, element)),
            [first, second] => self.variables.extend([(first, index), (second, element)]),
            _ => {}
        }
        self.dot = element;
        self.loops += 1;
        self.list();
        self.loops -= 1;
        self.dot = dot;
        self.otherwise();
        self.end(outside);
    }

    fn call_template(&mut self) {
        let wild = self.is_wild();
        let (name, kind) = match self.templates.len() {
            0 if wild => (self.choices.one_of(TEMPLATES), Kind::Any),
            0 => return self.block(),
            count => self.templates[self.choices.below(count)],
        };
        // A template that calls itself makes 100,000 calls.
        let name = if name == "test.tmpl" { "a" } else { name };
        let bare = self.choices.percent(15);
        self.action(|this| {
            this.push(format!("template \"{name}\""));
            if !bare {
                this.space();
                this.pipeline(kind);
            }
        });
    }

    fn define(&mut self) {
        let (name, kind) = (self.choices.one_of(TEMPLATES), self.kind());
        self.word(&format!("define \"{name}\""));
        self.body(kind);
        self.templates.push((name, kind));
    }

    fn block(&mut self) {
        let (name, kind) = (self.choices.one_of(&["c", "d", "e f"]), self.kind());
        self.action(|this| {
            this.push(format!("block \"{name}\""));
            this.space();
            this.pipeline(kind);
        });
        self.body(kind);
        self.templates.push((name, kind));
    }

    /// The body of a defined template, with its end.
    fn body(&mut self, kind: Kind) {
        let outside = (std::mem::take(&mut self.variables), self.dot, self.root, self.loops);
        // A template does not call the templates around its definition.
        let templates = std::mem::take(&mut self.templates);
        (self.dot, self.root, self.loops) = (kind, kind, 0);
        self.list();
        (self.variables, self.dot, self.root, self.loops) = outside;
        self.templates = templates;
        self.word("end");
    }

    /// An action of unrelated tokens.
    fn soup(&mut self) {
        let length = 1 + self.choices.below(8);
        self.action(|this| {
            for _ in 0..length {
                match this.choices.below(4) {
                    0 => {
                        let kind = this.kind();
                        this.operand(kind);
                    }
                    1 => {
                        let odd = this.choices.one_of(ODD);
                        this.push(odd);
                    }
                    _ => {
                        let token = this.choices.one_of(TOKENS);
                        this.push(token);
                    }
                }
                if this.choices.percent(60) {
                    this.space();
                }
            }
        });
    }

    /// Changes a token, or one byte of a token.
    fn mutate(&mut self) {
        if self.tokens.is_empty() {
            return;
        }
        let place = self.choices.below(self.tokens.len());
        match self.choices.below(9) {
            0 => {
                self.tokens.remove(place);
            }
            1 => self.tokens.insert(place, self.tokens[place].clone()),
            2 => {
                let other = self.choices.below(self.tokens.len());
                self.tokens.swap(place, other);
            }
            3 | 4 => {
                let token = self.choices.one_of(TOKENS);
                self.tokens.insert(place, token.into());
            }
            5 => self.tokens[place] = self.choices.one_of(ODD).into(),
            6 => self.tokens.truncate(place),
            change => {
                let byte = self.choices.below(256) as u8;
                let token = &mut self.tokens[place];
                let at = self.choices.below(token.len() + 1);
                match token.get_mut(at) {
                    Some(there) if change == 7 => *there = byte,
                    _ => token.insert(at, byte),
                }
            }
        }
    }

    /// The functions that can be called.
    fn functions(&self) -> impl Iterator<Item = &'static Function> + use<> {
        BUILTINS.iter().chain(CONFD.iter().filter({
            let confd = self.confd;
            move |_| confd
        }))
    }
}
