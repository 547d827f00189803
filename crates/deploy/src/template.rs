//! Commands that are Go templates.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use command::Program;
use gotmpl::{Functions, Map, Template, Value};

use crate::check::CheckError;

/// What Go's templates print for a name that has no value. A shell would read a redirection.
const NO_VALUE: &[u8] = b"<no value>";

/// Go's builtins only. As in confd, the functions of other templates are missing here.
static BUILTINS: LazyLock<Arc<Functions<()>>> = LazyLock::new(|| Arc::new(Functions::new()));

/// A command whose text, or each of whose arguments, is a Go template. Nothing is quoted.
#[derive(Debug)]
pub(crate) struct CommandTemplate {
    is_shell: bool,
    words: Vec<Result<Template<()>, gotmpl::Error>>,
}

/// Why a template gave no command.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The template is malformed, or failed when it was executed.
    Template(gotmpl::Error),
    /// The template asks for a name that has no value. This is the command without it.
    NoValue(Program),
}

impl Fault {
    /// The fault of the template of a check; `no_value` makes the error of a missing value.
    pub(crate) fn of_check(self, no_value: impl FnOnce(Program) -> CheckError) -> CheckError {
        match self {
            Fault::Template(error) => CheckError::Template(error),
            Fault::NoValue(program) => no_value(program),
        }
    }
}

impl CommandTemplate {
    /// Parses a command once. Errors call the template `name`.
    pub(crate) fn new(name: &str, program: &Program) -> Self {
        let parse = |text: &OsString| {
            Template::parse(name, Bytes::copy_from_slice(text.as_bytes()), &BUILTINS)
        };
        match program {
            Program::Shell(text) => CommandTemplate { is_shell: true, words: vec![parse(text)] },
            Program::Argv(words) => {
                CommandTemplate { is_shell: false, words: words.iter().map(parse).collect() }
            }
        }
    }

    /// The command in which each `{{.name}}` is the value of this name.
    pub(crate) fn render(&self, values: &[(&str, &OsStr)]) -> Result<Program, Fault> {
        let mut words = Vec::with_capacity(self.words.len());
        let mut is_complete = true;
        for template in &self.words {
            let word = rendered(template, values).map_err(Fault::Template)?;
            is_complete &= !word.windows(NO_VALUE.len()).any(|part| part == NO_VALUE);
            words.push(OsString::from_vec(word));
        }
        let program = match self.is_shell {
            true => Program::Shell(words.pop().unwrap_or_default()),
            false => Program::Argv(words),
        };
        if is_complete { Ok(program) } else { Err(Fault::NoValue(program)) }
    }
}

fn rendered(
    template: &Result<Template<()>, gotmpl::Error>,
    values: &[(&str, &OsStr)],
) -> Result<Vec<u8>, gotmpl::Error> {
    let template = template.as_ref().map_err(gotmpl::Error::clone)?;
    let bytes = |text: &[u8]| Bytes::copy_from_slice(text);
    let pairs =
        values.iter().map(|(name, value)| (bytes(name.as_bytes()), bytes(value.as_bytes())));
    let mut word = Vec::new();
    template.execute(&(), Value::from(Map::strings(pairs)), &mut word)?;
    Ok(word)
}
