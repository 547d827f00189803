//! Loads the resources: every file under `conf.d` that can be read as a resource.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use report::{Excerpt, file_error_text};

use crate::{
    discover, hint,
    problem::Problem,
    resource::{self, Confdir, Resource},
};

/// The resource files under `conf.d`, and what could not be read there.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Whether there are no resources because `confdir` itself does not exist.
    pub without_confdir: bool,
    /// Folders below `conf.d` that cannot be read. The resources in them are left out.
    pub closed: Vec<Problem>,
    /// Names of resource files behind which nothing can be read, such as dangling links.
    pub broken: Vec<(PathBuf, Problem)>,
    /// If there is no resource file: what makes a file a resource, and which file is none.
    pub hint: Option<String>,
    /// The resource files, in the order in which confd processes them.
    pub files: Vec<(PathBuf, Result<Resource, Problem>)>,
}

/// Finds and parses the resource files in `confdir`.
///
/// If `prefix` is not empty, it replaces the prefixes that the resources name.
///
/// # Errors
/// `conf.d` cannot be read. If `confdir` does not exist either, this is not an error: then
/// [`Loaded::without_confdir`] is true.
pub fn load(confdir: &Path, prefix: &[u8]) -> Result<Loaded, Problem> {
    if matches!(fs::metadata(confdir), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Ok(Loaded { without_confdir: true, ..Loaded::default() });
    }
    let given = confdir;
    let confdir = Confdir::new(given, prefix);
    let found = discover::resource_files(&confdir.conf_d).map_err(|error| Problem {
        text: file_error_text("stat", &confdir.conf_d, &error),
        excerpt: Excerpt::default().hinting(Some(hint::without_conf_d(given))),
    })?;
    let closed = found.closed.into_iter().map(|(folder, error)| {
        let reason = file_error_text("open", &folder, &error);
        format!("{reason}: resources in it are left out").into()
    });
    let broken = found.broken.into_iter().map(|(path, error)| {
        let problem = resource::unreadable(&path, "stat", &error);
        (path, problem)
    });
    let files = found.files.into_iter().map(|path| {
        let resource = Resource::load(&path, &confdir);
        (path, resource)
    });
    let mut files: Vec<_> = files.collect();
    let valid = files.iter_mut().filter_map(|(_, resource)| resource.as_mut().ok());
    give_destinations_one_owner(&mut valid.collect::<Vec<_>>());
    let hint = files.is_empty().then(|| hint::without_resources(&confdir.conf_d));
    let (closed, broken) = (closed.collect(), broken.collect());
    Ok(Loaded { without_confdir: false, closed, broken, hint, files })
}

/// Makes the last resource, in processing order, the owner of a destination that several resources
/// have. The other resources do not restore the file (see [`Resource::heal`]) and get a warning.
/// Otherwise, in a daemon, each resource would replace the file of the other for ever.
fn give_destinations_one_owner(resources: &mut [&mut Resource]) {
    let mut names: HashMap<OsString, Vec<usize>> = HashMap::new();
    for (nth, resource) in resources.iter().enumerate() {
        if let Some(name) = resource.dest.file_name() {
            names.entry(name.to_owned()).or_default().push(nth);
        }
    }
    for same_name in names.into_values().filter(|same_name| same_name.len() > 1) {
        let mut owners: HashMap<PathBuf, usize> = HashMap::new();
        for nth in same_name.into_iter().rev() {
            let owner = *owners.entry(folder(&resources[nth].dest)).or_insert(nth);
            if owner != nth {
                let text = format!(
                    "{}: {} has the same dest {} and is processed later: the file belongs to {}, \
                     and {} replaces it only when its own content changes",
                    resources[nth].path.display(),
                    resources[owner].path.display(),
                    resources[nth].dest.display(),
                    resources[owner].name(),
                    resources[nth].name()
                );
                resources[nth].heal = false;
                resources[nth].warnings.push(text.into());
            }
        }
    }
}

/// The folder of a destination, without links if the folder exists.
fn folder(dest: &Path) -> PathBuf {
    let folder = match dest.parent() {
        None => Path::new("/"),
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    };
    fs::canonicalize(folder).unwrap_or_else(|_| resource::join(folder, b""))
}

/// The folder of the resource files in `confdir`.
pub fn conf_d(confdir: &Path) -> PathBuf {
    resource::join(confdir, b"conf.d")
}

/// The folder of the templates in `confdir`.
pub fn templates_folder(confdir: &Path) -> PathBuf {
    resource::join(confdir, b"templates")
}
