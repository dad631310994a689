//! The application's end of a connection: a request in, its response out.
//!
//! One request at a time: an application that blocks in one could not answer another on the same
//! connection. What the protocol alone decides (GET_VALUES, a record of unknown type, a second
//! request, a role that is not offered) is answered here, into the caller's buffer.

use bytes::{Bytes, BytesMut};

use crate::params::{Params, ParamsError, write_pair};
use crate::record::{
    KeepConnection, OpenRecord, ProtocolStatus, RecordError, RecordHeader, RecordKind,
    RecordReader, Role, content_header, write_stream,
};

const KEEP_CONN: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    Begin(Begin),
    /// Complete. STDIN follows.
    Params(Params),
    /// A part of the request's body, never empty.
    Stdin(Bytes),
    StdinEnd,
    /// The web server wants no response any more, §5.4. END_REQUEST is still owed.
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    pub request_id: u16,
    pub keep: KeepConnection,
}

/// What an application allows, and says when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Bytes of PARAMS in one request.
    pub params: usize,
    /// `FCGI_MAX_CONNS`, and `FCGI_MAX_REQS` too: each connection carries one request at a time.
    pub connections: usize,
}

/// Why a connection can not be read on. It is closed without an answer: what the peer would read
/// into it can not be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("BEGIN_REQUEST of {0} bytes, not 8")]
    BeginLength(usize),
    #[error("BEGIN_REQUEST for request \"{0}\", which has not ended")]
    BegunTwice(u16),
    #[error("a request with id 0, which means the connection")]
    RequestZero,
    #[error(transparent)]
    Params(#[from] ParamsError),
    #[error("parameters of more than {0} bytes")]
    ParamsTooLarge(usize),
    /// STDIN before PARAMS have ended, or a record only an application sends.
    #[error("unexpected record of type \"{0}\"")]
    Unexpected(u8),
}

/// Reads what a web server sends.
#[derive(Debug)]
pub struct ServerConnection {
    records: RecordReader,
    limits: ServerLimits,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No request. Records of the one before may still come, and are passed over (§3.3 calls its
    /// id inactive).
    Idle,
    Params {
        request_id: u16,
        /// The first record. Nearly always the only one, and then it is not copied.
        first: Bytes,
        /// All of them, once there is a second.
        joined: BytesMut,
    },
    Stdin {
        request_id: u16,
    },
    /// The body has ended, the response has not.
    Answering {
        request_id: u16,
    },
}

impl ServerConnection {
    pub fn new(limits: ServerLimits) -> ServerConnection {
        ServerConnection { records: RecordReader::default(), limits, state: State::Idle }
    }

    /// END_REQUEST has been written: the next request may begin.
    pub fn finish(&mut self) {
        self.state = State::Idle;
    }

    /// Whether the connection may be closed with nobody losing anything.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.records.is_between_records()
    }

