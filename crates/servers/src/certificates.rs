//! Certificates for servers and clients.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate authority in a folder of its own, with what it signed.
#[derive(Debug)]
pub struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    /// Makes an authority (`ca.pem`), a server's certificate for `localhost` and `127.0.0.1`
    /// (`server.pem`, `server.key`) and a client's (`client.pem`, `client.key`).
    pub fn new() -> Self {
        Self::for_names(&["localhost", "127.0.0.1"])
    }

    /// Like [`new`](Self::new), with a server's certificate for these names and addresses.
    pub fn for_names(names: &[&str]) -> Self {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

        let made = Certificates { folder: crate::folder() };
        let mut parameters = named("ca", &[]);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        made.write("ca.pem", &parameters.self_signed(&key).unwrap().pem());
        let ca = Issuer::new(parameters, key);
        made.sign(&ca, "server", &[ServerAuth, ClientAuth], names);
        made.sign(&ca, "client", &[ClientAuth], &["client"]);
        made
    }

    /// The folder of all files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in the folder: `ca.pem`, `server.pem`, …
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sign(
        &self,
        ca: &Issuer<'_, KeyPair>,
        name: &str,
        usage: &[ExtendedKeyUsagePurpose],
        subjects: &[&str],
    ) {
        let mut parameters = named(name, subjects);
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.extended_key_usages = usage.to_vec();
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, ca).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

/// What a certificate of this name says, for these host names and addresses.
fn named(name: &str, subjects: &[&str]) -> CertificateParams {
    let subjects: Vec<_> = subjects.iter().map(|&subject| subject.to_owned()).collect();
    let mut parameters = CertificateParams::new(subjects).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}
