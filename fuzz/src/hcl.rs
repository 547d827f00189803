//! HCL, and its JSON form.

/// Reads `input`. An error has a place in it.
///
/// # Panics
/// The place of an error is outside of the input.
pub fn hcl(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Err(error) = hcl::read(&text) {
        let place = error.place();
        let line = text.split('\n').nth(place.line - 1);
        let line = line.unwrap_or_else(|| panic!("{error}: no such line"));
        // One character is the byte order mark, one the line end.
        assert!(place.column <= line.chars().count() + 2, "{error}: no such column");
    }
}
