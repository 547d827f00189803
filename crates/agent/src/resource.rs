//! A resource in the form that the pipeline uses.

use std::{ops::Deref, sync::Arc};

use deploy::{CheckCommand, Target};

/// A resource, and the [`Target`] that it describes.
#[derive(Debug)]
pub struct Resource {
    asked: Box<config::Resource>,
    /// The destination, its attributes and its commands.
    pub target: Arc<Target>,
}

impl From<Box<config::Resource>> for Resource {
    fn from(asked: Box<config::Resource>) -> Self {
        let target = Target {
            mode: asked.mode,
            uid: asked.uid,
            gid: asked.gid,
            check_cmd: asked.check_cmd.as_deref().map(CheckCommand::new),
            reload_cmd: asked.reload_cmd.clone(),
            check_timeout: asked.check_timeout,
            reload_timeout: asked.reload_timeout,
            ..Target::new(&asked.dest)
        };
        Self { asked, target: Arc::new(target) }
    }
}

impl Resource {
    /// Whether two resource files have the same meaning.
    pub(crate) fn is_same_as(&self, other: &Resource) -> bool {
        self.asked == other.asked
    }
}

impl Deref for Resource {
    type Target = config::Resource;

    fn deref(&self) -> &config::Resource {
        &self.asked
    }
}

#[cfg(test)]
impl std::ops::DerefMut for Resource {
    fn deref_mut(&mut self) -> &mut config::Resource {
        &mut self.asked
    }
}

#[cfg(test)]
impl Resource {
    /// Reads the resource file `path`, whose template is in the folder `templates`.
    pub(crate) fn load(
        path: &std::path::Path,
        templates: &std::path::Path,
    ) -> Result<Self, config::Problem> {
        let conf_d = path.parent().unwrap_or(path).to_path_buf();
        let templates = templates.to_path_buf();
        let confdir = config::Confdir { conf_d, templates, prefix: b"" };
        config::Resource::load(path, &confdir).map(Self::from)
    }
}
