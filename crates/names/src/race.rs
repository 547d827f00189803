//! Several attempts at one thing, each with a head start.

use std::future::Future;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::timeout;

/// Makes an attempt with one item after the other and returns the first success. An attempt that
/// has not ended after `head_start` goes on, and the next one is made beside it.
///
/// The order of attempts, and one attempt at a time, is what a user expects of a list. Without the
/// head start, one item that does not answer would use up the time that a caller has for all.
///
/// # Errors
/// All attempts failed: their errors, in the order of their ends. No error if there are no items.
pub(crate) async fn first_success<I, T, E, F: Future<Output = Result<T, E>>>(
    mut items: impl ExactSizeIterator<Item = I>,
    head_start: Duration,
    attempt: impl Fn(I) -> F,
) -> Result<T, Vec<E>> {
    let mut running = FuturesUnordered::new();
    let mut errors = Vec::new();
    loop {
        running.extend(items.next().map(&attempt));
        let ended = match items.len() {
            0 => running.next().await,
            _ => match timeout(head_start, running.next()).await {
                Ok(ended) => ended,
                // The head start is over.
                Err(_) => continue,
            },
        };
        match ended {
            Some(Ok(success)) => return Ok(success),
            Some(Err(error)) => errors.push(error),
            None => return Err(errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    /// The result for attempts of which each succeeds, fails or does not end.
    async fn of(attempts: &'static [Option<Result<u8, u8>>]) -> Result<u8, Vec<u8>> {
        first_success(attempts.iter(), Duration::from_millis(1), async |attempt| match attempt {
            Some(result) => ready(*result).await,
            None => pending().await,
        })
        .await
    }

    #[tokio::test]
    async fn the_first_success_counts_and_an_attempt_without_end_stops_no_other() {
        assert_eq!(of(&[Some(Ok(1)), Some(Ok(2))]).await, Ok(1));
        assert_eq!(of(&[Some(Err(1)), Some(Ok(2))]).await, Ok(2));
        assert_eq!(of(&[None, None, Some(Err(1)), Some(Ok(2))]).await, Ok(2));
        assert_eq!(of(&[Some(Err(1)), Some(Err(2))]).await, Err(vec![1, 2]));
        assert_eq!(of(&[]).await, Err(Vec::new()));
    }
}
