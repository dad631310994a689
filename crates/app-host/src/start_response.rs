//! `start_response` and the `write` it returns, PEP 3333.
//!
//! Whatever is not a head HTTP can have is refused here, while the application can still be told by
//! an exception, and its author by a traceback.

use std::sync::atomic::{AtomicU16, Ordering};

use pyo3::exceptions::{PyAssertionError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::log::{self, Level};
use crate::response::{Head, Response};

/// RFC 9110 §7.6.1: between two hops, and so the gateway's alone. PEP 3333 forbids them to
/// applications; those that send them all the same run under gunicorn, which drops them.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Which of them were complained about: a bit each.
static COMPLAINED: AtomicU16 = AtomicU16::new(0);

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
    #[pyo3(signature = (status, headers, exc_info = None, /))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        {
            let mut this = slf.try_borrow_mut()?;
            let response = this.response()?;
            match exc_info {
                Some(exc_info) if exc_info.is_truthy()? => {
                    // Too late for another head: the application gets its exception back.
                    let too_late = response.is_sent().then(|| exc_info.get_item(1));
                    if let Some(exception) = too_late.transpose()? {
                        return Err(PyErr::from_value(exception));
                    }
                }
                _ if !response.is_unset() => {
                    return Err(PyAssertionError::new_err(
                        "start_response was called before, and there is no exc_info",
                    ));
                }
                _ => (),
            }
        }
        // Without the borrow: `headers` may be an iterable of the application's own.
        let head = read_head(status, headers)?;
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
}

/// A part of a body, which is bytes and nothing else.
pub(crate) fn body_part<'a, 'py>(part: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyBytes>> {
    part.cast::<PyBytes>().map_err(|_| {
        let found = part.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
        PyTypeError::new_err(format!("a response body is made of bytes, not {found}"))
    })
}

fn read_head(status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<Head> {
    let mut lines = Vec::with_capacity(512);
    lines.extend_from_slice(b"Status: ");
    let start = lines.len();
    write_latin1(&mut lines, status, "the status")?;
    let status = read_status(&lines[start..]).ok_or_else(|| {
        PyValueError::new_err(format!("invalid status \"{}\"", lines[start..].escape_ascii()))
    })?;
    lines.extend_from_slice(b"\r\n");
    let mut head = Head { status, lines, content_length: None };
    if let Ok(list) = headers.cast::<PyList>() {
        for field in list {
            write_field(&mut head, &field)?;
        }
    } else {
        for field in headers.try_iter()? {
            write_field(&mut head, &field?)?;
        }
    }
    Ok(head)
}

/// `NNN reason`. As gunicorn does, `NNN` alone is taken. 1xx is no response: it would leave the
/// client waiting for one.
fn read_status(status: &[u8]) -> Option<u16> {
    let (digits, reason) = status.split_at_checked(3)?;
    let well_formed = digits.iter().all(u8::is_ascii_digit)
        && reason.first().is_none_or(|byte| *byte == b' ')
        && reason.iter().copied().all(is_field_byte);
    let status = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (well_formed && status >= 200).then_some(status)
}

fn write_field(head: &mut Head, field: &Bound<'_, PyAny>) -> PyResult<()> {
    let pair = match field.cast::<PyTuple>() {
        Ok(pair) => pair.clone(),
        Err(_) => field.py().get_type::<PyTuple>().call1((field,))?.cast_into::<PyTuple>()?,
    };
    if pair.len() != 2 {
        return Err(PyValueError::new_err("a header is a pair of name and value"));
    }
    let start = head.lines.len();
    write_latin1(&mut head.lines, &pair.get_item(0)?, "a header name")?;
    let name = &head.lines[start..];
    // Only the name is told: the value may be a secret, and logs are read by many.
    let refused =
        |why: &str| Err(PyValueError::new_err(format!("{why} \"{}\"", name.escape_ascii())));
    if !is_token(name) {
        return refused("invalid header name");
    }
    let hop = HOP_BY_HOP.iter().position(|hop| name.eq_ignore_ascii_case(hop.as_bytes()));
    if name.eq_ignore_ascii_case(b"status") {
        return refused("the status is given to start_response, not in a header");
    }
    let is_length = name.eq_ignore_ascii_case(b"content-length");
    let colon = head.lines.len();
    head.lines.extend_from_slice(b": ");
    let value_start = head.lines.len();
    write_latin1(&mut head.lines, &pair.get_item(1)?, "a header value")?;
    let value = &head.lines[value_start..];
    if !value.iter().copied().all(is_field_byte) {
        let name = head.lines[start..colon].escape_ascii();
        return Err(PyValueError::new_err(format!("invalid value of header \"{name}\"")));
    }
    if let Some(hop) = hop {
        head.lines.truncate(start);
        complain(field.py(), hop);
        return Ok(());
    }
    if is_length {
        let length = read_length(value);
        let Some(length) = length.filter(|new| head.content_length.is_none_or(|old| old == *new))
        else {
            return Err(PyValueError::new_err("invalid Content-Length"));
        };
        let is_second = head.content_length.replace(length).is_some();
        // RFC 9110 §8.6: none in a 204.
        if is_second || head.status == 204 {
            head.lines.truncate(start);
            return Ok(());
        }
    }
    head.lines.extend_from_slice(b"\r\n");
    Ok(())
}

/// One line for each name: the author is to know, the log is not to fill.
fn complain(py: Python<'_>, hop: usize) {
    let bit = 1 << hop;
    if COMPLAINED.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
        return;
    }
    let message = format!(
        "header \"{}\" of the application is dropped: hop-by-hop headers are the server's; \
         said once for each name",
        HOP_BY_HOP[hop]
    );
    log::entry(py, Level::Warning, &message);
}

fn read_length(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(value).ok()?.parse().ok() } else { None }
}

/// PEP 3333: text, of characters that are bytes.
fn write_latin1(target: &mut Vec<u8>, value: &Bound<'_, PyAny>, what: &str) -> PyResult<()> {
    let Ok(value) = value.cast::<PyString>() else {
        return Err(PyTypeError::new_err(format!("{what} is not a string")));
    };
    let text = value.to_str()?;
    if text.is_ascii() {
        target.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    for character in text.chars() {
        let byte = u8::try_from(character)
            .map_err(|_| PyValueError::new_err(format!("{what} has a character beyond Latin-1")))?;
        target.push(byte);
    }
    Ok(())
}

/// RFC 9110 §5.6.2.
fn is_token(name: &[u8]) -> bool {
    let is_token_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_token_byte)
}

/// RFC 9110 §5.5: no control characters but the tab.
fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (b' ' <= byte && byte != 0x7f)
}
