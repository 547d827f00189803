//! The protocol of Redis (RESP, version 2): requests as bytes, and replies from bytes.
//!
//! Nothing here reads or writes a connection. A [`Parser`] keeps what it has read of a reply that
//! arrives in pieces, so a large reply costs no more than its bytes.
//!
//! The crate `redis` is not used. It would make its own connections and look up names by itself,
//! and what is left of it beside that is this file.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

/// The longest line of a reply. Redis itself writes at most a few hundred bytes into a line.
const LONGEST_LINE: usize = 64 << 10;

/// The longest text in a reply: the largest value that Redis stores.
const LONGEST_TEXT: usize = 512 << 20;

/// The deepest nesting of lists in a reply. Those that confd asks for have four levels.
const DEEPEST: usize = 16;

/// Commands that are sent together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    bytes: BytesMut,
    commands: usize,
}

impl Request {
    /// A request of one command, given as its words.
    pub(crate) fn of<W: AsRef<[u8]>>(words: &[W]) -> Self {
        let mut request = Request::default();
        request.add(words);
        request
    }

    /// Adds a command, given as its words.
    pub(crate) fn add<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        self.bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words.iter().map(AsRef::as_ref) {
            self.bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            self.bytes.extend_from_slice(word);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.commands += 1;
    }

    /// The number of commands, which is the number of replies too.
    pub(crate) fn commands(&self) -> usize {
        self.commands
    }

    /// The bytes of all commands.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// One reply.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A text; `None` if there is none.
    Text(Option<Bytes>),
    /// A number.
    Number(i64),
    /// A list; one that does not exist is empty.
    List(Vec<Reply>),
    /// The server refuses, or fails. The text is for people.
    Error(String),
}

impl Reply {
    /// The text of the reply; `None` for any other reply.
    pub(crate) fn text(&self) -> Option<&Bytes> {
        match self {
            Reply::Text(text) => text.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Debug for Reply {
    /// Shows the kind and the size. Texts can be secrets and are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Text(None) => f.write_str("no text"),
            Reply::Text(Some(text)) => write!(f, "a text of {} bytes", text.len()),
            Reply::Number(_) => f.write_str("a number"),
            Reply::List(replies) => write!(f, "a list of {} replies", replies.len()),
            Reply::Error(_) => f.write_str("an error"),
        }
    }
}

/// Bytes that are no reply of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads replies from bytes that arrive in pieces.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// The lists that are not complete yet, the outermost first: the replies so far, and how many
    /// are missing.
    open: Vec<(Vec<Reply>, usize)>,
    /// The length of the text that is expected next.
    text: Option<usize>,
    /// How many bytes of the line that is expected next were searched for its end.
    searched: usize,
}

impl Parser {
    /// Takes the next reply from the beginning of `bytes`. Returns `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// The bytes are no reply.
    pub(crate) fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Reply>, Malformed> {
        loop {
            let Some(reply) = self.element(bytes)? else { return Ok(None) };
            if let Some(whole) = self.close(reply) {
                return Ok(Some(whole));
            }
        }
    }

    /// The next text, number or error, or a list without replies. The beginning of any other list is
    /// noted.
    fn element(&mut self, bytes: &mut BytesMut) -> Result<Option<Reply>, Malformed> {
        loop {
            if let Some(length) = self.text {
                if bytes.len() < length + 2 {
                    bytes.reserve((length + 2 - bytes.len()).min(LONGEST_LINE));
                    return Ok(None);
                }
                let text = bytes.split_to(length).freeze();
                if !bytes.starts_with(b"\r\n") {
                    return Err(Malformed);
                }
                bytes.advance(2);
                self.text = None;
                return Ok(Some(Reply::Text(Some(text))));
            }
            let Some(line) = self.line(bytes)? else { return Ok(None) };
            let (kind, rest) = line.split_first().ok_or(Malformed)?;
            match kind {
                b'+' => return Ok(Some(Reply::Text(Some(line.slice(1..))))),
                b'-' => {
                    let text = String::from_utf8_lossy(rest).into_owned();
                    return Ok(Some(Reply::Error(text)));
                }
                b':' => return Ok(Some(Reply::Number(number(rest)?))),
                b'$' => match length(rest)? {
                    None => return Ok(Some(Reply::Text(None))),
                    Some(length) if length > LONGEST_TEXT => return Err(Malformed),
                    Some(length) => self.text = Some(length),
                },
                b'*' => match length(rest)? {
                    None | Some(0) => return Ok(Some(Reply::List(Vec::new()))),
                    Some(_) if self.open.len() >= DEEPEST => return Err(Malformed),
                    // The number is the server's word; memory is taken when replies arrive.
                    Some(length) => self.open.push((Vec::new(), length)),
                },
                _ => return Err(Malformed),
            }
        }
    }

    /// Puts a reply into the innermost open list. Returns the outermost reply if that is complete.
    fn close(&mut self, mut reply: Reply) -> Option<Reply> {
        while let Some((replies, missing)) = self.open.last_mut() {
            replies.push(reply);
            *missing -= 1;
            if *missing > 0 {
                return None;
            }
            reply = Reply::List(std::mem::take(replies));
            self.open.pop();
        }
        Some(reply)
    }

