//! Signals that have come while the program works.
//!
//! A template is executed on the thread that acts on signals. So the thread that receives signals
//! notes each one here, and an execution that sees one that needs an answer stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The signals have numbers below this one. Signals of real time are never received.
const NUMBERS: usize = 32;

/// The signals that have come and that the program has not acted on yet. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Pending(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How many signals of each number have come.
    came: [AtomicU32; NUMBERS],
    /// A bit for each signal that ends the program.
    ending: AtomicU32,
    /// A bit for each signal that stops the execution of a template.
    stopping: AtomicU32,
}

impl Pending {
    /// Notes a signal. To be called before the signal is sent to the program.
    pub fn note(&self, number: i32) {
        if let Some(count) = self.count(number) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a signal of this number ends the program.
    pub fn ends(&self, number: i32) -> bool {
        self.0.ending.load(Ordering::Relaxed) & bit(number) != 0
    }

    /// Notes that the program acts on a signal of this number.
    pub(crate) fn take(&self, number: i32) {
        if let Some(count) = self.count(number) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sets which signals end the program, and which make it read its configuration again.
    pub(crate) fn set(&self, ending: &[i32], reload: Option<i32>) {
        let bits = |numbers: &[i32]| numbers.iter().fold(0, |bits, number| bits | bit(*number));
        self.0.ending.store(bits(ending), Ordering::Relaxed);
        let stopping = bits(ending) | reload.map_or(0, bit);
        self.0.stopping.store(stopping, Ordering::Relaxed);
    }

    /// Whether a signal waits that stops the execution of a template.
    pub(crate) fn is_stopping(&self) -> bool {
        let mut bits = self.0.stopping.load(Ordering::Relaxed);
        while bits != 0 {
            let number = bits.trailing_zeros();
            let count = self.0.came.get(number as usize);
            if count.is_some_and(|count| count.load(Ordering::Relaxed) > 0) {
                return true;
            }
            bits &= bits - 1;
        }
        false
    }

    fn count(&self, number: i32) -> Option<&AtomicU32> {
        self.0.came.get(usize::try_from(number).ok()?)
    }
}

/// The bit of a signal; 0 if it has none.
fn bit(number: i32) -> u32 {
    u32::try_from(number).ok().and_then(|number| 1_u32.checked_shl(number)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_stops_until_the_program_has_acted_on_every_signal() {
        let pending = Pending::default();
        pending.set(&[2, 15], Some(1));
        for number in [1, 10, 15, 15, 64, -1] {
            pending.note(number);
        }
        assert!(pending.ends(15) && !pending.ends(1) && !pending.ends(64) && !pending.ends(-1));
        for number in [15, 1] {
            pending.take(number);
            assert!(pending.is_stopping());
        }
        pending.take(15);
        // The signal that is left is one for the child.
        assert!(!pending.is_stopping());
    }
}
