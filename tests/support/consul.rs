//! A Consul that templates ask for services.

use servers::{Consul, eventually};

use super::Sandbox;

/// A Consul in which `bodies` are registered, each a body of `PUT /v1/catalog/register`, or the
/// definition of a prepared query, which has no node. The sandbox's confd.toml says where it is.
#[track_caller]
pub fn consul_with<'a>(sandbox: &Sandbox, bodies: impl IntoIterator<Item = &'a str>) -> Consul {
    let consul = Consul::start_with("connect { enabled = true }");
    for body in bodies {
        let is_query = !body.contains(r#""Node""#);
        let request = if is_query { "POST /v1/query" } else { "PUT /v1/catalog/register" };
        consul.ask(request, body.as_bytes());
    }
    eventually("Consul has certificates", || {
        let answer = consul.try_ask("GET /v1/agent/connect/ca/roots", b"");
        answer.is_ok_and(|answer| answer.text().contains("-----BEGIN CERTIFICATE"))
    });
    sandbox.write("confd.toml", format!("[consul]\nnodes = ['{}']\n", consul.address()));
    consul
}
