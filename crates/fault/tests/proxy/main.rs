//! The proxy from outside: real sockets, real bytes. What a toxic delays is asserted as "at least";
//! everything else is bytes, ends, counts and order.

#![expect(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod peer; // the two ends of a proxied connection
mod plain; // no toxic: nothing is changed
mod toxics; // each of Toxiproxy's types
mod http; // those that know HTTP
mod in_flight; // toxics that come, change and go under open connections
mod families; // TCP and unix sockets
mod api; // the control API
