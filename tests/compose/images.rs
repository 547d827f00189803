//! The images that the files name, made of the programs of this machine: no registry is asked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use servers::{Engine, docker::busybox, installed, present};

/// The variables that name the images in place of the public ones.
pub(crate) const VARIABLES: [(&str, &str); 5] = [
    ("RUST_IMAGE", "test/small"),
    ("NGINX_IMAGE", "test/nginx"),
    ("HAPROXY_IMAGE", "test/haproxy"),
    ("CONSUL_IMAGE", "test/consul"),
    ("ETCD_IMAGE", "test/etcd"),
];

/// Users of the programs.
const USERS: &str = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n\
                     www-data:x:33:33::/:/bin/sh\nhaproxy:x:99:99::/:/bin/sh\n";
const GROUPS: &str = "root:x:0:\nnogroup:x:65534:\nwww-data:x:33:\nhaproxy:x:99:\n";

/// Makes the images with these names.
#[track_caller]
pub(crate) fn make(engine: &Engine, names: &[&str]) {
    for name in names {
        let root = engine.folder().join("image");
        let changes: &[&str] = match *name {
            "test/small" => {
                busybox(&root);
                &[]
            }
            "test/nginx" => {
                system(&root, &["nginx"]);
                fs::create_dir_all(root.join("var/log/nginx")).unwrap();
                fs::create_dir_all(root.join("var/lib/nginx")).unwrap();
                fs::create_dir(root.join("etc/nginx")).unwrap();
                &["EXPOSE 80/tcp", r#"CMD ["nginx","-g","daemon off;"]"#]
            }
            "test/nginx-unprivileged" => {
                system(&root, &["nginx"]);
                &["USER 101"]
            }
            "test/haproxy" => {
                system(&root, &["haproxy", "keepalived"]);
                &["USER haproxy"]
            }
            "test/consul" => {
                program(&root, "consul");
                &[r#"ENTRYPOINT ["consul"]"#]
            }
            "test/etcd" => {
                program(&root, "etcd");
                &[r#"CMD ["etcd"]"#]
            }
            other => panic!("image {other}"),
        };
        let changes: Vec<_> = changes.iter().map(|change| (*change).to_owned()).collect();
        engine.import(name, &root, &changes);
        fs::remove_dir_all(&root).unwrap();
    }
}

/// Writes the program under test to a file. Without its symbols it is a third as large.
#[track_caller]
pub(crate) fn write_program(file: &Path) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let done = Command::new("strip")
        .arg("-o")
        .args([file, Path::new(env!("CARGO_BIN_EXE_confd"))])
        .status();
    assert!(done.unwrap().success());
}

/// A system with busybox and these programs of `/usr/sbin`, with their libraries.
fn system(root: &Path, programs: &[&str]) {
    busybox(root);
    for folder in ["etc", "run", "usr/sbin"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("etc/passwd"), USERS).unwrap();
    fs::write(root.join("etc/group"), GROUPS).unwrap();
    for name in programs {
        let program = present(Path::new("/usr/sbin").join(name));
        fs::copy(&program, root.join("usr/sbin").join(name)).unwrap();
        let listed = Command::new("ldd").arg(&program).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
            let copy = root.join(&library[1..]);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(library, copy).unwrap();
        }
    }
    // nginx writes its errors here before it has read its configuration.
    if programs.contains(&"nginx") {
        fs::create_dir_all(root.join("var/log/nginx")).unwrap();
        symlink("/dev/stderr", root.join("var/log/nginx/error.log")).unwrap();
    }
}

/// A system with nothing but a static program.
fn program(root: &Path, name: &str) {
    fs::create_dir_all(root.join("usr/local/bin")).unwrap();
    fs::create_dir_all(root.join("tmp")).unwrap();
    fs::copy(installed(name), root.join("usr/local/bin").join(name)).unwrap();
}
