//! HTTP/2 as bytes: frame heads, and compressed header blocks as they come in pieces.

use bytes::{Bytes, BytesMut};
use http2::frame::{FrameHead, HEAD};
use http2::hpack::{Decoded, Decoder, Encoder};

pub(crate) fn run(data: &[u8]) {
    let Some((whole, part, rest)) = crate::cut(data) else { return };
    frame_head(whole);
    let at_once = decode(&[whole], 64);
    assert_eq!(at_once, decode(&[part, rest], 64), "cut at {}", part.len());
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    assert_eq!(at_once, decode(&bytes, 64), "byte by byte");
    if let Some(fields) = at_once {
        read_back(&fields);
    }
}

/// What is read is what would be written, but for the one bit that means nothing.
fn frame_head(data: &[u8]) {
    let Some(head) = data.first_chunk::<HEAD>() else { return };
    let mut written = Vec::new();
    FrameHead::read(*head).write(&mut written);
    let mut expected = *head;
    expected[5] &= 0x7f;
    assert_eq!(written, expected);
}

type Fields = Vec<(Bytes, Bytes)>;

/// The fields of a block; `None`: refused, or not complete.
fn decode(pieces: &[&[u8]], longest: usize) -> Option<Fields> {
    let (mut decoder, mut block) = (Decoder::default(), BytesMut::new());
    let mut fields = Fields::new();
    for piece in pieces {
        block.extend_from_slice(piece);
        while let Some(decoded) = decoder.next(&mut block, longest).ok()? {
            if let Decoded::Field { name, value } = decoded {
                assert!(!name.is_empty(), "a field has a name");
                fields.push((name, value));
            }
        }
    }
    block.is_empty().then_some(fields)
}

/// What was decoded, encoded again, is the same.
fn read_back(fields: &Fields) {
    let mut encoder = Encoder::with_capacity(256);
    for (name, value) in fields {
        encoder.field(name, value);
    }
    let again = decode(&[&encoder.finish()], usize::MAX).expect("what is encoded is decoded");
    let lower =
        fields.iter().map(|(name, value)| (name.to_ascii_lowercase().into(), value.clone()));
    assert_eq!(again, lower.collect::<Fields>());
}
