//! Arithmetic, parsing of numbers, and lists of numbers.

use super::{fails, gives};

#[test]
fn arithmetic_is_on_64_bits_and_wraps_around() {
    gives(
        "{}",
        &[
            ("{{add 1 2}} {{sub 1 2}} {{mul 3 4}} {{div 7 2}} {{mod 7 2}}", "3 -1 12 3 1"),
            ("{{add 9223372036854775807 1}}", "-9223372036854775808"),
            ("{{sub -9223372036854775808 1}}", "9223372036854775807"),
            ("{{mul 9223372036854775807 2}}", "-2"),
            ("{{div -7 2}} {{mod -7 2}} {{div 7 -2}} {{mod 7 -2}}", "-3 -1 -3 1"),
            (
                "{{div -9223372036854775808 -1}} {{mod -9223372036854775808 -1}}",
                "-9223372036854775808 0",
            ),
            ("{{add 0x10 'a'}}", "113"),
        ],
    );
}

#[test]
fn division_by_zero_is_an_error() {
    fails(
        "{}",
        &[
            (
                "{{div 1 0}}",
                "1:2 <div 1 0>: error calling div: runtime error: integer divide by zero",
            ),
            (
                "{{mod 1 0}}",
                "1:2 <mod 1 0>: error calling mod: runtime error: integer divide by zero",
            ),
        ],
    );
}

#[test]
fn atoi_reads_decimals() {
    gives(
        "{}",
        &[(r#"{{atoi "42"}} {{atoi "-007"}} {{atoi "+1"}} {{add (atoi "1") 1}}"#, "42 -7 1 2")],
    );
    fails(
        "{}",
        &[
            (
                r#"{{atoi "1x"}}"#,
                r#"1:2 <atoi "1x">: error calling atoi: strconv.Atoi: parsing "1x": invalid syntax"#,
            ),
            (
                r#"{{atoi "0x10"}}"#,
                r#"1:2 <atoi "0x10">: error calling atoi: strconv.Atoi: parsing "0x10": invalid syntax"#,
            ),
            (
                r#"{{atoi "1_0"}}"#,
                r#"1:2 <atoi "1_0">: error calling atoi: strconv.Atoi: parsing "1_0": invalid syntax"#,
            ),
            (
                r#"{{atoi ""}}"#,
                r#"1:2 <atoi "">: error calling atoi: strconv.Atoi: parsing "": invalid syntax"#,
            ),
            (
                r#"{{atoi "9223372036854775808"}}"#,
                r#"1:2 <atoi "9223372036854775808">: error calling atoi: strconv.Atoi: parsing "9223372036854775808": value out of range"#,
            ),
        ],
    );
}

#[test]
fn parse_bool_knows_twelve_spellings() {
    gives(
        "{}",
        &[
            (
                r#"{{range split "1 t T true TRUE True 0 f F false FALSE False" " "}}{{parseBool .}} {{end}}"#,
                "true true true true true true false false false false false false ",
            ),
            (r#"{{if parseBool "0"}}yes{{else}}no{{end}}"#, "no"),
        ],
    );
    fails(
        "{}",
        &[(
            r#"{{parseBool "yes"}}"#,
            r#"1:2 <parseBool "yes">: error calling parseBool: strconv.ParseBool: parsing "yes": invalid syntax"#,
        )],
    );
}

#[test]
fn seq_counts_up_and_never_down() {
    gives(
        "{}",
        &[
            ("{{seq 1 3}} {{seq -1 1}} {{seq 2 2}}", "[1 2 3] [-1 0 1] [2]"),
            ("{{seq 3 1}} {{len (seq 3 1)}}", "[] 0"),
            ("{{range $i, $n := seq 5 7}}{{$i}}:{{$n}} {{end}}", "0:5 1:6 2:7 "),
            ("{{range seq 1 3}}{{add . 10}} {{end}}", "11 12 13 "),
        ],
    );
}
