//! Tera templates: binds confd's functions to the engine of Tera 2.
//!
//! What callers may rely on:
//!
//! - A template consists of its file and of the files that it needs: those that it extends or
//!   includes, and those that define the components it uses. All of them are in the templates
//!   folder, and nothing outside of it is read; see `load` and `crate::folder`.
//! - Every function of Go templates is a function here and, if it takes a value, also a filter.
//!   `functions` has the table, and says what happens to names that Tera has too.
//! - `store` is the view as a nested object. It is built only for templates that mention it.
//! - Nothing is escaped: a configuration file is not HTML.
//! - Text is UTF-8. A value of the store that is not is an error for the template that asks for it;
//!   see `values`.
//! - Maps keep their order, so that iterating gives the same output each time.
//! - An error is one line, with the place in the form of Go templates.
//! - No template overflows the stack. Tera itself limits the nesting of tags and expressions; for the
//!   rest see `guard`.
//!
//! The output has the limit of Go templates, and the results of our functions count toward the limit
//! on memory. What Tera makes by itself has no limit, such as the size of a `set` block.
//!
//! Nothing is set up before the first Tera template is compiled.

mod binding;
mod calls;
mod deep;
mod engine;
mod foreign;
mod functions;
mod guard;
mod hide;
mod library;
mod limits;
mod load;
mod meter;
mod mistakes;
mod nesting;
mod output;
mod own;
mod queries;
mod report;
mod scope;
mod store;
mod tags;
mod tokens;
mod values;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

use ::report::Place;
use ::store::View;
use ::tera::Tera;
use gotmpl::Message;

use crate::clock::{Clock, OutOfTime};
use crate::folder::Folder;
use crate::hint::{missing_key, why_missing};
use crate::{Error, Inputs, MEMORY_HINT, Stage, secret};
use deep::on_a_deep_stack;
use engine::{Engine, no_stack};
use guard::{Checks, Inserted};
use limits::Limits;
use load::Files;
use meter::Meter;
use output::Output;
use own::unknown_argument;
use report::Fault;
use scope::{Context, Scope};

/// The variable that holds the whole view.
const STORE: &str = "store";

/// Tera's variable for debugging, which shows all variables. Tera does not list it as a variable of
/// a template.
const ALL_VARIABLES: &str = "__tera_context";

/// A Tera template, ready to be rendered any number of times.
#[derive(Debug)]
pub(crate) struct TeraTemplate {
    engine: Engine,
    sources: Box<Sources>,
    /// Whether its blocks, includes and components can need more stack than a thread usually has.
    is_deep: bool,
    /// Whether the template mentions `store`.
    wants_store: bool,
}

/// The files of a template.
#[derive(Debug)]
struct Sources {
    /// The file of the resource.
    src: PathBuf,
    /// The folder of all other files.
    folder: PathBuf,
    files: Files,
    /// The checks that were added to each file, by name.
    checks: BTreeMap<String, Inserted>,
}

/// How a rendering ended.
struct Rendered {
    result: ::tera::TeraResult<()>,
    /// The text of the last failure of a function.
    failure: Option<Message>,
    /// The limit of the output, if it was exceeded.
    exceeded: Option<usize>,
    /// Why the rendering was stopped, if its time was over.
    out_of_time: Option<OutOfTime>,
    /// Whether the output refused text because the time was over.
    is_cut_short: bool,
    /// Why the rendering was stopped, if it took too much memory.
    out_of_memory: Option<meter::Exceeded>,
}

impl TeraTemplate {
    /// Compiles the template in the file `src`, whose content is `source`, with the files that it
    /// needs from `folder`.
    pub(crate) fn compile(src: &Path, source: &[u8], folder: &Path) -> Result<Self, Error> {
        // The name by which files of the folder refer to it, if it is in the folder.
        let name = src.strip_prefix(folder).unwrap_or(src).to_string_lossy().into_owned();
        let text = std::str::from_utf8(source).map_err(|error| {
            let place = Place::at_offset(src, source, error.valid_up_to());
            let column = place.column.unwrap_or_default();
            let text = format!("template: {name}:{}:{column}: not valid UTF-8", place.line);
            Error::new(Stage::Compile, text).at(place)
        })?;
        let mut sources = Box::new(Sources {
            src: src.to_path_buf(),
            folder: folder.to_path_buf(),
            files: Files::new(name, text.to_owned()),
            checks: BTreeMap::new(),
        });
        let mut engine = Engine::new();
        if let Err(fault) = sources.files.load(&mut engine, &Folder::new(folder)) {
            let name = fault.template.as_ref().unwrap_or(&sources.files.first);
            let text = sources.files.texts.get(name).map(String::as_str).unwrap_or_default();
            let fault = mistakes::explained(fault, text);
            let hint = fault.hint.clone();
            return Err(sources.explain(Stage::Compile, &fault).hinting(hint));
        }
        let texts = &sources.files.texts;
        if let Some(fault) = texts.iter().find_map(|(name, text)| unknown_argument(name, text)) {
            return Err(sources.explain(Stage::Compile, &fault));
        }
        // Tera does not say which variables a template reads through the variable that shows all of
        // them.
        let wants_store = sources.files.mention(ALL_VARIABLES) || wants_store(engine.tera());
        let checks = Checks::of(&sources.files.texts);
        if !checks.is_none() {
            engine = sources
                .guard(&engine, checks)
                .map_err(|fault| sources.explain(Stage::Compile, &fault))?;
        }
        Ok(Self { engine, sources, is_deep: checks.stack, wants_store })
    }

