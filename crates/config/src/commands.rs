//! The commands of a resource.

use crate::{
    document::Section,
    keys::{Kind, Read, Spec, wrong},
    resource::Reason,
};

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

/// A command. An empty text is none.
impl Read for Command {
    const KIND: Kind = Kind::Command;
    type Value<'d> = Command;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<Command>, Reason> {
        let name = key.name;
        if !section.is_array(name) {
            let text = section.string(name)?.unwrap_or_default();
            return Ok((!text.is_empty()).then(|| Command::Shell(text.to_owned())));
        }
        let words = section.strings(name)?.unwrap_or_default();
        if words.first().is_none_or(|first| first.is_empty()) {
            let text =
                format!("{name} has no program: the first element of its list is the program");
            let hint =
                format!("{name} = [\"nginx\", \"-t\"], or {name} = \"nginx -t\" for a shell");
            return Err(wrong(key, section, text).hinting(Some(hint)));
        }
        Ok(Some(Command::Argv(words.into_iter().map(str::to_owned).collect())))
    }
}
