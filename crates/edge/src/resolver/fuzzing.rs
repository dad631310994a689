//! A door to the reader of replies for the fuzz targets, which stand outside of this crate.

use super::message::{self, Kind};

/// Reads these bytes as the reply to a question for `example.org`.
pub fn reply(bytes: &[u8]) {
    let id = bytes.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    for kind in [Kind::A, Kind::Aaaa] {
        let _read = message::reply(bytes, id, "example.org", kind);
    }
}
