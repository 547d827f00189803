//! Checks all new files of a transaction together, with one command, before any is put in place.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use command::Program;

use crate::Options;
use crate::change::Change;
use crate::check::CheckError;
use crate::disk::Disk;
use crate::environment::Environment;
use crate::error::Error;
use crate::folder::Folder;
use crate::root::{Plan, Root, Shown};
use crate::run::run;
use crate::stage::Becomes;
use crate::step::{Observer, Purpose};
use crate::template::CommandTemplate;

/// The name that error messages give the template.
const NAME: &str = "groupcheckcmd";

/// A command that checks the files of a transaction together. It is a Go template in which
/// `{{.root}}` is a folder where the new files stand under their final names:
/// `nginx -t -c {{.root}}/etc/nginx/nginx.conf`.
///
/// In that folder a relative destination has its absolute path. The other files of the destinations'
/// folders, and of the folders above them, are there too. Files in other folders are found by their
/// usual paths, so a configuration must include the new files by relative paths.
///
/// It runs once, after the check commands of the members, if a member changes.
#[derive(Clone, Debug)]
pub struct GroupCheck {
    template: Arc<CommandTemplate>,
    timeout: Option<Duration>,
    others: Vec<PathBuf>,
}

impl GroupCheck {
    /// Parses a command once for all checks. `timeout` is its time limit: zero means no limit;
    /// `None` means the limit in [`Options`].
    ///
    /// A text that is not a template is an error of each check, as with
    /// [`CheckCommand`](crate::CheckCommand).
    pub fn new(program: impl Into<Program>, timeout: Option<Duration>) -> GroupCheck {
        let template = Arc::new(CommandTemplate::new(NAME, &program.into()));
        GroupCheck { template, timeout, others: Vec::new() }
    }

    /// Whether the command could run, as far as its template says that.
    ///
    /// # Errors
    /// It is no template, or it asks for a value that it does not get.
    pub fn examine(&self) -> Result<(), CheckError> {
        program(&self.template, Path::new("root")).map(drop)
    }

    /// Runs the command for files that are not put in place: the destinations that would change, each with
    /// the path of its new content, or `None` if it would be removed. The root is made in `scratch`.
    pub(crate) async fn rehearse(
        self,
        files: &[(&Path, Option<PathBuf>)],
        scratch: &Path,
        options: &Options,
        observer: &Arc<dyn Observer>,
    ) -> Result<(), Error> {
        let mut plan = Plan::default();
        self.others.iter().try_for_each(|other| plan.add(other, Shown::Present))?;
        let mut environment = Environment::default();
        for (dest, path) in files {
            let shown = path.clone().map_or(Shown::Absent, Shown::At);
            plan.add(dest, shown)?;
            let variables = observer.environment(dest);
            environment.merge(match path {
                Some(path) => variables.of_file(path, dest),
                None => variables.of_removed(dest),
            });
        }
        let folder = Folder::open(scratch).map_err(|cause| Error::file("open", scratch, cause))?;
        let root = Root::make(&folder, &plan)?;
        let environment = environment.with("CONFD_ROOT", [root.path()]);
        let checked = match program(&self.template, root.path()) {
            Ok(program) => {
                run(Purpose::Check, program, self.limit(options), &environment, &**observer)
                    .await
                    .map_err(CheckError::Command)
            }
            Err(error) => Err(error),
        };
        checked.map_err(Error::GroupCheck)
    }

    /// The time limit of the command.
    fn limit(&self, options: &Options) -> Option<Duration> {
        self.timeout.or(options.check_timeout).filter(|limit| !limit.is_zero())
    }

    /// Says which files the command needs under the root besides those of the transaction: those
    /// that are in sync and are left out of the transaction.
    #[must_use]
    pub fn beside(mut self, others: Vec<PathBuf>) -> GroupCheck {
        self.others = others;
        self
    }

    /// Adds the destination of a member of the transaction.
    pub(crate) fn add(&mut self, dest: PathBuf) {
        self.others.push(dest);
    }

    /// Runs the command for these changes (at least one).
    ///
    /// The changes are returned in every case, so that their files are removed on the right thread.
    pub(crate) async fn run(
        self,
        mut changes: Vec<Change>,
        options: &Options,
        disk: Disk,
        observer: &Arc<dyn Observer>,
    ) -> (Vec<Change>, Result<(), Error>) {
        let limit = self.limit(options);
        let GroupCheck { template, others, .. } = self;
        let (changed, root) = disk
            .run(move || {
                let root = make_root(&changes, &others);
                (changes, root)
            })
            .await;
        changes = changed;
        let root = match root {
            Ok(root) => root,
            Err(error) => return (changes, Err(error)),
        };
        let environment = environment(&changes, &root, &**observer);
        let checked = match program(&template, root.path()) {
            Ok(program) => {
                let run = run(Purpose::Check, program, limit, &environment, &**observer);
                run.await.map_err(CheckError::Command)
            }
            Err(error) => Err(error),
        };
        disk.run(move || drop(root)).await;
        // The command may have written to the stage files, through the links.
        for change in &mut changes {
            if let Becomes::File(file) = &mut change.becomes {
                file.checked();
            }
        }
        (changes, checked.map_err(Error::GroupCheck))
    }
}

/// Makes the root in the folder of the first change.
fn make_root(changes: &[Change], others: &[PathBuf]) -> Result<Root, Error> {
    let mut plan = Plan::default();
    for other in others {
        plan.add(other, Shown::Present)?;
    }
    for change in changes {
        let shown = match &change.becomes {
            Becomes::File(file) => {
                file.verify_path()?;
                Shown::Staged(file.at.name().to_owned())
            }
            Becomes::Absent(_) => Shown::Absent,
        };
        plan.add(&change.target.dest, shown)?;
    }
    Root::make(changes[0].place.folder(), &plan)
}

/// The variables of the command: those of all changed files, and the root.
fn environment(changes: &[Change], root: &Root, observer: &dyn Observer) -> Environment {
    let mut environment = Environment::default();
    for change in changes {
        let dest = &change.target.dest;
        let variables = observer.environment(dest);
        environment.merge(match change.becomes.file() {
            Some(file) => variables.of_file(&file.path(), dest),
            None => variables.of_removed(dest),
        });
    }
    environment.with("CONFD_ROOT", [root.path()])
}

fn program(template: &CommandTemplate, root: &Path) -> Result<Program, CheckError> {
    let no_value =
        |command| CheckError::NoValue { setting: "group_check_cmd", known: "root", command };
    let values = [("root", root.as_os_str())];
    template.render(&values).map_err(|fault| fault.of_check(no_value))
}
