//! The folders in `examples/`, run unchanged: a store, confd and a load balancer together.
//!
//! The services are real processes that register themselves. A load runs while services start, stop
//! and die. [`scenarios`] has what must be true for every chain.

mod balancer;
mod kept;
mod load;
mod scenarios;
mod service;
mod store;
mod tour;
mod upstream;

use std::path::{Path, PathBuf};

use crate::support::{Run, search_path};

/// An example: its folder, and the store that its load balancer and services use.
#[derive(Clone, Copy, Debug)]
struct Chain {
    /// The folder in `examples/`.
    example: &'static str,
    kind: store::Kind,
    /// The load balancer's error for a service without an address, as confd quotes it in the log.
    refusal: &'static str,
}

const ETCD_NGINX: Chain = Chain {
    example: "etcd-nginx",
    kind: store::Kind::Etcd,
    refusal: r#"invalid parameter \"address\""#,
};

const ETCD_HAPROXY: Chain = Chain {
    example: "etcd-haproxy",
    kind: store::Kind::Etcd,
    refusal: "unknown keyword 'address'",
};

const CONSUL_NGINX: Chain =
    Chain { example: "consul-nginx", kind: store::Kind::Consul, refusal: ETCD_NGINX.refusal };

impl Chain {
    /// The name of the load balancer, and of its processes.
    fn balancer(self) -> &'static str {
        self.example.rsplit('-').next().unwrap()
    }
}

/// A file in `examples/`.
fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

/// A script in `examples/`, with our confd and the servers in its `PATH`.
fn script(path: &str, folder: &Path) -> Run {
    let ours = Path::new(env!("CARGO_BIN_EXE_confd")).parent().unwrap().display();
    let path_of_tests = search_path();
    Run::new(example(path), folder).env("PATH", format!("{ours}:{path_of_tests}:/usr/sbin:/sbin"))
}

/// The tests of a chain.
macro_rules! tests {
    ($module:ident, $chain:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn the_entrypoint_waits_for_the_store_and_for_a_configuration_that_passes_its_check() {
                scenarios::waits($chain);
            }

            #[test]
            fn services_that_come_and_go_lose_no_request() {
                scenarios::come_and_go($chain);
            }

            #[test]
            fn a_service_that_dies_leaves_when_its_registration_runs_out() {
                scenarios::dies($chain);
            }

            #[test]
            fn a_service_that_the_store_has_forgotten_registers_again() {
                scenarios::is_forgotten($chain);
            }

            #[test]
            fn fifty_reloads_under_load_lose_no_request() {
                scenarios::reloads($chain);
            }

            #[test]
            fn a_stop_ends_both_and_lets_a_request_under_way_end() {
                scenarios::stops($chain);
            }

            #[test]
            fn if_one_of_the_two_ends_so_does_the_other() {
                scenarios::one_ends($chain);
            }

            #[test]
            fn the_interval_mode_does_as_well() {
                scenarios::by_interval($chain);
            }
        }
    };
}

tests!(etcd_nginx, ETCD_NGINX);
tests!(etcd_haproxy, ETCD_HAPROXY);
tests!(consul_nginx, CONSUL_NGINX);
