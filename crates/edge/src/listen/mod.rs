//! Sockets that wait for clients: what `listen` says, and how it is bound and accepted from.

mod address; // what `listen` says
mod bind; // the sockets, opened by the master
mod accept; // connections, shared out among the threads

pub use accept::{Acceptor, Desk};
pub use address::{Listen, ListenAddress};
pub use bind::{Socket, bind};
