//! The program by itself: what it needs of the machine it runs on.

use std::fs;

use servers::{Certificates, Consul, Etcd, Release};

use super::support::{Network, Run, Sandbox, World, needs_root};

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

/// A folder with nothing but the program and a resource that renders `template` to `/app.conf`.
/// Resources and templates have their default places.
fn with_nothing_else(keys: &str, template: &str) -> Sandbox {
    needs_root();
    let sandbox = Sandbox::new();
    fs::copy(env!("CARGO_BIN_EXE_confd"), sandbox.path("confd")).unwrap();
    let resource = format!("[template]\nsrc = \"app\"\ndest = \"/app.conf\"\nkeys = [{keys}]\n");
    sandbox.write("etc/confd/conf.d/app.toml", resource);
    sandbox.write("etc/confd/templates/app", template);
    sandbox
}

/// A onetime run in this folder, which is its root.
fn alone(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let run = Run::new("/confd", sandbox.root()).arguments(&["-onetime"]).arguments(arguments);
    run.through(&["chroot", sandbox.root().to_str().unwrap()])
}

#[test]
fn the_program_runs_where_nothing_else_is() {
    let sandbox = with_nothing_else("\"/greeting\"", "{{getv \"/greeting\"}}\n");
    alone(&sandbox, &["-backend", "env"])
        .env("GREETING", "hello")
        .ok()
        .expect("INFO Target config /app.conf has been updated");
    assert_eq!(sandbox.read("app.conf"), "hello\n");
}

/// A network without files in `/etc`, so that the name server on 127.0.0.1 is asked.
const NETWORK: Network<'static> = Network {
    hosts: "",
    zone: "web.example.test. A 192.0.2.1\nweb.example.test. AAAA 2001:db8::1\n\
           _web._tcp.example.test. SRV 1 2 80 web.example.test.\nstore_1. A 127.0.0.1",
    is_bare: true,
};

#[test]
fn names_are_looked_up_where_nothing_else_is() {
    let template = "{{lookupIP \"web.example.test\"}} {{lookupIP \"localhost\"}} \
        {{range lookupSRV \"web\" \"tcp\" \"example.test\"}}{{.Target}}:{{.Port}}{{end}}";
    let sandbox = with_nothing_else("", template);
    let ended = alone(&sandbox, &["-backend", "env"]).run_in(&sandbox, NETWORK);
    let expected = "[192.0.2.1 2001:db8::1] [127.0.0.1 ::1] web.example.test.:80";
    assert_eq!(sandbox.read("app.conf"), expected, "{}", ended.stderr);
}

#[test]
fn etcd_is_reached_over_tls_by_its_name_where_nothing_else_is() {
    let sandbox = with_nothing_else("\"/app/a\"", "{{getv \"/app/a\"}}");
    let files = Certificates::for_names(&["store_1", "localhost", "127.0.0.1"]);
    let path = |name| files.path(name).display().to_string();
    fs::copy(files.path("ca.pem"), sandbox.path("ca.pem")).unwrap();
    let prepare = |_: &World| {
        let (certificate, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
        let arguments = ["--cert-file", &certificate, "--key-file", &key];
        let server = Etcd::start_with(Release::Debian, &arguments);
        server.ctl(&["--cacert", &ca, "put", "/app/a", "1"]);
        let port = server.address().split_once(':').unwrap().1.to_owned();
        let file = format!("nodes = ['https://store_1:{port}']\nclient_cakeys = '/ca.pem'\n");
        sandbox.write("etc/confd/confd.toml", file);
        server
    };
    let run = alone(&sandbox, &["-backend", "etcdv3"]);
    let (ended, _server) = run.run_in_after(&sandbox, NETWORK, prepare);
    assert_eq!(sandbox.read("app.conf"), "1", "{}", ended.stderr);
}

#[test]
fn consul_is_reached_by_its_name_where_nothing_else_is() {
    let sandbox = with_nothing_else("\"/app/a\"", "{{getv \"/app/a\"}}");
    let prepare = |_: &World| {
        let server = Consul::start();
        server.put("app/a", "1");
        let port = server.address().split_once(':').unwrap().1.to_owned();
        sandbox.write("etc/confd/confd.toml", format!("nodes = ['http://store_1:{port}']\n"));
        server
    };
    let run = alone(&sandbox, &["-backend", "consul"]);
    let (ended, _server) = run.run_in_after(&sandbox, NETWORK, prepare);
    assert_eq!(sandbox.read("app.conf"), "1", "{}", ended.stderr);
}

#[test]
fn a_time_zone_is_known_by_its_name_where_nothing_else_is() {
    let sandbox = with_nothing_else("", "{{datetime.Format \"-0700 MST\"}}");
    for (zone, local) in [
        ("Asia/Tokyo", "+0900 JST"),
        (":Asia/Kolkata", "+0530 IST"),
        // Go takes these for zones that it does not know, which are UTC.
        ("asia/tokyo", "+0000 UTC"),
        ("JST-9", "+0000 UTC"),
        ("", "+0000 UTC"),
    ] {
        let ended = alone(&sandbox, &["-backend", "env"]).env("TZ", zone).ok();
        assert_eq!(sandbox.read("app.conf"), local, "{zone:?}");
        let log = if zone == "Asia/Tokyo" { "+09:00" } else { "" };
        assert!(ended.stderr.contains(log), "{}", ended.stderr);
    }
    alone(&sandbox, &["-backend", "env"]).ok();
    assert_eq!(sandbox.read("app.conf"), "+0000 UTC");
}
