//! Checks a stage file with a command before the file is put in place.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use command::Program;
use gotmpl::{Functions, Map, Template, Value};

use crate::run::run;
use crate::step::Observer;

/// The name that error messages give the template.
const NAME: &str = "checkcmd";

/// What Go's templates print for a name that has no value. A shell would read a redirection.
const NO_VALUE: &[u8] = b"<no value>";

/// Go's builtins only. As in confd, the functions of other templates are missing here.
static BUILTINS: LazyLock<Arc<Functions<()>>> = LazyLock::new(|| Arc::new(Functions::new()));

/// A check command: a Go template in which `{{.src}}` is the path of the stage file.
///
/// The shell gets the text as the template prints it; nothing is quoted. A clone is cheap.
#[derive(Clone, Debug)]
pub struct CheckCommand(Arc<Result<Template<()>, gotmpl::Error>>);

impl CheckCommand {
    /// Parses a command once for all checks.
    ///
    /// A text that is not a template is not an error here, but an error of each check. confd also
    /// reports it only then, so a file that never changes is not affected.
    pub fn new(text: &str) -> CheckCommand {
        CheckCommand(Arc::new(Template::parse(NAME, text.to_owned(), &BUILTINS)))
    }

    /// Runs the command for this stage file, and stops it after `limit`.
    pub(crate) async fn run(
        &self,
        stage: &Path,
        limit: Option<Duration>,
        observer: &dyn Observer,
    ) -> Result<(), CheckError> {
        let command = self.command_line(stage).map_err(CheckError::Template)?;
        if command.as_bytes().windows(NO_VALUE.len()).any(|part| part == NO_VALUE) {
            return Err(CheckError::NoValue(command));
        }
        run(Program::Shell(command), limit, observer).await.map_err(CheckError::Command)
    }

    fn command_line(&self, stage: &Path) -> Result<OsString, gotmpl::Error> {
        let template = self.0.as_ref().as_ref().map_err(gotmpl::Error::clone)?;
        let bytes = |text: &OsStr| Bytes::copy_from_slice(text.as_bytes());
        let data = Map::strings([(bytes(OsStr::new("src")), bytes(stage.as_os_str()))]);
        let mut command = Vec::new();
        template.execute(&(), Value::from(data), &mut command)?;
        Ok(OsString::from_vec(command))
    }
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The command's template is malformed, or failed when it was executed.
    #[error("{0}")]
    Template(gotmpl::Error),
    /// The command's template asks for another value than the stage file.
    #[error(
        "check_cmd knows only {{{{.src}}}}: without it, the command is {}",
        .0.display()
    )]
    NoValue(OsString),
    /// The command failed.
    #[error("{0}")]
    Command(command::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command_line(text: &str) -> String {
        match CheckCommand::new(text).command_line(Path::new("/x/.a1")) {
            Ok(command) => command.into_string().expect("text"),
            Err(error) => format!("error: {error}"),
        }
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
        let command = CheckCommand::new("cat {{.src}}").command_line(stage).expect("a command");
        assert_eq!(command.as_bytes(), b"cat /x/\xff");
    }
}
