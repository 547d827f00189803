//! Functions that use the machine: variables, the clock, programs, files to write, and templates
//! that the source defines.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gotmpl::{Failure, Functions, Limits, Rest, Value};
use report::errno_text;
use world::time::Location;

use super::Context;
use crate::owner;
use render::library::values::lossy;

/// How deeply `executeTemplate` may nest. Each call uses the stack of the thread.
const DEEPEST: usize = 200;
/// The time that a program of `plugin` may take.
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// The time between two looks at a program that runs.
const POLL: Duration = Duration::from_millis(2);

pub(super) fn add(functions: &mut Functions<Context>) {
    functions
        .add("env", |context: &Context, name: Bytes| variable(context, &name).unwrap_or_default());
    functions.add("mustEnv", |context: &Context, name: Bytes| {
        let value = variable(context, &name).filter(|value| !value.is_empty());
        value.ok_or_else(|| {
            Failure::new(format!("required environment variable {} is empty", lossy(&name)))
        })
    });
    functions.add("envOrDefault", |context: &Context, name: Bytes, default: Bytes| {
        variable(context, &name).unwrap_or(default)
    });
    functions.add("timestamp", |context: &Context, layouts: Rest<Bytes>| {
        let now = context.machine.host.now().at(Location::Utc);
        match &*layouts.0 {
            [] => Ok(now.format(b"2006-01-02T15:04:05Z07:00")),
            [layout] if layout == "unix" => Ok(now.unix().to_string().into_bytes()),
            [layout] => Ok(now.format(layout)),
            more => Err(Failure::new(format!(
                "timestamp: wrong number of arguments, expected 0 or 1, but got {}",
                more.len()
            ))),
        }
    });
    functions.add("executeTemplate", execute_template);
    functions.add("plugin", |context: &Context, name: Bytes, arguments: Rest<Bytes>| {
        plugin(context, &lossy(&name), &arguments.0)
    });
    functions.add(
        "writeToFile",
        |_: &Context, path: Bytes, user: Bytes, group: Bytes, rest: Rest<Bytes>| {
            write_to_file(&lossy(&path), &lossy(&user), &lossy(&group), &rest.0)
        },
    );
}

/// A variable: as the configuration exports it, or else of the process.
fn variable(context: &Context, name: &Bytes) -> Option<Bytes> {
    let exported = context.machine.exported.iter().find(|(known, _)| known.as_bytes() == name);
    if let Some((_, value)) = exported {
        return Some(Bytes::copy_from_slice(value.as_bytes()));
    }
    let all = &context.machine.environment;
    let found = all.iter().find(|(known, _)| known.as_encoded_bytes() == name);
    found.map(|(_, value)| Bytes::copy_from_slice(value.as_encoded_bytes()))
}

fn execute_template(context: &Context, name: Bytes, dots: Rest<Value>) -> Result<Bytes, Failure> {
    let count = dots.0.len();
    if count > 1 {
        let text = "executeTemplate: wrong number of arguments, expected 1 or 2, but got";
        return Err(Failure::new(format!("{text} {}", count + 1)));
    }
    let dot = dots.0.into_iter().next().unwrap_or_default();
    if context.depth.get() >= DEEPEST {
        return Err(Failure::new(format!("executeTemplate: nested more than {DEEPEST} deep")));
    }
    context.depth.set(context.depth.get() + 1);
    let mut out = Vec::new();
    let template = &context.template;
    let executed = template.execute_defined(&name, Limits::default(), context, dot, &mut out);
    context.depth.set(context.depth.get() - 1);
    match executed {
        None => Err(Failure::new(format!(
            "template: no template {:?} associated with template \"\"",
            lossy(&name)
        ))),
        Some(Err(error)) => Err(Failure::new(error.to_string())),
        Some(Ok(())) => Ok(out.into()),
    }
}

