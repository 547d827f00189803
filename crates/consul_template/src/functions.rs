//! The functions of consul-template's templates.
//!
//! [`table`] is the library; [`Context`] is what the functions of one execution can use. Each module
//! registers its functions, with the names and the Go signatures that template authors see.

mod collections;
mod data;
mod machine;
mod math;
mod queries;
mod scratch;
mod secrets;
mod sockaddr;
mod spew;
mod sprig;
mod text;

use std::cell::Cell;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gotmpl::{Failure, Functions, Rest, Template};
use render::queries::Asks;
use world::Host;

use crate::Edge;
use crate::program::is_match;
use crate::runner::Output;
use crate::session::Session;
use crate::signals::Pending;

/// What the functions of one execution can use.
pub(crate) struct Context {
    pub(crate) session: Session,
    machine: Rc<Machine>,
    template: Arc<Template<Context>>,
    /// The folder that files must be in; `None` for any folder.
    sandbox: Option<PathBuf>,
    scratch: scratch::Space,
    /// The number of calls of `executeTemplate` that have not returned.
    depth: Cell<usize>,
}

/// What functions can ask of the machine and of the program.
pub(crate) struct Machine {
    environment: Rc<[(OsString, OsString)]>,
    /// The variables that the configuration sets.
    exported: Vec<(String, String)>,
    host: Arc<dyn Host>,
    stdout: Output,
    pub(crate) pending: Pending,
}

impl Machine {
    pub(crate) fn new(edge: &Edge, exported: &[(String, String)]) -> Machine {
        Machine {
            environment: Rc::clone(&edge.environment),
            exported: exported.to_vec(),
            host: Arc::clone(&edge.host),
            stdout: Rc::clone(&edge.stdout),
            pending: edge.pending.clone(),
        }
    }

    /// Prints a text on the standard output. A closed pipe is not an error.
    pub(crate) fn print(&self, text: &[u8]) {
        let mut stdout = self.stdout.borrow_mut();
        let _ = stdout.write_all(text).and_then(|()| stdout.flush());
    }
}

impl Context {
    pub(crate) fn new(
        session: Session,
        machine: Rc<Machine>,
        template: Arc<Template<Context>>,
        sandbox: Option<PathBuf>,
    ) -> Context {
        Context {
            session,
            machine,
            template,
            sandbox,
            scratch: scratch::Space::default(),
            depth: Cell::new(0),
        }
    }
}

impl Asks for Context {
    fn ask(&self, query: &catalog::Query) -> Option<catalog::Data> {
        self.session.consul(query)
    }

    fn miss(&self, query: &catalog::Query) {
        self.session.miss(query);
    }
}

/// All functions, except that those whose names match a pattern of `denied` fail.
pub(crate) fn table(denied: &[String]) -> Arc<Functions<Context>> {
    static ALL: OnceLock<Arc<Functions<Context>>> = OnceLock::new();
    if denied.is_empty() {
        return Arc::clone(ALL.get_or_init(|| Arc::new(all())));
    }
    let mut functions = all();
    let builtins = Functions::<Context>::new();
    let names: Vec<_> = functions.names().map(str::to_owned).collect();
    for name in names {
        let is_denied = denied.iter().any(|pattern| is_match(pattern, &name));
        if is_denied && builtins.signature(&name).is_none() {
            functions.add(&name, |_: &Context, _: Rest<Bytes>| {
                Err::<Bytes, _>(Failure::new("function is disabled"))
            });
        }
    }
    Arc::new(functions)
}

fn all() -> Functions<Context> {
    let mut functions = Functions::new();
    functions.set_interrupt(|context: &Context| match context.machine.pending.is_stopping() {
        true => Err(Failure::new("a signal stops the template")),
        false => Ok(()),
    });
    queries::add(&mut functions);
    secrets::add(&mut functions);
    render::queries::add_services(&mut functions);
    render::queries::add_pairs(&mut functions);
    machine::add(&mut functions);
    scratch::add(&mut functions);
    text::add(&mut functions);
    collections::add(&mut functions);
    data::add(&mut functions);
    math::add(&mut functions);
    sockaddr::add(&mut functions);
    spew::add(&mut functions);
    sprig::add(&mut functions);
    functions
}

#[cfg(test)]
mod tests;
