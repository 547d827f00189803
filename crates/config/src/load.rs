//! Loads the resources: every file under `conf.d` that can be read as a resource.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    thread,
};

use report::{Excerpt, file_error_text};

use crate::{
    conventions::Conventions,
    discover,
    environment::Environment,
    file::{self, Invalid},
    group::{self, BrokenGroup, Group},
    hint, order,
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
    /// The resource files, in the order in which confd processes them, and what is wrong with the
    /// invalid ones.
    pub files: Vec<(PathBuf, Option<Problem>)>,
    /// The valid resources, each group at the place of its first resource, or before the first group that
    /// is to come after it.
    pub groups: Vec<Group>,
    /// The groups that cannot be processed.
    pub broken_groups: Vec<BrokenGroup>,
}

/// Finds and parses the resource files in `confdir`.
///
/// `conventions` say how the files are understood. `environment` gives the variables that the files use.
///
/// # Errors
/// `conf.d` cannot be read. If `confdir` does not exist either, this is not an error: then
/// [`Loaded::without_confdir`] is true.
pub fn load(
    confdir: &Path,
    conventions: &Conventions,
    environment: &Environment,
) -> Result<Loaded, Problem> {
    if matches!(fs::metadata(confdir), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Ok(Loaded { without_confdir: true, ..Loaded::default() });
    }
    let given = confdir;
    let confdir = Confdir::new(given, conventions, environment);
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
    let loaded = load_all(&found.files, &confdir);
    let (mut files, mut valid) =
        (Vec::with_capacity(loaded.len()), Vec::with_capacity(loaded.len()));
    let mut without = Vec::new();
    for (path, loaded) in found.files.into_iter().zip(loaded) {
        let problem = match loaded {
            Ok(resources) => {
                valid.push(resources);
                None
            }
            Err(Invalid { problem, group }) => {
                without.extend(group.map(|group| (group, path.clone())));
                Some(problem)
            }
        };
        files.push((path, problem));
    }
    let each = valid.iter_mut().flatten();
    give_destinations_one_owner(&mut each.collect::<Vec<_>>());
    let (groups, mut broken_groups) = group::assemble(valid, &without);
    let is_invalid = |(path, problem): &(PathBuf, Option<Problem>)| {
        problem.is_some().then(|| resource::name(path, &confdir.conf_d))
    };
    let invalid = files.iter().filter_map(is_invalid);
    let broken: Vec<_> = broken.collect();
    let dangling = broken.iter().map(|(path, _)| resource::name(path, &confdir.conf_d));
    let of_groups = broken_groups.iter().flat_map(|group| {
        let paths = group.paths.iter().map(|path| resource::name(path, &confdir.conf_d));
        paths.chain([group.name.to_string()])
    });
    let invalid = invalid.chain(dangling).chain(of_groups).collect();
    let (groups, in_cycles) = order::sort(groups, &invalid);
    broken_groups.extend(in_cycles);
    let hint = files.is_empty().then(|| hint::without_resources(&confdir.conf_d));
    let closed = closed.collect();
    Ok(Loaded { without_confdir: false, closed, broken, hint, files, groups, broken_groups })
}

/// The fewest files of which a second thread loads a half. Starting a thread takes as long as loading
/// a few files.
const FILES_FOR_TWO: usize = 64;

/// The resources of one file, or why it is invalid.
type FileLoaded = Result<Vec<Resource>, Invalid>;

/// Loads the resource files and returns the results in their order. A second thread helps with many
/// files, because a pass begins only when all of them are loaded.
fn load_all(files: &[PathBuf], confdir: &Confdir<'_>) -> Vec<FileLoaded> {
    let load = |files: &[PathBuf]| -> Vec<FileLoaded> {
        files.iter().map(|path| file::load(path, confdir)).collect()
    };
    if files.len() < FILES_FOR_TWO {
        return load(files);
    }
    let (first, second) = files.split_at(files.len() / 2);
    thread::scope(|scope| {
        let helper = thread::Builder::new().spawn_scoped(scope, || load(second));
        let mut loaded = load(first);
        // If no thread can be started, this thread does all of the work.
        let helped = helper.ok().and_then(|helper| helper.join().ok());
        loaded.extend(helped.unwrap_or_else(|| load(second)));
        loaded
    })
}

/// Makes the last resource, in processing order, the owner of a destination that several resources
/// have. The other resources do not restore the file (see [`Resource::heal`]) and get a warning.
/// Otherwise, in a daemon, each resource would replace the file of the other for ever.
fn give_destinations_one_owner(resources: &mut [&mut Resource]) {
    for same_name in with_equal_names(resources) {
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

/// The resources whose destinations have equal names in any folders, in processing order.
fn with_equal_names(resources: &[&mut Resource]) -> Vec<Vec<usize>> {
    let named = resources.iter().enumerate();
    let named = named.filter_map(|(nth, resource)| Some((resource.dest.file_name()?, nth)));
    let mut named: Vec<(&OsStr, usize)> = named.collect();
    named.sort_unstable();
    named
        .chunk_by(|(one, _), (other, _)| one == other)
        .filter(|same_name| same_name.len() > 1)
        .map(|same_name| same_name.iter().map(|(_, nth)| *nth).collect())
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_are_loaded_in_their_order_and_a_malformed_one_stays_in_its_place() {
        let confdir = tempfile::tempdir().unwrap();
        let conf_d = confdir.path().join("conf.d");
        fs::create_dir(&conf_d).unwrap();
        let count = 3 * FILES_FOR_TWO;
        let is_malformed = |nth: usize| nth % 50 == 7;
        for nth in 0..count {
            let text = match is_malformed(nth) {
                true => "[template".to_owned(),
                false => format!("[template]\nsrc = 'a'\ndest = '/d/{nth}'\n"),
            };
            fs::write(conf_d.join(format!("{nth:04}.toml")), text).unwrap();
        }
        let loaded = load(confdir.path(), &Conventions::default(), &Environment::empty()).unwrap();
        assert_eq!(loaded.files.len(), count);
        let mut valid = loaded.groups.into_iter().flat_map(|group| group.resources);
        for (nth, (path, problem)) in loaded.files.into_iter().enumerate() {
            assert_eq!(path, conf_d.join(format!("{nth:04}.toml")));
            match problem {
                None => {
                    assert_eq!(valid.next().unwrap().dest, Path::new(&format!("/d/{nth}")));
                }
                Some(problem) => {
                    assert!(is_malformed(nth), "{}", problem.text);
                    assert!(problem.text.contains(&format!("{nth:04}.toml")), "{}", problem.text);
                }
            }
        }
    }
}