/// Runs a program and returns what it prints.
#[expect(
    clippy::disallowed_methods,
    reason = "a template waits for the program; nothing else runs"
)]
fn plugin(context: &Context, name: &str, arguments: &[Bytes]) -> Result<String, Failure> {
    if name.is_empty() {
        return Ok(String::new());
    }
    let arguments = arguments.iter().map(lossy).map(|text| text.trim().to_owned());
    let arguments: Vec<_> = arguments.filter(|text| !text.is_empty()).collect();
    let failed = |why: String, out: &str, err: &str| {
        Failure::new(format!("exec {name:?}: {why}\n\nstdout:\n\n{out}\n\nstderr:\n\n{err}"))
    };
    let variables = context.machine.environment.iter().cloned();
    let started = Command::new(name)
        .args(&arguments)
        .env_clear()
        .envs(variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound if !name.contains('/') => {
            failed(format!("exec: {name:?}: executable file not found in $PATH"), "", "")
        }
        _ => failed(format!("fork/exec {name}: {}", errno_text(&cause)), "", ""),
    })?;
    let out = reader(child.stdout.take());
    let err = reader(child.stderr.take());
    let end = Instant::now() + PLUGIN_TIMEOUT;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {
                let is_stopping = context.machine.pending.is_stopping();
                if !is_stopping && Instant::now() < end {
                    std::thread::sleep(POLL);
                    continue;
                }
                // The program may have ended just now.
                let _ = child.kill();
                let _ = child.wait();
                let why = if is_stopping { "killed by a signal" } else { "did not finish in 30s" };
                return Err(failed(why.to_owned(), "", ""));
            }
            Err(cause) => return Err(failed(errno_text(&cause), "", "")),
        }
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    match status.code() {
        Some(0) => Ok(out.trim().to_owned()),
        Some(code) => Err(failed(format!("exit status {code}"), &out, &err)),
        None => Err(failed(format!("{status}"), &out, &err)),
    }
}

/// Reads a pipe on a thread of its own, so that the program never waits for a reader.
fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut content = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is better than nothing.
            let _ = pipe.read_to_end(&mut content);
        }
        String::from_utf8_lossy(&content).into_owned()
    })
}

/// Writes a file. `rest` has the permissions, perhaps flags, and the content.
fn write_to_file(path: &str, user: &str, group: &str, rest: &[Bytes]) -> Result<Bytes, Failure> {
    let (mode, flags, content) = match rest {
        [mode, content] => (lossy(mode), String::new(), content),
        [mode, flags, .., content] => (lossy(mode), lossy(flags), content),
        _ => return Err(Failure::new("writeToFile: wrong number of arguments")),
    };
    let fail = |operation: &str, cause: io::Error| {
        Failure::new(format!("{operation} {path}: {}", errno_text(&cause)))
    };
    let mode_bits = u32::from_str_radix(&mode, 8).map_err(|_| {
        Failure::new(format!("strconv.ParseUint: parsing {mode:?}: invalid syntax"))
    })?;
    let has = |wanted: &str| flags.split(',').any(|flag| flag.trim() == wanted);
    let file = Path::new(path);
    for link in [file.parent(), Some(file)].into_iter().flatten() {
        if fs::symlink_metadata(link).is_ok_and(|found| found.is_symlink()) {
            return Err(Failure::new(format!("{}: is a symbolic link", link.display())));
        }
    }
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|cause| fail("mkdir", cause))?;
    }
    let mut options = OpenOptions::new();
    options.create(true);
    match has("append") {
        true => options.append(true),
        false => options.write(true).truncate(true),
    };
    let mut opened = options.open(file).map_err(|cause| fail("open", cause))?;
    opened.write_all(content).map_err(|cause| fail("write", cause))?;
    if has("newline") {
        opened.write_all(b"\n").map_err(|cause| fail("write", cause))?;
    }
    let permissions = fs::Permissions::from_mode(mode_bits & 0o777);
    opened.set_permissions(permissions).map_err(|cause| fail("chmod", cause))?;
    let (uid, gid) = (owner::user(Some(user)), owner::group(Some(group)));
    let (uid, gid) = (uid.map_err(Failure::from)?, gid.map_err(Failure::from)?);
    if uid.is_some() || gid.is_some() {
        chown(file, uid, gid).map_err(|cause| fail("chown", cause))?;
    }
    Ok(Bytes::new())
}
