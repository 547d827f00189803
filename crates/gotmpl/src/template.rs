//! A template: parsed once, executed any number of times.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::compile::compile;
use crate::dialect::{Dialect, MissingKey};
use crate::error::Error;
use crate::exec::{Code, Limits, execute};
use crate::func::{Bound, Functions};
use crate::node::{Content, Tree};
use crate::parse::parse;
use crate::program::Program;
use crate::value::Value;

/// A parsed template. `C` is the context that each execution passes to the registered functions.
///
/// Threads can share a template; one execution stays on one thread.
pub struct Template<C: ?Sized> {
    name: String,
    tree: Tree,
    program: Program,
    functions: Arc<Functions<C>>,
    missing_key: MissingKey,
}

impl<C: ?Sized> Template<C> {
    /// Parses `source`. Error texts call the template `name`; Go uses the base name of the file.
    ///
    /// # Errors
    ///
    /// The source is not a template, or it names a function that is not in `functions`.
    pub fn parse(
        name: &str,
        source: impl Into<Bytes>,
        functions: &Arc<Functions<C>>,
    ) -> Result<Template<C>, Error> {
        Template::parse_dialect(name, source, &Dialect::default(), functions)
    }

    /// Like [`parse`](Template::parse), for a source in this dialect of the language.
    ///
    /// # Errors
    ///
    /// As for `parse`.
    pub fn parse_dialect(
        name: &str,
        source: impl Into<Bytes>,
        dialect: &Dialect,
        functions: &Arc<Functions<C>>,
    ) -> Result<Template<C>, Error> {
        let tree = parse(name, source.into(), dialect, functions.table())?;
        let program = compile(&tree, functions.table());
        let functions = Arc::clone(functions);
        let name = name.to_owned();
        let missing_key = dialect.missing_key;
        Ok(Template { name, tree, program, functions, missing_key })
    }

    /// Executes the template with `data` as its dot and appends the output to `out`.
    ///
    /// # Errors
    ///
    /// A function failed, or the template did something that its values do not allow. `out` keeps
    /// the output up to that point.
    pub fn execute(&self, context: &C, data: Value, out: &mut Vec<u8>) -> Result<(), Error> {
        self.execute_within(Limits::default(), context, data, out)
    }

    /// Like [`execute`](Template::execute), with the limits given by the caller.
    ///
    /// # Errors
    ///
    /// As for `execute`; also when a limit is exceeded.
    pub fn execute_within(
        &self,
        limits: Limits,
        context: &C,
        data: Value,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        // The parser defines the file's own template last. A template that the source defines under
        // the same name takes its place.
        let entry = self.tree.find(self.name.as_bytes()).unwrap_or_default();
        self.execute_entry(entry, limits, context, data, out)
    }

    /// Like [`execute`](Template::execute), but executes the template that the source defines as
    /// `name`. `None` if it defines none of that name; then nothing is output.
    ///
    /// A registered function can call this while the template is executed. Such calls nest on the
    /// stack of the thread, so that their caller has to limit how deep they nest. What the outer execution
    /// holds counts for the limit on memory of the inner one, so that both have one budget.
    ///
    /// # Errors
    ///
    /// As for `execute`.
    pub fn execute_defined(
        &self,
        name: &[u8],
        limits: Limits,
        context: &C,
        data: Value,
        out: &mut Vec<u8>,
    ) -> Option<Result<(), Error>> {
        let entry = self.tree.find(name)?;
        Some(self.execute_entry(entry, limits, context, data, out))
    }

    /// Whether the source itself defines a template called `name`, besides the template of the whole
    /// source.
    pub fn defines(&self, name: &[u8]) -> bool {
        name != self.name.as_bytes() && self.tree.find(name).is_some()
    }

    /// The names of the templates that the source itself defines.
    pub fn defined(&self) -> impl Iterator<Item = &[u8]> {
        let names = self.tree.templates.iter().map(|(name, _)| self.tree.name(*name).as_ref());
        names.filter(|name| *name != self.name.as_bytes())
    }

    fn execute_entry(
        &self,
        entry: usize,
        limits: Limits,
        context: &C,
        data: Value,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let code = Code {
            name: &self.name,
            tree: &self.tree,
            program: &self.program,
            functions: self.functions.table(),
            missing_key: self.missing_key,
        };
        let library = Bound { functions: &*self.functions, context };
        execute(code, entry, &library, data, limits, out)
    }

    /// The parsed source.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The name the template was parsed under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The source, byte for byte.
    pub fn source(&self) -> &Bytes {
        self.tree.source()
    }

    /// Whether `value` stands in the source as a constant: a string, a number, true or false. An
    /// empty value stands everywhere.
    pub fn has_constant(&self, value: &[u8]) -> bool {
        value.is_empty()
            || self.tree.nodes().iter().any(|node| match node.content {
                Content::String(_, place) => self.tree.string(place) == value,
                Content::Number(written, _) => self.tree.written(written) == value,
                Content::Bool(constant) => {
                    value == if constant { b"true".as_slice() } else { b"false" }
                }
                _ => false,
            })
    }

    /// Whether the pipeline that `error` is about is made of the source alone: it reads neither the
    /// dot nor a variable, and calls only functions for which `is_pure` is true.
    pub fn is_constant(&self, error: &Error, is_pure: impl FnMut(&[u8]) -> bool) -> bool {
        self.tree.is_constant(error.offset(), is_pure)
    }

    /// Whether the template, or a template defined in its source, calls the function `name`
    /// anywhere, reached or not.
    pub fn uses(&self, name: &str) -> bool {
        self.tree.nodes().iter().any(|node| match node.content {
            Content::Function(written, _) => self.tree.written(written) == name.as_bytes(),
            _ => false,
        })
    }
}

impl<C: ?Sized> fmt::Debug for Template<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("name", &self.name).finish_non_exhaustive()
    }
}
