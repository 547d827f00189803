//! A resource in the form that the pipeline uses.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use config::{Command, Group, Problem, Retry};
use deploy::{CheckCommand, GroupCheck, Health, OnReloadFailure, Program, Target, rendered_reload};
use store::{Coverage, Prefix, Scope, Snapshot, View};

/// What one pass works on: a resource of its own, or the resources of a group.
///
/// A resource of its own is a set with one `Part`. The parts are rendered from one state, and
/// their files are staged, checked and put in place together.
#[derive(Debug)]
pub struct Resource {
    name: Arc<str>,
    /// The file that describes it; for a group, the first of its files. No two resources have the
    /// same.
    pub path: PathBuf,
    /// The keys that all parts together ask for.
    pub(crate) scope: Scope,
    /// In processing order, at least one.
    parts: Vec<Part>,
    /// The [`path`](Self::path)s of the resources whose passes come before.
    pub(crate) after: Vec<PathBuf>,
    check: Option<Box<config::GroupCheck>>,
    /// What checks the files of all parts together, for a transaction.
    pub(crate) group_check: Option<GroupCheck>,
}

/// One template of a [`Resource`], and the [`Target`] that it describes.
#[derive(Debug)]
pub struct Part {
    asked: config::Resource,
    /// The destination, its attributes and its commands.
    pub target: Arc<Target>,
    /// Whether a command for a shell is a template in which paths stand.
    shows_paths_to_a_shell: bool,
}

impl TryFrom<Group> for Resource {
    type Error = Problem;

    /// # Errors
    /// A reload command is meant to be a template, and is none.
    fn try_from(group: Group) -> Result<Self, Problem> {
        let Group { name, resources, check, after } = group;
        let mut parts: Vec<_> =
            resources.into_iter().map(Part::try_from).collect::<Result<_, _>>()?;
        if check.as_ref().is_some_and(|check| check.command.shows_values_to_a_shell()) {
            parts.iter_mut().for_each(|part| part.shows_paths_to_a_shell = true);
        }
        let path = parts.first().map(|first| first.path.clone()).unwrap_or_default();
        let scope = match &parts[..] {
            [part] => part.scope.clone(),
            // All parts have the same backends.
            parts => {
                let keys = parts.iter().flat_map(|part| part.scope.iter().cloned());
                let backends = parts.first().map(|part| Arc::clone(part.scope.backends()));
                keys.collect::<Scope>().of_backends(backends.unwrap_or_default())
            }
        };
        let group_check =
            check.as_ref().map(|check| GroupCheck::new(program(&check.command), check.timeout));
        Ok(Self { name, path, scope, parts, check, group_check, after })
    }
}

impl Resource {
    /// The name for people: that of the resource, or of the group. No two resources of one `conf.d`
    /// have the same name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is rendered together, in processing order. There is at least one part.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The command that checks the files of all parts together, as it is written, and in the form that runs.
    pub fn group_check(&self) -> Option<(&Command, &GroupCheck)> {
        Some((&self.check.as_ref()?.command, self.group_check.as_ref()?))
    }

    /// The destinations, in processing order.
    pub fn dests(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(|part| &*part.target.dest)
    }

    /// Whether this key of a source, as the source spells it, is one that the resource asks for.
    pub fn asks_for(&self, coverage: Coverage, source_key: &[u8]) -> bool {
        self.scope.asks_for(coverage, source_key)
    }

    /// Whether the keys that the resource asks for differ between two snapshots.
    pub fn differs_between(&self, one: &Snapshot, two: &Snapshot) -> bool {
        !one.agrees_with(two, &self.scope)
    }

    /// The keys that the resource asks for, as the source spells them.
    pub fn keys_of(&self, snapshot: &Snapshot) -> View {
        View::new(snapshot.clone(), &self.scope, &Prefix::default())
    }

    /// The destinations, for people.
    pub fn dest_names(&self) -> String {
        let names: Vec<_> = self.dests().map(|dest| dest.display().to_string()).collect();
        names.join(", ")
    }

    /// The destinations of the parts that have a single file.
    pub(crate) fn single_dests(&self) -> impl Iterator<Item = &Path> {
        let single = self.parts.iter().filter(|part| part.for_each.is_none());
        single.map(|part| &*part.target.dest)
    }

    /// The key of a command that runs after files have changed.
    pub(crate) fn key_of(&self, command: &Program) -> &'static str {
        let is_it = |asked: Option<&Command>| asked.map(program).as_ref() == Some(command);
        let is =
            |key: fn(&Part) -> Option<&Command>| self.parts.iter().any(|part| is_it(key(part)));
        if is(|part| part.reload_cmd.as_ref()) {
            "reload_cmd"
        } else if is(|part| part.start_cmd.as_ref()) {
            "start_cmd"
        } else if is(|part| part.for_each.as_ref()?.remove_cmd.as_ref()) {
            "remove_cmd"
        } else {
            // A template.
            "reload_cmd"
        }
    }

    /// Whether a part has one file for each of several items.
    pub(crate) fn has_items(&self) -> bool {
        self.parts.iter().any(|part| part.for_each.is_some())
    }

    /// Whether all files are those of items that do not need each other.
    pub(crate) fn is_of_items_alone(&self) -> bool {
        matches!(&self.parts[..], [part] if part.for_each.is_some())
    }

    /// Whether files that another program changed are repaired.
    pub(crate) fn heals(&self) -> bool {
        self.parts.iter().all(|part| part.heal)
    }

    /// Whether the process is ready only when this resource is applied. A group is required if one of
    /// its members is.
    pub fn is_required(&self) -> bool {
        self.parts.iter().any(|part| part.required)
    }

    /// Watch mode: how long to wait after a change, if the resource says it.
    pub(crate) fn debounce(&self) -> Option<Duration> {
        self.parts.iter().filter_map(|part| part.debounce).max()
    }

    /// Whether a command of the resource tells a service that its files have changed.
    pub fn has_reload(&self) -> bool {
        self.parts.iter().any(|part| part.target.reload_cmd.is_some())
    }

    /// Watch mode: the least time between two passes that reload.
    pub(crate) fn min_reload_interval(&self) -> Option<Duration> {
        let reloads = self.parts.iter().filter(|part| part.target.reload_cmd.is_some());
        reloads.filter_map(|part| part.min_reload_interval).max()
    }

    /// When a failed pass is tried again: what the first part says that says it.
    pub(crate) fn retry(&self) -> Retry {
        self.parts.iter().fold(Retry::default(), |retry, part| retry.or(&part.retry))
    }

    /// Whether a pass may run commands.
    pub(crate) fn has_commands(&self) -> bool {
        self.parts.iter().any(|part| part.has_commands())
    }

    /// Whether two resources have the same meaning.
    pub(crate) fn is_same_as(&self, other: &Resource) -> bool {
        let mut pairs = self.parts.iter().zip(&other.parts);
        let are_as_many = self.parts.len() == other.parts.len();
        are_as_many
            && self.name == other.name
            && self.check == other.check
            && self.after == other.after
            && pairs.all(|(one, two)| one.asked == two.asked)
    }
}

