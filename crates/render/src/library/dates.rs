//! Times and durations.

use crate::GoTime;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use bytes::Bytes;
use gotmpl::types::{INT64, Type};
use gotmpl::{Failure, Message, Value};
use world::time::{Duration, Location, Time, Zone};

use super::values::{lossy, quoting, type_of};
use super::{Library, Machine};

const SECOND: u64 = 1_000_000_000;
/// The layout of a day.
const DAY: &[u8] = b"2006-01-02";

pub(super) fn add(library: &mut Library<'_>) {
    library.add_sprig("toDate", |host: &Machine, layout: Bytes, text: Bytes| {
        let now = host.now();
        GoTime(now.parse_here(&layout, &text).unwrap_or_else(|_| now.zero()))
    });
    library.add_own("toDate", "layout |text", to_date);
    library.add_sprig("mustToDate", to_date);
    library.add_sprig("mustDateModify", modified);
    library.add_sprig("must_date_modify", modified);
    library.add_own("dateModify", "change |time", |host: &Machine, change: Bytes, time: Value| {
        modified(host, change, GoTime(moment(host, &time)?))
    });
    library.add_own("now", "", |host: &Machine| GoTime(host.now()));
    library.add_own("date", "layout |time", |host: &Machine, layout: Bytes, time: Value| {
        Ok::<_, Failure>(moment(host, &time)?.format(&layout))
    });
    library.add_own("htmlDate", "|time", |host: &Machine, time: Value| {
        Ok::<_, Failure>(moment(host, &time)?.format(DAY))
    });
    library.add_own(
        "dateInZone",
        "layout |time zone",
        |host: &Machine, layout: Bytes, time: Value, zone: Bytes| {
            Ok::<_, Failure>(in_zone(&moment(host, &time)?, &zone)?.format(&layout))
        },
    );
    library.add_own("htmlDateInZone", "|time zone", |host: &Machine, time: Value, zone: Bytes| {
        Ok::<_, Failure>(in_zone(&moment(host, &time)?, &zone)?.format(DAY))
    });
    library.add_own("duration", "|seconds", |_: &Machine, value: Value| match value.as_i64() {
        Some(seconds) => Ok(in_seconds(seconds)),
        None => match value.as_bytes().map(|text| (text, lossy(text).parse())) {
            Some((_, Ok(seconds))) => Ok(in_seconds(seconds)),
            Some((text, Err(_))) => {
                let shown = gotmpl::quote(text);
                Err(quoting(&format!("not a number of seconds: {shown}"), text))
            }
            None => Err(Failure::new(format!("not a number of seconds: {}", type_of(&value)))),
        },
    });
    library.add_own("durationRound", "|duration", |host: &Machine, value: Value| {
        let nanos = match &value {
            Value::String(text) => {
                Duration::parse(&lossy(text)).map_err(|why| quoting(&why, text))?.0
            }
            value => match value.as_i64() {
                Some(nanos) => nanos,
                None => host.now().sub(&moment(host, value)?).0,
            },
        };
        Ok::<_, Failure>(rounded(nanos.unsigned_abs()))
    });
    library.add_own("unixEpoch", "|time", |host: &Machine, time: Value| {
        Ok::<_, Failure>(moment(host, &time)?.unix().to_string())
    });
    library.add_own("ago", "|time", |host: &Machine, time: Value| {
        let passed = host.now().sub(&moment(host, &time)?);
        Ok::<_, Failure>(passed.round(Duration(SECOND.cast_signed())).to_string())
    });
    library.add_sprig("unixEpoch", |_: &Machine, time: GoTime| time.0.unix().to_string());
    library.add_sprig("ago", |host: &Machine, value: Value| {
        let now = host.now();
        let seconds = |seconds: i64| now.with_unix(seconds);
        let then = match &value {
            Value::Int(number) => seconds(*number),
            value if is_int64(value) => seconds(value.as_i64().unwrap_or(0)),
            value => GoTime::of(value).cloned().unwrap_or_else(|| now.clone()),
        };
        now.sub(&then).round(Duration(SECOND.cast_signed())).to_string()
    });
    library.add_sprig("duration", |_: &Machine, value: Value| {
        let seconds = match &value {
            Value::String(text) => nearest(&lossy(text)),
            value if is_int64(value) => value.as_i64().unwrap_or(0),
            _ => 0,
        };
        in_seconds(seconds)
    });
    library.add_sprig("durationRound", |host: &Machine, value: Value| {
        let nanos = match &value {
            Value::String(text) => Duration::parse(&lossy(text)).map_or(0, |duration| duration.0),
            value if is_int64(value) => value.as_i64().unwrap_or(0),
            value => GoTime::of(value).map_or(0, |time: &Time| host.now().sub(time).0),
        };
        rounded(nanos.unsigned_abs())
    });
}

