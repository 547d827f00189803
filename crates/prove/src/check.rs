//! Finds all mistakes of a configuration at once, without a store.
//!
//! A file is loaded by the same code as in a run: what a run refuses is an error here, and what it warns
//! about is a warning. Then there is what a run would notice only later: templates that cannot be compiled,
//! commands that do not exist, folders that are missing, and keys that `keys` does not ask for.

mod commands;
mod templates;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use agent::{Part, Resource};
use config::{BrokenGroup, Conventions, Environment, Problem};
use report::Excerpt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A run would fail because of it.
    Error,
    /// It is probably not intended.
    Warning,
}

impl Severity {
    /// The word for it, in texts, JSON and SARIF.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A mistake, or something that is probably one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of mistake it is: a stable word for programs, one of [`RULES`].
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file that it is about, if it is about one.
    pub file: Option<PathBuf>,
    /// The resource file because of which it was looked at.
    pub resource: Option<PathBuf>,
    /// The text, the place and the hint.
    pub problem: Problem,
}

/// The kinds of findings, each with what it is about.
pub const RULES: [(&str, &str); 8] = [
    ("configuration", "confd.toml, the environment and the command line"),
    ("resource", "a resource file that cannot be used"),
    ("resource-warning", "a resource file with something that is probably not intended"),
    ("template", "a template that is missing or cannot be compiled, or a file that it includes"),
    ("command", "a command whose template or program is not right"),
    ("missing-folder", "the folder of a destination does not exist"),
    ("key-not-asked", "a template names a key that keys does not ask for"),
    ("no-resources", "there is nothing to do"),
];

/// What is checked.
pub struct Checking<'a> {
    /// The folder that holds `conf.d` and `templates`.
    pub confdir: &'a Path,
    /// How the resource files are understood.
    pub conventions: &'a Conventions,
    /// The variables that they use.
    pub environment: &'a Environment,
    /// The folders in which programs are looked for, as in `PATH`.
    pub search_path: &'a OsStr,
}

/// What was checked, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The resource files, in processing order.
    pub files: Vec<PathBuf>,
    /// The findings, sorted by file and line. What concerns several resources is there for each.
    pub findings: Vec<Finding>,
}

impl Checking<'_> {
    /// Checks everything. Nothing is written, no command runs, and no store is asked.
    pub fn checked(&self) -> Checked {
        let (mut findings, mut files) = (Findings::default(), Vec::new());
        self.collect(&mut files, &mut findings);
        let mut findings = findings.found;
        findings.sort_by_cached_key(|finding| {
            let place = finding.problem.excerpt.place();
            let place = place.map_or((0, None), |(_, line, column)| (line, column));
            (
                finding.path().map(Path::to_owned),
                place,
                finding.severity,
                finding.problem.text.clone(),
            )
        });
        Checked { files, findings }
    }

    fn collect(&self, files: &mut Vec<PathBuf>, findings: &mut Findings) {
        let conf_d = config::conf_d(self.confdir);
        let loaded = match config::load(self.confdir, self.conventions, self.environment) {
            Ok(loaded) => loaded,
            Err(problem) => return findings.error("resource", Some(&conf_d), problem),
        };
        for problem in loaded.closed {
            findings.warning("resource-warning", None, problem);
        }
        for (path, problem) in loaded.broken {
            findings.error_of("resource", &path, problem);
            files.push(path);
        }
        if loaded.files.is_empty() {
            let text = match loaded.without_confdir {
                true => format!("confdir {} does not exist", self.confdir.display()),
                false => format!("there is no resource in {}", conf_d.display()),
            };
            let excerpt = Excerpt::default().hinting(loaded.hint);
            findings.warning("no-resources", Some(&conf_d), Problem { text, excerpt });
        }
        for (path, problem) in loaded.files {
            if let Some(problem) = problem {
                findings.error_of("resource", &path, problem);
            }
            files.push(path);
        }
        for BrokenGroup { paths, problem, .. } in loaded.broken_groups {
            let first = paths.first().map(PathBuf::as_path);
            for path in &paths {
                findings.resource = Some(path.clone());
                findings.error("resource", first, problem.clone());
            }
        }
        let templates = config::templates_folder(self.confdir);
        for group in loaded.groups {
            let path = group.resources.first().map(|resource| resource.path.clone());
            match Resource::try_from(group) {
                Ok(resource) => {
                    resource.parts().iter().for_each(|part| self.part(part, &templates, findings));
                    commands::check_group(&resource, self.search_path, findings);
                }
                Err(problem) => {
                    findings.resource.clone_from(&path);
                    findings.error("resource", path.as_deref(), problem);
                }
            }
        }
    }

    fn part(&self, part: &Part, folder: &Path, findings: &mut Findings) {
        findings.resource = Some(part.path.clone());
        templates::check(part, folder, findings);
        for warning in &part.warnings {
            findings.warning("resource-warning", Some(&part.path), warning.clone());
        }
        let folder = part.dest.parent().filter(|folder| !folder.as_os_str().is_empty());
        if part.for_each.is_none()
            && part.make_directories.is_none()
            && let Some(folder) = folder
            && !folder.is_dir()
        {
            let text = format!("the folder of dest does not exist: {}", folder.display());
            let hint = "make_directories = true creates it".to_owned();
            let excerpt = place_of(&part.path, "dest", None).hinting(Some(hint));
            findings.warning("missing-folder", Some(&part.path), Problem { text, excerpt });
        }
        commands::check(part, self.search_path, findings);
    }
}

