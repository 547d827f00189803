//! Makes settings of a file's content. Errors have the words of Go's library `mapstructure`.

use hcl::{Body, Value};

use super::schema::{Key, Kind, ROOT, WAIT};
use super::settings::{Setting, Settings, Wait};
use super::{duration, signal};

/// The settings of the text of a file, and the warnings about it.
///
/// # Errors
/// All that is wrong with the text.
pub(crate) fn decode(text: &str) -> Result<(Settings, Vec<String>), String> {
    let body = hcl::read(text).map_err(|error| format!("error decoding config: {error}"))?;
    let mut decoder = Decoder::default();
    let settings = decoder.block("", body, ROOT);
    match decoder.errors.len() {
        0 => Ok((settings, decoder.warnings)),
        count => {
            decoder.errors.sort();
            let errors = decoder.errors.join("\n* ");
            Err(format!("mapstructure decode failed: {count} error(s) decoding:\n\n* {errors}"))
        }
    }
}

#[derive(Default)]
struct Decoder {
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Decoder {
    /// The settings of a block. `path` is empty for the whole file.
    fn block(&mut self, path: &str, body: Body, keys: &'static [Key]) -> Settings {
        let mut settings = Settings::default();
        let mut unknown = Vec::new();
        for entry in body {
            let lower = entry.key.to_lowercase();
            let Some(key) = keys.iter().find(|key| key.name == lower) else {
                unknown.push(entry.key);
                continue;
            };
            let name = key.stands_for.unwrap_or(key.name);
            let path = if path.is_empty() { entry.key } else { format!("{path}.{}", entry.key) };
            if let Some(value) = self.value(&path, entry.value, key.kind) {
                settings.set(&[name], value);
            }
        }
        if !unknown.is_empty() {
            unknown.sort();
            self.errors.push(format!("'{path}' has invalid keys: {}", unknown.join(", ")));
        }
        settings
    }

    /// The value of a key; `None` for JSON's `null`, and after an error.
    fn value(&mut self, path: &str, value: Value, kind: Kind) -> Option<Setting> {
        match (kind, value) {
            (_, Value::Null) => None,
            (Kind::Block(keys), Value::Blocks(bodies)) => {
                let last = bodies.into_iter().next_back()?;
                Some(Setting::Block(self.block(path, last, keys)))
            }
            (Kind::Block(_), Value::String(address)) if path == "consul" => {
                self.warnings.push(
                    "consul is now a stanza instead of a string. Update your configuration files and \
                     change `consul = \"...\"` to `consul { address = \"...\" }`"
                        .to_owned(),
                );
                let mut settings = Settings::default();
                settings.set(&["address"], Setting::Text(address));
                Some(Setting::Block(settings))
            }
            (Kind::Blocks(keys), Value::Blocks(bodies)) => {
                let bodies = bodies.into_iter().enumerate();
                let all =
                    bodies.map(|(nth, body)| self.block(&format!("{path}[{nth}]"), body, keys));
                Some(Setting::Blocks(all.collect()))
            }
            (Kind::Blocks(_), Value::List(elements)) if elements.is_empty() => {
                Some(Setting::Blocks(Vec::new()))
            }
            (Kind::Block(_), value) => {
                self.fail(format!("'{path}' expected a map, got '{}'", shape(&value)))
            }
            (Kind::Blocks(_), value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_))) => {
                let shape = shape(&value);
                self.fail(format!("'{path}': source data must be an array or slice, got {shape}"))
            }
            (Kind::Blocks(_), value) => {
                let shape = match &value {
                    Value::List(elements) => elements.first().map_or("slice", shape),
                    value => shape(value),
                };
                self.fail(format!("'{path}[0]' expected a map, got '{shape}'"))
            }
            (Kind::Wait, value) => self.wait(path, value).map(Setting::Wait),
            (Kind::List | Kind::Command, value) => self.words(path, value, kind),
            (_, value) => match scalar(value, kind) {
                Ok(setting) => Some(setting),
                Err(Wrong::Text(why)) => self.fail(format!("error decoding '{path}': {why}")),
                Err(Wrong::Type("os.Signal", value)) => self
                    .fail(format!("'{path}' expected type 'os.Signal', got '{}'", shape(&value))),
                Err(Wrong::Type(expected, value)) => self.fail(format!(
                    "'{path}' expected type '{expected}', got unconvertible type '{}', value: '{}'",
                    shape(&value),
                    shown(&value)
                )),
            },
        }
    }

    fn fail<T>(&mut self, error: String) -> Option<T> {
        self.errors.push(error);
        None
    }

    fn wait(&mut self, path: &str, value: Value) -> Option<Wait> {
        match value {
            Value::String(text) => match Wait::parse(&text) {
                Ok(wait) => Some(wait),
                Err(why) => self.fail(format!("error decoding '{path}': {why}")),
            },
            Value::Blocks(bodies) => {
                let body = bodies.into_iter().next_back()?;
                let settings = self.block(path, body, WAIT);
                Some(Wait {
                    enabled: settings.flag("bool"),
                    min: settings.duration("min"),
                    max: settings.duration("max"),
                })
            }
            value => self.fail(format!("'{path}' expected a map, got '{}'", shape(&value))),
        }
    }

    /// A list of texts. A text is cut at its commas, unless it is a command.
    fn words(&mut self, path: &str, value: Value, kind: Kind) -> Option<Setting> {
        let is_command = matches!(kind, Kind::Command);
        let words = match value {
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::String(text) if is_command => vec![text],
            Value::String(text) => text.split(',').map(str::to_owned).collect(),
            Value::List(elements) => {
                let mut words = Vec::new();
                for (nth, element) in elements.into_iter().enumerate() {
                    match element {
                        Value::String(word) => words.push(word),
                        element => {
                            return self.fail(format!(
                                "'{path}[{nth}]' expected type 'string', got unconvertible type '{}', \
                                 value: '{}'",
                                shape(&element),
                                shown(&element)
                            ));
                        }
                    }
                }
                words
            }
            value => {
                return self.fail(format!(
                    "'{path}': source data must be an array or slice, got {}",
                    shape(&value)
                ));
            }
        };
        Some(if is_command { Setting::Command(words) } else { Setting::List(words) })
    }
}

