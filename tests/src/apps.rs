//! The applications a chain can run, ready to be copied.

use anyhow::Result;
use topology::prepared;
use xtask::applications;
use xtask::progress::Progress;

pub use topology::prepared::Prepared;

/// Makes it ready, or finds it ready.
pub fn prepared(name: &str) -> Result<Prepared> {
    prepared::prepared(applications::named(name)?, Progress::Quiet)
}
