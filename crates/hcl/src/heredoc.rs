//! The indentation of heredocs.

/// The lines without `indent`, the white space before the marker that ends the heredoc. If a line
/// does not begin with it, all lines stay as they are.
pub(crate) fn without_indent(lines: &str, indent: &str) -> String {
    match lines.split_inclusive('\n').all(|line| line.starts_with(indent)) {
        true => lines.split_inclusive('\n').map(|line| &line[indent.len()..]).collect(),
        false => lines.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indentation_is_removed_if_all_lines_have_it() {
        assert_eq!(without_indent("  a\n    b\n", "  "), "a\n  b\n");
        assert_eq!(without_indent("  a\nb\n", "  "), "  a\nb\n");
    }
}
