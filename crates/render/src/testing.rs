//! A small world for tests of templates, in which nothing ever changes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bytes::Bytes;
use store::{Coverage, Key, Prefix, Scope, Snapshot, View};
use world::interfaces::Interface;
use world::time::{Time, Zone};
use world::{Host, Service};

/// Its host.
pub(crate) struct World;

impl Host for World {
    fn variable(&self, name: &[u8]) -> Option<Bytes> {
        match name {
            b"NAME" => Some("value".into()),
            b"EMPTY" => Some(Bytes::new()),
            b"RAW" => Some(Bytes::from_static(b"\xff")),
            _ => None,
        }
    }

    fn now(&self) -> Time {
        let time = Time::new(1_770_091_506, 70_080_900, Arc::new(Zone::utc()));
        time.with_monotonic(17_068_638)
    }

    fn file_exists(&self, path: &[u8]) -> bool {
        path == b"/there"
    }

    fn machine_name(&self) -> io::Result<Bytes> {
        Ok("web-1".into())
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        let interface = |name: &str, address: IpAddr| Interface {
            index: 1,
            mtu: 1500,
            name: name.to_owned(),
            hardware: String::new(),
            flags: vec!["up"],
            address,
            prefix: 24,
        };
        Ok(vec![
            interface("eth0", Ipv6Addr::LOCALHOST.into()),
            interface("eth0", Ipv4Addr::new(192, 0, 2, 1).into()),
            interface("eth0", Ipv4Addr::new(192, 0, 2, 2).into()),
        ])
    }

    fn addresses(&self, name: &[u8]) -> io::Result<Vec<IpAddr>> {
        match name {
            b"host" => Ok(vec![[10, 0, 0, 9].into(), [10, 0, 0, 10].into()]),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn services(&self, name: &[u8]) -> io::Result<Vec<Service>> {
        match name {
            b"_http._tcp.example" => Ok(vec![Service {
                target: "a.example.".to_owned(),
                port: 8080,
                priority: 1,
                weight: 2,
            }]),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// All of `pairs`, without a prefix.
pub(crate) fn view<K: Into<Bytes>, V: Into<Bytes>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> View {
    let snapshot = Snapshot::from_pairs(Coverage::Subtree, pairs);
    View::new(snapshot, &Scope::from_iter([Key::root()]), &Prefix::new(b"/"))
}
