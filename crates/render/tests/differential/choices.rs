//! The decisions of a generator, taken from a list of numbers.
//!
//! proptest makes the list and shrinks it. Every generator has its plainest alternative first, and
//! a list that is used up gives zeros. So a shorter list and smaller numbers make a plainer
//! template.

/// Numbers that decide, used one after the other.
pub(crate) struct Choices<'a> {
    numbers: std::slice::Iter<'a, u16>,
}

impl<'a> Choices<'a> {
    pub(crate) fn new(numbers: &'a [u16]) -> Self {
        Self { numbers: numbers.iter() }
    }

    /// Whether all numbers are used up. Then what has begun should end.
    pub(crate) fn is_spent(&self) -> bool {
        self.numbers.as_slice().is_empty()
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.numbers.next().copied().unwrap_or_default()) % limit
    }

    /// True in `share` of a hundred cases.
    pub(crate) fn percent(&mut self, share: usize) -> bool {
        self.below(100) >= 100 - share
    }

    /// One of `alternatives`.
    pub(crate) fn one_of<T: Copy>(&mut self, alternatives: &[T]) -> T {
        alternatives[self.below(alternatives.len())]
    }
}
