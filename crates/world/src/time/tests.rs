//! The expected results were printed by programs built with Go 1.27.3.

use super::*;

fn zone(name: &str) -> Arc<Zone> {
    let zone = Zone::local(Some(name.as_ref()));
    assert_eq!(zone.name(), name, "the system's time zone data (Debian: tzdata) is needed");
    Arc::new(zone)
}

fn utc(seconds: i64, nanos: u32) -> Time {
    Time::new(seconds, nanos, Arc::new(Zone::utc())).at(Location::Utc)
}

fn format(time: &Time, layout: &str) -> String {
    String::from_utf8(time.format(layout.as_bytes())).expect("UTF-8")
}

/// 2026-02-03 04:05:06.070080900 UTC, a Tuesday.
fn sample() -> Time {
    utc(1_770_091_506, 70_080_900)
}

#[test]
fn a_layout_is_an_example() {
    for (layout, want) in [
        ("2006-01-02T15:04:05Z07:00", "2026-02-03T04:05:06Z"),
        ("Mon Jan _2 15:04:05 MST 2006", "Tue Feb  3 04:05:06 UTC 2026"),
        ("Monday, 02-Jan-06 3:4:5 PM", "Tuesday, 03-Feb-26 4:5:6 AM"),
        ("January 2, 2006 at 03pm", "February 3, 2026 at 04am"),
        ("1 002 __2 _2006", "2 034  34 _2026"),
        (".000 ,000000 .999 .999999999 ,9", ".070 ,070080 .07 .0700809 "),
        (".0000000000000", ".070080900"),
        (".0001 .99x .", ".0002 .07x ."),
        ("Janet Month Mon_ Jan2", "Janet Month Tue_ Feb3"),
        ("-0700 -07:00 -07 -070000 -07:00:00", "+0000 +00:00 +00 +000000 +00:00:00"),
        ("Z0700 Z07 Z070000 Z07:00:00", "Z Z Z Z"),
        ("20060102150405", "20260203040506"),
        ("é 00 7 __3", "é 00 7 __4"),
    ] {
        assert_eq!(format(&sample(), layout), want, "{layout}");
    }
    assert_eq!(sample().format(b"\xff2006"), b"\xff2026");
}

#[test]
fn twelve_hours_have_no_zero() {
    assert_eq!(format(&utc(0, 0), "3PM 03PM 15"), "12AM 12AM 00");
    assert_eq!(format(&utc(43_200, 0), "3pm 03pm 15"), "12pm 12pm 12");
}

#[test]
fn years_may_have_any_number_of_digits_and_a_sign() {
    assert_eq!(format(&utc(4_164_702_248_216, 0), "2006-01-02"), "133944-02-29");
    assert_eq!(format(&utc(-80_074_841_724, 0), "2006 06"), "-0568 68");
    assert_eq!(format(&utc(-62_135_596_800, 0), "2006-01-02"), "0001-01-01");
    assert!(utc(-62_135_596_800, 0).is_zero());
}

#[test]
fn the_text_of_a_time_ends_with_its_monotonic_reading() {
    let time = sample().with_monotonic(17_068_638);
    assert_eq!(time.to_string(), "2026-02-03 04:05:06.0700809 +0000 UTC m=+0.017068638");
    let earlier = time.add(Duration(-1_020_000_000_000));
    assert_eq!(earlier.to_string(), "2026-02-03 03:48:06.0700809 +0000 UTC m=-1019.982931362");
    assert_eq!(time.at(Location::Utc).to_string(), "2026-02-03 04:05:06.0700809 +0000 UTC");
}

#[test]
fn zones_have_their_offsets_and_names() {
    let berlin = |seconds| Time::new(seconds, 0, zone("Europe/Berlin"));
    assert_eq!(berlin(1_770_091_506).to_string(), "2026-02-03 05:05:06 +0100 CET");
    assert_eq!(berlin(1_942_114_063).to_string(), "2031-07-18 06:07:43 +0200 CEST");
    assert_eq!(berlin(-80_074_841_724).to_string(), "-0568-07-12 21:18:04 +0053 LMT");
    assert!(berlin(1_942_114_063).is_summer_time());
    assert_eq!(berlin(0).at(Location::Utc).at(Location::Local).location_name(), "Europe/Berlin");
    let monrovia = Time::new(-3_313_519_406, 0, zone("Africa/Monrovia"));
    assert_eq!(format(&monrovia, "-07:00:00 -0700 MST"), "-00:43:08 -0043 LMT");
    let paulo = Time::new(4_164_702_248_216, 0, zone("America/Sao_Paulo"));
    assert_eq!(paulo.to_string(), "133944-02-29 04:36:56 -0300 -03");
}

