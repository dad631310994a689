//! What a directive family is.
//!
//! A family is one type in one file. The type is its settings, as one block of the configuration
//! writes them; the same type, once settled, is the work those settings ask for. Its life:
//!
//! 1. **declare**: [`Module::DIRECTIVES`] and [`Module::VARIABLES`] are tables; nothing runs.
//! 2. **set**: a directive's `set` writes one block's value, and only validates.
//! 3. **inherit**: [`Module::inherit`] fills what the block left unsaid from the block around it.
//! 4. **install**: [`Module::install`] puts the settled value into the phases it works in.
//! 5. **run**: the phase traits of [`crate::engine::plan`], only for the blocks that asked.

use std::{any::Any, sync::Arc};

use super::{Args, Site};
use crate::{conf::ConfError, engine::plan::Plan, vars::Variable};

pub trait Module: Default + Send + Sync + 'static {
    const DIRECTIVES: &'static [Directive<Self>];
    /// More of them, where a table of `settings!` has made the rows.
    const SETTINGS: &'static [Directive<Self>] = &[];
    const VARIABLES: &'static [Variable] = &[];

    /// Takes from the enclosing block whatever this block did not say. There is no default:
    /// nginx's rules differ from directive to directive, and this is where each is stated.
    /// `into` is the kind of this block: an `if` keeps the content handler a location would drop.
    fn inherit(&mut self, outer: &Self, into: Block);

    /// Joins the phases this block needs, or none. The value is final from here on.
    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError>;
}

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    /// Outside of all braces.
    Main,
    Events,
    Http,
    Upstream,
    Server,
    /// `if` in a server.
    ServerIf,
    Location,
    /// `if` in a location: a location without a name.
    If,
    LimitExcept,
}

impl Block {
    /// An unnamed location, which belongs to the block it stands in.
    pub fn is_unnamed(self) -> bool {
        matches!(self, Block::ServerIf | Block::If | Block::LimitExcept)
    }
}

/// How many words follow a directive's name.
#[derive(Clone, Copy, Debug)]
pub enum Arity {
    Exactly(usize),
    Between(usize, usize),
    AtLeast(usize),
}

impl Arity {
    pub fn fits(self, words: usize) -> bool {
        match self {
            Arity::Exactly(wanted) => words == wanted,
            Arity::Between(low, high) => (low..=high).contains(&words),
            Arity::AtLeast(low) => low <= words,
        }
    }
}

/// What follows a directive's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A semicolon.
    None,
    /// Braces, whose inside `set` reads itself: an unnamed location, or rows of a table.
    Own,
    /// Braces around directives of this kind, which set the same block's families.
    Inside(Block),
}

/// One row of a family's table.
pub struct Directive<M> {
    pub name: &'static str,
    pub blocks: &'static [Block],
    pub arity: Arity,
    pub body: Body,
    /// `None`: nginx has it here, and the edge does not.
    pub set: Option<Set<M>>,
}

pub(super) type Set<M> = fn(&mut M, &mut Args<'_>) -> Result<(), ConfError>;

/// A directive that ends in a semicolon.
pub const fn directive<M>(
    name: &'static str,
    blocks: &'static [Block],
    arity: Arity,
    set: Set<M>,
) -> Directive<M> {
    Directive { name, blocks, arity, body: Body::None, set: Some(set) }
}

/// A directive with braces.
pub const fn block<M>(
    name: &'static str,
    blocks: &'static [Block],
    arity: Arity,
    body: Body,
    set: Set<M>,
) -> Directive<M> {
    Directive { name, blocks, arity, body, set: Some(set) }
}

/// A directive that nginx has in these blocks and the edge has not, where the edge takes the name in
/// another block. What is nowhere taken needs no row to be refused.
pub const fn lacking<M>(name: &'static str, blocks: &'static [Block]) -> Directive<M> {
    Directive { name, blocks, arity: Arity::AtLeast(0), body: Body::None, set: None }
}

// Erasure, so that families of different types can stand in one list. Used while the
// configuration is read and never while a request is answered.

pub trait AnyModule: Any + Send + Sync {
    fn inherit_any(&mut self, outer: &dyn AnyModule, into: Block);
    fn install_any(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError>;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<M: Module> AnyModule for M {
    fn inherit_any(&mut self, outer: &dyn AnyModule, into: Block) {
        self.inherit(outer.as_any().downcast_ref().expect(SAME_SLOT), into);
    }

    fn install_any(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        self.install(plan, site)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

pub trait AnyDirective: Sync {
    fn name(&self) -> &'static str;
    fn blocks(&self) -> &'static [Block];
    fn arity(&self) -> Arity;
    fn body(&self) -> Body;
    fn is_lacking(&self) -> bool;
    fn set(&self, module: &mut dyn AnyModule, args: &mut Args<'_>) -> Result<(), ConfError>;
}

impl<M: Module> AnyDirective for Directive<M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn blocks(&self) -> &'static [Block] {
        self.blocks
    }

    fn arity(&self) -> Arity {
        self.arity
    }

    fn body(&self) -> Body {
        self.body
    }

    fn is_lacking(&self) -> bool {
        self.set.is_none()
    }

    fn set(&self, module: &mut dyn AnyModule, args: &mut Args<'_>) -> Result<(), ConfError> {
        let set = self.set.expect("the loader refuses a row that is lacking");
        set(module.as_any_mut().downcast_mut().expect(SAME_SLOT), args)
    }
}

const SAME_SLOT: &str = "the same slot holds the same family in every block";

/// One line of the registry.
pub struct Entry {
    /// The family's file: `access_log`.
    pub family: fn() -> &'static str,
    pub blank: fn() -> Box<dyn AnyModule>,
    pub directives: fn() -> Vec<&'static dyn AnyDirective>,
    pub variables: &'static [Variable],
}

impl Entry {
    pub const fn of<M: Module>() -> Entry {
        Entry {
            family: family::<M>,
            blank: || Box::new(M::default()),
            directives: || {
                let rows = M::DIRECTIVES.iter().chain(M::SETTINGS);
                rows.map(|row| row as &dyn AnyDirective).collect()
            },
            variables: M::VARIABLES,
        }
    }
}

/// The type's path is `causeway_edge::modules::access_log::AccessLog`.
fn family<M: Module>() -> &'static str {
    let path = std::any::type_name::<M>();
    let inside = path.split_once("::modules::").map_or(path, |(_, inside)| inside);
    inside.split("::").next().unwrap_or(inside)
}
