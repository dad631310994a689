//! A door to the response codec for the fuzz targets, which stand outside of this crate.

use bytes::BytesMut;

use super::codec::{Expectation, Framing, Opening, head};

/// What is read of a head that comes in these pieces, in words, and how many bytes are left behind it;
/// `None`: it is refused, or not complete.
pub fn response_head(pieces: &[&[u8]]) -> Option<(String, usize)> {
    let mut buffer = BytesMut::new();
    let mut read = None;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if read.is_none() {
            let expected = Expectation { is_head: false, upgrade: true, limit: 512 };
            read = head(&mut buffer, Opening::StatusLine, expected).ok()?;
        }
    }
    let head = read?;
    let framing = match head.framing {
        Framing::Length(length) => format!("length {length}"),
        Framing::Chunked(_) => "chunked".to_owned(),
        // An HTTP head never says so.
        Framing::FastCgi(_) => return None,
        Framing::UntilClose => "until it closes".to_owned(),
    };
    let fields = head.headers.iter().map(|field| (field.name.clone(), field.value.clone()));
    let fields: Vec<_> = fields.collect();
    let (status, reason, keep) = (head.status, head.reason, head.keep);
    Some((format!("{status} {reason:?} {keep} {framing} {fields:?}"), buffer.len()))
}
