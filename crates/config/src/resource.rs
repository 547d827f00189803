//! Reads one file `conf.d/*.toml` into a [`Resource`]: what to render, from which keys, to where.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use regexp::Expression;
use report::file_error_text;
use store::{Coverage, Prefix, Scope};

use crate::{
    after::After,
    commands::Command,
    conventions::Conventions,
    document,
    engine::Engine,
    environment::Environment,
    for_each::{ForEach, Items},
    group::GroupCheck,
    guards::Guards,
    hint,
    keys::{self, Key, ResourceTable, Spec},
    load,
    missing::OnMissing,
    permissions::{self, Owner},
    problem::Problem,
    retry::Retry,
};

/// One template resource: what to render, from which keys, to where.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// The file that describes it.
    pub path: PathBuf,
    /// The template's source file.
    pub src: PathBuf,
    /// The language that the template is written in.
    pub engine: Engine,
    /// The prefix to which the keys are relative.
    pub prefix: Prefix,
    /// The keys that the resource asks for, prefix included.
    pub scope: Scope,
    /// The file that the result goes to, as it is written in the resource file.
    pub dest: PathBuf,
    /// The permissions of `dest`. `None` keeps those of the existing file.
    pub mode: Option<u32>,
    /// The owner of `dest`. `None` is the user of this process.
    pub uid: Option<u32>,
    /// The group of `dest`. `None` is the group of this process.
    pub gid: Option<u32>,
    /// Whether an existing `dest` keeps its permissions and its owner.
    pub preserve: bool,
    /// Lines that match do not count when `dest` is compared with its new content.
    pub ignore_lines: Option<Expression>,
    /// The permissions of missing folders of `dest`, which are created; `None` if none are.
    pub make_directories: Option<u32>,
    /// The command that checks the result before it replaces `dest`: a Go template.
    pub check_cmd: Option<Command>,
    /// The command that runs after `dest` was replaced.
    pub reload_cmd: Option<Command>,
    /// The command that runs in its place after `dest` was created.
    pub start_cmd: Option<Command>,
    /// Whether `reload_cmd` and `start_cmd` are templates too.
    pub reload_template: bool,
    /// The time limit of `check_cmd`. Zero means without a limit; `None` means the limit of the
    /// run.
    pub check_timeout: Option<Duration>,
    /// The time limit of `reload_cmd`. Zero means without a limit; `None` means the limit of the
    /// run.
    pub reload_timeout: Option<Duration>,
    /// The time limit of rendering the template. Zero means without a limit; `None` means the limit
    /// of the run.
    pub render_timeout: Option<Duration>,
    /// Whether `dest` is repaired after another program changed it. If not, it stays changed until
    /// the keys or the template change.
    pub heal: bool,
    /// Whether the process counts as ready only when this resource is applied.
    pub required: bool,
    /// Watch mode: how long to wait after a change until no more changes come. `None` means the
    /// debounce time of the run.
    pub debounce: Option<Duration>,
    /// Watch mode: the least time between two passes that reload.
    pub min_reload_interval: Option<Duration>,
    /// Watch mode: when a failed pass is tried again.
    pub retry: Retry,
    /// What is done if the template asks for a key that does not exist.
    pub on_missing: OnMissing,
    /// What must hold before `dest` is replaced; `None` if that is nothing.
    pub guards: Option<Box<Guards>>,
    /// The health check, and what a failed reload causes; `None` if nothing is set.
    pub after: Option<Box<After>>,
    /// If it has one file for each of several items: which items, and which files.
    pub for_each: Option<Box<ForEach>>,
    /// The group that the resource belongs to, if it names one.
    pub group: Option<Arc<str>>,
    /// What checks all files of the group together.
    pub group_check: Option<Box<GroupCheck>>,
    /// The names of the resources and groups that are processed before this one.
    pub follows: Vec<String>,
    /// Probable mistakes in the file.
    pub warnings: Vec<Problem>,
    name: Arc<str>,
}

/// Where resource files are, and what holds for all of them.
#[derive(Debug)]
pub struct Confdir<'a> {
    /// The folder of the resource files.
    pub conf_d: PathBuf,
    /// The folder that `src` of a resource is relative to.
    pub templates: PathBuf,
    /// How the files are understood.
    pub conventions: &'a Conventions,
    /// The variables that the files can use.
    pub environment: &'a Environment,
}

impl<'a> Confdir<'a> {
    /// The folders in `confdir`, with the `conventions` and the `environment` of the run.
    pub fn new(confdir: &Path, conventions: &'a Conventions, environment: &'a Environment) -> Self {
        let (conf_d, templates) = (load::conf_d(confdir), load::templates_folder(confdir));
        Self { conf_d, templates, conventions, environment }
    }
}

