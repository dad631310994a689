//! What travels with a request from hop to hop: W3C Trace Context and `Server-Timing`.
//!
//! Shared by every hop, so that one request can be followed through all logs by one id. Must not
//! know where a header comes from or how a log line is laid out: it reads and writes bytes.

#![forbid(unsafe_code)]

mod context;
mod server_timing;

pub use context::{TRACEPARENT, TraceContext};
pub use server_timing::{SERVER_TIMING, Share, parse_server_timing, write_server_timing};
