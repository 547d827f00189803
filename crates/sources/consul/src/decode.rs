//! Chooses the thread that decodes an answer.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

/// The most bytes of an answer that is decoded on the runtime's thread. It takes less than a
/// millisecond; an answer can have hundreds of MiB.
const SMALL: usize = 128 * 1024;

/// Decodes an answer of `size` bytes; a large one on a thread for blocking work.
pub(crate) async fn decoded<T: Send + 'static>(
    size: usize,
    decode: impl FnOnce() -> T + Send + 'static,
) -> T {
    if size <= SMALL {
        return decode();
    }
    match spawn_blocking(decode).await {
        Ok(decoded) => decoded,
        Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
        // The runtime is shut down, and this future is dropped soon.
        Err(_) => std::future::pending().await,
    }
}
