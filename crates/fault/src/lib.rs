//! The fault proxy: between any two hops, over TCP or a unix socket, it passes everything on until it
//! is told to do worse. It is told by Toxiproxy's control API or, inside a process, by these calls.
//! It knows nothing of what runs on either side.

#![forbid(unsafe_code)]

mod fault; // all proxies of a process
mod proxy; // one of them
mod accept; // takes its connections
mod connection; // two sockets, two links
mod link; // one stream, through the stages of its toxics
mod toxics; // what each type does
mod toxic; // a toxic as it is ordered
mod ordered; // a proxy as it is ordered
mod live; // the toxics of a proxy as they are now
mod socket; // TCP and unix behind one face
mod address;
mod counters;
mod journal;
mod error;
mod api; // Toxiproxy's control API

pub use address::Address;
pub use counters::{Bytes, Counters};
pub use error::FaultError;
pub use fault::Fault;
pub use journal::Journal;
pub use proxy::Proxy;
pub use toxic::{Stream, Toxic};
pub use toxics::{Bandwidth, Kind, Latency, LimitData, ResetPeer, Slicer, SlowClose, Timeout};
