//! `time.Time` and related types as Go values, with the methods that templates can call.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use gotmpl::types::{
    Field, INT64, IntegerType, Method, ObjectType, PointerType, SliceType, StructType, Type, UINT64,
};
use gotmpl::{Argument, Failure, Object, Pointer, Returned, Struct, Value};
use world::time::{Duration, Location, Time, Zone, month_name, weekday_name};

/// `time.Time`.
pub(crate) static TIME: ObjectType =
    ObjectType { name: "time.Time", fields: &["wall", "ext", "loc"], methods: &TIME_METHODS };

/// `*time.Time`.
pub(crate) static TIME_POINTER: ObjectType =
    ObjectType { name: "*time.Time", fields: &["wall", "ext", "loc"], methods: &TIME_METHODS };

/// `*time.Location`.
static LOCATION: ObjectType = ObjectType {
    name: "*time.Location",
    fields: &["name", "zone", "tx", "extend", "cacheStart", "cacheEnd", "cacheZone"],
    methods: &LOCATION_METHODS,
};

/// `time.Month`.
static MONTH: IntegerType = IntegerType {
    name: "time.Month",
    signed: true,
    bits: 64,
    stringer: Some(month_name),
    methods: &[method("String", &[], |month, _| Ok(month_name(integer(month)?).into()))],
};

/// `time.Weekday`.
static WEEKDAY: IntegerType = IntegerType {
    name: "time.Weekday",
    signed: true,
    bits: 64,
    stringer: Some(weekday_name),
    methods: &[method("String", &[], |day, _| Ok(weekday_name(integer(day)?).into()))],
};

/// `time.Duration`.
pub(crate) static DURATION: IntegerType = IntegerType {
    name: "time.Duration",
    signed: true,
    bits: 64,
    stringer: Some(|nanos| Duration(nanos).to_string()),
    methods: &DURATION_METHODS,
};

// The fields inside of Go's types. They are seen when a value is printed with a verb that does not
// fit it.

static TIME_FIELDS: StructType = StructType {
    name: "time.Time",
    fields: &[
        Field { name: "wall", ty: Type::Integer(&UINT64) },
        Field { name: "ext", ty: Type::Integer(&INT64) },
        Field { name: "loc", ty: Type::Pointer(&LOCATION_POINTER) },
    ],
    methods: &[],
};

static LOCATION_FIELDS: StructType = StructType {
    name: "time.Location",
    fields: &[
        Field { name: "name", ty: Type::String },
        Field { name: "zone", ty: Type::Slice(&ZONES) },
        Field { name: "tx", ty: Type::Slice(&ZONE_CHANGES) },
        Field { name: "extend", ty: Type::String },
        Field { name: "cacheStart", ty: Type::Integer(&INT64) },
        Field { name: "cacheEnd", ty: Type::Integer(&INT64) },
        Field { name: "cacheZone", ty: Type::Pointer(&ZONE_POINTER) },
    ],
    methods: &[],
};

static TIME_FIELDS_POINTER: PointerType = PointerType { elem: &TIME_FIELDS, methods: &[] };

static LOCATION_POINTER: PointerType = PointerType { elem: &LOCATION_FIELDS, methods: &[] };

static ZONE: StructType = StructType { name: "time.zone", fields: &[], methods: &[] };

static ZONE_POINTER: PointerType = PointerType { elem: &ZONE, methods: &[] };

static ZONES: SliceType = SliceType { name: None, elem: Type::Struct(&ZONE), methods: &[] };

static ZONE_CHANGES: SliceType =
    SliceType { name: None, elem: Type::Struct(&ZONE_CHANGE), methods: &[] };

static ZONE_CHANGE: StructType = StructType { name: "time.zoneTrans", fields: &[], methods: &[] };

/// A `*time.Location` as Go prints it, without the rules of a local zone that Go has loaded.
fn location_pointer(name: &str) -> Pointer {
    let fields = LOCATION_FIELDS.fields.iter().map(|field| match field.name {
        "name" => Value::from(name),
        _ => Value::zero(field.ty),
    });
    Pointer::to(&LOCATION_POINTER, Struct::new(&LOCATION_FIELDS, fields.collect::<Vec<_>>()))
}

