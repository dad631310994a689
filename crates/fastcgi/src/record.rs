//! Records, §3.3: an eight-byte header, its content, padding.
//!
//! We send no padding: it would align content for peers that read into structures, and costs a copy
//! in ours. It is skipped when it comes.

use bytes::{Buf, Bytes, BytesMut};

pub const HEADER_LENGTH: usize = 8;
/// What one record can carry. Longer contents are split.
pub const MAX_CONTENT: usize = 65_535;

const VERSION: u8 = 1;

/// `FCGI_BEGIN_REQUEST` and so on, §8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    BeginRequest,
    AbortRequest,
    EndRequest,
    Params,
    Stdin,
    Stdout,
    Stderr,
    Data,
    GetValues,
    GetValuesResult,
    UnknownType,
    /// A type this version of the protocol does not define.
    Other(u8),
}

impl RecordKind {
    pub fn from_number(number: u8) -> RecordKind {
        match number {
            1 => RecordKind::BeginRequest,
            2 => RecordKind::AbortRequest,
            3 => RecordKind::EndRequest,
            4 => RecordKind::Params,
            5 => RecordKind::Stdin,
            6 => RecordKind::Stdout,
            7 => RecordKind::Stderr,
            8 => RecordKind::Data,
            9 => RecordKind::GetValues,
            10 => RecordKind::GetValuesResult,
            11 => RecordKind::UnknownType,
            other => RecordKind::Other(other),
        }
    }

    pub const fn number(self) -> u8 {
        match self {
            RecordKind::BeginRequest => 1,
            RecordKind::AbortRequest => 2,
            RecordKind::EndRequest => 3,
            RecordKind::Params => 4,
            RecordKind::Stdin => 5,
            RecordKind::Stdout => 6,
            RecordKind::Stderr => 7,
            RecordKind::Data => 8,
            RecordKind::GetValues => 9,
            RecordKind::GetValuesResult => 10,
            RecordKind::UnknownType => 11,
            RecordKind::Other(number) => number,
        }
    }

    /// Whether a part of the content is worth having before the rest: bodies and error output.
    /// PARAMS are a stream too, but nobody can use half a pair.
    fn flows(self) -> bool {
        matches!(
            self,
            RecordKind::Stdin | RecordKind::Stdout | RecordKind::Stderr | RecordKind::Data
        )
    }
}

/// What the web server asks the application to be, §6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Responder,
    Authorizer,
    Filter,
    Other(u16),
}

impl Role {
    pub(crate) fn from_number(number: u16) -> Role {
        match number {
            1 => Role::Responder,
            2 => Role::Authorizer,
            3 => Role::Filter,
            other => Role::Other(other),
        }
    }
}

/// Who closes the connection after the response, §5.1: with `Yes` the web server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepConnection {
    Yes,
    No,
}

/// How a request ended for the protocol, §5.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolStatus {
    RequestComplete,
    /// One request at a time on each connection.
    CannotMultiplex,
    Overloaded,
    UnknownRole,
    Other(u8),
}

impl ProtocolStatus {
    pub(crate) fn from_number(number: u8) -> ProtocolStatus {
        match number {
            0 => ProtocolStatus::RequestComplete,
            1 => ProtocolStatus::CannotMultiplex,
            2 => ProtocolStatus::Overloaded,
            3 => ProtocolStatus::UnknownRole,
            other => ProtocolStatus::Other(other),
        }
    }

