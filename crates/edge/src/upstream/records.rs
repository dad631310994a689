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

    /// The next piece of the body.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Taken, RecordsError> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Ok(Taken::Data(data));
            }
            if self.ended {
                let short = self.rest.is_some_and(|rest| rest > 0);
                return if short { Err(RecordsError::TooShort) } else { Ok(Taken::End) };
            }
            match self.connection.next(buffer)? {
                None => return Ok(Taken::Nothing),
                Some(ClientEvent::Stdout(data)) => self.accept(data),
                Some(ClientEvent::Stderr(text)) => self.note_stderr(&spoken(&text)),
                Some(ClientEvent::End(_)) => self.ended = true,
                Some(event) => return Err(unexpected(&event)),
            }
        }
    }

    /// The whole body, if all of it is here.
    pub fn whole(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        let mut pieces = Vec::new();
        let end = loop {
            match self.next(buffer) {
                Ok(Taken::Data(data)) => pieces.push(data),
                end => break end,
            }
        };
        if end == Ok(Taken::End) {
            return Some(match &mut pieces[..] {
                [] => Bytes::new(),
                [piece] => std::mem::take(piece),
                pieces => pieces.concat().into(),
            });
        }
        self.ready = pieces.into();
        None
    }

    /// Whether a connection that closes now has left nothing out.
    pub fn is_complete(&self) -> bool {
        self.ended || self.rest == Some(0)
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
