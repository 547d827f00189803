//! Chooses how a release of the program is linked.

use std::env;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script by variables")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // A program at a fixed address needs no relocations: it starts sooner and shares more of its
    // memory with its file. Go's programs have a fixed address too.
    let has_the_gnu_linker =
        is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if has_the_gnu_linker && is("PROFILE", "release") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
