//! The part of a directive between `%` and verb: flags, width and precision. Also pads text with
//! them.

use crate::unicode;

/// The flags, width and precision of one directive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    /// The least number of code points to write.
    pub(super) width: Option<usize>,
    /// A number of digits or of code points, depending on the verb.
    pub(super) precision: Option<usize>,
    /// `+`: always print a sign; for `%q`, print only ASCII.
    pub(super) plus: bool,
    /// `-`: pad on the right.
    pub(super) minus: bool,
    /// `#`: the alternative form of the verb.
    pub(super) sharp: bool,
    /// ` `: a blank in place of a plus sign; for `%x` of strings, blanks between the bytes.
    pub(super) space: bool,
    /// `0`: pad with zeros. `-` overrides it.
    pub(super) zero: bool,
    /// The `+` of `%+v`, which asks for field names instead of signs.
    pub(super) plus_v: bool,
    /// The `#` of `%#v`, which asks for Go syntax.
    pub(super) sharp_v: bool,
}

impl Spec {
    /// The flags for the verb `v`, where `+` and `#` have their own meanings.
    pub(super) fn for_value(mut self) -> Spec {
        self.plus_v = std::mem::take(&mut self.plus);
        self.sharp_v = std::mem::take(&mut self.sharp);
        self
    }

    /// The flags for a text that the value's own method returned. It is in Go syntax already if
    /// `%#v` asked for that.
    pub(super) fn of_text(self) -> Spec {
        Spec { sharp_v: false, ..self }
    }

    /// Whether the padding is zeros on the left.
    pub(super) fn pads_with_zeros(&self) -> bool {
        self.zero && !self.minus
    }

    /// Pads what was appended to `out` since it had the length `start`.
    pub(super) fn pad(&self, out: &mut Vec<u8>, start: usize) {
        self.pad_with(out, start, if self.pads_with_zeros() { b'0' } else { b' ' });
    }

    /// Like [`pad`](Spec::pad), but with blanks even if the flag `0` is set.
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
