//! Being supervised: what the gateway is told, and the ways in which we are told to stop.
//!
//! - `CAUSEWAY_CONTROL_FD`: a pipe of lines to the gateway, `ready PID`, `failed CODE MESSAGE`, or
//!   `stack CONNECTION TEXT`.
//! - `CAUSEWAY_LIFELINE_FD`: a pipe of lines from it. `stack CONNECTION`: say where the request that
//!   came on that connection is. `abort`: leave now, whatever is in hand. Its end means the gateway is
//!   gone, however it died, and nobody will send TERM any more.
//! - TERM: finish what is in hand. QUIT: at once. INT likewise when alone; under a gateway a Ctrl-C
//!   is the gateway's to decide about.
//! - `CAUSEWAY_ERRORLOG`: the file our standard error is. USR1: it was moved away, open it anew.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc::{SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::pipe2;
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::imports::Imports;
use crate::log::{self, ErrorLog, Level};
use crate::sys;

const CONTROL: &str = "CAUSEWAY_CONTROL_FD";
const LIFELINE: &str = "CAUSEWAY_LIFELINE_FD";
const ERROR_LOG: &str = "CAUSEWAY_ERRORLOG";

/// Where the handler of our signals finds out what they mean now.
static PHASE: AtomicU8 = AtomicU8::new(ALONE);
/// Booting, without a gateway: each of them ends the process.
const ALONE: u8 = 0;
/// Booting under a gateway: INT is not for us.
const SUPERVISED: u8 = 1;
/// Serving: the main thread reads them from a pipe.
const SERVING: u8 = 2;
/// A signal has ended the boot.
const ENDED: u8 = 3;

const SIGNALS: [i32; 4] = [SIGTERM, SIGQUIT, SIGINT, SIGUSR1];
static HANDLER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Those we have a handler for.
pub(crate) fn signals() -> impl Iterator<Item = Signal> {
    SIGNALS.into_iter().filter_map(|number| Signal::try_from(number).ok())
}

/// In a process the application has forked: a signal to it is not one to us, whose pipe it would be
/// told in, and it means again what it means to any process. Unless the application has a handler.
pub(crate) fn forget_signals(py: Python<'_>) -> PyResult<()> {
    let signals = py.import("signal")?;
    signals.call_method1("set_wakeup_fd", (-1,))?;
    for signal in SIGNALS {
        let current = signals.call_method1("getsignal", (signal,))?;
        if HANDLER.get(py).is_some_and(|ours| current.is(ours)) {
            signals.call_method1("signal", (signal, signals.getattr("SIG_DFL")?))?;
        }
    }
    Ok(())
}

/// What the main thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Finish what is in hand.
    Stop,
    /// At once.
    Quit,
    /// At once, over a request that takes too long.
    Abort,
    /// Where the request on this connection is.
    Stack(String),
    /// The threads have ended.
    Done,
}

pub(crate) struct Control {
    pipe: Option<File>,
    lifeline: Option<BufReader<File>>,
    /// Signal numbers, one byte each, written by the interpreter's handler. `None` while booting.
    signals: Option<File>,
    /// The interpreter knows it by number only: it must stay open.
    signals_in: Option<OwnedFd>,
    error_log: ErrorLog,
    /// With `--reload`.
    imports: Option<Imports>,
}

impl Control {
    /// Takes over the pipes, and the signals: one during a boot ends it.
    pub(crate) fn take_over(py: Python<'_>) -> PyResult<Control> {
        let pipe = pipe_from(py, CONTROL)?;
        let lifeline = pipe_from(py, LIFELINE)?;
        let error_log = ErrorLog::new(take_variable(py, ERROR_LOG)?);
        let pipe = pipe.map(File::from);
        let lifeline = lifeline.map(orders);
        let control =
            Control { pipe, lifeline, signals: None, signals_in: None, imports: None, error_log };
        control.handle_signals(py)?;
        Ok(control)
    }

    /// For a worker that was forked with all of it.
    pub(crate) fn over(pipe: OwnedFd, lifeline: OwnedFd) -> Control {
        Control {
            pipe: Some(pipe.into()),
            lifeline: Some(orders(lifeline)),
            signals: None,
            signals_in: None,
            imports: None,
            error_log: ErrorLog::new(None),
        }
    }

