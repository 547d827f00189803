//! Groups: resources that are rendered from one state and put in place together.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    commands::Command,
    file,
    keys::{self, ResourceTable},
    problem::Problem,
    resource::{Confdir, Reason, Resource},
};

/// Resources that are rendered from one state and put in place together. A resource that is in no
/// group is alone in one.
#[derive(Debug)]
pub struct Group {
    /// The name for people: that of the group, or of the resource that is alone.
    pub name: Arc<str>,
    /// In processing order, at least one.
    pub resources: Vec<Resource>,
    /// What checks all files together.
    pub check: Option<Box<GroupCheck>>,
    /// The groups that are processed before this one, by the files of their first resources.
    pub after: Vec<PathBuf>,
}

/// A command that checks all files of a group together, before one of them is put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCheck {
    /// The command: a Go template, in which `{{.root}}` is a folder where the new files stand under
    /// their paths.
    pub command: Command,
    /// The time limit. Zero means without a limit; `None` means the limit of check commands of the
    /// run.
    pub timeout: Option<Duration>,
}

impl Group {
    /// Reads the resource file `path`, one of `confdir`, without the files of its group.
    ///
    /// # Errors
    /// The file is not a resource file.
    pub fn load(path: &Path, confdir: &Confdir<'_>) -> Result<Group, Problem> {
        let resources = file::load(path, confdir).map_err(|invalid| invalid.problem)?;
        let (mut groups, mut broken) = assemble(vec![resources], &[]);
        match groups.pop() {
            Some(group) => Ok(group),
            None => Err(broken.remove(0).problem),
        }
    }
}

impl GroupCheck {
    /// What the table of a resource says; `None` if it says nothing.
    pub(crate) fn read(table: &ResourceTable<'_, '_>) -> Result<Option<Box<GroupCheck>>, Reason> {
        let timeout = table.get(&keys::GROUP_CHECK_TIMEOUT)?;
        let command = table.get(&keys::GROUP_CHECK_CMD)?;
        Ok(command.map(|command| Box::new(GroupCheck { command, timeout })))
    }
}

/// A group that cannot be processed, because of its files.
#[derive(Debug)]
pub struct BrokenGroup {
    /// The name of the group.
    pub name: Arc<str>,
    /// The files of its resources that are valid for themselves.
    pub paths: Vec<PathBuf>,
    /// The reason.
    pub problem: Problem,
}

/// The groups of `resources`, each at the place of its first resource. `broken` are the invalid
/// resource files that name a group: no resource of such a group is processed, because its files
/// would not be put in place together.
pub(crate) fn assemble(
    files: Vec<Vec<Resource>>,
    broken: &[(String, PathBuf)],
) -> (Vec<Group>, Vec<BrokenGroup>) {
    let mut groups: Vec<Group> = Vec::with_capacity(files.len());
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    for resources in files {
        let Some(first) = resources.first() else { continue };
        let group = first.group.clone();
        let place = group.as_ref().and_then(|name| places.get(name).copied());
        match place {
            Some(place) => groups[place].resources.extend(resources),
            None => {
                if let Some(name) = &group {
                    places.insert(Arc::clone(name), groups.len());
                }
                let name = group.unwrap_or_else(|| Arc::clone(first.name()));
                groups.push(Group { name, resources, check: None, after: Vec::new() });
            }
        }
    }
    let mut refused = Vec::new();
    if !places.is_empty() || groups.iter().any(has_check) {
        let names: HashMap<Arc<str>, PathBuf> = groups.iter().flat_map(alone).collect();
        groups.retain_mut(|group| match complete(group, &names, broken) {
            Ok(()) => true,
            Err(problem) => {
                let paths = group.resources.iter().map(|resource| resource.path.clone());
                let (name, mut paths) = (Arc::clone(&group.name), paths.collect::<Vec<_>>());
                paths.dedup();
                refused.push(BrokenGroup { name, paths, problem });
                false
            }
        });
    }
    (groups, refused)
}

fn has_check(group: &Group) -> bool {
    group.resources.iter().any(|resource| resource.group_check.is_some())
}

/// The name and the file of a resource that names no group.
fn alone(group: &Group) -> Option<(Arc<str>, PathBuf)> {
    let first = group.resources.first().filter(|first| first.group.is_none())?;
    Some((Arc::clone(first.name()), first.path.clone()))
}

/// Gives a group its check, and examines what its resources say together.
fn complete(
    group: &mut Group,
    alone: &HashMap<Arc<str>, PathBuf>,
    broken: &[(String, PathBuf)],
) -> Result<(), Problem> {
    let is_named = group.resources.first().is_some_and(|first| first.group.is_some());
    let unable = |reason: String| {
        Problem::from(format!("Cannot process the group {} - {reason}", group.name))
    };
    if is_named && let Some((_, path)) = broken.iter().find(|(name, _)| **name == *group.name) {
        return Err(unable(format!("{} belongs to it and is invalid", path.display())));
    }
    if is_named && let Some(path) = alone.get(&group.name) {
        let path = path.display();
        return Err(unable(format!("the resource {path} has the same name and is not in it")));
    }
    let mut others = group.resources.iter();
    if let Some(first) = others.next()
        && let Some(other) = others.find(|other| other.scope.backends() != first.scope.backends())
    {
        let (one, two) = (first.path.display(), other.path.display());
        return Err(unable(format!("its resources ask different backends, in {one} and in {two}")));
    }
    let mut dests: HashMap<&Path, &Resource> = HashMap::new();
    for resource in &group.resources {
        if let Some(other) = dests.insert(&resource.dest, resource) {
            let (one, two) = (other.path.display(), resource.path.display());
            let dest = resource.dest.display();
            return Err(unable(format!("two of its resources have the dest {dest}: {one}, {two}")));
        }
    }
    let mut checks = group.resources.iter().filter(|resource| resource.group_check.is_some());
    if let Some(first) = checks.next() {
        if let Some(other) = checks.find(|other| other.group_check != first.group_check) {
            let (one, two) = (first.path.display(), other.path.display());
            return Err(unable(format!("it has two group_check_cmd, in {one} and in {two}")));
        }
        let check = first.group_check.clone();
        group.check = check;
    }
    Ok(())
}
