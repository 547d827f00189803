//! Tests of templates: keys, and the files that must come of them, side by side.
//!
//! A case is a folder with a file `data.yaml` (or `data.yml`, `data.json`), and a folder `expected` in which
//! each file stands under the path of its destination. A file `resources` names the resources of the case,
//! one in each line; without it, all are rendered. A file `env` has variables of the environment, one
//! `NAME=VALUE` in each line.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::{Rehearsal, Resource};
use bytes::Bytes;
use deploy::{FileState, Proposal, Target};

use crate::diff::{Look, unified};
use crate::find::find;
use crate::secrets::Secrets;

/// The names of the file of keys.
const DATA: [&str; 3] = ["data.yaml", "data.yml", "data.json"];

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The name of its folder.
    pub name: String,
    /// The file of its keys.
    pub data: PathBuf,
    /// The variables that templates and resource files get, besides those of the process.
    pub variables: Vec<(String, String)>,
    folder: PathBuf,
}

/// How a case ended.
#[derive(Debug)]
pub struct CaseResult {
    /// The name of the case.
    pub name: String,
    /// The diffs and the errors. A case without any has passed.
    pub problems: Vec<Fault>,
    /// The number of files that were written or removed by `-update`.
    pub updated: usize,
    took: Duration,
}

/// What is wrong with a case.
#[derive(Debug)]
pub struct Fault {
    /// As a person sees it.
    shown: Vec<u8>,
    /// The same without colours.
    plain: Vec<u8>,
}

impl From<String> for Fault {
    fn from(line: String) -> Self {
        let plain = format!("{line}\n").into_bytes();
        Fault { shown: plain.clone(), plain }
    }
}

/// The cases in a folder, in the order of their names.
///
/// # Errors
/// The folder, or a file `env` in it, cannot be read or understood: a text for people.
pub fn cases(folder: &Path) -> Result<Vec<Case>, String> {
    let unreadable = |error: io::Error| report::file_error_text("open", folder, &error);
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let folder = entry.path();
        let data = DATA.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        if let Some(data) = data {
            let name = entry.file_name().to_string_lossy().into_owned();
            let variables = variables(&folder.join("env"))?;
            cases.push(Case { name, data, variables, folder });
        }
    }
    cases.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(cases)
}

/// The variables in a file, which need not exist. Empty lines, and lines that begin with `#`, do not count.
fn variables(path: &Path) -> Result<Vec<(String, String)>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(report::file_error_text("open", path, &error)),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#')
    });
    let variable = |(nth, line): (usize, &str)| match line.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err(format!("{}:{}: write NAME=VALUE in each line", path.display(), nth + 1)),
    };
    lines.map(variable).collect()
}

/// The cases with these names; all, if there are none.
///
/// # Errors
/// There is no such case: a text for people, with what was probably meant.
pub fn named(cases: Vec<Case>, names: &[String]) -> Result<Vec<Case>, String> {
    for name in names {
        if !cases.iter().any(|case| case.name == *name) {
            let known = cases.iter().map(|case| case.name.as_str());
            let hint = report::did_you_mean(name, known).map(|hint| format!(", {hint}"));
            return Err(format!("there is no case {name:?}{}", hint.unwrap_or_default()));
        }
    }
    let is_named = |case: &Case| names.is_empty() || names.contains(&case.name);
    Ok(cases.into_iter().filter(is_named).collect())
}

impl Case {
    /// Renders the resources of the case with its keys, which `rehearsal` reads, and compares the files
    /// with those that are expected. With `updates`, the expected files become those that are rendered.
    pub async fn run(
        &self,
        rehearsal: &Rehearsal,
        conf_d: &Path,
        look: Look,
        updates: bool,
    ) -> CaseResult {
        let begun = Instant::now();
        let (mut problems, mut updated) = (Vec::new(), 0);
        let mut say = |text: String| problems.push(Fault::from(text));
        let made = self.rendered(rehearsal, conf_d, &mut say).await;
        let expected = self.folder.join("expected");
        let mut found = match files_below(&expected) {
            Ok(found) => found,
            Err(error) => {
                say(report::file_error_text("open", &expected, &error));
                Vec::new()
            }
        };
        let is_whole = problems.is_empty();
        for (path, content) in &made {
            found.retain(|it| it != path);
            let before = fs::read(path).ok().map(Bytes::from);
            if before.as_ref() == Some(content) {
                continue;
            }
            if updates {
                match write(path, content) {
                    Ok(()) => updated += 1,
                    Err(error) => {
                        let text = report::file_error_text("open", path, &error);
                        problems.push(text.into());
                    }
                }
            } else {
                problems.push(difference(path, before, Some(content.clone()), look));
            }
        }
        // What a resource that failed would have made is not known.
        for path in found.into_iter().filter(|_| is_whole) {
            if updates {
                updated += usize::from(fs::remove_file(&path).is_ok());
            } else {
                let before = fs::read(&path).ok().map(Bytes::from);
                problems.push(difference(&path, before, None, look));
            }
        }
        CaseResult { name: self.name.clone(), problems, updated, took: begun.elapsed() }
    }

