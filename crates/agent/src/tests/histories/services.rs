//! Services that exist only in the test: they are reloaded and their files are checked by commands that
//! no process runs. They note what confd must never do.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deploy::{Command, CommandError, Ended, Notice, Output, Program, Run, Runner};
use tokio::time::{Instant, sleep_until};

use super::resources::{self, Files, Service};

/// The time that a slow reload takes.
const SLOW: Duration = Duration::from_secs(3);

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The check commands of single files.
    Check,
    GroupCheck,
    Reload(Service),
}

/// All services, and the runner of the commands for them.
pub(super) struct Services {
    /// The folder with the files of all services.
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failing: Vec<Step>,
    is_slow: bool,
    /// The files that other programs have changed: what a service reads there is not confd's.
    edited: Vec<PathBuf>,
    /// What each service has accepted last.
    accepted: BTreeMap<Service, Files>,
    /// What each service has read last, whether it has accepted that or not.
    read: BTreeMap<Service, Files>,
    /// Counts the changes of the content that the store asks for, of the service that is rolled back.
    changes: u32,
    /// The content that the store asks for, of that service.
    wanted: Option<String>,
    refused: Vec<Refused>,
    /// What confd must never do.
    faults: Vec<String>,
}

/// A content that the service that is rolled back has refused.
struct Refused {
    content: String,
    /// The count of changes at that time.
    changes: u32,
    /// Whether it was not the content that the service has accepted last.
    is_new: bool,
}

