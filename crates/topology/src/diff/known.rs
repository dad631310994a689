//! What any two deployments of an application may differ in, each with its reason.

use super::masks::{Entry, Mask};

/// In the order in which they are tried.
pub(super) fn masks() -> Vec<Mask> {
    let masks = toml::from_str::<File>(KNOWN).expect("the table below is well formed").mask;
    masks.iter().map(|entry| Mask::of(entry).expect("so is each of its masks")).collect()
}

#[derive(serde::Deserialize)]
struct File {
    mask: Vec<Entry>,
}

const KNOWN: &str = include_str!("known.toml");

#[cfg(test)]
mod tests {
    #[test]
    fn every_mask_has_a_reason() {
        for mask in super::masks() {
            assert!(mask.because.len() > 10, "{mask}");
        }
    }
}
