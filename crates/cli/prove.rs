//! The commands that show what confd would do: `confd check`, `confd explain`, `confd render`, `confd plan` and
//! `confd test`.
//!
//! Each loads the configuration like a run, reads keys, and rehearses passes. What they find goes to
//! standard output, and everything about it to standard error.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use agent::{Agent, Rehearsal, RenderedFile, Resource};
use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use prove::{Checked, Checking, Edits, Finding, Planning, Secrets, Severity, Shown};
use source::Configured as _;
use world::{Host, With};

use crate::{
    DIFFERS, Exit,
    commands::{self, equals},
    environment,
    environment::Environment,
    logging::{self, Level, Notice},
    setup::{self, Config, Mode},
    show, sources, srv,
};

/// The exit code of a plan whose change a check would refuse.
const REFUSED: u8 = 4;

/// What is asked for.
struct Asked {
    words: commands::Asked,
    config: Config,
    /// What is probably not intended in the configuration.
    warnings: Vec<String>,
}

impl Asked {
    fn last(&self, name: &str) -> Option<&OsString> {
        self.words.last(name)
    }

    /// The one name that the command needs.
    fn name(&self) -> anyhow::Result<&str> {
        match &self.words.names[..] {
            [name] => Ok(name),
            _ => Err(self.words.command.usage()),
        }
    }

    fn conf_d(&self) -> PathBuf {
        config::conf_d(&self.config.settings.confdir)
    }
}

/// Runs the command.
pub(crate) fn run(words: commands::Asked) -> anyhow::Result<Exit> {
    let mut notices = Vec::new();
    let config = setup::load(&words.line, &Environment::of_process(), &mut notices)?;
    let warnings = notices.into_iter().filter_map(|notice| match notice {
        Notice::Warning(text) => Some(text),
        Notice::Info(_) => None,
    });
    let (command, warnings) = (words.command.name, warnings.collect());
    let mut asked = Asked { words, config, warnings };
    if command == "check" {
        return check(&asked);
    }
    let runtime = crate::runtime(Mode::Onetime)?;
    runtime.block_on(async {
        let host: Arc<dyn Host> = Arc::new(world::System::new());
        // What a run does is no news here.
        let level = match asked.config.level {
            Level::Info => Level::Warning,
            level => level,
        };
        logging::init(level, "confd", Arc::clone(&host));
        if command == "test" {
            return test(&asked, &host).await;
        }
        let rehearsal = rehearsal(&mut asked, host).await?;
        match command {
            "render" => render(&asked, &rehearsal).await,
            "explain" => explain(&asked, &rehearsal).await,
            _ => plan(&asked, &rehearsal).await,
        }
    })
}

/// What `confd check` finds in the resource files and the templates of these settings.
pub(crate) fn checked(settings: &agent::Settings) -> Checked {
    let host = world::System::new();
    let variables = config::Environment::new(move |name| host.variable(name));
    let search_path = environment("PATH").unwrap_or_default();
    let checking = Checking {
        confdir: &settings.confdir,
        conventions: &settings.conventions,
        environment: &variables,
        search_path: &search_path,
    };
    checking.checked()
}

/// Prints the mistakes of the configuration, the resource files and the templates.
fn check(asked: &Asked) -> anyhow::Result<Exit> {
    if !asked.words.names.is_empty() {
        return Err(asked.words.command.usage());
    }
    let of_configuration = asked.warnings.iter().map(|text| Finding {
        rule: "configuration",
        severity: Severity::Warning,
        file: None,
        resource: None,
        problem: config::Problem::from(text.clone()),
    });
    let checked = checked(&asked.config.settings);
    let findings: Vec<_> = of_configuration.chain(checked.distinct()).collect();
    let text = match asked.last("format").map(|format| format.as_bytes()) {
        None | Some(b"text") => prove::as_text(&findings),
        Some(b"json") => prove::as_json(&findings),
        Some(b"sarif") => prove::as_sarif(&findings, env!("CARGO_PKG_VERSION")),
        Some(_) => bail!("-format is text, json or sarif"),
    };
    show(text.as_bytes())?;
    let (errors, warnings) = prove::count(&findings);
    let fails = errors > 0 || (asked.words.has("strict") && warnings > 0);
    Ok(if fails { Exit::Failure } else { Exit::Success })
}

