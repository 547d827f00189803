//! The scratch space of one execution: `scratch.Set "a" 1`.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use gotmpl::types::{Method, ObjectType, Type, VALUE_MAP, VALUES};
use gotmpl::{Failure, Functions, Map, Object, Signature, Slice, Value};

use super::Context;

/// `*template.Scratch`.
static SCRATCH: ObjectType =
    ObjectType { name: "*template.Scratch", fields: &[], methods: &METHODS };

const STRING: Type = Type::String;
const ANY: Type = Type::Interface;

static METHODS: [Method; 7] = [
    method("Get", &[STRING], |scratch, arguments| {
        let value = entries(scratch, |entries| entries.get(&text(&arguments[0])).cloned())?;
        Ok(value.unwrap_or_default())
    }),
    method("Key", &[STRING], |scratch, arguments| {
        entries(scratch, |entries| Value::Bool(entries.contains_key(&text(&arguments[0]))))
    }),
    method("MapSet", &[STRING, STRING, ANY], |scratch, arguments| {
        entries(scratch, |entries| set_in_map(entries, arguments, true))?
    }),
    method("MapSetX", &[STRING, STRING, ANY], |scratch, arguments| {
        entries(scratch, |entries| set_in_map(entries, arguments, false))?
    }),
    method("MapValues", &[STRING], |scratch, arguments| {
        let key = text(&arguments[0]);
        match entries(scratch, |entries| entries.get(&key).cloned())? {
            Some(Value::Map(map)) => {
                let values = map.entries().iter().map(|(_, value)| value.clone()).collect();
                Ok(Value::Slice(Slice::of(&VALUES, values)))
            }
            _ => Ok(Value::Slice(Slice::nil(&VALUES))),
        }
    }),
    method("Set", &[STRING, ANY], |scratch, arguments| {
        let value = std::mem::take(&mut arguments[1]);
        entries(scratch, |entries| entries.insert(text(&arguments[0]), value))?;
        Ok(Value::from(""))
    }),
    method("SetX", &[STRING, ANY], |scratch, arguments| {
        let value = std::mem::take(&mut arguments[1]);
        entries(scratch, |entries| {
            entries.entry(text(&arguments[0])).or_insert(value);
        })?;
        Ok(Value::from(""))
    }),
];

/// The entries of a scratch space.
type Entries = Rc<RefCell<BTreeMap<Bytes, Value>>>;

/// The scratch space of an execution.
#[derive(Default)]
pub(super) struct Space(Entries);

impl Drop for Space {
    /// Removes the entries: the scratch space can be an entry of itself, and would never be freed.
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

struct Scratch(Entries);

pub(super) fn add(functions: &mut Functions<Context>) {
    let signature =
        Signature { params: Vec::new(), variadic: false, result: Type::Object(&SCRATCH) };
    functions.add_raw("scratch", signature, |context: &Context, _| {
        Ok(Value::Object(Rc::new(Scratch(Rc::clone(&context.scratch.0)))))
    });
}

const fn method(
    name: &'static str,
    params: &'static [Type],
    call: fn(&Value, &mut [Value]) -> Result<Value, Failure>,
) -> Method {
    Method { name, params, variadic: false, results: 1, call }
}

/// Passes the entries of the receiver of a method to `work`.
fn entries<R>(
    receiver: &Value,
    work: impl FnOnce(&mut BTreeMap<Bytes, Value>) -> R,
) -> Result<R, Failure> {
    if let Value::Object(object) = receiver {
        let object: &dyn Any = &**object;
        if let Some(Scratch(entries)) = object.downcast_ref() {
            return Ok(work(&mut entries.borrow_mut()));
        }
    }
    Err(Failure::new("receiver is no scratch"))
}

/// Sets `arguments[2]` as the entry `arguments[1]` of the map `arguments[0]`.
fn set_in_map(
    entries: &mut BTreeMap<Bytes, Value>,
    arguments: &mut [Value],
    may_replace: bool,
) -> Result<Value, Failure> {
    let (key, name) = (text(&arguments[0]), text(&arguments[1]));
    let map = match entries.get(&key) {
        None => {
            let map = Map::values(Vec::new());
            entries.insert(key, Value::Map(map.clone()));
            map
        }
        Some(Value::Map(map)) if Type::Map(map.ty()) == Type::Map(&VALUE_MAP) => map.clone(),
        Some(_) => return Err(no_map(&key)),
    };
    if may_replace || map.get(&name).is_none() {
        map.insert(name, std::mem::take(&mut arguments[2]))?;
    }
    Ok(Value::from(""))
}

fn text(value: &Value) -> Bytes {
    value.as_bytes().cloned().unwrap_or_default()
}

fn no_map(key: &Bytes) -> Failure {
    Failure::new(format!("{:?} is not a map", String::from_utf8_lossy(key)))
}

impl Object for Scratch {
    fn ty(&self) -> &'static ObjectType {
        &SCRATCH
    }

    fn text(&self) -> Option<Bytes> {
        None
    }

    fn inside(&self) -> Value {
        let entries = self.0.borrow();
        let entries = entries.iter().map(|(key, value)| (key.clone(), value.clone()));
        Value::Map(Map::values(entries.collect()))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<Scratch>().is_some_and(|other| Rc::ptr_eq(&self.0, &other.0))
    }
}
