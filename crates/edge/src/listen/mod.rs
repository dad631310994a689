//! Sockets that wait for clients: what `listen` says, and how it is bound and accepted from.

mod address; // what `listen` says
mod bind; // one socket
mod open; // all sockets of a configuration
mod accept; // connections, shared out among the threads

pub use accept::{Accepted, Acceptor, Desk};
pub use address::{Listen, ListenAddress};
pub use bind::{BindError, Socket, bind};
pub use open::{For, open};
