//! Where Consul is and how it is asked: the block `consul`, and the variables of Consul's own client
//! where the block leaves something open.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use client_consul::{CONNECTING, Consistency, Options, Token, Transport, WAIT};
use nodes::proxy::{self, Proxies};
use options::{Given, gobool};
use report::errno_text;
use source::queries::{Retry, Settings as Asking};

use super::settings::Settings;
use super::{export, time};

/// The address, unless one is given.
const ADDRESS: &str = "127.0.0.1:8500";
/// The age that an answer may have, unless it is set.
const MAX_STALE: Duration = Duration::from_secs(2);
/// The number of attempts after the first one, unless it is set.
const ATTEMPTS: u32 = 12;
/// The delay before the second attempt, unless it is set.
const BACKOFF: Duration = Duration::from_millis(250);
/// The longest delay, unless it is set.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Where Consul is and how it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Consul {
    pub(crate) options: Options,
    /// The folder of the CA certificates to trust.
    ca_folder: Option<PathBuf>,
    pub(crate) asking: Asking,
}

impl Consul {
    /// What `settings` say. `variable` gives the first of several variables of the process that is
    /// set.
    pub(super) fn new(
        settings: &Settings,
        once: bool,
        variable: &impl Fn(&[&str]) -> Option<String>,
    ) -> Consul {
        let consul = settings.block("consul");
        let text = |key: &str, names: &[&str]| {
            let own = consul.text(key).map(str::to_owned);
            own.or_else(|| variable(names)).filter(|text| !text.is_empty())
        };
        let given = Given::default()
            .with_variables(proxy::VARIABLES.iter().chain(tls::access::VARIABLES), |name| {
                variable(&[name]).map(OsString::from)
            });
        let (https, tls, ca_folder) = secured(consul.block("ssl"), &given, variable);
        let address = text("address", &[]).or_else(|| variable(&["CONSUL_HTTP_ADDR"]));
        let address = address.as_deref().unwrap_or(ADDRESS);
        let nodes = address.split(',').map(|node| {
            let node = node.trim();
            // As in Consul's own client, an address does not take away TLS that was asked for.
            node.strip_prefix("http://").filter(|_| https).unwrap_or(node).to_owned()
        });
        let max_stale = settings.duration("max_stale").map_or(MAX_STALE, time);
        let token = text("token", &["CONSUL_TOKEN", "CONSUL_HTTP_TOKEN"]).map(Token::Text);
        let token_file = text("token_file", &["CONSUL_TOKEN_FILE", "CONSUL_HTTP_TOKEN_FILE"]);
        let options = Options {
            nodes: nodes.collect(),
            https,
            tls,
            token: token_file.map(|path| Token::File(path.into())).or(token),
            user: user(consul.block("auth"), variable),
            proxies: Proxies::of(&given),
            namespace: text("namespace", &["CONSUL_NAMESPACE"]),
            partition: variable(&["CONSUL_PARTITION"]),
            consistency: match max_stale.is_zero() {
                true => Consistency::Default,
                false => Consistency::Stale(max_stale),
            },
            wait: settings.duration("block_query_wait").map_or(WAIT, time),
            connecting: connecting(consul.block("transport")),
            transport: transport(consul.block("transport")),
            ..Options::default()
        };
        let asking = Asking {
            retry: retry(consul.block("retry")),
            once,
            fail_on_absent: settings.flag("err_on_failed_lookup").unwrap_or(false),
            // The files stay as consul-template writes them.
            refuse_hidden: false,
        };
        Consul { options, ca_folder, asking }
    }

    /// Makes sure that the files that the settings name can be used.
    ///
    /// # Errors
    /// One cannot.
    pub(crate) fn check_files(&self) -> Result<(), String> {
        let failed = |words: String| Err(format!("runner: runner: client set: consul{words}"));
        let is_there = |words: &str, path: &Path| match fs::metadata(path) {
            Ok(_) => Ok(()),
            Err(cause) => failed(format!("{words}open {}: {}", path.display(), errno_text(&cause))),
        };
        let tls = &self.options.tls;
        if let Some(path) = &tls.ca {
            is_there(" configuring TLS failed: Error loading CA File: ", path)?;
        }
        for path in tls.certificate.iter().chain(&tls.key) {
            is_there(": ", path)?;
        }
        let authorities = match &self.ca_folder {
            _ if tls.ca.is_some() => tls.ca.as_deref().map_or(Ok(()), usable_file),
            Some(folder) => usable_folder(folder),
            None => Ok(()),
        };
        if let Err(why) = authorities {
            return failed(format!(" configuring TLS failed: {why}"));
        }
        if let Err(error) = tls.check_identity() {
            return failed(format!(": {error}"));
        }
        if let Some(Token::File(path)) = &self.options.token {
            is_there(&format!(": Error loading token file {} : ", path.display()), path)?;
        }
        Ok(())
    }
}

