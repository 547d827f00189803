//! Times and durations.

use crate::GoTime;
use bytes::Bytes;
use gotmpl::types::{INT64, Type};
use gotmpl::{Failure, Value};
use world::time::{Duration, Time};

use super::values::lossy;
use super::{Library, Machine};

const SECOND: u64 = 1_000_000_000;

pub(super) fn add(library: &mut Library<'_>) {
    library.add_sprig("toDate", |host: &Machine, layout: Bytes, text: Bytes| {
        let now = host.now();
        GoTime(now.parse_here(&layout, &text).unwrap_or_else(|_| now.zero()))
    });
    library.add_own("toDate", "layout |text", to_date);
    library.add("mustToDate", "layout |text", to_date);
    library.add("mustDateModify", "change |time", modified);
    library.add_sprig("must_date_modify", modified);
    library.add("unixEpoch", "|time", |_: &Machine, time: GoTime| time.0.unix().to_string());
    library.add("ago", "|time", |host: &Machine, value: Value| {
        let now = host.now();
        let seconds = |seconds: i64| now.with_unix(seconds);
        let then = match &value {
            Value::Int(number) => seconds(*number),
            value if is_int64(value) => seconds(value.as_i64().unwrap_or(0)),
            value => GoTime::of(value).cloned().unwrap_or_else(|| now.clone()),
        };
        now.sub(&then).round(Duration(SECOND.cast_signed())).to_string()
    });
    library.add("duration", "|seconds", |_: &Machine, value: Value| {
        let seconds = match &value {
            Value::String(text) => nearest(&lossy(text)),
            value if is_int64(value) => value.as_i64().unwrap_or(0),
            _ => 0,
        };
        Duration(seconds.wrapping_mul(SECOND.cast_signed())).to_string()
    });
    library.add("durationRound", "|duration", |host: &Machine, value: Value| {
        let nanos = match &value {
            Value::String(text) => Duration::parse(&lossy(text)).map_or(0, |duration| duration.0),
            value if is_int64(value) => value.as_i64().unwrap_or(0),
            value => GoTime::of(value).map_or(0, |time: &Time| host.now().sub(time).0),
        };
        rounded(nanos.unsigned_abs())
    });
}

fn to_date(host: &Machine, layout: Bytes, text: Bytes) -> Result<GoTime, Failure> {
    host.now().parse_here(&layout, &text).map(GoTime).map_err(Failure::from)
}

fn modified(_: &Machine, text: Bytes, time: GoTime) -> Result<GoTime, Failure> {
    Ok(GoTime(time.0.add(Duration::parse(&lossy(&text))?)))
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