/// Why a file is not a valid resource, and where in the file the mistake is.
pub(crate) struct Reason {
    pub(crate) text: String,
    pub(crate) offset: Option<usize>,
    /// What was probably meant.
    pub(crate) hint: Option<String>,
    /// What was probably meant, without any value of the file.
    pub(crate) hint_without_value: Option<String>,
}

impl Reason {
    pub(crate) fn new(text: impl Into<String>, offset: Option<usize>) -> Self {
        Reason { text: text.into(), offset, hint: None, hint_without_value: None }
    }

    pub(crate) fn hinting(self, hint: Option<String>) -> Self {
        Reason { hint_without_value: hint.clone(), hint, ..self }
    }
}

impl From<document::Error> for Reason {
    fn from(error: document::Error) -> Self {
        Reason {
            text: error.to_string(),
            offset: Some(error.offset()),
            hint: error.hint(),
            hint_without_value: error.hint_without_value(),
        }
    }
}

/// A probable mistake, and where in the file it is.
pub(crate) struct Warning {
    pub(crate) text: String,
    pub(crate) offset: usize,
}

/// The error of a resource file that cannot be read.
pub(crate) fn unreadable(path: &Path, operation: &str, error: &io::Error) -> Problem {
    refused(path, &file_error_text(operation, path, error)).into()
}

/// The line that says that the file `path` is not a resource.
pub(crate) fn refused(path: &Path, reason: &str) -> String {
    format!("Cannot process template resource {} - {reason}", path.display())
}

impl Resource {
    /// Reads one table of the resource file `path`. `own` is the backend that the file describes.
    pub(crate) fn read(
        path: &Path,
        confdir: &Confdir<'_>,
        table: &ResourceTable<'_, '_>,
        own: Option<&Arc<str>>,
    ) -> Result<Self, Reason> {
        let is_of_fork = confdir.conventions.are_of_fork();
        let text = |key| table.get(key).map(Option::unwrap_or_default);
        let src = text(&keys::SRC)?;
        let dest = text(&keys::DEST)?;
        let own_keys = table.get(&keys::KEYS)?;
        let own_prefix = text(&keys::PREFIX)?;
        let backends = confdir.conventions.backends.of_resource(table, own)?;
        let check_cmd = table.get(&keys::CHECK_CMD)?;
        let reload_cmd = table.get(&keys::RELOAD_CMD)?;
        let start_cmd = table.get(&keys::START_CMD)?;
        let reload_template = table.get(&keys::RELOAD_TEMPLATE)?.unwrap_or(is_of_fork);
        let (uid, gid) = Owner::read_all(table, confdir.conventions.dialect)?;
        let mode = table.get(&keys::MODE)?;
        let ignore_lines = table.get(&keys::IGNORE_LINES)?;
        let preserve = table.switch(&keys::PRESERVE)?;
        let make_directories = permissions::mode_of_new_folders(table)?;
        let engine = table.get(&keys::ENGINE)?;
        let check_timeout = limit(table, [&keys::CHECK_TIMEOUT, &keys::CHECK_CMD_TIMEOUT])?;
        let reload_timeout = limit(table, [&keys::RELOAD_TIMEOUT, &keys::RELOAD_CMD_TIMEOUT])?;
        let render_timeout = table.get(&keys::RENDER_TIMEOUT)?;
        let heal = table.switch(&keys::HEAL)?;
        let required = table.switch(&keys::REQUIRED)?;
        let debounce = table.get(&keys::DEBOUNCE)?;
        let min_reload_interval = table.get(&keys::MIN_RELOAD_INTERVAL)?;
        let retry = Retry::read(table)?;
        let on_missing = table.get(&keys::ON_MISSING)?.unwrap_or_default();
        let follows = table.get(&keys::AFTER)?.unwrap_or_default();
        let (guards, after) = (Guards::read(table)?, After::read(table)?);
        // The table is already expanded.
        table.get(&keys::EXPAND_ENV)?;
        let group = table.get(&keys::GROUP)?.filter(|name| !name.is_empty() && !is_of_fork);
        let group = group.map(Arc::from);
        let group_check = GroupCheck::read(table)?;
        table.get(&keys::FILEMODE)?;
        table.get(&keys::STAGEFILE)?;
        if src.is_empty() {
            let hint = hint::without_src(&table.unknown());
            return Err(Reason::new("empty src template", None).hinting(hint));
        }
        let rendered = |text, key: &Spec| confdir.environment.rendered(text, key, table);
        if dest.is_empty() {
            let hint = hint::without_dest(&table.unknown());
            return Err(Reason::new("empty dest", None).hinting(hint));
        }
        let for_each = ForEach::read(table, dest, confdir.environment)?;
        if for_each.is_some() && after.as_ref().is_some_and(|after| after.backup > 0) {
            let text = "backup cannot be used with for_each";
            return Err(Reason::new(text, table.offset(&keys::BACKUP)));
        }
        let dest = match for_each {
            // The file of each item has a path of its own.
            Some(_) => dest.as_bytes().into(),
            None => rendered(dest, &keys::DEST)?,
        };
        if dest.is_empty() {
            let hint = "dest gives an empty text: its variable is empty or not set".to_owned();
            return Err(Reason::new("empty dest", table.offset(&keys::DEST)).hinting(Some(hint)));
        }
        let prefix = confdir.conventions.prefix_of(&rendered(own_prefix, &keys::PREFIX)?);
        let items = for_each.as_ref().map(|each| &each.items);
        let scope = match (own_keys, items) {
            (None, Some(Items::Keys(pattern))) => {
                [prefix.join(pattern.folder().as_bytes())].into_iter().collect()
            }
            (own_keys, _) => {
                let keys = own_keys.unwrap_or_default().into_iter();
                let keys = keys.map(|key| Ok(prefix.join(&rendered(key, &keys::KEYS)?)));
                keys.collect::<Result<Scope, Reason>>()?
            }
        };
        if let Some(Items::Keys(pattern)) = items {
            let folder = prefix.join(pattern.folder().as_bytes());
            if !scope.asks_for(Coverage::Subtree, folder.as_bytes()) {
                let text = format!("keys does not have {folder}, below which for_each looks");
                let hint =
                    "without keys, a resource with for_each asks for what it needs".to_owned();
                return Err(Reason::new(text, table.offset(&keys::KEYS)).hinting(Some(hint)));
            }
        }
        let src = join(&confdir.templates, src.as_bytes());
        let engine = engine.unwrap_or_else(|| Engine::of_file(&src));
        Ok(Resource {
            path: path.to_path_buf(),
            src,
            engine,
            scope: scope.of_backends(backends),
            prefix,
            dest: OsString::from_vec(dest.into_owned()).into(),
            mode,
            uid,
            gid,
            preserve,
            ignore_lines,
            make_directories,
            check_cmd,
            reload_cmd,
            start_cmd,
            reload_template,
            check_timeout,
            reload_timeout,
            render_timeout,
            heal,
            required,
            debounce,
            min_reload_interval,
            retry,
            on_missing,
            guards,
            after,
            for_each,
            group,
            group_check,
            follows: follows.into_iter().map(str::to_owned).collect(),
            warnings: Vec::new(),
            name: name(path, &confdir.conf_d).into(),
        })
    }
}

