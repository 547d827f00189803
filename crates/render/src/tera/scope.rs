//! What functions can ask while a template is rendered.
//!
//! Tera's functions are registered once, with the engine, and get nothing but their arguments and
//! the variables in scope; inside a component not even those of the caller. So what one rendering
//! is about (its [`View`], its [`Host`]) is kept for the thread that renders, while it renders.
//! Rendering is synchronous and never begins another one, so this is an argument that cannot be
//! handed over in any other way, and several threads can render at once, the same template
//! included.

use std::cell::RefCell;
use std::sync::Arc;

use store::View;

use crate::host::Host;

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// What one rendering is about.
pub(super) struct Context {
    pub(super) view: View,
    pub(super) host: Arc<dyn Host>,
}

/// A rendering on this thread; it ends when this is dropped, also by a panic.
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

/// What `ask` makes of the rendering that goes on; `None` outside of any.
pub(super) fn with<T>(ask: impl FnOnce(&Context) -> T) -> Option<T> {
    CURRENT.with_borrow(|current| current.as_ref().map(ask))
}

#[cfg(test)]
mod tests {
    use store::{Coverage, Prefix, Scope as Keys, Snapshot};

    use super::*;
    use crate::System;

    fn context() -> Context {
        let view = View::new(Snapshot::new(Coverage::Exact), &Keys::default(), &Prefix::new(b"/"));
        Context { view, host: Arc::new(System::new()) }
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
