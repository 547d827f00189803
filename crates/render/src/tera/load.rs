//! Which files a template consists of.
//!
//! It starts with one file, and what Tera says is missing is looked for in the folder and added,
//! until nothing is: the files that are named in `extends` and `include`, and those that define
//! components. So Tera alone decides what a template needs, and a file that nobody needs is not
//! even looked at, broken or not.
//!
//! A component needs no import, in Tera as a whole: it may be defined in any file of the folder
//! whose name ends in `.tera`. Only if none of the files that are there already defines it, those
//! that do are looked for.

use std::collections::{BTreeMap, BTreeSet};

use ::tera::Tera;

use crate::hint::did_you_mean;

use super::folder::{Folder, Unavailable};
use super::report::{Fault, Need, faults, first_fault};

/// How many files one template may consist of. Each one that is included by another takes stack
/// while it is rendered.
const MAX_FILES: usize = 100;

/// The files of one template.
#[derive(Debug)]
pub(super) struct Files {
    /// What each file holds, by its name; the first one included.
    pub(super) texts: BTreeMap<String, String>,
    /// The name of the first one.
    pub(super) first: String,
    /// The components that were looked for, and where they are defined.
    components: BTreeMap<String, Vec<String>>,
}

impl Files {
    /// The file `first`, which holds `text`, alone.
    pub(super) fn new(first: String, text: String) -> Self {
        let texts = BTreeMap::from([(first.clone(), text)]);
        Self { texts, first, components: BTreeMap::new() }
    }

    /// Adds what is missing, from `folder`, and gives `engine` all of it.
    ///
    /// # Errors
    /// The first thing that is wrong, and cannot be mended by another file.
    pub(super) fn load(&mut self, engine: &mut Tera, folder: &Folder<'_>) -> Result<(), Fault> {
        loop {
            let Err(error) = engine.add_raw_templates(&self.texts) else { return Ok(()) };
            let faults = faults(&error, &self.texts);
            let mut wanted = BTreeSet::new();
            for fault in &faults {
                wanted.extend(self.wanted(fault, folder)?);
            }
            if wanted.is_empty() {
                return Err(first_fault(&error, &self.texts));
            }
            for (name, text) in wanted {
                self.texts.insert(name, text);
            }
            if self.texts.len() > MAX_FILES {
                let message = format!("needs more than {MAX_FILES} files");
                return Err(Fault::of(&self.first, message));
            }
        }
    }

    /// The files that mend `fault`; none if that is not what it takes.
    fn wanted(
        &mut self,
        fault: &Fault,
        folder: &Folder<'_>,
    ) -> Result<Vec<(String, String)>, Fault> {
        let names = match fault.need() {
            Some(Need::Template(name)) => vec![name.to_owned()],
            Some(Need::Component(name)) => {
                let names = folder.defining(name);
                self.components.insert(name.to_owned(), names.clone());
                names
            }
            None => Vec::new(),
        };
        let unknown = names.into_iter().filter(|name| !self.texts.contains_key(name));
        let read = |name: String| match folder.read(&name) {
            Ok(text) => Ok((name, text)),
            Err(why) => Err(unavailable(fault, &name, &why, folder)),
        };
        unknown.map(read).collect()
    }

    /// Whether `folder` still has what was taken from it. The first file is not looked at.
    pub(super) fn are_current(&self, folder: &Folder<'_>) -> bool {
        let others = self.texts.iter().filter(|(name, _)| **name != self.first);
        let mut others = others.map(|(name, text)| (folder.read(name), text));
        others.all(|(found, text)| found.is_ok_and(|found| found == *text))
            && self.components.iter().all(|(name, files)| folder.defining(name) == *files)
    }

    /// Whether `word` is anywhere in the files.
    pub(super) fn mention(&self, word: &str) -> bool {
        self.texts.values().any(|text| text.contains(word))
    }
}

/// `fault`, with the reason why the template `name` does not mend it.
fn unavailable(fault: &Fault, name: &str, why: &Unavailable, folder: &Folder<'_>) -> Fault {
    let message = format!("template \"{}\" {why}", name.escape_debug());
    let is_missing = matches!(why, Unavailable::Missing);
    let hint = is_missing.then(|| did_you_mean(name, folder.names())).flatten();
    Fault { message, hint, template: fault.template.clone(), position: fault.position }
}
