//! Finds the files that a template consists of.
//!
//! Loading starts with the file of the resource. As long as Tera reports that something is missing,
//! the files that have it are read from the folder and added: those named in `extends` and
//! `include`, and those that define components. So Tera alone decides what a template needs, and a
//! file that is not needed is not even opened, broken or not.
//!
//! A component needs no import in Tera. It can be defined in any file of the folder whose name ends
//! in `.tera`. These files are searched only if no file that is loaded already defines the
//! component.

use std::collections::BTreeMap;

use report::did_you_mean;

use super::engine::Engine;
use super::nesting::{MAX_ELIF, Needs, needs};
use super::report::{Fault, Need, faults, first_fault, one_line};
use crate::folder::{Folder, Unavailable};

/// The most files of one template. Rendering an included file takes stack, so nesting must be
/// limited.
const MAX_FILES: usize = 100;

/// The texts of files, by name.
pub(super) type Texts = BTreeMap<String, String>;

/// The files of one template.
#[derive(Debug)]
pub(super) struct Files {
    /// The text of each file, including the first one.
    pub(super) texts: Texts,
    /// The name of the first file.
    pub(super) first: String,
    /// For each component that was searched, the files that define it.
    components: BTreeMap<String, Vec<String>>,
}

/// Whether `text` contains `value`, not as a part of a longer word.
fn stands_in(text: &str, value: &str) -> bool {
    let is_of_a_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(value).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + value.len()..].chars().next();
        ![before, after].into_iter().flatten().any(is_of_a_word)
    })
}

impl Files {
    /// Only the file `first`, with the text `text`.
    pub(super) fn new(first: String, text: String) -> Self {
        let texts = Texts::from([(first.clone(), text)]);
        Self { texts, first, components: BTreeMap::new() }
    }

    /// Whether `value` stands in one of the files, not as a part of a longer word. An empty value
    /// stands everywhere.
    pub(super) fn has_constant(&self, value: &[u8]) -> bool {
        let Ok(value) = std::str::from_utf8(value) else { return false };
        value.is_empty() || self.texts.values().any(|text| stands_in(text, value))
    }

    /// Whether a line of an error stands in one of the files, where it may be several lines.
    pub(super) fn has_text(&self, line: &str) -> bool {
        self.texts.values().any(|text| stands_in(&one_line(text), line))
    }

    /// Adds the missing files from `folder` and loads all of them into `engine`.
    ///
    /// # Errors
    /// The first fault that no other file can mend.
    pub(super) fn load(&mut self, engine: &mut Engine, folder: &Folder<'_>) -> Result<(), Fault> {
        loop {
            self.limit(engine)?;
            let Err(error) = engine.add(&self.texts)? else { return Ok(()) };
            let faults = faults(&error, &self.texts);
            // Included files come first, because they can define the missing components.
            let mut found = self.templates(&faults, folder)?;
            if found.is_empty() {
                found = self.definitions(&faults, folder)?;
            }
            if found.is_empty() {
                // No file has what is missing.
                return Err(first_fault(&error, &self.texts));
            }
            self.texts.extend(found);
            if self.texts.len() > MAX_FILES {
                let message = format!("needs more than {MAX_FILES} files");
                return Err(Fault::of(&self.first, message));
            }
        }
    }

    /// Checks the limits that Tera does not check, and prepares `engine` for what needs much stack.
    fn limit(&self, engine: &mut Engine) -> Result<(), Fault> {
        for (name, text) in &self.texts {
            match needs(text) {
                Needs::UsualStack => {}
                Needs::DeepStack => engine.needs_stack(),
                Needs::TooManyElif(position) => {
                    let message = format!("more than {MAX_ELIF} elif in each other");
                    return Err(Fault { position: Some(position), ..Fault::of(name, message) });
                }
            }
        }
        Ok(())
    }

    /// The templates that `faults` say are missing.
    fn templates(&self, faults: &[Fault], folder: &Folder<'_>) -> Result<Texts, Fault> {
        let mut texts = Texts::new();
        for fault in faults {
            // A name that is loaded already is not the missing one: in a message, a line break
            // inside of a name is an escape.
            if let Some(Need::Template(name)) = fault.need()
                && !self.texts.contains_key(name)
            {
                texts.insert(name.to_owned(), read(folder, name, fault)?);
            }
        }
        Ok(texts)
    }

    /// The templates that define the components that `faults` say are missing, without those that
    /// are loaded already.
    fn definitions(&mut self, faults: &[Fault], folder: &Folder<'_>) -> Result<Texts, Fault> {
        let mut texts = Texts::new();
        for fault in faults {
            let Some(Need::Component(component)) = fault.need() else { continue };
            let names = folder.defining(component);
            for name in names.iter().filter(|name| !self.texts.contains_key(*name)) {
                texts.insert(name.clone(), read(folder, name, fault)?);
            }
            self.components.insert(component.to_owned(), names);
        }
        Ok(texts)
    }

    /// Whether all files but the first are the same in `folder` as when they were loaded.
    pub(super) fn are_current(&self, folder: &Folder<'_>) -> bool {
        let others = self.texts.iter().filter(|(name, _)| **name != self.first);
        let mut others = others.map(|(name, text)| (folder.read(name), text));
        others.all(|(found, text)| found.is_ok_and(|found| found == *text))
            && self.components.iter().all(|(name, files)| folder.defining(name) == *files)
    }

    /// Whether `word` occurs in one of the files.
    pub(super) fn mention(&self, word: &str) -> bool {
        self.texts.values().any(|text| text.contains(word))
    }
}

/// The text of the template `name`. If it cannot be read, `fault` with the reason.
fn read(folder: &Folder<'_>, name: &str, fault: &Fault) -> Result<String, Fault> {
    folder.read(name).map_err(|why| {
        let message = format!("template \"{}\" {why}", name.escape_debug());
        let is_missing = matches!(why, Unavailable::Missing);
        // A hint only helps if the name is wrong, not if the file cannot be read.
        let hint = is_missing.then(|| did_you_mean(name, folder.names())).flatten();
        Fault { message, hint, template: fault.template.clone(), position: fault.position }
    })
}
