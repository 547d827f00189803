//! Factors by which delays grow, as people write them: `2`, `1.5`.

/// A factor from 1 to 1000, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(u32);

impl Factor {
    /// Delays double.
    pub const DOUBLE: Factor = Factor(2000);

    /// The factor as a number.
    pub fn get(self) -> f32 {
        self.0 as f32 / 1000.0
    }
}

/// The factor that `text` stands for.
///
/// # Errors
/// `text` is not a number from 1 to 1000. The error does not repeat `text`.
pub fn parse(text: &str) -> Result<Factor, String> {
    let number = text.parse::<f64>().ok().filter(|number| (1.0..=1000.0).contains(number));
    let factor = number.map(|number| Factor((number * 1000.0).round() as u32));
    factor.ok_or_else(|| "not a number from 1 to 1000, such as \"1.5\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_a_number_that_lets_no_delay_shrink() {
        for (text, factor) in [("1", 1.0), ("1.5", 1.5), ("2.0", 2.0), ("1000", 1000.0)] {
            assert_eq!(parse(text).map(Factor::get), Ok(factor), "{text}");
        }
        for text in ["", "0", "-2", "0.99", "NaN", "inf", "1001", "two", "2x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
