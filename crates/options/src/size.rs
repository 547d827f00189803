//! Sizes as people write them: `1GiB`, `512M`, or bytes without a unit.

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// The units and the powers of 1024 that they stand for, as in most configuration files.
const UNITS: [(&str, u32); 4] = [("k", 1), ("m", 2), ("g", 3), ("t", 4)];

/// The size that `text` stands for.
///
/// # Errors
/// `text` is not a size, or is too large. The error does not repeat `text`.
pub fn parse(text: &str) -> Result<Size, String> {
    let no_size = || {
        "not a size: write a number of bytes, or one with a unit (KiB, MiB, GiB), such as \"512MiB\""
            .to_owned()
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let prefix = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
    let power = match prefix {
        "" if unit != "ib" => 0,
        prefix => UNITS.iter().find(|(name, _)| *name == prefix).ok_or_else(no_size)?.1,
    };
    let number: u64 = number.parse().map_err(|_| no_size())?;
    number.checked_mul(1 << (10 * power)).map(Size).ok_or_else(no_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("1000b", 1000),
            ("2k", 2 << 10),
            ("2KB", 2 << 10),
            ("512MiB", 512 << 20),
            ("1 GiB", 1 << 30),
            ("1g", 1 << 30),
        ] {
            assert_eq!(parse(text), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "much", "-1", "1.5G", "1 TB of it", "ib", "1ib", "99999999999T"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
