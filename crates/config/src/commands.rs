//! The commands of a resource.

use crate::{document::Section, resource::Reason};

/// A command as a resource file writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A text for the shell.
    Shell(String),
    /// A program and its arguments, which run without a shell.
    Argv(Vec<String>),
}

impl Command {
    /// Whether the command, as a template, is a text for a shell with values in it.
    pub fn shows_values_to_a_shell(&self) -> bool {
        matches!(self, Command::Shell(text) if text.contains("{{"))
    }

    /// The command at `key`; `None` if there is none, or if its text is empty.
    pub(crate) fn read(table: &Section<'_, '_>, key: &str) -> Result<Option<Command>, Reason> {
        if !table.is_array(key) {
            let text = table.string(key)?.unwrap_or_default();
            return Ok((!text.is_empty()).then(|| Command::Shell(text.to_owned())));
        }
        let words = table.strings(key)?.unwrap_or_default();
        if words.first().is_none_or(|first| first.is_empty()) {
            let text =
                format!("{key} has no program: the first element of its list is the program");
            let hint = format!("{key} = [\"nginx\", \"-t\"], or {key} = \"nginx -t\" for a shell");
            return Err(Reason::new(text, table.offset(key)).hinting(Some(hint)));
        }
        Ok(Some(Command::Argv(words.into_iter().map(str::to_owned).collect())))
    }

    /// The warning about the command at `key` if it is no template and looks like one.
    pub(crate) fn not_a_template(&self, key: &str) -> Option<String> {
        let has_braces = |text: &String| text.contains("{{");
        match self {
            Command::Shell(text) => has_braces(text).then(|| {
                format!("{key} contains {{{{: it is no template, and the shell gets it as it is")
            }),
            Command::Argv(words) => words
                .iter()
                .any(has_braces)
                .then(|| format!("{key} contains {{{{: it is no template without reload_template")),
        }
    }
}
