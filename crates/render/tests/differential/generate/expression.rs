//! Generates pipelines, commands and operands.

use super::Generator;
use crate::functions::{Function, MEMBERS};
use crate::words::{KINDS, Kind, ODD};

impl Generator<'_> {
    /// A pipeline with a result of this kind.
    pub(super) fn pipeline(&mut self, kind: Kind) {
        self.depth += 1;
        if !self.is_full() && self.choices.percent(30) {
            let function = self.function(kind);
            let piped = match function.rest {
                Some(rest) => Some(rest),
                None => function.params.last().copied(),
            };
            if let Some(piped) = piped {
                self.pipeline(piped);
                let bar = self.choices.one_of(&[" | ", " | ", "|", "\n  | "]);
                self.push(bar);
                let written = match function.rest {
                    Some(_) => function.params.len(),
                    None => function.params.len() - 1,
                };
                self.call(function, written);
                self.depth -= 1;
                return;
            }
        }
        match self.choices.below(4) {
            0 | 1 => self.operand(kind),
            2 if self.member(kind, false) => {}
            _ => self.call_any(kind),
        }
        self.depth -= 1;
    }

    /// A function with a result of this kind, or any function.
    fn function(&mut self, kind: Kind) -> &'static Function {
        let exact = !self.is_wild();
        let fitting: Vec<_> =
            self.functions().filter(|function| !exact || function.result.fits(kind)).collect();
        match fitting.len() {
            0 => self.functions().next().expect("there are functions"),
            count => fitting[self.choices.below(count)],
        }
    }

    /// A call as a command: a function with its arguments.
    pub(super) fn call_any(&mut self, kind: Kind) {
        if self.is_full() {
            return self.operand(kind);
        }
        if kind.is_text() && self.choices.percent(25) {
            return self.formatted();
        }
        let function = self.function(kind);
        if !function.result.fits(kind) && !self.is_wild() {
            return self.operand(kind);
        }
        let more = match function.rest {
            Some(_) => self.choices.below(3),
            None => 0,
        };
        self.call(function, function.params.len() + more);
    }

    /// A call of `function` with this number of written arguments.
    fn call(&mut self, function: &'static Function, arguments: usize) {
        self.depth += 1;
        let name = if self.is_wild() && self.choices.percent(20) {
            self.choices.one_of(&["nofunc", "x", "_", "é", "Print", "iff"])
        } else {
            function.name
        };
        self.push(name);
        let arguments = if self.is_wild() { self.choices.below(5) } else { arguments };
        for place in 0..arguments {
            let kind = function.params.get(place).copied().or(function.rest).unwrap_or(Kind::Any);
            self.space();
            self.argument(kind);
        }
        self.depth -= 1;
    }

    /// An operand of this kind, or sometimes of another kind.
    pub(super) fn argument(&mut self, kind: Kind) {
        let kind = if self.is_wild() { self.choices.one_of(&KINDS) } else { kind };
        self.operand(kind);
    }

    /// One operand: a literal, a variable, a field, a call in parentheses.
    pub(super) fn operand(&mut self, kind: Kind) {
        if self.is_wild() && self.choices.percent(10) {
            let odd = self.choices.one_of(ODD);
            return self.push(odd);
        }
        let literals = kind.literals();
        match self.choices.below(8) {
            0..=2 if !literals.is_empty() => return self.literal(kind),
            3 | 4 => {
                let fitting: Vec<_> =
                    self.variables.iter().filter(|(_, there)| there.fits(kind)).copied().collect();
                if !fitting.is_empty() {
                    let place = fitting.len() - 1 - self.choices.below(fitting.len());
                    return self.push(fitting[place].0);
                }
            }
            5 if self.dot.fits(kind) => return self.push("."),
            6 if self.root.fits(kind) => return self.push("$"),
            7 if self.member(kind, true) => return,
            _ => {}
        }
        if self.is_full() {
            return match kind {
                Kind::Any | Kind::Nil => self.push("."),
                _ if literals.is_empty() => self.shortest(kind),
                _ => self.literal(kind),
            };
        }
        if kind == Kind::Any {
            let kind = self.choices.one_of(&KINDS);
            if kind != Kind::Any {
                return self.operand(kind);
            }
        }
        self.depth += 1;
        self.push("(");
        if self.choices.percent(80) {
            self.call_any(kind);
        } else {
            if self.choices.percent(10) {
                // A variable that is declared here stays in scope after the parentheses.
                let name = self.choices.one_of(super::VARIABLES);
                self.push(format!("{name} := "));
                self.variables.push((name, kind));
            }
            self.pipeline(kind);
        }
        self.push(")");
        self.depth -= 1;
    }

    fn literal(&mut self, kind: Kind) {
        let literal = self.choices.one_of(kind.literals());
        self.push(literal);
    }

    /// An operand of a kind without literals, when all choices are used up.
    fn shortest(&mut self, kind: Kind) {
        let (text, confd) = match kind {
            Kind::Byte => (r#"(index "a" 0)"#, false),
            Kind::Texts => (r#"(split "a,b" ",")"#, true),
            Kind::Ints => ("(seq 1 3)", true),
            Kind::Pair => (r#"(get "/name")"#, true),
            Kind::Pairs => (r#"(gets "/up/*")"#, true),
            Kind::PlainPairs => (r#"(sortKVByLength (gets "/up/*"))"#, true),
            Kind::Map => (r#"(map "a" 1 "b" nil)"#, true),
            Kind::Values => (r#"(jsonArray "[1,null,[2]]")"#, true),
            Kind::Records => (r#"(lookupSRV "" "" "example.com")"#, true),
            Kind::Record => (r#"(index (lookupSRV "" "" "example.com") 0)"#, true),
            Kind::Time => ("datetime", true),
            _ => (".", false),
        };
        self.push(if self.confd || !confd { text } else { "." });
    }

    /// A field or method with a result of this kind. False, and nothing is written, if there is
    /// none. With `operand`, a method and its arguments are in parentheses.
    fn member(&mut self, kind: Kind, operand: bool) -> bool {
        let exact = !self.is_wild();
        let fitting: Vec<_> =
            MEMBERS.iter().filter(|(_, _, _, result)| !exact || result.fits(kind)).collect();
        if fitting.is_empty() || self.is_full() {
            return false;
        }
        let (owner, name, params, _) = fitting[self.choices.below(fitting.len())];
        let wrapped = operand && !params.is_empty();
        if wrapped {
            self.push("(");
        }
        self.depth += 1;
        let variable = self.variables.iter().rev().find(|(_, there)| there.fits(*owner)).copied();
        match (variable, self.choices.below(3)) {
            (Some((variable, _)), 0 | 1) => self.push(format!("{variable}.{name}")),
            _ if self.dot.fits(*owner) => self.push(format!(".{name}")),
            _ if self.root.fits(*owner) => self.push(format!("$.{name}")),
            _ => {
                self.push("(");
                self.call_any(*owner);
                self.push(")");
                self.push(format!(".{name}"));
            }
        }
        let count = if self.is_wild() { self.choices.below(3) } else { params.len() };
        // Without parentheses the arguments would belong to the surrounding command.
        if wrapped || !operand {
            for place in 0..count {
                self.space();
                self.argument(params.get(place).copied().unwrap_or(Kind::Any));
            }
        }
        self.depth -= 1;
        if wrapped {
            self.push(")");
        }
        true
    }
}
