//! The values that flags, the environment and confd.toml give for options.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
};

use crate::{Invalid, Kind, Opt, Read, Spec, VARIABLES, Value, gobool, goint};

/// The values that one place gives, such as the command line, in the order in which it gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer {
    values: Vec<(&'static str, Value)>,
    place: Place,
}

/// Where values were given, for errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// On the command line, whose flags name the options.
    #[default]
    Flags,
    Environment,
    File,
}

impl Layer {
    /// The values that the environment gives for `options`. Of `variables`, all that do not begin with
    /// [`VARIABLES`] are passed over. An empty variable counts as missing. The elements of a list stand
    /// between commas.
    ///
    /// A secret can also be in a file that another variable names: `CONFD_PASSWORD_FILE` in place of
    /// `CONFD_PASSWORD`. `read` reads such a file, and returns the reason if it cannot. A line break
    /// at the end of the file does not count.
    ///
    /// # Errors
    /// A variable does not have the form of its option, the file of a secret cannot be read, or both
    /// variables of a secret are set.
    pub fn of_environment(
        options: &[Spec],
        variables: &[(OsString, OsString)],
        read: impl Fn(&Path) -> Result<Vec<u8>, String>,
    ) -> Result<Self, Invalid> {
        let is_given = |(name, value): &&(OsString, OsString)| {
            name.as_bytes().starts_with(VARIABLES.as_bytes()) && !value.is_empty()
        };
        let given: Vec<_> = variables.iter().filter(is_given).collect();
        let mut layer = Self { place: Place::Environment, ..Self::default() };
        // Most programs are started without any, and at most with a few.
        if given.is_empty() {
            return Ok(layer);
        }
        let env = |wanted: &str| {
            let found = given.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone())
        };
        for option in options.iter().filter(|option| !option.flag_only) {
            let names = [Some(option.variable()), option.other_variable.map(str::to_owned)];
            for name in names.into_iter().flatten() {
                let mut text = env(&name);
                if option.secret {
                    text = secret(&name, text, &env, &read)?;
                }
                if let Some(text) = text {
                    let value = of_variable(option, &name, &text)?;
                    layer.values.push((option.name, value));
                    break;
                }
            }
        }
        Ok(layer)
    }

    /// An empty layer for the values that `confd.toml` gives.
    pub fn of_file() -> Self {
        Self { place: Place::File, ..Self::default() }
    }

    /// How this layer names `option`: by its flag, its variable or its key.
    pub fn name_of(&self, option: &Spec) -> String {
        match (self.place, option.key) {
            (Place::Environment, _) => option.variable(),
            (Place::File, Some(key)) => format!("{key} in confd.toml"),
            _ => format!("-{}", option.name),
        }
    }

    /// Where this layer gives `option`, for people; `None` on the command line.
    fn place_of(&self, option: &Spec) -> Option<String> {
        match self.place {
            Place::Flags => None,
            Place::Environment => Some(format!("from {}", option.variable())),
            Place::File => option.key.map(|key| format!("from {key:?} in confd.toml")),
        }
    }

    /// Sets the value of `option` and replaces an earlier one. For a list, the new elements are
    /// added at its end.
    pub fn set(&mut self, option: &Spec, value: Value) {
        self.add(option.name, value);
    }

    fn add(&mut self, name: &'static str, value: Value) {
        let known = self.values.iter_mut().find(|(known, _)| *known == name);
        match (known, value) {
            (Some((_, Value::List(list))), Value::List(more)) => list.extend(more),
            (Some((_, known)), value) => *known = value,
            (None, value) => self.values.push((name, value)),
        }
    }

    /// Sets the value of `option` in place of an earlier one, also for a list.
    pub fn set_new(&mut self, option: &Spec, value: Value) {
        self.values.retain(|(name, _)| *name != option.name);
        self.values.push((option.name, value));
    }

    /// Sets all values of `more`, as [`set`](Self::set) does.
    pub fn extend(&mut self, more: Self) {
        for (name, value) in more.values {
            self.add(name, value);
        }
    }

    /// Whether this layer gives a value for the option with this name.
    pub fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(known, _)| *known == name)
    }

    /// Removes the values of the options with these names. Returns whether there was one that is not
    /// empty.
    pub fn remove(&mut self, names: &[&str]) -> bool {
        let is_empty = |value: &Value| matches!(value, Value::Text(text) if text.is_empty());
        let removed = self.values.extract_if(.., |(name, _)| names.contains(&*name));
        removed.filter(|(_, value)| !is_empty(value)).count() > 0
    }

    /// The value of `option`, if this layer gives one.
    pub fn get(&self, option: &Spec) -> Option<&Value> {
        self.values.iter().find(|(name, _)| *name == option.name).map(|(_, value)| value)
    }
}

