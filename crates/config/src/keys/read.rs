//! Reads the values of keys.

use std::time::Duration;

use options::{
    duration,
    factor::{self, Factor},
};
use regexp::Expression;

use crate::{
    document::{Section, Unknown},
    keys::{Key, Kind, Spec, Table},
    resource::{Reason, quoted},
};

/// A table of a resource file. Only keys that are described can be read from it.
pub(crate) struct ResourceTable<'d, 't>(Section<'d, 't>);

impl<'d, 't> ResourceTable<'d, 't> {
    /// The tables of this description below the root of a file; `None` if the file has none.
    pub(crate) fn all(
        root: &Section<'d, 't>,
        table: &Table,
    ) -> Result<Option<Vec<ResourceTable<'d, 't>>>, Reason> {
        let tables = root.sections(table.name)?;
        Ok(tables.map(|tables| tables.into_iter().map(ResourceTable).collect()))
    }

    /// The value of `key`; `None` if the table does not have it, or if its text says that there is none.
    ///
    /// # Errors
    /// The value has another type, or is not a value of the key.
    pub(crate) fn get<T: Read>(&self, key: &Key<T>) -> Result<Option<T::Value<'d>>, Reason> {
        T::read(key, &self.0)
    }

    /// The value of `key`, or else its default.
    ///
    /// # Errors
    /// The value has another type.
    pub(crate) fn switch(&self, key: &Key<bool>) -> Result<bool, Reason> {
        Ok(self.get(key)?.unwrap_or_else(|| key.default()))
    }

    /// The value of `key`, or else its default.
    ///
    /// # Errors
    /// The value has another type, or is no duration.
    pub(crate) fn duration(&self, key: &Key<Duration>) -> Result<Duration, Reason> {
        Ok(self.get(key)?.unwrap_or_else(|| key.default()))
    }

    /// The value of `key` if it is a text, whatever the key's values are.
    pub(crate) fn as_text(&self, key: &Spec) -> Option<&'d str> {
        self.0.string(key.name).ok().flatten()
    }

    /// Where in the text the value of `key` begins, in bytes, or `None` if the table does not have it.
    pub(crate) fn offset(&self, key: &Spec) -> Option<usize> {
        self.0.offset(key.name)
    }

    /// Whether the table has `key`, and its value is not an empty text and not a switch that is off.
    pub(crate) fn is_set(&self, key: &Spec) -> bool {
        let name = key.name;
        let is_off = || matches!(self.0.boolean(name), Ok(Some(false)));
        self.offset(key).is_some() && !is_off() && self.as_text(key) != Some("")
    }

    /// The keys that nothing has asked for, in the order of the file.
    pub(crate) fn unknown(&self) -> Vec<Unknown<'d>> {
        self.0.unknown()
    }

    /// The table `section`.
    #[cfg(test)]
    pub(crate) fn of(section: Section<'d, 't>) -> Self {
        ResourceTable(section)
    }
}

/// A type that the values of a key can have.
pub(crate) trait Read {
    /// What the values are.
    const KIND: Kind;
    /// A value, which can be a part of the file.
    type Value<'d>;

    /// Reads the value of `key` in the table `section`.
    ///
    /// # Errors
    /// The value has another type, or is not a value of the key.
    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<Self::Value<'d>>, Reason>;
}

/// The error that the value of `key` is wrong.
pub(crate) fn wrong(key: &Spec, section: &Section<'_, '_>, why: String) -> Reason {
    Reason::new(why, section.offset(key.name))
}

impl Read for bool {
    const KIND: Kind = Kind::Switch;
    type Value<'d> = bool;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<bool>, Reason> {
        Ok(section.boolean(key.name)?)
    }
}

/// Any integer.
impl Read for i64 {
    const KIND: Kind = Kind::Integer(i64::MIN, i64::MAX);
    type Value<'d> = i64;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<i64>, Reason> {
        Ok(section.integer(key.name)?)
    }
}

/// An integer that is not negative.
pub(crate) struct Count;

impl Read for Count {
    const KIND: Kind = Kind::Integer(0, i64::MAX);
    type Value<'d> = u64;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<u64>, Reason> {
        let Some(number) = section.integer(key.name)? else { return Ok(None) };
        let less = || wrong(key, section, format!("{} {number} is less than 0", key.name));
        u64::try_from(number).map(Some).map_err(|_| less())
    }
}

