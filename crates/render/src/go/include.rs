//! `include` and `tpl`: the output of a template as a text, which functions can change.
//!
//! `include NAME` takes what the same file defines as NAME, as Helm's function does, and otherwise the
//! file NAME of the templates folder, as that of abtreece's confd does. `tpl TEXT` executes a text.
//!
//! Each of these executions is a [`Level`] above the one that asked for it. All levels of a rendering
//! have the same functions, clock and budget of memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use gotmpl::{Error, Failure, Functions, Limits, Message, Rest, Template, Value};

use report::did_you_mean;

use super::files::Included;
use super::functions::in_time;
use super::{Context, functions, mistakes};
use crate::folder::Unavailable;
use crate::hint::missing_key;

/// What `include` takes, as a hint for a name that there is not.
pub(super) const WHAT_IT_TAKES: &str = "include NAME gives what {{define NAME}} defines in the same file, or the file NAME below templates";

/// How deeply calls may nest. Each call uses the stack of the thread.
const DEEPEST: usize = 100;

/// How deeply files and texts may nest.
const DEEPEST_FILES: usize = 10;

/// The most files that one rendering may be the first to include.
const MOST_FILES: usize = 1000;

/// The longest text of `tpl`. A parsed text takes many times its own size, which is not counted.
const LONGEST_TEXT: usize = 1 << 20;

/// What is being executed: the template of the resource, a piece that it defines, a file or a text.
#[derive(Clone)]
pub(super) struct Level {
    template: Arc<Template<Context>>,
    /// The file of the source; `None` if the source is a text.
    path: Option<Arc<Path>>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// The template of the resource.
    Resource,
    /// A piece that a source defines.
    Piece,
    /// A file of the templates folder, by its name there.
    File(String),
    /// The text of `tpl`.
    Text,
}

impl Level {
    /// The outermost level: the template of the resource, in the file `path`.
    pub(super) fn resource(template: &Arc<Template<Context>>, path: &Arc<Path>) -> Self {
        let (template, path) = (Arc::clone(template), Some(Arc::clone(path)));
        Level { template, path, kind: Kind::Resource }
    }
}

/// What is known about an error inside of an included template.
#[derive(Default)]
pub(super) struct Fault {
    /// The innermost place in a file: the file, its source and the offset.
    pub(super) place: Option<(PathBuf, Bytes, usize)>,
    /// What was probably meant.
    pub(super) hint: Option<String>,
    /// The missing key, if that is the error.
    pub(super) missing: Option<Bytes>,
    is_noted: bool,
}

impl Fault {
    /// Notes an error of `level`, inside of which no other error was noted.
    fn note(&mut self, level: &Level, error: &Error) {
        let source = level.template.source();
        if !self.is_noted {
            self.is_noted = true;
            self.missing = missing_key(error.message().exact()).map(Bytes::copy_from_slice);
            // A hint can quote the source. A text can be the value of a key.
            let is_file = level.path.is_some();
            self.hint =
                self.hint.take().or_else(|| mistakes::hint(error, source)).filter(|_| is_file);
        }
        if let (None, Some(path)) = (&self.place, &level.path) {
            self.place = Some((path.to_path_buf(), source.clone(), error.offset()));
        }
    }
}

pub(super) fn add(functions: &mut Functions<Context>) {
    functions.add("include", include);
    functions.add("tpl", tpl);
}

fn include(context: &Context, name: Bytes, dots: Rest<Value>) -> Result<Bytes, Failure> {
    let dot = only(dots)?;
    if let Some(level) = defining(context, &name) {
        let executed = execute(context, level, Some(&name), dot)?;
        return executed.map_err(|error| Failure::quoting(error.whole()));
    }
    let (file, is_first) = match name_below(&name) {
        Some(path) => {
            let Some((found, is_first)) = context.files.include(&path) else {
                return Err(undefined(context, name));
            };
            (Ok((path, found)), is_first)
        }
        None => (Err("is not valid UTF-8"), false),
    };
    let refused = |why: &str| {
        let text = Message::new("include path ").value(gotmpl::quote(&name), name.clone());
        Failure::quoting(text.text(format!(" {why}")))
    };
    let (path, included) = file.map_err(refused)?;
    if is_first {
        context.first_included.set(context.first_included.get() + 1);
        if context.first_included.get() > MOST_FILES {
            return Err(Failure::new(format!("more than {MOST_FILES} different files")));
        }
    }
    let shown = path.escape_debug().to_string();
    match &*included {
        Included::Template { path: place, template } => {
            let is_same = |level: &Level| matches!(&level.kind, Kind::File(file) if *file == path);
            if context.levels.borrow().iter().any(is_same) {
                let text = format!("include cycle detected: {shown} is already being processed");
                return Err(Failure::new(text));
            }
            let level = Level {
                template: Arc::clone(template),
                path: Some(Arc::clone(place)),
                kind: Kind::File(path),
            };
            execute(context, level, None, dot)?.map_err(|error| {
                let text = Message::new(format!("execute include {shown}: "));
                Failure::quoting(text.and(&error.whole()))
            })
        }
        Included::Malformed { path: place, source, error } => {
            let mut fault = context.fault.borrow_mut();
            fault.is_noted = true;
            fault.hint = mistakes::hint(error, source);
            fault.place = Some((place.to_path_buf(), source.clone(), error.offset()));
            let text = Message::new(format!("parse include {shown}: "));
            Err(Failure::quoting(text.and(&error.whole())))
        }
        Included::Unavailable { why, hint } => {
            let hint = hint.clone().or_else(|| near_piece(context, &path));
            let is_missing = matches!(why, Unavailable::Missing);
            let hint = hint.or_else(|| is_missing.then(|| WHAT_IT_TAKES.to_owned()));
            context.fault.borrow_mut().hint = hint;
            Err(refused(&why.to_string()))
        }
    }
}

