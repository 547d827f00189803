//! Reads the examples in a document.
//!
//! An example is a template and its result. It has one of two forms, both of which are readable
//! where Markdown is displayed:
//!
//! - a row of a table whose first row says `Go` or `Tera` (the columns of templates) and `result`
//!   (the result of all templates in the row);
//! - a fenced block `gotmpl` or `jinja` (for Go and Tera; one of each if both give the same
//!   result), and behind it a fenced block of any other kind, which is the result.
//!
//! A result is a text; or an error, as `` error: `its end` `` in a table and as a block `text
//! error` with its whole line and the excerpt below it; or, if the result is different each time,
//! `` like `text` ``, in which each digit stands for any digit.
//!
//! Fenced blocks before an example set up its world. `yaml` (the keys), `dotenv` (the environment),
//! `hosts` (`/etc/hosts`) and `zone` (the DNS) are valid until the next block of their kind, and `json
//! services` (what a Consul knows) also only until the next heading of the second level. `jinja
//! NAME` (a file in `templates/`), `KIND /PATH` (a file of the machine) and `toml` (the resource) are
//! valid until the next heading; a resource is used only for the first example.

use std::{iter::Peekable, rc::Rc, str::Lines};

/// A template in a document, and its result according to the document.
#[derive(Clone, Debug)]
pub(super) struct Example {
    /// The line of the example, counted from 1.
    pub(super) line: usize,
    /// The functions named in the heading above the example: the words between backticks.
    pub(super) functions: Rc<[String]>,
    pub(super) language: Language,
    pub(super) template: String,
    pub(super) result: Outcome,
    pub(super) world: World,
    /// The resource, if the example needs a special one.
    pub(super) resource: Option<Rc<str>>,
}

/// The surroundings of an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct World {
    /// The keys, as a YAML document.
    pub(super) keys: Rc<str>,
    /// The environment, as lines `NAME=value`.
    pub(super) environment: Rc<str>,
    /// Host names, as lines of `/etc/hosts`.
    pub(super) hosts: Rc<str>,
    /// Names in the DNS, as lines of a zone file.
    pub(super) zone: Rc<str>,
    /// Services of a Consul: on each line a body of `PUT /v1/catalog/register`. Empty if there is no
    /// Consul.
    pub(super) services: Rc<str>,
    /// Files that are not templates of resources: names below `templates/`, or absolute paths, and
    /// texts.
    pub(super) files: Rc<[(String, String)]>,
}

/// The language of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    Go,
    Tera,
}

/// The result of an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Exactly this text.
    Text(String),
    /// This text, with any digits.
    Like(String),
    /// An error whose line has this end.
    Error(String),
    /// An error with its whole line and the excerpt below it.
    Report(String),
}

/// All examples of a document.
///
/// # Errors
/// The line and the fault of each example that is malformed.
pub(super) fn read(document: &str) -> Result<Vec<Example>, Vec<(usize, String)>> {
    let mut reader = Reader::default();
    let mut lines = Numbered { lines: document.lines().peekable(), line: 0 };
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let start = lines.line;
            reader.block(start, kind, lines.block());
        } else if line.starts_with('|') {
            let header = cells(line);
            reader.table(&header, &mut lines);
        } else if line.starts_with('#') {
            reader.heading(line);
        }
    }
    reader.expect_no_template();
    if reader.faults.is_empty() { Ok(reader.examples) } else { Err(reader.faults) }
}

/// The code spans of a line, without changes.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The cells of a table row, in which a bar inside of a cell is written `\|`.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    let row = row.strip_suffix('|').unwrap_or(row).replace("\\|", "\0");
    row.split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// The text of a cell that consists of one code span.
fn code(cell: &str) -> Option<&str> {
    let fence = cell.len() - cell.trim_start_matches('`').len();
    let text = cell.get(fence..cell.len().checked_sub(fence)?)?;
    let is_span = fence > 0 && cell.ends_with(&cell[..fence]) && !text.is_empty();
    let padded = text.strip_prefix(' ').and_then(|text| text.strip_suffix(' '));
    is_span.then(|| padded.filter(|padded| !padded.trim().is_empty()).unwrap_or(text))
}

/// Lines with their numbers.
struct Numbered<'a> {
    lines: Peekable<Lines<'a>>,
    line: usize,
}

