//! Running a check or reload command with confd's log lines.

use std::ffi::OsString;
use std::time::Duration;

use command::{Command, Program};
use tracing::{debug, error, warn};

/// Runs shell text to its end, with confd's log lines: `Running CMD`, then what the command printed,
/// quoted, at DEBUG if it succeeded and at ERROR if not.
pub(crate) async fn run(text: OsString, limit: Option<Duration>) -> Result<(), command::Error> {
    let command = Command::new(Program::Shell(text)).limit(limit);
    debug!("Running {}", command.program());
    let on_slow = |after| warn!("still running after {after:?}: {}", command.program());
    let ended = command.run(&on_slow).await;
    match &ended.result {
        Ok(()) => debug!("{}", ended.output),
        Err(_) => error!("{}", ended.output),
    }
    ended.result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Logs};

    #[test]
    fn a_success_shows_its_output_at_debug_only() {
        let logs = Logs::capture();
        testing::run(run("echo out; echo err >&2".into(), None)).expect("success");
        assert_eq!(logs.all(), ["DEBUG Running echo out; echo err >&2", "DEBUG \"out\\nerr\\n\""]);
    }

    #[test]
    fn a_failure_shows_its_output_at_error() {
        let logs = Logs::capture();
        let error = testing::run(run("echo out; exit 7".into(), None)).expect_err("failure");
        assert_eq!(error.to_string(), "exit status 7");
        assert_eq!(logs.lines(), ["ERROR \"out\\n\""]);
    }
}
