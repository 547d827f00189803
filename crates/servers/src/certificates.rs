//! Certificates for servers and clients, made by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A certificate authority in a folder of its own, with what it signed.
#[derive(Debug)]
pub struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    /// Makes an authority (`ca.pem`), a server's certificate for `localhost` and `127.0.0.1`
    /// (`server.pem`, `server.key`) and a client's (`client.pem`, `client.key`).
    pub fn new() -> Self {
        let made = Certificates { folder: crate::folder() };
        made.openssl(&words(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ca \
             -keyout ca.key -out ca.pem -addext basicConstraints=critical,CA:TRUE \
             -addext keyUsage=critical,keyCertSign,cRLSign",
        ));
        made.sign("server", "serverAuth,clientAuth", "DNS:localhost,IP:127.0.0.1");
        made.sign("client", "clientAuth", "DNS:client");
        made
    }

    /// A file in the folder: `ca.pem`, `server.pem`, …
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sign(&self, name: &str, usage: &str, names: &str) {
        let extensions = format!(
            "basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\nsubjectAltName={names}\n"
        );
        std::fs::write(self.path("extensions"), extensions).unwrap();
        self.openssl(&words(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} \
             -keyout {name}.key -out {name}.csr"
        )));
        self.openssl(&words(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
             -extfile extensions -out {name}.pem"
        )));
    }

    #[track_caller]
    fn openssl(&self, arguments: &[&str]) {
        let folder: &Path = self.folder.path();
        let done = Command::new("openssl").args(arguments).current_dir(folder).output();
        let done = done.unwrap_or_else(|error| {
            panic!("cannot run openssl ({error}): tests/install-servers installs it")
        });
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}
