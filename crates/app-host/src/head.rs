//! The head of a response, as the application gives it: checked, and in its final form.
//!
//! Whatever is not a head HTTP can have is refused here, while the application can still be told by
//! an exception, and its author by a traceback. What is not the application's to say is left out.

use std::sync::atomic::{AtomicU16, Ordering};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::environ::Peer;
use crate::log::{self, Level};

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
const STATUS: &str = "status";

/// Which names were complained about: a bit for each hop-by-hop one, then `Status`.
static COMPLAINED: AtomicU16 = AtomicU16::new(0);

/// What start_response was given, checked and in its final form.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// `Status: 200 OK` and the fields, each with its line end.
    pub(crate) lines: Vec<u8>,
    pub(crate) content_length: Option<u64>,
}

impl Head {
    pub(crate) fn read(
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        peer: Peer,
    ) -> PyResult<Head> {
        let mut lines = Vec::with_capacity(512);
        lines.extend_from_slice(b"Status: ");
        let start = lines.len();
        write_latin1(&mut lines, status, "the status")?;
        let status = read_status(&lines[start..]).ok_or_else(|| {
            PyValueError::new_err(format!("invalid status \"{}\"", lines[start..].escape_ascii()))
        })?;
        lines.extend_from_slice(b"\r\n");
        let mut head = Head { status, lines, content_length: None };
        head.write_fields(headers, peer)?;
        Ok(head)
    }

    /// A whole interim head, RFC 8297.
    pub(crate) fn read_early_hints(headers: &Bound<'_, PyAny>, peer: Peer) -> PyResult<Head> {
        let lines = b"Status: 103 Early Hints\r\n".to_vec();
        let mut head = Head { status: 103, lines, content_length: None };
        head.write_fields(headers, peer)?;
        head.lines.extend_from_slice(b"\r\n");
        Ok(head)
    }

    fn write_fields(&mut self, headers: &Bound<'_, PyAny>, peer: Peer) -> PyResult<()> {
        if let Ok(list) = headers.cast::<PyList>() {
            for field in list {
                self.write_field(&field, peer)?;
            }
        } else {
            for field in headers.try_iter()? {
                self.write_field(&field?, peer)?;
            }
        }
        Ok(())
    }

    fn write_field(&mut self, field: &Bound<'_, PyAny>, peer: Peer) -> PyResult<()> {
        let pair = match field.cast::<PyTuple>() {
            Ok(pair) => pair.clone(),
            Err(_) => field.py().get_type::<PyTuple>().call1((field,))?.cast_into::<PyTuple>()?,
        };
        if pair.len() != 2 {
            return Err(PyValueError::new_err("a header is a pair of name and value"));
        }
        let start = self.lines.len();
        self.write_text(&pair.get_item(0)?, "a header name")?;
        let colon = self.lines.len();
        let name = &self.lines[start..];
        if !is_token(name) {
            // Only the name is told: the value may be a secret, and logs are read by many.
            let name = name.escape_ascii();
            return Err(PyValueError::new_err(format!("invalid header name \"{name}\"")));
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let unwanted = HOP_BY_HOP.iter().position(|hop| is(hop));
        // After the first line, which is ours, the gateway takes it for any other field, as HTTP
        // does. CGI knows no second one: a web server might take the application's for the status.
        let unwanted = unwanted
            .or_else(|| (peer == Peer::WebServer && is(STATUS)).then_some(HOP_BY_HOP.len()));
        let is_length = is("content-length");
        self.lines.extend_from_slice(b": ");
        let value_start = self.lines.len();
        self.write_text(&pair.get_item(1)?, "a header value")?;
        let value = &self.lines[value_start..];
        if !value.iter().copied().all(is_field_byte) {
            let name = self.lines[start..colon].escape_ascii();
            return Err(PyValueError::new_err(format!("invalid value of header \"{name}\"")));
        }
        if let Some(unwanted) = unwanted {
            self.lines.truncate(start);
            complain(field.py(), unwanted);
            return Ok(());
        }
        if is_length {
            let length = read_length(value);
            let Some(length) =
                length.filter(|new| self.content_length.is_none_or(|old| old == *new))
            else {
                return Err(PyValueError::new_err("invalid Content-Length"));
            };
            let is_second = self.content_length.replace(length).is_some();
            // RFC 9110 §8.6: none in a 204, none in a 1xx.
            if is_second || self.status == 204 || self.status < 200 {
                self.lines.truncate(start);
                return Ok(());
            }
        }
        self.lines.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Text; in early hints bytes as well, as with gunicorn.
    fn write_text(&mut self, value: &Bound<'_, PyAny>, what: &str) -> PyResult<()> {
        match value.cast::<PyBytes>() {
            Ok(bytes) if self.status < 200 => {
                self.lines.extend_from_slice(bytes.as_bytes());
                Ok(())
            }
            _ => write_latin1(&mut self.lines, value, what),
        }
    }
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

/// One line for each name: the author is to know, the log is not to fill.
fn complain(py: Python<'_>, unwanted: usize) {
    let bit = 1 << unwanted;
    if COMPLAINED.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
        return;
    }
    let (name, why) = match HOP_BY_HOP.get(unwanted) {
        Some(name) => (*name, "hop-by-hop headers are the server's"),
        None => (STATUS, "to a web server that speaks FastCGI it is the status itself"),
    };
    let message =
        format!("header \"{name}\" of the application is dropped: {why}; said once for each name");
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