impl Checked {
    /// The findings, each once, although several resources can have it, such as the mistake of a template.
    pub fn distinct(mut self) -> Vec<Finding> {
        let of_none = |finding: &Finding| Finding { resource: None, ..finding.clone() };
        self.findings.dedup_by(|one, other| of_none(one) == of_none(other));
        self.findings
    }
}

impl Finding {
    /// The file that the finding is about: that of its place, if it has one.
    pub fn path(&self) -> Option<&Path> {
        let place = self.problem.excerpt.place();
        place.map(|(path, ..)| Path::new(path)).or(self.file.as_deref())
    }
}

/// The findings so far.
#[derive(Default)]
struct Findings {
    found: Vec<Finding>,
    /// The resource file that is looked at.
    resource: Option<PathBuf>,
}

impl Findings {
    fn error(&mut self, rule: &'static str, file: Option<&Path>, problem: Problem) {
        self.add(rule, Severity::Error, file, problem);
    }

    /// An error of a resource file.
    fn error_of(&mut self, rule: &'static str, resource: &Path, problem: Problem) {
        self.resource = Some(resource.to_owned());
        self.error(rule, Some(resource), problem);
    }

    fn warning(&mut self, rule: &'static str, file: Option<&Path>, problem: Problem) {
        self.add(rule, Severity::Warning, file, problem);
    }

    fn add(
        &mut self,
        rule: &'static str,
        severity: Severity,
        file: Option<&Path>,
        problem: Problem,
    ) {
        let (file, resource) = (file.map(Path::to_owned), self.resource.clone());
        self.found.push(Finding { rule, severity, file, resource, problem });
    }
}

/// An excerpt with the first line of a resource file that sets `key`, at the place of `text` in it.
fn place_of(path: &Path, key: &str, text: Option<&str>) -> Excerpt {
    let Ok(source) = report::read_regular(path) else { return Excerpt::default() };
    let lines = source.split(|&byte| byte == b'\n').enumerate();
    let sets = |line: &[u8]| {
        let rest = line.trim_ascii_start().strip_prefix(key.as_bytes());
        rest.is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b'='))
    };
    let place = lines.filter(|(_, line)| sets(line)).find_map(|(nth, line)| {
        let start = line.len() - line.trim_ascii_start().len();
        let column = match text {
            Some(text) => String::from_utf8_lossy(line).find(text)?,
            None => start,
        };
        Some(report::Place { path, source: &source, line: nth + 1, column: Some(column) })
    });
    place.map_or_else(Excerpt::default, Excerpt::of)
}
