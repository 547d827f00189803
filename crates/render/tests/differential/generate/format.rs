//! Generates calls of printf with every verb, flag, width and precision.

use super::Generator;
use crate::words::{KINDS, Kind};

/// All verbs except `%p`, which prints addresses.
const VERBS: &[char] = &[
    'v', 's', 'd', 'q', 'x', 'X', 'T', 't', 'c', 'U', 'b', 'o', 'O', 'e', 'E', 'f', 'F', 'g', 'G',
    'v', 'v', 'w', 'z', '!', 'é', '%',
];

impl Generator<'_> {
    /// A call of printf, as a command.
    pub(super) fn formatted(&mut self) {
        self.depth += 1;
        let (format, mut kinds) = self.format();
        let quoted = match self.choices.percent(10) && !format.contains('`') {
            true => format!("`{format}`"),
            false => format!("\"{}\"", format.replace('\\', "\\\\").replace('"', "\\\"")),
        };
        self.push("printf");
        self.push(" ");
        self.push(quoted);
        match self.choices.below(20) {
            18 => {
                kinds.pop();
            }
            19 => kinds.push(Kind::Any),
            _ => {}
        }
        for kind in kinds {
            self.push(" ");
            let any = self.choices.percent(50);
            let kind = if any { self.choices.one_of(&KINDS) } else { kind };
            self.operand(kind);
        }
        self.depth -= 1;
    }

    /// A format, and the kinds of its arguments.
    fn format(&mut self) -> (String, Vec<Kind>) {
        let (mut format, mut kinds) = (String::new(), Vec::new());
        for _ in 0..self.choices.one_of(&[1, 1, 1, 2, 3]) {
            let around = self.choices.one_of(&["", "", "x", " é", "|", "%%", "\n"]);
            format.push_str(around.trim_end_matches('\n'));
            format.push('%');
            for _ in 0..self.choices.one_of(&[0, 0, 0, 1, 1, 2, 3]) {
                format.push(self.choices.one_of(&['+', '#', '-', ' ', '0']));
            }
            if self.choices.percent(30) {
                format.push_str(
                    self.choices.one_of(&["5", "10", "1", "20", "03", "1000001", "9999999"]),
                );
            } else {
                self.starred(&mut format, &mut kinds);
            }
            if self.choices.percent(30) {
                format.push('.');
                if self.choices.percent(75) {
                    format.push_str(self.choices.one_of(&["0", "1", "2", "3", "10", "17", "40"]));
                } else {
                    self.starred(&mut format, &mut kinds);
                }
            }
            if self.choices.percent(6) {
                format.push_str(self.choices.one_of(&[
                    "[1]", "[2]", "[3]", "[0]", "[9]", "[-1]", "[", "[x]", "[]", "[ 1]", "[1][2]",
                ]));
            }
            if self.choices.percent(98) {
                let verb = self.choices.one_of(VERBS);
                format.push(verb);
                kinds.push(match verb {
                    's' | 'q' | 'x' | 'X' => Kind::Text,
                    'd' | 'c' | 'U' | 'b' | 'o' | 'O' => Kind::Int,
                    't' => Kind::Bool,
                    'e' | 'E' | 'f' | 'F' | 'g' | 'G' => Kind::Float,
                    '%' => continue,
                    _ => self.choices.one_of(&KINDS),
                });
            }
        }
        (format, kinds)
    }

    fn starred(&mut self, format: &mut String, kinds: &mut Vec<Kind>) {
        if self.choices.percent(8) {
            format
                .push_str(self.choices.one_of(&["*", "*", "[1]*", "[2]*", "[9]*", "[1]5*", "**"]));
            kinds.push(Kind::Small);
        }
    }
}
