//! A resource in the form that the pipeline uses.

use std::{ops::Deref, sync::Arc};

use config::{Command, Problem};
use deploy::{CheckCommand, Health, OnReloadFailure, Program, Target, rendered_reload};

/// A resource, and the [`Target`] that it describes.
#[derive(Debug)]
pub struct Resource {
    asked: Box<config::Resource>,
    /// The destination, its attributes and its commands.
    pub target: Arc<Target>,
}

impl TryFrom<Box<config::Resource>> for Resource {
    type Error = Problem;

    /// # Errors
    /// The reload command is meant to be a template, and is none.
    fn try_from(asked: Box<config::Resource>) -> Result<Self, Problem> {
        let mut reload_cmd = asked.reload_cmd.as_ref().map(program);
        if asked.reload_template
            && let Some(template) = &reload_cmd
        {
            let rendered = rendered_reload(template, &asked.dest).map_err(|fault| {
                let path = asked.path.display();
                Problem::from(format!("Cannot process template resource {path} - {fault}"))
            })?;
            reload_cmd = Some(rendered);
        }
        let after = asked.after.as_ref();
        let rolls_back =
            after.is_some_and(|after| after.on_reload_failure == config::OnReloadFailure::RollBack);
        let target = Target {
            mode: asked.mode,
            uid: asked.uid,
            gid: asked.gid,
            check_cmd: asked.check_cmd.as_ref().map(program).map(CheckCommand::new),
            reload_cmd,
            check_timeout: asked.check_timeout,
            reload_timeout: asked.reload_timeout,
            health: asked.after.as_ref().and_then(|after| after.health.as_ref()).map(health),
            on_reload_failure: match rolls_back {
                true => OnReloadFailure::RollBack,
                false => OnReloadFailure::Keep,
            },
            may_be_held: rolls_back || after.is_some_and(|after| after.backup > 0),
            ..Target::new(&asked.dest)
        };
        Ok(Self { asked, target: Arc::new(target) })
    }
}

/// The command in the form in which it runs.
fn program(command: &Command) -> Program {
    match command {
        Command::Shell(text) => Program::Shell(text.into()),
        Command::Argv(words) => Program::Argv(words.iter().map(Into::into).collect()),
    }
}

fn health(asked: &config::Health) -> Health {
    let config::Health { command, timeout, window, interval } = asked;
    let (timeout, window, interval) = (*timeout, *window, *interval);
    Health { command: program(command), timeout, window, interval }
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
        config::Resource::load(path, &confdir).and_then(Self::try_from)
    }
}
