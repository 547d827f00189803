//! Prints one value with one verb, including the values in it.
//!
//! The verb applies to the innermost values: `%x` of a list is a list of hexadecimal numbers.
//! Lists, maps and structs whose printing has begun are on a stack on the heap, so that nothing
//! recurses.

use bytes::Bytes;

use super::int::Int;
use super::spec::Spec;
use super::{TooLarge, float, int, text};
use crate::types::{KeyType, SliceType, Type};
use crate::value::{Entries, Map, Object, Slice, Struct, Value};

/// The text of a nil inside of another value, or of one that is printed on its own.
const NIL: &[u8] = b"<nil>";

/// Appends text up to a limit.
pub(super) struct Printer<'o> {
    out: &'o mut Vec<u8>,
    /// The greatest length that `out` may get.
    end: usize,
    /// Set while printing a value whose verb does not fit it: Go prints such a value without its
    /// `String` method.
    raw: bool,
}

impl<'o> Printer<'o> {
    /// A printer that appends at most `limit` bytes to `out`.
    pub(super) fn new(out: &'o mut Vec<u8>, limit: usize) -> Printer<'o> {
        let end = out.len().saturating_add(limit);
        Printer { out, end, raw: false }
    }

    /// Appends `bytes`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        self.reserve(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends the UTF-8 form of `c`.
    pub(super) fn push_char(&mut self, c: char) -> Result<(), TooLarge> {
        self.push(c.encode_utf8(&mut [0; 4]).as_bytes())
    }

    /// Checks that `length` more bytes stay within the limit.
    fn reserve(&self, length: usize) -> Result<(), TooLarge> {
        if self.out.len().saturating_add(length) <= self.end { Ok(()) } else { Err(TooLarge) }
    }

    /// Prints an argument with a plain `%v`.
    pub(super) fn print_plain(&mut self, argument: &Value) -> Result<(), TooLarge> {
        // The most frequent types need no walk.
        match argument {
            Value::String(text) => self.push(text),
            Value::Int(value) => {
                int::append_decimal(self.out, *value);
                self.reserve(0)
            }
            Value::Float(value) => {
                float::append_plain(self.out, *value);
                self.reserve(0)
            }
            _ => self.print(&Spec::default(), argument, 'v'),
        }
    }

    /// Prints an argument with `verb`, which can be any character.
    pub(super) fn print(
        &mut self,
        spec: &Spec,
        argument: &Value,
        verb: char,
    ) -> Result<(), TooLarge> {
        match (verb, argument.ty()) {
            ('T', Some(ty)) => {
                text::append_plain(self.out, spec, ty.to_string().as_bytes());
                self.reserve(0)
            }
            ('v' | 'T', None) => {
                text::append_padded(self.out, spec, NIL);
                self.reserve(0)
            }
            (_, None) => {
                self.open_bad(verb)?;
                self.push(b"<nil>)")
            }
            // Go's verb for errors fits no value here. For a list of bytes Go reports that for each
            // byte, for all other values once.
            ('w', Some(ty)) if !matches!(ty, Type::Slice(ty) if is_byte_list(ty)) => {
                self.bad_verb(spec, argument, verb)
            }
            ('p', Some(_)) => match address(argument) {
                Some(address) => self.address(spec, argument, address, verb),
                None => self.bad_verb(spec, argument, verb),
            },
            (_, Some(_)) => self.walk(spec, argument, verb),
        }
    }

    /// Prints `value` and the values in it.
    fn walk(&mut self, spec: &Spec, value: &Value, verb: char) -> Result<(), TooLarge> {
        let outermost = match value {
            Value::Object(object) => {
                return match self.object_text(spec, &**object, verb) {
                    Some(text) => self.text(&spec.of_text(), &text, verb),
                    None => self.walk(spec, &object.inside(), verb),
                };
            }
            // Only the outermost pointer is followed; inside of another value Go prints the
            // address.
            Value::Pointer(pointer) if let Some(target) = pointer.target() => {
                self.push(b"&")?;
                self.open_struct(spec, target)?
            }
            Value::Slice(slice) if verb == 'v' && spec.sharp_v && is_byte_list(slice.ty()) => {
                // Only here does Go write `[]byte` in place of `[]uint8`.
                match self.open_list(spec, slice, verb, b"[]byte")? {
                    Some(frame) => frame,
                    None => return Ok(()),
                }
            }
            _ => match self.open(spec, value, verb)? {
                Some(frame) => frame,
                None => return Ok(()),
            },
        };
        let mut frames = vec![outermost];
        while let Some(frame) = frames.last_mut() {
            match self.proceed(spec, frame, verb)? {
                Some(inner) => frames.push(inner),
                None => drop(frames.pop()),
            }
        }
        Ok(())
    }

    /// Prints the elements of `frame` up to the first one that has elements itself, and returns the
    /// frame of that one; `None` at the end.
    fn proceed(
        &mut self,
        spec: &Spec,
        frame: &mut Frame,
        verb: char,
    ) -> Result<Option<Frame>, TooLarge> {
        match &frame.parts {
            Parts::List(slice) => {
                let elements = slice.elements();
                while let Some(element) = elements.get(frame.next) {
                    self.separate(spec, frame.next)?;
                    frame.next += 1;
                    if let Some(inner) = self.open_inner(spec, element, verb)? {
                        return Ok(Some(inner));
                    }
                }
                self.push(if spec.sharp_v { b"}" } else { b"]" })?;
            }
            Parts::Map(key_type, entries) => {
                while let Some((key, value)) = entries.get(frame.next) {
                    self.separate(spec, frame.next)?;
                    frame.next += 1;
                    match key_type {
                        KeyType::String => self.text(spec, key, verb)?,
                        // A number has no parts that could follow.
                        KeyType::Int => {
                            self.open_inner(spec, &key_type.value(key), verb)?;
                        }
                    }
                    self.push(b":")?;
                    if let Some(inner) = self.open_inner(spec, value, verb)? {
                        return Ok(Some(inner));
                    }
                }
                self.push(if spec.sharp_v { b"}" } else { b"]" })?;
            }
            Parts::Struct(value) => {
                while let Some(field) = value.fields().get(frame.next) {
                    self.separate(spec, frame.next)?;
                    // `%+v` and `%#v` name the fields.
                    if spec.plus_v || spec.sharp_v {
                        let name = value.ty().fields.get(frame.next).map_or("", |field| field.name);
                        self.push(name.as_bytes())?;
                        self.push(b":")?;
                    }
                    frame.next += 1;
                    if let Some(inner) = self.open_inner(spec, field, verb)? {
                        return Ok(Some(inner));
                    }
                }
                self.push(b"}")?;
            }
        }
        Ok(None)
    }

    /// Appends what stands before the element at `index`.
    fn separate(&mut self, spec: &Spec, index: usize) -> Result<(), TooLarge> {
        match (index, spec.sharp_v) {
            (0, _) => Ok(()),
            (_, true) => self.push(b", "),
            (_, false) => self.push(b" "),
        }
    }

    /// Like [`open`](Printer::open), for a value inside of another value.
    fn open_inner(
        &mut self,
        spec: &Spec,
        value: &Value,
        verb: char,
    ) -> Result<Option<Frame>, TooLarge> {
        match value {
            Value::Nil if spec.sharp_v => self.push(b"interface {}(nil)")?,
            Value::Nil => self.push(NIL)?,
            _ => return self.open(spec, value, verb),
        }
        Ok(None)
    }

    /// Prints `value`. If it has parts, prints only its beginning and returns a frame with the
    /// parts.
    fn open(&mut self, spec: &Spec, value: &Value, verb: char) -> Result<Option<Frame>, TooLarge> {
        let fits = match value {
            Value::Bool(value) => text::append_bool(self.out, spec, *value, verb),
            Value::Int(value) => int::append(self.out, spec, Int::signed(*value), verb),
            Value::Integer(ty, bits) => {
                let signed = bits.cast_signed();
                match ty.stringer {
                    Some(stringer) if self.shows_text(spec, verb) => {
                        return self.text(spec, stringer(signed).as_bytes(), verb).map(|()| None);
                    }
                    _ => {}
                }
                let value = if ty.signed { Int::signed(signed) } else { Int::unsigned(*bits) };
                int::append(self.out, spec, value, verb)
            }
            Value::Float(value) => float::append(self.out, spec, *value, verb),
            Value::Complex(real, imaginary) => {
                float::append_complex(self.out, spec, (*real, *imaginary), verb)
            }
            Value::String(text) => return self.text(spec, text, verb).map(|()| None),
            Value::Slice(slice) => {
                return self.open_list(spec, slice, verb, type_text(spec, value).as_bytes());
            }
            Value::Map(map) => return self.open_map(spec, map, type_text(spec, value).as_bytes()),
            Value::Struct(value) => return self.open_struct(spec, value).map(Some),
            Value::Object(object) => {
                return match self.object_text(spec, &**object, verb) {
                    Some(text) => self.text(&spec.of_text(), &text, verb).map(|()| None),
                    None => self.open(spec, &object.inside(), verb),
                };
            }
            Value::Pointer(_) | Value::Func(_) => {
                let address = address(value).unwrap_or_default();
                return self.address(spec, value, address, verb).map(|()| None);
            }
            Value::Nil => return self.push(NIL).map(|()| None),
        };
        // Go reports a verb that does not fit inside of the text.
        if !fits {
            self.bad_verb(spec, value, verb)?;
        }
        self.reserve(0)?;
        Ok(None)
    }

    /// Whether the `String` method of a value is used.
    fn shows_text(&self, spec: &Spec, verb: char) -> bool {
        !self.raw && !spec.sharp_v && matches!(verb, 'v' | 's' | 'q' | 'x' | 'X')
    }

    /// The text that `object` gives for itself; `None` if its content is printed instead.
    fn object_text(&self, spec: &Spec, object: &dyn Object, verb: char) -> Option<Bytes> {
        if spec.sharp_v {
            return if self.raw { None } else { object.go_text() };
        }
        self.shows_text(spec, verb).then(|| object.text()).flatten()
    }

    /// Begins a list. Prints a list of bytes completely if `verb` takes it as a text.
    fn open_list(
        &mut self,
        spec: &Spec,
        slice: &Slice,
        verb: char,
        type_text: &[u8],
    ) -> Result<Option<Frame>, TooLarge> {
        if matches!(verb, 's' | 'q' | 'x' | 'X') && is_byte_list(slice.ty()) {
            let elements = slice.elements();
            let bytes = elements.iter().filter_map(Value::as_i64);
            let text: Vec<u8> = bytes.map(|byte| byte as u8).collect();
            return self.text(spec, &text, verb).map(|()| None);
        }
        if !spec.sharp_v {
            self.push(b"[")?;
        } else {
            self.push(type_text)?;
            if slice.is_nil() {
                return self.push(b"(nil)").map(|()| None);
            }
            self.push(b"{")?;
        }
        Ok(Some(Frame { parts: Parts::List(slice.clone()), next: 0 }))
    }

    fn open_map(
        &mut self,
        spec: &Spec,
        map: &Map,
        type_text: &[u8],
    ) -> Result<Option<Frame>, TooLarge> {
        if !spec.sharp_v {
            self.push(b"map[")?;
        } else {
            self.push(type_text)?;
            if map.is_nil() {
                return self.push(b"(nil)").map(|()| None);
            }
            self.push(b"{")?;
        }
        Ok(Some(Frame { parts: Parts::Map(map.ty().key, map.entries()), next: 0 }))
    }

    fn open_struct(&mut self, spec: &Spec, value: &Struct) -> Result<Frame, TooLarge> {
        if spec.sharp_v {
            self.push(value.ty().name.as_bytes())?;
        }
        self.push(b"{")?;
        Ok(Frame { parts: Parts::Struct(value.clone()), next: 0 })
    }

    /// Prints a string.
    fn text(&mut self, spec: &Spec, text: &[u8], verb: char) -> Result<(), TooLarge> {
        // Checked before the text is made. With a precision it can only become shorter.
        if spec.precision.is_none() {
            let per_byte = match (verb, spec.space, spec.sharp) {
                ('x' | 'X', true, true) => 4,
                ('x' | 'X', _, _) => 2,
                _ => 1,
            };
            self.reserve(text.len().saturating_mul(per_byte))?;
        }
        if !text::append(self.out, spec, text, verb) {
            // Direct, because a `Value` would need a copy of each map key.
            self.open_bad(verb)?;
            self.push(b"string=")?;
            text::append(self.out, spec, text, 'v');
            self.push(b")")?;
        }
        self.reserve(0)
    }

    /// Prints a value of which only the address can be shown.
    fn address(
        &mut self,
        spec: &Spec,
        value: &Value,
        address: u64,
        verb: char,
    ) -> Result<(), TooLarge> {
        let number = Int::unsigned(address);
        match verb {
            'v' if spec.sharp_v => {
                self.push(format!("({})(", type_text(spec, value)).as_bytes())?;
                match address {
                    0 => self.push(b"nil")?,
                    _ => drop(int::append(self.out, &Spec { sharp: true, ..*spec }, number, 'x')),
                }
                self.push(b")")
            }
            'v' if address == 0 => {
                text::append_padded(self.out, spec, NIL);
                self.reserve(0)
            }
            'v' | 'p' => {
                // For addresses the flag `#` removes the prefix.
                let spec = Spec { sharp: !spec.sharp, ..*spec };
                int::append(self.out, &spec, number, 'x');
                self.reserve(0)
            }
            'b' | 'o' | 'd' | 'x' | 'X' => {
                int::append(self.out, spec, number, verb);
                self.reserve(0)
            }
            _ => self.bad_verb(spec, value, verb),
        }
    }

    /// Prints `%!VERB(TYPE=VALUE)`; `spec` applies to the value.
    fn bad_verb(&mut self, spec: &Spec, value: &Value, verb: char) -> Result<(), TooLarge> {
        self.open_bad(verb)?;
        self.push(value.ty().map(|ty| ty.to_string()).unwrap_or_default().as_bytes())?;
        self.push(b"=")?;
        // Every value has `%v`, so this does not recurse further.
        let raw = std::mem::replace(&mut self.raw, true);
        let printed = self.walk(spec, value, 'v');
        self.raw = raw;
        printed?;
        self.push(b")")
    }

    fn open_bad(&mut self, verb: char) -> Result<(), TooLarge> {
        self.push(b"%!")?;
        self.push_char(verb)?;
        self.push(b"(")
    }
}

/// A list, map or struct of which the parts before `next` have been printed.
struct Frame {
    parts: Parts,
    next: usize,
}

enum Parts {
    List(Slice),
    Map(KeyType, Entries),
    Struct(Struct),
}

/// Go's text of the type, if `%#v` needs it; empty otherwise.
fn type_text(spec: &Spec, value: &Value) -> String {
    match value.ty() {
        Some(ty) if spec.sharp_v => ty.to_string(),
        _ => String::new(),
    }
}

fn is_byte_list(ty: &SliceType) -> bool {
    matches!(ty.elem, Type::Integer(elem) if !elem.signed && elem.bits == 8)
}

/// The address of the content that a value refers to, or 0 for nil. `None` for values that hold
/// their content themselves.
fn address(value: &Value) -> Option<u64> {
    if value.is_nil() {
        return Some(0);
    }
    let address = match value {
        Value::Slice(slice) => slice.elements().as_ptr().addr(),
        Value::Map(map) => map.entries().first().map_or(1, |(key, _)| key.as_ptr().addr()),
        Value::Pointer(pointer) => pointer.target()?.fields().as_ptr().addr(),
        Value::Func(func) => std::ptr::from_ref(func).addr(),
        _ => return None,
    };
    Some(address as u64)
}
