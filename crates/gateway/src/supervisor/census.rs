//! What the supervisor knows and others ask for: counts, and what is in force. Written by it alone.

use std::{
    cell::{Cell, RefCell},
    os::fd::RawFd,
    time::Instant,
};

use serde_json::Value;

pub(crate) struct Census {
    pub(crate) started: Instant,
    /// How many workers there should be.
    pub(crate) target: Cell<usize>,
    pub(crate) spawned: Cell<u64>,
    /// By us, with KILL or ABRT.
    pub(crate) killed: Cell<u64>,
    pub(crate) reloads: Cell<u64>,
    pub(crate) listeners: RefCell<Vec<Listening>>,
    /// Every setting in force, under gunicorn's name.
    pub(crate) config: RefCell<Value>,
}

pub(crate) struct Listening {
    pub(crate) shown: String,
    pub(crate) kind: &'static str,
    pub(crate) number: RawFd,
}

impl Default for Census {
    fn default() -> Census {
        Census {
            started: Instant::now(),
            target: Cell::new(0),
            spawned: Cell::new(0),
            killed: Cell::new(0),
            reloads: Cell::new(0),
            listeners: RefCell::default(),
            config: RefCell::default(),
        }
    }
}

impl Census {
    /// Of the application's environment only the names: passwords are in it.
    pub(crate) fn set_config(&self, mut config: Value) {
        let environment = config.get_mut("raw_env").and_then(Value::as_array_mut);
        for variable in environment.into_iter().flatten() {
            let name = variable.as_str().and_then(|text| text.split('=').next());
            *variable = name.unwrap_or_default().into();
        }
        *self.config.borrow_mut() = config;
    }
}

pub(super) fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}
