//! The fault proxy: between any two hops, over TCP or a unix socket, it passes everything on until it
//! is told to do worse. It is told by Toxiproxy's control API or, inside a process, by these calls.
//! It knows nothing of what runs on either side.
//!
//! ```
//! use fault::{Fault, Journal, Kind, Latency, Stream, Toxic};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), fault::FaultError> {
//! let fault = Fault::new(Journal::stderr());
//! let proxy = fault.proxy("gateway", "127.0.0.1:0", "unix:/run/app/gateway.sock").await?;
//! println!("connect to {}", proxy.listen());
//! let latency = Latency { latency: 100, jitter: 10 };
//! proxy.toxic(Toxic::on(Stream::Upstream, Kind::Latency(latency)))?;
//! proxy.remove("latency_upstream")?;
//! assert_eq!(proxy.counters().accepted, 0);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod fault; // all proxies of a process
mod proxy; // one of them
mod accept; // takes its connections
mod connection; // two sockets, two links
mod http; // the toxics that know HTTP/1
mod link; // one stream, through the stages of its toxics
mod toxics; // what each type does
mod toxic; // a toxic as it is ordered
mod ordered; // a proxy as it is ordered
mod live; // the toxics of a proxy as they are now
mod socket; // TCP and unix behind one face
mod address;
mod counters;
mod journal;
mod told; // the lines about one connection
mod error;
mod api; // Toxiproxy's control API

pub use address::Address;
pub use counters::{Bytes, Counters};
pub use error::FaultError;
pub use fault::Fault;
pub use journal::Journal;
pub use proxy::Proxy;
pub use toxic::{Stream, Toxic};
pub use toxics::{
    Bandwidth, HttpBadChunk, HttpDrop, HttpDuplicateHeader, HttpHugeHeader, HttpSlowHead,
    HttpStall, HttpStatus, HttpTruncate, HttpWrongLength, Kind, Latency, LimitData, ResetPeer,
    Slicer, SlowClose, Timeout,
};
