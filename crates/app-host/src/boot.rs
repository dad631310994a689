//! From an interpreter to a worker: the application, threads; then waiting for the order to stop.
//!
//! Alone (`run`), it finds paths and a socket itself. Forked from the nursery (`serve`), it has both,
//! and perhaps the application; and it calls the hooks of gunicorn.conf.py.
//!
//! Exit codes are gunicorn's: 3, the worker could not boot; 4, the application could not be loaded
//! (its module could). The last line on standard error says why.

use std::ffi::{CStr, CString, OsString};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::{Mode, umask};
use nix::unistd::dup2_stdin;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::control::{Control, Order, boot_was_ended};
use crate::fault;
use crate::hooks::Hooks;
use crate::launch::{LOGGER, NURSERY};
use crate::log::{self, Level};
use crate::nursery;
use crate::options::HostOptions;
use crate::stacks;
use crate::worker::{Listens, Shared, Worker};

const BOOT_FAILED: i32 = 3;
const APPLICATION_FAILED: i32 = 4;

/// What `boot.py` calls. Gives the process's exit code.
#[pyfunction]
pub(crate) fn run(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<i32> {
    if let [first, rest @ ..] = &arguments[..]
        && first == NURSERY
    {
        return nursery::run(py, rest.first());
    }
    if arguments == [LOGGER] {
        return log::logger(py)?.call_method0("serve")?.extract();
    }
    let mut control = Control::take_over(py)?;
    let load = module(py, LOAD, c"load")?;
    match boot_alone(py, &load, arguments, &mut control) {
        Ok(served) => served.until_stopped(py, &mut control),
        Err(_) if boot_was_ended() => Ok(0),
        Err(error) => failed(py, &load, &error, &mut control),
    }
}

/// What the nursery calls in a worker it has forked. Gives the process's exit code.
pub(crate) fn serve(
    py: Python<'_>,
    load: &Bound<'_, PyModule>,
    forked: Forked<'_>,
    mut control: Control,
) -> PyResult<i32> {
    control.handle_signals(py)?;
    let leave = forked.hooks.clone();
    let code = match boot_forked(py, load, forked, &mut control) {
        Ok(served) => served.until_stopped(py, &mut control)?,
        Err(_) if boot_was_ended() => 0,
        Err(error) => failed(py, load, &error, &mut control)?,
    };
    leave.exit(py);
    Ok(code)
}

/// What a worker has from its nursery.
pub(crate) struct Forked<'py> {
    pub(crate) options: HostOptions,
    pub(crate) listener: OwnedFd,
    pub(crate) hooks: Hooks,
    /// With `--preload`.
    pub(crate) application: Option<Bound<'py, PyAny>>,
}

/// A file of ours in Python.
pub(crate) fn module<'py>(
    py: Python<'py>,
    code: &CStr,
    name: &CStr,
) -> PyResult<Bound<'py, PyModule>> {
    let name = name.to_str().map_err(std::io::Error::other)?;
    let file = CString::new(format!("causeway_app_host/{name}.py"))?;
    let name = CString::new(format!("causeway_app_host.{name}"))?;
    PyModule::from_code(py, code, &file, &name)
}

/// Python code that is part of the library.
macro_rules! code {
    ($file:literal) => {
        match std::ffi::CStr::from_bytes_with_nul(concat!(include_str!($file), "\0").as_bytes()) {
            Ok(text) => text,
            Err(_) => panic!(concat!($file, " holds a NUL")),
        }
    };
}
pub(crate) use code;

pub(crate) const LOAD: &CStr = code!("load.py");

/// Threads that serve.
struct Served {
    worker: Py<Worker>,
    shared: Arc<Shared>,
    threads: Vec<Py<PyAny>>,
    /// A socket file we made, and unlink.
    socket_file: Option<PathBuf>,
    hooks: Hooks,
}

fn boot_alone(
    py: Python<'_>,
    load: &Bound<'_, PyModule>,
    arguments: Vec<OsString>,
    control: &mut Control,
) -> PyResult<Served> {
    let options = HostOptions::from_arguments(arguments)
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    let (listener, socket_file) = listener(&options)?;
    // Before the application, which may print; after what a supervisor reads.
    enable_faulthandler(py)?;
    set_paths(py, &options)?;
    let application = load.getattr("load")?.call1((&options.application,));
    let application = application.inspect_err(|_| unlink(socket_file.as_deref()))?;
    let place = options.bind.clone().unwrap_or_else(|| "standard input".to_owned());
    let served = start(&application, options, listener, socket_file, Hooks::none(), control)?;
    if !control.is_supervised() {
        log::entry(py, Level::Info, &format_args!("Listening at: {place} ({})", process::id()));
    }
    Ok(served)
}

