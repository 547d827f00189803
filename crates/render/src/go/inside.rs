//! The files that a Go template includes by constant names, and what is wrong with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gotmpl::{Template, quote};
use report::Place;

use super::files::Included;
use super::include::{WHAT_IT_TAKES, name_below, near_piece_of};
use super::{Context, GoTemplate, mistakes};
use crate::calls::ConstantCall;
use crate::folder::Unavailable;
use crate::{Error, Stage};

/// The function that includes files.
const INCLUDE: &[u8] = b"include";

/// A template, and the file that it is in.
struct Inside {
    path: Arc<Path>,
    template: Arc<Template<Context>>,
}

impl GoTemplate {
    /// The calls with constants in the template and in the files that it includes.
    pub(crate) fn constant_calls(&self) -> Vec<ConstantCall> {
        let mut all = Vec::new();
        for Inside { path, template } in self.inside(&mut |_| {}) {
            all.extend(template.constant_calls().into_iter().map(|call| ConstantCall {
                path: PathBuf::from(&*path),
                source: template.source().clone(),
                offset: call.offset,
                function: String::from_utf8_lossy(call.function).into_owned(),
                argument: call.argument.clone(),
            }));
        }
        all
    }

    /// What is wrong with calls of templates by name, and with files that are included.
    pub(crate) fn faults_inside(&self) -> Vec<Error> {
        let mut faults = Vec::new();
        for Inside { path, template } in self.inside(&mut |fault| faults.push(fault)) {
            for (name, offset) in template.undefined() {
                let place = Place::at_offset(&path, template.source(), offset);
                let text = format!("template {} is not defined", quote(name));
                let (name, line) = (template.name(), place.line);
                faults.push(
                    Error::new(Stage::Compile, format!("template: {name}:{line}: {text}"))
                        .at(place),
                );
            }
        }
        faults
    }

    /// The template, and the files that it includes, each once. `report` gets those that cannot be used.
    fn inside(&self, report: &mut dyn FnMut(Error)) -> Vec<Inside> {
        let first = Inside { path: Arc::clone(&self.src), template: Arc::clone(&self.template) };
        let (mut found, mut seen) = (vec![first], BTreeSet::new());
        let mut nth = 0;
        while let Some(Inside { path, template }) = found.get(nth) {
            let mut included = Vec::new();
            for call in template.constant_calls() {
                if call.function != INCLUDE || template.defines(call.argument) {
                    continue;
                }
                let Some(name) = name_below(call.argument).filter(|name| seen.insert(name.clone()))
                else {
                    continue;
                };
                let Some((file, _)) = self.files.include(&name) else { continue };
                match &*file {
                    Included::Template { path, template } => {
                        let (path, template) = (Arc::clone(path), Arc::clone(template));
                        included.push(Inside { path, template });
                    }
                    Included::Malformed { path, source, error } => {
                        let text = format!("parse include {}: {error}", name.escape_debug());
                        let error = Error::new(Stage::Compile, text)
                            .at(Place::at_offset(path, source, error.offset()))
                            .hinting(mistakes::hint(error, source));
                        report(error);
                    }
                    Included::Unavailable { why, hint } => {
                        let place = Place::at_offset(path, template.source(), call.offset);
                        let is_missing = matches!(why, Unavailable::Missing);
                        let hint = hint.clone().or_else(|| near_piece_of(template, &name));
                        let hint = hint.or_else(|| is_missing.then(|| WHAT_IT_TAKES.to_owned()));
                        let (of, line) = (template.name(), place.line);
                        let text = format!(
                            "template: {of}:{line}: include path {} {why}",
                            quote(call.argument)
                        );
                        report(Error::new(Stage::Compile, text).at(place).hinting(hint));
                    }
                }
            }
            found.extend(included);
            nth += 1;
        }
        found
    }
}
