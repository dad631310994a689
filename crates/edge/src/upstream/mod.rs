//! Servers behind this one: who they are, which is asked next, and what is said on the wire.
//!
//! Runs in the request's own task: no second task, no client library, no lock. What is shared
//! between threads (who failed, how busy each is) is atomic; idle connections belong to a thread.
//! Knows nothing of `proxy_pass`: it is given bytes to send, and gives back a head and a body.

mod ask; // one request, asked of one peer after another
mod balance; // which peer is next
mod next; // after which failures another is asked
mod talk; // one request on one connection
mod wait; // no longer than the client does
mod protocol; // HTTP, FastCGI or uwsgi
mod records; // FastCGI records to a head and a body
mod codec; // bytes to a response head, and how its body ends
mod socket; // how a socket is made
mod connection; // one socket to a peer
mod keepalive; // idle connections of a thread
mod outgoing; // the request, while it is being sent
mod peers; // who they are and how they fare
mod pace; // how fast a body is taken
mod relay; // a response's body on its way to the client
mod tunnel; // after 101
pub mod fuzzing; // the codec, for fuzz targets

pub use ask::{Asked, Failure, Limits, Question, RequestBytes, ask};
pub use balance::{Balance, HashKey};
pub use codec::{Field, Fields, Framing, Head};
pub use connection::{Address, Connection};
pub use keepalive::Keepalive;
pub use next::NextUpstream;
pub use outgoing::Outgoing;
pub use pace::Pace;
pub use peers::{Peer, PeerOptions, Tried, Upstream};
pub use protocol::{FastCgiRules, Protocol};
pub use records::REQUEST_ID;
pub use relay::{Buffering, Relay, whole};
pub use socket::{SocketRules, parse as parse_local};
pub use tunnel::UpgradeTunnel;
