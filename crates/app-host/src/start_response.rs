//! `start_response`, the `write` it returns (PEP 3333), and gunicorn's `wsgi.early_hints`.

use pyo3::exceptions::{PyAssertionError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::head::Head;
use crate::response::Response;

#[pyclass(module = "causeway_app_host")]
pub(crate) struct StartResponse {
    /// `None` once the request has ended.
    response: Option<Response>,
}

impl StartResponse {
    pub(crate) fn new(response: Response) -> StartResponse {
        StartResponse { response: Some(response) }
    }

    pub(crate) fn response(&mut self) -> PyResult<&mut Response> {
        self.response.as_mut().ok_or_else(|| PyAssertionError::new_err("the request has ended"))
    }

    /// The request ends: whoever still holds this can do nothing with it.
    pub(crate) fn finish(&mut self) -> Option<Response> {
        self.response.take()
    }
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info = None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let replaces = exc_info.map_or(Ok(false), PyAnyMethods::is_truthy)?;
        let peer = {
            let mut this = slf.try_borrow_mut()?;
            let response = this.response()?;
            if let (Some(exc_info), true, true) = (exc_info, replaces, response.is_sent()) {
                return Err(given_back(exc_info)?);
            }
            if !replaces && !response.is_unset() {
                return Err(PyAssertionError::new_err(
                    "start_response was called before, and there is no exc_info",
                ));
            }
            response.peer
        };
        // Without the borrow: `headers` may be an iterable of the application's own.
        let head = Head::read(status, headers, peer)?;
        slf.try_borrow_mut()?.response()?.set(head);
        slf.getattr(intern!(slf.py(), "write"))
    }

    /// Sends at once, as PEP 3333 has it.
    fn write(&mut self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = body_part(data)?;
        let response = self.response()?;
        response.append(py, data.as_bytes())?;
        response.flush(py)?;
        Ok(())
    }

    /// Sends a 103 with these fields at once. As with gunicorn, nothing happens once the response
    /// has begun, nor where nobody would understand it.
    fn early_hints(slf: &Bound<'_, Self>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let peer = match &slf.try_borrow()?.response {
            Some(response) if response.takes_early_hints() => response.peer,
            _ => return Ok(()),
        };
        let head = Head::read_early_hints(headers, peer)?;
        match &mut slf.try_borrow_mut()?.response {
            Some(response) if response.takes_early_hints() => {
                Ok(response.send_early_hints(slf.py(), &head)?)
            }
            _ => Ok(()),
        }
    }
}

/// Too late for another head: the application gets its exception back, with its traceback.
fn given_back(exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let (exception, traceback) = (exc_info.get_item(1)?, exc_info.get_item(2)?);
    let exception =
        exception.call_method1(intern!(exc_info.py(), "with_traceback"), (traceback,))?;
    Ok(PyErr::from_value(exception))
}

/// A part of a body, which is bytes and nothing else.
pub(crate) fn body_part<'a, 'py>(part: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyBytes>> {
    part.cast::<PyBytes>().map_err(|_| {
        let found = part.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
        PyTypeError::new_err(format!("a response body is made of bytes, not {found}"))
    })
}
