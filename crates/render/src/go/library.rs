//! The functions of the [`library`] in Go templates. A template that names none of them
//! does not pay for them.

use gotmpl::types::{INT64, STRINGS, Type, VALUES};
use gotmpl::{Definition, Failure, Slice, Stock, Value};

use super::Context;
use crate::library;

/// The library, for the table of functions.
pub(super) struct Library;

impl Stock<Context> for Library {
    fn names(&self) -> Vec<&'static str> {
        library::table().iter().map(|(name, _)| *name).collect()
    }

    fn make(&self, name: &str) -> Definition<Context> {
        match library::find(name) {
            Some((_, function)) => function.adapted(|function, context: &Context, arguments| {
                let has_texts = arguments.iter().any(is_list_of_texts);
                let value = function.call(&*context.host, arguments)?;
                Ok(as_confd_has_it(value, has_texts))
            }),
            None => {
                Definition::new(|_: &Context| Err::<Value, _>(Failure::new("no such function")))
            }
        }
    }
}

fn is_list_of_texts(value: &Value) -> bool {
    value.ty() == Some(Type::Slice(&STRINGS))
}

/// A result as confd's own functions take it: an integer of sprig is an `int`, and a list that is made of
/// a list of texts is one of texts too, so that `join` takes it.
fn as_confd_has_it(value: Value, has_texts: bool) -> Value {
    match value {
        Value::Integer(ty, bits) if Type::Integer(ty) == Type::Integer(&INT64) => {
            Value::Int(bits.cast_signed())
        }
        Value::Slice(slice) if has_texts && Type::Slice(slice.ty()) == Type::Slice(&VALUES) => {
            let texts: Option<Vec<_>> =
                slice.elements().iter().map(|element| element.as_bytes().cloned()).collect();
            texts.map_or(Value::Slice(slice), |texts| Value::Slice(Slice::strings(texts)))
        }
        value => value,
    }
}