impl Resource {
    /// The resource's name for people: the path of its file below `conf.d`, without `.toml`, such
    /// as `nginx` or `web/site`. No two resources of one `conf.d` have the same name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether a pass of the resource may run commands.
    pub fn has_commands(&self) -> bool {
        [&self.check_cmd, &self.reload_cmd, &self.start_cmd].iter().any(|command| command.is_some())
            || self.group_check.is_some()
    }
}

/// The [`name`](Resource::name) of the resource in the file `path` of the folder `conf_d`.
pub fn name(path: &Path, conf_d: &Path) -> String {
    // The walk of `conf.d` made the path of `conf_d`, a slash and this name.
    let below = path.as_os_str().as_bytes().strip_prefix(conf_d.as_os_str().as_bytes());
    let below = below.and_then(|below| below.strip_prefix(b"/")).map(OsStr::from_bytes);
    // `conf.d` may itself be the only resource file.
    let below = below.or_else(|| path.file_name()).unwrap_or(path.as_os_str());
    let whole = below.to_string_lossy();
    // A file may be called just `.toml`. Names that are cut never end in `toml` and uncut ones
    // always do, so no two names are the same.
    let cut = whole.strip_suffix(".toml");
    let cut = cut.filter(|cut| !cut.is_empty() && !cut.ends_with('/') && !cut.ends_with("toml"));
    cut.unwrap_or(&whole).to_owned()
}

/// Joins like Go's `filepath.Join`: `name` stays below `folder` even if it is absolute, but `..`
/// leads out of it.
pub(crate) fn join(folder: &Path, name: &[u8]) -> PathBuf {
    let joined = store::path::join([folder.as_os_str().as_bytes(), name]);
    PathBuf::from(OsString::from_vec(joined))
}

/// The text as Go quotes it.
pub(crate) fn quoted(text: &str) -> String {
    gotmpl::quote(text.as_bytes())
}

/// The time limit at the first of `keys` that is there; they are two names of the same.
fn limit(
    table: &ResourceTable<'_, '_>,
    keys: [&Key<Duration>; 2],
) -> Result<Option<Duration>, Reason> {
    let [limit, other] = keys.map(|key| table.get(key));
    Ok(limit?.or(other?))
}

#[cfg(test)]
pub(crate) mod tests;
