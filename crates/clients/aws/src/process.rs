//! Credentials from a program that the profile names (`credential_process`).

use std::time::Duration;

use command::{Command, Program};
use nodes::Cause;

use crate::Credentials;
use crate::credentials::of_document;

/// The time that the program has.
const LIMIT: Duration = Duration::from_secs(60);

/// The credentials that the command `line` prints. What it writes to standard error is dropped: it may
/// contain secrets.
pub(crate) async fn credentials(line: &str) -> Result<Credentials, Cause> {
    let shell = Program::from(format!("{{ {line}\n}} 2>/dev/null"));
    let ended = Command::new(shell).limit(Some(LIMIT)).run(&|_| {}).await;
    let advice = "run the command of credential_process by hand to see why";
    if let Err(error) = ended.result {
        return Err(Cause::new(format!("credential_process: {error}")).advised(Some(advice)));
    }
    let document = ended.output.whole().unwrap_or_default();
    of_document("credential_process", &document, "SessionToken")
        .map_err(|cause| cause.advised(Some(advice)))
}
