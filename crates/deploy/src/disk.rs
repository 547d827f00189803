//! The thread that works on the disk.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

/// The thread on which work that blocks on the disk is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// The thread of the caller. This is the fastest way, and it blocks everything else that this
    /// thread serves.
    Here,
    /// A thread of the runtime for blocking work. Waking such a thread takes about as long as all
    /// the rest of a small pass.
    Elsewhere,
}

impl Disk {
    /// Does `work` and returns its result. With [`Disk::Elsewhere`] it must be called on a Tokio
    /// runtime.
    ///
    /// Dropping the future does not stop work that has begun on another thread. A panic of the work
    /// is a panic of the caller.
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match self {
            Disk::Here => work(),
            Disk::Elsewhere => match spawn_blocking(work).await {
                Ok(done) => done,
                Err(ended) => match ended.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // The runtime is shut down, and this future is dropped soon.
                    Err(_) => std::future::pending().await,
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use super::*;

    #[tokio::test]
    async fn work_is_done_here_or_on_another_thread() {
        let caller = current().id();
        assert_eq!(Disk::Here.run(|| current().id()).await, caller);
        assert_ne!(Disk::Elsewhere.run(|| current().id()).await, caller);
    }

    #[tokio::test]
    #[should_panic(expected = "the disk is on fire")]
    async fn a_panic_elsewhere_is_a_panic_of_the_caller() {
        Disk::Elsewhere.run(|| panic!("the disk is on fire")).await
    }
}
