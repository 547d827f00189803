//! The differences that a run with `-noop` finds: shown as diffs, and as the exit code.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

use agent::{Event, Reader};
use anyhow::bail;
use deploy::{Level, Outcome};
use options::Given;
use prove::{Look, Patterns, Secrets, unified};

use crate::{
    general,
    setup::{Mode, Usage},
};

/// How differences are shown.
#[derive(Clone, Debug)]
pub(crate) struct Differences {
    /// Whether a run prints diffs.
    is_shown: bool,
    /// Whether the exit code says that there are differences.
    pub(crate) is_exit_code: bool,
    pub(crate) look: Look,
    pub(crate) patterns: Patterns,
}

impl Differences {
    /// What the options ask for. `env` looks up an environment variable.
    ///
    /// # Errors
    /// A value cannot be used, or an option needs `-noop`.
    pub(crate) fn asked(
        given: &Given,
        settings: &agent::Settings,
        mode: Mode,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> anyhow::Result<Self> {
        let (is_shown, is_exit_code) =
            (given.get(&general::DIFF)?, given.get(&general::DETAILED_EXITCODE)?);
        if is_shown && !settings.noop {
            bail!(Usage("-diff is for -noop, which changes nothing"));
        }
        if is_exit_code && !(settings.noop && mode == Mode::Onetime) {
            bail!(Usage("-detailed-exitcode is for -onetime -noop"));
        }
        let context = given.get_as(&general::DIFF_CONTEXT, |lines| {
            usize::try_from(lines).map_err(|_| format!("-diff-context {lines} is less than 0"))
        })?;
        let color = given.get_as(&general::COLOR, |word| match word.as_str() {
            "always" => Ok(true),
            "never" => Ok(false),
            "auto" => {
                let is_off = env("NO_COLOR").is_some_and(|value| !value.is_empty());
                Ok(io::stdout().is_terminal() && !is_off)
            }
            word => {
                let word = gotmpl::quote(word.as_bytes());
                Err(format!("color is \"auto\", \"always\" or \"never\", not {word}"))
            }
        })?;
        let mask = given.get(&general::MASK)?;
        let patterns = mask.iter().map(|pattern| pattern.to_string_lossy().into_owned());
        let patterns = Patterns::new(patterns.filter(|pattern| !pattern.is_empty()));
        Ok(Differences { is_shown, is_exit_code, look: Look { context, color }, patterns })
    }

    /// A reader of the events of a run that shows the differences.
    pub(crate) fn reader(&self) -> Found {
        Found { asked: self.clone(), any: AtomicBool::new(false) }
    }
}

/// Shows the differences of a run, and remembers whether there were any.
pub(crate) struct Found {
    asked: Differences,
    any: AtomicBool,
}

impl Found {
    /// Whether a file would change.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }
}

impl Reader for Found {
    fn read(&self, event: &Event<'_>) {
        match event {
            Event::Done { outcome: Outcome::WouldUpdate | Outcome::WouldRemove, .. } => {
                self.any.store(true, Ordering::Relaxed);
            }
            Event::Proposed { keys, proposal, .. } => {
                let Differences { look, patterns, .. } = &self.asked;
                let diff = unified(proposal, &Secrets::of(patterns, keys), *look);
                let mut stdout = io::stdout().lock();
                // A closed pipe is not an error.
                let _ = stdout.write_all(&diff).and_then(|()| stdout.flush());
            }
            _ => {}
        }
    }

    fn wants(&self, _: Level) -> bool {
        false
    }

    fn wants_proposals(&self) -> bool {
        self.asked.is_shown
    }
}
