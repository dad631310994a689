//! The web server's end of a connection: a request out, its response in.

use bytes::{Bytes, BytesMut};

use crate::params::{Params, ParamsError, write_pair};
use crate::record::{
    KeepConnection, OpenRecord, ProtocolStatus, RecordError, RecordHeader, RecordKind,
    RecordReader, content_header, write_stream,
};

const RESPONDER: u8 = 1;
const KEEP_CONN: u8 = 1;

/// Writes BEGIN_REQUEST and PARAMS. `params_end` completes them; STDIN follows.
#[derive(Debug)]
pub struct RequestWriter<'a> {
    buffer: &'a mut Vec<u8>,
    request_id: u16,
    params: OpenRecord,
}

impl<'a> RequestWriter<'a> {
    /// `request_id` is not 0: that one means the connection.
    pub fn begin(
        buffer: &'a mut Vec<u8>,
        request_id: u16,
        keep: KeepConnection,
    ) -> RequestWriter<'a> {
        let flags = match keep {
            KeepConnection::Yes => KEEP_CONN,
            KeepConnection::No => 0,
        };
        buffer.extend_from_slice(&content_header(RecordKind::BeginRequest, request_id, 8));
        buffer.extend_from_slice(&[0, RESPONDER, flags, 0, 0, 0, 0, 0]);
        let params = OpenRecord::begin(buffer, RecordKind::Params, request_id);
        RequestWriter { buffer, request_id, params }
    }

    pub fn param(&mut self, name: &[u8], value: &[u8]) {
        write_pair(self.buffer, name, value);
    }

    pub fn params_end(self) {
        self.params.seal(self.buffer);
        self.buffer.extend_from_slice(&content_header(RecordKind::Params, self.request_id, 0));
    }
}

/// Appends a part of the request's body.
pub fn stdin(buffer: &mut Vec<u8>, request_id: u16, data: &[u8]) {
    write_stream(buffer, RecordKind::Stdin, request_id, data);
}

/// The end of the request's body. A request without one has it too.
pub fn stdin_end(buffer: &mut Vec<u8>, request_id: u16) {
    buffer.extend_from_slice(&content_header(RecordKind::Stdin, request_id, 0));
}

/// For a body that is not copied next to its header: 1 to `MAX_CONTENT` bytes follow in the same
/// vectored write.
pub const fn stdin_header(request_id: u16, length: u16) -> [u8; 8] {
    let kind = RecordKind::Stdin;
    RecordHeader { kind, request_id, content: length, padding: 0 }.to_bytes()
}

/// Asks the application to stop, §5.4. It still answers with END_REQUEST.
pub fn abort_request(buffer: &mut Vec<u8>, request_id: u16) {
    buffer.extend_from_slice(&content_header(RecordKind::AbortRequest, request_id, 0));
}

/// Asks what the application can do, §4.1: `FCGI_MAX_CONNS`, `FCGI_MAX_REQS`, `FCGI_MPXS_CONNS`.
pub fn get_values(buffer: &mut Vec<u8>, names: &[&str]) {
    let record = OpenRecord::begin(buffer, RecordKind::GetValues, 0);
    for name in names {
        write_pair(buffer, name.as_bytes(), b"");
    }
    record.seal(buffer);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// A part of the response, never empty. There is no event for the stream's end: an application
    /// may leave its empty record out, and END_REQUEST follows either way.
    Stdout(Bytes),
    Stderr(Bytes),
    /// Nothing more comes for this request.
    End(End),
    /// The answer to `get_values`.
    Values(Params),
    /// The application does not know a management record we sent.
    UnknownType(u8),
}

/// END_REQUEST, §5.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Not 0: the application broke off, and what came is not the whole response.
    pub app_status: u32,
    pub protocol_status: ProtocolStatus,
}

/// Why a response can not be read on, and the connection not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("END_REQUEST of {0} bytes, not 8")]
    EndLength(usize),
    #[error("GET_VALUES_RESULT: {0}")]
    Values(#[from] ParamsError),
    /// A record only a web server sends: the peer is not an application.
    #[error("record of type \"{0}\", which only a web server sends")]
    Direction(u8),
}

/// Reads what an application sends, for one request after the other.
#[derive(Debug, Default)]
pub struct ClientConnection {
    records: RecordReader,
    request_id: u16,
}

impl ClientConnection {
    pub fn new() -> ClientConnection {
        ClientConnection::default()
    }

    /// From now on events are about this request. What comes late for another (one that was
    /// aborted, say) is passed over.
    pub fn expect(&mut self, request_id: u16) {
        self.request_id = request_id;
    }

    /// `None`: more bytes are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<ClientEvent>, ClientError> {
        while let Some(piece) = self.records.next(input)? {
            let ours = piece.request_id == self.request_id;
            return Ok(Some(match piece.kind {
                RecordKind::Stdout if ours && !piece.content.is_empty() => {
                    ClientEvent::Stdout(piece.content)
                }
                RecordKind::Stderr if ours && !piece.content.is_empty() => {
                    ClientEvent::Stderr(piece.content)
                }
                RecordKind::EndRequest => {
                    let end = read_end(&piece.content)?;
                    if !ours {
                        continue;
                    }
                    ClientEvent::End(end)
                }
                RecordKind::GetValuesResult => ClientEvent::Values(Params::parse(piece.content)?),
                RecordKind::UnknownType => {
                    ClientEvent::UnknownType(piece.content.first().copied().unwrap_or_default())
                }
                RecordKind::BeginRequest
                | RecordKind::AbortRequest
                | RecordKind::Params
                | RecordKind::Stdin
                | RecordKind::Data
                | RecordKind::GetValues => return Err(ClientError::Direction(piece.kind.number())),
                RecordKind::Stdout | RecordKind::Stderr | RecordKind::Other(_) => continue,
            }));
        }
        Ok(None)
    }

    /// Whether a peer that closes the connection now does so between two records.
    pub fn is_between_records(&self) -> bool {
        self.records.is_between_records()
    }
}

fn read_end(content: &[u8]) -> Result<End, ClientError> {
    let [a, b, c, d, status, _, _, _] = *content else {
        return Err(ClientError::EndLength(content.len()));
    };
    let protocol_status = ProtocolStatus::from_number(status);
    Ok(End { app_status: u32::from_be_bytes([a, b, c, d]), protocol_status })
}
