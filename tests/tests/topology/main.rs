//! Whole topologies of real processes: how they become ready, how they end, and that nothing stays.

mod command; // `causeway-topology COMMAND`, run to its end
mod suite_run;

mod diff;
mod mutations; // what a diff has to find
