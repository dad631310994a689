//! Variables and the strings that contain them.
//!
//! A `$name` in the file is given a number when it is read ([`Names::id`]), and that number a
//! getter when the whole file is known ([`Names::link`]), so that `set` and `map` may define a
//! name below its first use, and a name nobody defines is an error with a line number. Per
//! request, a value is computed when first asked for and kept ([`Values`]).

mod builtin;
mod template; // strings with names in them // what every request has

use std::{
    cell::{Cell, OnceCell},
    collections::HashMap,
    sync::Arc,
};

use bytes::Bytes;

pub use builtin::VARIABLES as BUILTIN;
pub use template::Template;

use crate::{
    conf::{ConfError, Span},
    exchange::Exchange,
    load::Entry,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VarId(usize);

/// One row of a family's variable table. A name that ends in `_` stands for every name it begins;
/// the getter receives the rest.
pub struct Variable {
    pub name: &'static str,
    pub get: fn(&Exchange, &str) -> Option<Bytes>,
    /// Whether the first value stands for the whole request.
    pub cached: bool,
}

pub const fn variable(name: &'static str, get: fn(&Exchange, &str) -> Option<Bytes>) -> Variable {
    Variable { name, get, cached: true }
}

/// A value that changes while the request is answered.
pub const fn volatile(name: &'static str, get: fn(&Exchange, &str) -> Option<Bytes>) -> Variable {
    Variable { name, get, cached: false }
}

/// A variable that the configuration itself defines: `map`.
pub trait Computed: Send + Sync {
    fn compute(&self, exchange: &Exchange) -> Option<Bytes>;

    fn cached(&self) -> bool {
        true
    }
}

/// The names the file mentions, while it is being read.
#[derive(Default)]
pub struct Names {
    ids: HashMap<String, VarId>,
    mentioned: Vec<(String, Span)>,
    assigned: Vec<VarId>,
    computed: Vec<(VarId, Arc<dyn Computed>)>,
}

/// The same names, each with its getter.
pub struct Linked(Vec<Getter>);

enum Getter {
    Builtin(&'static Variable, String),
    Computed(Arc<dyn Computed>),
    Assigned,
}

impl Names {
    pub fn id(&mut self, name: &str, span: &Span) -> VarId {
        // nginx knows no case in names of variables.
        let name = name.to_ascii_lowercase();
        if let Some(id) = self.ids.get(&name) {
            return *id;
        }
        let id = VarId(self.mentioned.len());
        self.ids.insert(name.clone(), id);
        self.mentioned.push((name, span.clone()));
        id
    }

    /// A name that `set` or a named capture gives its value.
    pub fn assign(&mut self, name: &str, span: &Span) -> VarId {
        let id = self.id(name, span);
        self.assigned.push(id);
        id
    }

    /// A name whose value is computed when it is asked for.
    pub fn define(&mut self, name: &str, span: &Span, computed: Arc<dyn Computed>) -> VarId {
        let id = self.id(name, span);
        self.computed.push((id, computed));
        id
    }

    pub fn link(self, modules: &[Entry]) -> Result<Linked, ConfError> {
        let known = || BUILTIN.iter().chain(modules.iter().flat_map(|module| module.variables));
        let mut getters = Vec::with_capacity(self.mentioned.len());
        for (index, (name, span)) in self.mentioned.into_iter().enumerate() {
            let id = VarId(index);
            let computed = self.computed.iter().rfind(|(defined, _)| *defined == id);
            let exact = known().find(|row| row.name == name);
            let prefix = || {
                known()
                    .filter(|row| row.name.ends_with('_') && name.starts_with(row.name))
                    .max_by_key(|row| row.name.len())
            };
            getters.push(match (computed, exact.or_else(prefix)) {
                (Some((_, computed)), _) => Getter::Computed(Arc::clone(computed)),
                (None, Some(row)) => Getter::Builtin(row, name[row.name.len()..].to_owned()),
                (None, None) if self.assigned.contains(&id) => Getter::Assigned,
                (None, None) => return Err(span.error(format!("unknown \"{name}\" variable"))),
            });
        }
        Ok(Linked(getters))
    }
}

/// One request's values.
pub struct Values {
    linked: Arc<Linked>,
    known: Vec<OnceCell<Option<Bytes>>>,
}

thread_local! {
    /// How deep getters have called getters; stops `map $a $b` and `map $b $a`.
    static DEPTH: Cell<u8> = const { Cell::new(0) };
}

const MAX_DEPTH: u8 = 100;

impl Values {
    pub fn new(linked: &Arc<Linked>) -> Values {
        Values { linked: Arc::clone(linked), known: Vec::new() }
    }

    pub fn set(&mut self, id: VarId, value: Bytes) {
        self.make_room();
        self.known[id.0] = OnceCell::from(Some(value));
    }

    /// Room for every name is made on the first use, since most requests use none before the log.
    pub fn make_room(&mut self) {
        if self.known.is_empty() {
            self.known.resize_with(self.linked.0.len(), OnceCell::new);
        }
    }

    pub fn get(&self, exchange: &Exchange, id: VarId) -> Option<Bytes> {
        if let Some(value) = self.known.get(id.0).and_then(OnceCell::get) {
            return value.clone();
        }
        let (value, cached) = match &self.linked.0[id.0] {
            Getter::Assigned => return None,
            Getter::Builtin(row, rest) => {
                (nested(exchange, || (row.get)(exchange, rest)), row.cached)
            }
            Getter::Computed(computed) => {
                (nested(exchange, || computed.compute(exchange)), computed.cached())
            }
        };
        if cached && let Some(cell) = self.known.get(id.0) {
            // A getter that asked for its own name through another has already filled the cell.
            let _ = cell.set(value.clone());
        }
        value
    }
}

fn nested(exchange: &Exchange, compute: impl FnOnce() -> Option<Bytes>) -> Option<Bytes> {
    if DEPTH.get() == MAX_DEPTH {
        exchange.log(crate::log::Level::Error, "cycle while evaluating variable");
        return None;
    }
    DEPTH.set(DEPTH.get() + 1);
    let value = compute();
    DEPTH.set(DEPTH.get() - 1);
    value
}
