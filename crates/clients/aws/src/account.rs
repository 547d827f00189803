//! Where credentials and the region come from: the order of Amazon's own clients.

use std::sync::Arc;
use std::time::SystemTime;

use nodes::{Cause, Error};
use tokio::sync::{Mutex, OnceCell};
use tracing::{debug, warn};

use crate::options::WebIdentity;
use crate::profile::{Profiles, missing};
use crate::sts::{Role, Sts};
use crate::{Credentials, Metadata, Options, Service, container, endpoint, process, sso};

/// An account: who asks, and in which region.
#[derive(Debug)]
pub struct Account {
    options: Options,
    metadata: Arc<Metadata>,
    /// The credentials in use, until they have to be renewed.
    current: Mutex<Option<Credentials>>,
    region: OnceCell<String>,
}

impl Account {
    /// The account that these options describe. No file is read and nothing is asked yet.
    pub fn new(options: Options) -> Self {
        let metadata = Arc::new(Metadata::new(options.metadata.clone()));
        Account { options, metadata, current: Mutex::new(None), region: OnceCell::new() }
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The credentials for the next request. They are renewed before they expire.
    ///
    /// The first of these places that has credentials counts: the environment, a web identity, the
    /// profile, the agent of a container, the metadata of the instance.
    ///
    /// # Errors
    /// No place has credentials, or the first place that should have them gives none.
    pub async fn credentials(&self) -> Result<Credentials, Cause> {
        let mut current = self.current.lock().await;
        let now = SystemTime::now();
        if let Some(credentials) = current.as_ref().filter(|held| !held.must_be_renewed(now)) {
            return Ok(credentials.clone());
        }
        match self.found().await {
            Ok(found) => {
                debug!("Credentials {} are used", found.access_key_id);
                Ok(current.insert(found).clone())
            }
            // There is time left to try again.
            Err(cause) => match current.as_ref().filter(|held| !held.have_expired(now)) {
                Some(held) => {
                    warn!("The credentials of AWS expire soon and cannot be renewed: {cause}");
                    Ok(held.clone())
                }
                None => Err(cause),
            },
        }
    }

    /// Looks for credentials again, because a service refused these.
    pub async fn forget(&self, refused: &Credentials) {
        let mut current = self.current.lock().await;
        // Another task may have renewed them already.
        if current.as_ref() == Some(refused) {
            *current = None;
        }
    }

    /// The region.
    ///
    /// # Errors
    /// No variable, profile or instance names it.
    pub async fn region(&self) -> Result<&str, Cause> {
        let found = self.region.get_or_try_init(async || {
            if let Some(region) = &self.options.region {
                return Ok(region.clone());
            }
            let profiles = Profiles::read(&self.options)?;
            if let Some(region) = profiles.value("region") {
                return Ok(region.to_owned());
            }
            let why = match self.metadata.region().await {
                Ok(Some(region)) => return Ok(region),
                Ok(None) => "the instance metadata do not have it".to_owned(),
                Err(error) => error.to_string(),
            };
            Err(Cause::new(format!(
                "no region is known: set AWS_REGION, or region in the profile {} ({why})",
                profiles.chosen()
            )))
        });
        found.await.map(String::as_str)
    }

    /// The address of a service in the region.
    ///
    /// # Errors
    /// The region is not known, or the files of profiles cannot be read.
    pub async fn address(&self, service: &Service) -> Result<String, Cause> {
        if let Some(address) = &self.options.endpoint {
            return Ok(address.clone());
        }
        if let Some(address) = Profiles::read(&self.options)?.endpoint(service.profile_key) {
            return Ok(address.to_owned());
        }
        Ok(endpoint::address(service, self.region().await?, &self.options))
    }

    async fn found(&self) -> Result<Credentials, Cause> {
        if let Some(credentials) = &self.options.credentials {
            return Ok(credentials.clone());
        }
        let profiles = Profiles::read(&self.options)?;
        if let Some(identity) = &self.options.web_identity {
            return self.sts(&profiles, profiles.chosen()).assume_with(identity).await;
        }
        profiles.check()?;
        if let Some(credentials) = self.of_profile(&profiles, profiles.chosen(), &[]).await? {
            return Ok(credentials);
        }
        if let Some(place) = &self.options.container {
            return container::credentials(place, &self.options.tls).await;
        }
        let why = match self.metadata.credentials().await {
            Ok(Some(credentials)) => return Ok(credentials),
            Ok(None) => "the instance has no role".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(Cause::new(format!(
            "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or put them in the \
             profile {} of ~/.aws/credentials ({why})",
            profiles.chosen()
        )))
    }

    /// The credentials of a profile; `None` if it has none. `above` are the profiles whose roles are
    /// assumed with them.
    async fn of_profile(
        &self,
        profiles: &Profiles,
        profile: &str,
        above: &[&str],
    ) -> Result<Option<Credentials>, Cause> {
        let get = |name: &str| profiles.get(profile, name);
        // A profile may name itself as the source of its role: it then has both.
        if let (Some(arn), false) = (get("role_arn"), above.contains(&profile)) {
            if let Some(file) = get("web_identity_token_file") {
                let identity = WebIdentity {
                    token_file: file.into(),
                    role: arn.to_owned(),
                    session: get("role_session_name").map(str::to_owned),
                };
                let assumed = self.sts(profiles, profile).assume_with(&identity);
                return assumed.await.map(Some);
            }
            let source = self.source_of(profiles, profile, above).await?;
            let role = Role {
                arn,
                session: get("role_session_name"),
                external_id: get("external_id"),
                seconds: get("duration_seconds"),
            };
            return self.sts(profiles, profile).assume(role, &source).await.map(Some);
        }
        if let Some(credentials) = profiles.credentials(profile) {
            return Ok(Some(credentials));
        }
        if let Some(credentials) = sso::credentials(profiles, profile, &self.options).await? {
            return Ok(Some(credentials));
        }
        match get("credential_process") {
            Some(line) => process::credentials(line).await.map(Some),
            None => Ok(None),
        }
    }

    /// The credentials with which the role of a profile is assumed.
    async fn source_of(
        &self,
        profiles: &Profiles,
        profile: &str,
        above: &[&str],
    ) -> Result<Credentials, Cause> {
        let wrong = |text: &str| Cause::new(format!("the profile {profile}: {text}"));
        let of_metadata = async || match self.metadata.credentials().await {
            Ok(Some(credentials)) => Ok(credentials),
            Ok(None) => Err(wrong("the instance has no role")),
            Err(error) => Err(wrong(&error.to_string())),
        };
        if profiles.get(profile, "mfa_serial").is_some() {
            return Err(wrong("its role asks for a code (mfa_serial), which confd cannot have"));
        }
        if let Some(source) = profiles.get(profile, "source_profile") {
            if !profiles.has(source) {
                return Err(missing(source));
            }
            if above.contains(&source) {
                return Err(wrong("its source_profile leads back to it"));
            }
            let above = [above, &[profile]].concat();
            let found = Box::pin(self.of_profile(profiles, source, &above)).await?;
            return found.ok_or_else(|| wrong(&format!("its source {source} has no credentials")));
        }
        match profiles.get(profile, "credential_source") {
            Some("Environment") => self
                .options
                .credentials
                .clone()
                .ok_or_else(|| wrong("the environment has no credentials")),
            Some("Ec2InstanceMetadata") => of_metadata().await,
            Some("EcsContainer") => match &self.options.container {
                Some(place) => container::credentials(place, &self.options.tls).await,
                None => Err(wrong("this is no container with an agent that gives credentials")),
            },
            Some(_) => {
                Err(wrong("credential_source is Environment, Ec2InstanceMetadata or EcsContainer"))
            }
            None => Err(wrong("role_arn needs source_profile or credential_source")),
        }
    }

    fn sts<'a>(&'a self, profiles: &'a Profiles, profile: &str) -> Sts<'a> {
        let of_profile = || profiles.get(profile, "region").or_else(|| profiles.value("region"));
        Sts {
            options: &self.options,
            address: profiles.endpoint(Service::STS.profile_key),
            region: self.options.region.as_deref().or_else(of_profile),
        }
    }

    /// The metadata of the instance.
    pub fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }
}

/// The error of a client of `store` that lacks credentials or a region.
pub(crate) fn prerequisite(store: &'static str, reason: Cause) -> Error {
    Error::Prerequisite { store, reason }
}
