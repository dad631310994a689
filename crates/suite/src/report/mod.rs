//! An outcome, for people and for machines.

mod human;
mod json;
mod junit;
mod tap;

pub use human::human;
pub use json::json;
pub use junit::junit;
pub use tap::tap;

use crate::outcome::EntryOutcome;

/// An entry in one line. The request as in the file: the same name against every base.
fn title(entry: &EntryOutcome) -> String {
    match &entry.why {
        Some(why) => format!("{} {}: {why}", entry.method, entry.url),
        None => format!("{} {}", entry.method, entry.url),
    }
}
