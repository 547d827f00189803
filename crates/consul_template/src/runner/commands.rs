//! The commands and checks of templates: which are due in a pass, and what follows from their success
//! or failure.

use bytes::Bytes;
use deploy::Disk;

use super::{Runner, State, Task, go_quoted};
use crate::config::{Template, duration};
use crate::markers::Markers;
use crate::place::Placed;
use crate::program::Program;

impl Runner {
    /// Whether the command of the template at `place` is to run in this pass, in which its result was
    /// put in place. A pending command is not due while it waits for its retry.
    pub(super) fn is_due(&self, place: usize, placed: Placed) -> bool {
        let settings = self.settings(place);
        let command = &settings.exec.command;
        if self.dry || command.is_empty() {
            return false;
        }
        match placed {
            Placed::Unchanged => false,
            Placed::WouldWrite | Placed::Written => true,
            Placed::Pending => {
                let waiting = self.retries.places();
                let is_waiting =
                    waiting.into_iter().any(|other| self.settings(other).exec.command == *command);
                if !is_waiting {
                    let (shown, from) = (shown_words(command), settings.display());
                    self.log.info(format!(
                        "(runner) command {shown} from {from} is pending: it has not succeeded since \
                         the file was written"
                    ));
                }
                !is_waiting
            }
        }
    }

    /// Adds the template at `place` to those whose commands run at the end of the pass, unless
    /// one of these has the same command.
    pub(super) fn append(&self, commands: &mut Vec<usize>, place: usize) {
        let settings = self.settings(place);
        let command = &settings.exec.command;
        let mut others = commands.iter().map(|known| self.settings(*known));
        let same = others.find(|known| known.exec.command == *command).map(Template::display);
        let (shown, from) = (shown_words(command), settings.display());
        match same {
            Some(known) => self.log.debug(format_args!(
                "(runner) skipping command {shown} from {from} (already appended from {known})"
            )),
            None => {
                self.log.debug(format_args!("(runner) appending command {shown} from {from}"));
                commands.push(place);
            }
        }
    }

    /// Runs the command of a template. Returns the error, unless the template has
    /// `error_fatal = false`: then the command is tried again later.
    pub(super) async fn try_command(&mut self, place: usize) -> Option<String> {
        let Err(error) = self.command(place).await else {
            self.retries.succeeded(place);
            self.forget_pending(place).await;
            return None;
        };
        if self.config.once || self.settings(place).error_fatal {
            return Some(error);
        }
        let delay = duration::shown(self.retries.failed(place));
        self.log.error(format_args!("(runner) {error} (tried again after {delay:?})"));
        None
    }

    /// Notes that the check of a template has refused this result. The check is tried again later.
    pub(super) fn refuse(&mut self, place: usize, content: Bytes, error: &str) {
        let task = &mut self.templates[place];
        if task.refused.as_ref() != Some(&content) {
            self.checks.succeeded(place);
        }
        let delay = duration::shown(self.checks.failed(place));
        let shown = task.template.settings.display();
        self.log.error(format_args!(
            "(runner) error rendering {shown}: {error} (tried again after {delay:?})"
        ));
        task.refused = Some(content);
        task.end_unchanged();
    }

    /// Runs the command of a template.
    async fn command(&self, place: usize) -> Result<(), String> {
        let settings = self.settings(place);
        let shown = go_quoted(&shown_words(&settings.exec.command));
        let from = format!("{shown} from {}", settings.display());
        self.log.info(format!("(runner) executing command {from}"));
        let program = Program::new(&settings.exec, &self.environment, &self.config.exported);
        let ran = match program {
            Ok(program) => program.run(settings.exec.timeout, &self.log).await,
            Err(error) => Err(error),
        };
        ran.map_err(|error| format!("failed to execute command {from}: {error}"))
    }

    /// Removes the markers of all templates with the command of this one: all their files were in
    /// place before it ran.
    async fn forget_pending(&self, place: usize) {
        let command = &self.settings(place).exec.command;
        let same =
            self.templates.iter().filter(|task| task.template.settings.exec.command == *command);
        let done: Vec<_> = same.filter_map(|task| task.markers.clone()).collect();
        Disk::Elsewhere.run(move || done.iter().for_each(Markers::succeeded)).await;
    }

    fn settings(&self, place: usize) -> &Template {
        &self.templates[place].template.settings
    }
}

impl Task {
    /// Ends a pass that puts nothing in place. An earlier result counts.
    pub(super) fn end_unchanged(&mut self) {
        self.state = if self.is_in_place { State::Rendered } else { State::Waiting };
    }
}

/// The words of a command as the log shows them.
fn shown_words(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| go_quoted(word)).collect();
    format!("[{}]", words.join(" "))
}