/// Makes sure that a file has certificates of CAs.
fn usable_file(path: &Path) -> Result<(), String> {
    let why = match path.is_dir() {
        true => format!("read {}: is a directory", path.display()),
        false if tls::check_authorities(path).is_err() => unparsed(path),
        false => return Ok(()),
    };
    Err(format!("Error loading CA File: {why}"))
}

/// Makes sure that each file in a folder and its folders has certificates of CAs.
fn usable_folder(folder: &Path) -> Result<(), String> {
    let unread =
        |path: &Path, cause: &io::Error| format!("lstat {}: {}", path.display(), errno_text(cause));
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        let kind = fs::symlink_metadata(&path).map_err(|cause| unread(&path, &cause))?;
        if kind.is_dir() {
            let entries = fs::read_dir(&path).map_err(|cause| unread(&path, &cause))?;
            pending.extend(entries.flatten().map(|entry| entry.path()));
        } else if tls::check_authorities(&path).is_err() {
            return Err(format!("Error loading CA Path: {}", unparsed(&path)));
        }
    }
    Ok(())
}

fn unparsed(path: &Path) -> String {
    format!("Couldn't parse PEM in: {}", path.display())
}

/// Whether Consul is connected to by TLS, and how. The variables count only where the block does
/// not ask for TLS.
fn secured(
    ssl: &Settings,
    given: &Given,
    variable: &impl Fn(&[&str]) -> Option<String>,
) -> (bool, tls::Options, Option<PathBuf>) {
    let is_own = export::is_enabled(ssl);
    let text = |key: &str, name: &str| match is_own {
        true => ssl.text(key).map(str::to_owned).filter(|text| !text.is_empty()),
        false => variable(&[name]),
    };
    let switch = |key: &str, name: &str| match is_own {
        true => ssl.flag(key),
        false => variable(&[name]).as_deref().and_then(gobool::parse),
    };
    // Nothing but the places of the system's certificates comes from the variables in `given`.
    let system = tls::Options::of(given, tls::Options::default(), &mut Vec::new());
    let mut tls = system.unwrap_or_default();
    tls.ca = text("ca_cert", "CONSUL_CACERT").map(PathBuf::from);
    let ca_folder = text("ca_path", "CONSUL_CAPATH").map(PathBuf::from);
    if let Some(folder) = &ca_folder {
        tls.roots = tls::Roots { file: None, folders: vec![folder.clone()] };
    }
    tls.certificate = text("cert", "CONSUL_CLIENT_CERT").map(PathBuf::from);
    let key = text("key", "CONSUL_CLIENT_KEY").map(PathBuf::from);
    // The file of the certificate can have the key too.
    tls.key = key.or_else(|| tls.certificate.clone()).filter(|_| tls.certificate.is_some());
    tls.server_name = text("server_name", "CONSUL_TLS_SERVER_NAME");
    tls.insecure = switch("verify", "CONSUL_HTTP_SSL_VERIFY") == Some(false);
    let https = is_own || switch("enabled", "CONSUL_HTTP_SSL").unwrap_or(false);
    (https, tls, ca_folder)
}

/// The timeout of a new connection.
pub(super) fn connecting(transport: &Settings) -> Duration {
    let dial = transport.duration("dial_timeout").map(time).filter(|dial| !dial.is_zero());
    dial.unwrap_or(CONNECTING)
}

/// How connections are kept, by the rules of Go's HTTP client.
fn transport(settings: &Settings) -> Transport {
    let most = |key: &str| {
        let number = settings.int(key).filter(|number| *number != 0)?;
        Some(usize::try_from(number).unwrap_or(0))
    };
    let most_idle = match settings.flag("disable_keep_alives") {
        Some(true) => Some(0),
        _ => most("max_idle_conns").into_iter().chain(most("max_idle_conns_per_host")).min(),
    };
    Transport {
        handshake: settings.duration("tls_handshake_timeout").map_or(Duration::ZERO, time),
        // Zero means Go's default, and a negative duration no probes.
        keep_alive: settings.duration("dial_keep_alive").filter(|pause| *pause != 0).map(time),
        idle: settings.duration("idle_conn_timeout").map(time),
        most_idle,
        most: most("max_conns_per_host").filter(|most| *most > 0),
    }
}

