//! The limits of one rendering, and how far it has come.
//!
//! The functions that `guard` adds to a template check these limits while it is rendered.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use ::tera::{Error, Kwargs, State, Tera, TeraResult, Value};
use gotmpl::Message;

use super::deep::stack_pointer;
use super::{guard, scope};

/// The most levels of lists and maps in the value of a variable. Dropping and printing a value
/// takes stack for each level.
pub(super) const MAX_LEVELS: usize = 256;

/// After so many steps each assignment examines its value again. A step adds at most one level to a
/// value, so a value never has many more than [`MAX_LEVELS`] and twice this number.
const STEPS: u64 = 128;

/// The limits of one rendering. They belong to the thread that renders.
pub(super) struct Limits {
    /// The address of the stack at the beginning.
    base: usize,
    /// How many bytes of stack can be used from there.
    stack: usize,
    /// The steps of all assignments so far.
    steps: Cell<u64>,
    /// For each assignment of the template, by number: the round of [`STEPS`] steps in which its
    /// value was examined last.
    examined: RefCell<HashMap<u64, u64>>,
}

impl Limits {
    /// The limits of a rendering that begins here, on a stack of which `stack` bytes can be used.
    pub(super) fn begin(stack: usize) -> Self {
        Self {
            base: stack_pointer(),
            stack,
            steps: Cell::new(0),
            examined: RefCell::new(HashMap::new()),
        }
    }

    /// Whether the stack is nearly used up.
    pub(super) fn stack_is_used_up(&self) -> bool {
        self.base.saturating_sub(stack_pointer()) > self.stack
    }

    /// Whether `value`, the result of the assignment with the number `site`, is nested too deeply.
    /// The expression of the assignment can add `steps` levels. A value is not examined each time,
    /// because that takes time for each element.
    pub(super) fn is_too_deep(&self, value: &Value, site: u64, steps: u64) -> bool {
        let taken = self.steps.get().saturating_add(steps);
        self.steps.set(taken);
        let round = taken / STEPS;
        let is_examined = self.examined.borrow_mut().insert(site, round) == Some(round);
        !is_examined && has_more_levels_than(value, MAX_LEVELS)
    }
}

/// Registers the functions by whose calls `guard` checks the limits.
pub(super) fn register(engine: &mut Tera) {
    engine.register_function(guard::NESTED, |named: Kwargs, _: &State| {
        let value = named.get::<Value>("value")?.unwrap_or_else(Value::undefined);
        examine(value, &named)
    });
    engine.register_filter(guard::NESTED, |value: Value, named: Kwargs, _: &State| {
        examine(value, &named)
    });
    engine.register_function(guard::STACK, |_: Kwargs, _: &State| {
        let too_deep = "blocks, includes and components are nested too deep";
        checked(|limits| (!limits.stack_is_used_up()).then_some(Value::from("")), too_deep)
    });
    engine.register_function(guard::TIME, |_: Kwargs, _: &State| {
        let checked = scope::with(|context| {
            context.clock.check().map_err(|over| {
                context.failure.replace(Some(Message::new(over.to_string())));
                Error::message(over.to_string())
            })
        });
        checked.transpose().map(|_| Value::from(""))
    });
}

/// Returns `value`, the result of an assignment, unless it is nested too deeply.
fn examine(value: Value, named: &Kwargs) -> TeraResult<Value> {
    let (site, steps) = (named.must_get("site")?, named.must_get("steps")?);
    let too_deep = format!("the value is nested deeper than {MAX_LEVELS} levels");
    checked(|limits| (!limits.is_too_deep(&value, site, steps)).then_some(value), &too_deep)
}

/// The result of `check` with the limits of the rendering on this thread. `None` is the failure
/// `text`.
fn checked<T>(check: impl FnOnce(&Limits) -> Option<T>, text: &str) -> TeraResult<T> {
    let answer = scope::with(|context| {
        let answer = check(&context.limits);
        if answer.is_none() {
            context.failure.replace(Some(Message::new(text)));
        }
        answer
    });
    answer.flatten().ok_or_else(|| Error::message(text))
}

/// Whether `value` has more than `most` levels of lists and maps.
fn has_more_levels_than(value: &Value, most: usize) -> bool {
    let mut level = vec![value];
    for _ in 0..most {
        // A list can be in a value any number of times, as in `[x, x]`, but is examined once a
        // level.
        let mut seen = HashSet::new();
        let mut below = Vec::new();
        for value in level {
            if let Some(list) = value.as_array() {
                if seen.insert(list.as_ptr().addr()) {
                    below.extend(list.iter().filter(|value| has_elements(value)));
                }
            } else if let Some(map) = value.as_map()
                && seen.insert(std::ptr::from_ref(map).addr())
            {
                below.extend(map.values().filter(|value| has_elements(value)));
            }
        }
        if below.is_empty() {
            return false;
        }
        level = below;
    }
    true
}

fn has_elements(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty())
        || value.as_map().is_some_and(|map| !map.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value with this many levels, each of which has the one below it twice.
    fn value(levels: usize) -> Value {
        (0..levels).fold(Value::from(1), |value, _| vec![value.clone(), value].into())
    }

    #[test]
    fn levels_are_counted_however_often_a_list_is_in_a_value() {
        for levels in [0, 1, 99, 100] {
            assert!(!has_more_levels_than(&value(levels), 100), "{levels}");
        }
        assert!(has_more_levels_than(&value(101), 100));
        assert!(has_more_levels_than(&value(300), 100));
    }

    #[test]
    fn a_value_is_examined_again_after_some_steps() {
        let limits = Limits::begin(1 << 20);
        assert!(!limits.is_too_deep(&value(MAX_LEVELS), 3, 1));
        let deep = value(MAX_LEVELS + 1);
        assert!(limits.is_too_deep(&deep, 0, 1));
        assert!((0..=STEPS).any(|_| limits.is_too_deep(&deep, 3, 1)));
    }
}
