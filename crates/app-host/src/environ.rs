//! Parameters to the environ of PEP 3333: bytes become text by Latin-1, one character each.
//!
//! The constant part is a dict that is copied. Names come again and again, and so do most values
//! (everything but the path and a few ids): both are kept, and compared rather than made anew. One
//! of these for each thread, so that nothing is locked.

use std::collections::HashMap;

use fastcgi::Params;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::errors::Errors;
use crate::file_wrapper::FileWrapper;
use crate::input::Input;
use crate::options::HostOptions;
use crate::response::BodyRule;
use crate::story::ServerTiming;

/// Names kept: several times what browsers and proxies send. Clients choose names, so there is an
/// end to it.
const NAMES: usize = 512;
/// Longer values are seldom sent twice.
const KEPT_VALUE: usize = 256;

/// What the request says about the response, apart from what the application makes of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) body: BodyRule,
    pub(crate) server_timing: ServerTiming,
    pub(crate) peer: Peer,
}

/// Who speaks FastCGI to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It says so, by `CAUSEWAY_GATEWAY`: it names everything as gunicorn does, and knows interim
    /// heads.
    Gateway,
    /// Any other, nginx for one.
    #[default]
    WebServer,
}

pub(crate) struct Environs {
    template: Py<PyDict>,
    names: HashMap<Box<[u8]>, Known>,
}

struct Known {
    name: Py<PyString>,
    bytes: Vec<u8>,
    /// `bytes` as text.
    value: Py<PyString>,
}

/// What is there under the gateway's name; if not, it is derived.
#[derive(Default)]
struct Seen {
    path_info: bool,
    scheme: bool,
    raw_uri: bool,
}

