//! Runs the examples of a document.

use std::{collections::BTreeSet, path::Path};

use crate::support::{Ended, Network, Sandbox, consul_with, is_excerpt};

use super::examples::{Example, Language, Outcome, World};

/// Runs confd once for each world of the examples. Returns the line and the fault of each example
/// whose result is wrong.
pub(super) fn faults(examples: &[Example]) -> Vec<(usize, String)> {
    let of_one_world = examples.chunk_by(|one, next| one.world == next.world);
    of_one_world.flat_map(faults_in_one_world).collect()
}

fn faults_in_one_world(examples: &[Example]) -> Vec<(usize, String)> {
    let sandbox = Sandbox::new();
    let world = &examples[0].world;
    for (nth, example) in examples.iter().enumerate() {
        let name = source(nth, example.language);
        sandbox.write(&format!("templates/{name}"), &example.template);
        let resource = resource(example, &name, &sandbox.path(&format!("out/{name}")));
        sandbox.write(&format!("conf.d/{name}.toml"), inside(&sandbox, world, resource));
    }
    for (name, text) in world.files.iter() {
        match name.strip_prefix('/') {
            Some(path) => sandbox.write(path, inside(&sandbox, world, text.clone())),
            None => sandbox.write(&format!("templates/{name}"), text),
        };
    }
    let mut run = sandbox.onetime_with(&world.keys);
    for line in world.environment.lines() {
        let (name, value) = line.split_once('=').expect("NAME=value");
        run = run.env(name, value);
    }
    let network = Network { hosts: &world.hosts, zone: &world.zone, is_bare: false };
    let services = world.services.to_string();
    let consul = |_: &crate::support::World| {
        (!services.is_empty()).then(|| consul_with(&sandbox, services.lines()))
    };
    let (ended, _) = run.run_in_after(&sandbox, network, consul);
    let mut faults = Vec::new();
    for (nth, example) in examples.iter().enumerate() {
        let name = source(nth, example.language);
        let given = std::fs::read(sandbox.path(&format!("out/{name}")))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|_| error(&ended, &sandbox, &name, example));
        if let Some(fault) = fault(&example.result, given) {
            faults.push((example.line, format!("{}{fault}", example.template)));
        }
    }
    faults
}

/// A text in which the folders of the machine's files are those of the sandbox.
fn inside(sandbox: &Sandbox, world: &World, text: String) -> String {
    let files =
        world.files.iter().filter_map(|(name, _)| Path::new(name.strip_prefix('/')?).parent());
    let folders: BTreeSet<_> = files.collect();
    folders.into_iter().fold(text, |text, folder| {
        let ours = sandbox.path(&folder.display().to_string());
        text.replace(&format!("/{}/", folder.display()), &format!("{}/", ours.display()))
    })
}

/// The name of template number `nth`.
fn source(nth: usize, language: Language) -> String {
    let end = match language {
        Language::Go => "tmpl",
        Language::Tera => "tera",
    };
    format!("example-{nth:03}.{end}")
}

/// The resource of an example: its own, but with this template, with a destination in the sandbox,
/// and without the commands that need its service. The check command is run.
fn resource(example: &Example, name: &str, destination: &Path) -> String {
    let written = example.resource.as_deref().unwrap_or("[template]\nkeys = [\"/\"]\n");
    // One item is enough for an example.
    let of_item = if written.contains("for_each") { "{{if false}}{{.name}}{{end}}" } else { "" };
    let dest = format!("{}{of_item}", destination.display());
    let ours = format!("[template]\nsrc = \"{name}\"\ndest = \"{dest}\"\n");
    let is_replaced = |line: &&str| {
        let key = line.split_once(" = ").map_or(*line, |(key, _)| key);
        matches!(
            key,
            "[template]" | "src" | "dest" | "reload_cmd" | "start_cmd" | "group_check_cmd"
        )
    };
    let kept = written.lines().filter(|line| !is_replaced(line));
    kept.fold(ours, |resource, line| resource + line + "\n")
}

/// What the log says about a template, as documents write it: the error and the excerpt below it,
/// with `example` as the template's name, the usual folder, and the destination that the resource names.
fn error(ended: &Ended, sandbox: &Sandbox, name: &str, example: &Example) -> String {
    let mut lines = ended.stderr.lines().skip_while(|line| !line.contains(name));
    let Some((_, event)) = lines.next().and_then(|line| line.split_once("]: ERROR ")) else {
        return ended.stderr.clone();
    };
    let excerpt = lines.take_while(|line| is_excerpt(line));
    let report: Vec<_> = std::iter::once(event).chain(excerpt).collect();
    let folder = sandbox.path("templates").display().to_string();
    let ours = sandbox.path(&format!("out/{name}")).display().to_string();
    let lines = example.resource.iter().flat_map(|resource| resource.lines());
    let mut values = lines.filter_map(|line| line.strip_prefix("dest = \"")?.strip_suffix('"'));
    let dest = values.next().unwrap_or(&ours);
    let stem = name.split('.').next().unwrap_or(name);
    report
        .join("\n")
        .replace(&ours, dest)
        .replace(&folder, "/etc/confd/templates")
        .replace(stem, "example")
}

/// What is wrong with a result: a text, or an error in its place.
fn fault(expected: &Outcome, given: Result<String, String>) -> Option<String> {
    let is_right = match (expected, &given) {
        (Outcome::Text(expected), Ok(given)) => given == expected,
        (Outcome::Like(expected), Ok(given)) => {
            let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
            shape(given) == shape(expected)
        }
        (Outcome::Error(expected), Err(given)) => {
            given.lines().next().is_some_and(|event| event.ends_with(expected))
        }
        (Outcome::Report(expected), Err(given)) => given == expected,
        _ => false,
    };
    let given = match given {
        Ok(text) => format!("gives:\n{text}"),
        Err(error) => format!("fails: {error}"),
    };
    (!is_right).then(|| match expected {
        Outcome::Text(expected) => format!("\nshould give:\n{expected}\nbut {given}"),
        Outcome::Like(expected) => format!("\nshould give the like of:\n{expected}\nbut {given}"),
        Outcome::Error(expected) | Outcome::Report(expected) => {
            format!("\nshould fail: {expected}\nbut {given}")
        }
    })
}
