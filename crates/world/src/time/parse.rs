//! Reads times by an example, as Go's `time.ParseInLocation` does.

use std::sync::Arc;

use super::layout::{Element, OffsetStyle, element};
use super::{Location, MONTHS, SECONDS_PER_DAY, Time, WEEKDAYS, Zone, days_before};

/// Why a text is not a time of a layout.
enum Fault {
    /// The text does not have the form of the element.
    Form,
    /// The number of the named part is out of its range.
    Range(&'static str),
}

/// What was read so far.
#[derive(Default)]
struct Parts {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: u32,
    is_afternoon: Option<bool>,
    is_utc: bool,
    offset: Option<i64>,
    zone: Option<String>,
}

/// The moment that `value` stands for, if `layout` is the form of `value`. A text without a zone is a
/// time of the zone `local`.
///
/// # Errors
/// The text of Go's error.
pub(super) fn parse(layout: &[u8], value: &[u8], local: &Arc<Zone>) -> Result<Time, String> {
    let mut parts = Parts::default();
    let (mut layout_left, mut left) = (layout, value);
    loop {
        let (prefix, found) = next(layout_left);
        let (text, skipped) = skip(left, prefix);
        if !skipped {
            return Err(mismatch(layout, value, prefix, text));
        }
        left = text;
        let Some((element, length)) = found else {
            if left.is_empty() {
                break;
            }
            return Err(format!("parsing time {}: extra text: {}", quote(value), quote(left)));
        };
        let (shown, behind) = layout_left[prefix.len()..].split_at(length);
        layout_left = behind;
        let before = left;
        let read = parts.read(element, &mut left, layout_left);
        match read {
            Ok(()) => {}
            Err(Fault::Form) => return Err(mismatch(layout, value, shown, before)),
            Err(Fault::Range(what)) => {
                return Err(format!("parsing time {}: {what} out of range", quote(value)));
            }
        }
    }
    parts.time(local).map_err(|why| format!("parsing time {}: {why}", quote(value)))
}

/// The text before the first element of a layout, and that element with its length.
fn next(layout: &[u8]) -> (&[u8], Option<(Element, usize)>) {
    let mut place = 0;
    while place < layout.len() {
        if layout[place..].starts_with(b"_2006") {
            return (&layout[..=place], Some((Element::LongYear, 4)));
        }
        if let Some(found) = element(&layout[place..]) {
            return (&layout[..place], Some(found));
        }
        place += 1;
    }
    (layout, None)
}

/// The text behind `prefix`, and whether the text begins with it. One blank stands for any number of
/// blanks.
fn skip<'t>(mut text: &'t [u8], mut prefix: &[u8]) -> (&'t [u8], bool) {
    let trim = |text: &mut &[u8]| {
        while let [b' ', rest @ ..] = *text {
            *text = rest;
        }
    };
    while let [first, rest @ ..] = prefix {
        if *first == b' ' {
            if text.first().is_some_and(|byte| *byte != b' ') {
                return (text, false);
            }
            trim(&mut prefix);
            let blanks = text.iter().take_while(|byte| **byte == b' ').count();
            text = &text[blanks..];
            continue;
        }
        match text {
            [byte, behind @ ..] if byte == first => text = behind,
            _ => return (text, false),
        }
        prefix = rest;
    }
    (text, true)
}

fn mismatch(layout: &[u8], value: &[u8], wanted: &[u8], found: &[u8]) -> String {
    let (value, layout) = (quote(value), quote(layout));
    format!("parsing time {value} as {layout}: cannot parse {} as {}", quote(found), quote(wanted))
}

/// A text in quotes, as the errors of Go's times have it: only ASCII.
fn quote(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..0x80 => out.push(char::from(*byte)),
            byte => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// Takes the first `count` bytes.
fn take<'t>(left: &mut &'t [u8], count: usize) -> Result<&'t [u8], Fault> {
    let (text, rest) = left.split_at_checked(count).ok_or(Fault::Form)?;
    *left = rest;
    Ok(text)
}

/// The number that digits stand for.
fn number(digits: &[u8]) -> Result<i64, Fault> {
    let text = std::str::from_utf8(digits).map_err(|_| Fault::Form)?;
    text.parse().map_err(|_| Fault::Form)
}

/// Takes up to `most` digits; exactly so many if the number is `fixed`.
fn digits(left: &mut &[u8], most: usize, fixed: bool) -> Result<i64, Fault> {
    let count = left.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 || fixed && count < most {
        return Err(Fault::Form);
    }
    number(take(left, count)?)
}

fn in_range(number: i64, end: i64, what: &'static str) -> Result<i64, Fault> {
    if number < end { Ok(number) } else { Err(Fault::Range(what)) }
}