/// The resources, with the keys of the store or of `-data`.
async fn rehearsal(asked: &mut Asked, host: Arc<dyn Host>) -> anyhow::Result<Rehearsal> {
    let data = asked.last("data").map(PathBuf::from);
    let config = &mut asked.config;
    let source = match data {
        Some(path) => {
            if let Err(error) = path.metadata() {
                bail!("-data: {}", report::file_error_text("open", &path, &error));
            }
            sources::of_data(path)?
        }
        None => {
            srv::discover_within(&mut config.source, &host, config.wait).await?;
            config.source.open()
        }
    };
    let agent = Agent::new(config.settings.clone(), source, host);
    Ok(agent.with_queries(config.queries()).rehearsal()?)
}

/// Prints what a pass would write.
async fn render(asked: &Asked, rehearsal: &Rehearsal) -> anyhow::Result<Exit> {
    let name = asked.name()?;
    let resource = prove::find(rehearsal, &asked.conf_d(), name).map_err(|text| anyhow!(text))?;
    let snapshot = read_one(rehearsal, resource).await?;
    let rendering = rehearsal.render(resource, &snapshot).await?;
    if let Some(keys) = &rendering.kept {
        bail!("{name} has no new content, because keys are missing: {}", keys.join(", "));
    }
    let files = chosen(asked, &rendering.files, name)?;
    let mut out = Vec::new();
    match &files[..] {
        [file] => out.extend_from_slice(&file.content),
        files => {
            for (nth, file) in files.iter().enumerate() {
                let gap = if nth > 0 { "\n" } else { "" };
                writeln!(out, "{gap}==> {} <==", file.dest.display())?;
                out.extend_from_slice(&file.content);
            }
        }
    }
    show(&out)?;
    match rendering.failed {
        Some(failure) => Err(failure.into()),
        None => Ok(Exit::Success),
    }
}

/// Renders the cases of a folder, and compares them with what they expect.
async fn test(asked: &Asked, host: &Arc<dyn Host>) -> anyhow::Result<Exit> {
    let [folder, names @ ..] = &asked.words.names[..] else {
        return Err(asked.words.command.usage());
    };
    let cases = prove::cases(Path::new(folder)).map_err(|text| anyhow!(text))?;
    if cases.is_empty() {
        bail!(
            "there is no case in {folder}: a case is a folder with a file data.yaml or data.json"
        );
    }
    let cases = prove::named(cases, names)
        .map_err(|text| anyhow!("{text}; the cases are the folders in {folder}"))?;
    let updates = asked.words.has("update");
    let (config, conf_d) = (&asked.config, asked.conf_d());
    let mut results = Vec::new();
    for case in cases {
        let source = sources::of_data(case.data.clone())?;
        let variables = case.variables.iter().map(|(name, value)| {
            (Bytes::copy_from_slice(name.as_bytes()), Bytes::copy_from_slice(value.as_bytes()))
        });
        let host: Arc<dyn Host> = Arc::new(With::variables(Arc::clone(host), variables));
        let agent = Agent::new(config.settings.clone(), source, host);
        let rehearsal = agent.with_queries(config.queries()).rehearsal()?;
        let result = case.run(&rehearsal, &conf_d, config.differences.look, updates).await;
        show(&result.text())?;
        results.push(result);
    }
    crate::print(&mut io::stderr(), &format!("{}\n", prove::summary(&results)));
    if let Some(path) = asked.last("junit") {
        let path = Path::new(path);
        std::fs::write(path, prove::as_junit(&results))
            .map_err(|error| anyhow!(report::file_error_text("open", path, &error)))?;
    }
    let passed = results.iter().all(|result| result.problems.is_empty());
    Ok(if passed { Exit::Success } else { Exit::Failure })
}

