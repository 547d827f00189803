//! What the live fork checks in place of a run: `-check-config`, `-validate` and `-preflight`.
//!
//! The log and the exit codes are the fork's. What is found comes from the same code as for `confd check`.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agent::{Agent, Part, Rehearsal, Resource};
use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use config::Dialect;
use options::Given;
use prove::{Checked, Finding, Named, Severity};
use source::{Configured as _, Interest, Refusal, Source};
use store::{Coverage, Key, Scope, Snapshot, View};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info, warn};
use world::Host;

use crate::{
    Exit, general, logging,
    prove::checked,
    setup::{Config, Usage},
    sources, srv,
};

/// The key that is read to learn whether the store answers. No other program has it.
const PROBE: &[u8] = b"/.confd-preflight";

/// What is checked in place of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checks {
    /// The resource files, or one of them.
    Config(Option<PathBuf>),
    /// The templates of the resource files, or of one of them, with this file of data.
    Validate(Option<PathBuf>, Option<PathBuf>),
    /// The store, for at most this time.
    Preflight(Duration),
}

impl Checks {
    /// What the options ask for; `None` for a run. As in the fork, the first of them counts.
    ///
    /// # Errors
    /// An option has no effect without a second one.
    pub(crate) fn asked(given: &Given) -> anyhow::Result<Option<Self>> {
        let path = |option| -> anyhow::Result<_> {
            let path: PathBuf = given.get(option)?;
            Ok(Some(path).filter(|path| !path.as_os_str().is_empty()))
        };
        let (resource, data) = (path(&general::RESOURCE)?, path(&general::MOCK_DATA)?);
        let limit = given.get(&general::PREFLIGHT_TIMEOUT)?;
        let is_of_config = given.get(&general::CHECK_CONFIG)?;
        let is_of_templates = given.get(&general::VALIDATE)? && !is_of_config;
        if data.is_some() && !is_of_templates {
            bail!(Usage("-mock-data is for -validate"));
        }
        if is_of_config {
            return Ok(Some(Checks::Config(resource)));
        }
        if is_of_templates {
            return Ok(Some(Checks::Validate(resource, data)));
        }
        if resource.is_some() {
            bail!(Usage("-resource is for -check-config and -validate"));
        }
        Ok(given.get(&general::PREFLIGHT)?.then_some(Checks::Preflight(limit)))
    }
}

/// Why checks did not succeed.
enum Fault {
    /// They could not be made.
    Stopped(anyhow::Error),
    /// What they found, as the log has it, and what the sum is.
    Found(Vec<String>, String),
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Fault::Stopped(error)
    }
}

/// Makes the checks, and says what they find.
pub(crate) async fn run(config: &mut Config, host: &Arc<dyn Host>) -> Exit {
    let done = match config.checks.clone() {
        Some(Checks::Config(only)) => check_config(config, only.as_deref()),
        Some(Checks::Validate(only, data)) => {
            validate(config, host, only.as_deref(), data.as_deref()).await
        }
        Some(Checks::Preflight(limit)) => preflight(config, host, limit).await,
        None => Ok(()),
    };
    let Err(fault) = done else { return Exit::Success };
    match (fault, config.dialect) {
        (Fault::Stopped(error), Dialect::Confd) => logging::fatal_error(&error),
        (Fault::Found(_, sum), Dialect::Confd) => logging::fatal(&sum),
        (Fault::Stopped(error), Dialect::Fork) => print_errors(&[format!("{error:#}")]),
        (Fault::Found(lines, _), Dialect::Fork) => print_errors(&lines),
    }
    Exit::Failure
}

/// Prints errors as the live fork ends with them.
pub(crate) fn print_errors(lines: &[String]) {
    /// What stands before each further line.
    const GAP: &str = "\n              ";

    let lines: Vec<_> = lines.iter().map(|line| report::harmless(line)).collect();
    crate::print(&mut std::io::stderr(), &format!("confd: error: {}\n", lines.join(GAP)));
}