/// Takes one of the names, each cut after `length` bytes, and returns its place.
fn name(left: &mut &[u8], names: &[&str], length: usize) -> Result<i64, Fault> {
    for (place, name) in (0..).zip(names) {
        let name = name.get(..length).unwrap_or(name);
        if left.get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name.as_bytes())) {
            *left = &left[name.len()..];
            return Ok(place);
        }
    }
    Err(Fault::Form)
}

/// Takes a point or comma and the digits of a fraction of a second.
fn fraction(left: &mut &[u8], length: usize) -> Result<u32, Fault> {
    let [b'.' | b',', digits @ ..] = take(left, length)? else { return Err(Fault::Form) };
    let digits = digits.get(..9).unwrap_or(digits);
    let nanos = number(digits)?.checked_mul(10_i64.pow(9 - digits.len() as u32));
    nanos.and_then(|nanos| u32::try_from(nanos).ok()).ok_or(Fault::Form)
}

/// The length of a point or comma with digits behind it; `None` if there are none.
fn fraction_length(text: &[u8]) -> Option<usize> {
    let [b'.' | b',', rest @ ..] = text else { return None };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then_some(1 + count)
}

impl Parts {
    /// Takes the text of an element. `behind` is the layout behind the element.
    fn read(&mut self, element: Element, left: &mut &[u8], behind: &[u8]) -> Result<(), Fault> {
        match element {
            Element::Year => {
                let year = number(take(left, 2)?)?;
                self.year = if year >= 69 { 1900 + year } else { 2000 + year };
            }
            Element::LongYear => {
                if !left.first().is_some_and(u8::is_ascii_digit) {
                    return Err(Fault::Form);
                }
                self.year = number(take(left, 4)?)?;
            }
            Element::Month => self.month = Some(name(left, &MONTHS, 3)? + 1),
            Element::LongMonth => self.month = Some(name(left, &MONTHS, usize::MAX)? + 1),
            Element::MonthNumber | Element::ZeroMonth => {
                let month = digits(left, 2, element == Element::ZeroMonth)?;
                if !(1..=12).contains(&month) {
                    return Err(Fault::Range("month"));
                }
                self.month = Some(month);
            }
            Element::Weekday => drop(name(left, &WEEKDAYS, 3)?),
            Element::LongWeekday => drop(name(left, &WEEKDAYS, usize::MAX)?),
            Element::Day | Element::SpaceDay | Element::ZeroDay => {
                if element == Element::SpaceDay && left.first() == Some(&b' ') {
                    *left = &left[1..];
                }
                self.day = Some(digits(left, 2, element == Element::ZeroDay)?);
            }
            Element::SpaceYearDay | Element::ZeroYearDay => {
                let is_padded = element == Element::SpaceYearDay;
                for _ in 0..2 {
                    if is_padded && left.first() == Some(&b' ') {
                        *left = &left[1..];
                    }
                }
                self.year_day = Some(digits(left, 3, !is_padded)?);
            }
            Element::Hour => self.hour = in_range(digits(left, 2, false)?, 24, "hour")?,
            Element::Hour12 | Element::ZeroHour12 => {
                let hour = digits(left, 2, element == Element::ZeroHour12)?;
                self.hour = in_range(hour, 13, "hour")?;
            }
            Element::Minute | Element::ZeroMinute => {
                let minute = digits(left, 2, element == Element::ZeroMinute)?;
                self.minute = in_range(minute, 60, "minute")?;
            }
            Element::Second | Element::ZeroSecond => {
                let second = digits(left, 2, element == Element::ZeroSecond)?;
                self.second = in_range(second, 60, "second")?;
                // A fraction can stand in the text also if the layout has none.
                let is_next = matches!(next(behind).1, Some((Element::Fraction { .. }, _)));
                if !is_next && let Some(length) = fraction_length(left) {
                    self.nanos = fraction(left, length)?;
                }
            }
            Element::UpperHalf | Element::LowerHalf => {
                let is_upper = element == Element::UpperHalf;
                self.is_afternoon = Some(match (take(left, 2)?, is_upper) {
                    (b"PM", true) | (b"pm", false) => true,
                    (b"AM", true) | (b"am", false) => false,
                    _ => return Err(Fault::Form),
                });
            }
            Element::Offset(style) => match left {
                [b'Z', rest @ ..] if style.iso => {
                    *left = rest;
                    self.is_utc = true;
                }
                _ => self.offset = Some(offset(left, style)?),
            },
            Element::ZoneName => {
                if let Some(rest) = left.strip_prefix(b"UTC") {
                    *left = rest;
                    self.is_utc = true;
                    return Ok(());
                }
                let length = zone_length(left).ok_or(Fault::Form)?;
                self.zone = Some(String::from_utf8_lossy(take(left, length)?).into_owned());
            }
            Element::Fraction { digits, trim: false, .. } => {
                self.nanos = fraction(left, digits + 1)?;
            }
            Element::Fraction { .. } => {
                if let Some(length) = fraction_length(left) {
                    self.nanos = fraction(left, length.min(10))?;
                }
            }
        }
        Ok(())
    }

