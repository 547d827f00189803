//! Runs a check or reload command, and reports confd's steps.

use std::time::Duration;

use command::{Command, Notice, Program};
use tokio::time::Instant;

use crate::environment::Environment;
use crate::step::{Observer, Purpose, Ran, Step};

/// How the end of a command is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reporting {
    /// A failure at ERROR.
    Usual,
    /// A failure at DEBUG, because the command is tried again.
    Quiet,
}

/// Runs a command to its end and reports its steps: that it runs, that it is still running after
/// [`command::SLOW`], that it is stopped, what it printed. It gets the variables of `environment`
/// besides those of this process.
/// The runner of `observer` runs it.
pub(crate) async fn run(
    purpose: Purpose,
    program: Program,
    limit: Option<Duration>,
    environment: &Environment,
    observer: &dyn Observer,
) -> Result<(), command::Error> {
    run_reporting(purpose, program, limit, environment, observer, |_| Reporting::Usual).await
}

/// Like [`run`]; `reporting` decides by the result how it is reported.
pub(crate) async fn run_reporting(
    purpose: Purpose,
    program: Program,
    limit: Option<Duration>,
    environment: &Environment,
    observer: &dyn Observer,
    reporting: impl Fn(&Result<(), command::Error>) -> Reporting,
) -> Result<(), command::Error> {
    let command = environment
        .variables()
        .fold(Command::new(program), |command, (name, text)| command.env(name, text))
        .limit(limit);
    observer.observe(&Step::Running { command: command.program() });
    let notify = |notice| {
        let command = command.program();
        observer.observe(&match notice {
            Notice::StillRunning { after } => Step::StillRunning { command, after },
            Notice::Stopping { limit } => Step::Stopping { command, limit },
        });
    };
    let begun = Instant::now();
    let ended = observer.runner().run(&command, &notify).await;
    observer.ran(&Ran { purpose, took: begun.elapsed(), result: &ended.result });
    let is_quiet = reporting(&ended.result) == Reporting::Quiet;
    observer.observe(&match &ended.result {
        Err(error) if is_quiet => Step::TriedAgain { command: command.program(), error },
        Err(error) if ended.output.is_empty() => Step::Silent { command: command.program(), error },
        result => Step::Printed { output: &ended.output, succeeded: result.is_ok() },
    });
    ended.result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Steps};

    #[test]
    fn a_success_shows_its_output_at_debug_only() {
        let steps = Steps::default();
        let program = Program::Shell("echo out; echo err >&2".into());
        testing::run(run(Purpose::Check, program, None, &Environment::default(), &steps))
            .expect("success");
        let lines = ["DEBUG Running echo out; echo err >&2", r#"DEBUG "out\nerr\n""#];
        assert_eq!(steps.all(), lines);
    }

    #[test]
    fn a_failure_shows_its_output_at_error() {
        let steps = Steps::default();
        let program = Program::Shell("echo out; exit 7".into());
        let error =
            testing::run(run(Purpose::Check, program, None, &Environment::default(), &steps))
                .expect_err("failure");
        assert_eq!(error.to_string(), "exit status 7");
        assert_eq!(steps.lines(), [r#"ERROR "out\n""#]);
    }

    #[test]
    fn a_command_that_cannot_be_started_is_not_just_silent() {
        let steps = Steps::default();
        let program = Program::Argv(vec!["/nonexistent".into()]);
        testing::run(run(Purpose::Check, program, None, &Environment::default(), &steps))
            .expect_err("failure");
        let line = "ERROR the command cannot be started (fork/exec /nonexistent: no such file or \
                    directory): /nonexistent";
        assert_eq!(steps.lines(), [line]);
        let command = Program::Shell("true".into());
        let (file, cause) = ("/bin/sh".into(), std::io::ErrorKind::NotFound.into());
        let error = command::Error::Start { file, cause };
        let text = Step::Silent { command: &command, error: &error }.to_string();
        assert!(text.ends_with("): true; there is no shell on this system"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_command_and_a_stopped_command_are_reported_with_their_text() {
        let steps = Steps::default();
        let program = Program::Shell("sleep 1000".into());
        let limit = Some(Duration::from_secs(11));
        run(Purpose::Check, program, limit, &Environment::default(), &steps)
            .await
            .expect_err("stopped");
        assert_eq!(
            steps.lines(),
            [
                "WARNING still running after 10s: sleep 1000",
                "WARNING stopping after 11s, its time limit: sleep 1000",
                "ERROR the command printed nothing (timed out after 11s): sleep 1000",
            ]
        );
    }
}
