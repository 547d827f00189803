//! Commands of templates and the supervised child: what is executed, with which environment.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use command::{Attached, Group, Signal};
use report::errno_text;

use crate::config::{Environment, Exec, duration};
use crate::log::Log;

/// The places of a shell that is not in `PATH`.
const SHELLS: [&str; 2] = ["/bin/sh", "/usr/bin/sh"];

/// A command that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    words: Vec<String>,
    group: Group,
    environment: Vec<(OsString, OsString)>,
    /// `PATH` of this process, by which programs are found.
    path: OsString,
}

impl Program {
    /// The program of `exec`. `process` are the variables of this process, and `exported` those that
    /// the configuration adds.
    ///
    /// One text with spaces is for the shell, in a process group of its own. Anything else is
    /// executed directly.
    ///
    /// # Errors
    /// There is no command.
    pub(crate) fn new(
        exec: &Exec,
        process: &[(OsString, OsString)],
        exported: &[(String, String)],
    ) -> Result<Program, String> {
        let path = process.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.clone()).unwrap_or_default();
        let missing = || "failed parsing command: executable file not found in $PATH".to_owned();
        let (words, group) = match &*exec.command {
            [] => return Err(missing()),
            [text] if text.trim().is_empty() => return Err(missing()),
            [text] if text.split_whitespace().nth(1).is_some() => {
                let shell = look_up("sh", &path).or_else(|| {
                    SHELLS
                        .iter()
                        .find(|shell| is_program(Path::new(shell)))
                        .map(|shell| (*shell).to_owned())
                });
                let shell = shell.map(|_| "sh".to_owned()).ok_or_else(missing)?;
                (vec![shell, "-c".to_owned(), text.clone()], Group::Own)
            }
            [name] => (vec![name.trim().to_owned()], Group::Shared),
            words => (words.to_vec(), Group::Shared),
        };
        let environment = variables(&exec.environment, process, exported);
        Ok(Program { words, group, environment, path })
    }

    /// The command as errors show it.
    pub(crate) fn shown(&self) -> String {
        self.words.join(" ")
    }

    /// Starts the program.
    ///
    /// # Errors
    /// It could not be started.
    pub(crate) fn start(&self, log: &Log) -> Result<Attached, String> {
        log.info(format!("(child) spawning: {}", self.shown()));
        let name = &self.words[0];
        let file = match name.contains('/') {
            true => name.clone(),
            false => match look_up(name, &self.path) {
                Some(file) => file,
                None if name == "sh" => SHELLS[0].to_owned(),
                None => {
                    return Err(format!(
                        "child: exec: {name:?}: executable file not found in $PATH"
                    ));
                }
            },
        };
        let mut words: Vec<OsString> = self.words.iter().map(OsString::from).collect();
        words[0] = file.clone().into();
        Attached::start(&words, &self.environment, self.group)
            .map_err(|cause| format!("child: fork/exec {file}: {}", errno_text(&cause)))
    }

    /// Runs the program to its end. With a timeout of zero it is not waited for.
    ///
    /// # Errors
    /// It could not be started, did not succeed, or took longer than `timeout`.
    pub(crate) async fn run(&self, timeout: Duration, log: &Log) -> Result<(), String> {
        let mut running = self.start(log)?;
        if timeout.is_zero() {
            tokio::spawn(async move { running.wait().await });
            return Ok(());
        }
        match tokio::time::timeout(timeout, running.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(_) => Err(format!(
                "child: command exited with a non-zero exit status:\n\n    {}\n\nPlease ensure the \
                 command exits with a zero (0) exit status to indicate success",
                self.shown()
            )),
            Err(_) => {
                running.signal(Signal::KILL);
                // The process must not stay as a zombie.
                tokio::spawn(async move { running.wait().await });
                let limit = duration::shown(timeout);
                Err(format!(
                    "child: command did not exit within time limit ({limit:?}):\n    {}",
                    self.shown()
                ))
            }
        }
    }
}

/// The exit code that consul-template reports: -1 if a signal ended the program.
pub(crate) fn exit_code(status: &io::Result<ExitStatus>) -> i32 {
    match status {
        Ok(status) if status.signal().is_some() => -1,
        Ok(status) => status.code().unwrap_or(-1),
        Err(_) => -1,
    }
}

/// The path of the program `name` in the folders of `path`.
fn look_up(name: &str, path: &OsString) -> Option<String> {
    let mut files = std::env::split_paths(path).map(|folder| folder.join(name));
    files.find(|file| is_program(file)).map(|file| file.display().to_string())
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The variables of a program: those of this process that are allowed and not denied, then those
/// that the configuration adds, then its own. Of equal names the last counts.
fn variables(
    settings: &Environment,
    process: &[(OsString, OsString)],
    exported: &[(String, String)],
) -> Vec<(OsString, OsString)> {
    let matches =
        |patterns: &[String], name: &str| patterns.iter().any(|pattern| is_match(pattern, name));
    let passed = process.iter().filter(|(name, _)| {
        let name = name.to_string_lossy();
        let is_allowed = settings.allowed.is_empty() || matches(&settings.allowed, &name);
        !settings.pristine && is_allowed && !matches(&settings.denied, &name)
    });
    let own = settings.custom.iter().filter_map(|one| one.split_once('='));
    let added = exported.iter().map(|(name, value)| (&**name, &**value)).chain(own);
    let added = added.map(|(name, value)| (name.into(), value.into()));
    passed.cloned().chain(added).collect()
}

/// Whether `name` matches the pattern, in which `*` stands for any text.
pub(crate) fn is_match(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in [("PATH", "PATH"), ("CT_*", "CT_A"), ("*", ""), ("*_A*B", "x_AyyB")]
        {
            assert!(is_match(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("PATH", "PATHS"), ("CT_*", "XCT_A"), ("a*a", "a"), ("", "x")] {
            assert!(!is_match(pattern, name), "{pattern} {name}");
        }
    }
}
