//! What stands between the `%` and the verb: flags, width, precision; and padding by them.

use crate::unicode;

/// One directive's flags, width and precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    /// The fewest code points to write.
    pub(super) width: Option<usize>,
    /// Digits or code points; the meaning is the verb's.
    pub(super) precision: Option<usize>,
    /// `+`: always a sign; of `%q` ASCII only.
    pub(super) plus: bool,
    /// `-`: pad on the right.
    pub(super) minus: bool,
    /// `#`: the verb's other form.
    pub(super) sharp: bool,
    /// ` `: a blank where the sign of a number would be; blanks between hexadecimal bytes.
    pub(super) space: bool,
    /// `0`: pad with zeros. Without effect beside `-`.
    pub(super) zero: bool,
    /// `+` of `%+v`, which asks for field names and not for signs.
    pub(super) plus_v: bool,
    /// `#` of `%#v`, which asks for Go syntax.
    pub(super) sharp_v: bool,
}

impl Spec {
    /// The flags as `%v` has them: `+` and `#` mean something of their own there.
    pub(super) fn for_value(mut self) -> Spec {
        self.plus_v = std::mem::take(&mut self.plus);
        self.sharp_v = std::mem::take(&mut self.sharp);
        self
    }

    /// The flags for a text that a value gave of itself, which is already in Go syntax if that
    /// was asked for.
    pub(super) fn of_text(self) -> Spec {
        Spec { sharp_v: false, ..self }
    }

    /// Whether padding is by zeros on the left.
    pub(super) fn pads_with_zeros(&self) -> bool {
        self.zero && !self.minus
    }

    /// Pads what was appended to `out` since its length was `start`.
    pub(super) fn pad(&self, out: &mut Vec<u8>, start: usize) {
        self.pad_with(out, start, if self.pads_with_zeros() { b'0' } else { b' ' });
    }

    /// As [`pad`](Spec::pad), with blanks even where `0` is given.
    pub(super) fn pad_with_blanks(&self, out: &mut Vec<u8>, start: usize) {
        self.pad_with(out, start, b' ');
    }

    fn pad_with(&self, out: &mut Vec<u8>, start: usize, filler: u8) {
        let Some(width) = self.width else { return };
        let missing = width.saturating_sub(unicode::count(&out[start..]));
        if missing == 0 {
            return;
        }
        out.resize(out.len() + missing, filler);
        if !self.minus {
            out[start..].rotate_right(missing);
        }
    }
}
