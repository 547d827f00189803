//! The lookups.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use hickory_proto::rr::{RData, RecordType};
use report::{FileError, read_regular};
use rustix::system::uname;
use tokio::runtime::{Builder, Handle};
use tokio::time::timeout;

use crate::Error;
use crate::error::Reason;
use crate::exchange::{Unanswered, ask};
use crate::name::{candidates, is_domain, is_localhost, literal};
use crate::settings::{Order, Settings};
use crate::{hosts, order};

/// The time for the lookup of a host that is connected to. A connection has three seconds.
const PATIENCE: Duration = Duration::from_millis(2500);

/// An SRV record: a place where a service can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name of the host, which ends in a dot.
    pub target: String,
    /// The port on that host.
    pub port: u16,
    /// The priority; lower values are tried first.
    pub priority: u16,
    /// The share of requests among the records of one priority.
    pub weight: u16,
}

/// Looks names up by the files of one folder.
#[derive(Debug, Clone)]
pub struct Resolver {
    /// The folder that has `hosts`, `resolv.conf` and `nsswitch.conf`.
    folder: PathBuf,
    /// The port of name servers.
    port: u16,
}

impl Resolver {
    /// The resolver of this machine: the files in `/etc`, and port 53. It is cheap to make.
    pub fn system() -> Self {
        Self::new(Path::new("/etc"), 53)
    }

    /// A resolver for the files `hosts`, `resolv.conf` and `nsswitch.conf` in `folder`. Each can be
    /// missing. Name servers are asked at `port`.
    pub(crate) fn new(folder: &Path, port: u16) -> Self {
        Resolver { folder: folder.to_owned(), port }
    }

    /// The addresses of a host for a connection, each once, in the order in which they are best
    /// tried, with `port` and with the zone of an IPv6 address.
    ///
    /// The lookup has less time than a connection, so that a user reads that the name server is
    /// slow, and not that the node is.
    ///
    /// # Errors
    /// The host has no addresses, or no name server answers within 2.5 seconds.
    pub async fn sockets(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let mut found = match self.without_dns(host) {
            Some(found) => found?,
            None => timeout(PATIENCE, self.by_dns(host)).await.unwrap_or_else(|_| {
                let server = self.settings(host)?.servers.first().copied();
                Err(Error::at(host, server, Reason::Timeout))
            })?,
        };
        order::sort(&mut found);
        found.iter_mut().for_each(|address| address.set_port(port));
        Ok(found)
    }

    /// The addresses of a host, each once. For an address, that address; the zone of an IPv6 address
    /// is left out. The calling thread waits; it may be inside of a runtime.
    ///
    /// # Errors
    /// The host has no addresses, or no name server answers; or a thread or a socket cannot be made.
    pub fn wait_for_addresses(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let found = match self.without_dns(host) {
            Some(found) => found?,
            None => wait(host, self.by_dns(host))?,
        };
        Ok(found.iter().map(SocketAddr::ip).collect())
    }

    /// The SRV records of `domain`, in the order of the answer. The calling thread waits; it may be
    /// inside of a runtime.
    ///
    /// # Errors
    /// The domain has no SRV records, or no name server answers; or a thread or a socket cannot be
    /// made.
    pub fn wait_for_services(&self, domain: &str) -> Result<Vec<Service>, Error> {
        wait(domain, self.services(domain))
    }

    async fn services(&self, domain: &str) -> Result<Vec<Service>, Error> {
        if !is_domain(domain) {
            return Err(Error::new(domain, Reason::NotADomainName));
        }
        let records = search(domain, &self.settings(domain)?, Wanted::Services).await?;
        let services = records.into_iter().filter_map(|record| match record {
            RData::SRV(srv) => Some(Service {
                target: srv.target.to_ascii(),
                port: srv.port,
                priority: srv.priority,
                weight: srv.weight,
            }),
            _ => None,
        });
        Ok(services.collect())
    }

    /// The content of a file of the folder, for a lookup of `name`. A file that is missing or may not
    /// be read counts as empty, as in Go.
    fn file(&self, name: &str, file: &str) -> Result<Vec<u8>, Error> {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};

