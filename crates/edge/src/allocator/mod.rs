//! Where memory comes from: mimalloc, asked for it in the shorter of its two ways. Everything Rust
//! asks for comes with an alignment, which the usual wrapper hands on; but what needs no more than
//! any block has anyway is found twice as fast without one, and a proxied request asks some
//! seventeen times.

mod sys; // the calls themselves

pub use sys::Allocator;