impl<'a> Numbered<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.line += 1;
        self.lines.next()
    }

    /// The rest of a fenced block.
    fn block(&mut self) -> String {
        let mut text = String::new();
        while let Some(line) = self.next().filter(|line| *line != "```") {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// The next line, if it is a row of a table.
    fn row(&mut self) -> Option<&'a str> {
        self.lines.peek().is_some_and(|line| line.starts_with('|')).then(|| self.next())?
    }
}

#[derive(Default)]
struct Reader {
    examples: Vec<Example>,
    faults: Vec<(usize, String)>,
    functions: Rc<[String]>,
    world: World,
    resource: Option<Rc<str>>,
    /// Templates whose result has not been read yet, with their lines.
    pending: Vec<(usize, Language, String)>,
}

impl Reader {
    fn heading(&mut self, line: &str) {
        self.expect_no_template();
        self.world.files = Rc::default();
        self.resource = None;
        if line.starts_with("## ") {
            self.world.services = Rc::default();
        }
        self.functions = code_spans(line).map(str::to_owned).collect();
    }

    fn block(&mut self, line: usize, kind: &str, text: String) {
        match kind {
            "gotmpl" => self.template(line, Language::Go, text),
            "jinja" => self.template(line, Language::Tera, text),
            "text error" => self.result(line, &Outcome::Report(text.trim_end().to_owned())),
            _ if !self.pending.is_empty() => self.result(line, &Outcome::Text(text)),
            "yaml" => self.world.keys = text.into(),
            "dotenv" => self.world.environment = text.into(),
            "hosts" => self.world.hosts = text.into(),
            "zone" => self.world.zone = text.into(),
            "json services" => self.world.services = text.into(),
            "toml" => self.resource = Some(text.into()),
            _ => {
                let named = kind.split_once(' ');
                if let Some((_, name)) =
                    named.filter(|(kind, name)| *kind == "jinja" || name.starts_with('/'))
                {
                    let file = (name.to_owned(), text);
                    self.world.files = self.world.files.iter().cloned().chain([file]).collect();
                }
            }
        }
    }

    fn template(&mut self, line: usize, language: Language, text: String) {
        if self.pending.iter().any(|(_, pending, _)| *pending == language) {
            self.expect_no_template();
        }
        self.pending.push((line, language, text));
    }

    /// Sets the result of the templates before it.
    fn result(&mut self, line: usize, result: &Outcome) {
        if self.pending.is_empty() {
            self.faults.push((line, "a result without a template".to_owned()));
        }
        let resource = self.resource.take();
        for (line, language, template) in std::mem::take(&mut self.pending) {
            self.examples.push(Example {
                line,
                functions: Rc::clone(&self.functions),
                language,
                template,
                result: result.clone(),
                world: self.world.clone(),
                resource: resource.clone(),
            });
        }
    }

    fn expect_no_template(&mut self) {
        for (line, ..) in self.pending.drain(..) {
            self.faults.push((line, "a template without a result".to_owned()));
        }
    }

    fn table(&mut self, header: &[String], lines: &mut Numbered) {
        self.expect_no_template();
        let column = |name: &str| header.iter().position(|cell| cell == name);
        let (go, tera, result) = (column("Go"), column("Tera"), column("result"));
        let is_of_examples = result.is_some() && (go.is_some() || tera.is_some());
        while let Some(row) = lines.row() {
            if !is_of_examples || row.starts_with("|--") {
                continue;
            }
            let cells = cells(row);
            let cell = |column: Option<usize>| column.and_then(|column| cells.get(column));
            for (language, column) in [(Language::Go, go), (Language::Tera, tera)] {
                match cell(column).map(|cell| (code(cell), cell.as_str())) {
                    Some((Some(template), _)) => {
                        self.pending.push((lines.line, language, template.to_owned()));
                    }
                    None | Some((None, "")) => {}
                    Some((None, text)) => {
                        self.faults.push((lines.line, format!("{text:?} is no template")));
                    }
                }
            }
            match cell(result).and_then(|cell| outcome(cell)) {
                Some(outcome) => self.result(lines.line, &outcome),
                None => self.expect_no_template(),
            }
        }
    }
}

/// The result in a cell: a text as a code span, or `(nothing)` for an empty text.
fn outcome(cell: &str) -> Option<Outcome> {
    if cell == "(nothing)" {
        return Some(Outcome::Text(String::new()));
    }
    let of: fn(String) -> Outcome = match cell.split_once('`')?.0 {
        "" => Outcome::Text,
        "like " => Outcome::Like,
        "error: " => Outcome::Error,
        _ => return None,
    };
    code(&cell[cell.find('`')?..]).map(|text| of(text.to_owned()))
}
