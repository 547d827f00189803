//! Go templates: binds confd's functions to the engine of Go's text/template.
//!
//! Everything that a template can observe is Go's: the signatures, which decide the errors about
//! arguments; the types of results; whether a list is nil or empty; and the capacity of a list.

mod capacity;
mod files;
mod foreign;
mod functions;
mod include;
mod inside;
mod library;
mod mistakes;
pub(crate) mod time;
mod types;
mod values;

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use catalog::{Data, Query};
use gotmpl::{Functions, Limits, Template, Value};
use report::Place;
use store::View;
use world::Host;

pub use foreign::{WRITTEN_IN_TERA, is_probably_tera};
pub use time::GoTime;
pub(crate) use time::time_of;
pub use values::json_value;

use files::Files;
use include::{Fault, Level};

use crate::clock::Clock;
use crate::hint::{missing_key, why_missing};
use crate::queries::{Asks, Session};
use crate::{Error, Inputs, MEMORY_HINT, MissingKeys, Stage, Warnings, secret};

/// What the functions of one rendering can use.
struct Context {
    view: View,
    host: Arc<dyn Host>,
    warnings: Warnings,
    session: Session,
    missing: MissingKeys,
    clock: Clock,
    /// What is being executed, innermost last. The first one is the template of the resource.
    levels: RefCell<Vec<Level>>,
    template: Arc<Template<Context>>,
    files: Arc<Files>,
    /// The number of files that this rendering was the first to include.
    first_included: Cell<usize>,
    /// What is known about an error inside of an included template.
    fault: RefCell<Fault>,
    /// The limit on the memory of the rendering.
    memory: usize,
}

impl Context {
    /// Whether `value` stands in the template, or in a file that it includes, as a constant.
    fn has_constant(&self, value: &[u8]) -> bool {
        self.template.has_constant(value) || self.files.have_constant(value)
    }
}

impl Asks for Context {
    fn ask(&self, query: &Query) -> Option<Data> {
        self.session.ask(query)
    }

    fn miss(&self, query: &Query) {
        self.session.miss(query);
    }
}

/// A Go template, ready to be rendered any number of times.
#[derive(Debug)]
pub(crate) struct GoTemplate {
    src: Arc<Path>,
    template: Arc<Template<Context>>,
    files: Arc<Files>,
}

impl GoTemplate {
    /// Compiles the template in the file `src`, whose content is `source`. It can include the files of
    /// `folder`.
    pub(crate) fn compile(src: &Path, source: &[u8], folder: Option<&Path>) -> Result<Self, Error> {
        let name = src.file_name().unwrap_or(src.as_os_str()).to_string_lossy();
        let template = Template::parse(&name, Bytes::copy_from_slice(source), functions())
            .map_err(|error| {
                let hint = mistakes::hint(&error, source);
                // The line of a parse error can be behind the fault; the offset is exact.
                Error::new(Stage::Compile, error.to_string())
                    .at(Place::at_offset(src, source, error.offset()))
                    .hinting(hint)
            })?;
        let files = Arc::new(Files::new(folder));
        Ok(Self { src: src.into(), template: Arc::new(template), files })
    }

    /// Whether the template can call the function `name`: it, or a file that it has included, calls the
    /// function, or one of them executes texts.
    pub(crate) fn uses(&self, name: &str) -> bool {
        let is_called = |name: &str| self.template.uses(name) || self.files.use_function(name);
        is_called(name) || is_called("tpl")
    }

    /// Whether the files that the template has included are unchanged.
    pub(crate) fn is_current(&self) -> bool {
        self.files.is_current()
    }

