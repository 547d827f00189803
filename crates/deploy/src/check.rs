//! Checks a stage file with a command before the file is put in place.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use command::Program;

use crate::environment::Environment;
use crate::run::run;
use crate::step::{Observer, Purpose};
use crate::template::CommandTemplate;

/// The name that error messages give the template.
const NAME: &str = "checkcmd";

/// A check command: a Go template in which `{{.src}}` is the path of the stage file.
///
/// The shell gets the text as the template prints it; nothing is quoted. Each argument of a command
/// without a shell is a template. A clone is cheap.
#[derive(Clone, Debug)]
pub struct CheckCommand(Arc<CommandTemplate>);

impl CheckCommand {
    /// Parses a command once for all checks.
    ///
    /// A text that is not a template is not an error here, but an error of each check. confd also
    /// reports it only then, so a file that never changes is not affected.
    pub fn new(program: impl Into<Program>) -> CheckCommand {
        CheckCommand(Arc::new(CommandTemplate::new(NAME, &program.into())))
    }

    /// Whether the command could run, as far as its template says that.
    ///
    /// # Errors
    /// It is no template, or it asks for a value that it does not get.
    pub fn examine(&self) -> Result<(), CheckError> {
        self.program(Path::new("stage-file")).map(drop)
    }

    /// Runs the command for this stage file, and stops it after `limit`.
    pub(crate) async fn run(
        &self,
        stage: &Path,
        limit: Option<Duration>,
        environment: &Environment,
        observer: &dyn Observer,
    ) -> Result<(), CheckError> {
        let program = self.program(stage)?;
        run(Purpose::Check, program, limit, environment, observer)
            .await
            .map_err(CheckError::Command)
    }

    fn program(&self, stage: &Path) -> Result<Program, CheckError> {
        let no_value =
            |command| CheckError::NoValue { setting: "check_cmd", known: "src", command };
        self.0.render(&[("src", stage.as_os_str())]).map_err(|fault| fault.of_check(no_value))
    }
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The command's template is malformed, or failed when it was executed.
    #[error("{0}")]
    Template(gotmpl::Error),
    /// The command's template asks for another value than the one that it knows.
    #[error("{setting} knows only {{{{.{known}}}}}: without it, the command is {command}")]
    NoValue {
        /// The key of the resource file that has the command.
        setting: &'static str,
        /// The name that the template may ask for.
        known: &'static str,
        /// The command without the value.
        command: Program,
    },
    /// The command failed.
    #[error("{0}")]
    Command(command::Error),
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn command_line(program: impl Into<Program>) -> String {
        match CheckCommand::new(program).program(Path::new("/x/.a1")) {
            Ok(command) => command.to_string(),
            Err(CheckError::NoValue { command, .. }) => command.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn each_argument_of_a_command_without_a_shell_is_a_template() {
        let program = Program::Argv(vec!["nginx".into(), "{{.src}}".into(), "a b".into()]);
        assert_eq!(command_line(program), "nginx /x/.a1 'a b'");
        let program = Program::Argv(vec!["{{.dest}}".into()]);
        assert_eq!(command_line(program), "'<no value>'");
    }

    #[test]
    fn the_stage_file_is_filled_in_and_nothing_is_quoted() {
        for (text, command) in [
            ("nginx -t -c {{.src}}", "nginx -t -c /x/.a1"),
            ("nginx -t -c '{{ .src }}' && true", "nginx -t -c '/x/.a1' && true"),
            ("test -e {{printf \"%q\" .src}}", "test -e \"/x/.a1\""),
            ("no template", "no template"),
            ("{{.foo}}", "<no value>"),
        ] {
            assert_eq!(command_line(text), command);
        }
    }

    #[test]
    fn the_template_has_only_gos_builtins() {
        for (text, error) in [
            ("{{base .src}}", "template: checkcmd:1: function \"base\" not defined"),
            ("{{getv \"/a\"}}", "template: checkcmd:1: function \"getv\" not defined"),
        ] {
            assert_eq!(command_line(text), format!("error: {error}"));
        }
    }

    #[test]
    fn a_failed_template_names_its_place() {
        assert_eq!(
            command_line("{{.src.y}}"),
            "error: template: checkcmd:1:6: executing \"checkcmd\" at <.src.y>: \
             can't evaluate field y in type string"
        );
    }

    #[test]
    fn a_path_need_not_be_text() {
        let stage = Path::new(OsStr::from_bytes(b"/x/\xff"));
        let program = CheckCommand::new("cat {{.src}}").program(stage).expect("a command");
        assert_eq!(program, Program::Shell(OsStr::from_bytes(b"cat /x/\xff").to_owned()));
    }
}
