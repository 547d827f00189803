//! Go templates give the same results as in Go: every vector of `vectors/` is a test.
//!
//! The expectations were written by programs built with Go 1.27.3, with its text/template and
//! confd's functions. Output, error text, and output before an error are compared byte by byte.
//! Only if a vector says `"match": "prefix"`, the error can continue after the expected text.
//!
//! `gotemplate.json` goes through the language point by point. `differences.json` has the cases
//! that the differential test found; `tests/go` says how an entry gets its expectation.

mod support;
#[path = "support/vectors.rs"]
mod vectors;

use bytes::Bytes;
use libtest_mimic::{Arguments, Failed, Trial};

use support::{Answer, Request, run};
use vectors::Vector;

fn main() {
    let arguments = Arguments::from_args();
    let trials = vectors::all()
        .into_iter()
        .map(|vector| Trial::test(vector.name.clone(), move || check(&vector)));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn check(vector: &Vector) -> Result<(), Failed> {
    let found = run(&vector.request);
    if vector.accepts(&found) {
        return Ok(());
    }
    Err(format!(
        "{}\n  template: {:?}\n  want {}\n  got  {}",
        vector.note,
        Bytes::copy_from_slice(&vector.request.template),
        describe(&vector.want),
        describe(&found),
    )
    .into())
}

fn describe(Answer { stage, output, error }: &Answer) -> String {
    let output = Bytes::copy_from_slice(output);
    format!("{stage}: {output:?}\n       {}", String::from_utf8_lossy(error))
}
