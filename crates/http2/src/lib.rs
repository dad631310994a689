//! HTTP/2 as bytes: frames (RFC 9113) and header compression (RFC 7541). No sockets, no streams.
//!
//! A parser here reports facts and refuses only what has no meaning; which error code follows, and
//! whether it ends a stream or the connection, is for the server to say. Our own and not a library's,
//! because a server that stands in for another must answer a malformed request as that one does: a
//! page, a log line, or exactly this error code.

#![forbid(unsafe_code)]

pub mod frame; // nine bytes, then a payload
pub mod hpack; // fields to blocks, and back

pub use frame::{ErrorCode, FrameHead, Kind, Setting, flags};

/// What a client that speaks HTTP/2 says first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The window of a connection and of a stream, unless settings say otherwise.
pub const DEFAULT_WINDOW: u32 = 65_535;

/// No window may be larger.
pub const MAX_WINDOW: u32 = (1 << 31) - 1;

/// The longest payload that may be sent, unless settings say otherwise.
pub const DEFAULT_FRAME_SIZE: u32 = 1 << 14;

/// The longest payload there can be.
pub const MAX_FRAME_SIZE: u32 = (1 << 24) - 1;