    pub(crate) fn number(self) -> u8 {
        match self {
            ProtocolStatus::RequestComplete => 0,
            ProtocolStatus::CannotMultiplex => 1,
            ProtocolStatus::Overloaded => 2,
            ProtocolStatus::UnknownRole => 3,
            ProtocolStatus::Other(number) => number,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    pub kind: RecordKind,
    /// 0: about the connection, not about a request.
    pub request_id: u16,
    pub content: u16,
    pub padding: u8,
}

impl RecordHeader {
    pub const fn to_bytes(self) -> [u8; HEADER_LENGTH] {
        let [id_high, id_low] = self.request_id.to_be_bytes();
        let [length_high, length_low] = self.content.to_be_bytes();
        let kind = self.kind.number();
        [VERSION, kind, id_high, id_low, length_high, length_low, self.padding, 0]
    }

    pub fn parse(bytes: [u8; HEADER_LENGTH]) -> Result<RecordHeader, RecordError> {
        let [version, kind, id_high, id_low, length_high, length_low, padding, _reserved] = bytes;
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        Ok(RecordHeader {
            kind: RecordKind::from_number(kind),
            request_id: u16::from_be_bytes([id_high, id_low]),
            content: u16::from_be_bytes([length_high, length_low]),
            padding,
        })
    }
}

/// Why the connection can not be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Most often the peer does not speak FastCGI at all: 71 is `G` of `GET`.
    #[error("record of version \"{0}\", not 1")]
    Version(u8),
}

/// A record whose content is being appended to the buffer it begins in.
///
/// The length is filled in by `seal`; if it turned out to be more than one record can carry, `seal`
/// splits it. So whoever writes content need not know beforehand how long it will be.
#[derive(Debug)]
#[must_use = "a record that is not sealed has no length"]
pub struct OpenRecord {
    start: usize,
    kind: RecordKind,
    request_id: u16,
}

impl OpenRecord {
    pub fn begin(buffer: &mut Vec<u8>, kind: RecordKind, request_id: u16) -> OpenRecord {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; HEADER_LENGTH]);
        OpenRecord { start, kind, request_id }
    }

    /// Content appended so far.
    pub fn content_length(&self, buffer: &[u8]) -> usize {
        buffer.len() - self.start - HEADER_LENGTH
    }

    /// An empty record is taken back: in a stream it would mean the end.
    pub fn seal(self, buffer: &mut Vec<u8>) {
        let total = self.content_length(buffer);
        if total == 0 {
            buffer.truncate(self.start);
            return;
        }
        let records = total.div_ceil(MAX_CONTENT);
        buffer.resize(buffer.len() + (records - 1) * HEADER_LENGTH, 0);
        // From the last piece to the first: each moves right over room nothing else needs any more.
        for index in (0..records).rev() {
            let from = self.start + HEADER_LENGTH + index * MAX_CONTENT;
            let length = (total - index * MAX_CONTENT).min(MAX_CONTENT);
            let to = from + index * HEADER_LENGTH;
            if index > 0 {
                buffer.copy_within(from..from + length, to);
            }
            let header = content_header(self.kind, self.request_id, length);
            buffer[to - HEADER_LENGTH..to].copy_from_slice(&header);
        }
    }
}

/// The header of a record that carries `length` bytes, without padding.
pub(crate) fn content_header(kind: RecordKind, request_id: u16, length: usize) -> [u8; 8] {
    let content = u16::try_from(length).expect("content is split before it is framed");
    RecordHeader { kind, request_id, content, padding: 0 }.to_bytes()
}

/// Appends stream content, in as many records as it takes. Nothing, for nothing.
pub(crate) fn write_stream(buffer: &mut Vec<u8>, kind: RecordKind, request_id: u16, data: &[u8]) {
    for chunk in data.chunks(MAX_CONTENT) {
        buffer.extend_from_slice(&content_header(kind, request_id, chunk.len()));
        buffer.extend_from_slice(chunk);
    }
}

/// Takes records apart as their bytes arrive.
#[derive(Debug, Default)]
pub(crate) struct RecordReader {
    state: ReadState,
}

#[derive(Clone, Copy, Debug, Default)]
enum ReadState {
    #[default]
    Header,
    /// `left` bytes of the content are still to come.
    Content {
        header: RecordHeader,
        left: usize,
    },
    Padding(usize),
}

/// A record's content, or for kinds that flow, the part of it that has arrived. Empty content is
/// always a record that came empty: the end of its stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) kind: RecordKind,
    pub(crate) request_id: u16,
    pub(crate) content: Bytes,
}