/// The number of a user or a group. Whether it is in range depends on whose it is, so the reader decides.
pub(crate) struct Id;

impl Read for Id {
    const KIND: Kind = Kind::Integer(i32::MIN as i64, u32::MAX as i64 - 1);
    type Value<'d> = i64;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<i64>, Reason> {
        Ok(section.integer(key.name)?)
    }
}

/// The name or the number of a user or a group.
pub(crate) enum NameOrNumber<'d> {
    /// The number.
    Number(i64),
    /// The name, which can be the digits of a number.
    Name(&'d str),
}

impl Read for NameOrNumber<'_> {
    const KIND: Kind = Kind::NameOrNumber;
    type Value<'d> = NameOrNumber<'d>;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<NameOrNumber<'d>>, Reason> {
        Ok(match section.integer(key.name) {
            Ok(number) => number.map(NameOrNumber::Number),
            Err(_) => {
                let name = section.string(key.name)?.filter(|name| !name.is_empty());
                name.map(NameOrNumber::Name)
            }
        })
    }
}

/// Any text.
pub(crate) struct Text;

impl Read for Text {
    const KIND: Kind = Kind::Text;
    type Value<'d> = &'d str;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<&'d str>, Reason> {
        Ok(section.string(key.name)?)
    }
}

/// A list of texts.
pub(crate) struct Texts;

impl Read for Texts {
    const KIND: Kind = Kind::Texts;
    type Value<'d> = Vec<&'d str>;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<Vec<&'d str>>, Reason> {
        Ok(section.strings(key.name)?)
    }
}

/// A text, or a list of texts. An empty text is an empty list.
pub(crate) struct TextOrTexts;

impl Read for TextOrTexts {
    const KIND: Kind = Kind::TextOrTexts;
    type Value<'d> = Vec<&'d str>;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<Vec<&'d str>>, Reason> {
        if section.is_array(key.name) {
            return Ok(section.strings(key.name)?);
        }
        let text = section.string(key.name)?;
        Ok(text.map(|text| Some(text).into_iter().filter(|text| !text.is_empty()).collect()))
    }
}

impl Read for Duration {
    const KIND: Kind = Kind::Duration;
    type Value<'d> = Duration;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<Duration>, Reason> {
        let Some(text) = section.string(key.name)? else { return Ok(None) };
        duration::parse(text)
            .map(Some)
            .map_err(|why| wrong(key, section, format!("{} {}: {why}", key.name, quoted(text))))
    }
}

impl Read for Factor {
    const KIND: Kind = Kind::Factor;
    type Value<'d> = Factor;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<Factor>, Reason> {
        let Some(text) = section.string(key.name)? else { return Ok(None) };
        factor::parse(text)
            .map(Some)
            .map_err(|why| wrong(key, section, format!("{} {}: {why}", key.name, quoted(text))))
    }
}

/// A regular expression. An empty text is none.
impl Read for Expression {
    const KIND: Kind = Kind::Expression;
    type Value<'d> = Expression;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<Expression>, Reason> {
        let text = section.string(key.name)?.filter(|text| !text.is_empty());
        let Some(text) = text else { return Ok(None) };
        let name = key.name;
        Expression::parse(text).map(Some).map_err(|why| {
            wrong(key, section, format!("{name}: {why}")).hinting(Some(format!(
                "{name} is a regular expression in Go's syntax, such as '^#'"
            )))
        })
    }
}

/// A value that a resource file names by one of several words.
pub(crate) trait Word: Copy + 'static {
    /// All words, each with its value.
    const ALL: &'static [(&'static str, Self)];
}

/// All words of a type, in the order of its list.
fn words<W: Word>() -> Vec<&'static str> {
    W::ALL.iter().map(|(word, _)| *word).collect()
}

impl<W: Word> Read for W {
    const KIND: Kind = Kind::Word(words::<W>);
    type Value<'d> = W;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<W>, Reason> {
        let Some(name) = section.string(key.name)? else { return Ok(None) };
        let found = W::ALL.iter().find(|(word, _)| *word == name);
        found.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let known = words::<W>().into_iter().map(quoted).collect::<Vec<_>>().join(", ");
            let text = format!("unknown {} {}; the known ones are {known}", key.name, quoted(name));
            wrong(key, section, text)
        })
    }
}
