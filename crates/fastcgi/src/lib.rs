//! FastCGI 1.0: bytes in, events out. No sockets, no clocks, no threads.
//!
//! Three hops stand on this (the edge's `fastcgi_pass`, the gateway, the app-host), on both ends of
//! the wire, so neither end may know who its peer is. What a record's content means to HTTP or WSGI
//! is not known here either, but for the one thing CGI itself defines: the head of a response.
//!
//! Writing appends to the caller's `Vec<u8>`, so that a whole request, or a whole response with its
//! END_REQUEST, leaves in one write. Reading takes from the caller's `BytesMut` and hands out slices
//! of it. Stream contents are handed on as they arrive: a reader never holds more than it was given.
//!
//! "§" in this crate is the FastCGI Specification, 29 April 1996.

#![forbid(unsafe_code)]

mod client; // the web server's end: requests out, responses in
mod head; // `Status: 200 OK` and the fields that follow it
mod params; // name-value pairs
mod record; // eight bytes of header, and what they frame
mod server; // the application's end: requests in, responses out

pub use client::{
    ClientConnection, ClientError, ClientEvent, End, RequestWriter, abort_request, get_values,
    stdin, stdin_end, stdin_header,
};
pub use head::{HeadError, HeadReader, ResponseHead};
pub use params::{Params, ParamsError, write_pair};
pub use record::{
    HEADER_LENGTH, KeepConnection, MAX_CONTENT, OpenRecord, ProtocolStatus, RecordError,
    RecordHeader, RecordKind, Role,
};
pub use server::{
    Begin, ServerConnection, ServerError, ServerEvent, ServerLimits, end_request, stderr, stdout,
    stdout_end, stdout_header,
};
