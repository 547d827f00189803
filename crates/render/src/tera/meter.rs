//! Counts the memory of one rendering, up to a limit.

use std::cell::Cell;
use std::fmt;

use ::tera::Value;

/// The bytes of one value in a list or map.
const VALUE: usize = size_of::<Value>();
/// About the bytes of a list or map without its elements.
const CONTAINER: usize = 64;

/// Counts the output, and the results of functions and filters that are not Tera's own. Tera does
/// not show its variables, so that no value is known to be dropped.
#[derive(Debug)]
pub(super) struct Meter {
    limit: usize,
    left: Cell<usize>,
    is_exceeded: Cell<bool>,
}

/// The limit is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded(usize);

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the template holds more than {} bytes, its memory limit", self.0)
    }
}

impl Meter {
    pub(super) fn new(limit: usize) -> Self {
        Meter { limit, left: Cell::new(limit), is_exceeded: Cell::new(false) }
    }

    /// Counts so many bytes.
    pub(super) fn count(&self, bytes: usize) -> Result<(), Exceeded> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.is_exceeded.set(true);
                Err(Exceeded(self.limit))
            }
        }
    }

    /// Counts a value, with everything that it contains.
    pub(super) fn count_value(&self, value: &Value) -> Result<(), Exceeded> {
        let mut pending = vec![value];
        while let Some(value) = pending.pop() {
            if let Some(text) = value.as_str() {
                self.count(text.len())?;
            } else if let Some(list) = value.as_array() {
                self.count(CONTAINER + list.len() * VALUE)?;
                pending.extend(list);
            } else if let Some(map) = value.as_map() {
                self.count(CONTAINER + map.len() * 2 * VALUE)?;
                pending.extend(map.values());
            }
        }
        Ok(())
    }

    /// Why the rendering had to end, if the limit was exceeded.
    pub(super) fn exceeded(&self) -> Option<Exceeded> {
        self.is_exceeded.get().then_some(Exceeded(self.limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_with_everything_in_it() {
        let list = Value::from(vec![Value::from("abc"), Value::from(vec![Value::from(1)])]);
        let size = 2 * CONTAINER + 3 * VALUE + 3;
        let meter = Meter::new(size + 1);
        assert_eq!(meter.count_value(&list), Ok(()));
        assert_eq!((meter.count(1), meter.exceeded()), (Ok(()), None));
        let exceeded = meter.count_value(&list).expect_err("nothing is left");
        assert_eq!(meter.exceeded(), Some(exceeded));
    }
}