/// The resource files that are checked.
fn files(config: &Config, checked: &Checked, only: Option<&Path>) -> anyhow::Result<Vec<PathBuf>> {
    let conf_d = config::conf_d(&config.settings.confdir);
    if !conf_d.exists() {
        bail!("config directory not found: {}", conf_d.display());
    }
    let Some(only) = only else { return Ok(checked.files.clone()) };
    let path = conf_d.join(only);
    let real = path.canonicalize().ok();
    let real = real.with_context(|| format!("resource file not found: {}", path.display()))?;
    let is_it = |file: &&PathBuf| file.canonicalize().is_ok_and(|file| file == real);
    let found = checked.files.iter().find(is_it).cloned();
    let found = found.with_context(|| {
        format!("{} is no resource file of {}", path.display(), conf_d.display())
    })?;
    Ok(vec![found])
}

/// The findings about a resource file for which `counts` holds, in the words of the fork.
fn found(file: &Path, checked: &Checked, counts: impl Fn(&Finding) -> bool) -> Vec<Named> {
    let is_of_file = |finding: &&Finding| finding.resource.as_deref() == Some(file);
    let findings = checked.findings.iter().filter(is_of_file).filter(|finding| counts(finding));
    prove::in_words_of_the_fork(file, findings)
}

/// Logs the findings about files, and the sum of them.
struct Tally {
    passed: usize,
    all: usize,
    lines: Vec<String>,
}

impl Tally {
    fn of(count: usize) -> Self {
        Tally { passed: 0, all: count, lines: Vec::new() }
    }

    /// Logs what was found about `file`.
    fn add(&mut self, file: &dyn Display, found: &[Named]) {
        for named in found {
            let excerpt = &named.excerpt;
            if named.severity == Severity::Warning {
                warn!(excerpt = %excerpt, "{named}");
                continue;
            }
            error!(excerpt = %excerpt, "{named}");
            self.lines.push(named.to_string());
        }
        if found.iter().all(|named| named.severity == Severity::Warning) {
            info!("OK: {file}");
            self.passed += 1;
        }
    }

    fn end(self, head: &str, what: &str) -> Result<(), Fault> {
        let Tally { passed, all, lines } = self;
        info!("{head} complete: {passed}/{all} {what}passed");
        match all - passed {
            0 => Ok(()),
            failed => Err(Fault::Found(lines, format!("{failed} of {all} {what}failed"))),
        }
    }
}

/// Checks the resource files and their templates.
fn check_config(config: &Config, only: Option<&Path>) -> Result<(), Fault> {
    let checked = checked(&config.settings);
    let files = files(config, &checked, only)?;
    say_empty(config, &files);
    let mut tally = Tally::of(files.len());
    for file in files {
        tally.add(&file.display(), &found(&file, &checked, |_| true));
    }
    tally.end("Validation", "files ")
}

fn say_empty(config: &Config, files: &[PathBuf]) {
    if files.is_empty() {
        let conf_d = config::conf_d(&config.settings.confdir);
        warn!("No configuration files found in {}", conf_d.display());
    }
}

/// Checks the templates, and renders them if there are data.
async fn validate(
    config: &Config,
    host: &Arc<dyn Host>,
    only: Option<&Path>,
    data: Option<&Path>,
) -> Result<(), Fault> {
    let data = match data {
        Some(path) => {
            let mock = Mock::read(path).map_err(|text| anyhow!("failed to load mock data: {text}"));
            Some((path, mock?))
        }
        None => None,
    };
    let checked = checked(&config.settings);
    let files = files(config, &checked, only)?;
    say_empty(config, &files);
    let rehearsal = match data {
        Some((path, mock)) => {
            // The findings say what cannot be loaded.
            logging::show(logging::Level::Panic);
            let source = sources::of_data(path.to_owned())?;
            let agent = Agent::new(config.settings.clone(), source, Arc::clone(host));
            let rehearsal = agent.with_queries(config.queries()).rehearsal();
            logging::show(config.level);
            let rehearsal = rehearsal.map_err(anyhow::Error::from)?;
            Some((rehearsal.with_data(mock.json), mock.keys))
        }
        None => None,
    };
    let mut tally = Tally::of(files.len());
    for file in files {
        let is_of_templates = |finding: &Finding| {
            matches!(finding.rule, "template" | "key-not-asked")
                || finding.severity == Severity::Error
        };
        let mut found = found(&file, &checked, is_of_templates);
        // Here it is not about fields.
        found.retain(|named| named.field.as_deref().is_none_or(|field| !field.starts_with("keys")));
        let has_failed = found.iter().any(|named| named.severity == Severity::Error);
        if let Some((rehearsal, keys)) = rehearsal.as_ref().filter(|_| !has_failed) {
            found.extend(rendered(rehearsal, &file, keys).await);
        }
        tally.add(&file.display(), &found);
    }
    tally.end("Template validation", "")
}