static A_TIME: [Type; 1] = [Type::Object(&TIME)];
static A_DURATION: [Type; 1] = [Type::Integer(&DURATION)];
static A_LOCATION: [Type; 1] = [Type::Object(&LOCATION)];

static TIME_METHODS: [Method; 33] = [
    method("Add", &A_DURATION, |t, args| Ok(object(time(t)?.add(duration(first(args)?)?)))),
    method("AddDate", &[Type::Int; 3], |t, args| {
        let [years, months, days] = args else { return Err(no_value()) };
        Ok(object(time(t)?.add_date(integer(years)?, integer(months)?, integer(days)?)))
    }),
    method("After", &A_TIME, |t, args| Ok(time(t)?.compare(time(first(args)?)?).is_gt().into())),
    method("Before", &A_TIME, |t, args| Ok(time(t)?.compare(time(first(args)?)?).is_lt().into())),
    method("Compare", &A_TIME, |t, args| Ok((time(t)?.compare(time(first(args)?)?) as i64).into())),
    method("Day", &[], |t, _| Ok(time(t)?.civil().day.into())),
    method("Equal", &A_TIME, |t, args| Ok(time(t)?.compare(time(first(args)?)?).is_eq().into())),
    method("Format", &[Type::String], |t, args| {
        let layout = first(args)?.as_bytes().ok_or_else(no_value)?;
        Ok(time(t)?.format(layout).into())
    }),
    method("GoString", &[], |t, _| Ok(time(t)?.go_expression().into())),
    method("Hour", &[], |t, _| Ok(time(t)?.civil().hour.into())),
    method("In", &A_LOCATION, |t, args| match first(args)? {
        Value::Nil => Err(Failure::new("time: missing Location in call to Time.In")),
        place => Ok(object(time(t)?.at(location(place)?.location))),
    }),
    method("IsDST", &[], |t, _| Ok(time(t)?.is_summer_time().into())),
    method("IsZero", &[], |t, _| Ok(time(t)?.is_zero().into())),
    method("Local", &[], |t, _| Ok(object(time(t)?.at(Location::Local)))),
    method("Location", &[], |t, _| {
        let (location, name) = (time(t)?.location(), time(t)?.location_name().to_owned());
        Ok(Value::Object(Rc::new(GoLocation { location, name })))
    }),
    method("Minute", &[], |t, _| Ok(time(t)?.civil().minute.into())),
    method("Month", &[], |t, _| Ok(Value::Integer(&MONTH, time(t)?.civil().month.cast_unsigned()))),
    method("Nanosecond", &[], |t, _| Ok(i64::from(time(t)?.nanosecond()).into())),
    method("Round", &A_DURATION, |t, args| Ok(object(time(t)?.round(duration(first(args)?)?)))),
    method("Second", &[], |t, _| Ok(time(t)?.civil().second.into())),
    method("String", &[], |t, _| Ok(time(t)?.to_string().into())),
    method("Sub", &A_TIME, |t, args| Ok(span(time(t)?.sub(time(first(args)?)?)))),
    method("Truncate", &A_DURATION, |t, args| {
        Ok(object(time(t)?.truncate(duration(first(args)?)?)))
    }),
    method("UTC", &[], |t, _| Ok(object(time(t)?.at(Location::Utc)))),
    method("Unix", &[], |t, _| Ok(int64(time(t)?.unix()))),
    method("UnixMicro", &[], |t, _| Ok(int64(time(t)?.unix_micro()))),
    method("UnixMilli", &[], |t, _| Ok(int64(time(t)?.unix_milli()))),
    method("UnixNano", &[], |t, _| Ok(int64(time(t)?.unix_nano()))),
    method("Weekday", &[], |t, _| {
        Ok(Value::Integer(&WEEKDAY, time(t)?.civil().weekday.cast_unsigned()))
    }),
    method("Year", &[], |t, _| Ok(time(t)?.civil().year.into())),
    method("YearDay", &[], |t, _| Ok(time(t)?.civil().year_day.into())),
    // These methods have more results than a template can use; calling one is Go's error.
    Method { results: 3, ..method("Clock", &[], |_, _| Err(no_value())) },
    Method { results: 3, ..method("Date", &[], |_, _| Err(no_value())) },
];

