//! What any two deployments of an application may differ in, each with its reason.

use super::masks::{Entry, Mask};

/// Whether browsers come to both in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schemes {
    Same,
    HttpsOnOneSide,
}

/// In the order in which they are tried.
pub(super) fn masks(schemes: Schemes) -> Vec<Mask> {
    let mut known: File = toml::from_str(KNOWN).expect("the table below is well formed");
    if schemes == Schemes::HttpsOnOneSide {
        known.mask.append(&mut known.https);
    }
    known.mask.iter().map(|entry| Mask::of(entry).expect("so is each of its masks")).collect()
}

#[derive(serde::Deserialize)]
struct File {
    mask: Vec<Entry>,
    https: Vec<Entry>,
}

const KNOWN: &str = include_str!("known.toml");

#[cfg(test)]
mod tests {
    #[test]
    fn every_mask_has_a_reason() {
        for mask in super::masks(super::Schemes::HttpsOnOneSide) {
            assert!(mask.because.len() > 10, "{mask}");
        }
    }
}
