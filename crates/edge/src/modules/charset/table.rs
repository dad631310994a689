//! `charset_map`: the bytes of one charset and what they are in another, where ASCII is ASCII in
//! both. The second may be UTF-8; all others have one byte a character.

use std::{collections::HashMap, sync::Arc};

use super::recode::Recoder;
use crate::{
    conf::{ConfError, Node},
    load::Args,
};

/// Both ways between two charsets.
pub(super) struct Map {
    first: String,
    second: String,
    table: Table,
}

enum Table {
    Bytes {
        there: Box<[u8; 256]>,
        back: Box<[u8; 256]>,
    },
    /// Each byte as UTF-8, and each character as a byte.
    Utf8 {
        there: Vec<Vec<u8>>,
        back: HashMap<char, u8>,
    },
}

/// One way through a map.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    Bytes(&'a [u8; 256]),
    ToUtf8(&'a [Vec<u8>]),
    FromUtf8(&'a HashMap<char, u8>),
}

/// What stands for a byte that no line of the map names.
const UNKNOWN: u8 = b'?';

/// A map names characters of three bytes at most, as nginx's does.
const LONGEST: usize = 3;

impl Map {
    pub(super) fn read(args: &Args<'_>, known: &[Arc<Map>]) -> Result<Map, ConfError> {
        let (first, second) = (args.word(0).to_owned(), args.word(1).to_owned());
        if first.eq_ignore_ascii_case(&second) {
            return Err(args.complain(format!(
                "\"charset_map\" between the same charsets \"{first}\" and \"{second}\""
            )));
        }
        if first.eq_ignore_ascii_case("utf-8") {
            let message =
                "\"charset_map\" with \"utf-8\" charset should be given in the second column";
            return Err(args.complain(message));
        }
        if known.iter().any(|map| map.joins(first.as_bytes(), second.as_bytes())) {
            return Err(args.complain(format!(
                "duplicate \"charset_map\" between \"{first}\" and \"{second}\""
            )));
        }
        let mut table = if second.eq_ignore_ascii_case("utf-8") {
            let ascii = (0..128).map(|byte| vec![byte]);
            let there = ascii.chain((128..256).map(|_| vec![UNKNOWN]));
            let back = (0..128_u8).map(|byte| (char::from(byte), byte));
            Table::Utf8 { there: there.collect(), back: back.collect() }
        } else {
            let bytes: [u8; 256] =
                std::array::from_fn(|byte| if byte < 128 { byte as u8 } else { UNKNOWN });
            Table::Bytes { there: Box::new(bytes), back: Box::new(bytes) }
        };
        for row in args.node.block.as_deref().unwrap_or_default() {
            table.add(row)?;
        }
        Ok(Map { first, second, table })
    }

    /// Whether this map is the one between these two, either way.
    pub(super) fn joins(&self, one: &[u8], other: &[u8]) -> bool {
        let (first, second) = (self.first.as_bytes(), self.second.as_bytes());
        (first.eq_ignore_ascii_case(one) && second.eq_ignore_ascii_case(other))
            || (first.eq_ignore_ascii_case(other) && second.eq_ignore_ascii_case(one))
    }

    /// From this one of the two charsets to the other.
    pub(super) fn recoder(self: &Arc<Map>, from: &[u8]) -> Recoder {
        let forward = self.first.as_bytes().eq_ignore_ascii_case(from);
        Recoder::new(Arc::clone(self), forward)
    }

    pub(super) fn way(&self, forward: bool) -> Way<'_> {
        match (&self.table, forward) {
            (Table::Bytes { there, .. }, true) => Way::Bytes(there),
            (Table::Bytes { back, .. }, false) => Way::Bytes(back),
            (Table::Utf8 { there, .. }, true) => Way::ToUtf8(there),
            (Table::Utf8 { back, .. }, false) => Way::FromUtf8(back),
        }
    }
}

impl Table {
    fn add(&mut self, row: &Node) -> Result<(), ConfError> {
        let [word] = &row.words[..] else {
            return Err(row.name.span.error("invalid parameters number"));
        };
        let (from, to) = (&row.name.text, &word.text);
        let invalid = |text: &str| row.name.span.error(format!("invalid value \"{text}\""));
        let byte = hex_byte(from).ok_or_else(|| invalid(from))?;
        match self {
            Table::Bytes { there, back } => {
                let other = hex_byte(to).ok_or_else(|| invalid(to))?;
                there[usize::from(byte)] = other;
                back[usize::from(other)] = byte;
            }
            Table::Utf8 { there, back } => {
                let bytes = utf8(to).ok_or_else(|| invalid(to))?;
                let text = std::str::from_utf8(&bytes).map_err(|_| invalid(to))?;
                let mut characters = text.chars();
                let (Some(character), None) = (characters.next(), characters.next()) else {
                    return Err(invalid(to));
                };
                back.insert(character, byte);
                there[usize::from(byte)] = bytes;
            }
        }
        Ok(())
    }
}

/// `C0`, or `0` before it as often as one likes.
fn hex_byte(text: &str) -> Option<u8> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u32::from_str_radix(text, 16).ok().filter(|_| digits);
    number.and_then(|number| u8::try_from(number).ok())
}

/// `D18F`: pairs of digits, as many as a character may have.
fn utf8(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    if pairs.len() > LONGEST {
        return None;
    }
    pairs
        .map(|pair| std::str::from_utf8(pair).ok().filter(|p| p.len() == 2).and_then(hex_byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal() {
        assert_eq!(hex_byte("C0"), Some(0xc0));
        assert_eq!(hex_byte("0a"), Some(10));
        for bad in ["", "100", "g", "+1"] {
            assert_eq!(hex_byte(bad), None, "{bad}");
        }
        assert_eq!(utf8("D18F").unwrap(), "я".as_bytes());
        for bad in ["D1 8F", "D18", "F09F9880"] {
            assert_eq!(utf8(bad), None, "{bad}");
        }
    }
}
