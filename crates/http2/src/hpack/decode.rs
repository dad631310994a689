//! Blocks to fields, RFC 7541 §3.2: with the table that the client and this side keep alike.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::{fixed::FIELDS, huffman, integer};

/// How large the client's table may be: the size it has unless settings say otherwise, and they
/// never do.
pub const TABLE_SIZE: usize = 4096;

/// What an entry costs beyond its text (RFC 7541 §4.1).
const ENTRY: usize = 32;

/// Letters are decoded into stretches of this size, which several fields share.
const STRETCH: usize = 2048;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    Field {
        name: Bytes,
        value: Bytes,
    },
    /// The table has another size from here on.
    TableSize,
}

/// Why a block has no meaning. Whatever it is, the tables may differ from here on, and the
/// connection is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HpackError {
    #[error("header block with too long header index value")]
    IndexTooLong,
    #[error("header block with too long size update value")]
    SizeTooLong,
    #[error("header field with too long length value")]
    LengthTooLong,
    #[error("too large header field")]
    StringTooLong,
    #[error("invalid encoded header field")]
    Letters,
    #[error("zero header name length")]
    EmptyName,
    #[error("invalid hpack table index")]
    Index,
    #[error("invalid table size update")]
    TableSize,
}

#[derive(Debug)]
pub struct Decoder {
    /// Youngest first.
    entries: VecDeque<(Bytes, Bytes)>,
    size: usize,
    limit: usize,
    letters: BytesMut,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { entries: VecDeque::new(), size: 0, limit: TABLE_SIZE, letters: BytesMut::new() }
    }
}

/// A string as it stands in a block.
struct Text {
    start: usize,
    end: usize,
    huffman: bool,
}

impl Decoder {
    /// The next field at the front of `block`; strings are no longer than `longest` as they are
    /// written. `None`: it is not whole.
    pub fn next(
        &mut self,
        block: &mut BytesMut,
        longest: usize,
    ) -> Result<Option<Decoded>, HpackError> {
        let Some(first) = block.first() else { return Ok(None) };
        match *first {
            0x80.. => {
                let read = integer::read(block, 7).map_err(|_| HpackError::IndexTooLong)?;
                let Some((index, length)) = read else { return Ok(None) };
                let (name, value) = self.entry(index)?;
                let _read = block.split_to(length);
                Ok(Some(Decoded::Field { name, value }))
            }
            0x40..=0x7f => self.literal(block, 6, longest, Keep::Yes),
            0x20..=0x3f => {
                let read = integer::read(block, 5).map_err(|_| HpackError::SizeTooLong)?;
                let Some((limit, length)) = read else { return Ok(None) };
                if limit > TABLE_SIZE {
                    return Err(HpackError::TableSize);
                }
                let _read = block.split_to(length);
                self.limit = limit;
                self.shrink(limit);
                Ok(Some(Decoded::TableSize))
            }
            0..=0x1f => self.literal(block, 4, longest, Keep::No),
        }
    }

    /// Lets go of memory that only the next block would use.
    pub fn rest(&mut self) {
        self.letters = BytesMut::new();
    }

    fn literal(
        &mut self,
        block: &mut BytesMut,
        prefix: u32,
        longest: usize,
        keep: Keep,
    ) -> Result<Option<Decoded>, HpackError> {
        let read = integer::read(block, prefix).map_err(|_| HpackError::IndexTooLong)?;
        let Some((index, mut at)) = read else { return Ok(None) };
        let mut known = None;
        let mut name = None;
        if index == 0 {
            let Some(text) = string(block, at, longest)? else { return Ok(None) };
            if text.start == text.end {
                return Err(HpackError::EmptyName);
            }
            at = text.end;
            name = Some(text);
        } else {
            known = Some(self.entry(index)?.0);
        }
        let Some(value) = string(block, at, longest)? else { return Ok(None) };
        let whole = block.split_to(value.end).freeze();
        let name = match (known, name) {
            (None, Some(text)) => self.text(&whole, &text)?,
            (known, _) => known.expect("a name without a number has been read"),
        };
        if name.is_empty() {
            return Err(HpackError::EmptyName);
        }
        let value = self.text(&whole, &value)?;
        if keep == Keep::Yes {
            self.add(&name, &value);
        }
        Ok(Some(Decoded::Field { name, value }))
    }

    fn text(&mut self, block: &Bytes, text: &Text) -> Result<Bytes, HpackError> {
        if !text.huffman {
            return Ok(block.slice(text.start..text.end));
        }
        let codes = &block[text.start..text.end];
        // No code has fewer than five bits.
        let most = codes.len() * 8 / 5;
        if self.letters.capacity() < most {
            self.letters = BytesMut::with_capacity(most.max(STRETCH));
        }
        let letters = &mut self.letters;
        let decoded = huffman::decode(codes, |letter| letters.extend_from_slice(&[letter]));
        let text = letters.split().freeze();
        decoded.map(|()| text).map_err(|_| HpackError::Letters)
    }

    fn entry(&self, index: usize) -> Result<(Bytes, Bytes), HpackError> {
        let place = index.checked_sub(1).ok_or(HpackError::Index)?;
        match FIELDS.get(place) {
            Some((name, value)) => {
                let fixed = |text: &'static str| Bytes::from_static(text.as_bytes());
                Ok((fixed(name), fixed(value)))
            }
            None => self.entries.get(place - FIELDS.len()).cloned().ok_or(HpackError::Index),
        }
    }

