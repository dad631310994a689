//! A FastCGI application's answer: records taken apart into a CGI head, a body, and what it says on
//! STDERR. Bytes in, facts out: no socket, and no log, for which it keeps notes.
//!
//! An answer has ended when END_REQUEST has come. A connection that closes before has broken off,
//! and what came is not the whole answer, though it may look like one. The application's own exit
//! status says nothing of that, and is passed over, as nginx does: a script may well answer and then
//! exit with 1.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};
use fastcgi::{ClientConnection, ClientError, ClientEvent, ProtocolStatus, RecordError};

use super::{
    Head,
    codec::{self, Expectation, Found, HeadError, Opening},
    protocol::FastCgiRules,
};
use crate::log::Level;

/// One request on each connection at a time, and always by this number, as nginx counts.
pub const REQUEST_ID: u16 = 1;

#[derive(Debug)]
pub struct Records {
    connection: ClientConnection,
    /// What has come of a head that is not complete, when it came in several records.
    partial: BytesMut,
    /// The body, as far as nobody has taken it yet.
    ready: VecDeque<Bytes>,
    /// What `Content-Length` says is still to come.
    rest: Option<u64>,
    /// More has come than was said. It is dropped.
    surplus: bool,
    ended: bool,
    broken: Option<RecordsError>,
    keep: bool,
    caught: Arc<[Bytes]>,
    notes: Vec<Note>,
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub struct Note {
    pub level: Level,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    #[error("upstream sent unsupported FastCGI protocol version: {0}")]
    Version(u8),
    #[error("upstream sent invalid FastCGI record type: {0}")]
    Type(u8),
    #[error("upstream sent unexpected FastCGI record: {0}")]
    Unexpected(u8),
    #[error("upstream prematurely closed FastCGI stdout")]
    NoHead,
    #[error("upstream prematurely closed FastCGI request")]
    TooShort,
    #[error("upstream refused the FastCGI request: protocol status {0:?}")]
    Refused(ProtocolStatus),
    /// `fastcgi_catch_stderr`.
    #[error("FastCGI sent in stderr: \"{0}\"")]
    Caught(String),
}

/// What was found of the body.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    Data(Bytes),
    /// Read more.
    Nothing,
    End,
}

/// The most the log hears of one piece of STDERR, as in nginx.
const LONGEST_NOTE: usize = 2048;

const END_REQUEST: u8 = 3;
const GET_VALUES_RESULT: u8 = 10;

impl Records {
    pub fn new(rules: &FastCgiRules) -> Records {
        let mut connection = ClientConnection::new();
        connection.expect(REQUEST_ID);
        Records {
            connection,
            partial: BytesMut::new(),
            ready: VecDeque::new(),
            rest: None,
            surplus: false,
            ended: false,
            broken: None,
            keep: rules.keep,
            caught: Arc::clone(&rules.caught),
            notes: Vec::new(),
        }
    }

    pub fn notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// The head, once it is complete.
    pub(super) fn head(
        &mut self,
        buffer: &mut BytesMut,
        expected: Expectation,
    ) -> Result<Option<Head>, HeadError> {
        while let Some(event) = self.connection.next(buffer).map_err(RecordsError::from)? {
            match event {
                ClientEvent::Stdout(data) => {
                    if let Some(head) = self.head_in(data, expected)? {
                        return Ok(Some(head));
                    }
                }
                ClientEvent::Stderr(text) => {
                    let said = spoken(&text);
                    if self.caught.iter().any(|word| contains(&text, word)) {
                        return Err(RecordsError::Caught(said).into());
                    }
                    self.note_stderr(&said);
                }
                ClientEvent::End(end) => {
                    return Err(match end.protocol_status {
                        ProtocolStatus::RequestComplete => RecordsError::NoHead.into(),
                        refused => RecordsError::Refused(refused).into(),
                    });
                }
                event => return Err(unexpected(&event).into()),
            }
        }
        Ok(None)
    }

    /// Looks for the head's end in what has come of it.
    fn head_in(&mut self, data: Bytes, expected: Expectation) -> Result<Option<Head>, HeadError> {
        let mut block = if self.partial.is_empty() {
            data
        } else {
            self.partial.extend_from_slice(&data);
            self.partial.split().freeze()
        };
        let Some(Found::Lines(lines)) = codec::find(&block, Opening::Fields, expected.limit)?
        else {
            self.partial = block.into();
            return Ok(None);
        };
        let raw = block.split_to(lines.end);
        let mut head = lines.into_head(raw, expected)?;
        head.keep = self.keep;
        self.rest = head.content_length;
        self.accept(block);
        Ok(Some(head))
    }

