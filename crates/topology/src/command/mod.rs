//! What is typed, each command a file: the same for `causeway-topology` and for `cargo xtask`.

pub mod diff;
pub mod export;
pub mod faults;
pub mod kinds;
pub mod matrix;
pub mod test;
pub mod up;
