//! The tour: a script that shows a chain at work, and what the documents say it prints.

use std::{fs, path::Path};

use servers::free_ports;

use super::script;
use crate::support::Sandbox;

/// The first port of the tour, unless the environment sets another.
const PORT: u16 = 18080;

/// Six free ports in a row.
fn ports() -> u16 {
    loop {
        let ports: [u16; 6] = free_ports();
        if ports.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            return ports[0];
        }
    }
}

/// A text in which each number is a `0`: times, processes, the names of stage files.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            c => shape.push(c),
        }
    }
    shape
}

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The first block of text.
fn block(document: &str) -> &str {
    document.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()
}

/// It has less than the time after which a test gives up, half a minute.
#[test]
fn the_tour_takes_less_than_a_minute_and_prints_what_its_document_shows() {
    let document = document("docs/tour.md");
    let shown = document.split("examples/tour.sh\n```\n").nth(1).expect("the tour's command");
    let shown = block(shown);

    let (folder, first) = (Sandbox::new(), ports());
    let run = script("tour.sh", folder.root()).env("TMPDIR", folder.root());
    let ended = run.env("TOUR_PORT", first.to_string()).ok();
    let said = (0..6).fold(ended.stdout, |said, nth| {
        said.replace(&(first + nth).to_string(), &(PORT + nth).to_string())
    });
    assert_eq!(shape(said.trim()), shape(shown.trim()), "{}", ended.stderr);
    assert_eq!(ended.stderr, "");
    // Its own folder is gone.
    assert_eq!(folder.list(""), ["conf.d", "out", "templates"]);
}
