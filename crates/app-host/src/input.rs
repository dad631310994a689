//! `wsgi.input`: the request's body as a file, with the semantics of `io.BytesIO`.
//!
//! Nothing is read before the application asks: a body it never looks at never leaves the socket.
//! The interpreter is let go before the reader is locked, always: a thread that waited for the lock
//! with the interpreter in hand would keep the one that has the lock from ever returning it.

use std::sync::Arc;

use bytes::Bytes;
use pyo3::exceptions::{PyConnectionResetError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::protocol::{Body, BodyError, Wanted};

#[pyclass(frozen, module = "causeway_app_host")]
pub(crate) struct Input {
    body: Arc<Body>,
    serial: u64,
}

impl Input {
    pub(crate) fn new(body: Arc<Body>, serial: u64) -> Input {
        Input { body, serial }
    }

    fn take<'py>(&self, py: Python<'py>, wanted: Wanted) -> PyResult<Bound<'py, PyBytes>> {
        let parts = py.detach(|| self.body.take(self.serial, wanted));
        match parts {
            Ok(parts) => join(py, &parts),
            Err(error @ BodyError::Over) => Err(PyValueError::new_err(error.to_string())),
            Err(error @ BodyError::Broken) => {
                Err(PyConnectionResetError::new_err(error.to_string()))
            }
        }
    }

    fn line<'py>(&self, py: Python<'py>, limit: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, Wanted::Line(bound(limit).unwrap_or(usize::MAX)))
    }
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size = None))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, bound(size).map_or(Wanted::All, Wanted::Bytes))
    }

    #[pyo3(signature = (size = None))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.line(py, size)
    }

    /// `hint`: no further line once so many bytes were read. 0, like a negative number, is none.
    #[pyo3(signature = (hint = None))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let enough = bound(hint).filter(|hint| *hint > 0).unwrap_or(usize::MAX);
        let lines = PyList::empty(py);
        let mut total = 0;
        while total < enough {
            let line = self.line(py, None)?;
            let length = line.as_bytes().len();
            if length == 0 {
                break;
            }
            total += length;
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.line(py, None)?;
        Ok(if line.as_bytes().is_empty() { None } else { Some(line) })
    }
}

/// `None` and negative numbers mean no bound.
fn bound(size: Option<isize>) -> Option<usize> {
    size.and_then(|size| usize::try_from(size).ok())
}

fn join<'py>(py: Python<'py>, parts: &[Bytes]) -> PyResult<Bound<'py, PyBytes>> {
    match parts {
        [] => Ok(PyBytes::new(py, b"")),
        [single] => Ok(PyBytes::new(py, single)),
        several => {
            let total = several.iter().map(Bytes::len).sum();
            PyBytes::new_with(py, total, |joined| {
                let mut rest = joined;
                for part in several {
                    let (place, after) = rest.split_at_mut(part.len());
                    place.copy_from_slice(part);
                    rest = after;
                }
                Ok(())
            })
        }
    }
}
