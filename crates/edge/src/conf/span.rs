//! Where a word stands, so that every complaint can say it.

use std::{fmt, sync::Arc};

use super::ConfError;

#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    file: Arc<str>,
    line: u32,
}

impl Span {
    pub fn new(file: &Arc<str>, line: u32) -> Span {
        Span { file: Arc::clone(file), line }
    }

    /// A complaint about this place.
    pub fn error(&self, message: impl Into<String>) -> ConfError {
        ConfError::At { message: message.into(), span: self.clone() }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