    /// The moment of the parts.
    fn time(mut self, local: &Arc<Zone>) -> Result<Time, &'static str> {
        match self.is_afternoon {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        if let Some(year_day) = self.year_day {
            self.set_year_day(year_day)?;
        }
        let (year, month, day) = (self.year, self.month.unwrap_or(1), self.day.unwrap_or(1));
        let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        let first = days_before(year, month, 1);
        if !(1..=days_before(next_year, next_month, 1) - first).contains(&day) {
            return Err("day out of range");
        }
        let seconds =
            (first + day - 1) * SECONDS_PER_DAY + self.hour * 3600 + self.minute * 60 + self.second;
        let nanos = self.nanos;
        let at = |seconds: i64, zone: &Arc<Zone>| Time::new(seconds, nanos, Arc::clone(zone));
        if self.is_utc {
            return Ok(at(seconds, local).at(Location::Utc));
        }
        if let Some(offset) = self.offset {
            let seconds = seconds - offset;
            let here = local.at(seconds);
            let is_here = self.zone.as_ref().is_none_or(|zone| *zone == here.abbreviation);
            if here.offset == offset && is_here {
                return Ok(at(seconds, local));
            }
            let zone = Zone::fixed(self.zone.unwrap_or_default(), offset);
            return Ok(at(seconds, &Arc::new(zone)));
        }
        if let Some(zone) = self.zone {
            if let Some(offset) = local.offset_of(&zone, seconds) {
                return Ok(at(seconds - offset, local));
            }
            let hours = zone.strip_prefix("GMT").and_then(|hours| hours.parse::<i64>().ok());
            let zone = Zone::fixed(zone, hours.unwrap_or(0) * 3600);
            return Ok(at(seconds, &Arc::new(zone)));
        }
        Ok(at(local.local_seconds(seconds), local))
    }

    /// Sets the month and the day by the day of the year, from 1 on.
    fn set_year_day(&mut self, year_day: i64) -> Result<(), &'static str> {
        let first = days_before(self.year, 1, 1);
        if !(1..=days_before(self.year + 1, 1, 1) - first).contains(&year_day) {
            return Err("day-of-year out of range");
        }
        let (_, month, day) = super::date_of(first + year_day - 1);
        if self.month.is_some_and(|known| known != month) {
            return Err("day-of-year does not match month");
        }
        if self.day.is_some_and(|known| known != day) {
            return Err("day-of-year does not match day");
        }
        (self.month, self.day) = (Some(month), Some(day));
        Ok(())
    }
}

/// Takes an offset from UTC, in seconds.
fn offset(left: &mut &[u8], style: OffsetStyle) -> Result<i64, Fault> {
    let sign = match take(left, 1)? {
        b"+" => 1,
        b"-" => -1,
        _ => return Err(Fault::Form),
    };
    let colon = |left: &mut &[u8]| match style.colons {
        true if take(left, 1)? != b":" => Err(Fault::Form),
        _ => Ok(()),
    };
    let hours = digits(left, 2, true)?;
    let (mut minutes, mut seconds) = (0, 0);
    if style.minutes {
        colon(left)?;
        minutes = digits(left, 2, true)?;
    }
    if style.seconds {
        colon(left)?;
        seconds = digits(left, 2, true)?;
    }
    in_range(hours, 25, "time zone offset hour")?;
    in_range(minutes, 61, "time zone offset minute")?;
    in_range(seconds, 61, "time zone offset second")?;
    Ok(sign * (hours * 3600 + minutes * 60 + seconds))
}

/// The length of the name of a zone: three or four capital letters, `GMT` with an offset, or an
/// offset.
fn zone_length(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(3 + signed_length(rest));
    }
    if matches!(text[0], b'+' | b'-') {
        return Some(signed_length(text)).filter(|length| *length > 0);
    }
    match text.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count() {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// The length of a sign and a number of hours below 24; 0 if there are none.
fn signed_length(text: &[u8]) -> usize {
    let [b'+' | b'-', digits @ ..] = text else { return 0 };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match number(&digits[..count]) {
        Ok(0..24) => 1 + count,
        _ => 0,
    }
}
