//! What the supervisor knows and others ask for: counts, and what is in force. Written by it alone.

use std::{
    cell::{Cell, RefCell},
    os::fd::RawFd,
    time::Instant,
};

use crate::settings::Chosen;

pub(crate) struct Census {
    pub(crate) started: Instant,
    /// How many workers there should be.
    pub(crate) target: Cell<usize>,
    pub(crate) spawned: Cell<u64>,
    /// By us, with KILL or ABRT.
    pub(crate) killed: Cell<u64>,
    pub(crate) reloads: Cell<u64>,
    pub(crate) listeners: RefCell<Vec<Listening>>,
    /// Every setting, as it was chosen.
    pub(crate) chosen: RefCell<Vec<Chosen>>,
}

pub(crate) struct Listening {
    pub(crate) shown: String,
    pub(crate) kind: &'static str,
    pub(crate) number: RawFd,
}

impl Census {
    pub(crate) fn new(chosen: Vec<Chosen>) -> Census {
        Census {
            started: Instant::now(),
            target: Cell::new(0),
            spawned: Cell::new(0),
            killed: Cell::new(0),
            reloads: Cell::new(0),
            listeners: RefCell::default(),
            chosen: RefCell::new(chosen),
        }
    }
}

pub(crate) fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}
