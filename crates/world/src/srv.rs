//! Looks up SRV records, which the interface of the system's resolver does not offer.

use std::{io, thread};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};
use hickory_resolver::system_conf::read_system_conf;

use crate::Service;

/// The SRV records of `name`, from the servers in `resolv.conf`. Errors say in Go's words what was
/// asked of which server.
///
/// The file is read for each lookup, because it can change while the process runs. Answers are not
/// cached: a pass makes few lookups, and the next pass needs new answers.
pub(super) fn lookup(name: &[u8]) -> io::Result<Vec<Service>> {
    let (name, domain) = domain(name)?;
    let (config, options) = read_system_conf().map_err(io::Error::other)?;
    let servers = config.name_servers().iter();
    let server = servers.map(|server| format!(" on {}:53", server.ip)).next().unwrap_or_default();
    lookup_with(config, options, domain)
        .map_err(|error| io::Error::new(error.kind(), format!("lookup {name}{server}: {error}")))
}

/// `name` as text and as a domain name. A text that is not a domain name is refused here, because
/// the resolver's errors for it show internals of the library.
fn domain(name: &[u8]) -> io::Result<(&str, Name)> {
    let parsed = std::str::from_utf8(name).ok().and_then(|text| {
        let domain = Name::from_utf8(text).ok()?;
        Some((text, domain))
    });
    parsed.ok_or_else(|| {
        let name = String::from_utf8_lossy(name);
        let message = format!("lookup {name}: no such host (not a domain name)");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

fn lookup_with(
    config: ResolverConfig,
    mut options: ResolverOpts,
    name: Name,
) -> io::Result<Vec<Service>> {
    options.cache_size = 0;
    let query = async move {
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let found = builder.build()?.srv_lookup(name).await?;
        let services = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(Service {
                target: srv.target.to_ascii(),
                port: srv.port,
                priority: srv.priority,
                weight: srv.weight,
            }),
            _ => None,
        });
        Ok::<_, NetError>(services.collect())
    };
    // A template is rendered synchronously, possibly inside of a runtime. A second runtime must not
    // block that runtime's thread, so the query has its own thread.
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(query).map_err(|error| match error.is_no_records_found() {
                true => io::Error::new(io::ErrorKind::NotFound, "no such host"),
                false => io::Error::other(error),
            })
        });
        worker.join().unwrap_or_else(|_| Err(io::Error::other("the resolver panicked")))
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use hickory_resolver::config::NameServerConfig;

    use super::*;

    /// Two SRV records as an answer to any question: port 8080 of `b.example.`, port 80 of
    /// `a.example.`.
    const ANSWERS: &[u8] =
        b"\xc0\x0c\0\x21\0\x01\0\0\0\x3c\0\x11\0\x01\0\x05\x1f\x90\x01b\x07example\0\
        \xc0\x0c\0\x21\0\x01\0\0\0\x3c\0\x11\0\x02\0\x06\0\x50\x01a\x07example\0";

    /// Looks `name` up at a server of the test, which answers one question. Returns the result and
    /// the name in the question.
    fn ask(name: &str, code: u8, answers: &'static [u8]) -> (io::Result<Vec<Service>>, Vec<u8>) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = socket.local_addr().expect("bound").port();
        let server = thread::spawn(move || {
            let mut buffer = [0; 512];
            let (length, peer) = socket.recv_from(&mut buffer).expect("a question");
            let end = buffer[12..length].iter().position(|&byte| byte == 0).expect("a name") + 12;
            let mut reply = buffer[..end + 5].to_vec();
            reply[2..4].copy_from_slice(&[0x81, 0x80 | code]);
            reply[6..12].copy_from_slice(&[0, if answers.is_empty() { 0 } else { 2 }, 0, 0, 0, 0]);
            reply.extend_from_slice(answers);
            socket.send_to(&reply, peer).expect("sent");
            buffer[12..end].to_vec()
        });
        let mut server_config = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        server_config.connections[0].port = port;
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server_config]);
        let found = lookup_with(
            config,
            ResolverOpts::default(),
            domain(name.as_bytes()).expect("a name").1,
        );
        (found, server.join().expect("a question was asked"))
    }

    #[test]
    fn records_come_with_all_their_fields() {
        let (found, asked) = ask("_http._tcp.example.", 0, ANSWERS);
        assert_eq!(asked, b"\x05_http\x04_tcp\x07example");
        let record = |target: &str, port, priority, weight| Service {
            target: target.to_owned(),
            port,
            priority,
            weight,
        };
        let want = [record("b.example.", 8080, 1, 5), record("a.example.", 80, 2, 6)];
        assert_eq!(found.expect("an answer"), want);
    }

    #[test]
    fn a_name_that_does_not_exist_is_an_error() {
        for code in [3, 0] {
            let (found, _) = ask("_none._tcp.example.", code, b"");
            assert_eq!(found.unwrap_err().to_string(), "no such host");
        }
    }

    #[test]
    fn an_invalid_domain_name_is_reported_in_plain_words() {
        let long = "a".repeat(64);
        for name in ["_a b._tcp.x", "_ä\u{300}\u{301} ._tcp.x", "a..b", &long] {
            let error = lookup(name.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("lookup {name}: no such host (not a domain name)"));
        }
        let error = lookup(b"\xff.x").unwrap_err().to_string();
        assert_eq!(error, "lookup \u{fffd}.x: no such host (not a domain name)");
    }

    #[test]
    fn a_lookup_inside_a_runtime_blocks_only_its_own_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (found, _) = runtime.block_on(async { ask("_http._tcp.example.", 0, ANSWERS) });
        assert_eq!(found.expect("an answer").len(), 2);
    }
}
