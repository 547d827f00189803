//! Versions, and conditions on them.

use std::any::Any;
use std::cmp::Ordering;
use std::rc::Rc;

use bytes::Bytes;
use gotmpl::types::{Method, ObjectType, UINT64};
use gotmpl::{Failure, Map, Message, Object, Value};

use super::values::lossy;
use super::{Library, Machine};

/// `*semver.Version`.
static VERSION: ObjectType = ObjectType { name: "*semver.Version", fields: &[], methods: &METHODS };

static METHODS: [Method; 7] = [
    method("Major", |version, _| get(version, |version| number(version.numbers[0]))),
    method("Metadata", |version, _| get(version, |version| Value::from(&*version.metadata))),
    method("Minor", |version, _| get(version, |version| number(version.numbers[1]))),
    method("Original", |version, _| get(version, |version| Value::from(&*version.original))),
    method("Patch", |version, _| get(version, |version| number(version.numbers[2]))),
    method("Prerelease", |version, _| get(version, |version| Value::from(&*version.prerelease))),
    method("String", |version, _| get(version, |version| Value::from(version.to_string()))),
];

pub(super) fn add(library: &mut Library<'_>) {
    library.add("semver", "|version", |_: &Machine, text: Bytes| {
        Ok::<_, Failure>(Value::Object(Rc::new(read(&text)?)))
    });
    library.add(
        "semverCompare",
        "constraint |version",
        |_: &Machine, condition: Bytes, text: Bytes| {
            let condition = lossy(&condition);
            let improper = || {
                let text = Message::new("improper constraint: ");
                Failure::quoting(text.value(&*condition, condition.clone()))
            };
            let zero = Version::parse("0").ok_or_else(improper)?;
            if condition.is_empty()
                || !condition.split("||").all(|all| fits_all(all, &zero).is_some())
            {
                return Err(improper());
            }
            let version = read(&text)?;
            let fits = condition.split("||").map(|all| fits_all(all, &version));
            let fits: Option<Vec<bool>> = fits.collect();
            let fits = fits.ok_or_else(improper)?;
            Ok(fits.contains(&true))
        },
    );
}

/// Reads a version.
///
/// # Errors
/// The text is none.
fn read(text: &Bytes) -> Result<Version, Failure> {
    let version = Version::parse(&lossy(text));
    let version = version.ok_or_else(|| Failure::new("Invalid Semantic Version"))?;
    let begins_with_zero = |part: &str| {
        part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    match version.prerelease.split('.').any(begins_with_zero) {
        true => Err(Failure::new("Version segment starts with 0")),
        false => Ok(version),
    }
}

fn number(number: u64) -> Value {
    Value::Integer(&UINT64, number)
}

/// A method without arguments.
const fn method(
    name: &'static str,
    call: fn(&Value, &mut [Value]) -> Result<Value, Failure>,
) -> Method {
    Method { name, params: &[], variadic: false, results: 1, call }
}

/// Passes the receiver of a method to `read`.
fn get(receiver: &Value, read: fn(&Version) -> Value) -> Result<Value, Failure> {
    if let Value::Object(object) = receiver {
        let object: &dyn Any = &**object;
        if let Some(version) = object.downcast_ref() {
            return Ok(read(version));
        }
    }
    Err(Failure::new("receiver is no version"))
}

/// A version: three numbers, perhaps with a pre-release and metadata.
#[derive(Clone, Debug, PartialEq)]
struct Version {
    numbers: [u64; 3],
    prerelease: String,
    metadata: String,
    original: String,
}

impl Version {
    /// Reads a version, which can begin with `v` and have fewer than three numbers.
    fn parse(text: &str) -> Option<Version> {
        let (version, count) = Version::parse_part(text)?;
        (count > 0).then_some(version)
    }

    /// Reads a version and the number of its numbers. `x`, `X` and `*` stand for a missing number.
    fn parse_part(text: &str) -> Option<(Version, usize)> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let (rest, metadata) = bare.split_once('+').unwrap_or((bare, ""));
        let (core, prerelease) = rest.split_once('-').unwrap_or((rest, ""));
        let mut numbers = [0; 3];
        let mut count = 0;
        let mut is_open = false;
        for (nth, part) in core.split('.').enumerate() {
            is_open |= matches!(part, "x" | "X" | "*");
            let place = numbers.get_mut(nth)?;
            if !is_open {
                *place = part.parse().ok()?;
                count += 1;
            }
        }
        let own = str::to_owned;
        let version = Version {
            numbers,
            prerelease: own(prerelease),
            metadata: own(metadata),
            original: own(text),
        };
        Some((version, count))
    }

    /// The order of two versions. A pre-release comes before its version.
    fn compare(&self, other: &Version) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| {
            match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => prereleases(&self.prerelease, &other.prerelease),
            }
        })
    }
}

