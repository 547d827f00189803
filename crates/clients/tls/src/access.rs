//! The options by which users say how connections use TLS, and the variables that name the system's
//! certificates.

use std::path::PathBuf;

use options::{Given, Invalid, Variable};

use crate::{Options, Roots};

options::options! {
    /// The options of TLS.
    pub const OPTIONS;
    /// See [`Options::ca`].
    pub const CLIENT_CA_KEYS: Opt<PathBuf> = text(
        "client-ca-keys",
        "",
        "file of the CA certificates to trust, in PEM",
    )
    .key("client_cakeys")
    .path()
    .variable("CONFD_CLIENT_CAKEYS");
    /// See [`Options::certificate`].
    pub const CLIENT_CERT: Opt<PathBuf> = text(
        "client-cert",
        "",
        "file of the client certificate, in PEM",
    )
    .key("client_cert")
    .path();
    /// See [`Options::insecure`].
    pub const CLIENT_INSECURE: Opt<bool> =
        switch("client-insecure", "accept any server certificate").key("client_insecure");
    /// See [`Options::key`].
    pub const CLIENT_KEY: Opt<PathBuf> = text(
        "client-key",
        "",
        "file of the client certificate's key, in PEM",
    )
    .key("client_key")
    .path();
    /// See [`Options::server_name`].
    pub const TLS_SERVER_NAME: Opt<String> = text(
        "tls-server-name",
        "",
        "name that the server's certificate has to be for, if it is not that of the node",
    )
    .key("tls_server_name");
}

const SSL_CERT_DIR: Variable = Variable("SSL_CERT_DIR");
const SSL_CERT_FILE: Variable = Variable("SSL_CERT_FILE");

/// The variables that say where the system's certificates are, as for Go's TLS.
pub const VARIABLES: &[Variable] = &[SSL_CERT_DIR, SSL_CERT_FILE];

impl Options {
    /// The options that the user gives. Those that the user does not give are taken from `default`.
    /// Probable mistakes are added to `warnings`.
    ///
    /// # Errors
    /// As of [`Given::get`].
    pub fn of(
        given: &Given,
        default: Options,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Invalid> {
        let folders = given.variable(SSL_CERT_DIR).unwrap_or_default().split(':');
        let roots = Roots {
            file: given.variable(SSL_CERT_FILE).map(PathBuf::from),
            folders: folders.filter(|folder| !folder.is_empty()).map(PathBuf::from).collect(),
        };
        let options = Options {
            roots,
            ca: given.some(&CLIENT_CA_KEYS)?.or(default.ca),
            certificate: given.some(&CLIENT_CERT)?.or(default.certificate),
            key: given.some(&CLIENT_KEY)?.or(default.key),
            insecure: given.get(&CLIENT_INSECURE)? || default.insecure,
            server_name: given.some(&TLS_SERVER_NAME)?.or(default.server_name),
        };
        if options.certificate.is_some() != options.key.is_some() {
            warnings.push(
                "client-cert and client-key count only together: no client certificate is used"
                    .to_owned(),
            );
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use options::{Layer, Value};

    use super::*;

    #[test]
    fn what_is_given_wins_over_the_default_and_half_an_identity_is_reported() {
        let mut layer = Layer::default();
        layer.set(&CLIENT_CERT.spec(), Value::Text("given".into()));
        let given = Given::new(vec![layer]);
        let default = || Options {
            certificate: Some("default".into()),
            key: Some("default".into()),
            ..Options::default()
        };
        let mut warnings = Vec::new();
        let options = Options::of(&given, default(), &mut warnings).unwrap();
        assert_eq!(options, Options { certificate: Some("given".into()), ..default() });
        assert_eq!(warnings, Vec::<String>::new());
        Options::of(&given, Options::default(), &mut warnings).unwrap();
        assert!(matches!(&warnings[..], [warning] if warning.contains("count only together")));
    }

    #[test]
    fn variables_name_the_certificates_of_the_system() {
        let folders = |name: &str| (name == "SSL_CERT_DIR").then(|| "/a::/b".into());
        let given = Given::default().with_variables(VARIABLES, folders);
        let roots = Options::of(&given, Options::default(), &mut Vec::new()).unwrap().roots;
        let folders = vec![PathBuf::from("/a"), PathBuf::from("/b")];
        assert_eq!(roots, Roots { file: None, folders });
    }
}
