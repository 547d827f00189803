//! What the variables of Amazon's own clients say.

use std::fmt;
use std::path::PathBuf;

use ::options::{Given, Invalid, Variable, gobool};
use nodes::proxy::Proxies;

use crate::{Credentials, Service};

const ACCESS_KEY: Variable = Variable("AWS_ACCESS_KEY");
const ACCESS_KEY_ID: Variable = Variable("AWS_ACCESS_KEY_ID");
const CA_BUNDLE: Variable = Variable("AWS_CA_BUNDLE");
const CONFIG_FILE: Variable = Variable("AWS_CONFIG_FILE");
const CONTAINER_FULL: Variable = Variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
const CONTAINER_RELATIVE: Variable = Variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
const CONTAINER_TOKEN: Variable = Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
const CONTAINER_TOKEN_FILE: Variable = Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
const DEFAULT_PROFILE: Variable = Variable("AWS_DEFAULT_PROFILE");
const DEFAULT_REGION: Variable = Variable("AWS_DEFAULT_REGION");
const DUAL_STACK: Variable = Variable("AWS_USE_DUALSTACK_ENDPOINT");
const ENDPOINT: Variable = Variable("AWS_ENDPOINT_URL");
const FIPS: Variable = Variable("AWS_USE_FIPS_ENDPOINT");
const HOME: Variable = Variable("HOME");
const IMDS_ENDPOINT: Variable = Variable("IMDS_ENDPOINT");
const MAX_ATTEMPTS: Variable = Variable("AWS_MAX_ATTEMPTS");
const METADATA_DISABLED: Variable = Variable("AWS_EC2_METADATA_DISABLED");
const METADATA_ENDPOINT: Variable = Variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
const METADATA_MODE: Variable = Variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
const PROFILE: Variable = Variable("AWS_PROFILE");
const REGION: Variable = Variable("AWS_REGION");
const ROLE_ARN: Variable = Variable("AWS_ROLE_ARN");
const ROLE_SESSION_NAME: Variable = Variable("AWS_ROLE_SESSION_NAME");
const SECRET_ACCESS_KEY: Variable = Variable("AWS_SECRET_ACCESS_KEY");
const SECRET_KEY: Variable = Variable("AWS_SECRET_KEY");
const SESSION_TOKEN: Variable = Variable("AWS_SESSION_TOKEN");
const SHARED_CREDENTIALS_FILE: Variable = Variable("AWS_SHARED_CREDENTIALS_FILE");
const WEB_IDENTITY_TOKEN_FILE: Variable = Variable("AWS_WEB_IDENTITY_TOKEN_FILE");

/// All variables that count for every service.
pub const VARIABLES: &[Variable] = &[
    ACCESS_KEY,
    ACCESS_KEY_ID,
    CA_BUNDLE,
    CONFIG_FILE,
    CONTAINER_FULL,
    CONTAINER_RELATIVE,
    CONTAINER_TOKEN,
    CONTAINER_TOKEN_FILE,
    DEFAULT_PROFILE,
    DEFAULT_REGION,
    DUAL_STACK,
    ENDPOINT,
    FIPS,
    HOME,
    IMDS_ENDPOINT,
    MAX_ATTEMPTS,
    METADATA_DISABLED,
    METADATA_ENDPOINT,
    METADATA_MODE,
    PROFILE,
    REGION,
    ROLE_ARN,
    ROLE_SESSION_NAME,
    SECRET_ACCESS_KEY,
    SECRET_KEY,
    SESSION_TOKEN,
    SHARED_CREDENTIALS_FILE,
    WEB_IDENTITY_TOKEN_FILE,
    Service::STS.endpoint,
];

/// How often a call is tried, unless the user says otherwise.
const ATTEMPTS: u32 = 5;

/// The addresses of the instance metadata.
const METADATA: [&str; 2] = ["http://169.254.169.254", "http://[fd00:ec2::254]"];

