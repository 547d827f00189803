//! Booleans as Go's `strconv` reads them: `-noop=T`, `CONSUL_HTTP_SSL=1`.

/// The boolean that `text` stands for, in one of Go's twelve spellings. `None` for any other text.
pub fn parse(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// The boolean that `text` stands for as a word for people: true, yes, false or no, in any case.
pub fn parse_word(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    match () {
        () if is("true") || is("yes") => Some(true),
        () if is("false") || is("no") => Some(false),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_spellings_of_go_are_booleans() {
        assert_eq!(["1", "t", "TRUE"].map(parse), [Some(true); 3]);
        assert_eq!(["0", "F", "False"].map(parse), [Some(false); 3]);
        assert_eq!(["", "yes", "tRUE", "2"].map(parse), [None; 4]);
    }

    #[test]
    fn words_for_people_may_be_written_in_any_case() {
        assert_eq!(["tRUE", "YES"].map(parse_word), [Some(true); 2]);
        assert_eq!(["False", "nO"].map(parse_word), [Some(false); 2]);
        assert_eq!(["", "on", "1"].map(parse_word), [None; 3]);
    }
}
