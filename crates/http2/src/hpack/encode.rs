//! Fields to blocks, RFC 7541 §6, without a table: names everybody knows by their numbers, values
//! by their letters' codes where those are shorter.

use super::{fixed, huffman, integer};

/// Says that no table is used, to a client that has changed the size of its own (RFC 7541 §4.2).
pub fn forget_table(out: &mut Vec<u8>) {
    out.push(0x20);
}

/// Writes one block.
#[derive(Debug)]
pub struct Encoder {
    block: Vec<u8>,
}

/// Statuses with a number of their own.
const STATUSES: [(u16, u8); 7] =
    [(200, 8), (204, 9), (206, 10), (304, 11), (400, 12), (404, 13), (500, 14)];

impl Encoder {
    pub fn with_capacity(bytes: usize) -> Encoder {
        Encoder { block: Vec::with_capacity(bytes) }
    }

    pub fn status(&mut self, status: u16) {
        match STATUSES.iter().find(|(known, _)| *known == status) {
            Some((_, number)) => self.block.push(0x80 | number),
            None => {
                // Without indexing, under the name of number 8.
                self.block.extend_from_slice(&[8, 3]);
                let digit = |of: u16| b'0' + (status / of % 10) as u8;
                self.block.extend_from_slice(&[digit(100), digit(10), digit(1)]);
            }
        }
    }

    /// The name may be in any case; it is written in lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        let lower;
        let name = if name.iter().any(u8::is_ascii_uppercase) {
            lower = name.to_ascii_lowercase();
            &lower[..]
        } else {
            name
        };
        match fixed::number(name) {
            Some(number) => integer::write(number, 4, 0, &mut self.block),
            None => {
                self.block.push(0);
                self.string(name);
            }
        }
        self.string(value);
    }

    fn string(&mut self, text: &[u8]) {
        let coded = huffman::encoded_length(text);
        if coded < text.len() {
            integer::write(coded, 7, 0x80, &mut self.block);
            huffman::encode(text, &mut self.block);
        } else {
            integer::write(text.len(), 7, 0, &mut self.block);
            self.block.extend_from_slice(text);
        }
    }

    pub fn finish(self) -> Vec<u8> {
        self.block
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;

    use super::*;
    use crate::hpack::{Decoded, Decoder};

    fn decode(block: &[u8]) -> Vec<(Bytes, Bytes)> {
        let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::from(block));
        let mut fields = Vec::new();
        while let Some(decoded) = decoder.next(&mut buffer, 1 << 20).unwrap() {
            if let Decoded::Field { name, value } = decoded {
                fields.push((name, value));
            }
        }
        fields
    }

    #[test]
    fn statuses() {
        for status in [100, 200, 302, 404, 507] {
            let mut encoder = Encoder::with_capacity(8);
            encoder.status(status);
            let fields = decode(&encoder.finish());
            assert_eq!(fields, [(Bytes::from(":status"), Bytes::from(status.to_string()))]);
        }
    }

    #[test]
    fn known_names_are_numbers() {
        let mut encoder = Encoder::with_capacity(8);
        encoder.field(b"Server", b"");
        encoder.field(b"X", b"{{{{{");
        assert_eq!(encoder.finish(), b"\x0f\x27\x00\x00\x01x\x05{{{{{");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            fields in prop::collection::vec(("[a-z-]{1,20}", prop::collection::vec(any::<u8>(), 0..300)), 0..10)
        ) {
            let mut encoder = Encoder::with_capacity(0);
            for (name, value) in &fields {
                encoder.field(name.as_bytes(), value);
            }
            let decoded = decode(&encoder.finish());
            let expected: Vec<_> = fields
                .into_iter()
                .map(|(name, value)| (Bytes::from(name), Bytes::from(value)))
                .collect();
            prop_assert_eq!(decoded, expected);
        }
    }
}
