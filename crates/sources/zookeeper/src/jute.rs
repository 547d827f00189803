//! Jute, the encoding of ZooKeeper: numbers in network order, and texts and lists with their length
//! before them.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// What was to be read is malformed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Adds a text or bytes.
pub(crate) fn put_bytes(output: &mut BytesMut, bytes: &[u8]) {
    // No text of ours is longer than a path.
    output.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    output.put_slice(bytes);
}

/// Adds a frame: what `content` adds, with its length before it.
pub(crate) fn put_frame(output: &mut BytesMut, content: impl FnOnce(&mut BytesMut)) {
    let start = output.len();
    output.put_i32(0);
    content(output);
    let length = i32::try_from(output.len() - start - 4).unwrap_or(i32::MAX);
    output[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// The next frame that has arrived completely, if there is one. A frame longer than `longest` is
/// malformed.
pub(crate) fn frame(input: &mut BytesMut, longest: usize) -> Result<Option<Bytes>, Malformed> {
    let Some(length) = input.first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| Malformed)?;
    if length > longest {
        return Err(Malformed);
    }
    if input.len() < 4 + length {
        input.reserve(4 + length - input.len());
        return Ok(None);
    }
    input.advance(4);
    Ok(Some(input.split_to(length).freeze()))
}

/// The next number.
pub(crate) fn int(input: &mut Bytes) -> Result<i32, Malformed> {
    input.try_get_i32().map_err(|_| Malformed)
}

/// The next long number.
pub(crate) fn long(input: &mut Bytes) -> Result<i64, Malformed> {
    input.try_get_i64().map_err(|_| Malformed)
}

/// The next text or bytes. Those that do not exist are empty.
pub(crate) fn bytes(input: &mut Bytes) -> Result<Bytes, Malformed> {
    match int(input)? {
        -1 => Ok(Bytes::new()),
        length => {
            let length = usize::try_from(length).map_err(|_| Malformed)?;
            if length > input.len() { Err(Malformed) } else { Ok(input.split_to(length)) }
        }
    }
}

/// The next list of texts.
pub(crate) fn list(input: &mut Bytes) -> Result<Vec<Bytes>, Malformed> {
    let count = int(input)?.max(0);
    (0..count).map(|_| bytes(input)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_when_it_is_complete() {
        let mut sent = BytesMut::new();
        put_frame(&mut sent, |output| put_bytes(output, b"/app"));
        let mut input = BytesMut::new();
        let last = sent.len() - 1;
        for (at, byte) in sent.iter().enumerate() {
            input.put_u8(*byte);
            let frame = frame(&mut input, 100).unwrap();
            assert_eq!(frame.is_some(), at == last);
            if let Some(mut frame) = frame {
                assert_eq!(bytes(&mut frame).unwrap(), "/app");
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_malformed() {
        let input = |bytes: &[u8]| BytesMut::from(bytes);
        assert_eq!(frame(&mut input(b"HTTP/1.1"), 1 << 20), Err(Malformed));
        assert_eq!(frame(&mut input(&[0xff; 4]), 1 << 20), Err(Malformed));
        let read = |content: &'static [u8]| Bytes::from_static(content);
        assert_eq!(bytes(&mut read(&[0, 0, 0, 2, 1])), Err(Malformed));
        assert_eq!(bytes(&mut read(&[0xff; 4])).unwrap(), "");
        assert_eq!(bytes(&mut read(&[0xff, 0xff, 0xff, 0xfe])), Err(Malformed));
        assert_eq!(list(&mut read(&[0x7f, 0xff, 0xff, 0xff])), Err(Malformed));
        assert_eq!(list(&mut read(&[0, 0])), Err(Malformed));
    }
}
