//! Lines on standard error, as gunicorn writes them: `[2026-11-22 17:00:00 +0000] [PID] [INFO] ...`.
//!
//! One write for each entry, however many lines it has: threads and sibling processes share the
//! descriptor, and a traceback torn apart by another is worth little.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use nix::unistd::dup2_stderr;
use pyo3::prelude::*;
use pyo3::types::PyString;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        })
    }
}

/// Writes one entry. The interpreter knows the time zone; entries are rare enough to ask it.
pub(crate) fn entry(py: Python<'_>, level: Level, message: &dyn fmt::Display) {
    let time = timestamp(py).unwrap_or_default();
    let pid = std::process::id();
    raw(py, format!("[{time}] [{pid}] [{level}] {message}\n").as_bytes());
}

/// Writes what has its form already. That nobody reads the log is no reason to fail a request.
pub(crate) fn raw(py: Python<'_>, text: &[u8]) {
    py.detach(|| {
        let _ = std::io::stderr().write_all(text);
    });
}

/// The file standard error is, if it is one that may be moved away.
pub(crate) struct ErrorLog {
    path: Option<PathBuf>,
}

impl ErrorLog {
    pub(crate) fn new(path: Option<OsString>) -> ErrorLog {
        ErrorLog { path: path.map(PathBuf::from) }
    }

    /// The descriptor keeps its number: the interpreter, its crash handler and the processes the
    /// application started know the log by that. Where the file can not be had, the old one stays.
    pub(crate) fn reopen(&self, py: Python<'_>) {
        let Some(path) = &self.path else { return };
        let opened = File::options().append(true).create(true).open(path);
        let opened = opened.and_then(|file| Ok(dup2_stderr(file)?));
        if let Err(error) = opened {
            let path = path.display();
            entry(py, Level::Error, &format_args!("\"{path}\" can not be opened anew: {error}"));
        }
    }
}

fn timestamp(py: Python<'_>) -> PyResult<String> {
    py.import("time")?.call_method1("strftime", ("%Y-%m-%d %H:%M:%S %z",))?.extract()
}

/// Python text as bytes for a log: lone surrogates, which UTF-8 has no form for, are escaped.
pub(crate) fn text(value: &Bound<'_, PyString>) -> Vec<u8> {
    if let Ok(text) = value.to_str() {
        return text.as_bytes().to_vec();
    }
    let escaped = value.call_method1("encode", ("utf-8", "backslashreplace"));
    escaped.and_then(|bytes| bytes.extract()).unwrap_or_default()
}
