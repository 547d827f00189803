//! The program by itself: what it needs of the machine it runs on.

use std::fs;

use super::support::{Run, Sandbox, needs_root};

/// The kind of a program header that names the loader of shared libraries (`PT_INTERP` of elf(5)).
const INTERPRETER: u32 = 3;

/// The kinds of the program headers of a 64-bit ELF file in the byte order of this machine.
fn program_headers(file: &[u8]) -> Vec<u32> {
    let at = |from: usize, length: usize| &file[from..from + length];
    let start = u64::from_ne_bytes(at(32, 8).try_into().unwrap()) as usize;
    let size = usize::from(u16::from_ne_bytes(at(54, 2).try_into().unwrap()));
    let count = usize::from(u16::from_ne_bytes(at(56, 2).try_into().unwrap()));
    let kind = |index| u32::from_ne_bytes(at(start + index * size, 4).try_into().unwrap());
    (0..count).map(kind).collect()
}

#[test]
fn the_program_is_loaded_without_any_library() {
    let headers = program_headers(&fs::read(env!("CARGO_BIN_EXE_confd")).unwrap());
    assert!(!headers.is_empty() && !headers.contains(&INTERPRETER), "{headers:?}");
}

#[test]
fn the_program_runs_where_nothing_else_is() {
    needs_root();
    let sandbox = Sandbox::new();
    fs::copy(env!("CARGO_BIN_EXE_confd"), sandbox.path("confd")).unwrap();
    let resource = "[template]\nsrc = \"app\"\ndest = \"/app.conf\"\nkeys = [\"/greeting\"]\n";
    sandbox.write("etc/confd/conf.d/app.toml", resource);
    sandbox.write("etc/confd/templates/app", "{{getv \"/greeting\"}}\n");
    let root = sandbox.root().to_str().unwrap();
    Run::new("/confd", sandbox.root())
        .arguments(&["-onetime", "-backend", "env"])
        .env("GREETING", "hello")
        .through(&["chroot", root])
        .ok()
        .expect("INFO Target config /app.conf has been updated");
    assert_eq!(sandbox.read("app.conf"), "hello\n");
}
