//! Templates: compiled once, and executed in a session.

use std::fs;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use gotmpl::{Dialect, MissingKey, Value};
use report::errno_text;

use crate::config;
use crate::functions::{self, Context, Machine};
use crate::session::{Query, Session, Store};

/// A template with its text.
pub(crate) struct Template {
    pub(crate) settings: config::Template,
    pub(crate) id: String,
    text: Bytes,
    compiled: Option<Arc<gotmpl::Template<Context>>>,
}

/// The result of an execution.
pub(crate) struct Rendered {
    pub(crate) content: Bytes,
    /// What the template asked for, and what of it has no answer yet.
    pub(crate) used: Vec<Query>,
    pub(crate) missing: Vec<Query>,
}

impl Template {
    /// Reads the text of the template that `settings` describe.
    ///
    /// # Errors
    /// There is no text, or it cannot be read.
    pub(crate) fn load(settings: config::Template) -> Result<Template, String> {
        let text = match (&settings.source, &settings.contents) {
            (Some(_), Some(_)) => {
                return Err("template: cannot specify both 'source' and 'contents'".to_owned());
            }
            (None, None) => {
                return Err(
                    "template: must specify exactly one of 'source' or 'contents'".to_owned()
                );
            }
            (None, Some(contents)) => contents.clone().into_bytes(),
            (Some(source), None) => fs::read(source).map_err(|cause| {
                let why = errno_text(&cause);
                format!("failed to read template: open {}: {why}", source.display())
            })?,
        };
        let id = settings.id(&text);
        Ok(Template { settings, id, text: text.into(), compiled: None })
    }

    /// Executes the template, and compiles it before if that was not done.
    ///
    /// # Errors
    /// The text is no template, or its execution failed.
    pub(crate) fn execute(
        &mut self,
        answers: Rc<Store>,
        machine: &Rc<Machine>,
    ) -> Result<Rendered, String> {
        let template = match &self.compiled {
            Some(compiled) => Arc::clone(compiled),
            None => {
                let compiled = Arc::new(self.compile()?);
                Arc::clone(self.compiled.insert(compiled))
            }
        };
        let context = Context::new(
            Session::new(answers),
            Rc::clone(machine),
            Arc::clone(&template),
            self.settings.sandbox.clone(),
        );
        let mut out = Vec::new();
        let executed = template.execute(&context, Value::Nil, &mut out);
        executed.map_err(|error| format!("execute: {error}"))?;
        let (used, missing) = context.session.finish();
        Ok(Rendered { content: out.into(), used, missing })
    }

    fn compile(&self) -> Result<gotmpl::Template<Context>, String> {
        let missing_key = match self.settings.error_on_missing_key {
            true => MissingKey::Error,
            false => MissingKey::Zero,
        };
        let dialect = Dialect::new(self.settings.left.clone(), self.settings.right.clone())
            .missing_key(missing_key);
        let functions = functions::table(&self.settings.denied);
        gotmpl::Template::parse_dialect("", self.text.clone(), &dialect, &functions)
            .map_err(|error| format!("parse: {error}"))
    }
}
