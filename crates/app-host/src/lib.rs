//! One Python process running one WSGI application (PEP 3333), spoken to in FastCGI.
//!
//! A cdylib on Python's stable ABI, loaded by the very interpreter of the application's virtual
//! environment: `PYTHON -c BOOT LIBRARY OPTIONS`. So its packages, its version and its build are the
//! right ones by construction, and nothing of ours is linked to a libpython. The same crate as an
//! ordinary Rust library is what starts such a process: see `command`.
//!
//! One request: a thread of `worker` accepts a connection; `protocol` reads records off it; `environ`
//! turns parameters into a dict; `call` calls the application; what it sends goes through
//! `start_response` to `response`, which writes records. `input` is the body, `errors` the log the
//! application may write to. `fault` is where anything that goes wrong ends up. The interpreter is
//! held from the environ to the last chunk, and let go for every wait.
//!
//! Must not know HTTP: methods, framing, keep-alive and limits are the gateway's. No async runtime,
//! no queue: a thread serves one connection, and the kernel holds what waits.
//!
//! The program of the same name (`main.rs`) starts one without a gateway, for a web server that
//! speaks FastCGI itself; `docs/app-host.md` is for whoever does that.
//!
//! # Without a GIL
//!
//! Nothing here takes the interpreter's lock for one of its own: what threads share is behind a
//! mutex, an atomic or a `PyOnceLock`; what is one thread's (`Environs`, an unfinished line of
//! `errors`) is reached by it alone; a `StartResponse` that two threads use at once refuses the
//! second. A free-threaded CPython has no stable ABI before 3.15 and needs a build of its own; the
//! code is the same.

mod launch; // how such a process is started: no Python on this side
mod options;

mod nursery; // gunicorn.conf.py is read, workers are forked
mod boot; // the application is imported, signals and pipes are set up
mod control; // what the gateway is told, and how it tells us to stop
mod imports; // which files the application is made of
mod worker; // threads: accept, serve, drain

mod hooks; // what gunicorn.conf.py wants to hear of

mod call; // the application, its iterable, close()
mod environ; // parameters to environ
mod errors; // wsgi.errors
mod fault; // exceptions to 500 or a broken connection
mod file_wrapper; // wsgi.file_wrapper
mod fork; // a process the application forks and does not end
mod head; // the head of a response, as the application gives it
mod input; // wsgi.input
mod log; // gunicorn's log lines
mod protocol; // records off the socket, one request after the other
mod response; // heads and bodies as records
mod stacks; // where a thread is
mod start_response; // start_response, write and wsgi.early_hints
mod story; // what is told of one request: timings, trace id
mod sys; // the few system calls that need unsafe

pub use launch::{command, interpreter, library, library_for, logger_command, nursery_command};
pub use options::{HostOptions, OptionsError};

#[pyo3::pymodule(name = "causeway_app_host")]
mod causeway_app_host {
    #[pymodule_export]
    use crate::boot::run;
}