/// What is wrong with the rendering of the templates of a resource file.
async fn rendered(rehearsal: &Rehearsal, file: &Path, keys: &Snapshot) -> Vec<Named> {
    let is_of_file =
        |resource: &&Arc<Resource>| resource.parts().iter().any(|part| *part.path == *file);
    let mut found = Vec::new();
    for resource in rehearsal.resources().iter().filter(is_of_file) {
        let src = resource.parts().first().map_or(file, |part| &part.src);
        let named = |text: String, excerpt| Named {
            file: src.to_owned(),
            field: None,
            text,
            severity: Severity::Error,
            excerpt,
        };
        let rendering = match rehearsal.render(resource, keys).await {
            Ok(rendering) => rendering,
            Err(failure) => {
                let excerpt = failure.excerpt().cloned().unwrap_or_default();
                found.push(named(format!("template execution error: {failure}"), excerpt));
                continue;
            }
        };
        if let Some(failure) = &rendering.failed {
            let excerpt = failure.excerpt().cloned().unwrap_or_default();
            found.push(named(format!("template execution error: {failure}"), excerpt));
        }
        let malformed = rendering.files.into_iter().filter_map(|file| file.malformed);
        found.extend(malformed.map(|text| {
            let text = text.strip_prefix("output_format: ").unwrap_or(&text);
            let field = Some("output_format".to_owned());
            Named {
                field,
                ..named(format!("output validation failed: {text}"), Default::default())
            }
        }));
    }
    found
}

/// The file of `-mock-data`.
struct Mock {
    json: Bytes,
    keys: Snapshot,
}

