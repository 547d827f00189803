//! Converts errors of Tera to the form that errors of Go templates have.
//!
//! If Tera checks several templates together it returns only a text: reports for people, with a
//! line of the source and a caret. [`faults`] parses them, so that each fault gets its place. A
//! text that it cannot parse is passed on unchanged.

use ::tera::{ErrorKind, ReportError};

use super::load::Texts;

/// One fault in a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The message, in one line.
    pub(super) message: String,
    /// The template, if the fault is in one.
    pub(super) template: Option<String>,
    /// The place in the template, if it is known: the line, counted from 1, and the number of
    /// characters before the fault in that line.
    pub(super) position: Option<(usize, usize)>,
    /// A hint at what was probably meant, if more than the message is needed to find it.
    pub(super) hint: Option<String>,
}

/// What a template needs and does not have.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need<'a> {
    /// A template, to include or to extend.
    Template(&'a str),
    /// A component.
    Component(&'a str),
}

impl Fault {
    /// A fault of `template` as a whole.
    pub(super) fn of(template: &str, message: impl Into<String>) -> Self {
        Self { template: Some(template.to_owned()), ..Self::somewhere(message) }
    }

    /// A fault without a place.
    pub(super) fn somewhere(message: impl Into<String>) -> Self {
        Self { message: one_line(message), template: None, position: None, hint: None }
    }

    fn reported(report: &ReportError) -> Self {
        let span = report.span();
        let position = Some((span.start_line, span.start_col));
        Self { position, ..Self::of(report.filename(), report.message()) }
    }

    /// What is missing, if the fault is that something is missing.
    pub(super) fn need(&self) -> Option<Need<'_>> {
        let quoted = |kind: &str| self.message.strip_prefix(kind)?.strip_suffix('`');
        quoted("Unknown template `")
            .map(Need::Template)
            .or_else(|| quoted("Unknown component `").map(Need::Component))
    }

    /// The name of the unknown function or filter, if that is the fault.
    pub(super) fn unknown_name(&self) -> Option<&str> {
        let rest = self.message.strip_prefix("Unknown ")?;
        let rest = rest.strip_prefix("function `").or_else(|| rest.strip_prefix("filter `"))?;
        rest.strip_suffix('`')
    }
}

/// All faults in `error`, at least one. `sources` are the templates that Tera has loaded.
pub(super) fn faults(error: &::tera::Error, sources: &Texts) -> Vec<Fault> {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            vec![Fault::reported(report)]
        }
        ErrorKind::MissingParent { current, parent } => {
            let position = sources.get(current).and_then(|source| position_of(source, parent));
            vec![Fault { position, ..Fault::of(current, format!("Unknown template `{parent}`")) }]
        }
        ErrorKind::CircularExtend { tpl, inheritance_chain } => {
            vec![Fault::of(tpl, format!("extends itself: {}", chain(tpl, inheritance_chain)))]
        }
        ErrorKind::CircularInclude { tpl, include_chain } => {
            let chain = include_chain.join(" -> ");
            vec![Fault::of(tpl, format!("includes itself: {chain}"))]
        }
        kind => {
            // Tera has only a text for faults that it finds while it checks several templates
            // together.
            let text = kind.to_string();
            let mut faults = reports(&text);
            if faults.is_empty() {
                faults.push(Fault::somewhere(text));
            }
            faults
        }
    }
}

/// The first fault in `error`.
pub(super) fn first_fault(error: &::tera::Error, sources: &Texts) -> Fault {
    let first = faults(error, sources).into_iter().next();
    first.unwrap_or_else(|| Fault::somewhere(error.to_string()))
}

fn chain(template: &str, parents: &[String]) -> String {
    let mut names = vec![template];
    names.extend(parents.iter().map(String::as_str));
    names.join(" -> ")
}