/// The files that `-dest` and `-item` choose.
fn chosen<'f>(
    asked: &Asked,
    files: &'f [RenderedFile],
    name: &str,
) -> anyhow::Result<Vec<&'f RenderedFile>> {
    let (dest, item) = (asked.last("dest"), asked.last("item"));
    let found = files.iter().filter(|file| {
        let name = file.item.as_ref().map(store::Item::name);
        let is_item = |item: &OsString| name.as_deref().is_some_and(|it| it == item.as_bytes());
        dest.is_none_or(|dest| file.dest == Path::new(dest)) && item.is_none_or(is_item)
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() && (dest.is_some() || item.is_some()) {
        let known: Vec<_> = files.iter().map(|file| file.dest.display().to_string()).collect();
        bail!("{name} has no such file; its files are {}", known.join(", "));
    }
    Ok(found)
}

/// Prints the lines of files with the keys that made them.
async fn explain(asked: &Asked, rehearsal: &Rehearsal) -> anyhow::Result<Exit> {
    let name = asked.name()?;
    let numbered = name.rsplit_once(':').and_then(|(name, line)| Some((name, line.parse().ok()?)));
    let (name, line) = numbered.map_or((name, None), |(name, line): (_, usize)| (name, Some(line)));
    let resource = prove::find(rehearsal, &asked.conf_d(), name).map_err(|text| anyhow!(text))?;
    let snapshot = read_one(rehearsal, resource).await?;
    let rendering = rehearsal.render(resource, &snapshot).await?;
    let secrets = Secrets::of(&asked.config.differences.patterns, &resource.keys_of(&snapshot));
    let mut out = Vec::new();
    if snapshot.revision() != 0 {
        writeln!(out, "revision {}", snapshot.revision())?;
    }
    for file in chosen(asked, &rendering.files, name)? {
        let lines = prove::explain(rehearsal, resource, &snapshot, file, &secrets).await;
        if line.is_some_and(|line| line == 0 || line > lines.len()) {
            bail!("{} has {} lines", file.dest.display(), lines.len());
        }
        writeln!(out, "{}", file.dest.display())?;
        for it in lines.iter().filter(|it| line.is_none_or(|line| line == it.line)) {
            let text = String::from_utf8_lossy(&it.text);
            let keys: Vec<_> = it.keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
            let arrow = if keys.is_empty() { "" } else { "  <- " };
            writeln!(out, "{:>5} | {text}{arrow}{}", it.line, keys.join(", "))?;
        }
    }
    show(&out)?;
    Ok(Exit::Success)
}

async fn read_one(
    rehearsal: &Rehearsal,
    resource: &Arc<Resource>,
) -> anyhow::Result<store::Snapshot> {
    let mut snapshots = rehearsal.read(std::slice::from_ref(resource)).await?;
    Ok(snapshots.pop().context("the store gives no answer")??)
}

/// Prints what a change of keys would do.
async fn plan(asked: &Asked, rehearsal: &Rehearsal) -> anyhow::Result<Exit> {
    let edits = edits(asked)?;
    let resources = match &asked.words.names[..] {
        [] => rehearsal.resources().to_vec(),
        names => {
            let find = |name: &String| prove::find(rehearsal, &asked.conf_d(), name).cloned();
            names.iter().map(find).collect::<Result<_, _>>().map_err(|text| anyhow!(text))?
        }
    };
    let (look, patterns) = (asked.config.differences.look, &asked.config.differences.patterns);
    let folder = environment("TMPDIR").filter(|folder| !folder.is_empty());
    let scratch = &folder.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let planning = Planning { resources: &resources, edits: &edits, look, patterns, scratch };
    let plan = planning.plan(rehearsal).await?;
    for part in &plan.parts {
        match part {
            Shown::Diff(diff) => show(diff)?,
            Shown::Note(line) => crate::print(&mut io::stderr(), &format!("{line}\n")),
        }
    }
    crate::print(&mut io::stderr(), &format!("{}\n", plan.summary()));
    let has_problems = asked.words.names.is_empty() && !rehearsal.problems().is_empty();
    Ok(if plan.has_failed || has_problems {
        Exit::Failure
    } else if plan.refused > 0 {
        Exit::Code(REFUSED)
    } else if plan.files.sum() > 0 {
        Exit::Code(DIFFERS)
    } else {
        Exit::Success
    })
}

/// The change that is asked for.
fn edits(asked: &Asked) -> anyhow::Result<Edits> {
    let mut edits = Edits::default();
    for (name, value) in asked.words.own() {
        match name {
            "set" => {
                let bytes = value.as_bytes();
                let at = equals(bytes).with_context(|| {
                    format!("-set {} has no =: write -set KEY=VALUE", value.display())
                })?;
                let (key, value) = (&bytes[..at], &bytes[at + 1..]);
                edits.set.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            }
            "delete" => edits.delete.push(Bytes::copy_from_slice(value.as_bytes())),
            "from" => {
                let path = Path::new(value);
                let bytes = report::read_regular(path)
                    .map_err(|error| anyhow!(report::file_error_text("open", path, &error)))?;
                edits.set.extend(sources::pairs_of(&bytes.into(), path)?);
            }
            _ => {}
        }
    }
    if edits.is_empty() {
        bail!(
            "a plan is about a change of keys: give it by -set KEY=VALUE, -delete KEY or -from FILE. \
             What a pass would do without a change is shown by confd -onetime -noop -diff"
        );
    }
    Ok(edits)
}
