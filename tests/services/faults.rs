//! Faults of Consul and of the network while a program follows services. At the end the file is
//! true, and the service has loaded that file.

use std::time::Duration;

use servers::{Consul, Proxy, Traffic};

use super::{INSTANCES, register};
use crate::support::{Daemon, Follower, Rendered, Sandbox, eventually};

/// A program that follows the instances of `web`. Its reload copies the file, as a service loads it,
/// and adds it to a history.
struct Following {
    sandbox: Sandbox,
    follower: Follower,
    daemon: Daemon,
}

impl Following {
    fn start(follower: Follower, nodes: &[String]) -> Self {
        let sandbox = Sandbox::new();
        let reload = "cp out/web loaded && cat loaded >> history && echo >> history";
        let file = Rendered { template: INSTANCES, dest: "out/web", reload };
        let daemon = follower.start(&sandbox, nodes, file);
        Self { sandbox, follower, daemon }
    }

    /// Waits until the file has this content and is loaded.
    #[track_caller]
    fn becomes(&self, content: &str) {
        eventually(&format!("{content:?} is in the file and loaded"), || {
            self.sandbox.read("out/web") == content && self.sandbox.read("loaded") == content
        });
    }

    /// Waits until an attempt to ask Consul has failed.
    #[track_caller]
    fn notices(&self) {
        self.daemon.wait_for("health.service(web|passing): ");
    }

    /// Stops the program. The instance must have been in every file that was loaded.
    #[track_caller]
    fn ends_and_never_lost(self, instance: &str) {
        let ended = self.follower.stop(self.daemon);
        let history = self.sandbox.read("history");
        assert!(history.lines().all(|file| file.contains(instance)), "{history}{}", ended.stderr);
    }
}

/// An agent is killed and starts again with its data.
fn restart_with_data(follower: Follower) {
    let mut consul = Consul::durable();
    register(&consul, "a", 80, "passing");
    register(&consul, "b", 81, "passing");
    let following = Following::start(follower, &[consul.address()]);
    following.becomes("a:80 b:81 ");
    consul.kill();
    following.notices();
    assert_eq!(following.sandbox.read("out/web"), "a:80 b:81 ");
    consul.restart();
    consul.wait();
    register(&consul, "b", 81, "critical");
    following.becomes("a:80 ");
    register(&consul, "c", 82, "passing");
    following.becomes("a:80 c:82 ");
    following.ends_and_never_lost("a:80");
}

/// An agent is killed and starts again without its data. Its index begins again.
fn restart_without_data(follower: Follower) {
    let mut consul = Consul::start();
    for port in 80..90 {
        register(&consul, &format!("a{port}"), port, "passing");
    }
    let following = Following::start(follower, &[consul.address()]);
    let all: String = (80..90).map(|port| format!("a{port}:{port} ")).collect();
    following.becomes(&all);
    consul.kill();
    following.notices();
    assert_eq!(following.sandbox.read("out/web"), all);
    consul.restart();
    consul.wait();
    register(&consul, "b", 91, "passing");
    following.becomes("b:91 ");
    register(&consul, "b", 92, "passing");
    following.becomes("b:92 ");
    follower.stop(following.daemon);
}

/// The leader of three servers, which is asked first, is killed. The other servers may not have seen
/// the instance yet.
fn kill_the_leader(follower: Follower) {
    let mut members: [Consul; 3] = Consul::cluster();
    let leader = members.iter().position(Consul::is_leader).expect("a leader");
    register(&members[leader], "a", 80, "passing");
    let nodes: Vec<_> = (0..3).map(|nth| members[(leader + nth) % 3].address()).collect();
    let following = Following::start(follower, &nodes);
    following.becomes("a:80 ");
    members[leader].kill();
    let other = &members[(leader + 1) % 3];
    eventually("there is a new leader", || other.is_ready());
    register(other, "b", 81, "passing");
    following.becomes("a:80 b:81 ");
    register(other, "b", 81, "critical");
    following.becomes("a:80 ");
    following.ends_and_never_lost("a:80");
}

/// The connection is cut while an answer arrives.
fn cut_an_answer(follower: Follower) {
    let consul = Consul::start();
    register(&consul, "a", 80, "passing");
    for port in 100..160 {
        register(&consul, &format!("b{port}"), port, "passing");
    }
    let proxy = Proxy::before(&consul.address());
    let following = Following::start(follower, &[proxy.address()]);
    let rest: String = (100..160).map(|port| format!("b{port}:{port} ")).collect();
    following.becomes(&format!("a:80 {rest}"));
    for port in [201, 202, 203] {
        let (bytes, connections) = (proxy.bytes(), proxy.connections());
        proxy.set(Traffic::Pieces(64, Duration::from_millis(20)));
        register(&consul, "b0", port, "passing");
        eventually("a part of the answer has arrived", || proxy.bytes() > bytes);
        proxy.cut();
        proxy.set(Traffic::Flows);
        following.becomes(&format!("a:80 b0:{port} {rest}"));
        assert!(proxy.connections() > connections, "the cut was felt");
    }
    following.ends_and_never_lost("a:80");
}

/// The tests of a program.
macro_rules! tests {
    ($module:ident, $follower:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn an_agent_that_restarts_with_its_data_costs_only_time() {
                restart_with_data($follower);
            }

            #[test]
            fn an_agent_that_has_lost_its_data_is_read_again() {
                restart_without_data($follower);
            }

            #[test]
            fn a_leader_that_is_killed_costs_only_time() {
                kill_the_leader($follower);
            }

            #[test]
            fn an_answer_that_is_cut_in_the_middle_is_read_again() {
                cut_an_answer($follower);
            }
        }
    };
}

tests!(confd, Follower::Confd);
tests!(consul_template, Follower::ConsulTemplate);
