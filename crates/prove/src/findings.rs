//! Findings as texts: for people, as JSON, and as SARIF for code review.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::check::{Finding, RULES, Severity};

/// The version of the JSON form. It changes when a program could misread it.
const VERSION: u32 = 1;

/// The findings as the log would show them, and the numbers at the end.
pub fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { severity, rule, problem, .. } in findings {
        let _ = writeln!(text, "{} [{rule}] {}", severity.word(), problem.text);
        if !problem.excerpt.is_empty() {
            let _ = writeln!(text, "{}", problem.excerpt);
        }
    }
    let (errors, warnings) = count(findings);
    let _ = writeln!(text, "errors: {errors}, warnings: {warnings}");
    text
}

/// The findings as one JSON document.
pub fn as_json(findings: &[Finding]) -> String {
    let each = findings.iter().map(|finding| {
        let (line, column) = place(finding);
        json!({
            "rule": finding.rule,
            "severity": finding.severity.word(),
            "file": finding.path().map(|path| path.display().to_string()),
            "line": line,
            "column": column,
            "text": finding.problem.text,
            "hint": finding.problem.excerpt.hint(),
        })
    });
    let (errors, warnings) = count(findings);
    let each: Vec<Value> = each.collect();
    document(&json!({
        "version": VERSION, "errors": errors, "warnings": warnings, "findings": each,
    }))
}

/// The findings in the form SARIF 2.1.0, which tools of code review read. `version` is that of this
/// program.
pub fn as_sarif(findings: &[Finding], version: &str) -> String {
    let rules = RULES.map(|(id, text)| json!({ "id": id, "shortDescription": { "text": text } }));
    let results = findings.iter().map(|finding| {
        let text = &finding.problem.text;
        let text = match finding.problem.excerpt.hint() {
            Some(hint) => format!("{text} ({hint})"),
            None => text.clone(),
        };
        let index = RULES.iter().position(|(id, _)| *id == finding.rule);
        let location = finding.path().map(|path| {
            let uri = path.display().to_string().replace('%', "%25").replace(' ', "%20");
            let mut location = json!({ "artifactLocation": { "uri": uri } });
            if let (Some(line), column) = place(finding) {
                location["region"] = match column {
                    Some(column) => json!({ "startLine": line, "startColumn": column }),
                    None => json!({ "startLine": line }),
                };
            }
            json!({ "physicalLocation": location })
        });
        json!({
            "ruleId": finding.rule,
            "ruleIndex": index,
            "level": finding.severity.word(),
            "message": { "text": text },
            "locations": location.into_iter().collect::<Vec<_>>(),
        })
    });
    let results: Vec<Value> = results.collect();
    let driver = json!({ "name": "confd", "version": version, "rules": rules });
    document(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "results": results }],
    }))
}

fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The line and the column of a finding.
fn place(finding: &Finding) -> (Option<usize>, Option<usize>) {
    finding.problem.excerpt.place().map_or((None, None), |(_, line, column)| (Some(line), column))
}

/// The numbers of errors and warnings.
pub fn count(findings: &[Finding]) -> (usize, usize) {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    (errors, findings.len() - errors)
}
