//! Nodes to settled blocks: every family's value for every block, set, inherited and installed.

mod args; // the words of one directive, read as values
mod blocks; // http, server, location, if: the blocks themselves
mod module; // what a directive family is
mod servers; // which server a name means
mod setting; // how a block hears from the one around it
mod site; // what a family may ask when it is installed

pub use args::{Args, Scope, parse_size, parse_time};
pub use blocks::{Address, Config, Http, Location, Name, Options, Server, load};
pub use module::{
    AnyDirective, AnyModule, Arity, Block, Body, Directive, Entry, Module, block, directive,
};
pub use servers::{ServerName, ServerNames};
pub use setting::{List, Setting};
pub use site::Site;