    pub(crate) fn handle_signals(&self, py: Python<'_>) -> PyResult<()> {
        let supervised = self.is_supervised();
        PHASE.store(if supervised { SUPERVISED } else { ALONE }, Ordering::SeqCst);
        let handler = pyo3::wrap_pyfunction!(on_signal, py)?;
        let handler = HANDLER.get_or_init(py, || handler.unbind().into_any());
        for signal in SIGNALS {
            py.import("signal")?.call_method1("signal", (signal, handler))?;
        }
        Ok(())
    }

    /// From now on signals are read by `wait`. One that asked for the log to be opened anew may have
    /// come before, while nobody could: done now, it is done in any case.
    pub(crate) fn serve(&mut self, py: Python<'_>) -> PyResult<()> {
        let flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let (read, write) = pipe2(flags).map_err(std::io::Error::from)?;
        let options = pyo3::types::PyDict::new(py);
        options.set_item("warn_on_full_buffer", false)?;
        let signal = py.import("signal")?;
        signal.call_method("set_wakeup_fd", (write.as_raw_fd(),), Some(&options))?;
        PHASE.store(SERVING, Ordering::SeqCst);
        self.error_log.reopen(py);
        self.signals = Some(read.into());
        self.signals_in = Some(write);
        Ok(())
    }

    /// From now on the gateway hears of everything that is imported.
    pub(crate) fn tell_imports(&mut self, imports: Imports) {
        self.imports = Some(imports);
    }

    /// What was imported since it was last said; also where an import failed.
    pub(crate) fn imported(&mut self, py: Python<'_>, error: Option<&Bound<'_, PyAny>>) {
        let Some(imports) = &self.imports else { return };
        match imports.news(py, error) {
            Ok(lines) => self.tell(&lines),
            // The application has broken what it takes; it is told once, and served on.
            Err(error) => {
                self.imports = None;
                log::entry(py, Level::Warning, &format_args!("--reload sees no more: {error}"));
            }
        }
    }

    /// Whether a gateway started us, which gives each of its workers a socket of its own.
    pub(crate) fn is_supervised(&self) -> bool {
        self.pipe.is_some()
    }

    /// The gateway hears that requests may be sent. That it is gone already, the lifeline says.
    pub(crate) fn ready(&mut self) {
        self.tell(&format!("ready {}\n", std::process::id()));
    }

    /// The gateway hears why there will be no requests.
    pub(crate) fn failed(&mut self, code: i32, message: &str) {
        self.tell(&format!("failed {code} {message}\n"));
    }

    /// The gateway hears where a request is.
    pub(crate) fn explain(&mut self, py: Python<'_>, connection: &str, stack: &str) {
        // As JSON, which has no line ends in it.
        let stack = py.import("json").and_then(|json| json.call_method1("dumps", (stack,)));
        let stack = stack.map(|text| text.to_string()).unwrap_or_default();
        self.tell(&format!("stack {connection} {stack}\n"));
    }

    fn tell(&mut self, line: &str) {
        if let Some(pipe) = &mut self.pipe {
            let _ = pipe.write_all(line.as_bytes());
        }
    }

    /// Waits for the next thing to do. The application's own signal handlers run meanwhile.
    pub(crate) fn wait(&mut self, py: Python<'_>, done: BorrowedFd<'_>) -> PyResult<Order> {
        loop {
            let readable = py.detach(|| self.poll(done))?;
            py.check_signals()?;
            self.imported(py, None);
            if let Some(order) = self.next_signal(py) {
                return Ok(order);
            }
            if readable.lifeline
                && let Some(order) = self.next_order()
            {
                return Ok(order);
            }
            if readable.done {
                return Ok(Order::Done);
            }
        }
    }