        let path = self.folder.join(file);
        match read_regular(&path) {
            Ok(content) => Ok(content),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory | PermissionDenied) => {
                Ok(Vec::new())
            }
            Err(error) => {
                let text = FileError::new("open", &path, error).to_string();
                Err(Error::new(name, Reason::System(text)))
            }
        }
    }

    fn settings(&self, name: &str) -> Result<Settings, Error> {
        let own_name = uname();
        let own_name = own_name.nodename().to_string_lossy();
        Ok(Settings::parse(&self.file(name, "resolv.conf")?, self.port, &own_name))
    }

    fn order(&self, host: &str) -> Result<Order, Error> {
        Ok(Order::parse(&self.file(host, "nsswitch.conf")?))
    }

    fn in_hosts(&self, host: &str) -> Result<Vec<SocketAddr>, Error> {
        Ok(hosts::find(&self.file(host, "hosts")?, host))
    }

    /// What is known about a host without asking a name server. `None` if one has to be asked.
    fn without_dns(&self, host: &str) -> Option<Result<Vec<SocketAddr>, Error>> {
        if let Some(address) = literal(host) {
            return Some(Ok(vec![address]));
        }
        self.in_files(host).transpose()
    }

    fn in_files(&self, host: &str) -> Result<Option<Vec<SocketAddr>>, Error> {
        let order = self.order(host)?;
        if matches!(order, Order::FilesThenDns | Order::Files) || is_localhost(host) {
            let found = self.in_hosts(host)?;
            if !found.is_empty() {
                return Ok(Some(found));
            }
        }
        if is_localhost(host) {
            let here = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
            return Ok(Some(here.map(|address| SocketAddr::new(address, 0)).into()));
        }
        match is_domain(host) && order != Order::Files {
            true => Ok(None),
            false => Err(Error::new(host, Reason::NoSuchHost)),
        }
    }

    /// The addresses of a host in the DNS, or in the hosts file if that comes last.
    async fn by_dns(&self, host: &str) -> Result<Vec<SocketAddr>, Error> {
        let error = match search(host, &self.settings(host)?, Wanted::Addresses).await {
            Ok(records) => return Ok(addresses(records)),
            Err(error) => error,
        };
        let in_hosts = match self.order(host)? {
            Order::DnsThenFiles => self.in_hosts(host)?,
            _ => Vec::new(),
        };
        if in_hosts.is_empty() { Err(error) } else { Ok(in_hosts) }
    }
}

/// What is looked up.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    /// IPv4 and IPv6 addresses.
    Addresses,
    /// SRV records.
    Services,
}

/// Looks `name` up in the DNS, with the search list. Returns the records of the first domain that
/// has some.
async fn search(name: &str, settings: &Settings, wanted: Wanted) -> Result<Vec<RData>, Error> {
    let mut first = first(settings);
    let mut failed: Option<Error> = None;
    for candidate in candidates(name, &settings.search, settings.ndots) {
        let of = |kind| ask(settings, first, &candidate, kind);
        let found = match wanted {
            Wanted::Services => of(RecordType::SRV).await,
            Wanted::Addresses if settings.single_request => {
                both(of(RecordType::A).await, of(RecordType::AAAA).await)
            }
            Wanted::Addresses => {
                let (v4, v6) = tokio::join!(of(RecordType::A), of(RecordType::AAAA));
                both(v4, v6)
            }
        };
        let Unanswered { server, reason } = match found {
            Ok(records) => return Ok(records),
            Err(unanswered) => unanswered,
        };
        // A server that has answered answers the next question, too.
        let answered = settings.servers.iter().position(|known| Some(*known) == server);
        first = answered.unwrap_or(first);
        // If no name server can be reached, the next candidate would take as long.
        let is_over = matches!(reason, Reason::Timeout | Reason::System(_));
        let error = Error::at(name, server, reason);
        if is_over {
            return Err(error);
        }
        // A server that fails may know the name.
        failed = Some(failed.filter(|failed| !failed.is_no_such_host()).unwrap_or(error));
    }
    Err(failed.unwrap_or_else(|| Error::new(name, Reason::NoSuchHost)))
}

/// The number of the name server that a lookup asks first.
fn first(settings: &Settings) -> usize {
    static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
    match settings.rotate {
        true => LOOKUPS.fetch_add(1, Ordering::Relaxed) % settings.servers.len(),
        false => 0,
    }
}

/// The records of both kinds of addresses. One kind is enough.
fn both(
    v4: Result<Vec<RData>, Unanswered>,
    v6: Result<Vec<RData>, Unanswered>,
) -> Result<Vec<RData>, Unanswered> {
    match (v4, v6) {
        // A server that fails may know addresses.
        (Err(of_v4), Err(of_v6)) if of_v4.reason == Reason::NoSuchHost => Err(of_v6),
        (Err(of_v4), Err(_)) => Err(of_v4),
        (v4, v6) => Ok(v4.into_iter().chain(v6).flatten().collect()),
    }
}

/// The addresses in records, each once, with port 0.
fn addresses(records: Vec<RData>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for record in records {
        let address = match record {
            RData::A(address) => IpAddr::V4(address.0),
            RData::AAAA(address) => IpAddr::V6(address.0),
            _ => continue,
        };
        let address = SocketAddr::new(address.to_canonical(), 0);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Waits for a lookup of `name`.
///
/// The caller may be inside of a runtime, whose thread must not run a second runtime. Then the
/// lookup has its own thread.
fn wait<T: Send>(
    name: &str,
    lookup: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, Error> {
    let failed = |error: io::Error| Error::new(name, error.into());
    let run = || {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        runtime.block_on(lookup)
    };
    if Handle::try_current().is_err() {
        return run();
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("names".to_owned());
        let thread = thread.spawn_scoped(scope, run).map_err(failed)?;
        thread.join().unwrap_or_else(|_| Err(failed(io::Error::other("the lookup panicked"))))
    })
}