/// The secret that the variable `name` has as `text`, or that is in the file that `{name}_FILE` names.
fn secret(
    name: &str,
    text: Option<OsString>,
    env: &impl Fn(&str) -> Option<OsString>,
    read: &impl Fn(&Path) -> Result<Vec<u8>, String>,
) -> Result<Option<OsString>, Invalid> {
    let named = format!("{name}_FILE");
    let Some(path) = env(&named) else { return Ok(text) };
    if text.is_some() {
        let why = format!("{name} and {named} are both set: only one can count");
        return Err(Invalid::new(why));
    }
    let text = read(path.as_ref()).map_err(|reason| Invalid::new(format!("{named}: {reason}")))?;
    Ok(Some(of_secret_file(text)))
}

/// The secret that is in a file with this content. A line break at its end does not count.
pub fn of_secret_file(mut content: Vec<u8>) -> OsString {
    for end in [b'\n', b'\r'] {
        content.pop_if(|last| *last == end);
    }
    OsString::from_vec(content)
}

/// The value of `option` that the variable `name` has as `text`.
fn of_variable(option: &Spec, name: &str, text: &OsStr) -> Result<Value, Invalid> {
    let invalid = |why: &str| {
        Invalid::new(format!("invalid value {} of {name}: {why}", gotmpl::quote(text.as_bytes())))
    };
    match option.kind {
        Kind::Switch => text
            .to_str()
            .and_then(|text| gobool::parse(text).or_else(|| gobool::parse_word(text)))
            .map(Value::Switch)
            .ok_or_else(|| invalid("it is neither true nor false")),
        Kind::Number(_) => match text.to_str().map_or(Err(goint::Fault::Syntax), goint::signed) {
            Ok(number) => Ok(Value::Number(number)),
            Err(goint::Fault::Syntax) => Err(invalid("not a number without a unit, such as 600")),
            Err(goint::Fault::Range) => Err(invalid("out of range")),
        },
        Kind::Text(_) => Ok(Value::Text(text.to_owned())),
        Kind::List => {
            let elements = text.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            let elements = elements.filter(|element| !element.is_empty());
            Ok(Value::List(elements.map(|it| OsStr::from_bytes(it).to_owned()).collect()))
        }
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
        let value =
            self.found(&spec).map_or_else(|| spec.kind.default(), |(_, value)| value.clone());
        T::read(&spec, value).map_err(|invalid| self.placed(&spec, invalid))
    }

    /// The value of `option`, as `of` understands it.
    ///
    /// # Errors
    /// As of [`get`](Self::get), and what `of` says: a text for people that names the option.
    pub fn get_as<T: Read, V>(
        &self,
        option: &Opt<T>,
        of: impl FnOnce(T) -> Result<V, String>,
    ) -> Result<V, Invalid> {
        of(self.get(option)?).map_err(|why| self.placed(&option.spec(), Invalid::new(why)))
    }

    /// The layer that gives a value for an option, and the value; `None` if none does.
    fn found(&self, spec: &Spec) -> Option<(&Layer, &Value)> {
        let is_text = |value: &Value| !matches!(value, Value::Text(text) if text.is_empty());
        let mut given = self.layers.iter().filter_map(|layer| Some((layer, layer.get(spec)?)));
        given.find(|(_, value)| !self.fill_empty || is_text(value))
    }

    /// A reason with the place where the value of the option was given, if the flag does not say it.
    fn placed(&self, spec: &Spec, invalid: Invalid) -> Invalid {
        match self.found(spec).and_then(|(layer, _)| layer.place_of(spec)) {
            Some(place) => invalid.given_by(&place),
            None => invalid,
        }
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

    const NAME: Opt<String> = Opt::text("name", "default", "a name");
    const NODE: Opt<Vec<OsString>> = Opt::list("node", "nodes");
    const VARIABLE: Variable = Variable("STORE_ADDRESS");

    fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

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
        let layer = |variables: &[(&str, &str)]| {
            let variables = environment(variables);
            Layer::of_environment(&options, &variables, read).map(|layer| Given::new(vec![layer]))
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
        let set = environment(&[("NAME", "y"), ("CONFD_NAME", "x")]);
        let no_file = |path: &Path| Err(format!("open {}", path.display()));
        let layer = Layer::of_environment(&options, &set, no_file).unwrap();
        assert_eq!(layer.get(&NAME.spec()), Some(&Value::Text("x".into())));
        let empty = environment(&[("CONFD_NAME", ""), ("CONFD_NODE", "")]);
        let layer = Layer::of_environment(&options, &empty, no_file).unwrap();
        assert!(!layer.has("name") && !layer.has("node"));
        let given = Given::default().with_variables(&[VARIABLE], |_| Some("host".into()));
        assert_eq!(given.variable(VARIABLE), Some("host"));
        let given = Given::default().with_variables(&[VARIABLE], |_| Some(OsString::new()));
        assert_eq!(given.variable(VARIABLE), None);
    }

    #[test]
    fn a_variable_has_the_form_of_its_option() {
        const NOOP: Opt<bool> = Opt::switch("noop", "a switch");
        const INTERVAL: Opt<i64> = Opt::number("interval", 600, "a number");
        const DELAY: Opt<std::time::Duration> = Opt::text("delay", "1s", "a duration");
        const VERSION: Opt<bool> = Opt::<bool>::switch("version", "a request").flag_only();
        let options = [NOOP.spec(), INTERVAL.spec(), DELAY.spec(), VERSION.spec(), NODE.spec()];
        let of = |name: &'static str, value: &'static str| {
            let no_file = |_: &Path| Err(String::new());
            Layer::of_environment(&options, &environment(&[(name, value)]), no_file)
                .map(|layer| Given::new(vec![layer]))
        };
        for (text, is_on) in [("true", true), ("1", true), ("Yes", true), ("no", false)] {
            assert_eq!(of("CONFD_NOOP", text).unwrap().get(&NOOP), Ok(is_on), "{text}");
        }
        assert_eq!(of("CONFD_INTERVAL", "0x10").unwrap().get(&INTERVAL), Ok(16));
        let nodes = of("CONFD_NODE", "a,b").unwrap().get(&NODE).unwrap();
        assert_eq!(nodes, ["a", "b"]);
        assert_eq!(of("CONFD_VERSION", "0.16.0").unwrap().get(&VERSION), Ok(false));
        let error = of("CONFD_NOOP", "maybe").unwrap_err().to_string();
        assert_eq!(error, "invalid value \"maybe\" of CONFD_NOOP: it is neither true nor false");
        let error = of("CONFD_INTERVAL", "5s").unwrap_err().to_string();
        assert!(error.starts_with("invalid value \"5s\" of CONFD_INTERVAL: not a number"));
        let refused = |_| Err::<(), _>("delay is not good".to_owned());
        let error = of("CONFD_DELAY", "1s").unwrap().get_as(&DELAY, refused).unwrap_err();
        assert_eq!(error.to_string(), "delay is not good (from CONFD_DELAY)");
        let error = Given::default().get_as(&DELAY, refused).unwrap_err().to_string();
        assert_eq!(error, "delay is not good");
        let error = of("CONFD_DELAY", "soon").unwrap().get(&DELAY).unwrap_err().to_string();
        assert!(error.ends_with("(from CONFD_DELAY)"), "{error}");
    }
}
