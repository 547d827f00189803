//! Puts a result in its place: decides whether the destination has to be written, and by whom it is
//! to be owned. `deploy` writes it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use deploy::{
    AtOnce, CheckCommand, Disk, Durable, Level, Member, Observer, Step, Target, Transaction,
};
use report::{errno_text, read_regular};
use tokio::runtime::Handle;

use crate::config::Template;
use crate::log::Log;
use crate::markers::{self, Markers};
use crate::owner;

/// What became of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// The destination had it already.
    Unchanged,
    /// As [`Unchanged`](Self::Unchanged), and the command has not succeeded since it was written.
    Pending,
    /// It is to be printed, because of `-dry`.
    WouldWrite,
    Written,
}

/// Why a result is not in its place.
pub(crate) struct Failed {
    /// The reason.
    pub(crate) text: String,
    /// Whether the check of the template has refused the result.
    pub(crate) is_check: bool,
}

impl From<String> for Failed {
    fn from(text: String) -> Failed {
        Failed { text, is_check: false }
    }
}

/// Writes `content` to the destination of `template`, unless it is there with the owner that the
/// template asks for. Other permissions alone are no reason to write it, as in consul-template.
///
/// `markers` are those of the template's command, if it has one: the command is marked as pending
/// before the destination is written.
///
/// One thread for blocking work does everything: waking a thread costs about as much as the rest.
///
/// # Errors
/// The destination cannot be read or written, or the check has failed.
pub(crate) async fn place(
    template: &Template,
    content: &Bytes,
    markers: Option<&Markers>,
    dry: bool,
    log: &Log,
) -> Result<Placed, Failed> {
    let (template, content, log) = (template.clone(), content.clone(), log.clone());
    let (runtime, markers) = (Handle::current(), markers.cloned());
    let work =
        move || runtime.block_on(place_here(&template, &content, markers.as_ref(), dry, &log));
    Disk::Elsewhere.run(work).await
}

/// Does what [`place`] promises, on the thread of the caller.
async fn place_here(
    template: &Template,
    content: &Bytes,
    markers: Option<&Markers>,
    dry: bool,
    log: &Log,
) -> Result<Placed, Failed> {
    let path = Path::new(&template.destination);
    let existing = match read_regular(path) {
        Ok(existing) => Some(existing),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => {
            let operation =
                if cause.kind() == io::ErrorKind::IsADirectory { "read" } else { "open" };
            return Err(format!(
                "failed reading file: {operation} {}: {}",
                template.destination,
                errno_text(&cause)
            )
            .into());
        }
    };
    let uid = owner::user(template.user.as_deref())
        .map_err(|error| format!("failed looking up user: {error}"))?;
    let gid = owner::group(template.group.as_deref())
        .map_err(|error| format!("failed looking up group: {error}"))?;
    let found = fs::metadata(path).ok();
    let has_owner = found.as_ref().is_none_or(|found| {
        uid.is_none_or(|uid| uid == found.uid()) && gid.is_none_or(|gid| gid == found.gid())
    });
    if existing.as_deref() == Some(&**content) && has_owner {
        let is_pending = markers.is_some_and(|markers| markers.is_pending(content));
        return Ok(if is_pending { Placed::Pending } else { Placed::Unchanged });
    }
    if dry {
        return Ok(Placed::WouldWrite);
    }
    let failed = |error: String| format!("failed writing file: {error}");
    if template.destination.is_empty() {
        return Err(failed("missing destination".to_owned()).into());
    }
    make_folder(path, template.create_dest_dirs).map_err(failed)?;
    if template.backup {
        back_up(&template.destination, log);
    }
    let mut target = Target::new(path);
    target.mode = template.mode;
    // A file of another owner keeps that owner, if this process may give it away.
    let is_root = rustix::process::geteuid().is_root();
    let kept = found.as_ref().filter(|_| is_root);
    target.uid = uid.or(kept.map(MetadataExt::uid));
    target.gid = gid.or(kept.map(MetadataExt::gid));
    target.check_cmd = template.check.as_deref().map(CheckCommand::new);
    target.check_timeout = Some(template.check_timeout);
    if let Some(markers) = markers {
        markers.before_writing(content);
    }
    let written = deploy(target, content.clone(), log).await;
    if let Some(markers) = markers {
        // A folder that cannot be synced is an error, and the destination is written.
        let is_written = written.is_ok() || markers::has_content(path, content);
        markers.after_writing(content, is_written);
    }
    written.map_err(|error| Failed { text: failed(error.text), ..error })?;
    Ok(Placed::Written)
}

async fn deploy(target: Target, content: Bytes, log: &Log) -> Result<(), Failed> {
    let options = deploy::Options::default();
    let member = Member::file(target, content);
    let observer: Arc<dyn Observer> = Arc::new(Warnings(log.clone()));
    let text = |error: deploy::Error| Failed {
        text: error.to_string(),
        is_check: matches!(error, deploy::Error::Check(_)),
    };
    let transaction = Transaction::stage(vec![member], &options).map_err(text)?;
    let mut durable = Durable::new();
    transaction.finish(&observer, &mut durable, Disk::Here, &AtOnce).await.map_err(text)?;
    let failed = durable.sync(&*observer);
    failed.into_iter().next().map_or(Ok(()), |error| Err(text(error)))
}

/// Logs the steps of a deployment that are problems.
struct Warnings(Log);

impl Observer for Warnings {
    fn observe(&self, step: &Step<'_>) {
        if self.wants(step.level()) {
            self.0.warn(format!("(runner) {step}"));
        }
    }

    fn wants(&self, level: Level) -> bool {
        matches!(level, Level::Warning | Level::Error)
    }
}

/// Makes the folder of the destination, if it is missing and that is allowed.
fn make_folder(path: &Path, may_create: bool) -> Result<(), String> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => return Ok(()),
    };
    match fs::metadata(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        _ => return Ok(()),
    }
    if !may_create {
        return Err("parent directory is missing".to_owned());
    }
    fs::create_dir_all(folder)
        .map_err(|cause| format!("mkdir {}: {}", folder.display(), errno_text(&cause)))
}

/// Keeps the destination as it is under another name.
fn back_up(destination: &str, log: &Log) {
    let (backup, former) = (format!("{destination}.bak"), format!("{destination}.old.bak"));
    // There may be no earlier backup.
    let _ = fs::rename(&backup, &former);
    match fs::hard_link(destination, &backup) {
        Ok(()) => {
            // There may be no earlier backup.
            let _ = fs::remove_file(&former);
        }
        Err(cause) => log.warn(format!(
            "(runner) could not backup {destination:?}: link {destination} {backup}: {}",
            errno_text(&cause)
        )),
    }
}
