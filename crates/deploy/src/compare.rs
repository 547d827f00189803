//! Whether a destination is in sync: bytes, mode and owner.
//!
//! Symbolic links are followed, as confd does, although a commit replaces the link itself.

use std::fs::File;
use std::io::{self, Read, Seek};

use md5::{Digest, Md5};
use rustix::fs::{OFlags, Stat, fstat};

use crate::Target;
use crate::attributes::{Attributes, KIND_BITS, REGULAR, our_user};
use crate::folder::FileAt;
use crate::step::{Level, Observer, Step};

/// The most bytes of a destination of another size whose MD5 sum is computed for the log.
const MOST_SUMMED: u64 = 64 << 20;

/// Whether the destination is a file with these bytes. Reports no step.
pub(crate) fn has_content(dest: &FileAt, found: &Stat, content: &[u8]) -> io::Result<bool> {
    let mut file = dest.open(OFlags::RDONLY)?;
    Ok(size(found) == content.len() as u64 && has_bytes(&mut file, content)?)
}

/// Whether the destination is a file with this content, apart from lines that the target ignores.
/// Reports no step.
pub(crate) fn has_content_of(
    target: &Target,
    dest: &FileAt,
    found: &Stat,
    content: &[u8],
) -> io::Result<bool> {
    has_same_lines(target, &mut dest.open(OFlags::RDONLY)?, size(found), content)
}

/// Whether the file of this size has this content, apart from lines that the target ignores. Its
/// position is at its beginning.
fn has_same_lines(target: &Target, file: &mut File, size: u64, content: &[u8]) -> io::Result<bool> {
    let length = content.len() as u64;
    if target.ignore_lines.is_none() {
        return Ok(size == length && has_bytes(file, content)?);
    }
    // Only a file that is much larger has so much more than ignored lines.
    let most = length.saturating_add(MOST_SUMMED);
    let mut found = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut found)?;
    let is_whole = found.len() as u64 <= most;
    Ok(is_whole && target.significant(&found) == target.significant(content))
}

fn size(found: &Stat) -> u64 {
    found.st_size.cast_unsigned()
}

/// Whether the destination, at `at`, equals the stage file. Reports a step for each difference.
///
/// A missing destination is a difference without a step. A destination that cannot be opened is
/// [`Step::Unreadable`].
pub(crate) fn is_in_sync(
    target: &Target,
    at: &FileAt,
    staged: &Attributes,
    content: &[u8],
    observer: &dyn Observer,
) -> bool {
    let dest = &target.dest;
    let opened = at
        .open(OFlags::RDONLY)
        .and_then(|file| fstat(&file).map(|found| (file, found)).map_err(io::Error::from));
    let (mut file, metadata) = match opened {
        Ok(opened) => opened,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return false,
        Err(cause) => {
            observer.observe(&Step::Unreadable { dest, cause: &cause });
            return false;
        }
    };
    let found = Attributes::of(&metadata);
    let owner_differs = (found.uid, found.gid) != (staged.uid, staged.gid);
    let owner_counts = owner_differs && !is_out_of_reach(target, at);
    let mut same = true;
    if owner_counts && found.uid != staged.uid {
        observer.observe(&Step::Owner { dest, found: found.uid, wanted: staged.uid });
        same = false;
    }
    if owner_counts && found.gid != staged.gid {
        observer.observe(&Step::Group { dest, found: found.gid, wanted: staged.gid });
        same = false;
    }
    if found.mode != staged.mode {
        observer.observe(&Step::Mode { dest, found: found.mode, wanted: staged.mode });
        same = false;
    }
    // Anything but a regular file counts as empty: reading a pipe could block, and a device may
    // have no end.
    let readable = found.mode & KIND_BITS == REGULAR;
    if readable {
        if has_same_lines(target, &mut file, size(&metadata), content).unwrap_or(false) {
            return same;
        }
    } else if content.is_empty() {
        return same;
    }
    let (size, wanted) = (size(&metadata), content.len() as u64);
    if readable && size != wanted && size > MOST_SUMMED {
        observer.observe(&Step::Size { dest, found: size, wanted });
    } else if observer.wants(Level::Info) {
        let found = if readable { sum_of_file(file) } else { hex(Md5::new()) };
        let wanted = hex(Md5::new().chain_update(content));
        observer.observe(&Step::Content { dest, found: &found, wanted: &wanted });
    }
    false
}

/// Whether the owner was not asked for and cannot be set.
///
/// A destination that is a mount can only be written in place, and then keeps its owner unless this
/// process is root. Comparing that owner would find a difference in every pass and run the reload
/// command each time.
fn is_out_of_reach(target: &Target, dest: &FileAt) -> bool {
    let is_asked_for = target.uid.is_some() || target.gid.is_some();
    !is_asked_for && our_user() != 0 && dest.is_mount()
}

/// Whether the whole file has exactly these bytes.
fn has_bytes(file: &mut File, mut expected: &[u8]) -> io::Result<bool> {
    // One byte more than expected, so that the first read also reaches the end of a short file.
    let mut buffer = vec![0; (expected.len() + 1).min(64 * 1024)];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(count) => count,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(cause),
        };
        if count == 0 {
            return Ok(expected.is_empty());
        }
        match expected.strip_prefix(&buffer[..count]) {
            Some(rest) => expected = rest,
            None => return Ok(false),
        }
    }
}

