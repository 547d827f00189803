//! The forms of texts, as regular expressions of JSON Schema.

use super::json::{Json, object};

/// A number, as durations and factors begin with it.
const NUMBER: &str = r"\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?";

/// A text of one of these forms.
fn text(forms: &[&str]) -> Json {
    object([("pattern", format!("^(?:{})$", forms.join("|")).into())])
}

/// A duration: all that [`options::duration`] reads, and little else.
pub(super) fn duration() -> Json {
    let amount = r"[0-9]+(?:[.,][0-9]+)?";
    let unit = "(?:h(?:(?:ou)?rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?|(?:m|milli)s(?:ec(?:ond)?s?)?|millis|\
                (?:[uµμ]|micro)s(?:ec(?:ond)?s?)?|micros|(?:n|nano)s(?:ec(?:ond)?s?)?|nanos)";
    let clock = r"[0-9]+:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?";
    let parts = format!(r"\+?(?:{amount}\s*{unit},?\s*)+");
    let clock = format!(r"\+?{clock}");
    let iso = format!("\\+?[Pp][Tt](?:{amount}[HhMmSs])+");
    text(&[NUMBER, &parts, &clock, &iso])
}

/// The permissions of a file. A number without a leading zero is decimal. With three digits it is a mistake.
pub(super) fn mode() -> Json {
    let mistake = object([("pattern", "^[1-7][0-7][0-7]$".into())]);
    text(&[
        "",
        "0(?:_?[0-7])*",
        "0[oO](?:_?[0-7])+",
        "0[xX](?:_?[0-9a-fA-F])+",
        "0[bB](?:_?[01])+",
        "[1-9](?:_?[0-9])*",
    ])
    .with("not", mistake)
}

/// A number from 0 to 100 with `%`.
pub(super) fn percentage() -> Json {
    text(&[r"\+?0*(?:100|[0-9]{1,2})\s*%"])
}

/// A factor.
pub(super) fn factor() -> Json {
    text(&[NUMBER])
}

/// A number of bytes.
pub(super) fn size() -> Json {
    text(&[r"[0-9]+\s*(?:[bB]|[kKmMgGtT](?:[iI]?[bB])?)?\s*"])
}

#[cfg(test)]
pub(super) mod tests {
    use options::{duration, factor, size};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        permissions::parse_mode,
        schema::tests::{Checked, Validator},
    };

    /// Texts, and whether the form accepts each.
    fn accepts(form: &Json) -> impl Fn(&str) -> bool + use<> {
        let validator = Validator::new(&form.document());
        move |text| validator.accepts(&Checked::from(text))
    }

    #[test]
    fn a_form_accepts_what_confd_reads_and_nothing_else() {
        let is_duration = accepts(&duration());
        for text in [
            "0",
            "2",
            "0.5",
            "500ms",
            "2s",
            "1m30s",
            "1.5h",
            "1h 30m",
            "1 hour, 2 minutes",
            "PT1M30S",
            "01:02:03",
            "1e3",
            "+5",
            "3us",
            "3 µs",
            "",
            "s",
            "5 apples",
            "-1s",
            "-1",
            "1x",
            "1d",
            "10",
            "s1",
            "1:2",
            "five",
            "1 hour 00:01:00",
            "1h30",
            " 1s",
            "1s ",
            "2.s",
            "5.",
            ".5",
            "nan",
        ] {
            assert_eq!(is_duration(text), duration::parse(text).is_ok(), "{text:?}");
        }
        let is_mode = accepts(&mode());
        for text in [
            "0644", "0o644", "0x1a4", "0b11", "0_7", "1_0", "9999", "888", "0888", "rwx", "-1",
            "0x", "1_",
        ] {
            assert_eq!(is_mode(text), parse_mode(text).is_ok(), "{text:?}");
        }
        assert!(is_mode("") && !is_mode("644"));
        let is_factor = accepts(&factor());
        for text in ["1", "1.5", "2.0", "1e2", "+3", "", "two", "2x", "-2", "NaN", "inf"] {
            assert_eq!(is_factor(text), factor::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_size_is_a_number_of_bytes_or_of_a_unit() {
        let is_size = accepts(&super::size());
        for text in [
            "0", "512", "512MiB", "1 G", "1kb", "1b", "1T ", "", "MiB", "1x", "-1", "1.5G", "1ib",
            "1MiBs",
        ] {
            assert_eq!(is_size(text), size::parse(text).is_ok(), "{text:?}");
        }
    }

    thread_local! {
        static IS_DURATION: Box<dyn Fn(&str) -> bool> = Box::new(accepts(&super::duration()));
        static IS_MODE: Box<dyn Fn(&str) -> bool> = Box::new(accepts(&super::mode()));
    }

    proptest! {
        #[test]
        fn a_form_refuses_no_text_that_confd_reads(
            time in "[+]?[0-9]{1,3}([.,][0-9]{1,3})?[ ]?(h|hr|hours|m|min|mins|minute|s|sec|secs|seconds|ms|msec|millis\
                     |milliseconds|us|µs|usec|micros|microseconds|ns|nsec|nanos|nanosecond)[, ]{0,2}\
                     ([0-9]{1,2}(m|s|ms))?",
            any in "[-+0-9.,:hmsuneEpPtT ]{1,6}",
            mode in "0?[xXoObB]?[0-9a-f_]{0,5}",
        ) {
            // A minus before zero is read. The form leaves it out, because it is a mistake elsewhere.
            let is_duration = |text: &str| duration::parse(text).is_ok() && !text.contains('-');
            for text in [&time, &any] {
                let is_accepted = IS_DURATION.with(|accepts| accepts(text));
                prop_assert!(!is_duration(text) || is_accepted, "{text:?}");
            }
            let is_suspicious = mode.len() == 3 && !mode.starts_with('0');
            let is_mode = parse_mode(&mode).is_ok() && !is_suspicious;
            prop_assert!(!is_mode || IS_MODE.with(|accepts| accepts(&mode)), "{mode:?}");
        }
    }
}
