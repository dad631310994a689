//! Text to nodes. Of all directives it knows `include` alone, because that one is about files and
//! not about requests; what the others mean is the business of [`crate::load`].

mod span; // where a word stands
mod error; // why a file was refused, in nginx's words
mod lexer; // bytes to words
mod parse; // words to nodes
mod include; // files to one tree

pub use error::{ConfError, errno};
pub use include::{Source, read};
pub use lexer::words;
pub use parse::{Node, Word, parse};
pub use span::Span;
