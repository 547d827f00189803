//! The functions of sprig that need nothing of the machine, with the prefix `sprig_`.
//!
//! Most of them are in [`render::library`]. Those that give another result at each call are here.

mod crypto;
mod random;

use gotmpl::{Definition, Functions, Native};
use render::library::{Of, each};

use super::Context;

pub(super) fn add(functions: &mut Functions<Context>) {
    each(&mut |entry| {
        if entry.of != Of::Confd {
            let name = prefixed(entry.name);
            let function = entry.make().adapted(|function, context: &Context, arguments| {
                function.call(&*context.machine.host, arguments)
            });
            functions.define(&name, function);
        }
    });
    let mut library = Library(functions);
    crypto::add(&mut library);
    random::add(&mut library);
}

/// Registers functions with the prefix.
struct Library<'f>(&'f mut Functions<Context>);

impl Library<'_> {
    fn add<P, F: Native<Context, P>>(&mut self, name: &str, function: F) {
        self.0.define(&prefixed(name), Definition::new(function));
    }
}

fn prefixed(name: &str) -> String {
    format!("sprig_{name}")
}