static DURATION_METHODS: [Method; 10] = [
    method("Abs", &[], |d, _| Ok(span(duration(d)?.abs()))),
    method("Hours", &[], |d, _| Ok(duration(d)?.in_units(3_600_000_000_000).into())),
    method("Microseconds", &[], |d, _| Ok(int64(duration(d)?.0 / 1_000))),
    method("Milliseconds", &[], |d, _| Ok(int64(duration(d)?.0 / 1_000_000))),
    method("Minutes", &[], |d, _| Ok(duration(d)?.in_units(60_000_000_000).into())),
    method("Nanoseconds", &[], |d, _| Ok(int64(duration(d)?.0))),
    method("Round", &A_DURATION, |d, args| Ok(span(duration(d)?.round(duration(first(args)?)?)))),
    method("Seconds", &[], |d, _| Ok(duration(d)?.in_units(1_000_000_000).into())),
    method("String", &[], |d, _| Ok(duration(d)?.to_string().into())),
    method("Truncate", &A_DURATION, |d, args| {
        Ok(span(duration(d)?.truncate(duration(first(args)?)?)))
    }),
];

static LOCATION_METHODS: [Method; 1] =
    [method("String", &[], |place, _| Ok(location(place)?.name.as_str().into()))];

type Call = fn(&Value, &mut [Value]) -> Result<Value, Failure>;

/// A method with one result.
const fn method(name: &'static str, params: &'static [Type], call: Call) -> Method {
    Method { name, params, variadic: false, results: 1, call }
}

/// A [`Time`] as a value of a template: Go's `time.Time`, with its methods.
pub struct GoTime(pub Time);

impl GoTime {
    /// The time that a value is.
    pub fn of(value: &Value) -> Option<&Time> {
        time(value).ok()
    }
}

impl Argument for GoTime {
    const TYPE: Type = Type::Object(&TIME);

    fn from_value(value: Value) -> Option<GoTime> {
        GoTime::of(&value).cloned().map(GoTime)
    }
}

impl Object for GoTime {
    fn ty(&self) -> &'static ObjectType {
        &TIME
    }

    fn text(&self) -> Option<Bytes> {
        Some(self.0.to_string().into())
    }

    fn go_text(&self) -> Option<Bytes> {
        Some(self.0.go_expression().into())
    }

    fn inside(&self) -> Value {
        let (wall, ext) = self.0.parts();
        let loc = match self.0.location() {
            Location::Utc => Pointer::nil(&LOCATION_POINTER),
            Location::Local => location_pointer(self.0.location_name()),
        };
        let fields = [Value::Integer(&UINT64, wall), int64(ext), Value::Pointer(loc)];
        Value::Struct(Struct::new(&TIME_FIELDS, fields))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<GoTime>().is_some_and(|other| self.0.is_identical(&other.0))
    }
}

impl Returned for GoTime {
    const TYPE: Type = Type::Object(&TIME);

    fn into_value(self) -> Result<Value, Failure> {
        Ok(object(self.0))
    }
}

/// `*time.Location`: the zone of a time.
struct GoLocation {
    location: Location,
    name: String,
}

impl Object for GoLocation {
    fn ty(&self) -> &'static ObjectType {
        &LOCATION
    }

    fn text(&self) -> Option<Bytes> {
        Some(self.name.clone().into())
    }

    fn inside(&self) -> Value {
        Value::Pointer(location_pointer(&self.name))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<GoLocation>().is_some_and(|other| self.location == other.location)
    }
}

/// A pointer to a time.
struct TimePointer(GoTime);

impl Object for TimePointer {
    fn ty(&self) -> &'static ObjectType {
        &TIME_POINTER
    }

    fn text(&self) -> Option<Bytes> {
        self.0.text()
    }

    fn go_text(&self) -> Option<Bytes> {
        self.0.go_text()
    }

    fn inside(&self) -> Value {
        match self.0.inside() {
            Value::Struct(fields) => Value::Pointer(Pointer::to(&TIME_FIELDS_POINTER, fields)),
            value => value,
        }
    }

    fn target(&self) -> Option<Value> {
        Some(object(self.0.0.clone()))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<TimePointer>().is_some_and(|other| self.0.equals(&other.0))
    }
}

