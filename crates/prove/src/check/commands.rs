//! Commands: their templates, and whether their programs exist.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use agent::{Part, Resource};
use config::{Command, Problem};

use super::{Findings, place_of};

/// Words that a shell understands itself, and at which nothing can be said about programs.
const OF_THE_SHELL: &[&str] = &[
    "!", ".", ":", "[", "case", "cd", "command", "echo", "eval", "exec", "exit", "export", "false",
    "for", "if", "kill", "printf", "read", "set", "test", "times", "trap", "true", "type",
    "ulimit", "umask", "unset", "until", "wait", "while",
];

/// Checks the commands of a part of a resource.
pub(super) fn check(part: &Part, search_path: &OsStr, findings: &mut Findings) {
    let each = part.for_each.as_ref().and_then(|each| each.remove_cmd.as_ref());
    let health = part.after.as_ref().and_then(|after| after.health.as_ref());
    let commands = [
        ("check_cmd", part.check_cmd.as_ref()),
        ("reload_cmd", part.reload_cmd.as_ref()),
        ("start_cmd", part.start_cmd.as_ref()),
        ("remove_cmd", each),
        ("health_cmd", health.map(|health| &health.command)),
    ];
    for (key, command) in commands {
        find_program(key, command, &part.path, search_path, findings);
    }
    if let Some(check) = &part.target.check_cmd
        && let Err(error) = check.examine()
    {
        refuse("check_cmd", &error.to_string(), &part.path, findings);
    }
}

/// Checks the command that checks the files of all parts together.
pub(super) fn check_group(resource: &Resource, search_path: &OsStr, findings: &mut Findings) {
    /// The key of the command.
    const KEY: &str = "group_check_cmd";

    let Some((command, check)) = resource.group_check() else { return };
    // Each file of a group can set it.
    let paths = resource.parts().iter().map(|part| &*part.path);
    let path = paths.clone().find(|path| !place_of(path, KEY, None).is_empty());
    let Some(path) = path.or(paths.clone().next()) else { return };
    findings.resource = Some(path.to_owned());
    find_program(KEY, Some(command), path, search_path, findings);
    if let Err(error) = check.examine() {
        refuse(KEY, &error.to_string(), path, findings);
    }
}

/// Warns if the program of a command cannot be started here.
fn find_program(
    key: &str,
    command: Option<&Command>,
    path: &Path,
    search_path: &OsStr,
    findings: &mut Findings,
) {
    let Some(program) = command.and_then(program_of) else { return };
    if let Some(text) = missing(program, search_path) {
        let text = format!("{key}: {text}");
        let excerpt = place_of(path, key, Some(program));
        findings.warning("command", Some(path), Problem { text, excerpt });
    }
}

/// Says that a command can never run.
fn refuse(key: &str, text: &str, path: &Path, findings: &mut Findings) {
    let text = match text.starts_with(key) {
        true => text.to_owned(),
        false => format!("{key}: {text}"),
    };
    let excerpt = place_of(path, key, None);
    findings.error("command", Some(path), Problem { text, excerpt });
}

/// The program that a command starts first, if that can be known.
fn program_of(command: &Command) -> Option<&str> {
    let is_plain = |word: &&str| {
        let mut chars = word.chars();
        chars.all(|c| c.is_ascii_alphanumeric() || "._-+/@:".contains(c)) && !word.is_empty()
    };
    match command {
        Command::Argv(words) => words.first().map(String::as_str).filter(|it| !it.contains("{{")),
        Command::Shell(text) => {
            let word = text.split_ascii_whitespace().next().filter(is_plain)?;
            (!OF_THE_SHELL.contains(&word)).then_some(word)
        }
    }
}

/// Why this program cannot be started, if it cannot.
fn missing(program: &str, search_path: &OsStr) -> Option<String> {
    let is_program = |path: &Path| {
        path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        let path = Path::new(program);
        return match (is_program(path), path.exists()) {
            (true, _) => None,
            (false, true) => Some(format!("{program} cannot be executed")),
            (false, false) => Some(format!("{program} does not exist")),
        };
    }
    let folders = search_path.as_encoded_bytes().split(|&byte| byte == b':');
    let found = folders.filter_map(|folder| std::str::from_utf8(folder).ok()).any(|folder| {
        let folder = if folder.is_empty() { "." } else { folder };
        is_program(&PathBuf::from(folder).join(program))
    });
    (!found).then(|| format!("there is no program {program} in PATH"))
}
