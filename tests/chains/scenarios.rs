//! The scenarios that every chain must pass.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use rustix::process::Signal;

use super::{
    Chain,
    balancer::Balancer,
    load::{Load, get},
    service::Service,
    store::Store,
};
use crate::support::eventually;

/// The number of changes of the set of services under load.
const RELOADS: usize = 50;

/// Waits until the load balancer answers with these names and no others.
#[track_caller]
fn answers(balancer: &Balancer, expected: &[&str]) {
    eventually(&format!("requests reach {expected:?}"), || {
        let mut names: Vec<_> =
            (0..10).map(|_| get(&balancer.address).unwrap_or_default()).collect();
        names.sort();
        names.dedup();
        names == expected
    });
}

/// Waits until a load balancer without services is up.
#[track_caller]
fn is_up(balancer: &Balancer) {
    eventually("the load balancer answers", || {
        get(&balancer.address).is_err_and(|answer| answer.starts_with("HTTP/1.1 503 "))
    });
}

/// The entrypoint is started before the store, and begins when the store is up.
pub(super) fn waits(chain: Chain) {
    let mut store = Store::durable(chain.kind);
    store.put("bad", "no address");
    store.kill();
    let balancer = Balancer::start(chain, &store);
    balancer.wait_for("FATAL cannot reach ");
    store.restart();
    balancer.wait_for(chain.refusal);
    assert!(TcpStream::connect(&balancer.address).is_err());
    let service = Service::start(&store, "one", 10);
    store.delete("bad");
    answers(&balancer, &["one"]);
    assert_eq!(balancer.log().matches("Captured").count(), 0);
    service.stop();
}

/// Services are started and stopped properly: each deregisters before it ends.
pub(super) fn come_and_go(chain: Chain) {
    let store = Store::start(chain.kind);
    let balancer = Balancer::start(chain, &store);
    is_up(&balancer);
    let one = Service::start(&store, "one", 10);
    answers(&balancer, &["one"]);
    balancer.settles();
    let load = Load::on(&balancer.address);
    let two = Service::start(&store, "two", 10);
    answers(&balancer, &["one", "two"]);
    one.stop();
    balancer.wait_for_servers(&["two"]);
    let three = Service::start(&store, "three", 10);
    answers(&balancer, &["three", "two"]);
    two.stop();
    answers(&balancer, &["three"]);
    let tally = load.end();
    tally.lost_nothing();
    assert_eq!(tally.answers.keys().collect::<Vec<_>>(), ["one", "three", "two"]);
    three.stop();
    is_up(&balancer);
}

/// A service is killed with its registration script, so that nothing deregisters it.
pub(super) fn dies(chain: Chain) {
    let store = Store::start(chain.kind);
    let (one, two) = (Service::start(&store, "one", 2), Service::start(&store, "two", 2));
    let balancer = Balancer::start(chain, &store);
    answers(&balancer, &["one", "two"]);
    balancer.settles();
    let load = Load::on(&balancer.address);
    load.goes_on(100);
    drop(two);
    // The service is still in the list, but all requests go to the other one.
    load.goes_on(100);
    balancer.wait_for_servers(&["one"]);
    load.goes_on(100);
    load.end().lost_nothing();
    one.stop();
}

/// The store loses all registrations while the services live.
pub(super) fn is_forgotten(chain: Chain) {
    let store = Store::start(chain.kind);
    let service = Service::start(&store, "one", 2);
    let balancer = Balancer::start(chain, &store);
    answers(&balancer, &["one"]);
    store.forget();
    // The balancer need not see the moment in between.
    eventually("it has come back", || !store.promises().is_empty());
    answers(&balancer, &["one"]);
    service.stop();
}

/// The set of services changes, one change at a time, while requests are sent.
pub(super) fn reloads(chain: Chain) {
    let names = ["always", "a", "b", "c"];
    let services = names.map(Service::unregistered);
    let store = Store::start(chain.kind);
    for (name, service) in names.iter().zip(&services) {
        store.put(name, &service.address);
    }
    let balancer = Balancer::start(chain, &store);
    answers(&balancer, &["a", "always", "b", "c"]);
    let (mut present, before) = ([true; 4], balancer.updates());
    let load = Load::on(&balancer.address);
    for change in 0..RELOADS {
        let nth = 1 + change % 3;
        present[nth] = !present[nth];
        match present[nth] {
            true => store.put(names[nth], &services[nth].address),
            false => store.delete(names[nth]),
        }
        eventually("it is reloaded", || balancer.updates() == before + change + 1);
        load.goes_on(10);
    }
    let left: Vec<_> = names.into_iter().zip(present).filter(|(_, is)| *is).collect();
    let mut left: Vec<_> = left.into_iter().map(|(name, _)| name).collect();
    left.sort_unstable();
    answers(&balancer, &left);
    let tally = load.end();
    tally.lost_nothing();
    assert_eq!(tally.answers.len(), names.len(), "{tally:?}");
    assert!(tally.requests() > 10 * RELOADS, "{tally:?}");
}

/// The next request to a service. Health checks connect and send nothing.
#[track_caller]
fn request(service: &TcpListener) -> TcpStream {
    service.set_nonblocking(true).unwrap();
    let mut request = None;
    eventually("a request comes", || {
        request = service.accept().ok().map(|(stream, _)| stream).filter(|mut stream| {
            stream.set_nonblocking(false).unwrap();
            stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0)
        });
        request.is_some()
    });
    request.unwrap()
}

/// The container is stopped while a service works on its answer.
pub(super) fn stops(chain: Chain) {
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = Store::start(chain.kind);
    store.put("slow", &slow.local_addr().unwrap().to_string());
    let balancer = Balancer::start(chain, &store);
    balancer.settles();
    let address = balancer.address.clone();
    let client = thread::spawn(move || {
        eventually("it is answered", || get(&address).is_ok_and(|name| name == "late"));
    });
    let mut request = request(&slow);
    balancer.signal(Signal::TERM);
    eventually("no process listens any more", || TcpStream::connect(&balancer.address).is_err());
    request.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlate\n").unwrap();
    drop(request);
    client.join().unwrap();
    let ended = balancer.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// A container in which one of its two programs has ended must end.
pub(super) fn one_ends(chain: Chain) {
    let store = Store::start(chain.kind);
    for (name, signal) in [("confd", Signal::KILL), (chain.balancer(), Signal::TERM)] {
        let balancer = Balancer::start(chain, &store);
        is_up(&balancer);
        balancer.settles();
        balancer.signal_one(name, signal);
        let ended = balancer.wait();
        assert!(ended.code.is_some_and(|code| code != 0), "{name}: {ended:?}");
    }
}

/// With `FOLLOW='-interval 1'`, as the tutorials have it.
pub(super) fn by_interval(chain: Chain) {
    let store = Store::start(chain.kind);
    let balancer = Balancer::start_with(chain, &store, "-interval 1");
    is_up(&balancer);
    let service = Service::start(&store, "one", 10);
    answers(&balancer, &["one"]);
    service.stop();
    balancer.wait_for_servers(&[]);
    balancer.signal(Signal::TERM);
    let ended = balancer.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("INFO Captured terminated. Exiting..."), "{}", ended.stderr);
}