impl Services {
    pub(super) fn new(folder: PathBuf) -> Self {
        Services { folder, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a step fail from now on, or work again.
    pub(super) fn fails(&self, step: Step, fails: bool) {
        let mut state = self.state();
        state.failing.retain(|failing| *failing != step);
        state.failing.extend(fails.then_some(step));
    }

    pub(super) fn is_failing(&self, step: Step) -> bool {
        self.state().failing.contains(&step)
    }

    /// Lets everything work again, and quickly.
    pub(super) fn recover(&self) {
        let mut state = self.state();
        (state.failing, state.is_slow) = (Vec::new(), false);
    }

    pub(super) fn set_slow(&self, is_slow: bool) {
        self.state().is_slow = is_slow;
    }

    /// Says which files other programs have changed.
    pub(super) fn set_edited(&self, edited: Vec<PathBuf>) {
        self.state().edited = edited;
    }

    /// Says which content the store asks for, of the service that is rolled back.
    pub(super) fn set_wanted(&self, wanted: Option<String>) {
        let mut state = self.state();
        if state.wanted != wanted {
            state.wanted = wanted;
            state.changes += 1;
        }
    }

    /// Whether the service that is rolled back has refused this content since the store has asked for it.
    pub(super) fn has_refused(&self, content: &str) -> bool {
        self.state().refused.iter().any(|refused| refused.content == content)
    }

    /// Says that a pass with this content was made: all other contents may be tried again.
    pub(super) fn passed_with(&self, content: &str) {
        self.state().refused.retain(|refused| refused.content == content);
    }

    /// What a service has accepted last.
    pub(super) fn accepted(&self, service: Service) -> Files {
        self.state().accepted.get(&service).cloned().unwrap_or_default()
    }

    /// What confd must never do, and has done.
    pub(super) fn faults(&self) -> Vec<String> {
        self.state().faults.clone()
    }

    fn check(&self, stage: &Path) -> bool {
        let content = fs::read_to_string(stage).unwrap_or_default();
        !self.is_failing(Step::Check) && !resources::is_bad(&content)
    }

    fn group_check(&self, root: &Path) -> bool {
        let below = self.folder.strip_prefix("/").unwrap_or(&self.folder);
        let contents = ["one", "two"].map(|name| fs::read_to_string(root.join(below).join(name)));
        let [Ok(one), Ok(two)] = contents else {
            self.state().faults.push(format!("the group check finds no files in {root:?}"));
            return false;
        };
        if one != two && !self.is_edited(Service::Web) {
            self.state().faults.push(format!("the group check sees {one:?} beside {two:?}"));
        }
        !self.is_failing(Step::GroupCheck) && !resources::is_bad_group(&one)
    }

    fn is_edited(&self, service: Service) -> bool {
        self.state().edited.iter().any(|file| resources::is_of(service, file))
    }

    async fn reload(&self, service: Service) -> bool {
        let files = resources::files_of(service, &self.folder);
        let is_slow = {
            let is_edited = self.is_edited(service);
            let mut state = self.state();
            if !is_edited {
                state.judge(service, &files);
            }
            state.read.insert(service, files.clone());
            state.is_slow
        };
        if is_slow {
            sleep_until(Instant::now() + SLOW).await;
        }
        let mut state = self.state();
        let fails = state.failing.contains(&Step::Reload(service));
        let accepts = !fails && !resources::is_refused(service, &files);
        if accepts {
            state.accepted.insert(service, files);
        } else if service == Service::Single {
            // Before the service has accepted a file, there is no former one, and the reload is pending.
            let is_new = state.accepted.get(&service).is_some_and(|before| *before != files);
            let changes = state.changes;
            let refused = |content| Refused { content, changes, is_new };
            state.refused.extend(files.into_values().map(refused));
        }
        accepts
    }
}

impl State {
    /// Notes what confd must not have put in place before it reloads a service.
    fn judge(&mut self, service: Service, files: &Files) {
        let contents: Vec<&String> = files.values().collect();
        let fault = match service {
            Service::Web if contents.iter().any(|content| *content != contents[0]) => {
                Some("the files of a group differ")
            }
            Service::Web if contents.len() == 1 => Some("a file of a group is missing"),
            Service::Web if contents.iter().any(|content| resources::is_bad_group(content)) => {
                Some("the group check refuses what is in place")
            }
            Service::Web | Service::Items
                if contents.iter().any(|content| resources::is_bad(content)) =>
            {
                Some("the check refuses what is in place")
            }
            Service::Pool => {
                let before = self.read.get(&service).and_then(|files| files.values().next());
                let now = contents.first();
                now.filter(|now| {
                    let before = before.map_or(0, |text| resources::keys_in(text));
                    resources::trips(before, resources::keys_in(now))
                })
                .map(|_| "the guard was skipped")
            }
            Service::Single => {
                let is_tried_again = |refused: &Refused| {
                    let accepted = self.accepted.get(&service);
                    refused.is_new
                        && refused.changes == self.changes
                        && self.wanted.as_ref() == Some(&refused.content)
                        && contents == [&refused.content]
                        && accepted.is_none_or(|accepted| accepted != files)
                };
                let is_tried_again = self.refused.iter().any(is_tried_again);
                is_tried_again.then_some("refused content was tried again")
            }
            Service::Web | Service::Items => None,
        };
        if let Some(fault) = fault {
            let before = self.read.get(&service);
            self.faults.push(format!("{service:?}: {fault}: {files:?} after {before:?}"));
        }
    }
}

impl Runner for Services {
    fn run<'a>(&'a self, command: &'a Command, _: &'a (dyn Fn(Notice) + Send + Sync)) -> Run<'a> {
        Box::pin(async {
            // A process takes at least as long as this.
            tokio::task::yield_now().await;
            let Program::Argv(words) = command.program() else { panic!("a list") };
            let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
            let succeeds = match words[..] {
                ["check", stage] => self.check(Path::new(stage)),
                ["group-check", root] => self.group_check(Path::new(root)),
                ["reload", name, ..] => self.reload(Service::named(name)).await,
                _ => panic!("{words:?}"),
            };
            let result = if succeeds { Ok(()) } else { Err(CommandError::Exit(1)) };
            Ended { output: Output::default(), result }
        })
    }
}
