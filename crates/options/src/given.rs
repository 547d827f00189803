//! The values that flags, the environment and confd.toml give for options.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::{Invalid, Opt, Read, Spec, Value};

/// The values that one place gives, such as the command line, in the order in which it gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer(Vec<(&'static str, Value)>);

impl Layer {
    /// The values that the environment gives for `options`. `env` looks up a variable. An empty
    /// variable counts as missing.
    ///
    /// A secret can also be in a file that another variable names: `CONFD_PASSWORD_FILE` in place of
    /// `CONFD_PASSWORD`. `read` reads such a file, and returns the reason if it cannot. A line break
    /// at the end of the file does not count.
    ///
    /// # Errors
    /// The file of a secret cannot be read, or both variables of a secret are set.
    pub fn of_environment(
        options: &[Spec],
        env: impl Fn(&str) -> Option<OsString>,
        read: impl Fn(&Path) -> Result<Vec<u8>, String>,
    ) -> Result<Self, Invalid> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let mut layer = Self::default();
        for option in options {
            let Some(variable) = option.variable else { continue };
            let value = env(variable);
            let named = format!("{variable}_FILE");
            let value = match env(&named).filter(|_| option.secret) {
                None => value,
                Some(_) if value.is_some() => {
                    return Err(Invalid::new(format!(
                        "{variable} and {named} are both set: only one can count"
                    )));
                }
                Some(path) => {
                    let mut text = read(path.as_ref())
                        .map_err(|reason| Invalid::new(format!("{named}: {reason}")))?;
                    for end in [b'\n', b'\r'] {
                        text.pop_if(|last| *last == end);
                    }
                    Some(OsString::from_vec(text))
                }
            };
            if let Some(value) = value {
                layer.0.push((option.name, Value::Text(value)));
            }
        }
        Ok(layer)
    }

    /// Sets the value of `option` and replaces an earlier one. For a list, the new elements are
    /// added at its end.
    pub fn set(&mut self, option: &Spec, value: Value) {
        let known = self.0.iter_mut().find(|(name, _)| *name == option.name);
        match (known, value) {
            (Some((_, Value::List(list))), Value::List(more)) => list.extend(more),
            (Some((_, known)), value) => *known = value,
            (None, value) => self.0.push((option.name, value)),
        }
    }

    /// Whether this layer gives a value for the option with this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    /// Removes the values of the options with these names. Returns whether there was one that is not
    /// empty.
    pub fn remove(&mut self, names: &[&str]) -> bool {
        let is_empty = |value: &Value| matches!(value, Value::Text(text) if text.is_empty());
        let removed = self.0.extract_if(.., |(name, _)| names.contains(&*name));
        removed.filter(|(_, value)| !is_empty(value)).count() > 0
    }

    /// The value of `option`, if this layer gives one.
    pub fn get(&self, option: &Spec) -> Option<&Value> {
        self.0.iter().find(|(name, _)| *name == option.name).map(|(_, value)| value)
    }
}

/// An environment variable that belongs to a store's own client, such as `CONSUL_HTTP_ADDR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable(pub &'static str);

/// All that was given for a run.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The layers, first to last in precedence.
    pub layers: Vec<Layer>,
    /// Whether an empty text counts as not given, so that a later layer can give the value.
    pub fill_empty: bool,
    variables: Vec<(&'static str, String)>,
}

impl Given {
    /// The values of `layers`, first to last in precedence.
    pub fn new(layers: Vec<Layer>) -> Self {
        Self { layers, fill_empty: false, variables: Vec::new() }
    }

