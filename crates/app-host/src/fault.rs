//! Where everything that goes wrong in a request ends up.
//!
//! Before the head is sent: a 500. After: the stream is broken off, by an `appStatus` that is not 0,
//! so that the client sees a cut response and not a short one. The traceback is always written. No
//! exception of the application ends the process: not SystemExit, not KeyboardInterrupt.

use std::io;

use pyo3::exceptions::PyBaseException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::head::Head;
use crate::log;
use crate::response::Response;
use crate::story::Story;

const PAGE: &[u8] = b"<html>\n  <head>\n    <title>Internal Server Error</title>\n  </head>\n  \
    <body>\n    <h1>Internal Server Error</h1>\n  </body>\n</html>\n";

#[derive(Debug)]
pub(crate) enum Fault {
    /// The application raised, or did what no application may.
    Application(PyErr),
    /// Nobody waits for the response any more. Nobody's fault, and nothing to log.
    PeerGone,
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Fault {
        Fault::Application(error)
    }
}

/// Writing failed, and there is only one reason for it.
impl From<io::Error> for Fault {
    fn from(_: io::Error) -> Fault {
        Fault::PeerGone
    }
}

/// Logs an exception as gunicorn does: a line about the request, then the traceback.
pub(crate) fn report(py: Python<'_>, error: &PyErr, story: &Story) {
    let message = format!("Error handling request {}{}", story.request(), story.trace());
    log::exception(py, &message, error);
}

pub(crate) fn traceback(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let format = py.import("traceback")?.getattr("format_exception")?;
    let lines: Vec<Bound<'_, PyString>> = format.call1((exception(py, error)?,))?.extract()?;
    let text: Vec<u8> = lines.iter().flat_map(log::text).collect();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// An exception that was not caught by Python code does not have its traceback yet: the interpreter
/// keeps the two apart until then.
pub(crate) fn exception<'py>(
    py: Python<'py>,
    error: &PyErr,
) -> PyResult<Bound<'py, PyBaseException>> {
    let value = error.value(py).clone();
    if let Some(traceback) = error.traceback(py) {
        value.setattr(intern!(py, "__traceback__"), traceback)?;
    }
    Ok(value)
}

/// Answers in place of the application. What `Response::end` is to be called with.
pub(crate) fn answer(py: Python<'_>, fault: &Fault, response: &mut Response) -> u32 {
    if let (Fault::Application(error), false) = (fault, response.is_broken()) {
        report(py, error, &response.story);
    }
    if response.is_sent() || matches!(fault, Fault::PeerGone) {
        return 1;
    }
    let mut lines = b"Status: 500 Internal Server Error\r\nContent-Type: text/html\r\n".to_vec();
    lines.extend_from_slice(format!("Content-Length: {}\r\n", PAGE.len()).as_bytes());
    response.set(Head { status: 500, lines, content_length: Some(PAGE.len() as u64) });
    match response.append(py, PAGE) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}
