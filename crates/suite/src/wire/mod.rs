//! HTTP/1 as it was on the socket: every field in its order and spelling, the interim answers, the
//! body before any decoding, and what became of the connection.
//!
//! No HTTP library, because what it hides (order, case, a second answer, who closed) is what two
//! deployments differ in. It follows no redirect and decodes nothing: that is `run`'s.

mod exchange; // one request and its answer: what everybody else reads
mod answer; // an answer, read from a stream
mod connection; // one connection, and one exchange over it
mod tls;
mod client; // connections and cookies of one visitor

pub use exchange::{Broken, Cause, Connected, Ending, Exchange, Field, Framing, Head, Request};
pub use http1::Version;

pub use client::{Client, Limits};
pub use tls::trust;
