//! How users choose this source, and the meaning of its options.

use std::ffi::OsString;
use std::path::PathBuf;

use options::Invalid;
use source::{Changes, Configured, Description, Setup, Source};

use crate::File;

/// Files, as users see them.
pub static DESCRIPTION: Description = Description {
    names: &["file"],
    summary: "YAML and JSON files",
    options: &[OPTIONS],
    variables: &[],
    changes: Changes::Reported,
    configure,
};

options::options! {
    /// The options that only this source has.
    const OPTIONS;
    const FILE: Opt<Vec<OsString>> = list(
        "file",
        "YAML or JSON file, or folder of them, to read the keys from (backend file; may be repeated)",
    )
    .key("file")
    .path();
    const FILTER: Opt<Vec<u8>> = text(
        "filter",
        "*",
        "pattern that the names of files in a folder must match (backend file)",
    )
    .key("filter");
}

/// The files that the user chose.
#[derive(Debug, PartialEq)]
struct Files {
    /// Files, and folders of files.
    paths: Vec<PathBuf>,
    /// The pattern for the names of files in folders.
    filter: Vec<u8>,
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    let paths: Vec<_> = setup.given.get(&FILE)?.into_iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        let text = "backend \"file\" has no -file to read keys from: there are no keys";
        setup.warnings.push(text.to_owned());
    }
    Ok(Box::new(Files { paths, filter: setup.given.get(&FILTER)? }))
}

impl Configured for Files {
    fn name(&self) -> &'static str {
        "file"
    }

    fn places(&self) -> Vec<String> {
        self.paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    fn open(&self) -> Box<dyn Source> {
        Box::new(File::new(self.paths.iter().cloned(), &self.filter))
    }
}
