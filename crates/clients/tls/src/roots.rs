//! The CA certificates that the system trusts.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls_native_certs::load_certs_from_paths;

/// The files in which distributions keep all CA certificates. The first one that exists counts.
const FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
];

/// The folders in which distributions keep a file for each CA certificate. All of them count.
const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// Where the system's CA certificates are. By default, where Linux distributions keep them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    /// A file of certificates, in PEM.
    pub file: Option<PathBuf>,
    /// Folders of such files. With a file or a folder, no other place counts.
    pub folders: Vec<PathBuf>,
}

impl Roots {
    /// The certificates that can be read. A file or folder that cannot be read leaves the others.
    pub(crate) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        if self.file.is_some() || !self.folders.is_empty() {
            let folders: Vec<_> = self.folders.iter().map(PathBuf::as_path).collect();
            return load(self.file.as_deref(), &folders);
        }
        let there = |path: &&Path| path.exists();
        let folders: Vec<_> = FOLDERS.map(Path::new).into_iter().filter(there).collect();
        load(FILES.map(Path::new).into_iter().find(there), &folders)
    }
}

fn load(file: Option<&Path>, folders: &[&Path]) -> Vec<CertificateDer<'static>> {
    // A pipe would never end.
    let file = file.filter(|path| path.is_file());
    // In one call each file is read once, also one that a folder has links to.
    let mut found = load_certs_from_paths(file, folders.first().copied()).certs;
    for folder in folders.iter().skip(1) {
        found.extend(load_certs_from_paths(None, Some(folder)).certs);
    }
    found
}
