//! Services of a machine in a file: tables `[[register]]`.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Announced;
use super::probe::Probe;
use crate::service::Service;

/// The keys of a table.
const KEYS: [&str; 7] = ["name", "id", "address", "port", "tags", "meta", "check"];

/// What describes a service of a process, by flags or in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Described {
    /// Where it stands in a file, with a colon and a blank; empty for flags.
    pub(crate) place: String,
    pub(crate) name: String,
    /// Empty for `NAME@HOST:PORT`.
    pub(crate) id: String,
    /// Empty for that of this host.
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) tags: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
    /// Empty for `tcp`.
    pub(crate) checks: Vec<String>,
}

impl Described {
    /// The service, on a host of this name and address.
    ///
    /// # Errors
    /// The name or the port is missing, or a check has a wrong form.
    pub(crate) fn announced(self, host: &str, host_address: &str) -> Result<Announced, String> {
        if self.name.is_empty() || self.port == 0 {
            let place = &self.place;
            return Err(match &self.name[..] {
                "" => format!("{place}the service has no name"),
                name => format!("{place}the service {name} has no port"),
            });
        }
        let address = match &self.address[..] {
            "" => host_address.to_owned(),
            _ => self.address,
        };
        let texts = if self.checks.is_empty() { vec!["tcp".to_owned()] } else { self.checks };
        let mut probes = Vec::new();
        for text in texts {
            let probe = Probe::parse(&text, &address, self.port);
            let place = &self.place;
            probes.extend(probe.map_err(|why| format!("{place}service {}: {why}", self.name))?);
        }
        let id = match &self.id[..] {
            // An id of the form HOST:CONTAINER:PORT would be taken for that of a container that is gone.
            "" => format!("{}@{host}:{}", self.name, self.port),
            _ => self.id,
        };
        let service = Service {
            id,
            name: self.name,
            address,
            port: self.port,
            tags: self.tags,
            attributes: self.meta,
            exposed: self.port.to_string(),
            container: String::new(),
            is_healthy: None,
        };
        Ok(Announced { service, probes })
    }
}

/// Reads the text of the file `path`.
///
/// # Errors
/// The text is no TOML, or a table has a key or a value that it cannot have.
pub(crate) fn read(path: &str, text: &str) -> Result<Vec<Described>, String> {
    let at = |offset: usize, why: &str| {
        let line = text[..offset].bytes().filter(|&byte| byte == b'\n').count() + 1;
        format!("{path}:{line}: {why}")
    };
    let document = DeTable::parse(text)
        .map_err(|error| at(error.span().map_or(0, |span| span.start), error.message()))?;
    let mut services = Vec::new();
    for (key, value) in document.get_ref() {
        let DeValue::Array(tables) = value.get_ref() else {
            return Err(at(key.span().start, "services are in tables [[register]]"));
        };
        if key.get_ref() != "register" {
            let why =
                format!("unknown key {:?}: services are in tables [[register]]", key.get_ref());
            return Err(at(key.span().start, &why));
        }
        for table in tables.iter() {
            let begins = table.span().start;
            let DeValue::Table(table) = table.get_ref() else {
                return Err(at(begins, "register is a table: [[register]]"));
            };
            let described = described(table).map_err(|(offset, why)| at(offset, &why))?;
            services.push(Described { place: at(begins, ""), ..described });
        }
    }
    match services.is_empty() {
        true => Err(at(0, "there is no table [[register]]")),
        false => Ok(services),
    }
}

/// A mistake: the place in the text, and what is wrong there.
type Mistake = (usize, String);

fn described(table: &DeTable<'_>) -> Result<Described, Mistake> {
    let mut described = Described::default();
    for (key, value) in table {
        let (name, offset) = (&**key.get_ref(), key.span().start);
        let wrong = |what: &str| (offset, format!("{name} is {what}"));
        match name {
            "name" => described.name = text(value).ok_or_else(|| wrong("a text"))?,
            "id" => described.id = text(value).ok_or_else(|| wrong("a text"))?,
            "address" => described.address = text(value).ok_or_else(|| wrong("a text"))?,
            "port" => {
                let port = match value.get_ref() {
                    DeValue::Integer(number) => {
                        u16::from_str_radix(number.as_str(), number.radix()).ok()
                    }
                    _ => None,
                };
                let port = port.filter(|&port| port > 0);
                described.port = port.ok_or_else(|| wrong("a number from 1 to 65535"))?;
            }
            "tags" => described.tags = texts(value).ok_or_else(|| wrong("a list of texts"))?,
            "check" => {
                let list = texts(value).or_else(|| Some(vec![text(value)?]));
                described.checks = list.ok_or_else(|| wrong("a text or a list of texts"))?;
            }
            "meta" => {
                let pairs = match value.get_ref() {
                    DeValue::Table(table) => table
                        .iter()
                        .map(|(name, value)| {
                            Some((name.get_ref().clone().into_owned(), text(value)?))
                        })
                        .collect(),
                    _ => None,
                };
                described.meta = pairs.ok_or_else(|| wrong("a table of texts"))?;
            }
            _ => {
                let known = KEYS.join(", ");
                return Err((offset, format!("unknown key {name:?}; known are {known}")));
            }
        }
    }
    Ok(described)
}

fn text(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        _ => None,
    }
}

fn texts(value: &Spanned<DeValue<'_>>) -> Option<Vec<String>> {
    match value.get_ref() {
        DeValue::Array(list) => list.iter().map(text).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_describes_a_service() {
        let text = "[[register]]\nname = \"web\"\nport = 80\ntags = [\"a\"]\nmeta = {x = \"y\"}\n\
                    check = \"http:/h\"\n[[register]]\nname = \"db\"\nport = 5432\naddress = \"::1\"\n";
        let services = read("f", text).unwrap();
        let services: Vec<_> =
            services.into_iter().map(|one| one.announced("h1", "10.0.0.5").unwrap()).collect();
        let web = &services[0];
        assert_eq!((&web.service.id[..], &web.service.address[..]), ("web@h1:80", "10.0.0.5"));
        assert_eq!(web.probes, [Probe::Http("http://10.0.0.5:80/h".into())]);
        let db = &services[1];
        assert_eq!(db.probes, [Probe::Tcp { host: "::1".into(), port: 5432 }]);
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (text, error) in [
            ("", "f:1: there is no table [[register]]"),
            ("\nx = ", "f:2: "),
            ("[[register]]\nnam = \"a\"", "f:2: unknown key \"nam\"; known are name, "),
            ("[[register]]\nport = \"80\"", "f:2: port is a number from 1 to 65535"),
            ("[[register]]\nport = 80000", "f:2: port is a number from 1 to 65535"),
            ("[register]\nname = \"a\"", "f:1: services are in tables [[register]]"),
        ] {
            let found = read("f", text).unwrap_err();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