    /// Reads `variables` of the stores' own clients through `env`. An empty variable counts as
    /// missing.
    #[must_use]
    pub fn with_variables(
        mut self,
        variables: impl IntoIterator<Item = &'static Variable>,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let given = variables.into_iter().filter_map(|Variable(name)| {
            let value = env(name).filter(|value| !value.is_empty())?;
            Some((*name, value.to_string_lossy().into_owned()))
        });
        self.variables.extend(given);
        self
    }

    /// The value of `option`: that of the first layer that gives one, or else its default.
    ///
    /// # Errors
    /// The value that was given is not one of the option's type.
    pub fn get<T: Read>(&self, option: &Opt<T>) -> Result<T, Invalid> {
        let spec = option.spec();
        let given = self.layers.iter().filter_map(|layer| layer.get(&spec));
        let mut given = given.filter(|value| {
            !(self.fill_empty && matches!(value, Value::Text(text) if text.is_empty()))
        });
        T::read(&spec, given.next().cloned().unwrap_or_else(|| spec.kind.default()))
    }

    /// The value of `option`, or `None` if it is empty.
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    pub fn some<T: Read>(&self, option: &Opt<T>) -> Result<Option<T>, Invalid> {
        Ok(Some(self.get(option)?).filter(|value| !value.is_nothing()))
    }

    /// The value of an environment variable, if it is set and not empty. Bytes that are not UTF-8
    /// are replaced.
    pub fn variable(&self, variable: Variable) -> Option<&str> {
        let (_, value) = self.variables.iter().find(|(name, _)| *name == variable.0)?;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Opt<String> = Opt::text("name", "default", "a name").variable("CONFD_NAME");
    const NODE: Opt<Vec<OsString>> = Opt::list("node", "nodes");
    const VARIABLE: Variable = Variable("STORE_ADDRESS");

    fn layer(text: &str) -> Layer {
        let mut layer = Layer::default();
        layer.set(&NAME.spec(), Value::Text(text.into()));
        layer
    }

    #[test]
    fn the_first_layer_that_gives_a_value_wins() {
        let mut given = Given::new(vec![Layer::default(), layer(""), layer("b")]);
        assert_eq!(given.get(&NAME), Ok(String::new()));
        given.fill_empty = true;
        assert_eq!(given.get(&NAME), Ok("b".to_owned()));
        assert_eq!(Given::new(vec![Layer::default()]).get(&NAME), Ok("default".to_owned()));
    }

    #[test]
    fn of_a_value_given_twice_the_last_counts_and_of_a_list_all() {
        let mut layer = layer("a");
        layer.set(&NAME.spec(), Value::Text("b".into()));
        layer.set(&NODE.spec(), Value::List(vec!["1".into()]));
        layer.set(&NODE.spec(), Value::List(vec!["2,3".into(), "".into()]));
        let given = Given::new(vec![layer]);
        assert_eq!(given.get(&NAME), Ok("b".to_owned()));
        assert_eq!(given.get(&NODE), Ok(vec!["1".into(), "2,3".into(), "".into()]));
    }

    #[test]
    fn a_secret_can_be_in_a_file_and_other_options_cannot() {
        const SECRET: Opt<String> =
            Opt::text("secret", "", "a secret").variable("CONFD_S").secret();
        let options = [NAME.spec(), SECRET.spec()];
        let read = |path: &Path| match path.to_str() {
            Some("/s") => Ok(b"x\r\n".to_vec()),
            _ => Err("no such file".to_owned()),
        };
        let layer = |variables: &'static [(&str, &str)]| {
            let env = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            Layer::of_environment(&options, env, read).map(|layer| Given::new(vec![layer]))
        };
        let given = layer(&[("CONFD_S_FILE", "/s"), ("CONFD_NAME_FILE", "/s")]).unwrap();
        assert_eq!(given.get(&SECRET), Ok("x".to_owned()));
        assert_eq!(given.get(&NAME), Ok("default".to_owned()));
        let error = layer(&[("CONFD_S_FILE", "/none")]).unwrap_err();
        assert_eq!(error.to_string(), "CONFD_S_FILE: no such file");
        assert!(layer(&[("CONFD_S_FILE", "/s"), ("CONFD_S", "y")]).is_err());
    }

    #[test]
    fn a_variable_that_is_empty_counts_as_missing() {
        let options = [NAME.spec(), NODE.spec()];
        let set = |name: &str| (name == "CONFD_NAME").then(|| "x".into());
        let no_file = |path: &Path| Err(format!("open {}", path.display()));
        assert_eq!(Layer::of_environment(&options, set, no_file), Ok(layer("x")));
        let empty = |_: &str| Some(OsString::new());
        assert_eq!(Layer::of_environment(&options, empty, no_file), Ok(Layer::default()));
        let given = Given::default().with_variables(&[VARIABLE], |_| Some("host".into()));
        assert_eq!(given.variable(VARIABLE), Some("host"));
        let given = Given::default().with_variables(&[VARIABLE], |_| Some(OsString::new()));
        assert_eq!(given.variable(VARIABLE), None);
    }
}