    /// The next piece of the body. What is wrong is wrong whoever asks again.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Taken, RecordsError> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Ok(Taken::Data(data));
            }
            if let Some(broken) = &self.broken {
                return Err(broken.clone());
            }
            if self.ended {
                return Ok(Taken::End);
            }
            if !self.advance(buffer) {
                return Ok(Taken::Nothing);
            }
        }
    }

    /// The whole body, if all of it is here.
    pub fn whole(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        while !self.ended && self.advance(buffer) {}
        if !self.ended || self.broken.is_some() {
            return None;
        }
        Some(match self.ready.len() {
            0 => Bytes::new(),
            1 => self.ready.pop_front()?,
            _ => self.ready.drain(..).collect::<Vec<_>>().concat().into(),
        })
    }

    /// Reads one event of the body. `false`: there is none.
    fn advance(&mut self, buffer: &mut BytesMut) -> bool {
        if self.broken.is_some() {
            return false;
        }
        let event = match self.connection.next(buffer) {
            Ok(None) => return false,
            Ok(Some(event)) => event,
            Err(error) => {
                self.broken = Some(error.into());
                return true;
            }
        };
        match event {
            ClientEvent::Stdout(data) => self.accept(data),
            ClientEvent::Stderr(text) => self.note_stderr(&spoken(&text)),
            ClientEvent::End(_) => {
                self.ended = true;
                if self.rest.is_some_and(|rest| rest > 0) {
                    self.broken = Some(RecordsError::TooShort);
                }
            }
            event => self.broken = Some(unexpected(&event)),
        }
        true
    }

    /// Whether a connection that closes now has left nothing out.
    pub fn is_complete(&self) -> bool {
        self.broken.is_none() && (self.ended || self.rest == Some(0))
    }

    /// Whether the connection can carry another request.
    pub fn is_clean(&self) -> bool {
        self.ended && self.connection.is_between_records()
    }

    /// How much is here that nobody has taken.
    pub fn waiting(&self) -> usize {
        self.ready.iter().map(Bytes::len).sum()
    }

    fn accept(&mut self, mut data: Bytes) {
        if let Some(rest) = &mut self.rest {
            if data.len() as u64 > *rest {
                data.truncate(*rest as usize);
                if !std::mem::replace(&mut self.surplus, true) {
                    let text =
                        "upstream sent more data than specified in \"Content-Length\" header";
                    self.notes.push(Note { level: Level::Warn, text: text.to_owned() });
                }
            }
            *rest -= data.len() as u64;
        }
        if !data.is_empty() {
            self.ready.push_back(data);
        }
    }

    fn note_stderr(&mut self, said: &str) {
        let text = format!("FastCGI sent in stderr: \"{said}\"");
        self.notes.push(Note { level: Level::Error, text });
    }
}

/// What was said, without the ends of lines and sentences, and no longer than a log line may be.
fn spoken(text: &[u8]) -> String {
    let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | b'.' | b' '));
    let end = end.map_or(0, |last| last + 1).min(LONGEST_NOTE);
    String::from_utf8_lossy(&text[..end]).into_owned()
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

/// Events that are no part of an answer.
fn unexpected(event: &ClientEvent) -> RecordsError {
    RecordsError::Unexpected(match event {
        ClientEvent::UnknownType(number) => *number,
        ClientEvent::Values(_) => GET_VALUES_RESULT,
        ClientEvent::End(_) | ClientEvent::Stdout(_) | ClientEvent::Stderr(_) => END_REQUEST,
    })
}

impl From<ClientError> for RecordsError {
    fn from(error: ClientError) -> RecordsError {
        match error {
            ClientError::Record(RecordError::Version(version)) => RecordsError::Version(version),
            ClientError::Direction(number) => RecordsError::Type(number),
            ClientError::EndLength(_) => RecordsError::Unexpected(END_REQUEST),
            ClientError::Values(_) => RecordsError::Unexpected(GET_VALUES_RESULT),
        }
    }
}

#[cfg(test)]
mod tests {
    use fastcgi::{end_request, stderr, stdout, stdout_end};
    use proptest::prelude::*;