impl Environs {
    pub(crate) fn new(py: Python<'_>, options: &HostOptions) -> PyResult<Environs> {
        let template = PyDict::new(py);
        let set = |name: &str, value: &Bound<'_, PyAny>| {
            template.set_item(PyString::intern(py, name), value)
        };
        // CGI has these in every request. A web server that leaves one out gets what it would be.
        let defaults = [
            ("SCRIPT_NAME", ""),
            ("QUERY_STRING", ""),
            ("SERVER_NAME", ""),
            ("SERVER_PORT", ""),
            ("SERVER_PROTOCOL", "HTTP/1.0"),
            ("wsgi.url_scheme", "http"),
        ];
        for (name, value) in defaults {
            set(name, PyString::intern(py, value).as_any())?;
        }
        set("wsgi.version", (1, 0).into_pyobject(py)?.as_any())?;
        set("wsgi.errors", Bound::new(py, Errors)?.as_any())?;
        set("wsgi.multithread", &(options.threads > 1).into_pyobject(py)?.to_owned())?;
        set("wsgi.multiprocess", &(options.processes > 1).into_pyobject(py)?.to_owned())?;
        set("wsgi.run_once", &false.into_pyobject(py)?.to_owned())?;
        set("wsgi.input_terminated", &true.into_pyobject(py)?.to_owned())?;
        set("wsgi.file_wrapper", py.get_type::<FileWrapper>().as_any())?;
        Ok(Environs { template: template.unbind(), names: HashMap::new() })
    }

    pub(crate) fn build<'py>(
        &mut self,
        py: Python<'py>,
        params: &Params,
        input: Input,
    ) -> PyResult<(Bound<'py, PyDict>, Wishes)> {
        let environ = self.template.bind(py).copy()?;
        environ.set_item(intern!(py, "wsgi.input"), Bound::new(py, input)?)?;
        let mut wishes = Wishes::default();
        let mut seen = Seen::default();
        let mut has_method = false;
        for (name, value) in params.iter() {
            match name {
                b"REQUEST_METHOD" => {
                    has_method = !value.is_empty();
                    if value == b"HEAD" {
                        wishes.body = BodyRule::Dropped;
                    }
                }
                b"PATH_INFO" => seen.path_info = true,
                b"RAW_URI" => seen.raw_uri = true,
                b"wsgi.url_scheme" => seen.scheme = true,
                // What CONTENT_LENGTH and CONTENT_TYPE say already; PEP 3333 knows no such names.
                b"HTTP_CONTENT_LENGTH" | b"HTTP_CONTENT_TYPE" => continue,
                _ if name.starts_with(b"CAUSEWAY_") => {
                    match name {
                        b"CAUSEWAY_GATEWAY" => wishes.peer = Peer::Gateway,
                        b"CAUSEWAY_SERVER_TIMING" if value == b"on" => {
                            wishes.server_timing = ServerTiming::On;
                        }
                        _ => (),
                    }
                    continue;
                }
                // Between the web server and us; and the keys that are ours to set.
                _ if name.starts_with(b"FCGI_") || name.starts_with(b"wsgi.") => continue,
                _ => (),
            }
            self.set(py, &environ, name, value)?;
        }
        if !has_method {
            return Err(PyValueError::new_err("a request without REQUEST_METHOD"));
        }
        if wishes.peer == Peer::WebServer {
            self.derive(py, &environ, params, &seen)?;
        }
        Ok((environ, wishes))
    }

    /// What web servers call differently, or leave out. nginx's `fastcgi_params` has the whole path
    /// as SCRIPT_NAME, since to PHP that is the script.
    fn derive(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        params: &Params,
        seen: &Seen,
    ) -> PyResult<()> {
        if !seen.path_info {
            let path = match (params.get(b"DOCUMENT_URI"), params.get(b"REQUEST_URI")) {
                (Some(path), _) => path.to_vec(),
                (None, Some(uri)) => decoded_path(uri),
                (None, None) => params.get(b"SCRIPT_NAME").unwrap_or(b"/").to_vec(),
            };
            self.set(py, environ, b"PATH_INFO", &path)?;
            self.set(py, environ, b"SCRIPT_NAME", b"")?;
        }
        if !seen.raw_uri
            && let Some(uri) = params.get(b"REQUEST_URI")
        {
            self.set(py, environ, b"RAW_URI", uri)?;
        }
        if !seen.scheme {
            let is_https = |value: &[u8]| value.eq_ignore_ascii_case(b"on") || value == b"1";
            let scheme = match params.get(b"REQUEST_SCHEME") {
                Some(scheme) if !scheme.is_empty() => scheme,
                _ if params.get(b"HTTPS").is_some_and(is_https) => b"https",
                _ => b"http",
            };
            self.set(py, environ, b"wsgi.url_scheme", scheme)?;
        }
        self.derive_server(py, environ, params)
    }

    /// PEP 3333: SERVER_NAME and SERVER_PORT are never empty. nginx's name is, unless it is given
    /// one.
    fn derive_server(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        params: &Params,
    ) -> PyResult<()> {
        let given = |name: &[u8]| params.get(name).filter(|value| !value.is_empty());
        let (host, port) = given(b"HTTP_HOST").map(split_host).unwrap_or_default();
        if given(b"SERVER_NAME").is_none() {
            let host = if host.is_empty() { given(b"SERVER_ADDR") } else { Some(host) };
            self.set(py, environ, b"SERVER_NAME", host.unwrap_or(b"localhost"))?;
        }
        if given(b"SERVER_PORT").is_none() {
            let scheme = environ.get_item(intern!(py, "wsgi.url_scheme"))?;
            let is_https = scheme.is_some_and(|scheme| scheme.eq("https").unwrap_or(false));
            let usual: &[u8] = if is_https { b"443" } else { b"80" };
            self.set(py, environ, b"SERVER_PORT", if port.is_empty() { usual } else { port })?;
        }
        Ok(())
    }

    fn set(
        &mut self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        name: &[u8],
        value: &[u8],
    ) -> PyResult<()> {
        if let Some(known) = self.names.get_mut(name) {
            if known.bytes != value {
                let text = latin1(py, value);
                if value.len() > KEPT_VALUE {
                    return environ.set_item(&known.name, text);
                }
                known.bytes.clear();
                known.bytes.extend_from_slice(value);
                known.value = text.unbind();
            }
            return environ.set_item(&known.name, &known.value);
        }
        let (key, text) = (latin1(py, name), latin1(py, value));
        environ.set_item(&key, &text)?;
        if self.names.len() < NAMES {
            let (bytes, text) = match value.len() {
                0..=KEPT_VALUE => (value.to_vec(), text),
                _ => (Vec::new(), PyString::new(py, "")),
            };
            let name_bytes = name;
            let name = interned(py, &key);
            let known = Known { name, bytes, value: text.unbind() };
            self.names.insert(name_bytes.into(), known);
        }
        Ok(())
    }
}

fn interned(py: Python<'_>, name: &Bound<'_, PyString>) -> Py<PyString> {
    name.to_str().map_or_else(|_| name.clone(), |name| PyString::intern(py, name)).unbind()
}

/// Nearly everything is ASCII, which is UTF-8 too.
fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => PyString::new(py, text),
        _ => PyString::new(py, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
    }
}

/// Name and port. The brackets of an IPv6 address hold colons of their own.
fn split_host(host: &[u8]) -> (&[u8], &[u8]) {
    let after_brackets = host.iter().rposition(|byte| *byte == b']').unwrap_or(0);
    match host[after_brackets..].iter().position(|byte| *byte == b':') {
        Some(at) => (&host[..after_brackets + at], &host[after_brackets + at + 1..]),
        None => (host, b""),
    }
}

/// The path of a request target, percent-decoded.
fn decoded_path(uri: &[u8]) -> Vec<u8> {
    let path = uri.split(|byte| *byte == b'?').next().unwrap_or_default();
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        if let (b'%', [high, low, behind @ ..]) = (*first, after)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push((high << 4 | low) as u8);
            rest = behind;
            continue;
        }
        decoded.push(*first);
        rest = after;
    }
    decoded
}
