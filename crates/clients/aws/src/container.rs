//! Credentials from the agent of a container: ECS, and the pod identities of EKS.

use std::net::IpAddr;
use std::time::Duration;

use nodes::Cause;
use nodes::proxy::Proxies;
use report::{file_error_text, read_regular};

use crate::Credentials;
use crate::connection::Connection;
use crate::credentials::of_document;
use crate::options::ContainerPlace;

const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5));

/// The addresses of the agents of ECS and EKS, which do not use TLS.
const AGENTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// Asks the agent at `place`.
pub(crate) async fn credentials(
    place: &ContainerPlace,
    tls: &tls::Options,
) -> Result<Credentials, Cause> {
    let named = |text: String| Cause::new(format!("the agent of the container: {text}"));
    let (base, path) = split(&place.address);
    let agent = Connection::new(base, PATIENCE).map_err(|cause| named(cause.to_string()))?;
    let is_here = agent.name().parse().is_ok_and(|address: IpAddr| address.is_loopback())
        || agent.name() == "localhost";
    if !agent.is_encrypted() && !is_here && !AGENTS.contains(&agent.name()) {
        let address = agent.address();
        return Err(named(format!(
            "{address} is asked for credentials only by https, because it is not on this machine"
        )));
    }
    let token = match &place.token_file {
        Some(path) => {
            let bytes =
                read_regular(path).map_err(|error| named(file_error_text("open", path, &error)))?;
            Some(String::from_utf8_lossy(&bytes).trim().to_owned())
        }
        None => place.token.clone(),
    };
    let headers: Vec<_> = token.iter().map(|token| ("authorization", token.as_str())).collect();
    let answer = agent
        .send((tls, &Proxies::default()), ("GET", path), &headers, Vec::new())
        .await
        .map_err(|cause| named(format!("{}: {cause}", agent.address())))?;
    if !answer.is_success() {
        return Err(named(format!("{}: {}", agent.address(), answer.words())));
    }
    of_document("the agent of the container", &answer.body, "Token")
}

/// The address of a server, and the path of a request to it.
fn split(address: &str) -> (&str, &str) {
    let host = address.find("://").map_or(0, |at| at + 3);
    match address[host..].find('/') {
        Some(at) => address.split_at(host + at),
        None => (address, "/"),
    }
}
