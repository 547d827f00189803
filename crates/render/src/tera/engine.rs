//! An engine of Tera with templates, which is used and dropped where it has enough stack.

use std::fmt;

use ::tera::Tera;

use super::base;
use super::deep::on_a_deep_stack;
use super::library;
use super::load::Texts;
use super::report::Fault;

/// The templates of one resource.
pub(super) struct Engine {
    /// Only `None` while this is dropped.
    tera: Option<Tera>,
    /// Whether compiling and dropping the templates takes more stack than a thread usually has.
    is_deep: bool,
}

impl Engine {
    /// An engine with all functions and no template.
    pub(super) fn new() -> Self {
        Self { tera: Some(base().clone()), is_deep: false }
    }

    /// Says that compiling and dropping the templates takes much stack.
    pub(super) fn needs_stack(&mut self) {
        self.is_deep = true;
    }

    /// Adds templates. The inner result is that of Tera.
    ///
    /// # Errors
    /// A deep stack is needed, and there is none.
    pub(super) fn add(&mut self, texts: &Texts) -> Result<::tera::TeraResult<()>, Fault> {
        let Some(tera) = &mut self.tera else { return Ok(Ok(())) };
        for text in texts.values() {
            library::mentioned(text).for_each(|function| function.register(tera));
        }
        if self.is_deep {
            on_a_deep_stack(|| tera.add_raw_templates(texts)).map_err(|error| no_stack(&error))
        } else {
            Ok(tera.add_raw_templates(texts))
        }
    }

    /// An engine for other texts of the same templates.
    pub(super) fn alike(&self) -> Self {
        let mut alike = Self::new();
        alike.is_deep = self.is_deep;
        alike
    }

    /// The engine of Tera.
    pub(super) fn tera(&self) -> &Tera {
        self.tera.as_ref().unwrap_or_else(|| base())
    }
}

/// The fault that the system starts no thread with a deep stack.
pub(super) fn no_stack(error: &std::io::Error) -> Fault {
    let why = ::report::errno_text(error);
    Fault::somewhere(format!("cannot start a thread with a deep stack: {why}"))
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !self.is_deep {
            return;
        }
        // Tera keeps the trees of components, which are as deep as their source.
        let tera = &mut self.tera;
        if on_a_deep_stack(|| drop(tera.take())).is_err() {
            // Dropping the templates here could end the process.
            std::mem::forget(self.tera.take());
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("is_deep", &self.is_deep).finish_non_exhaustive()
    }
}
