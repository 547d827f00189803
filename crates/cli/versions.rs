//! `confd history`, `confd rollback` and `confd release`: the kept versions of a resource, for
//! people.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use agent::{Resource, versions};
use anyhow::{Context as _, bail};
use config::{BrokenGroup, Group};
use deploy::{HeldBy, Level, Observer, Step};
use report::did_you_mean;
use serde_json::json;
use state_folder::StateFolder;
use world::{Host as _, time::utc_text};

use crate::{
    Exit, commands,
    environment::Environment,
    outside, remote,
    setup::{self, Mode},
};

/// What is asked for.
struct Asked {
    name: String,
    to: Option<u64>,
    /// Whether a program reads the answer.
    is_json: bool,
    settings: agent::Settings,
    /// The control socket of the confd that runs, if it has one.
    socket: PathBuf,
}

/// Runs the command.
pub(crate) fn run(words: commands::Asked) -> anyhow::Result<Exit> {
    let [name] = &words.names[..] else { return Err(words.command.usage()) };
    let to = words.last("to").map(|number| number.to_str().and_then(|text| text.parse().ok()));
    let to = to.map(|number| number.context("-to is followed by the number of a version"));
    let setup = setup::load(&words.line, &Environment::of_process(), &mut Vec::new())?;
    let (settings, socket) = (setup.settings, setup.control);
    let socket = socket.unwrap_or_else(|| outside::USUAL.into());
    let (name, is_json) = (name.clone(), words.has("json"));
    let asked = Asked { name, to: to.transpose()?, is_json, settings, socket };
    let resource = find(&asked)?;
    let text = match words.command.name {
        "history" => history(&asked, &resource),
        "rollback" => roll_back(&asked, &resource),
        _ => release(&asked, &resource),
    }?;
    crate::show(text.as_bytes())?;
    Ok(Exit::Success)
}

/// The resource of this name, or of this path of its file.
fn find(Asked { name, settings, .. }: &Asked) -> anyhow::Result<Resource> {
    let host = world::System::new();
    let environment = config::Environment::new(move |name| host.variable(name));
    let loaded = config::load(&settings.confdir, &settings.conventions, &environment)?;
    let conf_d = config::conf_d(&settings.confdir);
    let is_file = |path: &Path| {
        let found = config::name(path, &conf_d);
        found == *name
            || path == Path::new(name)
            || name.strip_suffix(".toml").is_some_and(|name| name == found)
    };
    let is_it = |group: &Group| {
        *group.name == **name || group.resources.iter().any(|resource| is_file(&resource.path))
    };
    let names: Vec<Arc<str>> = loaded.groups.iter().map(|group| Arc::clone(&group.name)).collect();
    match loaded.groups.into_iter().find(is_it) {
        Some(group) => Ok(Resource::try_from(group)?),
        None => {
            let of_group =
                |it: &BrokenGroup| *it.name == **name || it.paths.iter().any(|path| is_file(path));
            if let Some(broken) = loaded.broken_groups.into_iter().find(of_group) {
                return Err(broken.problem.into());
            }
            let mut files = loaded.files.into_iter();
            if let Some(problem) = files.find_map(|(path, it)| it.filter(|_| is_file(&path))) {
                return Err(problem.into());
            }
            let hint = did_you_mean(name, names.iter().map(|name| &**name));
            let hint = hint.map_or(String::new(), |hint| format!(", {hint}"));
            let conf_d = conf_d.display();
            bail!("there is no resource {} in {conf_d}{hint}", gotmpl::quote(name.as_bytes()))
        }
    }
}

fn state(asked: &Asked) -> anyhow::Result<&StateFolder> {
    let hint =
        "there is no state folder: -state-dir names the one of the confd that keeps versions";
    asked.settings.state.as_ref().context(hint)
}

