//! The directive families, one file each, in the order a request meets them and then in the order
//! a response leaves them. Order is meaning: inside a phase, families run in the order listed.
//! A new family is its file and its two lines here.

pub mod core; // what nearly every request asks for
pub mod error_log; // where the errors go
pub mod error_page; // what a status becomes
pub mod main; // outside of http: processes, pid, user, events
pub mod rewrite;
pub mod server; // listen, server_name // rewrite, if, set, return, break

use crate::load::Entry;

pub const MODULES: &[Entry] = &[
    // The server itself.
    Entry::of::<main::Main>(),
    Entry::of::<error_log::ErrorLog>(),
    Entry::of::<core::Core>(),
    Entry::of::<server::VirtualServer>(),
    Entry::of::<error_page::ErrorPages>(),
    // Rewrite.
    Entry::of::<rewrite::Rewrite>(),
    // Preaccess.
    // Access.
    // Precontent.
    // Content: a location's own handler, then the list.
    // The response's way out, in this order.
    // Log.
];
