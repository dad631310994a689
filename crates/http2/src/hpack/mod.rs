//! Header compression, RFC 7541.
//!
//! The decoder keeps the client's table and takes blocks in pieces: a field is decoded as soon as it
//! is whole, so that what is wrong with a block is known before the rest of it has come, and what
//! waits is bounded by the longest string that is allowed. The encoder keeps no table. What it
//! writes is a function of the fields alone: a block can be written at any time, in any order, and
//! read again by whoever wants to know what was sent.

mod codes; // the letters' codes
mod huffman; // text to codes, and back
mod fixed; // the fields everybody knows
mod integer; // numbers that begin inside of a byte
mod decode; // blocks to fields
mod encode; // fields to blocks

pub use decode::{Decoded, Decoder, HpackError, TABLE_SIZE};
pub use encode::{Encoder, forget_table};
