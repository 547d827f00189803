//! The promises of every source.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use servers::zookeeper::Client;
use servers::{Certificates, Proxy, Traffic};
use source::Source;
use source::testing::conformance::{self, Fixture, Refusing};

use crate::tests::options;
use crate::{Login, ZooKeeper};

/// One server for all tests that run at the same time: it takes seconds to start.
struct Shared {
    server: servers::ZooKeeper,
    certificates: Certificates,
}

fn shared() -> Arc<Shared> {
    static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let certificates = Certificates::new();
        let server = servers::ZooKeeper::with_certificates(&certificates);
        let new = Arc::new(Shared { server, certificates });
        *shared = Arc::downgrade(&new);
        new
    })
}

/// A part of a real server behind a network that can be cut.
struct Server<const KIND: u8> {
    shared: Arc<Shared>,
    client: Client,
    network: Proxy,
    chroot: String,
}

/// Who changes the store.
const WRITER: &str = "writer:secret";

/// Without login, as a user, and by TLS with a client certificate.
const OPEN: u8 = 0;
const USER: u8 = 1;
const TLS: u8 = 2;

type ZooKeeperOpen = Server<OPEN>;
type ZooKeeperUser = Server<USER>;
type ZooKeeperTls = Server<TLS>;

impl<const KIND: u8> Default for Server<KIND> {
    fn default() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let shared = shared();
        let address = match KIND {
            TLS => shared.server.secure_address(),
            _ => shared.server.address(),
        };
        let chroot = format!("/test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut client = Client::connect(&shared.server.address());
        client.log_in(WRITER);
        Server { client, network: Proxy::before(&address), shared, chroot }
    }
}

impl<const KIND: u8> Fixture for Server<KIND> {
    const MATCHES_TEXT: bool = false;
    const HIDES_A_VALUE_ABOVE_KEYS: bool = true;
    const HIDES_ALL_VALUES_ABOVE_KEYS: bool = true;
    const IMPOSSIBLE: &[u8] = b"";
    const CAN_BE_FOLLOWED: bool = true;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.client.set(&format!("{}{key}", self.chroot), value);
    }

    async fn delete(&mut self, key: &str) {
        self.client.delete(&format!("{}{key}", self.chroot));
    }

    async fn set_all(&mut self, pairs: &[(String, String)]) {
        for pairs in pairs.chunks(500) {
            let pairs: Vec<(String, &[u8])> = pairs
                .iter()
                .map(|(key, value)| (format!("{}{key}", self.chroot), value.as_bytes()))
                .collect();
            self.client.create_together(&pairs);
        }
    }

    fn source(&self) -> Box<dyn Source> {
        let scheme = if KIND == TLS { "zookeepers" } else { "zookeeper" };
        let node = format!("{scheme}://{}{}", self.network.address(), self.chroot);
        let mut options = options(&[node]);
        let file = |name| Some(self.shared.certificates.path(name));
        options.tls.ca = file("ca.pem");
        options.tls.certificate = file("client.pem");
        options.tls.key = file("client.key");
        options.login = (KIND == USER)
            .then(|| Login { user: "reader".to_owned(), password: "secret".to_owned() });
        Box::new(ZooKeeper::new(options))
    }

    fn disconnect(&mut self) {
        self.network.set(Traffic::Refused);
        self.network.cut();
    }

    fn reconnect(&mut self) {
        self.network.set(Traffic::Flows);
    }
}

impl Refusing for ZooKeeperUser {
    async fn forbid(&mut self, key: &str) {
        let path = format!("{}{key}", self.chroot);
        for path in self.client.all_below(&path) {
            self.client.allow_only(WRITER, &path);
        }
    }

    async fn allow(&mut self) {
        for path in self.client.all_below(&self.chroot) {
            self.client.allow_all(&path);
        }
    }
}

source::promises! {
    zookeeper: super::ZooKeeperOpen, zookeeper_tls: super::ZooKeeperTls,
}

mod following {
    source::promises_of_following! {
        zookeeper: super::super::ZooKeeperOpen, zookeeper_user: super::super::ZooKeeperUser,
        zookeeper_tls: super::super::ZooKeeperTls,
    }
}

mod refusing {
    source::promises_of_refusing! { zookeeper_user: super::super::ZooKeeperUser }
}

#[tokio::test]
async fn nothing_is_lost_over_a_disconnect_of_half_a_minute() {
    conformance::nothing_is_lost_over_a_disconnect_of::<ZooKeeperOpen>(Duration::from_secs(30))
        .await;
}
