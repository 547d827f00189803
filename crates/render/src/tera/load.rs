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

use std::collections::BTreeMap;

use ::tera::Tera;
use report::did_you_mean;

use super::folder::{Folder, Unavailable};
use super::report::{Fault, Need, faults, first_fault};

/// How many files one template may consist of. Each one that is included by another takes stack
/// while it is rendered.
const MAX_FILES: usize = 100;

/// What files hold, by their names.
pub(super) type Texts = BTreeMap<String, String>;

/// The files of one template.
#[derive(Debug)]
pub(super) struct Files {
    /// What each file holds, the first one included.
    pub(super) texts: Texts,
    /// The name of the first one.
    pub(super) first: String,
    /// The components that were looked for, and where they are defined.
    components: BTreeMap<String, Vec<String>>,
}

impl Files {
    /// The file `first`, which holds `text`, alone.
    pub(super) fn new(first: String, text: String) -> Self {
        let texts = Texts::from([(first.clone(), text)]);
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
            // What is included may define the components, so that comes first.
            let mut found = self.templates(&faults, folder)?;
            if found.is_empty() {
                found = self.definitions(&faults, folder)?;
            }
            if found.is_empty() {
                return Err(first_fault(&error, &self.texts));
            }
            self.texts.extend(found);
            if self.texts.len() > MAX_FILES {
                let message = format!("needs more than {MAX_FILES} files");
                return Err(Fault::of(&self.first, message));
            }
        }
    }

    /// The templates that `faults` are about.
    fn templates(&self, faults: &[Fault], folder: &Folder<'_>) -> Result<Texts, Fault> {
        let mut texts = Texts::new();
        for fault in faults {
            // One that is there is not meant: a line break in a name is an escape in a message.
            if let Some(Need::Template(name)) = fault.need()
                && !self.texts.contains_key(name)
            {
                texts.insert(name.to_owned(), read(folder, name, fault)?);
            }
        }
        Ok(texts)
    }

    /// The templates that define the components that `faults` are about; no template that is there
    /// already does.
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

/// What the template `name` holds; else `fault`, with the reason why that does not mend it.
fn read(folder: &Folder<'_>, name: &str, fault: &Fault) -> Result<String, Fault> {
    folder.read(name).map_err(|why| {
        let message = format!("template \"{}\" {why}", name.escape_debug());
        let is_missing = matches!(why, Unavailable::Missing);
        let hint = is_missing.then(|| did_you_mean(name, folder.names())).flatten();
        Fault { message, hint, template: fault.template.clone(), position: fault.position }
    })
}