    use super::*;
    use crate::upstream::codec::Framing;

    const EXPECTED: Expectation = Expectation { is_head: false, upgrade: false, limit: 4096 };

    /// What was read: status, body, and what went to the log; or why not.
    type Read = Result<(u16, Vec<u8>, Vec<String>), String>;

    fn records() -> Records {
        let caught = Arc::from([Bytes::from_static(b"PHP Fatal")]);
        Records::new(&FastCgiRules { keep: true, caught })
    }

    /// Reads an answer that comes in these pieces, and then the connection's end.
    fn read(pieces: &[&[u8]]) -> Read {
        let (mut records, mut buffer) = (records(), BytesMut::new());
        let (mut status, mut body, mut notes) = (None, Vec::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            if status.is_none() {
                let head = records.head(&mut buffer, EXPECTED);
                status = head.map_err(|error| error.to_string())?.map(|head| head.status);
            }
            while status.is_some() {
                let taken = records.next(&mut buffer);
                notes.extend(records.notes().into_iter().map(|note| note.text));
                match taken.map_err(|error| error.to_string())? {
                    Taken::Data(data) => body.extend_from_slice(&data),
                    Taken::Nothing => break,
                    Taken::End => return Ok((status.unwrap_or_default(), body, notes)),
                }
            }
        }
        let complete = records.is_complete();
        status.filter(|_| complete).map(|status| (status, body, notes)).ok_or("closed".to_owned())
    }

