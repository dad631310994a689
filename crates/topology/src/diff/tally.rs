//! The masks of one comparison, and how often each of them was needed.

use std::path::Path;

use super::known::{self, Schemes};
use super::masks::{Mask, Where};
use crate::words;

#[derive(Debug)]
pub(super) struct Tally {
    masks: Vec<Counted>,
    /// The name of the suite's file that is being compared.
    file: String,
}

#[derive(Debug)]
struct Counted {
    mask: Mask,
    whose: Whose,
    times: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Everybodys,
    Given,
}

impl Tally {
    /// Those of any two topologies, and more.
    pub(super) fn new(given: &[Mask], schemes: Schemes) -> Tally {
        let counted = |whose| move |mask| Counted { mask, whose, times: 0 };
        let given = given.iter().cloned().map(counted(Whose::Given));
        let masks = given.chain(known::masks(schemes).into_iter().map(counted(Whose::Everybodys)));
        Tally { masks: masks.collect(), file: String::new() }
    }

    /// What follows is of this file.
    pub(super) fn enter(&mut self, file: &Path) {
        self.file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    }

    /// Whether one of them covers whatever there is.
    pub(super) fn excuses(&mut self, place: &Where) -> bool {
        let found = self.lying_on(place).find(|at| self.masks[*at].mask.pattern.is_none());
        if let Some(at) = found {
            self.masks[at].times += 1;
        }
        found.is_some()
    }

    /// Whether two values are more different than the masks allow.
    pub(super) fn differ(
        &mut self,
        place: &Where,
        left: Option<&[u8]>,
        right: Option<&[u8]>,
    ) -> bool {
        if left == right || self.excuses(place) {
            return false;
        }
        let (Some(left), Some(right)) = (left, right) else { return true };
        let patterns: Vec<usize> = self.lying_on(place).collect();
        let same_under =
            |masks: &[usize]| self.under(masks, left.to_vec()) == self.under(masks, right.to_vec());
        if patterns.is_empty() || !same_under(&patterns) {
            return true;
        }
        // Those without which it would not do.
        let mut needed = patterns.clone();
        for pattern in patterns {
            let without: Vec<usize> = needed.iter().copied().filter(|at| *at != pattern).collect();
            if same_under(&without) {
                needed = without;
            }
        }
        for at in needed {
            self.masks[at].times += 1;
        }
        false
    }

    /// A value with everything masked in it that can be.
    pub(super) fn masked(&self, place: &Where, value: &[u8]) -> Vec<u8> {
        let masks: Vec<usize> = self.lying_on(place).collect();
        self.under(&masks, value.to_vec())
    }

    /// Those that were used, with how often, and those that somebody gave and that were not.
    pub(super) fn told(self) -> (Vec<(Mask, usize)>, Vec<Mask>) {
        let (used, unused): (Vec<Counted>, Vec<Counted>) =
            self.masks.into_iter().partition(|counted| counted.times > 0);
        let unused = unused.into_iter().filter(|counted| counted.whose == Whose::Given);
        (
            used.into_iter().map(|counted| (counted.mask, counted.times)).collect(),
            unused.map(|counted| counted.mask).collect(),
        )
    }

    fn lying_on(&self, place: &Where) -> impl Iterator<Item = usize> {
        let here = |mask: &Mask| match &mask.suite {
            Some(suite) => words::matches(suite, &self.file),
            None => true,
        };
        self.masks
            .iter()
            .enumerate()
            .filter(move |(_, counted)| here(&counted.mask) && counted.mask.lies_on(place))
            .map(|(at, _)| at)
    }

    fn under(&self, masks: &[usize], mut value: Vec<u8>) -> Vec<u8> {
        for at in masks {
            if let Some(covered) = self.masks[*at].mask.over(&value) {
                value = covered;
            }
        }
        value
    }
}