    /// Whether the template can call the function `name`: whether the name occurs anywhere, even in
    /// a comment.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.sources.files.mention(name)
    }

    /// Whether compiling again would give the same template, if the resource's file has not
    /// changed.
    pub(crate) fn is_current(&self) -> bool {
        self.sources.files.are_current(&Folder::new(&self.sources.folder))
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
        let &Inputs { view, warnings, missing, .. } = inputs;
        let files = &self.sources.files;
        let explain = |fault: &Fault| self.sources.explain(Stage::Render, fault);
        let meter = Meter::new(memory);
        let mut variables = ::tera::Context::new();
        if self.wants_store {
            let store = store::object(view).map_err(|failure| {
                explain(&Fault::of(&files.first, format!("{STORE}: {failure}")))
            })?;
            meter.count_value(&store).map_err(|exceeded| {
                explain(&Fault::of(&files.first, format!("{STORE}: {exceeded}")))
                    .hinting(Some(MEMORY_HINT.to_owned()))
            })?;
            variables.insert_value(STORE, store);
        }
        if let Some(item) = view.item() {
            let of_item = values::item(item).map_err(|failure| {
                explain(&Fault::of(&files.first, format!("for_each: {failure}")))
            })?;
            of_item.into_iter().for_each(|(name, value)| variables.insert_value(name, value));
        }
        let render = |stack: usize| {
            let (clock, meter) = (Rc::new(clock), Rc::new(meter));
            let mut output = Output::new(out, Rc::clone(&clock), Rc::clone(&meter));
            let limits = Limits::begin(stack);
            let _scope =
                Scope::enter(Context::new(inputs, Rc::clone(&clock), Rc::clone(&meter), limits));
            let result = self.engine.tera().render_to(&files.first, &variables, &mut output);
            Rendered {
                result,
                failure: scope::with(|context| context.failure.take()).flatten(),
                exceeded: output.exceeded(),
                out_of_time: clock.stopped(),
                is_cut_short: output.is_out_of_time(),
                out_of_memory: meter.exceeded(),
            }
        };
        let rendered = if self.is_deep {
            // A quarter is left for what Tera does between two checks.
            on_a_deep_stack(|| render(deep::STACK / 4 * 3))
                .map_err(|error| explain(&no_stack(&error)))?
        } else {
            render(deep::SHALLOW)
        };
        let Rendered { result, failure, exceeded, out_of_time, is_cut_short, out_of_memory } =
            rendered;
        let may_show = |value: &[u8]| files.has_constant(value);
        warnings.finish(|message| secret::hidden(message, view, may_show));
        missing.finish(view, may_show, || self.sources.text().into());
        result.map_err(|error| {
            if let Some(limit) = exceeded {
                let text = format!("the output is larger than {limit} bytes");
                return explain(&Fault::of(&files.first, text));
            }
            let memory_hint = || out_of_memory.map(|_| MEMORY_HINT.to_owned());
            // An error of the output has no place of its own.
            if let (Some(over), None) = (out_of_memory, &failure) {
                return explain(&Fault::of(&files.first, over.to_string())).hinting(memory_hint());
            }
            if let (Some(over), true) = (out_of_time, is_cut_short) {
                return explain(&Fault::of(&files.first, over.to_string())).out_of_time(true);
            }
            let fault = self.sources.in_original(report::first_fault(&error, &files.texts));
            let missing = missing_key(fault.message.as_bytes());
            let exact = explain(&fault).to_string();
            let message = self.without_values(&fault, failure.as_ref(), view);
            let is_shown = missing_key(message.as_bytes()) == missing;
            let hint = match missing {
                Some(key) => why_missing(view, key, is_shown),
                None => foreign::rendering(&fault, view),
            };
            explain(&Fault { message, ..fault })
                .hiding(exact)
                .hinting(hint.or_else(memory_hint))
                .out_of_time(out_of_time.is_some())
                .missing_key(missing.is_some())
        })
    }

    /// Whether the message of a fault is the template's own, of the function `throw`.
    fn is_thrown(&self, fault: &Fault) -> bool {
        let name = fault.template.as_ref().unwrap_or(&self.sources.files.first);
        let text = self.sources.files.texts.get(name);
        let (Some(text), Some((line, characters))) = (text, fault.position) else { return false };
        let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        line.chars().skip(characters).collect::<String>().starts_with("throw")
    }

    /// The message of a fault without values of `view`. `failure` is the last failure of a function
    /// of ours, which may be the fault.
    fn without_values(&self, fault: &Fault, failure: Option<&Message>, view: &View) -> String {
        let files = &self.sources.files;
        let is_fault = |failure: &&Message| {
            let text = String::from_utf8_lossy(failure.exact());
            report::one_line(text) == fault.message
        };
        let Some(failure) = failure.filter(is_fault) else {
            // The message of `throw`.
            if files.has_text(&fault.message) {
                return fault.message.clone();
            }
            let keys: Vec<String> = view.iter().map(|pair| pair.key.to_string()).collect();
            let parts: HashSet<&str> = keys.iter().flat_map(|key| key.split('/')).collect();
            let is_known = |word: &str| parts.contains(word) || files.has_constant(word.as_bytes());
            let mut hidden = Vec::new();
            let words = if self.is_thrown(fault) { hide::Words::None } else { hide::Words::Tera };
            let shown = hide::hide(&fault.message, words, &is_known, &mut hidden);
            let message = hidden.into_iter().fold(Message::default(), |message, value| {
                message.value(value.as_bytes(), value.clone())
            });
            return shown + &secret::origin(&message, view, |_| false);
        };
        let missing = missing_key(failure.exact());
        let template = self.sources.text();
        let shows_key =
            missing.is_some_and(|key| secret::may_show_key(key, view, template.as_bytes()));
        let may_show =
            |value: &[u8]| files.has_constant(value) || shows_key && missing == Some(value);
        report::one_line(secret::hidden(failure, view, may_show))
    }
}

