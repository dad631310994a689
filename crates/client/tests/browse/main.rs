//! The real program against real servers: a chain that reports, chains that do not, and the ways in
//! which a visit fails. One file per family.

#![expect(clippy::unwrap_used, reason = "the harness of a test fails where the test would")]

mod caching;
mod failing;
mod flow;
mod foreign;
mod page;
mod site;
