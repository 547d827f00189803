//! `include`: the output of a named template as a text, which functions can change.

use bytes::Bytes;
use gotmpl::{Failure, Functions, Limits, Message, Rest, Value};

use super::Context;

/// How deeply calls may nest. Each call uses the stack of the thread.
const DEEPEST: usize = 100;

pub(super) fn add(functions: &mut Functions<Context>) {
    functions.add("include", include);
}

fn include(context: &Context, name: Bytes, dots: Rest<Value>) -> Result<Bytes, Failure> {
    if dots.0.len() > 1 {
        return Err(Failure::new("a template gets one value: map or dict holds several"));
    }
    let dot = dots.0.into_iter().next().unwrap_or_default();
    if context.depth.get() >= DEEPEST {
        return Err(Failure::new(format!("nested more than {DEEPEST} deep")));
    }
    let limits = Limits { memory: context.memory, ..Limits::default() };
    let mut out = Vec::new();
    context.depth.set(context.depth.get() + 1);
    let executed = context.template.execute_defined(&name, limits, context, dot, &mut out);
    context.depth.set(context.depth.get() - 1);
    match executed {
        Some(Ok(())) => Ok(out.into()),
        Some(Err(error)) => Err(Failure::quoting(error.whole())),
        None => {
            let text = Message::new("template: no template ");
            let text = text.value(gotmpl::quote(&name), name);
            let of = format!(
                " associated with template {}",
                gotmpl::quote(context.template.name().as_bytes())
            );
            Err(Failure::quoting(text.text(of)))
        }
    }
}
