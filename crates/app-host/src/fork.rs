//! A process that the application forks in the middle of a request, and does not end there.
//!
//! It has a copy of everything: the listening socket, the connections, the request in hand. Were it
//! to go on like its parent, there would be two answers to one request, and two readers of one
//! connection; were it only to live on, a connection would not end with the worker it belongs to. So
//! in the child our sockets are put out of reach at once, and a child that comes back out of the
//! application ends there. What it does in between is its own affair.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow};
use pyo3::exceptions::PySystemExit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::control;
use crate::fault::{self, Fault};
use crate::log::{self, Level};
use crate::start_response::StartResponse;
use crate::sys;
use crate::worker::Worker;

/// Set in a child, and never in the process that serves.
static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Has the interpreter tell us of every fork after which Python code goes on. Called by the process
/// that serves: it may have been forked itself, and its own children are meant.
pub(crate) fn watch(worker: &Bound<'_, Worker>) -> PyResult<()> {
    let py = worker.py();
    let hooks = PyDict::new(py);
    hooks.set_item("before", pyo3::wrap_pyfunction!(before_fork, py)?)?;
    hooks.set_item("after_in_parent", pyo3::wrap_pyfunction!(listen_again, py)?)?;
    hooks.set_item("after_in_child", worker.getattr("after_fork_in_child")?)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&hooks)).map(drop)
}

thread_local! {
    /// What the forking thread listened to before.
    static MASK: Cell<Option<SigSet>> = const { Cell::new(None) };
}

/// A signal to the child must not come before the child knows that it is one. Our handler would
/// write it into the pipe that our main thread reads, and the child would never hear of it.
#[pyfunction]
fn before_fork() {
    let ours: SigSet = control::signals().collect();
    MASK.set(ours.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok());
}

#[pyfunction]
fn listen_again() {
    if let Some(mask) = MASK.take() {
        let _ = mask.thread_set_mask();
    }
}

/// In the child, whose only thread this is. `sockets` are those it must not keep.
pub(crate) fn begin_child(py: Python<'_>, sockets: impl Iterator<Item = RawFd>) -> PyResult<()> {
    IS_CHILD.store(true, Ordering::SeqCst);
    control::forget_signals(py)?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    for socket in sockets {
        // The numbers stay taken: whoever owns them here would otherwise close another's.
        let _ = sys::replace(socket, nothing.as_raw_fd());
    }
    listen_again();
    Ok(())
}

/// Whether this is no longer the process that serves.
pub(crate) fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// A child has come back out of the application. It ends with the code an ordinary script would have
/// ended with, but without what the worker registered to run at its own exit.
pub(crate) fn end_child(
    py: Python<'_>,
    result: &Result<(), Fault>,
    start_response: &Bound<'_, StartResponse>,
) -> PyResult<()> {
    leave(py, exit_code(py, result, start_response).unwrap_or(1))
}

/// Ends a child, and comes back only if not even that can be done.
pub(crate) fn leave(py: Python<'_>, code: i32) -> PyResult<()> {
    for stream in ["stdout", "stderr"] {
        let _ = py.import("sys")?.getattr(stream)?.call_method0("flush");
    }
    py.import("os")?.call_method1("_exit", (code,)).map(drop)
}

fn exit_code(
    py: Python<'_>,
    result: &Result<(), Fault>,
    start_response: &Bound<'_, StartResponse>,
) -> PyResult<i32> {
    let mut this = start_response.try_borrow_mut()?;
    let story = &this.response()?.story;
    match result {
        Err(Fault::Application(error)) if error.is_instance_of::<PySystemExit>(py) => {
            let code = error.value(py).getattr(intern!(py, "code"))?;
            if code.is_none() { Ok(0) } else { code.extract() }
        }
        Err(Fault::Application(error)) => {
            fault::report(py, error, story);
            Ok(1)
        }
        Ok(()) | Err(Fault::PeerGone) => {
            let request = story.request();
            let message = format!("a process forked in {request} has returned from it, and ends");
            log::entry(py, Level::Warning, &message);
            Ok(0)
        }
    }
}
