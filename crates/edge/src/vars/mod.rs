//! Variables and the strings that contain them.
//!
//! A `$name` in the file is given a number when it is read ([`Names::id`]), and that number a
//! getter when the whole file is known ([`Names::link`]), so that `set` and `map` may define a
//! name below its first use, and a name nobody defines is an error with a line number. Per
//! request, a value is computed when first asked for and kept ([`Values`]).

mod template; // strings with names in them
mod builtin; // what every request has

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::Arc,
};

use bytes::Bytes;

pub use builtin::{
    VARIABLES as BUILTIN, argument, basic_credentials, basic_user, hostname, port, seconds,
};
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

/// Whether a family defines this very name, so that the configuration can not define it again.
pub fn is_builtin(name: &str) -> bool {
    let rows = BUILTIN.iter().chain(crate::modules::MODULES.iter().flat_map(|m| m.variables));
    let mut names = rows.map(|row| row.name).filter(|name| !name.ends_with('_'));
    names.any(|known| known.eq_ignore_ascii_case(name))
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
    captured: Vec<VarId>,
    computed: Vec<(VarId, Arc<dyn Computed>)>,
}

/// The same names, each with its getter.
pub struct Linked {
    getters: Vec<Getter>,
    ids: HashMap<String, VarId>,
    modules: &'static [Entry],
}

enum Getter {
    Builtin(&'static Variable, String),
    Computed(Arc<dyn Computed>),
    /// By `set`: empty until it runs, and the log says so.
    Assigned(String),
    /// By a pattern's named group.
    Captured,
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

    /// A name that `set` gives its value.
    pub fn assign(&mut self, name: &str, span: &Span) -> VarId {
        let id = self.id(name, span);
        self.assigned.push(id);
        id
    }

    /// A name that a pattern's group gives its value.
    pub fn capture(&mut self, name: &str, span: &Span) -> VarId {
        let id = self.id(name, span);
        self.captured.push(id);
        id
    }

    /// A name whose value is computed when it is asked for.
    pub fn define(&mut self, name: &str, span: &Span, computed: Arc<dyn Computed>) -> VarId {
        let id = self.id(name, span);
        self.computed.push((id, computed));
        id
    }

    pub fn link(self, modules: &'static [Entry]) -> Result<Linked, ConfError> {
        let mut getters = Vec::with_capacity(self.mentioned.len());
        for (index, (name, span)) in self.mentioned.into_iter().enumerate() {
            let id = VarId(index);
            let computed = self.computed.iter().rfind(|(defined, _)| *defined == id);
            getters.push(match (computed, row(&name, modules)) {
                (Some((_, computed)), _) => Getter::Computed(Arc::clone(computed)),
                (None, Some(row)) => Getter::Builtin(row, name[row.name.len()..].to_owned()),
                (None, None) if self.assigned.contains(&id) => Getter::Assigned(name),
                (None, None) if self.captured.contains(&id) => Getter::Captured,
                (None, None) => return Err(span.error(format!("unknown \"{name}\" variable"))),
            });
        }
        Ok(Linked { getters, ids: self.ids, modules })
    }
}

/// The row that defines a name: the one of this very name, or that of its longest beginning.
fn row(name: &str, modules: &'static [Entry]) -> Option<&'static Variable> {
    let known = || BUILTIN.iter().chain(modules.iter().flat_map(|module| module.variables));
    let beginning = || {
        known()
            .filter(|row| row.name.ends_with('_') && name.starts_with(row.name))
            .max_by_key(|row| row.name.len())
    };
    known().find(|row| row.name == name).or_else(beginning)
}

/// One request's values. Behind a cell, because reading one can set others: a `map` whose pattern
/// matches sets what its groups have captured.
pub struct Values {
    linked: Arc<Linked>,
    known: RefCell<Vec<Known>>,
}

#[derive(Clone)]
enum Known {
    /// Not asked for yet.
    No,
    Absent,
    Value(Bytes),
}

thread_local! {
    /// How deep getters have called getters; stops `map $a $b` and `map $b $a`.
    static DEPTH: Cell<u8> = const { Cell::new(0) };
}

const MAX_DEPTH: u8 = 100;

impl Values {
    pub fn new(linked: &Arc<Linked>) -> Values {
        Values { linked: Arc::clone(linked), known: RefCell::default() }
    }

    /// The same values, which go their own way from here.
    pub fn twin(&self) -> Values {
        Values { linked: Arc::clone(&self.linked), known: self.known.clone() }
    }

    pub fn set(&self, id: VarId, value: Bytes) {
        self.keep(id, Known::Value(value));
    }

    /// Room for every name is made on the first use: most requests keep none before the log.
    fn keep(&self, id: VarId, value: Known) {
        let mut known = self.known.borrow_mut();
        if known.is_empty() {
            known.resize(self.linked.getters.len(), Known::No);
        }
        known[id.0] = value;
    }

    /// By a name that only a request has brought up: one of the file's, or one that needs no file.
    pub fn get_named(&self, exchange: &Exchange, name: &str) -> Option<Bytes> {
        if let Some(id) = self.linked.ids.get(name) {
            return self.get(exchange, *id);
        }
        let row = row(name, self.linked.modules)?;
        let rest = &name[row.name.len()..];
        nested(exchange, || (row.get)(exchange, rest))
    }

    pub fn get(&self, exchange: &Exchange, id: VarId) -> Option<Bytes> {
        match self.known.borrow().get(id.0) {
            None | Some(Known::No) => (),
            Some(Known::Absent) => return None,
            Some(Known::Value(value)) => return Some(value.clone()),
        }
        let (value, cached) = match &self.linked.getters[id.0] {
            Getter::Captured => return None,
            Getter::Assigned(name) => {
                if !exchange.location.plan.quiet_about_unset {
                    let message = format!("using uninitialized \"{name}\" variable");
                    exchange.log(crate::log::Level::Warn, &message);
                }
                return Some(Bytes::new());
            }
            Getter::Builtin(row, rest) => {
                (nested(exchange, || (row.get)(exchange, rest)), row.cached)
            }
            Getter::Computed(computed) => {
                (nested(exchange, || computed.compute(exchange)), computed.cached())
            }
        };
        if cached {
            self.keep(id, value.clone().map_or(Known::Absent, Known::Value));
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
