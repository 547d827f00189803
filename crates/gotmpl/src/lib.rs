//! Go's `text/template`, as a Rust library: the language of Go 1.27, byte for byte.
//!
//! This page is the manual of the crate. It says what the language is, how a template gets from
//! its source to its output, how values are modelled, what an error carries, which limits hold,
//! and where the results differ from Go's.
//!
//! The crate knows nothing of confd, of keys or of files. It does no I/O, reads no clock, starts
//! no thread, and contains no `unsafe` code. A caller registers the functions that templates may
//! call, parses a source once, and executes it as often as it likes:
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use gotmpl::{Failure, Functions, Map, Template, Value};
//!
//! /// The context: what the functions of one execution may ask. Here, the keys of a store.
//! type Keys = [(&'static str, &'static str)];
//!
//! let mut functions: Functions<Keys> = Functions::new();
//! functions.add("getv", |keys: &Keys, key: Bytes| {
//!     let found = keys.iter().find(|(name, _)| name.as_bytes() == key);
//!     found.map(|(_, value)| Bytes::from(*value)).ok_or_else(|| Failure::new("no such key"))
//! });
//! let functions = Arc::new(functions);
//!
//! let source = "{{range $i, $k := .keys}}{{if $i}}, {{end}}{{printf `%-4s` $k}}= {{getv $k}}{{end}}";
//! let template = Template::parse("hosts.tmpl", source, &functions)?;
//!
//! // The dot of the whole template: a map with the entry "keys".
//! let names = vec![Bytes::from("/a"), Bytes::from("/b")];
//! let dot = Value::from(Map::values(vec![("keys".into(), names.into())]));
//! let mut out = Vec::new();
//! template.execute(&[("/a", "one"), ("/b", "two")][..], dot, &mut out)?;
//! assert_eq!(out, b"/a  = one, /b  = two");
//!
//! // An error is Go's text; `line`, `column` and `message` give its parts.
//! let template = Template::parse("bad.tmpl", "port\n  {{getv `/c`}}", &functions)?;
//! let error = template.execute(&[][..], Value::Nil, &mut Vec::new()).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "template: bad.tmpl:2:4: executing \"bad.tmpl\" at <getv `/c`>: \
//!      error calling getv: no such key"
//! );
//! assert_eq!((error.line(), error.column()), (2, Some(4)));
//! # Ok::<(), gotmpl::Error>(())
//! ```
//!
//! # The language
//!
//! A template is text with *actions* between `{{` and `}}`. Text is output as it is. An action is
//! one of these:
//!
//! | action | what it does |
//! |---|---|
//! | `{{pipeline}}` | outputs the value of the pipeline |
//! | `{{$x := pipeline}}`, `{{$x = pipeline}}` | declares or assigns a variable; outputs nothing |
//! | `{{if p}} … {{else if p}} … {{else}} … {{end}}` | executes one of the lists |
//! | `{{with p}} … {{else with p}} … {{else}} … {{end}}` | the same, with the value as the dot |
//! | `{{range p}} … {{else}} … {{end}}` | executes the list once for each element |
//! | `{{break}}`, `{{continue}}` | leaves the innermost `range`, or starts its next step |
//! | `{{define "name"}} … {{end}}` | defines a template inside of the source |
//! | `{{template "name" p}}` | executes a defined template with the value as its dot |
//! | `{{block "name" p}} … {{end}}` | `define` and `template` in one |
//! | `{{/* text */}}` | a comment |
//!
//! `{{- ` and ` -}}` also remove the white space before or after the action.
//!
//! A *pipeline* is a row of commands separated by `|`. The value of each command becomes the last
//! argument of the next one. A *command* is a literal, the dot, a variable, a field or a function
//! or method with its arguments; an argument may be a pipeline in parentheses. The *dot* (`.`) is
//! the current value: the data at first, then what `with`, `range` and `template` make it. `$` is
//! the dot that the current template began with.
//!
//! `if`, `with`, `and`, `or` and `not` take a value as false if it is `false`, zero, nil or empty
//! ([`Value::is_true`]). `and` and `or` evaluate no more arguments than they need.
//!
//! The builtins are Go's: `and or not`, `eq ne lt le gt ge`, `len index slice call`,
//! `print printf println`, `html js urlquery`. Everything else is registered with
//! [`Functions::add`]. The parameters of the registered Rust closure give the Go signature, so a
//! wrong number or type of arguments is reported in Go's words before the closure runs. A
//! function that is named `break` or `continue` makes that word a function instead of a keyword,
//! as in Go.
//!
//! # From source to output
//!
//! ```text
//!  source ──lex──► tokens ──parse──► tree ──compile──► program ──exec──► output
//!           Tokens           Tree             Program            Executor
//!  └──────────────── Template::parse, once ───────────────┘ └─ Template::execute ─┘
//! ```
//!
//! 1. `lex` cuts the source into tokens. All positions are byte offsets; bytes that are not UTF-8
//!    pass through in text and in raw strings.
//! 2. `parse` builds a `Tree`: one list of nodes that refer to each other by index, with one entry
//!    for each template that the source defines. Unknown functions and variables are found here.
//! 3. `compile` turns the tree into a `Program`: a flat list of steps for a stack machine. Literals
//!    get the type of the parameter they are written for, and the number of arguments of each
//!    function is checked. Such a fault becomes a step that fails, because Go reports it only when
//!    execution reaches it.
//! 4. `exec` runs the steps in one loop and appends to the caller's buffer. `fmt` writes values as
//!    Go's package of the same name does.
//!
//! Nothing recurses: open blocks, pending expressions, loops and template calls are kept in lists
//! on the heap, in all four steps and when values are dropped or printed. A template of any depth
//! costs memory, never the thread's stack.
//!
//! A [`Template`] is immutable, `Send` and `Sync`, so that threads can share it. An execution and
//! its values stay on one thread, because values share their storage by `Rc`.
//!
//! # Dialects
//!
//! A [`Dialect`] sets what a program can choose about the language: other delimiters, and what a
//! missing map key gives. A map without the key gives `<no value>` by default.
//!
//! # Values
//!
//! A [`Value`] is what Go calls a value of type `interface {}`: a concrete type with its content,
//! or nil. The type is visible to template authors (`printf "%T"`, error texts, which arguments fit
//! a parameter), so values carry Go's types, described in [`types`]:
//!
//! | Go | here |
//! |---|---|
//! | nil | [`Value::Nil`] |
//! | `bool`, `int`, `float64`, `complex128`, `string` | variants of [`Value`] that hold the content; strings are any bytes |
//! | other integer types (`uint8`, `time.Month`) | [`Value::Integer`], with a [`types::IntegerType`] |
//! | slices | [`Slice`]: a window on shared storage. A change is seen through every slice of that storage, and `slice` reaches into spare capacity, as in Go |
//! | maps with string keys | [`Map`]: ordered by the bytes of the keys. A change is seen through every clone, as in Go |
//! | structs and pointers to them | [`Struct`] and [`Pointer`]: fields that templates read by name |
//! | types with methods only (`time.Time`) | [`Object`], a trait that the caller implements |
//! | functions as values, iterators | [`Func`], for `call` and `range` |
//!
//! Cloning a value never copies its content. A caller describes its own Go types by `static`
//! items of [`types`]: names, fields, methods.
//!
//! # Errors
//!
//! [`Error`] displays as Go's text. A parse error names the template and the line of the last
//! token read, which can be later than the fault: `template: a.tmpl:3: unexpected "}" in operand`.
//! An execution error also has the column and the part of the template that failed, as Go prints
//! it: `template: a.tmpl:3:5: executing "a.tmpl" at <.x>: …`. For a caller that shows the source
//! with the error, [`Error::offset`] is the place in bytes, and [`Error::unknown`] is the name
//! that does not exist, with those that do. What was output before an execution error stays in
//! the buffer.
//!
//! # Limits
//!
//! - Source: below 4 GiB.
//! - Parentheses nest at most 10,000 deep and template calls at most 100,000 deep, as in Go. Blocks
//!   nest without a limit.
//! - Output: [`Limits::output`], 1 GiB by default. One text made by `print`, `printf`, `println`,
//!   `html`, `js` or `urlquery`: [`Limits::value`], 256 MiB by default. Go has neither limit.
//! - Memory: the output, and the values in variables, dots, loops and operands, take at most
//!   [`Limits::memory`] together, 1 GiB by default. Dropped values do not count. It is checked after
//!   each call and each output. What an execution holds counts for the executions that its functions begin.
//! - Time has no limit: a `range` over a large integer runs until it ends or the output is full.
//!   A function that a caller registers limits its own results.
//!
//! # Where it differs from Go
//!
//! - Map keys are strings. There are no channels, arrays or `float32`: no registered function can
//!   return one.
//! - A map is always in the order of its keys' bytes, also when it is printed. A map cannot become an
//!   entry of itself: in Go, printing such a map ends the program.
//! - The address that `%p`, or a pointer inside of another value, prints has no meaning. In Go it
//!   differs from run to run.
//! - A method or function that panics in Go gives the same text here as a [`Failure`]; Go's
//!   `panic` and `error` cannot be distinguished in a template.
//! - Adding a second source to a template (`ParseFiles`) does not exist: no program here does it.
//! - Errors show actions with the delimiters `{{` and `}}`, as in Go, whatever the [`Dialect`] has.
//! - The two limits on sizes above.
//!
//! # How it is tested
//!
//! `tests/golden` has tables of numbers, quoted texts and formats whose answers Go wrote. The unit
//! tests and `tests/language.rs` each claim one fact about the language; `tests/depth.rs` shows
//! that depth costs no stack. The crate `render` compares whole generated templates with the
//! results of Go itself.

mod builtins;
mod calls;
mod compile;
mod dialect;
mod error;
mod escape;
mod exec;
mod fmt;
mod func;
#[cfg(test)]
mod golden;
mod lex;
mod literal;
mod message;
mod node;
mod number;
mod parse;
mod program;
mod quote;
mod template;
pub mod types;
mod unicode;
mod value;

pub use calls::ConstantCall;
pub use dialect::{Dialect, MissingKey};
pub use error::{Error, ErrorKind, Unknown};
pub use exec::Limits;
pub use func::{
    Argument, Definition, Failure, Functions, Native, Parameter, Rest, Returned, Signature, Stock,
    Strings,
};
pub use message::{HIDDEN, Message};
pub use template::Template;
pub use value::{Entries, Func, Map, Object, Pointer, Records, Sequence, Slice, Struct, Value};

pub use fmt::printf_text as printf;
pub use quote::quote;
