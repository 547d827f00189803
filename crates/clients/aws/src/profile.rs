//! The files of profiles that Amazon's clients share: `~/.aws/credentials` and `~/.aws/config`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use nodes::Cause;
use report::{file_error_text, read_regular};

use crate::{Credentials, Options};

/// The profile that counts if the user chooses none.
const DEFAULT: &str = "default";

/// The profiles of both files.
#[derive(Debug)]
pub(crate) struct Profiles {
    sections: BTreeMap<String, Section>,
    /// The name of the profile that counts.
    chosen: String,
    /// Whether the user chose it, so that it has to exist.
    is_chosen: bool,
}

/// The values below a heading. The values below a value have the names of both: `ssm.endpoint_url`.
type Section = BTreeMap<String, String>;

impl Profiles {
    /// Reads both files. A file that does not exist is empty.
    ///
    /// # Errors
    /// A file exists and cannot be read.
    pub(crate) fn read(options: &Options) -> Result<Self, Cause> {
        let mut sections = BTreeMap::new();
        let [credentials, config] = &options.files;
        // What is in the file of credentials wins, so it is read last.
        for (path, is_config) in [(config, true), (credentials, false)] {
            let Some(path) = path else { continue };
            merge(&mut sections, &content(path)?, is_config);
        }
        let chosen = options.profile.clone();
        let is_chosen = chosen.as_deref().is_some_and(|name| name != DEFAULT);
        let chosen = chosen.unwrap_or_else(|| DEFAULT.to_owned());
        Ok(Profiles { sections, chosen, is_chosen })
    }

    /// The name of the profile that counts.
    pub(crate) fn chosen(&self) -> &str {
        &self.chosen
    }

    /// Makes sure that a profile that the user chose exists.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn check(&self) -> Result<(), Cause> {
        match self.is_chosen && !self.has(&self.chosen) {
            true => Err(missing(&self.chosen)),
            false => Ok(()),
        }
    }

    /// Whether the profile exists.
    pub(crate) fn has(&self, profile: &str) -> bool {
        self.sections.contains_key(profile)
    }

    /// A value of a profile, if it is not empty.
    pub(crate) fn get(&self, profile: &str, name: &str) -> Option<&str> {
        let value = self.sections.get(profile)?.get(name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// A value of the profile that counts.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.get(&self.chosen, name)
    }

    /// A value of the session of single sign-on that a profile names, or of the profile itself.
    pub(crate) fn of_session(&self, profile: &str, name: &str) -> Option<&str> {
        let session = self.get(profile, "sso_session");
        let of_session =
            session.and_then(|session| self.get(&format!("sso-session {session}"), name));
        of_session.or_else(|| self.get(profile, name))
    }

    /// The address of a service, whose key below `services` is `service`.
    pub(crate) fn endpoint(&self, service: &str) -> Option<&str> {
        let of_service = self.value("services").and_then(|services| {
            self.get(&format!("services {services}"), &format!("{service}.endpoint_url"))
        });
        of_service.or_else(|| self.value("endpoint_url"))
    }

    /// The credentials that are in a profile themselves.
    pub(crate) fn credentials(&self, profile: &str) -> Option<Credentials> {
        Some(Credentials {
            access_key_id: self.get(profile, "aws_access_key_id")?.to_owned(),
            secret_access_key: self.get(profile, "aws_secret_access_key")?.to_owned(),
            token: self.get(profile, "aws_session_token").map(str::to_owned),
            expires: None,
        })
    }
}

/// The error that there is no profile of this name.
pub(crate) fn missing(profile: &str) -> Cause {
    Cause::new(format!("there is no profile {profile} in ~/.aws/config or ~/.aws/credentials"))
}

fn content(path: &Path) -> Result<String, Cause> {
    match read_regular(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(String::new())
        }
        Err(error) => Err(Cause::new(file_error_text("open", path, &error))),
    }
}

