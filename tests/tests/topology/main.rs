//! Whole topologies of real processes: how they become ready, how they end, and that nothing stays.

mod deployment; // `causeway-topology up`, watched from outside
mod own_kind; // a program of a test's own in a hop's place

mod readiness;

mod faults;
mod parallel;
mod signals;

mod left_behind;

#[cfg(feature = "real")]
mod database;
#[cfg(feature = "real")]
mod forwarded;
#[cfg(feature = "real")]
mod hosts;