/// The time that a text in RFC 3339 stands for.
fn of_text(text: &[u8]) -> Option<Time> {
    const LAYOUT: &[u8] = b"2006-01-02T15:04:05Z07:00";
    Time::new(0, 0, Arc::new(Zone::utc())).parse_here(LAYOUT, text).ok()
}

/// A `time.Time` from a text in RFC 3339; Go's zero time if it is none.
pub(crate) fn time_of(text: &[u8]) -> Value {
    object(of_text(text).unwrap_or_else(|| Time::new(0, 0, Arc::new(Zone::utc())).zero()))
}

/// A `*time.Time` from a text in RFC 3339; nil if it is none.
pub(crate) fn pointer_to_time(text: &[u8]) -> Value {
    match of_text(text) {
        Some(time) => Value::Object(Rc::new(TimePointer(GoTime(time)))),
        None => Value::Pointer(Pointer::nil(&TIME_FIELDS_POINTER)),
    }
}

fn object(time: Time) -> Value {
    Value::Object(Rc::new(GoTime(time)))
}

fn int64(value: i64) -> Value {
    Value::Integer(&INT64, value.cast_unsigned())
}

fn span(duration: Duration) -> Value {
    Value::Integer(&DURATION, duration.0.cast_unsigned())
}

/// For arguments of the wrong type. The engine checks the types, so this cannot happen; if it does,
/// the template fails and not the process.
fn no_value() -> Failure {
    Failure::new("argument has no such value")
}

fn first(arguments: &[Value]) -> Result<&Value, Failure> {
    arguments.first().ok_or_else(no_value)
}

fn time(value: &Value) -> Result<&Time, Failure> {
    let pointed = downcast::<TimePointer>(value).map(|pointer| &pointer.0);
    pointed.or_else(|_| downcast(value)).map(|time| &time.0)
}

fn location(value: &Value) -> Result<&GoLocation, Failure> {
    downcast(value)
}

fn downcast<T: 'static>(value: &Value) -> Result<&T, Failure> {
    let Value::Object(object) = value else { return Err(no_value()) };
    let object: &dyn Any = &**object;
    object.downcast_ref().ok_or_else(no_value)
}

fn integer(value: &Value) -> Result<i64, Failure> {
    value.as_i64().ok_or_else(no_value)
}