    fn add(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY;
        // One that is larger than the table empties it (RFC 7541 §4.4).
        self.shrink(self.limit.saturating_sub(size));
        if size <= self.limit {
            self.size += size;
            // A copy: a table of slices would keep everything they were read with.
            let text: Bytes = [name, value].concat().into();
            self.entries.push_front((text.slice(..name.len()), text.slice(name.len()..)));
        }
    }

    fn shrink(&mut self, to: usize) {
        while self.size > to {
            let (name, value) = self.entries.pop_back().expect("what has a size has entries");
            self.size -= name.len() + value.len() + ENTRY;
        }
    }
}

/// Whether a field goes into the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

fn string(block: &[u8], at: usize, longest: usize) -> Result<Option<Text>, HpackError> {
    let rest = &block[at..];
    let read = integer::read(rest, 7).map_err(|_| HpackError::LengthTooLong)?;
    let Some((length, taken)) = read else { return Ok(None) };
    if length > longest {
        return Err(HpackError::StringTooLong);
    }
    let start = at + taken;
    let text = Text { start, end: start + length, huffman: rest[0] & 0x80 != 0 };
    Ok((text.end <= block.len()).then_some(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode_in_pieces(
        decoder: &mut Decoder,
        block: &[u8],
        piece: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, HpackError> {
        let (mut buffer, mut fields) = (BytesMut::new(), Vec::new());
        for piece in block.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(decoded) = decoder.next(&mut buffer, 4096)? {
                if let Decoded::Field { name, value } = decoded {
                    fields.push((name, value));
                }
            }
        }
        assert!(buffer.is_empty(), "{buffer:?} is left");
        Ok(fields)
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    /// Appendices C.3, C.4: the same three requests, without letters' codes and with them.
    #[test]
    fn requests_of_the_standard() {
        let requests: [&[(&str, &str)]; 3] = [
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "www.example.com"),
            ],
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "www.example.com"),
                ("cache-control", "no-cache"),
            ],
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/index.html"),
                (":authority", "www.example.com"),
                ("custom-key", "custom-value"),
            ],
        ];
        let plain = [
            "828684410f7777772e6578616d706c652e636f6d",
            "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ];
        let coded = [
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            "828684be5886a8eb10649cbf",
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        ];
        for blocks in [plain, coded] {
            for piece in [1, 2, 3, 1000] {
                let mut decoder = Decoder::default();
                for (block, fields) in blocks.iter().zip(requests) {
                    let decoded = decode_in_pieces(&mut decoder, &hex(block), piece).unwrap();
                    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
                    let decoded: Vec<_> = decoded.iter().map(|(n, v)| (text(n), text(v))).collect();
                    let fields: Vec<_> =
                        fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
                    assert_eq!(decoded, fields);
                }
                assert_eq!(decoder.size, 164);
            }
        }
    }

    /// Appendix C.5: a table of 256 bytes, and what falls out of it.
    #[test]
    fn entries_fall_out() {
        let mut decoder = Decoder::default();
        decode_in_pieces(&mut decoder, &hex("3fe101"), 1).unwrap();
        assert_eq!(decoder.limit, 256);
        let first = "4803333032 5807707269766174 65611d4d6f6e2c203231204f63742032303133\
                     2032303a31333a323120474d54 6e1768747470733a2f2f7777772e6578616d706c652e636f6d";
        decode_in_pieces(&mut decoder, &hex(first), 1).unwrap();
        assert_eq!((decoder.entries.len(), decoder.size), (4, 222));
        let second = decode_in_pieces(&mut decoder, &hex("4803333037c1c0bf"), 1).unwrap();
        assert_eq!(second[0], (Bytes::from(":status"), Bytes::from("307")));
        assert_eq!(second[3].0, "location");
        assert_eq!((decoder.entries.len(), decoder.size), (4, 222));
        assert_eq!(decoder.entries[0].1, "307");
    }

    #[test]
    fn what_has_no_meaning() {
        let check = |block: &str, error| {
            let decoded = decode_in_pieces(&mut Decoder::default(), &hex(block), 1);
            assert_eq!(decoded, Err(error), "{block}");
        };
        check("80", HpackError::Index);
        check("be", HpackError::Index);
        check("7f00 00", HpackError::Index);
        check("ffffffff", HpackError::IndexTooLong);
        check("3fffffff", HpackError::SizeTooLong);
        check("42ffffffff", HpackError::LengthTooLong);
        check("3fe21f", HpackError::TableSize);
        check("4000", HpackError::EmptyName);
        check("427fffff7f", HpackError::StringTooLong);
        check("4282ffff", HpackError::Letters);
    }

    #[test]
    fn a_table_as_large_as_one_entry_holds_it() {
        let mut decoder = Decoder::default();
        let (name, value) = ([b'n'; 2000], [b'v'; 2064]);
        decoder.add(&name, &value);
        assert_eq!((decoder.entries.len(), decoder.size), (1, TABLE_SIZE));
        decoder.add(&name, &[b'v'; 2065]);
        assert_eq!((decoder.entries.len(), decoder.size), (0, 0));
    }

    proptest! {
        #[test]
        fn no_block_panics(block: Vec<u8>, piece in 1_usize..20) {
            let mut decoder = Decoder::default();
            let mut buffer = BytesMut::new();
            for piece in block.chunks(piece) {
                buffer.extend_from_slice(piece);
                while let Ok(Some(_)) = decoder.next(&mut buffer, 100) {}
                prop_assert!(decoder.size <= TABLE_SIZE);
            }
        }
    }
}
