//! A chunked body: the same body and the same end, however it comes.

use bytes::BytesMut;
use http1::{Chunked, LineEnds, Piece, chunk_head};

pub(crate) fn run(data: &[u8]) {
    let Some((whole, part, rest)) = crate::cut(data) else { return };
    for ends in [LineEnds::Strict, LineEnds::Lenient] {
        let at_once = decode(&[whole], ends);
        assert_eq!(at_once, decode(&[part, rest], ends), "cut at {}", part.len());
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(at_once, decode(&bytes, ends), "byte by byte");
        if let Some((body, left)) = at_once {
            read_back(&body, whole.len() - left, ends);
        }
    }
}

/// The body and what is left behind its end; `None`: refused, or not complete.
fn decode(pieces: &[&[u8]], ends: LineEnds) -> Option<(Vec<u8>, usize)> {
    let mut chunked = Chunked::new(ends);
    let (mut buffer, mut body) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Piece::Data(data) = chunked.next(&mut buffer).ok()? {
            assert!(!data.is_empty(), "a piece of data has bytes in it");
            body.extend_from_slice(&data);
        }
    }
    chunked.is_end().then_some((body, buffer.len()))
}

/// What was decoded, written again, is the same body in no more bytes than it can need.
fn read_back(body: &[u8], length: usize, ends: LineEnds) {
    assert!(body.len() < length, "framing takes bytes");
    let mut written = Vec::new();
    if !body.is_empty() {
        chunk_head(body.len(), &mut written);
        written.extend_from_slice(body);
        written.extend_from_slice(b"\r\n");
    }
    written.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(decode(&[&written], ends), Some((body.to_vec(), 0)));
}
