//! Bounds on the body of an answer.
//!
//! A node can send a body without end, a few bytes that become many when they are decompressed, or
//! one byte a second. None of them may fill the memory or keep a request waiting for ever. Every
//! client whose store answers by HTTP collects bodies in a [`Body`].

use std::time::{Duration, Instant};

use crate::{Cause, CauseKind};

/// The bounds on one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most bytes, after decompression.
    pub size: usize,
    /// The longest time without a byte.
    pub silence: Duration,
    /// The time that every body has.
    pub time: Duration,
    /// The bytes that give a body one second more: the slowest speed of a large body.
    pub speed: usize,
}

impl Default for Bounds {
    /// Bounds that only a broken node or a hostile one reaches. A list of 100,000 keys of a kilobyte
    /// each takes about 150 MB.
    fn default() -> Self {
        Bounds {
            size: 512 << 20,
            silence: Duration::from_secs(10),
            time: Duration::from_secs(30),
            speed: 128 << 10,
        }
    }
}

/// A body of which a part has arrived.
#[derive(Debug)]
pub struct Body {
    bounds: Bounds,
    begun: Instant,
    bytes: Vec<u8>,
}

impl Body {
    /// A body of which nothing has arrived yet.
    pub fn begin(bounds: Bounds) -> Self {
        Body { bounds, begun: Instant::now(), bytes: Vec::new() }
    }

    /// How long the next part may take.
    pub fn patience(&self) -> Duration {
        self.bounds.silence.min(self.time().saturating_sub(self.begun.elapsed()))
    }

    /// Adds a part.
    ///
    /// # Errors
    /// The body is larger than its bound, or too slow.
    pub fn push(&mut self, part: &[u8]) -> Result<(), Cause> {
        if part.len() > self.bounds.size - self.bytes.len() {
            let text = format!("its answer is larger than {} MiB", self.bounds.size >> 20);
            return Err(Cause::new(text).of_kind(CauseKind::TooLarge));
        }
        self.bytes.extend_from_slice(part);
        if self.begun.elapsed() > self.time() { Err(self.too_slow()) } else { Ok(()) }
    }

    /// The cause if the next part has not come in [`patience`](Self::patience).
    pub fn too_slow(&self) -> Cause {
        if self.begun.elapsed() < self.time() {
            return Cause::new(format!(
                "no answer within {} seconds",
                self.bounds.silence.as_secs()
            ));
        }
        let (bytes, seconds) = (self.bytes.len(), self.begun.elapsed().as_secs());
        let text = format!("its answer is too slow: {bytes} bytes in {seconds} seconds");
        Cause::new(text).of_kind(CauseKind::TooSlow)
    }

    /// The whole body.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The time that the body has, by what has arrived.
    fn time(&self) -> Duration {
        let earned = self.bytes.len() / self.bounds.speed.max(1);
        self.bounds.time + Duration::from_secs(earned as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        size: 2 << 20,
        silence: Duration::from_secs(10),
        time: Duration::from_secs(30),
        speed: 1 << 10,
    };

    /// A body that began this time ago.
    fn begun(ago: Duration) -> Body {
        Body { begun: Instant::now().checked_sub(ago).unwrap(), ..Body::begin(BOUNDS) }
    }

    #[test]
    fn a_body_may_be_as_large_as_its_bound() {
        let mut body = Body::begin(BOUNDS);
        body.push(&vec![0; 1 << 20]).unwrap();
        body.push(&vec![0; 1 << 20]).unwrap();
        let cause = body.push(b"0").unwrap_err();
        assert_eq!(cause.kind(), CauseKind::TooLarge);
        assert_eq!(cause.to_string(), "its answer is larger than 2 MiB");
        assert_eq!(body.into_bytes().len(), 2 << 20);
    }

    #[test]
    fn a_slow_body_ends_and_a_large_one_has_more_time() {
        let mut body = begun(Duration::from_secs(25));
        assert!(body.patience() <= Duration::from_secs(5));
        body.push(b"0").unwrap();
        let mut body = begun(Duration::from_secs(31));
        assert_eq!(body.patience(), Duration::ZERO);
        let cause = body.push(b"0").unwrap_err();
        assert_eq!(cause.kind(), CauseKind::TooSlow);
        assert_eq!(cause.to_string(), "its answer is too slow: 1 bytes in 31 seconds");
        body.push(&[0; 10 << 10]).unwrap();
        assert!(body.patience() > Duration::from_secs(8));
    }

    #[test]
    fn silence_is_reported_as_such() {
        let cause = Body::begin(BOUNDS).too_slow();
        assert_eq!(cause.to_string(), "no answer within 10 seconds");
    }
}