impl Mock {
    /// # Errors
    /// The file cannot be read, or is no JSON object: a text for people.
    fn read(path: &Path) -> Result<Self, String> {
        let json = report::read_regular(path);
        let json: Bytes =
            json.map_err(|error| report::file_error_text("open", path, &error))?.into();
        match render::json_value(&json) {
            Ok(gotmpl::Value::Map(_)) => {}
            Ok(_) => return Err(format!("{}: it is no JSON object", path.display())),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
        let pairs = sources::pairs_of(&json, path).map_err(|error| format!("{error:#}"))?;
        let mut keys = Snapshot::new(Coverage::Text);
        for (key, value) in pairs {
            // A member such as "/app/port" is a path already.
            let names = key.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
            let key: Vec<u8> = names.flat_map(|name| [b"/", name].concat()).collect();
            keys.insert(key, value);
        }
        Ok(Mock { json, keys })
    }
}

/// Asks the store for the keys of the resources, for at most `limit`.
async fn preflight(
    config: &mut Config,
    host: &Arc<dyn Host>,
    limit: Duration,
) -> Result<(), Fault> {
    let (deadline, late) = (Instant::now() + limit, format!("no answer within {limit:?}"));
    info!("Running pre-flight checks...");
    info!("Checking global backend connectivity...");
    let connected = timeout_at(deadline, connected(config, host)).await;
    let source = connected
        .unwrap_or_else(|_| Err(anyhow!("{late}")))
        .map_err(|error| anyhow!("global backend connectivity failed: {error:#}"))?;
    info!("Global backend: OK");
    info!("Loading template resources...");
    let agent = Agent::new(config.settings.clone(), source, Arc::clone(host));
    let not_loaded = |text: &dyn Display| anyhow!("failed to load template resources: {text}");
    let rehearsal = agent.rehearsal().map_err(|failure| not_loaded(&failure))?;
    match rehearsal.problems() {
        [] => {}
        problems => {
            let texts: Vec<_> = problems.iter().map(|problem| problem.text.as_str()).collect();
            return Err(not_loaded(&texts.join("; ")).into());
        }
    }
    let resources = rehearsal.resources();
    info!("Templates: {} loaded", resources.iter().map(|it| it.parts().len()).sum::<usize>());
    if resources.is_empty() {
        warn!("No template resources found");
        return Ok(());
    }
    let templates = config::templates_folder(&config.settings.confdir);
    let src =
        |part: &Part| part.src.strip_prefix(&templates).unwrap_or(&part.src).display().to_string();
    let parts = || resources.iter().flat_map(|it| it.parts());
    for part in parts().filter(|part| !part.scope.backends().is_empty()) {
        let src = src(part);
        info!("Checking per-resource backend for {src}...");
        let probe = Scope::from_iter([Key::new(PROBE)]);
        let probe = Interest::from_iter([probe.of_backends(Arc::clone(part.scope.backends()))]);
        let source = config.source.open();
        let failed = |text: &dyn Display| {
            anyhow!("per-resource backend connectivity failed for {src}: {text}")
        };
        match timeout_at(deadline, source.read(&probe)).await {
            Err(_) => return Err(failed(&late).into()),
            Ok(Err(error)) if !error.is_refusal() => return Err(failed(&error).into()),
            Ok(Ok(answers)) => {
                // With several backends, one that does not answer refuses.
                let silent = answers.into_iter().find_map(|answer| answer.err());
                if let Some(refusal) = silent.filter(Refusal::is_transient) {
                    return Err(failed(&refusal).into());
                }
            }
            Ok(Err(_)) => {}
        }
        info!("Per-resource backend for {src}: OK");
    }
    info!("Checking key accessibility...");
    let answers = match timeout_at(deadline, rehearsal.read(resources)).await {
        Ok(Ok(answers)) => answers.into_iter().map(|it| it.map_err(|it| it.to_string())).collect(),
        Ok(Err(failure)) => vec![Err(failure.to_string()); resources.len()],
        Err(_) => vec![Err(late); resources.len()],
    };
    let mut failed = 0;
    let answers = resources.iter().zip(&answers);
    for (part, answer) in
        answers.flat_map(|(it, answer)| it.parts().iter().map(move |part| (part, answer)))
    {
        let src = src(part);
        let snapshot = match answer {
            Ok(snapshot) => snapshot,
            Err(text) => {
                error!("{src}: {text}");
                failed += 1;
                continue;
            }
        };
        let keys = View::new(snapshot.clone(), &part.scope, &part.prefix).iter().count();
        match keys {
            0 => warn!("{src}: no keys found for prefix {}", part.prefix),
            keys => info!("  {src}: {keys} keys found"),
        }
    }
    if failed > 0 {
        return Err(anyhow!("{failed} template(s) failed key accessibility check").into());
    }
    info!("Pre-flight checks completed successfully");
    Ok(())
}

/// The store, which has answered. A refusal is an answer.
async fn connected(config: &mut Config, host: &Arc<dyn Host>) -> anyhow::Result<Box<dyn Source>> {
    srv::discover_within(&mut config.source, host, Duration::ZERO).await?;
    let source = config.source.open();
    let probe = Interest::from_iter([Scope::from_iter([Key::new(PROBE)])]);
    match source.read(&probe).await {
        Err(error) if !error.is_refusal() => Err(anyhow!("{error}")),
        _ => Ok(source),
    }
}

#[cfg(test)]
mod tests {
    use options::{Layer, Value};

    use super::*;

    /// What these switches ask for, or the error.
    fn asked(switches: &[&str]) -> Result<Option<Checks>, String> {
        let mut layer = Layer::default();
        for name in switches {
            let option = crate::table::find(name).unwrap();
            let value = match option.kind {
                options::Kind::Switch => Value::Switch(true),
                _ => Value::Text("x".into()),
            };
            layer.set(option, value);
        }
        Checks::asked(&Given::new(vec![layer])).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_of_the_checks_counts() {
        let (config, validate) = (Checks::Config(None), Checks::Validate(None, None));
        assert_eq!(asked(&["preflight", "validate", "check-config"]), Ok(Some(config)));
        assert_eq!(asked(&["preflight", "validate"]), Ok(Some(validate)));
        let limit = Duration::from_secs(10);
        assert_eq!(asked(&["preflight", "onetime"]), Ok(Some(Checks::Preflight(limit))));
        assert_eq!(asked(&["onetime"]), Ok(None));
    }

    #[test]
    fn what_has_no_effect_with_the_first_of_them_is_refused() {
        let error = asked(&["check-config", "validate", "mock-data"]);
        assert_eq!(error, Err("-mock-data is for -validate".to_owned()));
        let error = asked(&["preflight", "resource"]);
        assert_eq!(error, Err("-resource is for -check-config and -validate".to_owned()));
    }
}
