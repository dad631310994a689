//! The process every worker is forked from. What it does is in `nursery.py`, since all of it is
//! Python's own machinery: running a configuration file, importing, forking. Here is how it starts,
//! and where a worker leaves it.

use std::ffi::{CStr, OsString};
use std::fs::File;
use std::os::fd::{IntoRawFd, RawFd};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{dup2_stdin, getppid};
use pyo3::exceptions::{PyOSError, PyProcessLookupError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::boot::{self, Forked, LOAD, code};
use crate::control::Control;
use crate::hooks::Hooks;
use crate::imports::Imports;
use crate::log;
use crate::options::HostOptions;
use crate::sys;

const NURSERY: &CStr = code!("nursery.py");
const CONFIG: &CStr = code!("config.py");
const ARBITER: &CStr = code!("arbiter.py");

/// Serves the gateway at the other end of standard input until it closes. `config`: as `-c` has it.
pub(crate) fn run(py: Python<'_>, config: Option<&OsString>) -> PyResult<i32> {
    // Should the gateway die while something is imported here, nobody else ends it.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from)?;
    prctl::set_name(c"nursery").map_err(std::io::Error::from)?;
    // Away from 0: what the application starts would find it there.
    let channel = sys::inherit(0).ok_or_else(|| PyOSError::new_err("standard input is closed"))?;
    let channel = channel.try_clone()?.into_raw_fd();
    dup2_stdin(File::open("/dev/null")?).map_err(std::io::Error::from)?;
    let python = PyDict::new(py);
    python.set_item("config", boot::module(py, CONFIG, c"config")?)?;
    python.set_item("arbiter", boot::module(py, ARBITER, c"arbiter")?)?;
    python.set_item("load", boot::module(py, LOAD, c"load")?)?;
    python.set_item("logger", log::logger(py)?)?;
    python.set_item("serve", pyo3::wrap_pyfunction!(serve, py)?)?;
    let python = py.import("types")?.getattr("SimpleNamespace")?.call((), Some(&python))?;
    let nursery = boot::module(py, NURSERY, c"nursery")?;
    nursery.getattr("run")?.call1((channel, config, python))?.extract()
}

/// In a worker, right after the fork.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "what a worker is made of, one by one from Python")]
fn serve(
    py: Python<'_>,
    listener: RawFd,
    control: RawFd,
    lifeline: RawFd,
    worker: &Bound<'_, PyAny>,
    server: &Bound<'_, PyAny>,
    application: Option<Bound<'_, PyAny>>,
    options: &Bound<'_, PyDict>,
) -> PyResult<i32> {
    // Should the gateway die, nobody can be answered any more, and nobody would give up on a worker
    // that hangs.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from)?;
    prctl::set_name(c"app-host").map_err(std::io::Error::from)?;
    let gateway: i32 = option(options, "pid")?;
    if getppid().as_raw() != gateway {
        return Err(PyProcessLookupError::new_err("the gateway is gone"));
    }
    let inherit = |number: RawFd| {
        let closed = || PyOSError::new_err(format!("descriptor {number} did not come along"));
        sys::inherit(number).ok_or_else(closed)
    };
    let host_options = HostOptions {
        application: option(options, "application")?,
        threads: option(options, "threads")?,
        processes: option(options, "processes")?,
        chdir: None,
        pythonpath: Vec::new(),
        sendfile: option(options, "sendfile")?,
        bind: None,
        umask: 0,
    };
    let mut control = Control::over(inherit(control)?, inherit(lifeline)?);
    if option(options, "reload")? {
        control.tell_imports(Imports::new(py)?);
    }
    let load = boot::module(py, LOAD, c"load")?;
    let forked = Forked {
        options: host_options,
        listener: inherit(listener)?,
        hooks: Hooks::new(worker, server)?,
        application,
    };
    boot::serve(py, &load, forked, control)
}

fn option<'py, T>(options: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    let value = options.as_any().get_item(name)?;
    value.extract().map_err(Into::into)
}
