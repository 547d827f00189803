//! The template engine beside Go's: parsing and rendering in memory, with the same functions.
//!
//! `cargo bench --bench templates`. The Go program is that of `tests/go`, built with the release in
//! its go.mod; without `go`, only our own figures are printed. Both sides get the same template and
//! the same pairs. The benchmark fails if they do not write the same bytes.
//!
//! Each measurement is a separate process, which reads template and pairs and then parses and
//! renders for some rounds. The two sides alternate (A B A B …), so that a change of the machine's
//! speed concerns both. The times are medians of all rounds. The memory is the peak of the process
//! while it worked, including runtime and pairs.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads its arguments and the environment, and pauses between what it measures"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use render::Template;
use serde_json::{Value as Json, json};
use store::{Coverage, Key, Prefix, Scope, Snapshot, View};
use world::{Host, System};

#[path = "../tests/go/driver.rs"]
#[allow(dead_code, reason = "the benchmark talks to the program in a way of its own")]
mod go;

/// The argument that makes this program one of the measured processes.
const MEASURE: &str = "--measure";

/// How many processes each side has. Memory differs little between processes, but speed can.
const TURNS: usize = 5;

/// The number of servers that are rendered.
const SERVERS: usize = 10_000;

/// The number of nested template calls.
const CALLS: usize = 10_000;

fn main() {
    if std::env::args().nth(1).is_some_and(|argument| argument == MEASURE) {
        return measure();
    }
    let program = go::try_build(env!("CARGO_TARGET_TMPDIR"));
    compare(&scenarios(), program);
}

/// A task, and how many rounds a process does it. The first round only warms up.
struct Scenario {
    title: &'static str,
    template: String,
    store: BTreeMap<String, Vec<u8>>,
    only_parse: bool,
    rounds: usize,
}

fn scenarios() -> Vec<Scenario> {
    let rendered = |title, template: &str, value: fn(usize) -> String| Scenario {
        title,
        template: template.to_owned(),
        store: (0..SERVERS).map(|nth| (format!("/up/{nth:05}"), value(nth).into_bytes())).collect(),
        only_parse: false,
        rounds: 20,
    };
    vec![
        Scenario {
            title: "parse 200 lines",
            template: lines(200),
            store: BTreeMap::new(),
            only_parse: true,
            rounds: 500,
        },
        rendered("10,000 servers, plain", PLAIN, address),
        rendered("10,000 servers, json", JSON, |nth| {
            let host = nth % 250;
            format!(r#"{{"host":"10.0.0.{host}","port":8080,"weight":{}}}"#, nth % 9 + 1)
        }),
        rendered("10,000 servers, printf split index", PIPELINES, address),
        Scenario {
            title: "10,000 template calls, nested",
            template: NESTED.replace("CALLS", &CALLS.to_string()),
            store: BTreeMap::new(),
            only_parse: false,
            rounds: 20,
        },
    ]
}

fn address(nth: usize) -> String {
    format!("10.0.{}.{}:8080", nth / 250, nth % 250)
}

const PLAIN: &str = r#"upstream app {
{{range gets "/up/*"}}    server {{.Value}};
{{end}}}
"#;

const JSON: &str = r#"upstream app {
{{range gets "/up/*"}}{{$server := json .Value}}    server {{$server.host}}:{{$server.port}} weight={{$server.weight}};
{{end}}}
"#;

const PIPELINES: &str = r#"upstream app {
{{range gets "/up/*"}}{{$parts := split .Value ":"}}    {{printf "server %s:%s; # %q" (index $parts 0) (index $parts 1) (base .Key)}}
{{end}}}
"#;

const NESTED: &str = r#"{{define "level"}}{{if gt . 0}}{{.}} {{template "level" (sub . 1)}}{{end}}{{end -}}
{{template "level" CALLS}}
"#;

/// A template of `count` lines like those in use: text, loops, conditions, pipelines, comments.
fn lines(count: usize) -> String {
    const BLOCK: &str = r#"# {{/* where requests go */}}
upstream {{getv "/services/NAME/name" "NAME"}} {
{{- range $nth, $server := gets "/services/NAME/*"}}
{{- $data := json $server.Value}}
    {{if and $data.host (gt $nth 0)}}server {{$data.host}}:{{$data.port}} weight={{or $data.weight 1}};
    {{else}}{{printf "server %s:%d;" (index (split $server.Value ":") 0) 8080}}{{end}}
{{- end}}
    keepalive {{getv "/services/NAME/keepalive" | atoi | add 16}};
}
{{with $domain := getenv "DOMAIN" "example.com"}}server_name NAME.{{$domain | toLower}};{{end}}
"#;
    let blocks = (0..).map(|nth| BLOCK.replace("NAME", &format!("app{nth}")));
    let text: String = blocks.take(count.div_ceil(BLOCK.lines().count())).collect();
    text.split_inclusive('\n').take(count).collect()
}

/// The figures of one process.
struct Figures {
    /// The seconds of each round.
    times: Vec<f64>,
    output: Vec<u8>,
    peak_kib: u64,
}

