//! Lines on standard error, as gunicorn writes them: `[2026-11-22 17:00:00 +0000] [PID] [INFO] ...`.
//!
//! One write for each entry, however many lines it has: threads and sibling processes share the
//! descriptor, and a traceback torn apart by another is worth little.

use std::fmt;
use std::io::Write;

use pyo3::prelude::*;
use pyo3::types::PyString;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Warning,
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
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
