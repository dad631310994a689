//! The proxy from outside: real sockets, real bytes. What a toxic delays is asserted as "at least";
//! everything else is bytes, ends, counts and order.

mod peer; // the two ends of a proxied connection
mod plain; // no toxic: nothing is changed
mod toxics; // each of Toxiproxy's types
mod in_flight; // toxics that come, change and go under open connections
