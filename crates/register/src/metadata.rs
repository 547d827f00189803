//! What a container says about its services: variables and labels whose names begin with `SERVICE_`.

use std::collections::BTreeMap;

use crate::container::{Container, Exposed};

/// The entries for one port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    entries: BTreeMap<String, String>,
    /// The names of the entries that are for this port only.
    own: Vec<String>,
}

impl Metadata {
    /// The entries of `container` for `port`. Labels win over variables, and entries for the port
    /// win over entries for all ports.
    pub(crate) fn of(container: &Container, port: &Exposed) -> Metadata {
        let variables = container.environment().filter_map(|variable| variable.split_once('='));
        let mut found = Metadata::default();
        let mut own = BTreeMap::new();
        for (name, value) in variables.chain(container.labels()) {
            let Some(name) = name.strip_prefix("SERVICE_") else { continue };
            let name = name.to_lowercase();
            match name.split_once('_') {
                // The number is compared as text: `080` is no port.
                Some((number, name)) if number.parse::<i64>().is_ok() => {
                    if number == port.text {
                        own.insert(name.to_owned(), value.to_owned());
                    }
                }
                _ => {
                    found.entries.insert(name, value.to_owned());
                }
            }
        }
        found.own = own.keys().cloned().collect();
        found.entries.extend(own);
        found
    }

    /// The value of an entry; `None` if there is none, or if it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether the entry is for this port only.
    pub(crate) fn is_own(&self, name: &str) -> bool {
        self.own.iter().any(|own| own == name)
    }

    /// The entries that are neither the id, the name nor the tags of the service.
    pub(crate) fn into_attributes(mut self) -> BTreeMap<String, String> {
        for name in ["id", "name", "tags"] {
            self.entries.remove(name);
        }
        self.entries
    }
}

/// The items of a list with commas. As in registrator, the last item comes first.
pub(crate) fn reversed_list(text: &str) -> Vec<String> {
    let mut items = plain_list(text);
    items.reverse();
    items
}

/// The items of a list with commas. `\,` is a comma inside of an item. Empty items do not count.
pub(crate) fn plain_list(text: &str) -> Vec<String> {
    let (mut items, mut item) = (Vec::new(), String::new());
    for letter in text.chars() {
        match letter {
            ',' if item.ends_with('\\') => {
                item.pop();
                item.push(',');
            }
            ',' => items.push(std::mem::take(&mut item)),
            letter => item.push(letter),
        }
    }
    items.push(item);
    items.retain(|item| !item.is_empty());
    items
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_port(number: &str, variables: &[&str], labels: &[(&str, &str)]) -> Metadata {
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        let document = json!({
            "Config": {"Env": variables, "Labels": labels, "ExposedPorts": {number: {}}},
        });
        let container = Container::new(document);
        let port = container.ports().into_keys().next().unwrap();
        Metadata::of(&container, &port)
    }

    #[test]
    fn an_entry_for_the_port_wins_then_a_label_then_a_variable() {
        let name = |variables: &[&str], labels: &[(&str, &str)]| {
            of_port("80/tcp", variables, labels).get("name").map(str::to_owned)
        };
        assert_eq!(name(&["SERVICE_NAME=a"], &[("SERVICE_NAME", "b")]).unwrap(), "b");
        assert_eq!(name(&["SERVICE_80_NAME=a"], &[("SERVICE_NAME", "b")]).unwrap(), "a");
        assert_eq!(name(&["SERVICE_Name=a=b", "SERVICES_NAME=c"], &[]).unwrap(), "a=b");
        assert_eq!(name(&["SERVICE_80_NAME=", "SERVICE_NAME=db"], &[]), None);
        assert_eq!(name(&["SERVICE_NAME"], &[]), None);
    }

    #[test]
    fn the_number_of_a_port_is_compared_as_text() {
        for other in ["SERVICE_080_NAME=a", "SERVICE_+80_NAME=a", "SERVICE_81_NAME=a"] {
            assert_eq!(of_port("80/tcp", &[other], &[]), Metadata::default(), "{other}");
        }
        let number = of_port("80/tcp", &["SERVICE_80=x", "SERVICE_2X_Y=z"], &[]);
        let pairs = [("2x_y", "z"), ("80", "x")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(number.into_attributes(), BTreeMap::from(pairs));
        let empty = of_port("80/tcp", &["SERVICE_80_=x"], &[]);
        assert!(empty.is_own(""));
    }

    #[test]
    fn a_list_is_reversed_and_has_no_empty_items() {
        for (text, items) in [
            ("a,b,c", &["c", "b", "a"][..]),
            (",,a,,b,", &["b", "a"]),
            ("x\\,y,z", &["z", "x,y"]),
            (" a , b", &[" b", " a "]),
            ("a\\b", &["a\\b"]),
            (",,", &[]),
            ("", &[]),
        ] {
            assert_eq!(reversed_list(text), items, "{text}");
        }
    }
}
