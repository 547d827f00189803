//! What templates call with constants, found without rendering them.

use std::path::PathBuf;

use bytes::Bytes;

use crate::{Compiled, Error, Template};

/// A call of a function with a constant text, in a file of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstantCall {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub source: Bytes,
    /// Where the name of the function begins in it.
    pub offset: usize,
    /// The function.
    pub function: String,
    /// The text: the first argument of a Go template, the argument `key` or `pattern` of Tera, or what is
    /// piped to the function.
    pub argument: Bytes,
}

impl Template {
    /// The calls of `functions` with a constant text, reached or not: in the template, and in each file that
    /// it needs, as far as the names of these files are constants.
    ///
    /// Go templates are searched in their syntax tree. Tera gives its tree to no other crate, so the
    /// expressions of a Tera template are searched.
    pub fn constant_calls(&self, functions: &[&str]) -> Vec<ConstantCall> {
        let mut calls = match &self.0 {
            Compiled::Go(template) => template.constant_calls(),
            Compiled::Tera(template) => template.constant_calls(),
        };
        calls.retain(|call| functions.contains(&&*call.function));
        calls
    }

    /// What is wrong with the files that the template includes by constant names, and with its calls of
    /// templates by name. Rendering finds it only where it comes to that place. The files of a Tera template
    /// are compiled with it, so nothing is wrong with them.
    pub fn faults_inside(&self) -> Vec<Error> {
        match &self.0 {
            Compiled::Go(template) => template.faults_inside(),
            Compiled::Tera(_) => Vec::new(),
        }
    }
}