/// Why a value does not fit a key.
enum Wrong {
    /// The text of the value is malformed, for this reason.
    Text(String),
    /// The key has values of this type.
    Type(&'static str, Value),
}

fn scalar(value: Value, kind: Kind) -> Result<Setting, Wrong> {
    Ok(match (kind, value) {
        (Kind::Text, Value::String(text)) => Setting::Text(text),
        (Kind::Bool, Value::Bool(value)) => Setting::Bool(value),
        (Kind::Int, Value::Int(value)) => Setting::Int(value),
        (Kind::Int, Value::Float(value)) => Setting::Int(value as i64),
        (Kind::Float, Value::Float(value)) => Setting::Float(value),
        (Kind::Float, Value::Int(value)) => Setting::Float(value as f64),
        (Kind::Duration, Value::String(text)) => {
            Setting::Duration(duration::parse(&text).map_err(Wrong::Text)?)
        }
        // Go's durations are numbers of nanoseconds.
        (Kind::Duration, Value::Int(nanos)) => Setting::Duration(nanos),
        (Kind::Duration, Value::Float(nanos)) => Setting::Duration(nanos as i64),
        (Kind::Mode, Value::String(text)) => match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 => Setting::Mode(mode),
            Ok(_) => {
                let why = format!("strconv.ParseUint: parsing {text:?}: value out of range");
                return Err(Wrong::Text(why));
            }
            Err(_) => {
                let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
                return Err(Wrong::Text(why));
            }
        },
        (Kind::Mode, Value::Int(mode)) => match u32::try_from(mode) {
            Ok(mode) => Setting::Mode(mode),
            Err(_) => return Err(Wrong::Text(format!("cannot parse, {mode} overflows uint"))),
        },
        (Kind::Signal, Value::String(name)) if name.is_empty() => Setting::Signal(None),
        (Kind::Signal, Value::String(name)) => {
            Setting::Signal(signal::parse(&name).map_err(Wrong::Text)?)
        }
        (kind, value) => return Err(Wrong::Type(type_name(kind), value)),
    })
}

/// Go's name of the type of a key.
fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Int => "int",
        Kind::Float => "float64",
        Kind::Duration => "time.Duration",
        Kind::Mode => "fs.FileMode",
        Kind::Signal => "os.Signal",
        _ => "string",
    }
}

/// Go's name of the type of a value.
fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Blocks(_) => "[]map[string]interface {}",
    }
}

/// The value as Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::List(elements) => {
            format!("[{}]", elements.iter().map(shown).collect::<Vec<_>>().join(" "))
        }
        Value::Blocks(bodies) => {
            let bodies = bodies.iter().map(|body| {
                let entries = body.entries().iter();
                let entries = entries.map(|entry| format!("{}:{}", entry.key, shown(&entry.value)));
                format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
            });
            format!("[{}]", bodies.collect::<Vec<_>>().join(" "))
        }
    }
}