    /// `None`: more bytes are needed. `answers` is to be written before waiting for them.
    pub fn next(
        &mut self,
        input: &mut BytesMut,
        answers: &mut Vec<u8>,
    ) -> Result<Option<ServerEvent>, ServerError> {
        while let Some(piece) = self.records.next(input)? {
            let current = self.request_id();
            let event = match piece.kind {
                RecordKind::Other(number) => {
                    unknown_type(answers, number);
                    None
                }
                RecordKind::GetValues if piece.request_id == 0 => {
                    self.values(&Params::parse(piece.content)?, answers);
                    None
                }
                RecordKind::BeginRequest => {
                    self.begin(piece.request_id, &piece.content, answers)?
                }
                kind if piece.request_id == 0 => {
                    unknown_type(answers, kind.number());
                    None
                }
                _ if current != Some(piece.request_id) => None,
                RecordKind::AbortRequest => Some(ServerEvent::Abort),
                RecordKind::Params => self.params(piece.content)?,
                RecordKind::Stdin => self.stdin(piece.content)?,
                // Only a filter has data, and that role is not offered.
                kind => return Err(ServerError::Unexpected(kind.number())),
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    fn request_id(&self) -> Option<u16> {
        match self.state {
            State::Idle => None,
            State::Params { request_id, .. }
            | State::Stdin { request_id }
            | State::Answering { request_id } => Some(request_id),
        }
    }

    fn begin(
        &mut self,
        request_id: u16,
        content: &[u8],
        answers: &mut Vec<u8>,
    ) -> Result<Option<ServerEvent>, ServerError> {
        let [role_high, role_low, flags, _, _, _, _, _] = *content else {
            return Err(ServerError::BeginLength(content.len()));
        };
        if request_id == 0 {
            return Err(ServerError::RequestZero);
        }
        match self.request_id() {
            Some(current) if current == request_id => {
                return Err(ServerError::BegunTwice(request_id));
            }
            Some(_) => {
                end_request(answers, request_id, 0, ProtocolStatus::CannotMultiplex);
                return Ok(None);
            }
            None => (),
        }
        if Role::from_number(u16::from_be_bytes([role_high, role_low])) != Role::Responder {
            end_request(answers, request_id, 0, ProtocolStatus::UnknownRole);
            return Ok(None);
        }
        self.state = State::Params { request_id, first: Bytes::new(), joined: BytesMut::new() };
        let keep = if flags & KEEP_CONN == 0 { KeepConnection::No } else { KeepConnection::Yes };
        Ok(Some(ServerEvent::Begin(Begin { request_id, keep })))
    }

    fn params(&mut self, content: Bytes) -> Result<Option<ServerEvent>, ServerError> {
        let State::Params { request_id, first, joined } = &mut self.state else {
            return Err(ServerError::Unexpected(RecordKind::Params.number()));
        };
        if content.is_empty() {
            let block = if joined.is_empty() {
                std::mem::take(first)
            } else {
                std::mem::take(joined).freeze()
            };
            self.state = State::Stdin { request_id: *request_id };
            return Ok(Some(ServerEvent::Params(Params::parse(block)?)));
        }
        if first.len().max(joined.len()) + content.len() > self.limits.params {
            return Err(ServerError::ParamsTooLarge(self.limits.params));
        }
        if first.is_empty() {
            *first = content;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(first);
            }
            joined.extend_from_slice(&content);
        }
        Ok(None)
    }

    fn stdin(&mut self, content: Bytes) -> Result<Option<ServerEvent>, ServerError> {
        let State::Stdin { request_id } = self.state else {
            return Err(ServerError::Unexpected(RecordKind::Stdin.number()));
        };
        if content.is_empty() {
            self.state = State::Answering { request_id };
            return Ok(Some(ServerEvent::StdinEnd));
        }
        Ok(Some(ServerEvent::Stdin(content)))
    }

    /// §4.1: names we do not know are left out.
    fn values(&self, asked: &Params, answers: &mut Vec<u8>) {
        let connections = self.limits.connections.to_string();
        // Not sealed as a stream is: an empty result is an answer, not an end.
        let start = answers.len();
        answers.extend_from_slice(&[0; 8]);
        let known: [(&[u8], &[u8]); 3] = [
            (b"FCGI_MAX_CONNS", connections.as_bytes()),
            (b"FCGI_MAX_REQS", connections.as_bytes()),
            (b"FCGI_MPXS_CONNS", b"0"),
        ];
        // Each once, however often it was asked for: the answer has to fit one record.
        for (name, value) in known {
            if asked.get(name).is_some() {
                write_pair(answers, name, value);
            }
        }
        let header = content_header(RecordKind::GetValuesResult, 0, answers.len() - start - 8);
        answers[start..start + 8].copy_from_slice(&header);
    }
}

/// Appends a part of the response.
pub fn stdout(buffer: &mut Vec<u8>, request_id: u16, data: &[u8]) {
    write_stream(buffer, RecordKind::Stdout, request_id, data);
}

/// For a body that is not copied next to its header: 1 to `MAX_CONTENT` bytes follow.
pub fn stdout_header(request_id: u16, length: u16) -> [u8; 8] {
    let kind = RecordKind::Stdout;
    RecordHeader { kind, request_id, content: length, padding: 0 }.to_bytes()
}

/// The end of the response's stream. §5.3 wants it where anything was sent; a peer that waits for
/// END_REQUEST can do without, and nginx is one.
pub fn stdout_end(buffer: &mut Vec<u8>, request_id: u16) {
    buffer.extend_from_slice(&content_header(RecordKind::Stdout, request_id, 0));
}

/// Appends text for the web server's error log.
pub fn stderr(buffer: &mut Vec<u8>, request_id: u16, text: &[u8]) {
    write_stream(buffer, RecordKind::Stderr, request_id, text);
}

/// `app_status` not 0: the response broke off.
pub fn end_request(
    buffer: &mut Vec<u8>,
    request_id: u16,
    app_status: u32,
    protocol_status: ProtocolStatus,
) {
    buffer.extend_from_slice(&content_header(RecordKind::EndRequest, request_id, 8));
    buffer.extend_from_slice(&app_status.to_be_bytes());
    buffer.extend_from_slice(&[protocol_status.number(), 0, 0, 0]);
}

/// §4.2.
fn unknown_type(answers: &mut Vec<u8>, number: u8) {
    let record = OpenRecord::begin(answers, RecordKind::UnknownType, 0);
    answers.extend_from_slice(&[number, 0, 0, 0, 0, 0, 0, 0]);
    record.seal(answers);
}
