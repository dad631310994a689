//! The toxics of one proxy as they are now. Whoever changes the list has changed it for every
//! connection when the call returns: a connection looks at the list before it looks at its sockets.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::watch;

use crate::{FaultError, Toxic, toxic::Described};

/// A toxic in force.
#[derive(Debug)]
pub(crate) struct Live {
    /// Stays when the toxic is changed; a toxic of the same name that comes later has another.
    pub(crate) number: u64,
    pub(crate) toxic: Toxic,
    /// How many requests an HTTP toxic has taken, for `first`.
    pub(crate) taken: AtomicU64,
}

pub(crate) type List = Arc<[Arc<Live>]>;

#[derive(Debug)]
pub(crate) struct Toxics {
    list: watch::Sender<List>,
    last_number: AtomicU64,
}

impl Toxics {
    pub(crate) fn new() -> Toxics {
        Toxics { list: watch::Sender::new(Arc::new([])), last_number: AtomicU64::new(0) }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<List> {
        self.list.subscribe()
    }

    pub(crate) fn all(&self) -> Vec<Toxic> {
        self.list.borrow().iter().map(|live| live.toxic.clone()).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Result<Toxic, FaultError> {
        let list = self.list.borrow();
        Ok(list[position(&list, name)?].toxic.clone())
    }

    pub(crate) fn taken(&self, name: &str) -> Result<u64, FaultError> {
        let list = self.list.borrow();
        Ok(list[position(&list, name)?].taken.load(Relaxed))
    }

    pub(crate) fn add(&self, toxic: Toxic) -> Result<Toxic, FaultError> {
        let toxic = toxic.checked()?;
        let number = self.last_number.fetch_add(1, Relaxed) + 1;
        let live = Arc::new(Live { number, toxic: toxic.clone(), taken: AtomicU64::new(0) });
        self.edit(|list| {
            if list.iter().any(|live| live.toxic.name == toxic.name) {
                return Err(FaultError::ToxicExists(toxic.name.clone()));
            }
            Ok(list.iter().cloned().chain([live]).collect())
        })?;
        Ok(toxic)
    }

    /// A changed toxic begins to count its requests again.
    pub(crate) fn change(&self, name: &str, change: Described) -> Result<Toxic, FaultError> {
        self.edit(|list| {
            let at = position(list, name)?;
            let toxic = list[at].toxic.changed(change)?;
            let number = list[at].number;
            let mut list = list.to_vec();
            list[at] = Arc::new(Live { number, toxic, taken: AtomicU64::new(0) });
            Ok(list.into())
        })?;
        self.get(name)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), FaultError> {
        self.edit(|list| {
            let at = position(list, name)?;
            let mut list = list.to_vec();
            list.remove(at);
            Ok(list.into())
        })
    }

    pub(crate) fn clear(&self) {
        self.list.send_replace(Arc::new([]));
    }

    fn edit(&self, edit: impl FnOnce(&List) -> Result<List, FaultError>) -> Result<(), FaultError> {
        let mut result = Ok(());
        self.list.send_if_modified(|list| match edit(list) {
            Ok(edited) => {
                *list = edited;
                true
            }
            Err(error) => {
                result = Err(error);
                false
            }
        });
        result
    }
}

fn position(list: &List, name: &str) -> Result<usize, FaultError> {
    let at = list.iter().position(|live| live.toxic.name == name);
    at.ok_or_else(|| FaultError::ToxicNotFound(name.to_owned()))
}

/// Which toxics touch one connection. The lot is drawn once for each toxic, so that changing its
/// toxicity up and down again leaves the same connections touched.
#[derive(Debug, Default)]
pub(crate) struct Lots(HashMap<u64, f64>);

impl Lots {
    pub(crate) fn draw(&mut self, list: &[Arc<Live>]) -> Vec<Arc<Live>> {
        self.0.retain(|number, _| list.iter().any(|live| live.number == *number));
        let mut touched = list.to_vec();
        // The lot is below 1 and not below 0: toxicity 1 takes every connection, toxicity 0 none.
        touched.retain(|live| {
            *self.0.entry(live.number).or_insert_with(fastrand::f64) < live.toxic.toxicity
        });
        touched
    }
}
