//! HTTP/1 as bytes: request and status lines, fields, chunked bodies (RFC 9112). No sockets.
//!
//! Two servers stand on this, and they do not forgive the same things: the edge is as lenient as
//! nginx, the gateway as strict as RFC 9112 allows. So a parser here reports facts (this line ended
//! in a bare LF, this name has an underscore) and refuses only what nobody accepts; the hop decides.
//! Everything is offsets into the caller's buffer: nothing is copied.

#![forbid(unsafe_code)]

mod request_line; // `GET /path HTTP/1.1`
mod status_line; // `HTTP/1.1 200 OK`
mod field; // `Name: value`, until the empty line
mod chunked; // bodies of unknown length

pub use chunked::{ChunkError, Chunked, LineEnds, Piece, chunk_head};
pub use field::{Field, FieldError, FieldLine, NameKind, field_line, is_field_value, is_token};
pub use request_line::{
    RequestLine, RequestLineError, Unconventional, Version, request_line,
    unconventional_request_line,
};
pub use status_line::{StatusLine, StatusLineError, status_line};

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newline {
    CrLf,
    /// RFC 9112 §2.2 lets a recipient take it; smugglers count on some doing so.
    Lf,
}
