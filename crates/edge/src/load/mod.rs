//! Nodes to settled blocks: every family's value for every block, set, inherited and installed.

mod module; // what a directive family is
mod args; // the words of one directive, read as values
mod setting; // how a block hears from the one around it
mod type_list; // content types
mod blocks; // http, server, location, if: the blocks themselves
mod read; // nodes to drafts
mod settle; // drafts to blocks
mod defaults; // what a file that does not name its logs is taken to say
mod servers; // which server a name means
mod site; // what a family may ask when it is installed
mod known; // nginx's names, for those the edge lacks

pub use args::{Args, Scope, parse_size, parse_time};
pub use blocks::{Address, Config, Http, Location, Name, Options, Reached, Server};
pub use known::{NGINX, NginxModule};
pub use module::{
    AnyDirective, AnyModule, Arity, Block, Body, Directive, Entry, Module, block, directive,
    lacking,
};
pub use read::load;
pub use servers::{ServerName, ServerNames};
pub(crate) use setting::settings;
pub use setting::{List, Reader, Setting};
pub use site::Site;
pub use type_list::{HTML, TypeList};