/// What is known about an account and its services without asking anything and reading any file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The credentials in the environment.
    pub credentials: Option<Credentials>,
    /// The region.
    pub region: Option<String>,
    /// The profile that the user chose; `None` for the profile `default`, which may be missing.
    pub profile: Option<String>,
    /// The files of profiles: that of credentials, and that of everything else.
    pub files: [Option<PathBuf>; 2],
    /// The folder in which Amazon's command line keeps the tokens of its single sign-on.
    pub sso_cache: Option<PathBuf>,
    /// A role that is assumed with the token of a web identity.
    pub web_identity: Option<WebIdentity>,
    /// The agent of a container that gives credentials.
    pub container: Option<ContainerPlace>,
    /// The metadata of the instance.
    pub metadata: MetadataPlace,
    /// The address of the service that is asked.
    pub endpoint: Option<String>,
    /// The address of the service that gives temporary credentials.
    pub sts: Option<String>,
    /// Whether addresses of the FIPS standard are used.
    pub fips: bool,
    /// Whether addresses are used that also have IPv6.
    pub dual_stack: bool,
    /// How often a call is tried.
    pub attempts: u32,
    /// What connections trust.
    pub tls: tls::Options,
    /// The proxies of the machine, for services, and not for containers and metadata.
    pub proxies: Proxies,
}

/// A role that is assumed with the token of a web identity, as Kubernetes gives it to a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebIdentity {
    /// The file of the token, which is read again each time.
    pub token_file: PathBuf,
    /// The role.
    pub role: String,
    /// The name of the session; `None` for a name of ours.
    pub session: Option<String>,
}

/// Where the agent of a container gives credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct ContainerPlace {
    /// The whole address.
    pub address: String,
    /// The token that is sent.
    pub token: Option<String>,
    /// A file of that token, which wins and is read again each time.
    pub token_file: Option<PathBuf>,
}

impl fmt::Debug for ContainerPlace {
    /// Shows the address, and never the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerPlace").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Where the metadata of the instance are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataPlace {
    /// Whether they must not be asked.
    pub disabled: bool,
    /// The address.
    pub address: String,
}

impl Default for MetadataPlace {
    /// The address that every instance has.
    fn default() -> Self {
        MetadataPlace { disabled: false, address: METADATA[0].to_owned() }
    }
}

impl fmt::Debug for Options {
    /// Shows where things come from, and no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("credentials", &self.credentials)
            .field("region", &self.region)
            .field("profile", &self.profile)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// What the variables say about an account, and about this service of it.
    ///
    /// # Errors
    /// A variable does not have the form that it needs.
    pub fn of(given: &Given, service: &Service) -> Result<Self, Invalid> {
        let text = |variable: Variable| given.variable(variable).map(str::to_owned);
        let file = |variable: Variable| given.variable(variable).map(PathBuf::from);
        let is_on =
            |variable: Variable| given.variable(variable).and_then(gobool::parse).unwrap_or(false);
        let folder = file(HOME).map(|home| home.join(".aws"));
        let in_folder = |name: &str| folder.as_ref().map(|folder| folder.join(name));
        let of_everything = text(ENDPOINT);
        let endpoint_of = |variable| text(variable).or_else(|| of_everything.clone());
        Ok(Options {
            credentials: credentials(given),
            region: text(REGION).or_else(|| text(DEFAULT_REGION)),
            profile: text(PROFILE).or_else(|| text(DEFAULT_PROFILE)),
            files: [
                file(SHARED_CREDENTIALS_FILE).or_else(|| in_folder("credentials")),
                file(CONFIG_FILE).or_else(|| in_folder("config")),
            ],
            sso_cache: in_folder("sso/cache"),
            web_identity: file(WEB_IDENTITY_TOKEN_FILE).zip(text(ROLE_ARN)).map(
                |(token_file, role)| WebIdentity {
                    token_file,
                    role,
                    session: text(ROLE_SESSION_NAME),
                },
            ),
            container: container(given),
            metadata: MetadataPlace {
                disabled: is_on(METADATA_DISABLED),
                address: text(IMDS_ENDPOINT).or_else(|| text(METADATA_ENDPOINT)).unwrap_or_else(
                    || {
                        let mode = given.variable(METADATA_MODE).unwrap_or_default();
                        METADATA[usize::from(mode.eq_ignore_ascii_case("ipv6"))].to_owned()
                    },
                ),
            },
            endpoint: local(given, service).or_else(|| endpoint_of(service.endpoint)).or_else(
                || {
                    let local = service.local.as_ref()?;
                    given.variable(local.switch)?;
                    local.default.map(str::to_owned)
                },
            ),
            sts: endpoint_of(Service::STS.endpoint),
            fips: is_on(FIPS),
            dual_stack: is_on(DUAL_STACK),
            attempts: attempts(given)?,
            tls: tls::Options {
                ca: file(CA_BUNDLE),
                roots: tls::Options::of(given, tls::Options::default(), &mut Vec::new())?.roots,
                ..tls::Options::default()
            },
            proxies: Proxies::of(given),
        })
    }
}

