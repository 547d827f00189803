//! Our engine against Go itself: both must give the same result for generated templates.
//!
//! A generator writes templates in the grammar of the language. Most of them are meaningful; some
//! have wrong kinds or numbers of arguments; in some, tokens or bytes are changed afterwards. The
//! Go program in `tests/go` executes each template with Go's text/template, and our engine does the
//! same. The output, the output before an error, and the text of the error must be equal, byte by
//! byte.
//!
//! By default 2,000 templates are tried, always the same ones, so that a new failure is caused by a
//! change. By hand: `DIFFERENTIAL_CASES=100000 DIFFERENTIAL_SEED=7 cargo test -p render --test
//! differential`.
//!
//! A difference is printed with the smallest template that still shows it. Add it to
//! `vectors/differences.json`, with the expectation that Go writes: `go-templates vectors
//! <differences.json >new.json`.

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/vectors.rs"]
mod vectors;

mod choices;
mod functions;
mod generate;
mod shrink;
mod words;
mod world;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::num::u16;
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use support::go::{self, Go};
use support::{Answer, Request, run};

/// The number of templates, unless `DIFFERENTIAL_CASES` sets it.
const CASES: usize = 2_000;
/// The seed of the random numbers, unless `DIFFERENTIAL_SEED` sets it.
const SEED: u64 = 1;
/// The number of templates that are sent to Go at a time.
const BATCH: usize = 100;
/// The most differences that are printed.
const SHOWN: usize = 12;

/// What determines a case: the number of its store or root data, and the numbers for the generator.
type Seedling = (u16, Vec<u16>);

#[test]
fn templates_give_what_go_gives() {
    let (cases, seed) = (setting("DIFFERENTIAL_CASES", CASES), setting("DIFFERENTIAL_SEED", SEED));
    let mut go = Go::start(go::build(env!("CARGO_TARGET_TMPDIR")));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = (u16::ANY, vec(u16::ANY, 0..400));
    let (mut done, mut compared) = (0, Tally::default());
    let mut differences = Vec::new();
    while done < cases && differences.len() < SHOWN {
        let trees: Vec<_> = (done..cases.min(done + BATCH))
            .map(|_| strategy.new_tree(&mut runner).expect("numbers can always be made"))
            .collect();
        done += trees.len();
        let requests: Vec<Request> = trees.iter().map(|tree| request(&tree.current())).collect();
        let answers = go.ask(&requests);
        for ((tree, request), answer) in trees.into_iter().zip(requests).zip(answers) {
            compared.count(&answer);
            if differs(&request, &answer, &mut go) {
                differences.push(shrink::shrink(tree, request, &mut go));
            }
        }
    }
    let shown: String = differences.iter().map(|request| describe(request, &mut go)).collect();
    assert!(
        differences.is_empty(),
        "{} of {done} templates (DIFFERENTIAL_SEED={seed} DIFFERENTIAL_CASES={done}):\n{shown}",
        differences.len()
    );
    compared.assert_is_balanced();
}

/// The Go program must agree with the expectations of the vectors, which proves that no expectation
/// was written by our engine.
#[test]
fn vectors_expect_what_go_gives() {
    let mut go = Go::start(go::build(env!("CARGO_TARGET_TMPDIR")));
    let vectors = vectors::all();
    let requests: Vec<Request> = vectors.iter().map(|vector| vector.request.clone()).collect();
    for (vector, answer) in vectors.iter().zip(go.ask(&requests)) {
        let (name, note) = (&vector.name, &vector.note);
        assert!(vector.accepts(&answer), "{name}: {note}\n  Go gives {answer:?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the environment says how many cases are run")]
fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")),
        Err(_) => default,
    }
}

fn request((world, numbers): &Seedling) -> Request {
    // One case in ten is the template of a check command, which has data and none of confd's
    // functions.
    let data = world % 10 == 9;
    Request {
        name: "test.tmpl".to_owned(),
        template: generate::template(numbers, !data).concat(),
        store: if data { Default::default() } else { world::store(usize::from(world % 6)) },
        env: world::env(),
        data: data.then(world::data),
    }
}

/// Whether our engine's result differs from Go's `answer`.
fn differs(request: &Request, answer: &Answer, go: &mut Go) -> bool {
    if answer.stage == "limit" {
        return false;
    }
    let ours = run(request);
    // Our errors are text, in which invalid UTF-8 is replaced.
    let error = text(&answer.error).into_bytes();
    if (&ours.stage, &ours.output, &ours.error) == (&answer.stage, &answer.output, &error) {
        return false;
    }
    // Only pointers inside of lists are printed as addresses, and only this function returns some.
    // Their number of digits differs too, and a template can print it.
    if request.template.windows(9).any(|word| word == b"lookupSRV") {
        let same = |one, other| without_digits(one) == without_digits(other);
        if ours.stage == answer.stage
            && same(&ours.output, &answer.output)
            && same(&ours.error, &error)
        {
            return false;
        }
    }
    // If Go itself gives different results each time, the difference means nothing.
    let again = go.ask(&[request.clone(), request.clone(), request.clone()]);
    again.iter().all(|again| again == answer)
}

/// The bytes as our errors show them: with U+FFFD for each byte that is not UTF-8.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// The bytes without hexadecimal digits.
fn without_digits(output: &[u8]) -> Vec<u8> {
    output.iter().filter(|byte| !byte.is_ascii_hexdigit()).copied().collect()
}

fn describe(request: &Request, go: &mut Go) -> String {
    let answers = go.ask(std::slice::from_ref(request));
    let show = |Answer { stage, output, error }: &Answer| {
        let output = Bytes::copy_from_slice(output);
        format!("{stage} {output:?} {}", String::from_utf8_lossy(error))
    };
    let (template, data) = (Bytes::copy_from_slice(&request.template), request.data.is_some());
    let keys = request.store.len();
    format!(
        "\n{template:?} ({keys} keys, data: {data})\n  Go:   {}\n  ours: {}\n",
        show(&answers[0]),
        show(&run(request))
    )
}

/// Counts the results, to show that the templates are worth comparing.
#[derive(Default)]
struct Tally {
    ok: usize,
    exec: usize,
    parse: usize,
    limit: usize,
}

impl Tally {
    fn count(&mut self, answer: &Answer) {
        *match answer.stage.as_str() {
            "ok" => &mut self.ok,
            "exec" => &mut self.exec,
            "parse" => &mut self.parse,
            _ => &mut self.limit,
        } += 1;
    }

    fn assert_is_balanced(&self) {
        let Self { ok, exec, parse, limit } = *self;
        let all = ok + exec + parse + limit;
        let balanced = [ok, exec, parse].into_iter().all(|share| share * 8 > all);
        assert!(
            all < 100 || balanced && limit * 100 < all,
            "{ok} run to the end, {exec} fail, {parse} cannot be read, {limit} go too far"
        );
    }
}
