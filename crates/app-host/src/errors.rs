//! `wsgi.errors`: text into the log, whole lines at a time.
//!
//! One object for all requests. A line that is not complete is kept by the thread that writes it, so
//! that threads do not write into each other's lines; `flush`, or the request's end, lets it go.

use std::cell::RefCell;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::log;

thread_local! {
    static PARTIAL: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[pyclass(frozen, module = "causeway_app_host")]
pub(crate) struct Errors;

#[pymethods]
impl Errors {
    /// How many characters were written: all.
    fn write(&self, text: &Bound<'_, PyString>) -> PyResult<usize> {
        let mut lines = PARTIAL.take();
        lines.extend_from_slice(&log::text(text));
        let whole = memchr::memrchr(b'\n', &lines).map_or(0, |place| place + 1);
        let rest = lines.split_off(whole);
        PARTIAL.set(rest);
        if !lines.is_empty() {
            log::raw(text.py(), &lines);
        }
        text.len()
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(line?.cast::<PyString>()?)?;
        }
        Ok(())
    }

    fn flush(&self, py: Python<'_>) {
        let partial = PARTIAL.take();
        if !partial.is_empty() {
            log::raw(py, &partial);
        }
    }
}

/// A line the request left unfinished must not run into the next one's.
pub(crate) fn end_of_request(py: Python<'_>) {
    if PARTIAL.with_borrow(Vec::is_empty) {
        return;
    }
    let mut line = PARTIAL.take();
    line.push(b'\n');
    log::raw(py, &line);
}
