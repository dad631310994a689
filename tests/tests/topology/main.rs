//! Whole topologies of real processes: how they become ready, how they end, and that nothing stays; what
//! a suite says of them, and what tells two of them apart.

mod deployment; // `causeway-topology up`, watched from outside
mod own_kind; // a program of a test's own in a hop's place

mod readiness;

mod faults;
mod parallel;
mod signals;

mod left_behind;

mod command; // `causeway-topology COMMAND`, run to its end

mod suite_run;

mod diff;
mod mutations; // what a diff has to find

#[cfg(feature = "real")]
mod database;
#[cfg(feature = "real")]
mod forwarded;
#[cfg(feature = "real")]
mod hosts;
#[cfg(feature = "real")]
mod kinds;
