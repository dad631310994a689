//! Where a thread is, as Python's tracebacks say it: for a request that takes too long.
//!
//! Asked by the main thread, which needs the interpreter for it: if C code holds that, nobody answers
//! here, and `faulthandler` writes down what it can when the process is aborted.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// The innermost calls. A recursion without end would fill the log.
const MOST_CALLS: i32 = 100;

/// The application's calls on this thread, the innermost last.
pub(crate) fn of(py: Python<'_>, thread: Option<&Bound<'_, PyAny>>) -> PyResult<String> {
    let Some(thread) = thread else {
        return Ok("no thread has it: it has ended, or was not begun".to_owned());
    };
    let frames = py.import("sys")?.call_method0("_current_frames")?;
    let Some(frame) = frames.cast::<PyDict>()?.get_item(thread.getattr("ident")?)? else {
        return Ok("its thread has ended".to_owned());
    };
    let traceback = py.import("traceback")?;
    // Negative: of the innermost end.
    let stack = traceback.call_method1("extract_stack", (frame, -MOST_CALLS))?;
    let stack = stack.cast::<PyList>()?;
    let begin = first_call(py, stack)?;
    let calls = stack.get_slice(begin, stack.len());
    if calls.is_empty() {
        return Ok("outside of Python code".to_owned());
    }
    let lines: Vec<String> = traceback.call_method1("format_list", (calls,))?.extract()?;
    Ok(lines.concat())
}

/// Behind those of `threading`, which began the thread.
fn first_call(py: Python<'_>, stack: &Bound<'_, PyList>) -> PyResult<usize> {
    let threading = py.import("threading")?.getattr("__file__")?;
    for (number, call) in stack.iter().enumerate() {
        if !call.getattr("filename")?.eq(&threading)? {
            return Ok(number);
        }
    }
    Ok(stack.len())
}
