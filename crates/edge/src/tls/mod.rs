//! What the configuration says about TLS, in rustls's terms.
//!
//! OpenSSL's words are nginx's, and are read here: names of ciphers, curves and faults, files of
//! certificates and keys. Knows no directive by name, no request, and no socket.

mod terms; // what a server agrees to
mod certificates; // certificates and their keys, from files
mod protocols; // versions of TLS
mod ciphers; // OpenSSL's lists of ciphers
mod curves; // and of curves
mod sessions; // going on with an earlier session
mod outward; // how the edge itself asks
mod verify; // clients' certificates
mod chain; // from one of them to one that is trusted
mod revoked; // those that were taken back
mod signature; // whether one is good
pub mod subject; // what a certificate says

pub use certificates::{Certificate, Passwords, Source, certificates, load, passwords};
pub use chain::Fault;
pub use ciphers::{Ciphers, cipher_name};
pub use curves::{BadList, Curves, curve_name};
pub use outward::{Called, Outward, OutwardWishes};
pub use protocols::{Listed, Protocols};
pub use revoked::RevocationList;
pub use sessions::{SessionCache, TicketKeys};
pub use subject::Subject;
pub use terms::{Inside, Order, Terms, Wishes};
pub use verify::{Authorities, Verified, Wanted};
