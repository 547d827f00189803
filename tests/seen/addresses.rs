//! Where it listens, and clients that send or read nothing.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use servers::free_ports;

use crate::support::{Sandbox, eventually};

use super::{becomes_ready, data, get, get_at, shown, watching};

#[test]
fn an_address_that_is_taken_is_an_error_and_is_bound_when_it_is_free() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: 1");
    let [port] = free_ports();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let address = format!("127.0.0.1:{port}");
    let daemon = watching(&sandbox, &["-metrics-addr", &address]);
    daemon.wait_for(&format!("INFO Starting metrics server on {address}\n"));
    daemon.wait_for(&format!(
        "ERROR Metrics server error: listen tcp {address}: bind: address already in use; confd goes on"
    ));
    eventually("the file is written", || sandbox.output() == "1");
    drop(taken);
    daemon.wait_for(&format!("INFO the metrics server listens on {address}\n"));
    becomes_ready(port);
}

#[test]
fn a_hangup_moves_it_to_another_address_or_ends_it() {
    let sandbox = Sandbox::rendering("x");
    data(&sandbox, "v: 1");
    let [one, two] = free_ports();
    sandbox.write("confd.toml", format!("metrics_addr = 'localhost:{one}'\n"));
    let daemon = watching(&sandbox, &[]);
    eventually("it listens", || get(one, "/health").is_ok());
    sandbox.write("confd.toml", format!("metrics_addr = '127.0.0.1:{two}'\n"));
    daemon.signal(Signal::HUP);
    eventually("it has moved", || get(two, "/health").is_ok());
    assert!(get(one, "/health").is_err());
    sandbox.write("confd.toml", "metrics_addr = 'nonsense'\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for("ERROR metrics-addr: \"nonsense\" is no address to listen at");
    assert!(get(two, "/health").is_ok());
    sandbox.write("confd.toml", "");
    daemon.signal(Signal::HUP);
    eventually("nothing listens", || get(two, "/health").is_err());
}

#[test]
fn clients_that_send_nothing_do_not_keep_others_out() {
    let sandbox = Sandbox::rendering("x");
    data(&sandbox, "v: 1");
    let (_daemon, port) = shown(&sandbox, &[]);
    let idle: Vec<_> = (0..200).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let begun = Instant::now();
    assert_eq!(get(port, "/health").unwrap().body, "ok");
    // A client has ten seconds to send its request.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(idle);
}

#[test]
fn a_unix_socket_is_for_its_user_alone_and_is_removed_at_the_end() {
    let sandbox = Sandbox::rendering("x");
    data(&sandbox, "v: 1");
    let socket = sandbox.path("metrics.sock");
    let run = sandbox
        .confd(&["-watch", "-backend", "file", "-file", "data.yaml"])
        .env("CONFD_METRICS_ADDR", format!("unix:{}", socket.display()));
    let daemon = crate::support::Daemon::start(run, sandbox.path("log"));
    eventually("it is ready", || {
        get_at(&socket, "GET", "/ready").is_ok_and(|answer| answer.code == 200)
    });
    assert_eq!(sandbox.mode("metrics.sock"), 0o600);
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    assert!(!socket.exists());
}

#[test]
fn an_address_that_is_none_ends_confd_with_the_forms_that_there_are() {
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.confd(&["-backend", "env", "-metrics-addr", "9100"]).fails();
    let line =
        "FATAL metrics-addr: \"9100\" is no address to listen at: write :9100 (all addresses";
    assert!(ended.stderr.contains(line), "{}", ended.stderr);
}

#[test]
fn a_onetime_run_listens_nowhere() {
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.onetime().arguments(&["-metrics-addr", ":1"]).ok();
    assert!(!ended.stderr.contains("metrics"), "{}", ended.stderr);
}

#[test]
fn clients_that_send_and_read_nothing_delay_no_pass_and_take_no_more_than_their_places() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: 0");
    let (daemon, port) = shown(&sandbox, &[]);
    let silent = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut clients: Vec<_> = (0..100).map(|_| silent()).collect();
    for (nth, client) in clients.iter_mut().enumerate() {
        // Some send a part of a request, and some a head that is too large.
        let text = if nth % 2 == 0 { "GET /health HT".to_owned() } else { "x".repeat(64 * 1024) };
        let _ = client.write(text.as_bytes());
    }
    for value in ["1", "2", "3"] {
        data(&sandbox, &format!("v: {value}"));
        eventually(value, || sandbox.output() == value);
    }
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    assert!(descriptors < 64 + 40, "{descriptors}");
    // They lose their places when their time is over.
    let answer = get(port, "/health").unwrap();
    assert_eq!(answer.body, "ok");
}