/// The address of a server on this machine that stands for the service, if both variables say so.
fn local(given: &Given, service: &Service) -> Option<String> {
    let local = service.local.as_ref()?;
    given.variable(local.switch)?;
    given.variable(local.address).map(str::to_owned)
}

fn attempts(given: &Given) -> Result<u32, Invalid> {
    let Some(text) = given.variable(MAX_ATTEMPTS) else { return Ok(ATTEMPTS) };
    match text.parse() {
        Ok(attempts @ 1..) => Ok(attempts),
        _ => Err(Invalid::new("AWS_MAX_ATTEMPTS is not a number of tries, such as 5")),
    }
}

/// The credentials in the environment, under the names that Go confd reads too.
fn credentials(given: &Given) -> Option<Credentials> {
    let either = |one, other| given.variable(one).or_else(|| given.variable(other));
    Some(Credentials {
        access_key_id: either(ACCESS_KEY_ID, ACCESS_KEY)?.to_owned(),
        secret_access_key: either(SECRET_ACCESS_KEY, SECRET_KEY)?.to_owned(),
        token: given.variable(SESSION_TOKEN).map(str::to_owned),
        expires: None,
    })
}

fn container(given: &Given) -> Option<ContainerPlace> {
    /// The agent of ECS.
    const AGENT: &str = "http://169.254.170.2";

    let relative = given.variable(CONTAINER_RELATIVE).map(|path| format!("{AGENT}{path}"));
    Some(ContainerPlace {
        address: relative.or_else(|| given.variable(CONTAINER_FULL).map(str::to_owned))?,
        token: given.variable(CONTAINER_TOKEN).map(str::to_owned),
        token_file: given.variable(CONTAINER_TOKEN_FILE).map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    static OF_SSM: [Variable; 3] = Service::SSM.variables();
    static OF_ACM: [Variable; 3] = Service::ACM.variables();

    fn options(service: &Service, variables: &[(&str, &str)]) -> Options {
        let names = VARIABLES.iter().chain(&OF_SSM).chain(&OF_ACM);
        let value = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).into())
        };
        Options::of(&Given::default().with_variables(names, value), service).unwrap()
    }

    #[test]
    fn the_address_of_a_service_is_chosen_by_the_variables_of_amazon_and_of_confd() {
        let all = ("AWS_ENDPOINT_URL", "http://all");
        for (variables, endpoint) in [
            (&[][..], None),
            (&[all], Some("http://all")),
            (&[all, ("AWS_ENDPOINT_URL_SSM", "http://one")], Some("http://one")),
            (&[("SSM_LOCAL", "1")], Some("http://localhost:8001")),
            (&[("SSM_LOCAL", "1"), all], Some("http://all")),
            (&[("SSM_LOCAL", "1"), ("SSM_ENDPOINT_URL", "http://here"), all], Some("http://here")),
            (&[("SSM_ENDPOINT_URL", "http://here")], None),
        ] {
            let found = options(&Service::SSM, variables).endpoint;
            assert_eq!(found.as_deref(), endpoint, "{variables:?}");
        }
        assert_eq!(options(&Service::ACM, &[("ACM_LOCAL", "1")]).endpoint, None);
    }

    #[test]
    fn the_region_and_the_files_of_profiles_are_found_as_amazons_clients_find_them() {
        let found = options(&Service::SSM, &[("HOME", "/home/joe"), ("AWS_DEFAULT_REGION", "a")]);
        assert_eq!(found.region.as_deref(), Some("a"));
        let files = ["/home/joe/.aws/credentials", "/home/joe/.aws/config"];
        assert_eq!(found.files, files.map(|path| Some(PathBuf::from(path))));
        let both = [("AWS_REGION", "b"), ("AWS_DEFAULT_REGION", "a"), ("AWS_CONFIG_FILE", "/c")];
        let found = options(&Service::SSM, &both);
        assert_eq!(found.region.as_deref(), Some("b"));
        assert_eq!(found.files, [None, Some(PathBuf::from("/c"))]);
    }

    #[test]
    fn half_a_key_is_no_key_and_no_secret_is_shown() {
        let id = ("AWS_ACCESS_KEY_ID", "AKID");
        assert_eq!(options(&Service::SSM, &[id]).credentials, None);
        let key = [id, ("AWS_SECRET_ACCESS_KEY", "hunter2"), ("AWS_SESSION_TOKEN", "hunter3")];
        let shown = format!("{:?}", options(&Service::SSM, &key));
        assert!(shown.contains("AKID") && !shown.contains("hunter"), "{shown}");
    }
}
