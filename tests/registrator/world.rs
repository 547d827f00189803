//! An engine, and registries at their default ports in the engine's network.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;
use servers::{Consul, Engine, Etcd, Release, consul::Setup};

use crate::case;
use crate::containers::{self, Images};
use crate::program::real_program;
use crate::registry::Registry;

/// The address of the host, in addition to 127.0.0.1.
pub(crate) const HOST_ADDRESS: &str = "10.77.0.5";
pub(crate) const CONSUL: &str = "127.0.0.1:8500";
pub(crate) const CONSUL_NOSCRIPT: &str = "127.0.0.1:8501";
pub(crate) const ETCD: &str = "127.0.0.1:2379";

/// Where one case runs at a time.
pub(crate) struct World {
    registries: Registries,
    images: Images,
    /// Dropped last: the network is the engine's.
    engine: Engine,
}

/// The registries of a world.
struct Registries {
    _consul: Consul,
    /// A Consul that does not run scripts. Few cases need it.
    without_scripts: OnceLock<Consul>,
    _etcd: Etcd,
}

impl World {
    pub(crate) fn start() -> World {
        let engine = Engine::start(HOST_ADDRESS);
        let images = Images::new(&engine);
        let registries = engine.within(|| Registries::start(engine.folder()));
        World { registries, images, engine }
    }

    /// Runs a case and removes everything that it made. The error says why it failed.
    pub(crate) fn run(&mut self, case: &Value) -> Result<(), String> {
        let World { registries, images, engine } = self;
        engine.within(|| {
            let kind = case["registry"].as_str().unwrap();
            if kind == "consul-noscript" {
                registries
                    .without_scripts
                    .get_or_init(|| consul(engine.folder(), CONSUL_NOSCRIPT, ""));
            }
            let registry = registry(engine.folder(), kind);
            let result = case::run(case, engine, images, registry.as_ref());
            containers::clear(engine);
            if let Some(registry) = registry {
                registry.clear();
            }
            result
        })
    }
}

impl Registries {
    fn start(folder: &Path) -> Registries {
        let more = format!(
            "enable_script_checks = true\naddresses {{ http = \"127.0.0.1 unix://{}\" }}",
            socket(folder)
        );
        Registries {
            _consul: consul(folder, CONSUL, &more),
            without_scripts: OnceLock::new(),
            // Version 2 of the API is for the real program, and for the scheme `etcd2`.
            _etcd: Etcd::start_at(Release::Debian, port(ETCD), &["--enable-v2=true"]),
        }
    }
}

/// The Unix socket of the Consul at its default port.
pub(crate) fn socket(folder: &Path) -> String {
    folder.join("consul.sock").display().to_string()
}

fn port(address: &str) -> u16 {
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// The folder in which the Consul at this address keeps its checks.
fn data(folder: &Path, address: &str) -> std::path::PathBuf {
    folder.join(format!("consul-{}", port(address)))
}

fn consul(folder: &Path, address: &str, more: &str) -> Consul {
    let data = data(folder, address);
    fs::create_dir(&data).unwrap();
    let settings = format!("node_name = \"consul\"\ndata_dir = {data:?}\n{more}");
    Consul::start_as(&Setup { settings: &settings, port: Some(port(address)), ..Setup::default() })
}

/// The registry of this kind, as cases name it.
fn registry(folder: &Path, kind: &str) -> Option<Registry> {
    let of = |address: &str| Registry::Consul {
        address: address.to_owned(),
        data: data(folder, address),
    };
    match kind {
        "consul" => Some(of(CONSUL)),
        "consul-noscript" => Some(of(CONSUL_NOSCRIPT)),
        "consulkv" => Some(Registry::ConsulKeys { address: CONSUL.to_owned() }),
        "etcd" | "skydns2" => {
            Some(Registry::Etcd { address: ETCD.to_owned(), is_v2: real_program().is_some() })
        }
        "etcd2" => Some(Registry::Etcd { address: ETCD.to_owned(), is_v2: true }),
        "none" => None,
        other => panic!("registry {other}"),
    }
}