    /// The same, whole, cut in two at every byte, and byte by byte.
    #[track_caller]
    fn check(wire: &[u8]) -> Read {
        let whole = read(&[wire]);
        let silent = |read: Read| read.map(|(status, body, _)| (status, body));
        for cut in 0..wire.len() {
            let parts = read(&[&wire[..cut], &wire[cut..]]);
            assert_eq!(silent(parts), silent(whole.clone()), "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(silent(read(&bytes)), silent(whole.clone()));
        whole
    }

    /// STDOUT in records of these texts, END_REQUEST.
    fn answer(texts: &[&str]) -> Vec<u8> {
        let mut wire = Vec::new();
        for text in texts {
            stdout(&mut wire, REQUEST_ID, text.as_bytes());
        }
        stdout_end(&mut wire, REQUEST_ID);
        end_request(&mut wire, REQUEST_ID, 0, ProtocolStatus::RequestComplete);
        wire
    }

    #[test]
    fn a_head_may_be_split_over_records_at_any_byte() {
        let text = "Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nbody";
        for cut in 1..text.len() {
            let read = check(&answer(&[&text[..cut], &text[cut..]])).unwrap();
            assert_eq!((read.0, &read.1[..]), (404, &b"body"[..]), "cut at {cut}");
        }
        let letters: Vec<&str> = text.split("").filter(|letter| !letter.is_empty()).collect();
        assert_eq!(check(&answer(&letters)).unwrap().1, b"body");
    }

    #[test]
    fn what_is_said_on_stderr_is_noted_in_between() {
        let mut wire = Vec::new();
        stdout(&mut wire, REQUEST_ID, b"X: y\n\nfirst ");
        stderr(&mut wire, REQUEST_ID, b"PHP Notice: odd.\n");
        stdout(&mut wire, REQUEST_ID, b"second");
        end_request(&mut wire, REQUEST_ID, 1, ProtocolStatus::RequestComplete);
        let (status, body, notes) = check(&wire).unwrap();
        assert_eq!((status, &body[..]), (200, &b"first second"[..]));
        assert_eq!(notes, ["FastCGI sent in stderr: \"PHP Notice: odd\""]);
    }

    #[test]
    fn what_is_caught_on_stderr_is_no_answer() {
        let mut wire = Vec::new();
        stderr(&mut wire, REQUEST_ID, b"PHP Fatal error");
        wire.extend(answer(&["X: y\n\n"]));
        let error = "FastCGI sent in stderr: \"PHP Fatal error\"";
        assert_eq!(read(&[&wire]), Err(error.to_owned()));
    }

    #[test]
    fn an_answer_is_as_long_as_it_says() {
        let exact = check(&answer(&["Content-Length: 4\n\nbody"])).unwrap();
        assert_eq!(exact.1, b"body");
        let long = check(&answer(&["Content-Length: 4\n\nbody and more", " still"])).unwrap();
        assert_eq!(long.1, b"body");
        assert_eq!(long.2, ["upstream sent more data than specified in \"Content-Length\" header"]);
        let short = check(&answer(&["Content-Length: 5\n\nbody"]));
        assert_eq!(short, Err("upstream prematurely closed FastCGI request".to_owned()));
    }

    #[test]
    fn a_connection_that_closes_early_has_broken_off() {
        let whole = answer(&["X: y\n\nbody"]);
        for cut in 0..whole.len() - 8 {
            assert_eq!(read(&[&whole[..cut]]), Err("closed".to_owned()), "cut at {cut}");
        }
        // All that was promised has come.
        let promised = answer(&["Content-Length: 4\n\nbody"]);
        assert_eq!(read(&[&promised[..promised.len() - 24]]).unwrap().1, b"body");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let refuse = |wire: &[u8], error: &str| {
            assert_eq!(check(wire), Err(error.to_owned()), "{wire:?}");
        };
        refuse(
            b"HTTP/1.1 200 OK\r\n\r\n",
            "upstream sent unsupported FastCGI protocol version: 72",
        );
        refuse(&[1, 5, 0, 1, 0, 0, 0, 0], "upstream sent invalid FastCGI record type: 5");
        refuse(&answer(&["BAD"]), "upstream prematurely closed FastCGI stdout");
        refuse(&answer(&["Status: abc\n\n"]), "upstream sent invalid status \"abc\"");
        refuse(&answer(&["no colon\n\n"]), "upstream sent invalid header: \"no colon\"");
        let big = answer(&[&"X: y\n".repeat(1000)]);
        assert_eq!(read(&[&big]), Err("upstream sent too big header".to_owned()));
        let mut full = Vec::new();
        end_request(&mut full, REQUEST_ID, 0, ProtocolStatus::Overloaded);
        refuse(&full, "upstream refused the FastCGI request: protocol status Overloaded");
    }

    #[test]
    fn what_breaks_behind_the_head_stays_broken() {
        let mut wire = Vec::new();
        stdout(&mut wire, REQUEST_ID, b"X: y\n\nbody");
        wire.extend([1, 5, 0, 1, 0, 0, 0, 0]);
        let mut buffer = BytesMut::from(&wire[..]);
        let mut records = records();
        records.head(&mut buffer, EXPECTED).unwrap().unwrap();
        assert_eq!(records.whole(&mut buffer), None);
        assert_eq!(records.next(&mut buffer), Ok(Taken::Data(Bytes::from_static(b"body"))));
        for _ in 0..2 {
            assert_eq!(records.next(&mut buffer), Err(RecordsError::Type(5)));
        }
    }

    #[test]
    fn a_whole_answer_is_one_piece_and_the_connection_is_clean() {
        let mut buffer = BytesMut::from(&answer(&["X: y\n\nbo", "dy"])[..]);
        let mut records = records();
        let head = records.head(&mut buffer, EXPECTED).unwrap().unwrap();
        assert!(head.keep && matches!(head.framing, Framing::UntilClose));
        assert!(!records.is_clean());
        assert_eq!(records.whole(&mut buffer).unwrap(), "body");
        assert!(records.is_clean() && buffer.is_empty());
        // One that is not whole keeps what has come.
        let wire = answer(&["X: y\n\nbody"]);
        let mut buffer = BytesMut::from(&wire[..wire.len() - 1]);
        let mut records = self::records();
        records.head(&mut buffer, EXPECTED).unwrap().unwrap();
        assert_eq!(records.whole(&mut buffer), None);
        assert_eq!(records.waiting(), 4);
        assert_eq!(records.next(&mut buffer), Ok(Taken::Data(Bytes::from_static(b"body"))));
    }

    proptest! {
        /// Whatever comes, and in whatever pieces: no panic, and the same answer.
        #[test]
        fn any_bytes_are_read_the_same_in_any_pieces(
            wire in proptest::collection::vec(
                prop_oneof![Just(0u8), Just(1), Just(3), Just(6), Just(7), Just(b'\n'), any::<u8>()],
                0..200,
            ),
            cut in 0..200usize,
        ) {
            let (first, second) = wire.split_at(cut.min(wire.len()));
            let silent = |read: Read| read.map(|(status, body, _)| (status, body)).ok();
            prop_assert_eq!(silent(read(&[&wire])), silent(read(&[first, second])));
        }
    }
}