fn history(asked: &Asked, resource: &Resource) -> anyhow::Result<String> {
    let state = state(asked)?;
    let history = versions::history(state, resource)?;
    if asked.is_json {
        return Ok(format!("{:#}\n", json(resource, &history)));
    }
    let mut text = String::new();
    if let Some(hold) = &history.hold {
        let since = utc_text(hold.since);
        let dest = resource.dest_names();
        let line = match hold.by {
            HeldBy::Person => format!("{dest} is held since {since}: confd release ends that"),
            HeldBy::Failure => {
                format!("a newer content of {dest} is not tried: its reload failed at {since}")
            }
        };
        text = line + "\n";
    }
    if history.versions.is_empty() {
        _ = writeln!(text, "{}", versions::why_none(state, resource));
        return Ok(text);
    }
    let is_held = history.hold.as_ref().is_some_and(|hold| hold.by == HeldBy::Person);
    for versions::Listed { version, is_in_place } in &history.versions {
        let bytes: usize = version.files.iter().map(|file| file.content.len()).sum();
        let mark = match (is_in_place, is_held) {
            (true, true) => "held",
            (true, false) => "in place",
            (false, _) => "",
        };
        let woke = printable(&version.woke);
        let (number, at) = (version.number, utc_text(version.at));
        let revision = match version.revision {
            0 => String::new(),
            revision => format!("revision {revision}  "),
        };
        let line = format!("{number:>6}  {at}  {revision}{bytes} bytes  {mark:<8}  {woke}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Ok(text)
}

/// A history for programs. The contents of the files are not in it.
fn json(resource: &Resource, history: &versions::History) -> serde_json::Value {
    let hold = history.hold.as_ref().map(|hold| {
        let by = match hold.by {
            HeldBy::Person => "person",
            HeldBy::Failure => "failure",
        };
        json!({ "by": by, "since": utc_text(hold.since) })
    });
    let versions = history.versions.iter().map(|versions::Listed { version, is_in_place }| {
        let bytes: usize = version.files.iter().map(|file| file.content.len()).sum();
        let revision = Some(version.revision).filter(|revision| *revision != 0);
        let mut listed = json!({
            "number": version.number,
            "at": utc_text(version.at),
            "revision": revision,
            "bytes": bytes,
            "keys": version.keys,
            "changed": version.woke,
            "in_place": is_in_place,
        });
        // What is not known is not there.
        if let Some(fields) = listed.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        listed
    });
    json!({
        "resource": resource.name().as_ref(),
        "files": resource.dests().map(|dest| dest.to_string_lossy()).collect::<Vec<_>>(),
        "hold": hold,
        "versions": versions.collect::<Vec<_>>(),
    })
}

fn roll_back(asked: &Asked, resource: &Resource) -> anyhow::Result<String> {
    let state = state(asked)?;
    let runtime = crate::runtime(Mode::Onetime)?;
    let observer: Arc<dyn Observer> = Arc::new(show);
    let done = versions::roll_back(state, resource, asked.to, &observer, &asked.settings);
    let number = runtime.block_on(done)?;
    let (dest, name) = (resource.dest_names(), resource.name());
    Ok(format!(
        "{dest} is version {number} again, and stays so until its content changes or confd release \
         {name} ends that\n"
    ))
}

/// Shows warnings and errors.
fn show(step: &Step<'_>) {
    if step.level() >= Level::Warning {
        crate::print(&mut io::stderr(), &format!("{step}\n"));
    }
}

/// Ends the hold, and has the confd that runs make a pass, because nothing has changed that would wake
/// it.
fn release(Asked { socket, .. }: &Asked, resource: &Resource) -> anyhow::Result<String> {
    let (dest, name) = (resource.dest_names(), resource.name());
    if !versions::release(resource)? {
        return Ok(format!("the resource {name} is not held\n"));
    }
    match remote::pass_now(socket, name) {
        Ok(true) => Ok(format!("{dest} has its newest content\n")),
        Ok(false) => Ok(format!(
            "{dest} gets its newest content with the next pass of confd, which SIGHUP starts at once; \
             where confd has a control socket, -control-socket names it, and confd release starts the pass\n"
        )),
        Err(error) => bail!("the resource {name} is not held any more, and {error}"),
    }
}

/// A text with names of keys, which can have any characters, without those that a terminal obeys.
fn printable(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}