#[expect(clippy::print_stdout, reason = "printing figures is what a benchmark is for")]
fn compare(scenarios: &[Scenario], go: Result<PathBuf, String>) {
    if let Err(problem) = &go {
        println!("nothing to compare with: {problem}");
    }
    println!(
        "{:<36} {:>10} {:>10} {:>7}  {:>8} {:>8} {:>7}",
        "medians; memory is the peak", "ours ms", "Go ms", "ratio", "ours MiB", "Go MiB", "ratio"
    );
    for scenario in scenarios {
        let [ours, theirs] = measured(scenario, go.as_deref().ok());
        print!("{:<36} {:>10.3}", scenario.title, time(&ours) * 1e3);
        if theirs.is_empty() {
            println!(" {:>10} {:>7}  {:>8.1}", "", "", memory(&ours));
            continue;
        }
        println!(
            " {:>10.3} {:>7.1}  {:>8.1} {:>8.1} {:>7.1}",
            time(&theirs) * 1e3,
            time(&theirs) / time(&ours),
            memory(&ours),
            memory(&theirs),
            memory(&theirs) / memory(&ours),
        );
    }
}

/// The figures of our processes and of Go's, which alternate.
fn measured(scenario: &Scenario, go: Option<&Path>) -> [Vec<Figures>; 2] {
    let this = std::env::current_exe().expect("this program has a path");
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        figures[0].push(ask(Command::new(&this).arg(MEASURE), scenario));
        if let Some(go) = go {
            figures[1].push(ask(Command::new(go).arg("bench"), scenario));
        }
    }
    let output = &figures[0][0].output;
    let same = figures.iter().flatten().all(|figures| figures.output == *output);
    assert!(same, "{}: not all wrote the same", scenario.title);
    figures
}

fn time(figures: &[Figures]) -> f64 {
    median(figures.iter().flat_map(|figures| figures.times.iter().skip(1).copied()))
}

fn memory(figures: &[Figures]) -> f64 {
    median(figures.iter().map(|figures| figures.peak_kib as f64)) / 1024.0
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Lets a process measure a scenario.
fn ask(command: &mut Command, scenario: &Scenario) -> Figures {
    let request = go::Request {
        name: "bench.tmpl".to_owned(),
        template: scenario.template.clone().into_bytes(),
        store: scenario.store.clone(),
        env: BTreeMap::new(),
        data: None,
    };
    let mut request = request.to_json();
    request["rounds"] = json!(scenario.rounds);
    request["only_parse"] = json!(scenario.only_parse);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(request.to_string().as_bytes()).expect("the program reads");
    drop(stdin);
    let said = child.wait_with_output().expect("the program ends");
    assert!(said.status.success(), "{command:?}: {}", said.status);
    let answer: Json = serde_json::from_slice(&said.stdout).expect("an answer is JSON");
    let nanos = answer["nanos"].as_array().expect("an answer has times");
    Figures {
        times: nanos.iter().filter_map(Json::as_f64).map(|nanos| nanos * 1e-9).collect(),
        output: bytes(&answer["output"]),
        peak_kib: answer["peak_kib"].as_u64().expect("an answer has a peak"),
    }
}

fn bytes(json: &Json) -> Vec<u8> {
    STANDARD.decode(json.as_str().unwrap_or_default()).expect("bytes are base64")
}

/// The counterpart of `templates bench` in the Go program, with our engine: reads one measurement,
/// and writes its figures.
#[expect(clippy::print_stdout, reason = "the answer goes to the process that measures")]
fn measure() {
    let mut request: Json = serde_json::from_reader(std::io::stdin().lock()).expect("a request");
    let pairs = request["store"].as_object().expect("a request has a store").iter();
    let snapshot = Snapshot::from_pairs(
        Coverage::Exact,
        pairs.map(|(key, value)| (key.clone(), bytes(value))),
    );
    let view = View::new(snapshot, &Scope::from_iter([Key::root()]), &Prefix::new(b"/"));
    request["store"] = Json::Null;
    let host: Arc<dyn Host> = Arc::new(System::new());
    let source = bytes(&request["template"]);
    let name = Path::new(request["name"].as_str().expect("a request has a name"));
    let only_parse = request["only_parse"] == json!(true);
    let mut nanos = Vec::new();
    let mut output = Vec::new();
    forget_peak();
    for _ in 0..request["rounds"].as_u64().expect("a request has rounds") {
        let start = Instant::now();
        let template = Template::compile(name, &source).expect("a template");
        if !only_parse {
            output = template.render(&view, &host).expect("what the template makes");
        }
        drop(template);
        nanos.push(start.elapsed().as_nanos() as u64);
    }
    let peak_kib = peak_kib();
    println!(
        "{}",
        json!({"nanos": nanos, "output": STANDARD.encode(output), "peak_kib": peak_kib})
    );
}

/// Makes Linux measure the peak of this process's memory from now on.
fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("the peak can be reset");
}

/// The peak of this process's memory since then.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    figure.and_then(|figure| figure.parse().ok()).expect("the status has the peak")
}