impl TryFrom<config::Resource> for Part {
    type Error = Problem;

    /// # Errors
    /// The reload command is meant to be a template, and is none.
    fn try_from(asked: config::Resource) -> Result<Self, Problem> {
        let command = |key, command: &Option<Command>| {
            command_for(&asked, key, command.as_ref(), &asked.dest).map_err(|fault| {
                let path = asked.path.display();
                Problem::from(format!("Cannot process template resource {path} - {fault}"))
            })
        };
        let reload_cmd = command("reload_cmd", &asked.reload_cmd)?;
        let start_cmd = command("start_cmd", &asked.start_cmd)?;
        if let Some(each) = &asked.for_each {
            command("remove_cmd", &each.remove_cmd)?;
        }
        let after = asked.after.as_ref();
        let rolls_back =
            after.is_some_and(|after| after.on_reload_failure == config::OnReloadFailure::RollBack);
        let target = Target {
            mode: asked.mode,
            uid: asked.uid,
            gid: asked.gid,
            preserve: asked.preserve,
            ignore_lines: asked.ignore_lines.clone(),
            make_directories: asked.make_directories,
            check_cmd: asked.check_cmd.as_ref().map(program).map(CheckCommand::new),
            reload_cmd,
            start_cmd,
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
        let shows_paths_to_a_shell = shows_paths_to_a_shell(&asked);
        Ok(Self { asked, target: Arc::new(target), shows_paths_to_a_shell })
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

impl Part {
    /// Whether a command for a shell is a template in which paths stand, so that a path made of data
    /// could be a command.
    pub(crate) fn shows_paths_to_a_shell(&self) -> bool {
        self.shows_paths_to_a_shell
    }

    /// The target for the file `dest`, one of several below `folder`.
    ///
    /// # Errors
    /// A command that runs after the file has changed is a template, and fails.
    pub(crate) fn target_at(&self, dest: &Path, folder: &Path) -> Result<Target, String> {
        let target = Target::clone(&self.target);
        let reload_cmd = command_for(self, "reload_cmd", self.reload_cmd.as_ref(), dest)?;
        let start_cmd = command_for(self, "start_cmd", self.start_cmd.as_ref(), dest)?;
        let remove_cmd = self.for_each.as_ref().and_then(|each| each.remove_cmd.as_ref());
        let remove_cmd = command_for(self, "remove_cmd", remove_cmd, dest)?;
        let (dest, below) = (dest.to_owned(), Some(folder.to_owned()));
        Ok(Target { dest, below, reload_cmd, start_cmd, remove_cmd, ..target })
    }
}

/// Whether a command of a resource is a text for a shell in which paths stand.
fn shows_paths_to_a_shell(asked: &config::Resource) -> bool {
    let remove_cmd = asked.for_each.as_ref().and_then(|each| each.remove_cmd.as_ref());
    let later = [asked.reload_cmd.as_ref(), asked.start_cmd.as_ref(), remove_cmd];
    let later = later.into_iter().filter(|_| asked.reload_template);
    let mut templates = later.chain([asked.check_cmd.as_ref()]).flatten();
    templates.any(Command::shows_values_to_a_shell)
}

/// The command at `key` of a resource that runs after `dest` has changed.
///
/// # Errors
/// The command is meant to be a template, and is none.
fn command_for(
    asked: &config::Resource,
    key: &str,
    command: Option<&Command>,
    dest: &Path,
) -> Result<Option<Program>, String> {
    let Some(command) = command.map(program) else { return Ok(None) };
    Ok(Some(match asked.reload_template {
        true => rendered_reload(key, &command, dest)?,
        false => command,
    }))
}

impl Deref for Part {
    type Target = config::Resource;

    fn deref(&self) -> &config::Resource {
        &self.asked
    }
}

#[cfg(test)]
impl Resource {
    /// Reads the resource file `path`, whose template is in the folder `templates`.
    pub(crate) fn load(path: &Path, templates: &Path) -> Result<Self, Problem> {
        let conf_d = path.parent().unwrap_or(path).to_path_buf();
        let templates = templates.to_path_buf();
        let environment = &config::Environment::empty();
        let conventions = &config::Conventions::default();
        let confdir = config::Confdir { conf_d, templates, conventions, environment };
        Group::load(path, &confdir).and_then(Self::try_from)
    }

    /// Its parts.
    pub(crate) fn into_parts(self) -> Vec<Part> {
        self.parts
    }
}