/// The name of the file below the templates folder that `include` calls `name`; `None` if it is not UTF-8.
/// A leading slash means the templates folder, as in `src`.
pub(super) fn name_below(name: &[u8]) -> Option<String> {
    let below = &name[name.iter().take_while(|byte| **byte == b'/').count()..];
    String::from_utf8(store::path::clean(below).into_owned()).ok()
}

fn tpl(context: &Context, text: Bytes, dots: Rest<Value>) -> Result<Bytes, Failure> {
    let dot = only(dots)?;
    if text.len() > LONGEST_TEXT {
        return Err(Failure::new(format!("the text is larger than {LONGEST_TEXT} bytes")));
    }
    // The text can be the value of a key, and an error quotes its source.
    let failed = |step: &str, error: &Error| {
        let message = Message::new(format!("{step} tpl: "));
        Failure::quoting(match context.has_constant(&text) {
            true => message.and(&error.whole()),
            false => message.value(error.whole().exact(), text.clone()),
        })
    };
    let template = Template::parse("tpl", text.clone(), functions())
        .map_err(|error| failed("parse", &error))?;
    let level = Level { template: Arc::new(template), path: None, kind: Kind::Text };
    execute(context, level, None, dot)?.map_err(|error| failed("execute", &error))
}

/// The one value that a template gets; nil if there is none.
fn only(dots: Rest<Value>) -> Result<Value, Failure> {
    match dots.0.len() {
        0 | 1 => Ok(dots.0.into_iter().next().unwrap_or_default()),
        _ => Err(Failure::new("a template gets one value: map or dict holds several")),
    }
}

/// The piece `name`, if the source that is executing defines it. A text can also use the pieces of the
/// source that executes it.
fn defining(context: &Context, name: &[u8]) -> Option<Level> {
    for level in context.levels.borrow().iter().rev() {
        if level.template.defines(name) {
            return Some(Level { kind: Kind::Piece, ..level.clone() });
        }
        if level.path.is_some() {
            break;
        }
    }
    None
}

/// The piece of the source that is executing which `name` probably means.
fn near_piece(context: &Context, name: &str) -> Option<String> {
    near_piece_of(&context.levels.borrow().last()?.template, name)
}

/// The piece that a source defines and which `name` probably means.
pub(super) fn near_piece_of(template: &Template<Context>, name: &str) -> Option<String> {
    let names = template.defined().map(|name| String::from_utf8_lossy(name).into_owned());
    did_you_mean(name, names.collect::<Vec<_>>())
}

/// Executes `level`, or the piece that its source defines.
fn execute(
    context: &Context,
    level: Level,
    piece: Option<&[u8]>,
    dot: Value,
) -> Result<Result<Bytes, Error>, Failure> {
    in_time(context)?;
    let is_counted = |level: &Level| matches!(level.kind, Kind::File(_) | Kind::Text);
    {
        let mut levels = context.levels.borrow_mut();
        if levels.len() > DEEPEST {
            return Err(Failure::new(format!("nested more than {DEEPEST} deep")));
        }
        let files = levels.iter().filter(|level| is_counted(level)).count();
        if is_counted(&level) && files >= DEEPEST_FILES {
            let text = format!("maximum include depth ({DEEPEST_FILES}) exceeded");
            return Err(Failure::new(text));
        }
        levels.push(level.clone());
    }
    let limits = Limits { memory: context.memory, ..Limits::default() };
    let mut out = Vec::new();
    let template = &level.template;
    let executed = match piece {
        Some(name) => template.execute_defined(name, limits, context, dot, &mut out),
        None => Some(template.execute_within(limits, context, dot, &mut out)),
    };
    context.levels.borrow_mut().pop();
    Ok(executed.unwrap_or(Ok(())).map(|()| out.into()).inspect_err(|error| {
        context.fault.borrow_mut().note(&level, error);
    }))
}

/// The failure for a name that is not defined, of a template that can include no files.
fn undefined(context: &Context, name: Bytes) -> Failure {
    let levels = context.levels.borrow();
    let template = levels.first().map_or("", |level| level.template.name());
    let text = Message::new("template: no template ").value(gotmpl::quote(&name), name);
    let of = format!(" associated with template {}", gotmpl::quote(template.as_bytes()));
    Failure::quoting(text.text(of))
}

#[cfg(test)]
mod tests;
