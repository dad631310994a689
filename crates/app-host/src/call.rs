//! The application: called, its iterable sent part by part, `close()` called whatever happened.

use fastcgi::KeepConnection;
use pyo3::exceptions::PyAssertionError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::environ::Environs;
use crate::errors;
use crate::fault::{self, Fault};
use crate::file_wrapper::FileWrapper;
use crate::fork;
use crate::hooks::{Hooks, RequestHooks};
use crate::input::Input;
use crate::log::{self, Level};
use crate::options::HostOptions;
use crate::protocol::{Connection, Request};
use crate::response::Response;
use crate::start_response::{StartResponse, body_part};
use crate::story::Story;

/// Serves one request. What is left in the connection's buffer is the response's end. Answers
/// whether the connection can carry another.
pub(crate) fn serve(
    application: &Bound<'_, PyAny>,
    options: &HostOptions,
    environs: &mut Environs,
    connection: &mut Connection,
    request: Request,
    hooks: &Hooks,
) -> PyResult<KeepConnection> {
    let py = application.py();
    let Request { id, keep, serial, params } = request;
    let mut story = Story::begin(params);
    let input = Input::new(connection.body(), serial);
    let built = environs.build(py, story.params(), input);
    let wishes = built.as_ref().map(|(_, wishes)| *wishes).unwrap_or_default();
    story.call(wishes.server_timing);
    let out = std::mem::take(&mut connection.out);
    let response = Response::new(connection.stream(), out, id, wishes, story);
    let start_response = Bound::new(py, StartResponse::new(response))?;
    let (result, hooked) = match built {
        Ok((environ, _)) => {
            let hooked = hooks.begin(&environ);
            if hooked.as_ref().is_some_and(RequestHooks::wants_response) {
                start_response.try_borrow_mut()?.response()?.keep_told();
            }
            let result = hooked.as_ref().map_or(Ok(()), RequestHooks::before);
            let result = match result {
                Ok(()) => run(application, options, environ, &start_response, connection),
                Err(error) => Err(Fault::Application(error)),
            };
            (result, hooked)
        }
        Err(error) => (Err(Fault::Application(error)), None),
    };
    if fork::is_child() {
        fork::end_child(py, &result, &start_response)?;
    }
    // Fails if another thread of the application is inside `write`: then no end can be written, and
    // the caller closes the connection.
    let mut this = start_response.try_borrow_mut()?;
    let mut response = this.finish().expect("only this function ends the request");
    let app_status = match result {
        Ok(()) => check_length(py, &response),
        Err(fault) => fault::answer(py, &fault, &mut response),
    };
    errors::end_of_request(py);
    if let Some(line) = response.story.line() {
        log::entry(py, Level::Info, &line);
    }
    let broken = response.is_broken();
    let told = response.take_told();
    connection.out = response.end(app_status);
    if let Some(hooked) = hooked {
        // The client need not wait for it. What can not be sent, the next write finds out.
        let _ = py.detach(|| connection.flush());
        hooked.after(told);
    }
    Ok(if broken { KeepConnection::No } else { keep })
}

fn run(
    application: &Bound<'_, PyAny>,
    options: &HostOptions,
    environ: Bound<'_, PyDict>,
    start_response: &Bound<'_, StartResponse>,
    connection: &Connection,
) -> Result<(), Fault> {
    let py = application.py();
    let early_hints = start_response.getattr(intern!(py, "early_hints"))?;
    environ.set_item(intern!(py, "wsgi.early_hints"), early_hints)?;
    let iterable = application.call1((environ, start_response))?;
    if let Ok(list) = iterable.cast_exact::<PyList>() {
        // By index: the application may still hold the list, and change it while a write is waited
        // for.
        let mut index = 0;
        while index < list.len() {
            append(py, &list.get_item(index)?, start_response)?;
            index += 1;
        }
        return check_started(start_response);
    }
    if let Ok(tuple) = iterable.cast_exact::<PyTuple>() {
        for part in tuple {
            append(py, &part, start_response)?;
        }
        return check_started(start_response);
    }
    let sent = send(&iterable, options, start_response, connection);
    let closed = close(py, &iterable);
    match (sent, closed) {
        (Ok(()), Err(error)) => {
            // The response is complete; only the log can still be told.
            let mut this = start_response.try_borrow_mut().map_err(PyErr::from)?;
            fault::report(py, &error, &this.response()?.story);
            Ok(())
        }
        (sent, _) => sent,
    }
}

/// Sends what is not a plain list: each part before the next is asked for, and all of it before
/// `close`, in which applications do what the client need not wait for.
fn send(
    iterable: &Bound<'_, PyAny>,
    options: &HostOptions,
    start_response: &Bound<'_, StartResponse>,
    connection: &Connection,
) -> Result<(), Fault> {
    let py = iterable.py();
    if options.sendfile
        && let Ok(wrapper) = iterable.cast::<FileWrapper>()
        && let Some(plain) = wrapper.get().plain_file(py)
    {
        check_started(start_response)?;
        let mut this = start_response.try_borrow_mut().map_err(PyErr::from)?;
        return Ok(this.response()?.send_file(py, &plain)?);
    }
    let body = connection.body();
    for (index, part) in iterable.try_iter()?.enumerate() {
        if append(py, &part?, start_response)? == Appended::Something {
            let mut this = start_response.try_borrow_mut().map_err(PyErr::from)?;
            let response = this.response()?;
            response.flush(py)?;
            // PEP 3333: what Content-Length promised has been sent, and there is no end to some
            // iterables. One that ends where it should is still asked once more, as elsewhere.
            if response.surplus() > 0 {
                break;
            }
        }
        // An endless response ends when its client leaves. Not looked for before the second part:
        // most responses have one.
        if index > 0 && body.peer_is_gone() {
            return Err(Fault::PeerGone);
        }
    }
    check_started(start_response)?;
    let mut this = start_response.try_borrow_mut().map_err(PyErr::from)?;
    Ok(this.response()?.flush(py)?)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Appended {
    Nothing,
    Something,
}

fn append(
    py: Python<'_>,
    part: &Bound<'_, PyAny>,
    start_response: &Bound<'_, StartResponse>,
) -> Result<Appended, Fault> {
    let part = body_part(part)?.as_bytes();
    if part.is_empty() {
        return Ok(Appended::Nothing);
    }
    check_started(start_response)?;
    let mut this = start_response.try_borrow_mut().map_err(PyErr::from)?;
    this.response()?.append(py, part)?;
    Ok(Appended::Something)
}

fn check_started(start_response: &Bound<'_, StartResponse>) -> Result<(), Fault> {
    let mut this = start_response.try_borrow_mut().map_err(PyErr::from)?;
    if this.response()?.is_unset() {
        let message = "the application has not called start_response";
        return Err(Fault::Application(PyAssertionError::new_err(message)));
    }
    Ok(())
}

fn close(py: Python<'_>, iterable: &Bound<'_, PyAny>) -> PyResult<()> {
    match iterable.getattr_opt(intern!(py, "close"))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

/// A body that is not as long as its head says.
fn check_length(py: Python<'_>, response: &Response) -> u32 {
    let (missing, surplus) = (response.missing(), response.surplus());
    if (missing, surplus) == (0, 0) {
        return 0;
    }
    let (amount, than) = if missing > 0 { (missing, "short of") } else { (surplus, "beyond") };
    let message = format!(
        "Response body of {} is {amount} bytes {than} its Content-Length{}",
        response.story.request(),
        response.story.trace()
    );
    log::entry(py, Level::Error, &message);
    u32::from(missing > 0)
}
