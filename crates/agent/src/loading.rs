//! Loads the resources whenever a driver asks for them, and logs problems of their files.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use config::{BrokenGroup, Conventions, Environment, Group, Problem};
use report::Excerpt;
use source::Source;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::{
    event::{Event, LoadProblem, Reader},
    failure::Failure,
    resource::Resource,
};

/// The time after which a problem that is still there is reported again, if resources are loaded
/// at that time.
const REMINDER: Duration = Duration::from_secs(60);

/// Loads resources, and remembers which problems it has reported.
#[derive(Default)]
pub(crate) struct Loading {
    /// The warnings about resources that were logged. Each is logged once, although resources may
    /// be loaded in every pass.
    warned: HashSet<String>,
    /// The problems of the last loading, each with the time of its last report.
    reported: HashMap<String, Instant>,
}

/// The content of `conf.d`.
#[derive(Default)]
pub(crate) struct Loaded {
    /// The valid resources, in processing order.
    pub(crate) resources: Vec<Arc<Resource>>,
    /// The invalid resource files.
    pub(crate) broken: Vec<Broken>,
    /// Whether there are no resources because `confdir` itself does not exist.
    pub(crate) without_confdir: bool,
}

/// An invalid resource file.
pub(crate) struct Broken {
    pub(crate) path: PathBuf,
    /// Whether its problem was reported by this loading.
    pub(crate) is_news: bool,
}

impl Loading {
    /// Loads the resources in `confdir`. A `prefix` that is not empty replaces the prefixes of the
    /// resources, and `environment` gives the variables that they use. A resource is invalid if its
    /// destination is a file of the source that is `followed`.
    ///
    /// Problems of single files are reported to `reader` and to the log. A problem that was already
    /// there at the last loading is reported once a minute.
    ///
    /// # Errors `conf.d` cannot be read. It may be missing only if `confdir` is missing too.
    pub(crate) fn load(
        &mut self,
        confdir: &Path,
        conventions: &Conventions,
        environment: &Environment,
        followed: Option<&dyn Source>,
        reader: &dyn Reader,
    ) -> Result<Loaded, Failure> {
        debug!("Loading template resources from confdir {}", confdir.display());
        let before = std::mem::take(&mut self.reported);
        let mut is_news = |text: &str| {
            let now = Instant::now();
            let last = before.get(text).filter(|last| now - **last < REMINDER);
            self.reported.insert(text.to_owned(), *last.unwrap_or(&now));
            last.is_none()
        };
        let found = match config::load(confdir, conventions, environment) {
            Ok(found) => found,
            Err(problem) => {
                let is_news = is_news(&problem.text);
                let failure = Failure::load(problem);
                if is_news {
                    reader.read(&Event::RunFailed { failure: Arc::new(failure.clone()) });
                }
                let name = config::conf_d(confdir).display().to_string();
                let problems = vec![LoadProblem { name, text: failure.to_string() }];
                reader.read(&Event::Loaded { problems });
                return Err(failure);
            }
        };
        if found.files.is_empty() && found.broken.is_empty() {
            let text = match found.without_confdir {
                true => format!(
                    "Cannot load template resources: confdir '{}' does not exist",
                    confdir.display()
                ),
                false => "Found no templates".to_owned(),
            };
            if is_news(&text) {
                let excerpt = Excerpt::default().hinting(found.hint);
                warn!(excerpt = %excerpt, "{text}");
            }
        }
        for folder in found.closed.iter().filter(|folder| is_news(&folder.text)) {
            warn!("{}", folder.text);
        }
        let mut loaded = Loaded { without_confdir: found.without_confdir, ..Loaded::default() };
        let conf_d = config::conf_d(confdir);
        let mut problems = Vec::new();
        let mut fail = |paths: Vec<PathBuf>, name: &str, problem: Problem| {
            let is_news = is_news(&problem.text);
            problems.push(LoadProblem { name: name.to_owned(), text: problem.text.clone() });
            if is_news {
                reader.read(&Event::NotLoaded { name: name.to_owned(), problem });
            }
            loaded.broken.extend(paths.into_iter().map(|path| Broken { path, is_news }));
        };
        for (path, problem) in found.broken {
            fail(vec![path.clone()], &config::name(&path, &conf_d), problem);
        }
        for (path, problem) in found.files {
            debug!("Found template: {}", path.display());
            debug!("Loading template resource from {}", path.display());
            if let Some(problem) = problem {
                fail(vec![path.clone()], &config::name(&path, &conf_d), problem);
            }
        }
        for BrokenGroup { name, paths, problem } in found.broken_groups {
            fail(paths, &name, problem);
        }
        for group in found.groups {
            let paths: Vec<_> = group.resources.iter().map(|one| one.path.clone()).collect();
            let name = Arc::clone(&group.name);
            match not_read_by(followed, group).and_then(Resource::try_from) {
                Ok(resource) => loaded.resources.push(Arc::new(resource)),
                Err(problem) => fail(paths, &name, problem),
            }
        }
        reader.read(&Event::Loaded { problems });
        let parts = loaded.resources.iter().flat_map(|resource| resource.parts());
        for warning in parts.flat_map(|part| &part.warnings) {
            if self.warned.insert(warning.text.clone()) {
                warn!(excerpt = %warning.excerpt, "{}", warning.text);
            }
        }
        Ok(loaded)
    }
}

/// `group`, unless the followed source reads one of its destinations: then each pass would change the
/// keys and cause the next pass.
fn not_read_by(followed: Option<&dyn Source>, group: Group) -> Result<Group, Problem> {
    let Some(source) = followed else { return Ok(group) };
    let Some(resource) = group.resources.iter().find(|one| source.reads_file(&one.dest)) else {
        return Ok(group);
    };
    let (path, dest) = (resource.path.display(), resource.dest.display());
    Err(Problem::from(format!(
        "Cannot process template resource {path} - the source reads its keys from the dest {dest}: \
         writing it would change the keys again and again"
    )))
}
