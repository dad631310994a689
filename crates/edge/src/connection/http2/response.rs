//! An answer's head to fields: what HTTP/1 says in lines, without what is about one connection.

use http2::hpack::{Decoded, Decoder, Encoder};

use super::super::response_head::fields;
use crate::{
    exchange::Exchange,
    headers::{Header, Headers},
    modules::core::Core,
    response::Response,
};

/// What a block is given room for; most need less.
const BLOCK: usize = 256;

pub(in crate::connection) fn head(
    exchange: &Exchange,
    core: &Core,
    response: &Response,
) -> Vec<u8> {
    let mut encoder = Encoder::with_capacity(BLOCK);
    encoder.status(match response.status {
        494..=497 => 400,
        status => status,
    });
    let mut field = |name: &[u8], value: &[u8]| {
        if !is_about_the_connection(name) {
            encoder.field(name, value);
        }
    };
    fields(exchange, core, response, false, &mut field, |_| ());
    encoder.finish()
}

/// The fields after a body.
pub(in crate::connection) fn block(trailers: &Headers) -> Vec<u8> {
    let mut encoder = Encoder::with_capacity(BLOCK);
    trailers.iter().for_each(|field| encoder.field(&field.name, &field.value));
    encoder.finish()
}

/// RFC 9113 §8.2.2. A client may take a stream that says such a thing for broken.
fn is_about_the_connection(name: &[u8]) -> bool {
    const NAMES: [&str; 5] =
        ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"];
    matches!(name.len(), 7 | 10 | 16 | 17)
        && NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// The fields of a head that was sent, for those who ask for them afterwards.
pub fn sent_fields(block: &[u8]) -> Vec<Header> {
    let (mut decoder, mut rest) = (Decoder::default(), bytes::BytesMut::from(block));
    let mut fields = Vec::new();
    while let Ok(Some(decoded)) = decoder.next(&mut rest, usize::MAX) {
        if let Decoded::Field { name, value } = decoded {
            fields.push(Header { name, value });
        }
    }
    fields
}
