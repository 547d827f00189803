//! The environment of the process, as resource files can use it.
//!
//! Some keys of a resource can contain the action `{{getenv "NAME"}}` of templates, with an optional
//! default, and Go's builtin functions. They are executed when the resource is loaded, so a resource is
//! plain data afterwards. The functions of other templates are missing: they ask for keys, which are
//! read later.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use gotmpl::{Functions, Rest, Template, Value};

use crate::{
    keys::{ResourceTable, Spec},
    resource::Reason,
};

/// The variables that resource files can use.
#[derive(Clone)]
pub struct Environment(Arc<Variable>);

/// Gives the value of a variable; `None` if it is not set.
type Variable = dyn Fn(&[u8]) -> Option<Bytes> + Send + Sync;

/// The functions of texts in resource files.
pub(crate) static FUNCTIONS: LazyLock<Arc<Functions<Environment>>> = LazyLock::new(|| {
    let mut functions = Functions::new();
    functions.add("getenv", |environment: &Environment, name: Bytes, default: Rest<Bytes>| {
        let value = environment.variable(&name).filter(|value| !value.is_empty());
        value.or(default.0.into_iter().next()).unwrap_or_default()
    });
    Arc::new(functions)
});

/// What Go's templates print for data that is not there.
pub(crate) const NO_VALUE: &[u8] = b"<no value>";

impl Environment {
    /// The environment in which `variable` gives the value of each variable.
    pub fn new(variable: impl Fn(&[u8]) -> Option<Bytes> + Send + Sync + 'static) -> Self {
        Environment(Arc::new(variable))
    }

    /// The environment without variables.
    pub fn empty() -> Self {
        Environment::new(|_| None)
    }

    /// The value of a variable; `None` if it is not set.
    pub(crate) fn variable(&self, name: &[u8]) -> Option<Bytes> {
        (self.0)(name)
    }

    /// The text at `key` of the table, with its actions executed. A text without actions stays as it is.
    pub(crate) fn rendered<'t>(
        &self,
        text: &'t str,
        key: &Spec,
        table: &ResourceTable<'_, '_>,
    ) -> Result<Cow<'t, [u8]>, Reason> {
        if !text.contains("{{") {
            return Ok(Cow::Borrowed(text.as_bytes()));
        }
        let name = key.name;
        let refused = |why: String, hint: &str| {
            Reason::new(why, table.offset(key)).hinting(Some(format!("{name} {hint}")))
        };
        let mut rendered = Vec::new();
        let text = Bytes::copy_from_slice(text.as_bytes());
        Template::parse(name, text, &FUNCTIONS)
            .and_then(|template| template.execute(self, Value::Nil, &mut rendered))
            .map_err(|error| {
                refused(error.to_string(), "knows only {{getenv \"NAME\"}} and Go's own functions")
            })?;
        match rendered.windows(NO_VALUE.len()).any(|part| part == NO_VALUE) {
            true => Err(refused(
                format!("{name} asks for data, and there is none"),
                "is read before the keys are: only {{getenv \"NAME\"}} is known",
            )),
            false => Ok(Cow::Owned(rendered)),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables can be secret.
        f.debug_tuple("Environment").finish_non_exhaustive()
    }
}
