//! Decimal numbers. sprig computes with the shortest decimal digits of floats, so that 0.1 and 0.2 are
//! 0.3.

use gotmpl::{Failure, Value};

use super::to_float;

/// The decimal places of a quotient.
const PLACES: i32 = 16;

/// A number of the form `digits * 10^exponent`. Where the digits do not fit, the nearest float counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    pub(super) const ZERO: Decimal = Decimal { digits: 0, exponent: 0 };
    pub(super) const ONE: Decimal = Decimal { digits: 1, exponent: 0 };

    /// The number that a value means; 0 if it means none.
    ///
    /// # Errors
    /// It is infinite, or no number.
    pub(super) fn of(value: &Value) -> Result<Decimal, Failure> {
        let number = to_float(value);
        if number.is_finite() {
            return Ok(Decimal::nearest(number));
        }
        let text = if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        };
        Err(Failure::new(format!("Cannot create a Decimal from {text}")))
    }

    fn nearest(number: f64) -> Decimal {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let places = digits.split_once('.').map_or(0, |(_, places)| places.len());
        Decimal {
            digits: digits.replace('.', "").parse().unwrap_or(0),
            exponent: exponent.parse().unwrap_or(0) - places as i32,
        }
    }

    /// The nearest float.
    pub(super) fn float(self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// The digits for a smaller exponent.
    fn digits_at(self, exponent: i32) -> Option<i128> {
        let scale = 10_i128.checked_pow(u32::try_from(self.exponent - exponent).ok()?)?;
        self.digits.checked_mul(scale)
    }

    pub(super) fn add(&self, other: &Decimal) -> Decimal {
        let exponent = self.exponent.min(other.exponent);
        let digits = self
            .digits_at(exponent)
            .and_then(|digits| digits.checked_add(other.digits_at(exponent)?));
        match digits {
            Some(digits) => Decimal { digits, exponent },
            None => Decimal::nearest(self.float() + other.float()),
        }
    }

    pub(super) fn subtract(&self, other: &Decimal) -> Decimal {
        self.add(&Decimal { digits: -other.digits, ..*other })
    }

    pub(super) fn multiply(&self, other: &Decimal) -> Decimal {
        match self.digits.checked_mul(other.digits) {
            Some(digits) => Decimal { digits, exponent: self.exponent + other.exponent },
            None => Decimal::nearest(self.float() * other.float()),
        }
    }

    /// The quotient, rounded to [`PLACES`]. `None` for a division by zero.
    pub(super) fn divide(&self, other: &Decimal) -> Option<Decimal> {
        if other.digits == 0 {
            return None;
        }
        let scaled = (|| {
            let shift = self.exponent - other.exponent + PLACES;
            let scale = 10_i128.checked_pow(shift.unsigned_abs());
            let (a, b) = match shift < 0 {
                false => (self.digits.checked_mul(scale?)?, other.digits),
                true => match scale.and_then(|scale| other.digits.checked_mul(scale)) {
                    Some(scaled) => (self.digits, scaled),
                    // The quotient is too small for the places that are kept.
                    None => return Some(0),
                },
            };
            let (quotient, rest) = (a / b, a % b);
            let is_up = rest.unsigned_abs() >= b.unsigned_abs() - rest.unsigned_abs();
            let away = if (a < 0) == (b < 0) { 1 } else { -1 };
            Some(if is_up { quotient + away } else { quotient })
        })();
        Some(match scaled {
            Some(digits) => Decimal { digits, exponent: -PLACES },
            None => Decimal::nearest(self.float() / other.float()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_digits_of_decimal_arithmetic() {
        let number = |number: f64| Decimal::of(&Value::Float(number)).unwrap();
        assert_eq!(number(0.1).add(&number(0.2)).float(), 0.3);
        assert_eq!(number(1.1).multiply(&number(1.1)).float(), 1.21);
        assert_eq!(number(-2.0).divide(&number(3.0)).unwrap().float(), -0.6666666666666667);
        assert_eq!(number(1e300).multiply(&number(1e300)).float(), f64::INFINITY);
        assert_eq!(number(1e300).add(&number(1e-300)).float(), 1e300);
        assert!(number(1.0).divide(&number(0.0)).is_none());
        Decimal::of(&Value::Float(f64::NAN)).unwrap_err();
    }
}