/// Adds the sections of a file. In that of the configuration the heading of a profile is `[default]` or
/// `[profile NAME]`, in that of credentials `[NAME]`.
fn merge(sections: &mut BTreeMap<String, Section>, text: &str, is_config: bool) {
    let mut section: Option<&mut Section> = None;
    let mut above = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(heading) = trimmed.strip_prefix('[') {
            let heading = heading.split(']').next().unwrap_or_default();
            let words: Vec<&str> = heading.split_whitespace().collect();
            let name = match words[..] {
                ["profile", name] if is_config => Some(name.to_owned()),
                [DEFAULT] => Some(DEFAULT.to_owned()),
                [name] if !is_config => Some(name.to_owned()),
                [kind @ ("sso-session" | "services"), name] if is_config => {
                    Some(format!("{kind} {name}"))
                }
                _ => None,
            };
            section = name.map(|name| sections.entry(name).or_default());
            above.clear();
            continue;
        }
        let (Some(section), Some((name, value))) = (&mut section, trimmed.split_once('=')) else {
            continue;
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), without_comment(value).to_owned());
        match line.starts_with([' ', '\t']) && !above.is_empty() {
            true => section.insert(format!("{above}.{name}"), value),
            false => {
                above = if value.is_empty() { name.clone() } else { String::new() };
                section.insert(name, value)
            }
        };
    }
}

/// A value without the comment behind it, which begins with a space.
fn without_comment(value: &str) -> &str {
    let ends = [" #", " ;", "\t#", "\t;"].into_iter().filter_map(|mark| value.find(mark));
    value[..ends.min().unwrap_or(value.len())].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(config: &str, credentials: &str, chosen: &str) -> Profiles {
        let mut sections = BTreeMap::new();
        merge(&mut sections, config, true);
        merge(&mut sections, credentials, false);
        Profiles { sections, chosen: chosen.to_owned(), is_chosen: true }
    }

    const CONFIG: &str = "\
# made by hand
[default]
region = eu-west-1 # the usual one
[profile prod]
Region=us-east-1
services = local
role_arn = arn:aws:iam::1:role/r
source_profile = default
[sso-session me]
sso_region = eu-north-1
[profile dev]
sso_session = me
[services local]
ssm =
  endpoint_url = http://ssm.local
dynamodb =
\tendpoint_url = http://dynamodb.local
[prod]
region = wrong
";

    #[test]
    fn profiles_of_both_files_are_merged() {
        let credentials = "[default]\naws_access_key_id = AKID\naws_secret_access_key = hunter2\n\
                           [prod]\naws_access_key_id = OTHER\n";
        let found = profiles(CONFIG, credentials, "prod");
        assert_eq!(found.value("region"), Some("us-east-1"));
        assert_eq!(found.value("role_arn"), Some("arn:aws:iam::1:role/r"));
        assert_eq!(found.get(DEFAULT, "region"), Some("eu-west-1"));
        assert_eq!(found.credentials(DEFAULT).unwrap().access_key_id, "AKID");
        assert_eq!(found.credentials("prod"), None);
        assert!(found.check().is_ok());
        let missing = profiles(CONFIG, "", "nope").check().unwrap_err().to_string();
        assert!(missing.starts_with("there is no profile nope in "), "{missing}");
    }

    #[test]
    fn services_and_sessions_have_sections_of_their_own() {
        let found = profiles(CONFIG, "", "prod");
        assert_eq!(found.endpoint("ssm"), Some("http://ssm.local"));
        assert_eq!(found.endpoint("dynamodb"), Some("http://dynamodb.local"));
        assert_eq!(found.endpoint("acm"), None);
        assert_eq!(found.of_session("dev", "sso_region"), Some("eu-north-1"));
    }

    #[test]
    fn a_file_that_does_not_exist_is_empty_and_a_folder_is_an_error() {
        let file = |path: &str| Some(path.into());
        let options = Options { files: [file("/nope"), None], ..Options::default() };
        assert!(!Profiles::read(&options).unwrap().has(DEFAULT));
        let options = Options { files: [None, file("/etc")], ..Options::default() };
        let cause = Profiles::read(&options).unwrap_err().to_string();
        assert_eq!(cause, "open /etc: is a directory");
    }
}
