//! Formats times by an example, as Go's `Time.Format` does.

use std::io::Write as _;

use super::{Civil, MONTHS, Time, WEEKDAYS};

/// A part of the reference time that a layout can contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    LongMonth,
    Month,
    MonthNumber,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    SpaceDay,
    ZeroDay,
    SpaceYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperHalf,
    LowerHalf,
    ZoneName,
    Offset(OffsetStyle),
    /// Fractions of a second: the separator, the number of digits, and whether zeros at the end
    /// are left out.
    Fraction {
        separator: u8,
        digits: usize,
        trim: bool,
    },
}

/// The form of an offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetStyle {
    /// Whether the offset 0 is written `Z`.
    pub(super) iso: bool,
    pub(super) colons: bool,
    pub(super) minutes: bool,
    pub(super) seconds: bool,
}

/// `time` in the form of `layout`.
pub(super) fn format(time: &Time, layout: &[u8]) -> Vec<u8> {
    let civil = time.civil();
    let mut out = Vec::with_capacity(layout.len() + 10);
    let mut rest = layout;
    while let [first, tail @ ..] = rest {
        match element(rest) {
            Some((element, length)) => {
                write_element(time, &civil, element, &mut out);
                rest = &rest[length..];
            }
            // `_2006` is an underscore and a year, not a padded day followed by `006`.
            None if rest.starts_with(b"_2006") => {
                out.push(b'_');
                write_element(time, &civil, Element::LongYear, &mut out);
                rest = &rest[5..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// The element at the start of `layout`, and its length.
pub(super) fn element(layout: &[u8]) -> Option<(Element, usize)> {
    let offset = |iso| {
        // The longest form comes first.
        let styles = [
            (&b"070000"[..], false, true, true),
            (b"07:00:00", true, true, true),
            (b"0700", false, true, false),
            (b"07:00", true, true, false),
            (b"07", false, false, false),
        ];
        let (text, colons, minutes, seconds) =
            styles.into_iter().find(|(text, ..)| layout[1..].starts_with(text))?;
        Some((Element::Offset(OffsetStyle { iso, colons, minutes, seconds }), text.len() + 1))
    };
    let words: &[(&[u8], Element)] = match layout[0] {
        b'J' | b'M' => return word(layout),
        b'0' => &[
            (b"002", Element::ZeroYearDay),
            (b"01", Element::ZeroMonth),
            (b"02", Element::ZeroDay),
            (b"03", Element::ZeroHour12),
            (b"04", Element::ZeroMinute),
            (b"05", Element::ZeroSecond),
            (b"06", Element::Year),
        ],
        b'1' => &[(b"15", Element::Hour), (b"1", Element::MonthNumber)],
        b'2' => &[(b"2006", Element::LongYear), (b"2", Element::Day)],
        b'3' => &[(b"3", Element::Hour12)],
        b'4' => &[(b"4", Element::Minute)],
        b'5' => &[(b"5", Element::Second)],
        b'_' if layout.starts_with(b"_2006") => return None,
        b'_' => &[(b"__2", Element::SpaceYearDay), (b"_2", Element::SpaceDay)],
        b'P' => &[(b"PM", Element::UpperHalf)],
        b'p' => &[(b"pm", Element::LowerHalf)],
        b'-' => return offset(false),
        b'Z' => return offset(true),
        b'.' | b',' => return fraction(layout),
        _ => return None,
    };
    words
        .iter()
        .find(|(text, _)| layout.starts_with(text))
        .map(|&(text, element)| (element, text.len()))
}

/// The name of a month, weekday or zone. A short name must not be followed by a lower case letter:
/// `Month` does not begin with `Mon`.
fn word(layout: &[u8]) -> Option<(Element, usize)> {
    let ends = !layout.get(3).is_some_and(u8::is_ascii_lowercase);
    Some(match layout {
        [b'J', b'a', b'n', b'u', b'a', b'r', b'y', ..] => (Element::LongMonth, 7),
        [b'J', b'a', b'n', ..] if ends => (Element::Month, 3),
        [b'M', b'o', b'n', b'd', b'a', b'y', ..] => (Element::LongWeekday, 6),
        [b'M', b'o', b'n', ..] if ends => (Element::Weekday, 3),
        [b'M', b'S', b'T', ..] => (Element::ZoneName, 3),
        _ => return None,
    })
}

/// A point or comma, then only zeros or only nines, and no other digit after them.
fn fraction(layout: &[u8]) -> Option<(Element, usize)> {
    let (&separator, &digit) = (layout.first()?, layout.get(1)?);
    if digit != b'0' && digit != b'9' {
        return None;
    }
    let digits = layout[1..].iter().take_while(|&&byte| byte == digit).count();
    if layout.get(1 + digits).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((Element::Fraction { separator, digits, trim: digit == b'9' }, 1 + digits))
}

fn write_element(time: &Time, civil: &Civil, element: Element, out: &mut Vec<u8>) {
    let hour12 = (civil.hour + 11) % 12 + 1;
    // Writing to a vector cannot fail.
    let _ = match element {
        Element::LongMonth => write!(out, "{}", name(&MONTHS, civil.month - 1)),
        Element::Month => write!(out, "{:.3}", name(&MONTHS, civil.month - 1)),
        Element::MonthNumber => write!(out, "{}", civil.month),
        Element::ZeroMonth => write!(out, "{:02}", civil.month),
        Element::LongWeekday => write!(out, "{}", name(&WEEKDAYS, civil.weekday)),
        Element::Weekday => write!(out, "{:.3}", name(&WEEKDAYS, civil.weekday)),
        Element::Day => write!(out, "{}", civil.day),
        Element::SpaceDay => write!(out, "{:2}", civil.day),
        Element::ZeroDay => write!(out, "{:02}", civil.day),
        Element::SpaceYearDay => write!(out, "{:3}", civil.year_day),
        Element::ZeroYearDay => write!(out, "{:03}", civil.year_day),
        Element::Hour => write!(out, "{:02}", civil.hour),
        Element::Hour12 => write!(out, "{hour12}"),
        Element::ZeroHour12 => write!(out, "{hour12:02}"),
        Element::Minute => write!(out, "{}", civil.minute),
        Element::ZeroMinute => write!(out, "{:02}", civil.minute),
        Element::Second => write!(out, "{}", civil.second),
        Element::ZeroSecond => write!(out, "{:02}", civil.second),
        Element::LongYear if civil.year < 0 => write!(out, "-{:04}", civil.year.unsigned_abs()),
        Element::LongYear => write!(out, "{:04}", civil.year),
        Element::Year => write!(out, "{:02}", civil.year.unsigned_abs() % 100),
        Element::UpperHalf => write!(out, "{}", if civil.hour < 12 { "AM" } else { "PM" }),
        Element::LowerHalf => write!(out, "{}", if civil.hour < 12 { "am" } else { "pm" }),
        Element::ZoneName => {
            let abbreviation = time.zone_abbreviation();
            if abbreviation.is_empty() {
                let style =
                    OffsetStyle { iso: false, colons: false, minutes: true, seconds: false };
                write_offset(time.offset(), style, out)
            } else {
                write!(out, "{abbreviation}")
            }
        }
        Element::Offset(style) => write_offset(time.offset(), style, out),
        Element::Fraction { separator, digits, trim } => {
            // There are no digits beyond nanoseconds.
            let mut text = format!("{:09}", time.nanosecond());
            text.truncate(digits);
            if trim {
                text.truncate(text.trim_end_matches('0').len());
            }
            if text.is_empty() { Ok(()) } else { write!(out, "{}{text}", char::from(separator)) }
        }
    };
}

fn write_offset(offset: i64, style: OffsetStyle, out: &mut Vec<u8>) -> std::io::Result<()> {
    if style.iso && offset == 0 {
        return out.write_all(b"Z");
    }
    let (sign, ahead) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
    let colon = if style.colons { ":" } else { "" };
    write!(out, "{sign}{:02}", ahead / 3_600)?;
    if style.minutes {
        write!(out, "{colon}{:02}", ahead / 60 % 60)?;
    }
    if style.seconds {
        write!(out, "{colon}{:02}", ahead % 60)?;
    }
    Ok(())
}

/// The name at `index`. The calendar never gives an index out of bounds.
fn name(names: &[&'static str], index: i64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
}
