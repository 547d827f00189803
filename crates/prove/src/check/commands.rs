//! Commands: their templates, and whether their programs exist.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use agent::Part;
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
        let Some(program) = command.and_then(program_of) else { continue };
        if let Some(text) = missing(program, search_path) {
            let text = format!("{key}: {text}");
            let excerpt = place_of(&part.path, key, Some(program));
            findings.warning("command", Some(&part.path), Problem { text, excerpt });
        }
    }
    if let Some(check) = &part.target.check_cmd
        && let Err(error) = check.examine()
    {
        let text = error.to_string();
        let text = match text.starts_with("check_cmd") {
            true => text,
            false => format!("check_cmd: {text}"),
        };
        let excerpt = place_of(&part.path, "check_cmd", None);
        findings.error("command", Some(&part.path), Problem { text, excerpt });
    }
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
