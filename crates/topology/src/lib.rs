//! A deployment from a small file: which programs a request passes, started, watched and stopped on this
//! machine, with nothing left behind.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use topology::{Options, Stack, Topology};
//!
//! let topology = Topology::read("topologies/nginx-gunicorn.toml".as_ref())?;
//! let mut stack = Stack::start(&topology, &Options::default()).await?;
//! println!("{} answers at {}", topology.application.name, stack.url);
//! stack.hop("gateway")?.signal(nix::sys::signal::Signal::SIGHUP);
//! stack.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! In reading order: the file, what a hop can be, how a run is laid out, started and watched.

pub mod file;
pub mod kinds;
pub mod place; // one hop of one run
pub mod words; // what differs in its configuration from run to run

pub mod application;
pub mod database; // the server that keeps its data
pub mod prepared;
pub mod python;
pub mod state;
pub mod subject; // the application of one run

pub mod hosts; // when they are several

mod keeper;
mod port;
mod run_folder;
mod tls;

pub mod hop;
pub mod links; // faults between two of them
pub mod stack;

pub mod export; // the same deployment, as the files of an engine that goes on where this ends
pub mod faults; // what users see of a fault, and what was expected

pub mod trail; // which lines of the logs a request left

pub mod diff; // the same requests through two of them

pub mod command; // what is typed
mod matrix_page;

pub mod follow;
pub mod probe;
pub mod process;
pub mod progress;
pub mod step; // of the preparation
pub mod sys;

pub use file::Topology;
pub use links::Links;
pub use stack::{Options, Stack};

/// Its example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
