//! Runs what needs much stack on a thread that has it.
//!
//! Tera is recursive: it needs stack for each `elif` of a chain while it compiles, and for each
//! block, include and component in a block, include or component while it renders. The stack of a
//! thread is only reserved: it takes no memory before it is used. Few templates need such a thread,
//! and starting one takes longer than rendering a small template.

use std::io;
use std::panic::resume_unwind;
use std::thread;

/// The size of the stack, in bytes. In a build without optimization, 10,000 `elif` take half.
pub(super) const STACK: usize = 256 << 20;

/// The size of the stack that other templates can use, in bytes. A thread usually has more.
pub(super) const SHALLOW: usize = 1 << 20;

/// Calls `work` on a thread with a stack of [`STACK`] bytes, and waits for its result. A panic of
/// `work` goes on in the caller.
///
/// # Errors
/// The system starts no thread; `work` was not called.
pub(super) fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("tera".to_owned()).stack_size(STACK);
        let thread = builder.spawn_scoped(scope, work)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// About how deep the stack of this thread is, as an address. The stack grows downward on all
/// systems that this program is built for.
#[inline(never)]
pub(super) fn stack_pointer() -> usize {
    let local = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&local)).addr()
}