    /// The files that are rendered, by their paths below `expected`.
    async fn rendered(
        &self,
        rehearsal: &Rehearsal,
        conf_d: &Path,
        say: &mut dyn FnMut(String),
    ) -> Vec<(PathBuf, Bytes)> {
        let mut resources: Vec<Arc<Resource>> = Vec::new();
        match fs::read_to_string(self.folder.join("resources")) {
            Ok(names) => {
                for name in names.lines().map(str::trim).filter(|name| !name.is_empty()) {
                    match find(rehearsal, conf_d, name) {
                        Ok(resource) => resources.push(Arc::clone(resource)),
                        Err(text) => say(text),
                    }
                }
            }
            Err(_) => {
                resources.extend(rehearsal.resources().iter().cloned());
                rehearsal.problems().iter().for_each(|problem| say(problem.text.clone()));
            }
        }
        let snapshots = match rehearsal.read(&resources).await {
            Ok(snapshots) => snapshots,
            Err(failure) => {
                say(failure.to_string());
                return Vec::new();
            }
        };
        let mut made = Vec::new();
        for (resource, snapshot) in resources.iter().zip(snapshots) {
            let rendering = match snapshot {
                Ok(snapshot) => rehearsal.render(resource, &snapshot).await,
                Err(failure) => Err(failure),
            };
            match rendering {
                Ok(rendering) => {
                    if let Some(failure) = rendering.failed {
                        say(format!("{}: {failure}", resource.name()));
                    }
                    for file in rendering.files {
                        if let Some(text) = file.malformed {
                            say(format!("{}: {text}", file.dest.display()));
                        }
                        made.push((self.place_of(&file.dest), file.content));
                    }
                }
                Err(failure) => say(format!("{}: {failure}", resource.name())),
            }
        }
        made
    }

    /// Where the file of a destination is expected.
    fn place_of(&self, dest: &Path) -> PathBuf {
        let names = dest.components().filter(|part| matches!(part, Component::Normal(_)));
        names.fold(self.folder.join("expected"), |path, name| path.join(name))
    }
}

impl CaseResult {
    /// The result for people: one line, and what is wrong.
    pub fn text(&self) -> Vec<u8> {
        let word = match (self.problems.is_empty(), self.updated) {
            (false, _) => "FAIL",
            (true, 0) => "ok  ",
            (true, _) => "new ",
        };
        let head = format!("{word} {}\n", self.name).into_bytes();
        let shown = self.problems.iter().map(|fault| fault.shown.clone());
        [head].into_iter().chain(shown).flatten().collect()
    }
}

/// The last line: the numbers of cases.
pub fn summary(results: &[CaseResult]) -> String {
    let failed = results.iter().filter(|result| !result.problems.is_empty()).count();
    let updated: usize = results.iter().map(|result| result.updated).sum();
    let written = match updated {
        0 => String::new(),
        count => format!("; expected files written or removed: {count}"),
    };
    format!("cases: {} passed, {failed} failed{written}", results.len() - failed)
}

/// The results in the form JUnit, which servers of continuous integration read.
pub fn as_junit(results: &[CaseResult]) -> String {
    let failed = results.iter().filter(|result| !result.problems.is_empty()).count();
    let count = results.len();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuite name=\"confd test\" tests=\"{count}\" failures=\"{failed}\">\n"
    );
    for result in results {
        let (name, time) = (escaped(&result.name), result.took.as_secs_f64());
        text += &format!("  <testcase name=\"{name}\" time=\"{time:.3}\"");
        if result.problems.is_empty() {
            text += "/>\n";
            continue;
        }
        let plain = result.problems.iter().map(|fault| String::from_utf8_lossy(&fault.plain));
        let problems = escaped(&plain.collect::<String>());
        text += &format!(
            ">\n    <failure message=\"the files differ\">{problems}</failure>\n  </testcase>\n"
        );
    }
    text + "</testsuite>\n"
}

/// A text as XML, without characters that XML does not have.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '"' => escaped += "&quot;",
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.extend(c.escape_default()),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The files below a folder, which need not exist.
fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut files, mut pending) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = pending.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => pending.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files.sort();
    Ok(files)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, content)
}

fn difference(path: &Path, before: Option<Bytes>, after: Option<Bytes>, look: Look) -> Fault {
    let state = |content| FileState { content, mode: 0, uid: 0, gid: 0 };
    let (target, before, after) =
        (Arc::new(Target::new(path)), before.map(state), after.map(state));
    // The keys are those of a test, which shows everything.
    let proposal = Proposal { target, before, after, is_change: true };
    let diff = |look| unified(&proposal, &Secrets::default(), look);
    Fault { shown: diff(look), plain: diff(Look { color: false, ..look }) }
}
