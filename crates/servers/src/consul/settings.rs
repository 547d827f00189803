//! The settings of a server, in HCL.

use std::path::Path;

use super::{MASTER, Ports, Storage};
use crate::Certificates;

/// The settings that all servers have.
pub(super) fn common(ports: Ports) -> String {
    let Ports { http, server: raft, gossip, .. } = ports;
    format!(
        r#"
        node_name = "n{http}"
        log_level = "warn"
        bind_addr = "127.0.0.1"
        client_addr = "127.0.0.1"
        advertise_addr = "127.0.0.1"
        disable_update_check = true
        connect {{ enabled = false }}
        limits {{
          # A value may be as large as in etcd.
          kv_max_value_size = 1572864
          txn_max_req_len = 1572864
        }}
        ports {{
          http = {http}
          server = {raft}
          serf_lan = {gossip}
          serf_wan = -1
          dns = -1
          grpc = -1
          grpc_tls = -1
        }}
        "#
    )
}

/// The settings for a server's storage.
pub(super) fn own(storage: Storage, data: &Path) -> String {
    let data = data.display();
    match storage {
        Storage::Memory => String::new(),
        Storage::Folder { members } => format!(
            r#"
            server = true
            bootstrap_expect = {members}
            data_dir = "{data}"
            performance {{ raft_multiplier = 1 }}
            "#
        ),
        Storage::Elsewhere => format!("server = false\ndata_dir = \"{data}\"\n"),
    }
}

/// The settings that deny everything to requests without a token.
pub(super) fn acl() -> String {
    format!(
        r#"
        acl {{
          enabled = true
          default_policy = "deny"
          tokens {{
            initial_management = "{MASTER}"
            agent = "{MASTER}"
          }}
        }}
        "#
    )
}

/// The settings for TLS with these certificates. If it is `mutual`, clients need one too.
pub(super) fn tls(ports: Ports, certificates: &Certificates, mutual: bool) -> String {
    let file = |name| certificates.path(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    format!(
        r#"
        ports {{ https = {https} }}
        tls {{
          https {{
            ca_file = "{ca}"
            cert_file = "{certificate}"
            key_file = "{key}"
            verify_incoming = {mutual}
          }}
        }}
        "#,
        https = ports.https
    )
}

/// The settings for joining these members.
pub(super) fn joining(members: impl IntoIterator<Item = Ports>) -> String {
    let address = |member: Ports| format!("\"127.0.0.1:{}\"", member.gossip);
    let members = members.into_iter().map(address).collect::<Vec<_>>().join(", ");
    format!("retry_join = [{members}]\nretry_interval = \"100ms\"\n")
}
