//! The compiled templates of the process, each compiled once for all resources that use it.

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use config::{Engine, Problem};
use render::Template;
use report::{
    Excerpt, Fingerprint, did_you_mean, did_you_mean_spelled, file_error_text,
    read_with_fingerprint,
};

use crate::{
    event::{Say, Step},
    failure::Failure,
    resource::Part,
};

/// Compiled templates. They are kept while their files stay the same, and shared by all passes.
///
/// Each template has its own lock: resources that share a template wait for one compilation, and a
/// template on a slow disk does not block resources with other templates.
pub(crate) struct Templates {
    folder: PathBuf,
    /// Whether a working version stays in use when the file becomes malformed. Onetime and interval
    /// mode fail instead, as Go confd does.
    keeps_working_version: bool,
    /// By the path of the file, as text: equal files have equal texts, and a text is hashed faster.
    slots: Mutex<HashMap<(OsString, Engine), Arc<Slot>, foldhash::fast::RandomState>>,
}

type Slot = Mutex<Option<Compiled>>;

/// A template and the file that it was compiled from.
struct Compiled {
    /// The fingerprint of the file from before it was read, if every later change is certain to
    /// change the fingerprint.
    seen: Option<Fingerprint>,
    source: Vec<u8>,
    template: Arc<Template>,
}

/// The current template.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) template: Arc<Template>,
    /// Whether it was compiled from the current files, and is not an older working version.
    pub(crate) is_newest: bool,
    /// The fingerprint of its file from before it was read; `None` if the file could not be
    /// examined.
    pub(crate) src: Option<Fingerprint>,
}

impl Current {
    /// Whether its file `src`, and those that it took, are as they were when it was compiled. Blocks
    /// on the disk.
    pub(crate) fn has_its_files(&self, src: &Path) -> bool {
        self.src == Fingerprint::at(src) && self.template.is_current()
    }
}

impl Templates {
    /// An empty set. Templates may include other files of `folder`.
    pub(crate) fn new(folder: PathBuf, keeps_working_version: bool) -> Self {
        Self { folder, keeps_working_version, slots: Mutex::default() }
    }

    /// The template of `part`, if all of its files are unchanged since it was compiled and no
    /// other pass is compiling it. Examines the files, but does not read them.
    pub(crate) fn known(&self, part: &Part) -> Option<Current> {
        let name = (part.src.clone().into_os_string(), part.engine);
        let slot = {
            let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.get(&name)?)
        };
        let slot = slot.try_lock().ok()?;
        let known = slot.as_ref()?;
        let src = Fingerprint::at(&part.src).filter(Fingerprint::is_settled);
        let is_current = src.is_some() && known.seen == src && known.template.is_current();
        let template = Arc::clone(&known.template);
        is_current.then_some(Current { template, is_newest: true, src })
    }

    /// The template of `part`. It is compiled now, unless all of its files are unchanged.
    /// Blocks on the disk.
    pub(crate) fn get(&self, part: &Part, say: &Say<'_>) -> Result<Current, Failure> {
        let name = (part.src.clone().into_os_string(), part.engine);
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(name).or_default())
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        say(Step::UsingTemplate(part.src.clone()));
        let before = slot.is_some().then(|| Fingerprint::at(&part.src)).flatten();
        let problem = match self.newest(part, before, &mut slot, say) {
            Ok(current) => return Ok(current),
            Err(problem) => problem,
        };
        match &*slot {
            Some(known) if self.keeps_working_version => {
                say(Step::TemplateStays { src: part.src.clone(), problem });
                let template = Arc::clone(&known.template);
                Ok(Current { template, is_newest: false, src: before })
            }
            _ => Err(Failure::template(problem)),
        }
    }

    /// The template as its files are now: that of the slot, if the fingerprint `before` shows that
    /// it is unchanged, or else compiled into the slot.
    fn newest(
        &self,
        part: &Part,
        before: Option<Fingerprint>,
        slot: &mut Option<Compiled>,
        say: &Say<'_>,
    ) -> Result<Current, Problem> {
        let src = &part.src;
        let current = |template: &Arc<Template>, src| Current {
            template: Arc::clone(template),
            is_newest: true,
            src: Some(src),
        };
        if let Some(known) = &slot
            && let Some(found) = before.filter(Fingerprint::is_settled)
            && known.seen == Some(found)
            && known.template.is_current()
        {
            return Ok(current(&known.template, found));
        }
        let (source, found) = read_with_fingerprint(src).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Problem {
                text: format!("Missing template: {}", src.display()),
                excerpt: Excerpt::default().hinting(where_it_is(&self.folder, src)),
            },
            io::ErrorKind::IsADirectory => unreadable("read", src, &error).into(),
            _ => unreadable("open", src, &error).into(),
        })?;
        let seen = Some(found).filter(Fingerprint::is_settled);
        if let Some(known) = slot
            && known.source == source
            && known.template.is_current()
        {
            known.seen = seen;
            return Ok(current(&known.template, found));
        }
        say(Step::Compiling(src.clone()));
        if part.engine == Engine::Go && render::is_probably_tera(&source) {
            say(Step::TemplateWarns(format!("{}: {}", src.display(), render::WRITTEN_IN_TERA)));
        }
        let template = match part.engine {
            Engine::Go => Template::compile_with(src, &source, &self.folder),
            Engine::Tera => Template::compile_tera(src, &source, &self.folder),
        };
        let template = template.map_err(|error| Problem {
            text: unable(src, &error),
            excerpt: error.excerpt().clone(),
        })?;
        let template = Arc::new(template);
        let newest = current(&template, found);
        *slot = Some(Compiled { seen, source, template });
        Ok(newest)
    }
}