impl Sources {
    /// The text of all files.
    fn text(&self) -> String {
        self.files.texts.values().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// An engine like `engine` for the same files with checks.
    fn guard(&mut self, engine: &Engine, checks: Checks) -> Result<Engine, Fault> {
        let (texts, inserted) = guard::guarded(&self.files.texts, checks);
        self.checks = inserted;
        let mut guarded = engine.alike();
        // Tera limits the nesting of expressions, and a check is one level.
        let added = guarded.add(&texts)?;
        added.map_err(|error| self.in_original(report::first_fault(&error, &texts)))?;
        Ok(guarded)
    }

    /// `fault` with the place in the file as the user wrote it.
    fn in_original(&self, fault: Fault) -> Fault {
        let name = fault.template.as_ref().unwrap_or(&self.files.first);
        let original = |place| match self.checks.get(name) {
            Some(inserted) => inserted.original(place),
            None => place,
        };
        Fault { position: fault.position.map(original), ..fault }
    }

    /// Converts `fault` to an error of a template.
    fn explain(&self, stage: Stage, fault: &Fault) -> Error {
        let Fault { message, template, position, .. } = fault;
        let name = template.as_ref().unwrap_or(&self.files.first);
        let source = self.files.texts.get(name).map(String::as_str).unwrap_or_default();
        let Some((line, characters)) = *position else {
            return Error::new(stage, format!("template: {name}: {message}"));
        };
        // Go's columns count bytes.
        let text = source.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let column = text.chars().take(characters).map(char::len_utf8).sum();
        // The resource's own file need not be in the folder.
        let path = if *name == self.files.first {
            self.src.clone()
        } else {
            Folder::new(&self.folder).path_of(name)
        };
        let place = Place { path: &path, source: source.as_bytes(), line, column: Some(column) };
        Error::new(stage, format!("template: {name}:{line}:{column}: {message}")).at(place)
    }
}

/// Whether any template of `engine` mentions the variable `store`.
fn wants_store(engine: &Tera) -> bool {
    let mentions = |name| {
        // This cannot fail for templates that are loaded.
        engine.get_template_variables(name).map_or(true, |variables| variables.contains(STORE))
    };
    let takes = |name| {
        let component = engine.get_component_definition(name);
        component.is_some_and(|component| {
            component.args().iter().any(|arg| arg.is_implicit() && arg.name() == STORE)
        })
    };
    engine.get_template_names().any(mentions) || engine.get_component_names().any(takes)
}

/// An engine with all functions and no template. Engines for templates are copies of it.
fn base() -> &'static Tera {
    static BASE: OnceLock<Tera> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut engine = Tera::new();
        // By default Tera escapes the output of HTML and XML files.
        engine.autoescape_on([""; 0]);
        for function in functions::table() {
            function.register(&mut engine);
        }
        limits::register(&mut engine);
        engine
    })
}

/// The names of confd's functions, without those of the language.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    functions::table().into_iter().map(|function| function.name).chain(library::names())
}

#[cfg(test)]
mod tests;