fn duration(value: &Value) -> Result<Duration, Failure> {
    integer(value).map(Duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-03 04:05:06.070080900 UTC, with a monotonic reading.
    fn sample() -> Value {
        let time = Time::new(1_770_091_506, 70_080_900, Arc::new(Zone::utc()));
        object(time.with_monotonic(5))
    }

    /// The text of the method's result, or of its failure.
    fn call(receiver: &Value, name: &str, mut arguments: Vec<Value>) -> Value {
        let methods = receiver.ty().expect("a type").methods();
        let method = methods.iter().find(|method| method.name == name).expect(name);
        assert_eq!(method.params.len(), arguments.len());
        (method.call)(receiver, &mut arguments).unwrap_or_else(|error| error.to_string().into())
    }

    fn text(value: &Value) -> String {
        let bytes = match value {
            Value::Object(object) => object.text().expect("a Stringer"),
            Value::String(text) => text.clone(),
            other => return format!("{other:?}"),
        };
        String::from_utf8(bytes.to_vec()).expect("UTF-8")
    }

    #[test]
    fn every_part_of_a_time_can_be_asked_for() {
        for (name, want) in [
            ("Year", "2026"),
            ("Month", "time.Month(2)"),
            ("Day", "3"),
            ("Hour", "4"),
            ("Minute", "5"),
            ("Second", "6"),
            ("Nanosecond", "70080900"),
            ("Weekday", "time.Weekday(2)"),
            ("YearDay", "34"),
            ("Unix", "int64(1770091506)"),
            ("UnixMilli", "int64(1770091506070)"),
            ("UnixMicro", "int64(1770091506070080)"),
            ("UnixNano", "int64(1770091506070080900)"),
            ("IsZero", "false"),
            ("IsDST", "false"),
            ("Location", "UTC"),
            ("UTC", "2026-02-03 04:05:06.0700809 +0000 UTC"),
            ("Local", "2026-02-03 04:05:06.0700809 +0000 UTC"),
            ("String", "2026-02-03 04:05:06.0700809 +0000 UTC m=+0.000000005"),
            ("GoString", "time.Date(2026, time.February, 3, 4, 5, 6, 70080900, time.Local)"),
        ] {
            assert_eq!(text(&call(&sample(), name, vec![])), want, "{name}");
        }
        assert_eq!(text(&call(&sample(), "Format", vec!["02.01.06".into()])), "03.02.26");
    }

    #[test]
    fn times_are_moved_and_compared() {
        let later = call(&sample(), "Add", vec![span(Duration(1_000_000_000))]);
        assert_eq!(text(&later), "2026-02-03 04:05:07.0700809 +0000 UTC m=+1.000000005");
        let next_year = call(&sample(), "AddDate", vec![1.into(), 0.into(), 0.into()]);
        assert_eq!(text(&next_year), "2027-02-03 04:05:06.0700809 +0000 UTC");
        let difference = call(&later, "Sub", vec![sample()]);
        assert_eq!(text(&call(&difference, "String", vec![])), "1s");
        for (name, want) in
            [("Before", "false"), ("After", "true"), ("Equal", "false"), ("Compare", "1")]
        {
            assert_eq!(text(&call(&later, name, vec![sample()])), want, "{name}");
        }
        let minute = || vec![span(Duration(60_000_000_000))];
        assert_eq!(text(&call(&later, "Round", minute())), "2026-02-03 04:05:00 +0000 UTC");
        assert_eq!(text(&call(&later, "Truncate", minute())), "2026-02-03 04:05:00 +0000 UTC");
    }

    #[test]
    fn a_place_can_be_handed_from_time_to_time() {
        let place = call(&call(&sample(), "UTC", vec![]), "Location", vec![]);
        assert_eq!(text(&call(&place, "String", vec![])), "UTC");
        let moved = call(&sample(), "In", vec![place]);
        assert_eq!(text(&moved), "2026-02-03 04:05:06.0700809 +0000 UTC");
        let nowhere = call(&sample(), "In", vec![Value::Nil]);
        assert_eq!(text(&nowhere), "time: missing Location in call to Time.In");
    }

    #[test]
    fn equal_means_identical() {
        let equals = |a: &Value, b: &Value| match (a, b) {
            (Value::Object(a), Value::Object(b)) => a.equals(&**b),
            _ => panic!("times are objects"),
        };
        let utc = call(&sample(), "UTC", vec![]);
        assert!(equals(&sample(), &sample()));
        assert!(!equals(&sample(), &utc));
        let place = |value: &Value| call(value, "Location", vec![]);
        assert!(equals(&place(&utc), &place(&utc)));
        assert!(!equals(&place(&utc), &place(&sample())));
        assert!(!equals(&utc, &place(&utc)));
    }

    #[test]
    fn durations_count_in_every_unit() {
        let duration = span(Duration(-5_400_000_001_000));
        for (name, want) in [
            ("Hours", "-1.5000000002777778"),
            ("Minutes", "-90.00000001666666"),
            ("Seconds", "-5400.000001"),
            ("Milliseconds", "int64(-5400000)"),
            ("Microseconds", "int64(-5400000001)"),
            ("Nanoseconds", "int64(-5400000001000)"),
            ("Abs", "time.Duration(5400000001000)"),
            ("String", "-1h30m0.000001s"),
        ] {
            assert_eq!(text(&call(&duration, name, vec![])), want, "{name}");
        }
        let second = || vec![span(Duration(1_000_000_000))];
        assert_eq!(text(&call(&call(&duration, "Round", second()), "String", vec![])), "-1h30m0s");
        assert_eq!(text(&call(&duration, "Truncate", second())), "time.Duration(-5400000000000)");
    }
}