/// The template of a part, compiled as for a pass. `folder` is that of the templates.
///
/// # Errors
/// It is missing or cannot be compiled.
pub fn compile_template(part: &Part, folder: &Path) -> Result<Arc<Template>, Problem> {
    match Templates::new(folder.to_owned(), false).get(part, &|_| {}) {
        Ok(current) => Ok(current.template),
        Err(failure) => {
            let excerpt = failure.excerpt().cloned().unwrap_or_default();
            Err(Problem { text: failure.to_string(), excerpt })
        }
    }
}

/// A hint for the missing template `src` of the templates `folder`: the name that was meant.
fn where_it_is(folder: &Path, src: &Path) -> Option<String> {
    let name = src.strip_prefix(folder).ok()?;
    let is_named = |rest: &Path| {
        let is_there = !rest.as_os_str().is_empty() && folder.join(rest).is_file();
        is_there.then(|| format!("src is relative to the templates folder: {}", rest.display()))
    };
    if let Some(hint) = name.strip_prefix("templates").ok().and_then(is_named) {
        return Some(hint);
    }
    if !folder.is_dir() {
        return Some(format!("the folder {} does not exist", folder.display()));
    }
    let absolute = Path::new("/").join(name);
    let whole = fs::canonicalize(folder).ok()?;
    if let Some(hint) = absolute.strip_prefix(&whole).ok().and_then(is_named) {
        return Some(hint);
    }
    if absolute.is_file() {
        return Some("src is relative to the templates folder, also with a leading /".to_owned());
    }
    let confdir = folder.parent()?;
    let elsewhere = [confdir.join("conf.d").join(name), confdir.join(name)];
    if let Some(found) = elsewhere.iter().find(|path| path.is_file()) {
        let (folder, found) = (folder.display(), found.display());
        return Some(format!("templates are read in {folder}, and not {found}"));
    }
    let beside = fs::read_dir(src.parent()?).ok()?.filter_map(Result::ok);
    let beside = beside.filter_map(|entry| {
        let path = entry.path();
        let name = path.strip_prefix(folder).ok()?.to_str()?.to_owned();
        Some((path.with_extension("").strip_prefix(folder).ok()?.to_str()?.to_owned(), name))
    });
    let beside: Vec<_> = beside.collect();
    let without_extension = name.with_extension("");
    did_you_mean(name.to_str()?, beside.iter().map(|(_, name)| name))
        .or_else(|| did_you_mean_spelled(without_extension.to_str()?, beside))
}

fn unreadable(operation: &str, src: &Path, error: &io::Error) -> String {
    unable(src, &file_error_text(operation, src, error))
}

fn unable(src: &Path, reason: &dyn fmt::Display) -> String {
    format!("Unable to process template {}, {reason}", src.display())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Two resources with the same template, in a folder.
    fn two_with_one_template(folder: &Path) -> [Part; 2] {
        fs::write(folder.join("shared"), "text").unwrap();
        ["a", "b"].map(|name| {
            let file = folder.join(format!("{name}.toml"));
            fs::write(&file, format!("[template]\nsrc = 'shared'\ndest = '{name}'\n")).unwrap();
            let resource = crate::Resource::load(&file, folder).unwrap();
            resource.into_parts().remove(0)
        })
    }

    #[test]
    fn resources_with_one_source_share_the_compiled_template_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let resources = two_with_one_template(folder.path());
        let templates = Templates::new(folder.path().to_owned(), true);
        let compiled = Cell::new(0);
        let count = |step: Step<'static>| {
            compiled.set(compiled.get() + usize::from(matches!(step, Step::Compiling(_))));
        };
        let get = |nth: usize| templates.get(&resources[nth], &count).unwrap().template;
        assert!(Arc::ptr_eq(&get(0), &get(1)));
        assert_eq!(compiled.get(), 1);
        fs::write(&resources[0].src, "other text").unwrap();
        assert!(Arc::ptr_eq(&get(1), &get(0)));
        assert_eq!(compiled.get(), 2);
    }
}
