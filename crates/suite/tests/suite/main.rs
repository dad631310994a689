//! Suites run against real sockets: a small server of the tests' own sends raw bytes, so that what is
//! said of an answer can be held against what was sent.

#![expect(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod server; // the server, and how a file is run against it
mod exact; // an exchange, as it was on the socket
mod requests; // what hurl's sections become
mod sessions; // cookies, captures, redirects, options
mod judgements; // queries, filters, predicates: what holds, and what does not
mod refusals; // what is not run at all
mod secure; // TLS
mod reports;