fn to_date(host: &Machine, layout: Bytes, text: Bytes) -> Result<GoTime, Failure> {
    let parsed = host.now().parse_here(&layout, &text).map(GoTime);
    parsed.map_err(|why| Failure::quoting(parse_message(&why, &layout, &text)))
}

/// Go's error `why` of a text that does not have the form `layout`. Of its quoted parts, those behind `as`
/// are of the layout and the others of the text.
fn parse_message(why: &str, layout: &Bytes, text: &Bytes) -> Message {
    let (mut message, mut rest) = (Message::default(), why);
    while let Some((before, quoted)) = rest.split_once('"') {
        let mut is_escaped = false;
        let ends = |byte: u8| {
            let was_escaped = is_escaped;
            is_escaped = byte == b'\\' && !was_escaped;
            byte == b'"' && !was_escaped
        };
        let end = quoted.bytes().position(ends).unwrap_or(quoted.len().saturating_sub(1));
        let (inside, behind) = quoted.split_at((end + 1).min(quoted.len()));
        let value = if before.ends_with(" as ") { layout } else { text };
        message = message.text(before).value(format!("\"{inside}"), value.clone());
        rest = behind;
    }
    message.text(rest)
}

fn modified(_: &Machine, text: Bytes, time: GoTime) -> Result<GoTime, Failure> {
    let duration = Duration::parse(&lossy(&text)).map_err(|why| quoting(&why, &text))?;
    Ok(GoTime(time.0.add(duration)))
}

fn in_seconds(seconds: i64) -> String {
    Duration(seconds.wrapping_mul(SECOND.cast_signed())).to_string()
}

/// The moment that a value means, in the zone of the machine: a time, the seconds since 1970, or a text
/// as data has times.
fn moment(host: &Machine, value: &Value) -> Result<Time, Failure> {
    let now = host.now();
    if let Some(time) = GoTime::of(value) {
        return Ok(time.at(Location::Local));
    }
    if let Some(seconds) = value.as_i64() {
        return Ok(now.with_unix(seconds));
    }
    let known = "not a time, the seconds since 1970, or a text such as 2006-01-02T15:04:05Z";
    let Some(text) = value.as_bytes() else {
        return Err(Failure::new(format!("{known}: {}", type_of(value))));
    };
    let parsed = now.parse_here(b"2006-01-02T15:04:05Z07:00", text);
    parsed.map_err(|_| quoting(&format!("{known}: {}", gotmpl::quote(text)), text))
}

/// The moment in the zone of this name.
fn in_zone(time: &Time, name: &Bytes) -> Result<Time, Failure> {
    let zone = match &name[..] {
        b"Local" => return Ok(time.clone()),
        b"" | b"UTC" => Zone::utc(),
        // A zone is a file below a folder of zones. The name must not lead out of it.
        name if name.starts_with(b"/") || name.windows(2).any(|two| two == b"..") => Zone::utc(),
        name => Zone::local(Some(OsStr::from_bytes(name))),
    };
    if zone.name() == "UTC" && !matches!(&name[..], b"" | b"UTC") {
        let text = Message::new("unknown time zone ").value(name, name.clone());
        return Err(Failure::quoting(text));
    }
    Ok(Time::new(time.unix(), time.nanosecond(), Arc::new(zone)))
}

fn is_int64(value: &Value) -> bool {
    value.ty() == Some(Type::Integer(&INT64))
}

/// The number that a text stands for; the nearest one if it is out of range, and 0 for other texts.
pub(super) fn nearest(text: &str) -> i64 {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse().unwrap_or_else(|error: std::num::ParseIntError| match error.kind() {
        PosOverflow => i64::MAX,
        NegOverflow => i64::MIN,
        _ => 0,
    })
}

/// A duration in its largest unit.
fn rounded(nanos: u64) -> String {
    const HOUR: u64 = 3600 * SECOND;
    const UNITS: [(u64, &str); 6] = [
        (365 * 24 * HOUR, "y"),
        (30 * 24 * HOUR, "mo"),
        (24 * HOUR, "d"),
        (HOUR, "h"),
        (60 * SECOND, "m"),
        (SECOND, "s"),
    ];
    let found = UNITS.iter().find(|(unit, _)| nanos > *unit);
    found.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", nanos / unit))
}