fn boot_forked(
    py: Python<'_>,
    load: &Bound<'_, PyModule>,
    forked: Forked<'_>,
    control: &mut Control,
) -> PyResult<Served> {
    let Forked { options, listener, hooks, application } = forked;
    enable_faulthandler(py)?;
    let listener = not_blocking(listener)?;
    hooks.forked(py)?;
    let application = match application {
        Some(application) => application,
        None => load.getattr("load")?.call1((&options.application,))?,
    };
    hooks.has_application(py, &application)?;
    start(&application, options, listener, None, hooks, control)
}

fn start(
    application: &Bound<'_, PyAny>,
    options: HostOptions,
    listener: OwnedFd,
    socket_file: Option<PathBuf>,
    hooks: Hooks,
    control: &mut Control,
) -> PyResult<Served> {
    let py = application.py();
    let shared = Arc::new(Shared::new(options.threads).map_err(std::io::Error::from)?);
    let threads = options.threads;
    let listens = if control.is_supervised() { Listens::Alone } else { Listens::WithOthers };
    let application = application.clone().unbind();
    let worker =
        Worker::new(application, options, listener, listens, Arc::clone(&shared), hooks.clone());
    let worker = Bound::new(py, worker.map_err(std::io::Error::from)?)?;
    control.serve(py)?;
    let threads = (0..threads).map(|number| start_thread(&worker, number));
    let threads = threads.collect::<PyResult<Vec<_>>>()?;
    control.imported(py, None);
    control.ready();
    Ok(Served { worker: worker.unbind(), shared, threads, socket_file, hooks })
}

/// Real Python threads: their state lives as long as they do, and libraries find them where they
/// look. Daemons, so that QUIT need not wait for them; `until_stopped` does wait.
fn start_thread(worker: &Bound<'_, Worker>, number: usize) -> PyResult<Py<PyAny>> {
    let py = worker.py();
    let options = PyDict::new(py);
    options.set_item("target", worker)?;
    options.set_item("args", (number,))?;
    options.set_item("name", format!("causeway-{number}"))?;
    options.set_item("daemon", true)?;
    let thread = py.import("threading")?.call_method("Thread", (), Some(&options))?;
    thread.call_method0("start")?;
    Ok(thread.unbind())
}

impl Served {
    fn until_stopped(self, py: Python<'_>, control: &mut Control) -> PyResult<i32> {
        loop {
            match control.wait(py, self.shared.done.as_fd())? {
                Order::Stop => {
                    unlink(self.socket_file.as_deref());
                    self.worker.get().stop();
                }
                Order::Quit => {
                    unlink(self.socket_file.as_deref());
                    self.hooks.interrupted(py);
                    self.hooks.exit(py);
                    return exit_at_once(py, 0);
                }
                Order::Abort => {
                    self.hooks.aborted(py);
                    self.hooks.exit(py);
                    // gunicorn's code for it.
                    return exit_at_once(py, 1);
                }
                Order::Stack(connection) => {
                    let number = self.shared.serving(&connection);
                    let thread = number.map(|number| self.threads[number].bind(py));
                    let stack = stacks::of(py, thread).unwrap_or_else(|error| error.to_string());
                    control.explain(py, &connection, &stack);
                }
                Order::Done => break,
            }
        }
        unlink(self.socket_file.as_deref());
        for thread in &self.threads {
            thread.bind(py).call_method0("join")?;
        }
        Ok(0)
    }
}

/// With threads still inside the application, an ordinary exit would pull the interpreter away from
/// under them. What was registered to run at exit runs, then the process is gone.
fn exit_at_once(py: Python<'_>, code: i32) -> PyResult<i32> {
    let _ = py.import("atexit")?.call_method0("_run_exitfuncs");
    for stream in ["stdout", "stderr"] {
        let _ = py.import("sys")?.getattr(stream)?.call_method0("flush");
    }
    py.import("os")?.call_method1("_exit", (code,))?;
    Ok(code)
}

/// Where the traceback of every thread is written if the process is aborted (as a supervisor does
/// with a worker that hangs) or crashes.
fn enable_faulthandler(py: Python<'_>) -> PyResult<()> {
    py.import("faulthandler")?.call_method0("enable")?;
    Ok(())
}

