//! Whether a file is on this machine. Its disk may be slow, but it does not depend on a network.

use std::path::Path;

use rustix::fs::statfs;

/// The magic numbers of common file systems that keep files on a disk of this machine or in its
/// memory: ext, XFS, Btrfs, F2FS, ZFS, tmpfs, ramfs, overlayfs.
const LOCAL: [u32; 8] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0xf2f5_2010,
    0x2fc1_2fc1,
    0x0102_1994,
    0x8584_58f6,
    0x794c_7630,
];

/// Whether the folder of `file` is known to be on such a file system. Links in the path are
/// followed.
pub fn is_local(file: &Path) -> bool {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let found = statfs(folder.unwrap_or(Path::new(".")));
    // The kernel's number has 32 bits; the type of the field depends on the platform.
    found.is_ok_and(|found| LOCAL.contains(&(found.f_type as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_local_and_an_unknown_file_system_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(is_local(&folder.path().join("not there yet")));
        assert!(is_local(Path::new("Cargo.toml")));
        assert!(!is_local(Path::new("/proc/version")));
        assert!(!is_local(&folder.path().join("nor/is/this")));
    }
}