/// The order of two pre-releases: part by part, numbers before words.
fn prereleases(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Whether a version fits all conditions of a list; `None` if one is faulty.
fn fits_all(conditions: &str, version: &Version) -> Option<bool> {
    let words = conditions.replace(',', " ");
    let mut words = words.split_whitespace().peekable();
    let mut fits = true;
    while let Some(word) = words.next() {
        let end = word.find(|c: char| !"=!<>~^".contains(c)).unwrap_or(word.len());
        let (operator, mut text) = word.split_at(end);
        if text.is_empty() {
            text = words.next()?;
        }
        if words.peek() == Some(&"-") {
            words.next();
            let last = words.next()?;
            fits &= fits_one(">=", text, version)? && fits_one("<=", last, version)?;
        } else {
            fits &= fits_one(operator, text, version)?;
        }
    }
    Some(fits)
}

/// Whether a version fits one condition.
fn fits_one(operator: &str, text: &str, version: &Version) -> Option<bool> {
    let (limit, count) = Version::parse_part(text)?;
    // A pre-release only fits a condition that names one.
    if !version.prerelease.is_empty() && limit.prerelease.is_empty() && operator != "!=" {
        return Some(false);
    }
    let order = version.compare(&limit);
    let [major, minor, patch] = limit.numbers;
    // The first version after those with the same first numbers.
    let next = |kept: usize| match kept {
        0 => [u64::MAX; 3],
        1 => [major.saturating_add(1), 0, 0],
        2 => [major, minor.saturating_add(1), 0],
        _ => [major, minor, patch.saturating_add(1)],
    };
    let within = |kept: usize| order.is_ge() && version.numbers < next(kept);
    Some(match operator {
        "" | "=" if count < 3 => within(count),
        "" | "=" => order.is_eq(),
        "!=" if count < 3 => !within(count),
        "!=" => order.is_ne(),
        ">" if count < 3 => version.numbers >= next(count),
        ">" => order.is_gt(),
        "<" => order.is_lt(),
        ">=" | "=>" => order.is_ge(),
        "<=" | "=<" if count < 3 => version.numbers < next(count),
        "<=" | "=<" => order.is_le(),
        "~" | "~>" => within(count.min(2)),
        "^" => within(match (major, minor, count) {
            (_, _, 0) => 0,
            (1.., ..) | (0, _, 1) => 1,
            (0, 1.., _) | (0, 0, 2) => 2,
            _ => 3,
        }),
        _ => return None,
    })
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        for (sign, part) in [('-', &self.prerelease), ('+', &self.metadata)] {
            if !part.is_empty() {
                write!(f, "{sign}{part}")?;
            }
        }
        Ok(())
    }
}

impl Object for Version {
    fn ty(&self) -> &'static ObjectType {
        &VERSION
    }

    fn text(&self) -> Option<Bytes> {
        Some(self.to_string().into())
    }

    fn inside(&self) -> Value {
        Value::Map(Map::values(vec![("version".into(), Value::from(self.to_string()))]))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref() == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_fit_as_masterminds_library_says() {
        for (condition, version, expect) in [
            (">=1.2.0", "1.3.0", true),
            ("^1.2.0", "2.0.0", false),
            ("~1.2", "1.2.9", true),
            ("~1", "1.9.0", true),
            ("^0.2.3", "0.3.0", false),
            ("1.x", "1.7.2", true),
            ("1.2 - 1.4.5", "1.4.5", true),
            (">1.2", "1.2.9", false),
            ("<2, >=1.1 || 3.0.0", "3.0.0", true),
            (">=1.0.0", "1.1.0-beta", false),
            (">=1.0.0-0", "1.1.0-beta", true),
            ("!=1.2.3", "1.2.4", true),
        ] {
            let version = Version::parse(version).unwrap();
            let fits = condition.split("||").any(|all| fits_all(all, &version).unwrap());
            assert_eq!(fits, expect, "{condition} {version}");
        }
    }
}
