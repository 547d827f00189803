//! Chooses how the program is linked on Linux: as one static file at a fixed address, as Go's are.
//!
//! A static program runs where the C library is missing, older or another one (an empty image,
//! Alpine), and starts sooner: nothing is looked up, loaded or relocated. rustc's own switch for
//! it, `-C target-feature=+crt-static`, works for a named target only, and a named target moves
//! what is built out of `target/release`. So the linker is told here: no interpreter, and each
//! library of the system is found as an archive.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The system's libraries, as rustc names them to the linker, with their archives.
const ARCHIVES: [(&str, &str); 7] = [
    ("c", "libc.a"),
    ("m", "libm.a"),
    ("rt", "librt.a"),
    ("pthread", "libpthread.a"),
    ("util", "libutil.a"),
    ("dl", "libdl.a"),
    // What unwinds the stack has two names: as a shared library and as an archive.
    ("gcc_s", "libgcc_eh.a"),
];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    if variable("CARGO_CFG_TARGET_OS") != "linux" || variable("CARGO_CFG_TARGET_ENV") != "gnu" {
        return Ok(());
    }
    println!("cargo:rustc-link-arg-bins=-no-pie");
    if variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static") {
        return Ok(());
    }
    let folder = PathBuf::from(variable("OUT_DIR")).join("archives");
    if let Some(missing) = collect_archives(&folder)? {
        println!(
            "cargo:warning={missing} was not found, so the program needs the C library of the \
             machine it runs on (the archive is in libc6-dev or glibc-static)"
        );
        return Ok(());
    }
    println!("cargo:rustc-link-arg-bins=-static");
    println!("cargo:rustc-link-arg-bins=-L{}", folder.display());
    Ok(())
}

/// Fills `folder` with one link for each library: the linker takes the first file that it finds
/// for a name, and in this folder that is an archive.
///
/// Gives the name of the first archive that the compiler does not know.
fn collect_archives(folder: &Path) -> io::Result<Option<&'static str>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let linker = match variable("RUSTC_LINKER") {
        unset if unset.is_empty() => "cc".to_owned(),
        linker => linker,
    };
    for (library, archive) in ARCHIVES {
        let asked = Command::new(&linker).arg(format!("-print-file-name={archive}")).output();
        let path =
            asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
        // A compiler that does not find a file answers with the bare name.
        let Some(path) = path.ok().filter(|path| path.is_absolute()) else {
            return Ok(Some(archive));
        };
        symlink(path, folder.join(format!("lib{library}.a")))?;
    }
    Ok(None)
}

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script by variables")]
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