#[test]
fn the_local_zone_is_found_as_go_finds_it() {
    let name = |variable: &str| Zone::local(Some(variable.as_ref())).name().to_owned();
    assert_eq!(name(""), "UTC");
    assert_eq!(name("UTC"), "UTC");
    assert_eq!(name(":Europe/Berlin"), "Europe/Berlin");
    assert_eq!(name("Nowhere/Nothing"), "UTC");
    assert_eq!(name("CET-1"), "UTC");
    assert_eq!(name("/usr/share/zoneinfo/Europe/Berlin"), "/usr/share/zoneinfo/Europe/Berlin");
    assert_eq!(name("/nonexistent"), "UTC");
}

#[test]
fn a_date_that_does_not_exist_goes_on_into_the_next_month() {
    let text = |time: Time| format(&time, "2006-01-02 15:04");
    let october = utc(1_761_868_800, 0);
    assert_eq!(text(october.clone()), "2025-10-31 00:00");
    assert_eq!(text(october.add_date(0, 1, 0)), "2025-12-01 00:00");
    assert_eq!(text(october.add_date(0, -8, 0)), "2025-03-03 00:00");
    assert_eq!(text(october.add_date(-1, 4, -31)), "2025-01-31 00:00");
    assert_eq!(text(october.add_date(10_000, 0, 0)), "12025-10-31 00:00");
}

#[test]
fn a_date_keeps_its_time_of_day_across_summer_time() {
    let winter = Time::new(1_770_091_506, 0, zone("Europe/Berlin")).with_monotonic(1);
    assert_eq!(winter.add_date(0, 6, 0).to_string(), "2026-08-03 05:05:06 +0200 CEST");
}

#[test]
fn moments_are_compared_by_the_monotonic_clock_where_both_have_it() {
    let (a, b) = (utc(5, 0).with_monotonic(10), utc(4, 0).with_monotonic(20));
    assert_eq!(a.compare(&b), Ordering::Less);
    assert_eq!(a.at(Location::Utc).compare(&b), Ordering::Greater);
    assert_eq!(a.sub(&b), Duration(-10));
    assert_eq!(a.at(Location::Utc).sub(&b), Duration(1_000_000_000));
    assert!(a.is_identical(&a.clone()));
    assert!(!a.is_identical(&a.at(Location::Utc)));
}

#[test]
fn differences_stop_at_the_longest_duration() {
    let (early, late) = (utc(-1_000_000_000_000, 0), utc(1_000_000_000_000, 0));
    assert_eq!(late.sub(&early), Duration(i64::MAX));
    assert_eq!(early.sub(&late), Duration(i64::MIN));
    assert_eq!(Duration(i64::MIN).to_string(), "-2562047h47m16.854775808s");
}

#[test]
fn steps_count_from_the_zero_time() {
    let time = utc(1_798_711_094, 582_919_380).with_monotonic(1);
    let step = Duration(1_839_899_407_275_029_846);
    assert_eq!(time.round(step).to_string(), "2041-08-23 14:54:14.62604461 +0000 UTC");
    assert_eq!(time.truncate(step).to_string(), "1983-05-05 11:44:07.351014764 +0000 UTC");
    assert_eq!(time.round(Duration(0)).to_string(), "2026-12-31 09:58:14.58291938 +0000 UTC");
}

#[test]
fn durations_print_in_the_largest_fitting_units() {
    for (nanos, want) in [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (-1_500_000_000, "-1.5s"),
        (60_000_000_000, "1m0s"),
        (3_600_000_000_000, "1h0m0s"),
        (473_643_055_907_926, "131h34m3.055907926s"),
        (i64::MAX, "2562047h47m16.854775807s"),
    ] {
        assert_eq!(Duration(nanos).to_string(), want);
    }
}

#[test]
fn durations_round_halves_away_from_zero() {
    assert_eq!(Duration(25).round(Duration(10)), Duration(30));
    assert_eq!(Duration(-25).round(Duration(10)), Duration(-30));
    assert_eq!(Duration(-24).round(Duration(10)), Duration(-20));
    assert_eq!(Duration(-29).truncate(Duration(10)), Duration(-20));
    assert_eq!(Duration(i64::MAX).round(Duration(1_000)), Duration(i64::MAX));
    assert_eq!(Duration(7).round(Duration(-1)), Duration(7));
}

#[test]
fn names_out_of_range_say_so() {
    assert_eq!((month_name(1), month_name(12)), ("January".into(), "December".into()));
    assert_eq!((month_name(0), month_name(13)), ("%!Month(0)".into(), "%!Month(13)".into()));
    assert_eq!((weekday_name(0), weekday_name(7)), ("Sunday".into(), "%!Weekday(7)".into()));
}

#[test]
fn the_go_expression_names_the_place() {
    let time = Time::new(1_795_263_667, 395_645_021, Arc::new(Zone::utc()));
    let want = "time.Date(2026, time.November, 21, 12, 21, 7, 395645021, time.Local)";
    assert_eq!(time.go_expression(), want);
    assert_eq!(time.at(Location::Utc).go_expression(), want.replace("Local", "UTC"));
}