    fn poll(&self, done: BorrowedFd<'_>) -> std::io::Result<Readable> {
        let mut events = vec![PollFd::new(done, PollFlags::POLLIN)];
        events.extend(self.signals.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        let lifeline = self.lifeline.as_ref().map(BufReader::get_ref);
        // Orders that came along with the one before.
        let has_more = self.lifeline.as_ref().is_some_and(|lifeline| !lifeline.buffer().is_empty());
        let patience = match &self.imports {
            _ if has_more => PollTimeout::ZERO,
            // Views are imported when they are asked for first.
            Some(_) => PollTimeout::from(1000_u16),
            None => PollTimeout::NONE,
        };
        events.extend(lifeline.map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        match poll(&mut events, patience) {
            Ok(_) => (),
            Err(Errno::EINTR) => return Ok(Readable { lifeline: false, done: false }),
            Err(error) => return Err(error.into()),
        }
        // POLLHUP is what an end without a byte shows as.
        let is_ready = |event: &PollFd<'_>| event.any().unwrap_or(false);
        let lifeline = lifeline.is_some() && events.last().is_some_and(is_ready);
        Ok(Readable { lifeline: lifeline || has_more, done: events.first().is_some_and(is_ready) })
    }

    /// Blocks for no longer than it takes to write a line, which the gateway does at once.
    fn next_order(&mut self) -> Option<Order> {
        let mut line = String::new();
        match self.lifeline.as_mut()?.read_line(&mut line) {
            Ok(0) | Err(_) => {
                self.lifeline = None;
                Some(Order::Stop)
            }
            Ok(_) => match line.trim_end().split_once(' ') {
                Some(("stack", connection)) => Some(Order::Stack(connection.to_owned())),
                None if line.trim_end() == "abort" => Some(Order::Abort),
                // A later gateway may have more to say than we understand.
                _ => None,
            },
        }
    }

    fn next_signal(&mut self, py: Python<'_>) -> Option<Order> {
        let mut byte = [0];
        // Not blocking; an error is an empty pipe.
        while let Ok(1) = self.signals.as_mut()?.read(&mut byte) {
            match i32::from(byte[0]) {
                SIGTERM => return Some(Order::Stop),
                SIGQUIT => return Some(Order::Quit),
                SIGINT if self.pipe.is_none() => return Some(Order::Quit),
                SIGUSR1 => self.error_log.reopen(py),
                _ => (),
            }
        }
        None
    }
}

fn orders(lifeline: OwnedFd) -> BufReader<File> {
    BufReader::new(File::from(lifeline))
}

struct Readable {
    lifeline: bool,
    done: bool,
}

/// Whether a signal has ended the boot: then the exception that unwinds it is ours.
pub(crate) fn boot_was_ended() -> bool {
    PHASE.load(Ordering::SeqCst) == ENDED
}

/// While booting, unwinds whatever is being imported. While serving, the pipe says it all.
#[pyfunction]
fn on_signal(signal: i32, _frame: &Bound<'_, PyAny>) -> PyResult<()> {
    let phase = PHASE.load(Ordering::SeqCst);
    if phase == SERVING || signal == SIGUSR1 || (phase == SUPERVISED && signal == SIGINT) {
        return Ok(());
    }
    PHASE.store(ENDED, Ordering::SeqCst);
    Err(PySystemExit::new_err(0))
}

/// What the gateway put in the environment for us, and not for the application.
fn take_variable(py: Python<'_>, variable: &str) -> PyResult<Option<OsString>> {
    let environ = py.import("os")?.getattr("environ")?;
    environ.call_method1("pop", (variable, py.None()))?.extract()
}

/// A pipe the gateway left to us, whose number it put in the environment. Neither is for the
/// processes the application starts.
fn pipe_from(py: Python<'_>, variable: &str) -> PyResult<Option<OwnedFd>> {
    let Some(value) = take_variable(py, variable)? else { return Ok(None) };
    let value = value.to_string_lossy();
    let number = value.parse().ok().filter(|number| *number > 2);
    let Some(pipe) = number.and_then(sys::inherit) else {
        let message = format!("{variable} is \"{value}\", which is not an open descriptor");
        return Err(pyo3::exceptions::PyValueError::new_err(message));
    };
    fcntl(&pipe, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(std::io::Error::from)?;
    Ok(Some(pipe))
}
