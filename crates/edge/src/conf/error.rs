//! Why a configuration was refused, in nginx's own words, so that people's greps keep working.

use std::fmt;

use super::Span;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfError {
    /// About a place in a file.
    At { message: String, span: Span },
    /// The same, with a line below it that nginx would not print.
    Noted { error: Box<ConfError>, note: &'static str },
    /// About the configuration as a whole: a socket in use, a log that can not be opened.
    Whole { message: String },
}

impl ConfError {
    pub fn whole(message: impl Into<String>) -> ConfError {
        ConfError::Whole { message: message.into() }
    }

    /// Adds what a reader should know besides.
    #[must_use]
    pub fn noting(self, note: &'static str) -> ConfError {
        ConfError::Noted { error: Box::new(self), note }
    }

    /// What nginx says of a failed system call: `open() "x" failed (2: No such file or directory)`.
    pub fn io(call: &str, subject: &str, error: &std::io::Error) -> ConfError {
        ConfError::whole(format!("{call} {subject} failed ({})", errno(error)))
    }
}

/// `2: No such file or directory`, as nginx writes an error of the system.
pub fn errno(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => {
            // The C library's words, without what std appends to them.
            let text = std::io::Error::from_raw_os_error(number).to_string();
            let text = text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text);
            format!("{number}: {text}")
        }
        None => error.to_string(),
    }
}

/// Without the `[emerg]`: the one who reports it knows how bad it is.
impl fmt::Display for ConfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfError::At { message, span } => write!(f, "{message} in {span}"),
            ConfError::Noted { error, note } => write!(f, "{error}\n{note}"),
            ConfError::Whole { message } => write!(f, "{message}"),
        }
    }
}

impl std::error::Error for ConfError {}
