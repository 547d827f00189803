//! `confd status`, `confd reload` and `confd run`: commands that ask the confd that runs, by its control
//! socket.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{anyhow, bail};
use control::client::{self, Reply};
use report::harmless;
use serde_json::Value;

use crate::{Exit, commands, environment::Environment, outside, setup};

/// The time for an answer that is ready at once.
const SOON: Duration = Duration::from_secs(10);
/// The width of the table if standard output is no terminal.
const WIDTH: usize = 120;

/// What is asked for.
struct Asked {
    socket: PathBuf,
    /// The resource of `run`.
    name: String,
    /// Whether a program reads the answer.
    is_json: bool,
}

/// Runs the command.
pub(crate) fn run(words: commands::Asked) -> anyhow::Result<Exit> {
    let command = words.command;
    let name = match (&words.names[..], command.operands) {
        ([], "") => String::new(),
        ([name], operands) if !operands.is_empty() => name.clone(),
        _ => return Err(command.usage()),
    };
    let config = setup::load(&words.line, &Environment::of_process(), &mut Vec::new())?;
    let socket = config.control.unwrap_or_else(|| outside::USUAL.into());
    let asked = Asked { socket, name, is_json: words.has("json") };
    match command.name {
        "status" => status(&asked),
        "reload" => reload(&asked),
        _ => process(&asked),
    }
}

/// Asks the confd that runs.
fn ask(
    socket: &Path,
    method: &str,
    target: &str,
    limit: Option<Duration>,
) -> anyhow::Result<Reply> {
    client::ask(socket, method, target, limit).map_err(|error| unanswered(socket, &error))
}

/// The error for a confd that does not answer.
fn unanswered(socket: &Path, error: &io::Error) -> anyhow::Error {
    let shown = socket.display();
    let hint = match error.kind() {
        _ if is_nothing_there(error) => {
            "no confd listens there: start it with -control-socket, and name the same path here \
             by -control-socket, CONFD_CONTROL_SOCKET or control_socket in confd.toml"
        }
        io::ErrorKind::PermissionDenied => "only the user that confd runs as, and root, may ask it",
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            "it does not answer: it may be waiting for a disk"
        }
        _ => "is it the control socket of a confd?",
    };
    anyhow!("cannot ask confd at {shown}: {}: {hint}", report::errno_text(error))
}

/// Whether no process listens at a socket, by the error of asking it.
fn is_nothing_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// Has the confd that listens at `socket` make a pass of the resource `name` now, and waits for its end.
/// Returns whether one listens there.
///
/// # Errors
/// It cannot be asked, or the resource is not applied: the text says why.
pub(crate) fn pass_now(socket: &Path, name: &str) -> anyhow::Result<bool> {
    match client::ask(socket, "GET", "/health", Some(SOON)) {
        Err(error) if is_nothing_there(&error) => return Ok(false),
        // The request for the pass has no limit, so that a confd that hangs must be noticed here.
        Err(error) => return Err(unanswered(socket, &error)),
        Ok(_) => {}
    }
    let reply = ask(socket, "POST", &client::run_path(name), None)?;
    match refused(&reply)? {
        None => Ok(true),
        Some(why) => bail!("its pass has failed{why}"),
    }
}

fn document(reply: &Reply) -> anyhow::Result<Value> {
    let read = serde_json::from_str(&reply.body);
    read.map_err(|_| anyhow!("confd answered {}: {}", reply.code, harmless(reply.body.trim())))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// 0 if confd is ready, and 1 if it is not.
fn status(asked: &Asked) -> anyhow::Result<Exit> {
    let reply = ask(&asked.socket, "GET", "/status", Some(SOON))?;
    let document = document(&reply)?;
    let shown = match asked.is_json {
        true => format!("{document:#}\n"),
        false => table(&document, width()),
    };
    crate::show(shown.as_bytes())?;
    let is_ready = document["ready"] == true;
    Ok(if is_ready { Exit::Success } else { Exit::Failure })
}

/// The columns of a terminal, or else [`WIDTH`].
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(WIDTH)
}

