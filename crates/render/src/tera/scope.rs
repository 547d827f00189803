//! What the functions of one rendering can use.
//!
//! Tera's functions are registered once, with the engine. A call gets only its arguments and the
//! variables in scope, and inside of a component not even the caller's variables. So the
//! [`Context`] of a rendering is stored for the thread that renders, as long as it renders. That is
//! safe because rendering is synchronous and never starts another rendering. Several threads can
//! render at the same time, also the same template.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use gotmpl::Message;
use store::View;
use world::Host;

use super::limits::Limits;
use super::meter::Meter;
use crate::clock::Clock;
use crate::queries::Session;
use crate::{Inputs, MissingKeys, Warnings};

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// The context of one rendering.
pub(super) struct Context {
    pub(super) view: View,
    pub(super) host: Arc<dyn Host>,
    pub(super) warnings: Warnings,
    pub(super) session: Session,
    pub(super) missing: MissingKeys,
    pub(super) clock: Rc<Clock>,
    pub(super) meter: Rc<Meter>,
    /// What the rendering may take, and what it has taken.
    pub(super) limits: Limits,
    /// The text of the last failure of a function.
    pub(super) failure: RefCell<Option<Message>>,
}

impl Context {
    pub(super) fn new(
        inputs: &Inputs<'_>,
        clock: Rc<Clock>,
        meter: Rc<Meter>,
        limits: Limits,
    ) -> Self {
        let (view, host) = (inputs.view.clone(), Arc::clone(inputs.host));
        let (warnings, session) = (inputs.warnings.clone(), inputs.session.clone());
        let (missing, failure) = (inputs.missing.clone(), RefCell::default());
        Self { view, host, warnings, session, missing, clock, meter, limits, failure }
    }
}

/// A rendering on this thread. It ends when this is dropped, also by a panic.
pub(super) struct Scope {
    outer: Option<Context>,
}

impl Scope {
    /// Begins a rendering.
    pub(super) fn enter(context: Context) -> Self {
        Self { outer: CURRENT.replace(Some(context)) }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        CURRENT.set(self.outer.take());
    }
}

/// Calls `ask` with the context of the rendering on this thread. `None` if there is none.
pub(super) fn with<T>(ask: impl FnOnce(&Context) -> T) -> Option<T> {
    CURRENT.with_borrow(|current| current.as_ref().map(ask))
}

#[cfg(test)]
mod tests {
    use store::{Coverage, Prefix, Scope as Keys, Snapshot};

    use super::*;
    use world::System;

    fn context() -> Context {
        let view = View::new(Snapshot::new(Coverage::Exact), &Keys::default(), &Prefix::new(b"/"));
        let clock = Rc::new(Clock::start(None));
        let meter = Rc::new(Meter::new(usize::MAX));
        let limits = Limits::begin(1 << 20);
        let (host, warnings) = (Arc::new(System::new()) as Arc<dyn Host>, Warnings::default());
        let (session, missing) = (Session::default(), MissingKeys::default());
        let (view, host, warnings) = (&view, &host, &warnings);
        let inputs =
            Inputs { view, host, warnings, session: &session, missing: &missing, data: None };
        Context::new(&inputs, clock, meter, limits)
    }

    #[test]
    fn a_rendering_ends_with_its_scope_even_by_a_panic() {
        assert!(with(|_| ()).is_none());
        let scope = Scope::enter(context());
        assert!(with(|context| context.view.is_empty()).expect("inside"));
        drop(scope);
        assert!(with(|_| ()).is_none());
        let panicked = std::panic::catch_unwind(|| {
            let _scope = Scope::enter(context());
            panic!("in a function");
        });
        assert!(panicked.is_err() && with(|_| ()).is_none());
    }

    #[test]
    fn other_threads_do_not_see_it() {
        let _scope = Scope::enter(context());
        let elsewhere = std::thread::spawn(|| with(|_| ()).is_none()).join();
        assert!(elsewhere.expect("no panic"));
    }
}
