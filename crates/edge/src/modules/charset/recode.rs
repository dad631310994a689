//! A body through a map, a piece at a time: a character may be cut in two by the end of a piece.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use super::table::{Map, Way};
use crate::response::Source;

pub(super) struct Recoder {
    map: Arc<Map>,
    forward: bool,
    /// The beginning of a character whose end has not come.
    cut: Vec<u8>,
}

impl Recoder {
    pub(super) fn new(map: Arc<Map>, forward: bool) -> Recoder {
        Recoder { map, forward, cut: Vec::new() }
    }

    pub(super) fn keeps_length(&self) -> bool {
        matches!(self.map.way(self.forward), Way::Bytes(_))
    }

    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self.map.way(self.forward) {
            Way::Bytes(table) => out.extend(piece.iter().map(|byte| table[usize::from(*byte)])),
            Way::ToUtf8(table) => {
                for byte in piece {
                    out.extend_from_slice(&table[usize::from(*byte)]);
                }
            }
            Way::FromUtf8(table) if self.cut.is_empty() => {
                self.cut = from_utf8(piece, table, out).to_vec();
            }
            Way::FromUtf8(table) => {
                let mut whole = std::mem::take(&mut self.cut);
                whole.extend_from_slice(piece);
                self.cut = from_utf8(&whole, table, out).to_vec();
            }
        }
    }

    /// A character that was never finished is none.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.cut).is_empty() {
            out.push(b'?');
        }
    }
}

/// Characters as bytes; those the other charset has not as HTML would write them, and what is no
/// character as `?`. What is given back may be the beginning of one.
fn from_utf8<'a>(
    text: &'a [u8],
    table: &std::collections::HashMap<char, u8>,
    out: &mut Vec<u8>,
) -> &'a [u8] {
    let mut rest = text;
    loop {
        let (valid, error) = match std::str::from_utf8(rest) {
            Ok(valid) => (valid, None),
            Err(error) => {
                let (valid, _) = rest.split_at(error.valid_up_to());
                (std::str::from_utf8(valid).unwrap_or_default(), Some(error))
            }
        };
        for character in valid.chars() {
            match table.get(&character) {
                Some(byte) => out.push(*byte),
                None => out.extend_from_slice(format!("&#{};", u32::from(character)).as_bytes()),
            }
        }
        let Some(error) = error else { return &[] };
        let Some(length) = error.error_len() else { return &rest[error.valid_up_to()..] };
        out.push(b'?');
        rest = &rest[error.valid_up_to() + length..];
    }
}

/// A stream through a map.
pub(super) struct Recoded {
    source: Box<dyn Source>,
    /// `None` after the end.
    recoder: Option<Recoder>,
}

impl Recoded {
    pub(super) fn new(source: Box<dyn Source>, recoder: Recoder) -> Recoded {
        Recoded { source, recoder: Some(recoder) }
    }
}

impl Source for Recoded {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(recoder) = &mut self.recoder else { return Poll::Ready(None) };
        let mut out = Vec::new();
        while out.is_empty() {
            match ready!(self.source.poll_chunk(context)) {
                Some(Ok(piece)) => recoder.push(&piece, &mut out),
                Some(Err(error)) => {
                    self.recoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    recoder.end(&mut out);
                    self.recoder = None;
                    let last = (!out.is_empty()).then(|| Ok(out.into()));
                    return Poll::Ready(last);
                }
            }
        }
        Poll::Ready(Some(Ok(out.into())))
    }

    fn poll_ahead(&mut self, context: &mut Context<'_>) {
        self.source.poll_ahead(context);
    }

    fn is_finished(&self) -> bool {
        let nothing_cut = |recoder: &Recoder| recoder.cut.is_empty();
        self.recoder.as_ref().is_none_or(nothing_cut) && self.source.is_finished()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn table() -> HashMap<char, u8> {
        (0..128_u8).map(|byte| (char::from(byte), byte)).chain([('я', 0xd1)]).collect()
    }

    #[track_caller]
    fn check(text: &[u8], expected: &[u8], cut: &[u8]) {
        let mut out = Vec::new();
        assert_eq!(from_utf8(text, &table(), &mut out), cut);
        assert_eq!(out, expected);
    }

    #[test]
    fn characters_to_bytes() {
        check(b"plain", b"plain", b"");
        check("aяb".as_bytes(), b"a\xd1b", b"");
        check("ю".as_bytes(), b"&#1102;", b"");
        check("\u{1f600}".as_bytes(), b"&#128512;", b"");
        check(b"a\xff\xd1", b"a?", b"\xd1");
        check(b"\xd1a", b"?a", b"");
        check(b"\xed\xa0\x80", b"???", b"");
    }
}