/// The resources as a table whose lines are no longer than `width`.
fn table(document: &Value, width: usize) -> String {
    let head = ["RESOURCE", "STATE", "REVISION", "SINCE", "NEXT TRY", "LAST ERROR"];
    let mut rows = vec![head.map(str::to_owned)];
    for one in document["resources"].as_array().into_iter().flatten() {
        let revision = one["applied"]["revision"].as_u64().filter(|revision| *revision > 0);
        let state = match one["held_version"].as_u64() {
            Some(version) => format!("{}: version {version}", text(one, "state")),
            None => text(one, "state").to_owned(),
        };
        rows.push([
            harmless(text(one, "name")),
            state,
            revision.map_or("-".to_owned(), |revision| revision.to_string()),
            text(one, "since").to_owned(),
            one["pending"]["next_try"].as_str().unwrap_or("-").to_owned(),
            harmless(one["error"]["text"].as_str().unwrap_or("-")),
        ]);
    }
    for problem in document["problems"].as_array().into_iter().flatten() {
        let [name, error] = ["name", "text"].map(|field| harmless(text(problem, field)));
        let none = || "-".to_owned();
        rows.push([name, "not_loaded".to_owned(), none(), none(), none(), error]);
    }
    let length = |text: &String| text.chars().count();
    let widths: [usize; 6] =
        std::array::from_fn(|nth| rows.iter().map(|row| length(&row[nth])).max().unwrap_or(0));
    let mut shown = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string cannot fail.
            _ = write!(line, "{cell:<width$}  ");
        }
        let line = line.trim_end();
        match line.chars().count() > width {
            true => {
                shown.extend(line.chars().take(width.saturating_sub(1)));
                shown.push('…');
            }
            false => shown.push_str(line),
        }
        shown.push('\n');
    }
    if let Some(error) = document["backend"]["error"]["text"].as_str() {
        let (name, error) = (text(&document["backend"], "name"), harmless(error));
        _ = writeln!(shown, "the backend {name} does not answer: {error}");
    }
    shown
}

/// 0 if everything was read and can be used.
fn reload(asked: &Asked) -> anyhow::Result<Exit> {
    let reply = ask(&asked.socket, "POST", "/reload", None)?;
    let document = document(&reply)?;
    if reply.code == 200 {
        crate::show(b"the configuration and all resources were read again\n")?;
        return Ok(Exit::Success);
    }
    let mut lines = Vec::new();
    lines.extend(
        document["error"].as_str().map(|error| format!("the configuration in use stays: {error}")),
    );
    for problem in document["problems"].as_array().into_iter().flatten() {
        lines.push(format!("{}: {}", text(problem, "name"), text(problem, "text")));
    }
    let lines: Vec<_> = lines.iter().map(|line| harmless(line)).collect();
    bail!("{}", lines.join("\nconfd reload: "))
}

/// 0 if the resource is applied.
fn process(asked: &Asked) -> anyhow::Result<Exit> {
    let reply = ask(&asked.socket, "POST", &client::run_path(&asked.name), None)?;
    let name = harmless(&asked.name);
    match refused(&reply)? {
        None => {
            crate::show(format!("{name} is applied\n").as_bytes())?;
            Ok(Exit::Success)
        }
        Some(why) => bail!("{name}{why}"),
    }
}

/// Why a pass that confd was asked for has not applied its resource, to stand behind the name of the
/// resource; `None` if it has.
///
/// # Errors
/// confd has made no pass.
fn refused(reply: &Reply) -> anyhow::Result<Option<String>> {
    let document = document(reply)?;
    if let Some(error) = document["error"].as_str() {
        bail!("{}", harmless(error));
    }
    Ok(match (reply.code, document["error"]["text"].as_str()) {
        (200, _) => None,
        (_, Some(error)) => Some(format!(": {}", harmless(error))),
        (_, None) => Some(format!(" is not applied: its state is {}", text(&document, "state"))),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_of_the_table_is_not_longer_than_the_terminal_and_controls_nothing() {
        let resource = |name: &str, error: Value| {
            json!({
                "name": name, "state": "failed", "since": "2026-11-30T14:00:00Z",
                "applied": {"revision": 7}, "pending": {"next_try": null}, "error": error
            })
        };
        let error = json!({"text": format!("a\x1b[0m {}", "long ".repeat(40))});
        let resources = [resource("app", Value::Null), resource("b", error)];
        let document = json!({
            "resources": resources, "problems": [{"name": "c", "text": "bad"}], "backend": {}
        });
        let table = table(&document, 80);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines[0],
            "RESOURCE  STATE       REVISION  SINCE                 NEXT TRY  LAST ERROR"
        );
        assert_eq!(lines[1], "app       failed      7         2026-11-30T14:00:00Z  -         -");
        assert!(lines[2].contains(r"a\x1b[0m") && lines[2].ends_with('…'), "{table}");
        assert_eq!(lines[3], "c         not_loaded  -         -                     -         bad");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{table}");
    }
}