/// The place where `source` names the template that it extends, which Tera does not report.
fn position_of(source: &str, parent: &str) -> Option<(usize, usize)> {
    let tag = source.find("extends")?;
    let at = tag + source[tag..].find(parent)?;
    let line_start = source[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = 1 + source[..at].matches('\n').count();
    // Including the quotation mark, as Tera reports it for includes.
    Some((line, source[line_start..at].chars().count().saturating_sub(1)))
}

/// The reports in `text`. Each has `error: MESSAGE`, then a line `--> NAME:LINE:COLUMN` with the
/// column counted from 1, then an excerpt, whose lines all contain a `|`.
fn reports(text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut message: Option<Vec<&str>> = None;
    for line in text.lines() {
        if let Some(begin) = line.strip_prefix("error: ") {
            message = Some(vec![begin]);
        } else if let Some(lines) = &mut message {
            match line.trim_start().strip_prefix("--> ").and_then(place) {
                Some((template, position)) => {
                    let fault = Fault::of(template, lines.join("\n"));
                    faults.push(Fault { position: Some(position), ..fault });
                }
                None => {
                    // A message of several lines goes on until its place.
                    lines.push(line);
                    continue;
                }
            }
            message = None;
        }
    }
    faults
}

/// Parses `NAME:LINE:COLUMN`.
fn place(text: &str) -> Option<(&str, (usize, usize))> {
    let (rest, column) = text.rsplit_once(':')?;
    let (template, line) = rest.rsplit_once(':')?;
    let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
    Some((template, (line, column.checked_sub(1)?)))
}

/// `text` without line breaks, so that it is one line of the log.
pub(super) fn one_line(text: impl Into<String>) -> String {
    let text = text.into();
    if text.contains(['\n', '\r']) { text.replace('\r', "\\r").replace('\n', "\\n") } else { text }
}

#[cfg(test)]
mod tests {
    use ::tera::Tera;

    use super::*;

    /// The faults that Tera finds in these templates.
    fn found(templates: &[(&str, &str)]) -> Vec<Fault> {
        let sources: Texts =
            templates.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect();
        let error = Tera::new().add_raw_templates(templates.to_vec()).expect_err("faults");
        faults(&error, &sources)
    }

    fn fault(message: &str, template: &str, position: Option<(usize, usize)>) -> Fault {
        Fault { position, ..Fault::of(template, message) }
    }

    #[test]
    fn every_report_is_read_with_its_place() {
        let include = "é {% include \"x:1.tera\" %}";
        assert_eq!(
            found(&[("b", "\n  {{ nope() }}{{ 1 | never }}"), ("a:1", include)]),
            [
                fault("Unknown template `x:1.tera`", "a:1", Some((1, 13))),
                fault("Unknown function `nope`", "b", Some((2, 5))),
                fault("Unknown filter `never`", "b", Some((2, 21))),
            ]
        );
        let faults = found(&[("a", "{{ <button /> }}")]);
        assert_eq!(faults, [fault("Unknown component `button`", "a", Some((1, 3)))]);
        assert_eq!(faults[0].need(), Some(Need::Component("button")));
    }

    #[test]
    fn a_report_about_a_name_with_a_line_break_is_one_line() {
        let faults = found(&[("a", "{% include \"x\\ny\" %}")]);
        assert_eq!(faults, [fault("Unknown template `x\\ny`", "a", Some((1, 11)))]);
    }

    #[test]
    fn a_source_that_looks_like_a_report_is_not_parsed() {
        let faults = found(&[("a", "error: Unknown template `b` --> a:1:1 {{ x() }}")]);
        assert_eq!(faults, [fault("Unknown function `x`", "a", Some((1, 41)))]);
    }

    #[test]
    fn a_missing_parent_has_the_place_that_names_it() {
        let faults = found(&[("a", "{# base #}\n{% extends 'base.tera' %}")]);
        assert_eq!(faults, [fault("Unknown template `base.tera`", "a", Some((2, 11)))]);
        assert_eq!(faults[0].need(), Some(Need::Template("base.tera")));
    }

    #[test]
    fn circles_are_reported_in_full() {
        let extends = [("a", "{% extends 'b' %}"), ("b", "{% extends 'a' %}")];
        assert_eq!(found(&extends), [fault("extends itself: a -> b -> a", "a", None)]);
        let includes = [("a", "{% include 'b' %}"), ("b", "{% include 'a' %}")];
        assert_eq!(found(&includes), [fault("includes itself: a -> b -> a", "a", None)]);
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        let faults = found(&[("a", "\n{% if %}")]);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].position.map(|(line, _)| line), Some(2), "{faults:?}");
    }

    #[test]
    fn other_texts_are_passed_on() {
        let error = ::tera::Error::message("two\nlines");
        let found = faults(&error, &Texts::new());
        assert_eq!(found, [Fault::somewhere("two\nlines")]);
        assert_eq!(found[0].message, "two\\nlines");
    }
}
