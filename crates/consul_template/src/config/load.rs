//! Reads the files that `-config` names.

use std::fs;
use std::io;
use std::path::Path;

use report::errno_text;

use super::decode;
use super::settings::Settings;

/// The settings of the files in `paths`, in their order, and warnings about them. Each path is a
/// file, or a folder of which every file is read.
///
/// # Errors
/// A file or folder that is missing, cannot be read or is faulty.
pub(crate) fn load(paths: &[String]) -> Result<(Settings, Vec<String>), String> {
    let mut loaded = (Settings::default(), Vec::new());
    for name in paths {
        let path = Path::new(name);
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                walk(path, &mut loaded).map_err(|error| format!("walk error: {error}"))?;
            }
            Ok(_) => file(path, &mut loaded)?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(format!(
                    "missing file/folder: {name}: stat {name}: {}",
                    errno_text(&cause)
                ));
            }
            Err(cause) => return Err(format!("stat {name}: {}", errno_text(&cause))),
        }
    }
    Ok(loaded)
}

/// Reads all files below a folder, in the order of their names.
fn walk(folder: &Path, loaded: &mut (Settings, Vec<String>)) -> Result<(), String> {
    let fail = |cause: io::Error| format!("open {}: {}", folder.display(), errno_text(&cause));
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        entries.push((entry.path(), entry.file_type().map_err(fail)?.is_dir()));
    }
    entries.sort();
    for (path, is_folder) in entries {
        match is_folder {
            true => walk(&path, loaded)?,
            false => file(&path, loaded)?,
        }
    }
    Ok(())
}

fn file(path: &Path, (settings, warnings): &mut (Settings, Vec<String>)) -> Result<(), String> {
    let name = path.display();
    let text = fs::read(path).map_err(|cause| {
        let operation = if cause.kind() == io::ErrorKind::IsADirectory { "read" } else { "open" };
        format!("from file: {operation} {name}: {}", errno_text(&cause))
    })?;
    let text = String::from_utf8_lossy(&text);
    let (found, noted) = decode(&text).map_err(|error| format!("from file: {name}: {error}"))?;
    settings.merge(found);
    warnings.extend(noted);
    Ok(())
}