    /// Renders the template with `inputs` and appends the output to `out`. After an error, `out` has
    /// the output up to that point.
    pub(crate) fn render(
        &self,
        clock: Clock,
        memory: usize,
        inputs: &Inputs<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let &Inputs { view, host, warnings, session, missing, data } = inputs;
        let context = Context {
            view: view.clone(),
            host: Arc::clone(host),
            warnings: warnings.clone(),
            session: session.clone(),
            missing: missing.clone(),
            clock,
            levels: RefCell::new(vec![Level::resource(&self.template, &self.src)]),
            template: Arc::clone(&self.template),
            files: Arc::clone(&self.files),
            first_included: Cell::new(0),
            fault: RefCell::default(),
            memory,
        };
        let limits = Limits { memory, ..Limits::default() };
        let data = match (view.item(), data) {
            (Some(item), _) => values::item(item),
            (None, Some(json)) => json_value(json).unwrap_or_default(),
            (None, None) => Value::Nil,
        };
        let executed = self.template.execute_within(limits, &context, data, out);
        let may_show = |value: &[u8]| context.has_constant(value);
        warnings.finish(|message| secret::hidden(message, view, may_show));
        missing.finish(view, may_show, || self.files.sources(self.template.source()));
        executed.map_err(|error| {
            let Fault { place, hint, missing: inside, .. } = context.fault.take();
            let source = self.template.source();
            let outside = missing_key(error.message().exact());
            let missing = outside.or(inside.as_deref());
            let shows_key = missing
                .is_some_and(|key| secret::may_show_key(key, view, &self.files.sources(source)));
            // The call that misses a key has read no value.
            let mut reads = usize::from(outside.is_some());
            let is_constant = self.template.is_constant(&error, |name| {
                let is_read = matches!(name, b"get" | b"getv");
                is_pure(name) || is_read && std::mem::take(&mut reads) > 0
            });
            let may_show = |value: &[u8]| {
                is_constant || may_show(value) || shows_key && missing == Some(value)
            };
            let origin = secret::origin(error.message(), view, may_show);
            let hint = hint
                .or_else(|| mistakes::hint(&error, source))
                .or_else(|| why_missing(view, missing?, may_show(missing?)))
                .or_else(|| out_of_memory(&error));
            Error::new(Stage::Render, error.without(may_show) + &origin)
                .hiding(error.to_string())
                .at(match &place {
                    Some((path, source, offset)) => Place::at_offset(path, source, *offset),
                    None => Place::at_offset(&self.src, source, error.offset()),
                })
                .hinting(hint)
                .out_of_time(context.clock.stopped().is_some())
                .missing_key(missing.is_some())
        })
    }
}

/// Functions whose results depend on nothing but their arguments.
const PURE: [&str; 37] = [
    "base",
    "dir",
    "contains",
    "split",
    "join",
    "replace",
    "toUpper",
    "toLower",
    "trimSuffix",
    "add",
    "sub",
    "div",
    "mod",
    "mul",
    "seq",
    "atoi",
    "parseBool",
    "reverse",
    "json",
    "jsonArray",
    "map",
    "base64Encode",
    "base64Decode",
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "index",
    "slice",
    "len",
    "print",
    "printf",
    "println",
    "urlquery",
];

/// Whether the result of the function `name` depends on nothing but its arguments. Other functions
/// may return values of keys, or what the machine keeps secret.
fn is_pure(name: &[u8]) -> bool {
    PURE.iter().any(|pure| pure.as_bytes() == name)
        || std::str::from_utf8(name).is_ok_and(crate::library::is_pure)
}

/// A hint at the option, if the template holds too much.
fn out_of_memory(error: &gotmpl::Error) -> Option<String> {
    let is_it = error.message().exact().ends_with(b", its memory limit");
    is_it.then(|| MEMORY_HINT.to_owned())
}

/// All functions. They are the same for every template, so that the process has one table.
fn functions() -> &'static Arc<Functions<Context>> {
    static FUNCTIONS: OnceLock<Arc<Functions<Context>>> = OnceLock::new();
    FUNCTIONS.get_or_init(|| Arc::new(functions::table()))
}

/// The names of confd's functions, without the builtins of the language and without second names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let builtins = Functions::<()>::new();
    // `include` and `tpl` belong to the language, as the action `template` does.
    let is_own = move |name: &&str| {
        let is_of_language =
            builtins.signature(name).is_some() || matches!(*name, "include" | "tpl");
        !is_of_language && !crate::library::is_second_name(name)
    };
    functions().names().filter(is_own)
}

#[cfg(test)]
mod tests;