impl RecordReader {
    /// `None`: more bytes are needed.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Piece>, RecordError> {
        loop {
            match self.state {
                ReadState::Header => {
                    let Some(bytes) = input.first_chunk::<HEADER_LENGTH>() else {
                        // What can not become a record is refused by its first byte, before a peer
                        // that speaks another protocol waits for an answer to half a line.
                        return match input.first() {
                            Some(version) if *version != VERSION => {
                                Err(RecordError::Version(*version))
                            }
                            _ => Ok(None),
                        };
                    };
                    let header = RecordHeader::parse(*bytes)?;
                    input.advance(HEADER_LENGTH);
                    self.state = ReadState::Content { header, left: usize::from(header.content) };
                }
                ReadState::Content { header, left } => {
                    // With id 0 it belongs to no stream, and is answered once: it comes whole.
                    let flows = header.kind.flows() && header.request_id != 0;
                    let take = if flows { left.min(input.len()) } else { left };
                    if take > input.len() || (take == 0 && left > 0) {
                        return Ok(None);
                    }
                    self.state = if take == left {
                        ReadState::Padding(usize::from(header.padding))
                    } else {
                        ReadState::Content { header, left: left - take }
                    };
                    let content = match take {
                        0 => Bytes::new(),
                        take => input.split_to(take).freeze(),
                    };
                    let RecordHeader { kind, request_id, .. } = header;
                    return Ok(Some(Piece { kind, request_id, content }));
                }
                ReadState::Padding(0) => self.state = ReadState::Header,
                ReadState::Padding(left) => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let skipped = left.min(input.len());
                    input.advance(skipped);
                    self.state = ReadState::Padding(left - skipped);
                }
            }
        }
    }

    /// Whether the bytes so far end where a record ends: where a peer may close the connection.
    pub(crate) fn is_between_records(&self) -> bool {
        matches!(self.state, ReadState::Header | ReadState::Padding(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(wire: &[u8]) -> Result<Vec<Piece>, RecordError> {
        let mut reader = RecordReader::default();
        let mut input = BytesMut::from(wire);
        let mut pieces = Vec::new();
        while let Some(piece) = reader.next(&mut input)? {
            pieces.push(piece);
        }
        Ok(pieces)
    }

    #[test]
    fn kinds_have_their_numbers() {
        for number in 0..=255 {
            assert_eq!(RecordKind::from_number(number).number(), number);
        }
    }

    #[test]
    fn a_long_content_is_split_where_a_record_is_full() {
        for length in [1, MAX_CONTENT - 1, MAX_CONTENT, MAX_CONTENT + 1, 3 * MAX_CONTENT + 7] {
            let content: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut sealed = b"before".to_vec();
            let record = OpenRecord::begin(&mut sealed, RecordKind::Params, 7);
            sealed.extend_from_slice(&content);
            assert_eq!(record.content_length(&sealed), length);
            record.seal(&mut sealed);
            let mut written = b"before".to_vec();
            write_stream(&mut written, RecordKind::Params, 7, &content);
            assert_eq!(sealed, written, "{length}");
        }
    }

    #[test]
    fn an_empty_content_leaves_no_record() {
        let mut buffer = b"before".to_vec();
        OpenRecord::begin(&mut buffer, RecordKind::Stdout, 1).seal(&mut buffer);
        assert_eq!(buffer, b"before");
    }

    #[test]
    fn padding_is_skipped() {
        let kind = RecordKind::Stdout;
        let mut wire =
            RecordHeader { kind, request_id: 1, content: 2, padding: 3 }.to_bytes().to_vec();
        wire.extend_from_slice(b"hi???");
        wire.extend(RecordHeader { kind, request_id: 1, content: 0, padding: 1 }.to_bytes());
        wire.extend_from_slice(b"?");
        let pieces = read_all(&wire).unwrap();
        let contents: Vec<&[u8]> = pieces.iter().map(|piece| &piece.content[..]).collect();
        assert_eq!(contents, [&b"hi"[..], b""]);
    }

    #[test]
    fn another_protocol_is_refused_by_its_first_byte() {
        assert_eq!(read_all(b"G"), Err(RecordError::Version(b'G')));
        assert_eq!(read_all(b"GET / HTTP/1.1\r\n"), Err(RecordError::Version(b'G')));
    }
}