/// The MD5 sum of a file. If reading fails, the sum of the bytes that were read.
fn sum_of_file(mut file: File) -> String {
    let mut sum = Md5::new();
    if file.rewind().is_ok() {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = file.read(&mut buffer) {
            sum.update(&buffer[..count]);
        }
    }
    hex(sum)
}

fn hex(sum: Md5) -> String {
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::Path;

    use super::*;
    use crate::folder::OpenPlace;
    use crate::testing::{Steps, target_in};

    /// The attributes of a stage file of this process with these permissions.
    fn ours(permissions: u32) -> Attributes {
        let folder = tempfile::tempdir().expect("a folder");
        let owner = fs::metadata(folder.path()).expect("metadata");
        Attributes::regular(owner.uid(), owner.gid(), permissions)
    }

    fn in_sync(target: &Target, staged: &Attributes, content: &[u8], steps: &Steps) -> bool {
        let place = OpenPlace::of(&target.dest).expect("a folder");
        is_in_sync(target, place.dest(), staged, content, steps)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    }

    #[test]
    fn a_dangling_link_is_a_missing_destination() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = target_in(folder.path(), "a");
        std::os::unix::fs::symlink("nowhere", &target.dest).expect("link");
        let steps = Steps::default();
        assert!(!in_sync(&target, &ours(0o644), b"x", &steps));
        assert_eq!(steps.lines(), [""; 0]);
    }

    #[test]
    fn a_destination_that_cannot_be_opened_differs_and_is_reported() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = target_in(folder.path(), "a");
        std::os::unix::fs::symlink("a", &target.dest).expect("link");
        let steps = Steps::default();
        assert!(!in_sync(&target, &ours(0o644), b"x", &steps));
        let dest = target.dest.display();
        assert_eq!(
            steps.lines(),
            [format!("ERROR open {dest}: too many levels of symbolic links")]
        );
    }

    #[test]
    fn each_difference_has_its_line_in_confds_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = target_in(folder.path(), "a");
        fs::write(&target.dest, "old").expect("write");
        set_mode(&target.dest, 0o600);
        let steps = Steps::default();
        let ours = ours(0o644);
        let staged = Attributes { uid: ours.uid + 1, gid: ours.gid + 2, ..ours };
        assert!(!in_sync(&target, &staged, b"new", &steps));
        let dest = target.dest.display();
        assert_eq!(
            steps.lines(),
            [
                format!("INFO {dest} has UID {} should be {}", ours.uid, staged.uid),
                format!("INFO {dest} has GID {} should be {}", ours.gid, staged.gid),
                format!("INFO {dest} has mode -rw------- should be -rw-r--r--"),
                format!(
                    "INFO {dest} has md5sum 149603e6c03516362a8da23f624db945 \
                     should be 22af645d1859cb5ca6da0c484f1f37ea"
                ),
            ]
        );
    }

    #[test]
    fn a_lost_setuid_bit_is_a_difference() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = target_in(folder.path(), "a");
        fs::write(&target.dest, "x").expect("write");
        set_mode(&target.dest, 0o4755);
        let steps = Steps::default();
        assert!(!in_sync(&target, &ours(0o755), b"x", &steps));
        let dest = target.dest.display();
        assert_eq!(
            steps.lines(),
            [format!("INFO {dest} has mode urwxr-xr-x should be -rwxr-xr-x")]
        );
    }

    #[test]
    fn equal_files_are_in_sync_through_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = target_in(folder.path(), "a");
        fs::write(folder.path().join("real"), "x").expect("write");
        set_mode(&folder.path().join("real"), 0o644);
        std::os::unix::fs::symlink("real", &target.dest).expect("link");
        let steps = Steps::default();
        assert!(in_sync(&target, &ours(0o644), b"x", &steps));
        assert_eq!(steps.lines(), [""; 0]);
    }

    #[test]
    fn a_pipe_and_a_folder_count_as_empty_and_do_not_block() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = target_in(folder.path(), "a");
        let made = std::process::Command::new("mkfifo").arg(&target.dest).status();
        assert!(made.expect("mkfifo").success());
        let steps = Steps::default();
        assert!(!in_sync(&target, &ours(0o644), b"x", &steps));
        let empty = "d41d8cd98f00b204e9800998ecf8427e";
        let x = "9dd4e461268c8034f5c8564e155c67a6";
        assert!(steps.lines().iter().any(|line| line.contains(" has mode p")));
        assert!(steps.lines().iter().any(|line| line.ends_with(&format!("{empty} should be {x}"))));

        fs::remove_file(&target.dest).expect("remove");
        fs::create_dir(&target.dest).expect("folder");
        let steps = Steps::default();
        assert!(!in_sync(&target, &ours(0o644), b"x", &steps));
        assert!(steps.lines().iter().any(|line| line.contains(" has mode d")));
    }

    #[test]
    fn every_byte_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let content = vec![b'a'; 200_000];
        fs::write(&path, &content).expect("write");
        let same = |expected: &[u8]| {
            has_bytes(&mut File::open(&path).expect("open"), expected).expect("read")
        };
        assert!(same(&content));
        assert!(!same(&content[1..]));
        assert!(!same(&[&content[..], b"a"].concat()));
        let mut last = content.clone();
        last[199_999] = b'b';
        assert!(!same(&last));
    }
}
