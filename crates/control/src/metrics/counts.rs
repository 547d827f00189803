//! The samples of metrics, and Prometheus' text format.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    time::Duration,
};

/// The upper limits of the buckets of a histogram, in seconds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A metric: its name, its labels and its meaning.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

#[derive(Clone, Debug)]
enum Sample {
    Number(f64),
    Histogram { buckets: [u64; BUCKETS.len()], sum: f64, count: u64 },
}

/// The samples of some families, by the values of their labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(HashMap<&'static str, BTreeMap<Vec<String>, Sample>>);

impl Counts {
    fn sample(&mut self, family: &Family, labels: &[&str]) -> &mut Sample {
        debug_assert_eq!(family.labels.len(), labels.len(), "{}", family.name);
        let samples = self.0.entry(family.name).or_default();
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        samples.entry(labels).or_insert_with(|| match family.kind {
            Kind::Histogram => {
                Sample::Histogram { buckets: [0; BUCKETS.len()], sum: 0.0, count: 0 }
            }
            Kind::Counter | Kind::Gauge => Sample::Number(0.0),
        })
    }

    /// Adds to a counter.
    pub(crate) fn add(&mut self, family: &Family, labels: &[&str], by: f64) {
        if let Sample::Number(number) = self.sample(family, labels) {
            *number += by;
        }
    }

    /// Sets a gauge, or a counter that the system counts.
    pub(crate) fn set(&mut self, family: &Family, labels: &[&str], to: f64) {
        *self.sample(family, labels) = Sample::Number(to);
    }

    /// Adds a duration to a histogram.
    pub(crate) fn observe(&mut self, family: &Family, labels: &[&str], took: Duration) {
        if let Sample::Histogram { buckets, sum, count } = self.sample(family, labels) {
            let seconds = took.as_secs_f64();
            *sum += seconds;
            *count += 1;
            let above = buckets.iter_mut().zip(BUCKETS).filter(|(_, limit)| seconds <= *limit);
            above.for_each(|(bucket, _)| *bucket += 1);
        }
    }

    /// Forgets the samples whose label `label` has a value that is not `known`.
    pub(crate) fn keep_only(&mut self, family: &Family, label: &str, known: impl Fn(&str) -> bool) {
        let place = family.labels.iter().position(|name| *name == label);
        if let (Some(samples), Some(place)) = (self.0.get_mut(family.name), place) {
            samples.retain(|labels, _| known(&labels[place]));
        }
    }

    /// Adds the samples of `other`, whose families are different ones.
    pub(crate) fn join(&mut self, other: Counts) {
        self.0.extend(other.0);
    }

    /// Writes a family in Prometheus' text format. A counter or gauge without labels and samples is 0; a
    /// family with labels and without samples is left out.
    pub(crate) fn write(&self, family: &Family, page: &mut String) {
        let none = BTreeMap::from([(Vec::new(), Sample::Number(0.0))]);
        let samples = match self.0.get(family.name) {
            Some(samples) if !samples.is_empty() => samples,
            _ if family.labels.is_empty() => &none,
            _ => return,
        };
        let Family { name, kind, help, .. } = family;
        // Writing to a string cannot fail.
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {}", kind.word());
        for (values, sample) in samples {
            let labels = |more: Option<(&str, &str)>| labels(family.labels, values, more);
            match sample {
                Sample::Number(number) => {
                    let _ = writeln!(page, "{name}{} {number}", labels(None));
                }
                Sample::Histogram { buckets, sum, count } => {
                    for (bucket, limit) in buckets.iter().zip(BUCKETS) {
                        let limit = limit.to_string();
                        let labels = labels(Some(("le", &limit)));
                        let _ = writeln!(page, "{name}_bucket{labels} {bucket}");
                    }
                    let all = labels(Some(("le", "+Inf")));
                    let own = labels(None);
                    let _ = writeln!(
                        page,
                        "{name}_bucket{all} {count}\n{name}_sum{own} {sum}\n{name}_count{own} {count}"
                    );
                }
            }
        }
    }
}

/// Labels with their values: `{a="1",b="2"}`; empty if there are none.
fn labels(names: &[&str], values: &[String], more: Option<(&str, &str)>) -> String {
    let own = names.iter().copied().zip(values.iter().map(String::as_str));
    let pairs: Vec<_> =
        own.chain(more).map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    match pairs.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", pairs.join(",")),
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: Family =
        Family { name: "a_total", kind: Kind::Counter, labels: &["dest"], help: "A." };
    const HISTOGRAM: Family =
        Family { name: "b_seconds", kind: Kind::Histogram, labels: &[], help: "B." };

    fn written(counts: &Counts, family: &Family) -> String {
        let mut page = String::new();
        counts.write(family, &mut page);
        page
    }

    #[test]
    fn values_of_labels_are_escaped() {
        let mut counts = Counts::default();
        counts.add(&COUNTER, &["a\"b\\c\nd"], 2.0);
        let text =
            "# HELP a_total A.\n# TYPE a_total counter\na_total{dest=\"a\\\"b\\\\c\\nd\"} 2\n";
        assert_eq!(written(&counts, &COUNTER), text);
    }

    #[test]
    fn a_bucket_counts_everything_up_to_its_limit() {
        let mut counts = Counts::default();
        for millis in [5, 6, 400, 20_000] {
            counts.observe(&HISTOGRAM, &[], Duration::from_millis(millis));
        }
        let page = written(&counts, &HISTOGRAM);
        for line in [
            "b_seconds_bucket{le=\"0.005\"} 1",
            "b_seconds_bucket{le=\"0.01\"} 2",
            "b_seconds_bucket{le=\"0.25\"} 2",
            "b_seconds_bucket{le=\"0.5\"} 3",
            "b_seconds_bucket{le=\"10\"} 3",
            "b_seconds_bucket{le=\"+Inf\"} 4",
            "b_seconds_count 4",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
        assert!(page.contains("b_seconds_sum 20.41"), "{page}");
    }

    #[test]
    fn a_family_with_labels_has_no_samples_at_first_and_forgets_what_is_gone() {
        let mut counts = Counts::default();
        assert_eq!(written(&counts, &COUNTER), "");
        counts.add(&COUNTER, &["gone"], 1.0);
        counts.add(&COUNTER, &["stays"], 1.0);
        counts.keep_only(&COUNTER, "dest", |dest| dest == "stays");
        let page = written(&counts, &COUNTER);
        assert!(page.contains("stays") && !page.contains("gone"), "{page}");
    }
}
