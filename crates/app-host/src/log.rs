//! What this process says, in gunicorn's form: `[2026-11-22 17:00:00 +0000] [PID] [INFO] ...`.
//!
//! Lines go through Python's logger `gunicorn.error` (see `logger.py`), so that whoever configures it
//! gets them; where there is none yet, or an application has disabled it, they are written here. One
//! write for each entry then, however many lines it has: threads and sibling processes share the
//! descriptor, and a traceback torn apart by another is worth little.

use std::ffi::{CStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use nix::unistd::dup2_stderr;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::boot::{self, code};
use crate::fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        }
    }
}

const LOGGER: &CStr = code!("logger.py");

/// Not in a process that was started alone: there is nobody to configure it.
static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// `logger.py`, which from here on has the first say.
pub(crate) fn logger(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    let module =
        MODULE.get_or_try_init(py, || boot::module(py, LOGGER, c"logger").map(Bound::unbind))?;
    Ok(module.bind(py).clone())
}

/// One entry. That nobody reads the log is no reason to fail a request.
pub(crate) fn entry(py: Python<'_>, level: Level, message: &dyn fmt::Display) {
    let message = message.to_string();
    if !said(py, |logger| logger.call_method1(intern!(py, "entry"), (level.name(), &message))) {
        write_entry(py, level, &message);
    }
}

/// An entry, and an exception's traceback.
pub(crate) fn exception(py: Python<'_>, message: &str, error: &PyErr) {
    let told = said(py, |logger| {
        let error = fault::exception(py, error)?;
        logger.call_method1(intern!(py, "exception"), (message, error))
    });
    if !told {
        let traceback = fault::traceback(py, error).unwrap_or_else(|_| error.to_string());
        write_entry(py, Level::Error, &format!("{message}\n{}", traceback.trim_end()));
    }
}

/// Writes what has its form already.
pub(crate) fn raw(py: Python<'_>, text: &[u8]) {
    let written = said(py, |logger| {
        logger.call_method1(intern!(py, "write"), (String::from_utf8_lossy(text),))
    });
    if !written {
        write(py, text);
    }
}

/// Whether Python's logging took it. What goes wrong in there must not hide what was to be said.
fn said<'py>(
    py: Python<'py>,
    say: impl FnOnce(&Bound<'py, PyModule>) -> PyResult<Bound<'py, PyAny>>,
) -> bool {
    let Some(logger) = MODULE.get(py) else { return false };
    say(logger.bind(py)).and_then(|said| said.extract()).unwrap_or(false)
}

/// The interpreter knows the time zone; entries are rare enough to ask it.
fn write_entry(py: Python<'_>, level: Level, message: &str) {
    let time = timestamp(py).unwrap_or_default();
    let (pid, level) = (std::process::id(), level.name());
    write(py, format!("[{time}] [{pid}] [{level}] {message}\n").as_bytes());
}

fn write(py: Python<'_>, text: &[u8]) {
    py.detach(|| {
        let _ = std::io::stderr().write_all(text);
    });
}

/// The file standard error is, if a process that was started alone was told of one; and those of
/// Python's handlers.
pub(crate) struct ErrorLog {
    path: Option<PathBuf>,
}

impl ErrorLog {
    pub(crate) fn new(path: Option<OsString>) -> ErrorLog {
        ErrorLog { path: path.map(PathBuf::from) }
    }

    /// They were moved away. The descriptor keeps its number: the interpreter, its crash handler and
    /// the processes the application started know the log by that. Where a file can not be had, the
    /// old one stays.
    pub(crate) fn reopen(&self, py: Python<'_>) {
        if let Some(logger) = MODULE.get(py)
            && let Err(error) = logger.bind(py).call_method0("reopen")
        {
            entry(py, Level::Error, &format_args!("a log can not be opened anew: {error}"));
        }
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