/// User name and password for HTTP's basic authentication.
fn user(auth: &Settings, variable: impl Fn(&[&str]) -> Option<String>) -> Option<(String, String)> {
    if export::is_authenticated(auth) {
        let text = |key: &str| auth.text(key).unwrap_or_default().to_owned();
        return Some((text("username"), text("password")));
    }
    let text = variable(&["CONSUL_HTTP_AUTH"])?;
    let (name, password) = text.split_once(':').unwrap_or((&text, ""));
    Some((name.to_owned(), password.to_owned()))
}

/// What happens after a failed attempt.
pub(super) fn retry(settings: &Settings) -> Retry {
    let attempts = match settings.int("attempts").map(u32::try_from) {
        _ if settings.flag("enabled") == Some(false) => Some(0),
        None => Some(ATTEMPTS),
        // There is no limit.
        Some(Ok(0)) | Some(Err(_)) => None,
        Some(Ok(attempts)) => Some(attempts),
    };
    let max_backoff = settings.duration("max_backoff").map_or(MAX_BACKOFF, time);
    Retry {
        attempts,
        backoff: settings.duration("backoff").map_or(BACKOFF, time),
        max_backoff: (!max_backoff.is_zero()).then_some(max_backoff),
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    /// What a file and variables of the process say.
    fn consul(file: &str, variables: &[(&str, &str)]) -> Consul {
        let (settings, _) = decode(file).unwrap();
        let variable = |names: &[&str]| {
            let mut found = names.iter().filter_map(|name| {
                let (_, value) = variables.iter().find(|(known, _)| known == name)?;
                Some((*value).to_owned())
            });
            found.next()
        };
        Consul::new(&settings, false, &variable)
    }

    #[test]
    fn without_settings_the_defaults_of_consul_template_count() {
        let Consul { options, asking, .. } = consul("", &[]);
        let expected = Options {
            nodes: vec!["127.0.0.1:8500".to_owned()],
            consistency: Consistency::Stale(Duration::from_secs(2)),
            ..Options::default()
        };
        assert_eq!(options, expected);
        let retry = Retry {
            attempts: Some(12),
            backoff: Duration::from_millis(250),
            max_backoff: Some(Duration::from_secs(60)),
        };
        assert_eq!(
            asking,
            Asking { retry, once: false, fail_on_absent: false, refuse_hidden: false }
        );
    }

    #[test]
    fn the_block_wins_over_variables_and_a_token_file_over_a_token() {
        let variables = [
            ("CONSUL_HTTP_ADDR", "env:1"),
            ("CONSUL_TOKEN", "first"),
            ("CONSUL_HTTP_TOKEN", "second"),
            ("CONSUL_HTTP_AUTH", "joe:pw:x"),
            ("CONSUL_NAMESPACE", "team"),
        ];
        let options = consul("", &variables).options;
        assert_eq!(options.nodes, ["env:1"]);
        assert!(options.token == Some(Token::Text("first".to_owned())));
        assert_eq!(options.user, Some(("joe".to_owned(), "pw:x".to_owned())));
        assert_eq!(options.namespace.as_deref(), Some("team"));
        let file = r#"
            max_stale = "0s"
            block_query_wait = "1s"
            consul {
              address = "a:1, b:2"
              namespace = "own"
              token = "own"
              token_file = "/t"
              auth { username = "u" password = "p" }
              transport { dial_timeout = "9s" }
              retry { attempts = 0 max_backoff = "0s" }
            }
        "#;
        let Consul { options, asking, .. } = consul(file, &variables);
        assert_eq!(options.nodes, ["a:1", "b:2"]);
        assert!(options.token == Some(Token::File("/t".into())));
        assert_eq!(options.user, Some(("u".to_owned(), "p".to_owned())));
        assert_eq!(options.namespace.as_deref(), Some("own"));
        assert_eq!(options.consistency, Consistency::Default);
        assert_eq!(options.wait, Duration::from_secs(1));
        assert_eq!(options.connecting, Duration::from_secs(9));
        assert_eq!((asking.retry.attempts, asking.retry.max_backoff), (None, None));
        let off = consul("consul { retry { enabled = false attempts = 9 } }", &[]);
        assert_eq!(off.asking.retry.attempts, Some(0));
    }

    #[test]
    fn the_block_transport_says_how_connections_are_kept() {
        let transport = |keys: &str| {
            let file = format!("consul {{ transport {{ {keys} }} }}");
            consul(&file, &[]).options.transport
        };
        assert_eq!(transport(""), Transport::default());
        let seconds = Duration::from_secs;
        let all = transport(
            r#"dial_keep_alive = "20s" idle_conn_timeout = "7s" max_idle_conns = 9
               max_idle_conns_per_host = 5 max_conns_per_host = 12 tls_handshake_timeout = "4s""#,
        );
        let expected = Transport {
            handshake: seconds(4),
            keep_alive: Some(seconds(20)),
            idle: Some(seconds(7)),
            most_idle: Some(5),
            most: Some(12),
        };
        assert_eq!(all, expected);
        let none = transport(r#"dial_keep_alive = "-1s" disable_keep_alives = true"#);
        assert_eq!((none.keep_alive, none.most_idle), (Some(Duration::ZERO), Some(0)));
        assert_eq!(transport("max_idle_conns_per_host = -1").most_idle, Some(0));
        assert_eq!(transport("max_idle_conns = 0 max_conns_per_host = 0"), Transport::default());
    }

    #[test]
    fn variables_say_how_tls_is_used_only_where_the_block_does_not_ask_for_it() {
        let variables = [
            ("CONSUL_HTTP_SSL", "true"),
            ("CONSUL_HTTP_SSL_VERIFY", "false"),
            ("CONSUL_CACERT", "env.pem"),
        ];
        let of_variables = consul("consul { ssl { enabled = false ca_cert = \"x\" } }", &variables);
        assert!(of_variables.options.https && of_variables.options.tls.insecure);
        assert_eq!(of_variables.options.tls.ca, Some("env.pem".into()));
        let file = r#"consul { address = "http://a:1" ssl { cert = "c.pem" ca_path = "cas" } }"#;
        let of_block = consul(file, &variables).options;
        assert_eq!(of_block.nodes, ["a:1"]);
        assert!(of_block.https && !of_block.tls.insecure);
        assert_eq!(of_block.tls.ca, None);
        assert_eq!(of_block.tls.roots.folders, [PathBuf::from("cas")]);
        assert_eq!(of_block.tls.certificate, Some("c.pem".into()));
        assert_eq!(of_block.tls.key, Some("c.pem".into()));
    }

    #[test]
    fn an_empty_text_switches_nothing_on() {
        let file = r#"consul { ssl { ca_cert = "" } auth { username = "" } }"#;
        let options = consul(file, &[]).options;
        assert!(!options.https);
        assert_eq!(options.user, None);
        assert!(consul("consul { ssl { verify = true } }", &[]).options.https);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_before_anything_is_asked() {
        let missing = consul("consul { token_file = \"/nope\" }", &[]);
        assert_eq!(
            missing.check_files().unwrap_err(),
            "runner: runner: client set: consul: Error loading token file /nope : open /nope: no \
             such file or directory"
        );
    }

    /// The texts are those of consul-template 0.42.1, except that it does not name the file of the
    /// client's certificate.
    #[test]
    fn a_malformed_certificate_is_named_before_anything_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let junk = folder.path().join("junk.pem");
        fs::write(&junk, "no PEM").unwrap();
        let (junk, folder) = (junk.display(), folder.path().display());
        let prefix = "runner: runner: client set: consul";
        for (keys, expected) in [
            (
                format!("ca_cert = \"{junk}\""),
                format!(
                    "{prefix} configuring TLS failed: Error loading CA File: Couldn't parse PEM in: \
                     {junk}"
                ),
            ),
            (
                format!("ca_cert = \"{folder}\""),
                format!(
                    "{prefix} configuring TLS failed: Error loading CA File: read {folder}: is a \
                     directory"
                ),
            ),
            (
                format!("ca_path = \"{folder}\""),
                format!(
                    "{prefix} configuring TLS failed: Error loading CA Path: Couldn't parse PEM in: \
                     {junk}"
                ),
            ),
            (
                "ca_path = \"/nope\"".to_owned(),
                format!("{prefix} configuring TLS failed: lstat /nope: no such file or directory"),
            ),
            (
                format!("cert = \"{junk}\""),
                format!("{prefix}: {junk}: no certificate in PEM is in it"),
            ),
        ] {
            let consul = consul(&format!("consul {{ ssl {{ {keys} }} }}"), &[]);
            assert_eq!(consul.check_files().unwrap_err(), expected, "{keys}");
        }
        let empty = tempfile::tempdir().unwrap();
        let of_empty = format!("consul {{ ssl {{ ca_path = \"{}\" }} }}", empty.path().display());
        assert_eq!(consul(&of_empty, &[]).check_files(), Ok(()));
    }
}
