//! Tables of figures for people.

use std::time::Duration;

/// A table, which is printed when it is complete.
pub(crate) struct Table {
    text: String,
    decimals: Vec<usize>,
}

/// Prints a heading for the tables that follow.
#[expect(clippy::print_stdout, reason = "printing figures is what a benchmark is for")]
pub(crate) fn heading(text: &str) {
    println!("{text}\n");
}

/// The width of a column of figures.
const WIDTH: usize = 13;

impl Table {
    /// A table whose columns have these names and these numbers of decimal places.
    pub(crate) fn new(title: &str, columns: &[(&str, usize)]) -> Self {
        let names = columns.iter().map(|(name, _)| format!("{name:>WIDTH$}"));
        let text = format!("{title}\n{:24}{}\n", "", names.collect::<String>());
        Table { text, decimals: columns.iter().map(|(_, decimals)| *decimals).collect() }
    }

    /// Adds a line. A figure that is not a number is left empty.
    pub(crate) fn row(&mut self, name: &str, figures: &[f64]) {
        let cells = figures.iter().zip(&self.decimals);
        let cells = cells.map(|(figure, decimals)| cell(*figure, *decimals));
        self.text += &format!("  {name:22}{}\n", cells.collect::<String>());
    }

    /// Adds a line of ratios.
    pub(crate) fn ratios(&mut self, name: &str, ratios: &[f64]) {
        let cells = ratios.iter().map(|ratio| cell(*ratio, 2));
        self.text += &format!("  {name:22}{}\n", cells.collect::<String>());
    }

    #[expect(clippy::print_stdout, reason = "printing figures is what a benchmark is for")]
    pub(crate) fn print(&self) {
        println!("{}", self.text);
    }
}

fn cell(figure: f64, decimals: usize) -> String {
    match figure.is_finite() {
        true => format!("{figure:>WIDTH$.decimals$}"),
        false => format!("{:>WIDTH$}", "-"),
    }
}

/// Milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The median; not a number if there are no figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The 99th percentile.
pub(crate) fn p99(figures: &[f64]) -> f64 {
    quantile(figures, 0.99)
}

fn quantile(figures: &[f64], part: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() as f64 * part) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