    /// Takes a line from the beginning of `bytes`, without its end.
    fn line(&mut self, bytes: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        // The last byte may be the first half of the end of the line.
        let from = self.searched.saturating_sub(1);
        let end = bytes.get(from..).unwrap_or_default().windows(2).position(|two| two == b"\r\n");
        match end.map(|at| from + at) {
            Some(end) if end <= LONGEST_LINE => {
                self.searched = 0;
                let line = bytes.split_to(end).freeze();
                bytes.advance(2);
                Ok(Some(line))
            }
            None if bytes.len() <= LONGEST_LINE => {
                self.searched = bytes.len();
                Ok(None)
            }
            _ => Err(Malformed),
        }
    }
}

/// A length; `None` for -1, which stands for what does not exist.
fn length(digits: &[u8]) -> Result<Option<usize>, Malformed> {
    match number(digits)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| Malformed),
    }
}

fn number(digits: &[u8]) -> Result<i64, Malformed> {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Reply {
        Reply::Text(Some(Bytes::from_static(text.as_bytes())))
    }

    #[test]
    fn a_request_counts_the_bytes_of_its_words() {
        let mut request = Request::of(&["GET", "/ä"]);
        request.add(&["PING"]);
        assert_eq!(
            request.bytes(),
            "*2\r\n$3\r\nGET\r\n$3\r\n/ä\r\n*1\r\n$4\r\nPING\r\n".as_bytes()
        );
        assert_eq!(request.commands(), 2);
    }

    #[test]
    fn replies_are_read_whatever_the_pieces_they_arrive_in() {
        let bytes = b"+OK\r\n:-7\r\n$4\r\na\r\nb\r\n$-1\r\n$0\r\n\r\n*0\r\n*-1\r\n\
            *2\r\n*2\r\n$1\r\na\r\n:1\r\n*1\r\n*0\r\n-ERR no\r\n";
        let list = Reply::List;
        let expected = [
            text("OK"),
            Reply::Number(-7),
            text("a\r\nb"),
            Reply::Text(None),
            text(""),
            list(vec![]),
            list(vec![]),
            list(vec![list(vec![text("a"), Reply::Number(1)]), list(vec![list(vec![])])]),
            Reply::Error("ERR no".into()),
        ];
        for size in 1..=bytes.len() {
            let (mut parser, mut buffer, mut replies) = Default::default();
            for piece in bytes.chunks(size) {
                BytesMut::extend_from_slice(&mut buffer, piece);
                while let Some(reply) = Parser::next(&mut parser, &mut buffer).unwrap() {
                    Vec::push(&mut replies, reply);
                }
            }
            assert!(replies == expected, "pieces of {size}: {replies:?}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn what_is_no_reply_is_an_error_and_takes_no_memory() {
        let deep = "*1\r\n".repeat(DEEPEST + 1);
        let long = format!("+{}", "x".repeat(LONGEST_LINE));
        for bytes in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\r\n",
            "$x\r\n",
            "$-2\r\n",
            "$99999999999\r\n",
            "*-2\r\n",
            ":\r\n",
            "$1\r\nabc",
            "*1\r\n?\r\n",
            &deep,
            &long,
        ] {
            let mut buffer = BytesMut::from(bytes);
            assert_eq!(Parser::default().next(&mut buffer), Err(Malformed), "{bytes:.30}");
        }
        let mut buffer = BytesMut::from("*9223372036854775807\r\n");
        assert_eq!(Parser::default().next(&mut buffer), Ok(None));
    }

    /// All replies in these bytes, and how the reading ended.
    fn read(bytes: &[u8], size: usize) -> (Vec<Reply>, Result<Option<Reply>, Malformed>) {
        let (mut parser, mut buffer, mut replies) =
            (Parser::default(), BytesMut::new(), Vec::new());
        for piece in bytes.chunks(size) {
            buffer.extend_from_slice(piece);
            loop {
                match parser.next(&mut buffer) {
                    Ok(Some(reply)) => replies.push(reply),
                    Ok(None) => break,
                    malformed => return (replies, malformed),
                }
            }
        }
        (replies, Ok(None))
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_replies_or_an_error_whatever_the_pieces(
            bytes in proptest::collection::vec(
                proptest::sample::select(b"*$+-:0123\r\n\r\n\r\na".as_slice()),
                0..200,
            ),
            size in 1_usize..9,
        ) {
            proptest::prop_assert_eq!(read(&bytes, size), read(&bytes, bytes.len().max(1)));
        }

        #[test]
        fn a_request_is_read_back_as_the_list_of_its_words(
            words in proptest::collection::vec(
                proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..20),
                1..5,
            ),
        ) {
            let (replies, ended) = read(Request::of(&words).bytes(), 3);
            let word = |word: &Vec<u8>| Reply::Text(Some(Bytes::copy_from_slice(word)));
            proptest::prop_assert_eq!(replies, [Reply::List(words.iter().map(word).collect())]);
            proptest::prop_assert_eq!(ended, Ok(None));
        }
    }

    #[test]
    fn debug_output_shows_no_text() {
        assert_eq!(format!("{:?}", text("hunter2")), "a text of 7 bytes");
    }
}