/// `sys.path`: the folder we serve from, then what was asked for, then the interpreter's own.
fn set_paths(py: Python<'_>, options: &HostOptions) -> PyResult<()> {
    if let Some(chdir) = &options.chdir {
        std::env::set_current_dir(chdir).map_err(|error| {
            PyOSError::new_err(format!("can not change to \"{}\": {error}", chdir.display()))
        })?;
    }
    let sys = py.import("sys")?;
    let path = sys.getattr("path")?.cast_into::<PyList>()?;
    // What `-c` put there: the current folder, whatever that is later.
    if path.get_item(0).is_ok_and(|first| first.eq("").unwrap_or(false)) {
        path.del_item(0)?;
    }
    let here = std::env::current_dir()?;
    for folder in options.pythonpath.iter().map(|path| here.join(path)).rev().chain([here.clone()])
    {
        path.insert(0, folder.as_os_str())?;
    }
    sys.setattr("argv", ["causeway-app-host", &options.application])
}

/// The socket to accept from: bound here, or standard input as FastCGI hands it over.
fn listener(options: &HostOptions) -> PyResult<(OwnedFd, Option<PathBuf>)> {
    let (listener, socket_file) = match &options.bind {
        None => (inherited()?, None),
        Some(bind) => {
            let refused =
                |error| PyOSError::new_err(format!("can not listen on \"{bind}\": {error}"));
            match bind.strip_prefix("unix:") {
                Some(path) => {
                    let path = Path::new(path);
                    let listener = bind_unix(path, options.umask).map_err(refused)?;
                    (listener, Some(std::path::absolute(path)?))
                }
                None => (TcpListener::bind(bind).map_err(refused)?.into(), None),
            }
        }
    };
    Ok((not_blocking(listener)?, socket_file))
}

/// Several threads, and perhaps processes, wait for the same connection; one gets it.
fn not_blocking(listener: OwnedFd) -> PyResult<OwnedFd> {
    let flags = fcntl(&listener, FcntlArg::F_GETFL).map_err(std::io::Error::from)?;
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
    fcntl(&listener, FcntlArg::F_SETFL(flags)).map_err(std::io::Error::from)?;
    Ok(listener)
}

/// Moved away from 0: a process the application starts would find it as its standard input.
fn inherited() -> PyResult<OwnedFd> {
    let stdin = std::io::stdin();
    if !getsockopt(&stdin.as_fd(), sockopt::AcceptConn).unwrap_or(false) {
        return Err(PyRuntimeError::new_err(
            "standard input is not a listening socket, and there is no --bind",
        ));
    }
    let listener = stdin.as_fd().try_clone_to_owned()?;
    dup2_stdin(std::fs::File::open("/dev/null")?).map_err(std::io::Error::from)?;
    Ok(listener)
}

/// A socket file nobody listens on any more is in the way of nobody.
fn bind_unix(path: &Path, mode: u32) -> std::io::Result<OwnedFd> {
    let is_socket = path.symlink_metadata().is_ok_and(|facts| facts.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let before = umask(Mode::from_bits_truncate(mode));
    let listener = UnixListener::bind(path);
    umask(before);
    Ok(listener?.into())
}

fn unlink(socket_file: Option<&Path>) {
    if let Some(path) = socket_file {
        let _ = std::fs::remove_file(path);
    }
}

/// Tells the log and the gateway why there is no worker. Gives the exit code.
fn failed(
    py: Python<'_>,
    load: &Bound<'_, PyModule>,
    error: &PyErr,
    control: &mut Control,
) -> PyResult<i32> {
    let value = fault::exception(py, error)?;
    let is_application = value.is_instance(&load.getattr("ApplicationError")?)?;
    let explained = load.getattr("explain")?.call1((&value,))?;
    let (traceback, last): (String, String) = explained.extract()?;
    let place: String = load.getattr("place")?.call0()?.extract()?;
    let (code, message) = if is_application {
        let reason = value.str()?.to_string();
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        let message = format!("{reason} {place}");
        log::entry(py, Level::Error, &format_args!("application could not be loaded: {message}"));
        (APPLICATION_FAILED, message)
    } else {
        let entry = format!("Exception in worker process\n{}", traceback.trim_end());
        log::entry(py, Level::Error, &entry);
        let message = format!("{last} {place}");
        log::entry(py, Level::Error, &format_args!("worker could not boot: {message}"));
        (BOOT_FAILED, message)
    };
    control.imported(py, Some(&value));
    control.failed(code, &message);
    Ok(code)
}
