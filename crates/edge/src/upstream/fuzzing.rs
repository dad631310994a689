//! A door to the readers of answers for the fuzz targets, which stand outside of this crate.

use bytes::BytesMut;

use super::{
    Framing, Protocol,
    codec::Expectation,
    records::{Records, Taken},
};

/// What is read of an answer that comes in these pieces: its head in words, and what of its body came.
/// `None`: it is refused, or the head is not complete.
pub fn answer(protocol: &Protocol, pieces: &[&[u8]]) -> Option<(String, Vec<u8>)> {
    let expected = Expectation { is_head: false, upgrade: true, limit: 512 };
    let (mut reader, mut buffer) = (protocol.reader(), BytesMut::new());
    let (mut read, mut body) = (None, Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if read.is_none() {
            read = reader.head(&mut buffer, expected).ok()?;
        }
        if let Some(head) = &mut read {
            match &mut head.framing {
                Framing::FastCgi(records) => take_all(records, &mut buffer, &mut body)?,
                // An answer without a body: what else is said is not read.
                _ if matches!(protocol, Protocol::FastCgi(_)) => (),
                _ => body.extend_from_slice(&buffer.split()),
            }
        }
    }
    let head = read?;
    let framing = match head.framing {
        Framing::Length(length) => format!("length {length}"),
        Framing::Chunked(_) => "chunked".to_owned(),
        Framing::UntilClose => "until it closes".to_owned(),
        Framing::FastCgi(records) => {
            format!("records, complete {} clean {}", records.is_complete(), records.is_clean())
        }
    };
    let fields = head.fields.iter().map(|field| (field.name.to_vec(), field.value().to_vec()));
    let fields: Vec<_> = fields.collect();
    let (status, reason, keep) = (head.status, head.reason, head.keep);
    Some((format!("{status} {reason:?} {keep} {framing} {fields:?}"), body))
}

fn take_all(records: &mut Records, buffer: &mut BytesMut, body: &mut Vec<u8>) -> Option<()> {
    while let Taken::Data(data) = records.next(buffer).ok()? {
        body.extend_from_slice(&data);
    }
    Some(())
}
